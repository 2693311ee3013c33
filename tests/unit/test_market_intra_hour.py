"""Origins of prices, and hourly prices refined by the usual movement inside the hour."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engine.market.intra_hour import intra_hour_profile, refine_hourly
from engine.market.prices import DayAheadPrices, PriceOrigin

VIENNA = ZoneInfo("Europe/Vienna")
NOW = datetime(2026, 11, 25, 11, tzinfo=UTC)
START = datetime(2026, 10, 20, 22, tzinfo=UTC)
SHAPE = np.array([0.03, 0.01, -0.01, -0.03])
QUARTERS = PriceOrigin("quarters", NOW, 15)
HOURS = PriceOrigin("hours", NOW, 60)


def mixed(hourly_from: datetime, end: datetime = NOW + timedelta(hours=36)) -> DayAheadPrices:
    n = (end - START) // timedelta(minutes=15)
    switch = (hourly_from - START) // timedelta(minutes=15)
    random = np.random.default_rng(4)
    hour_means = np.repeat(random.normal(0.1, 0.05, n // 4 + 1), 4)[:n]
    spot = hour_means + np.tile(SHAPE, n // 4 + 1)[:n]
    spot[switch:] = hour_means[switch:]
    index = np.where(np.arange(n) < switch, 0, 1).astype(np.int64)
    return DayAheadPrices(START, spot, "hours + quarters", NOW, (QUARTERS, HOURS), index)


def test_plain_prices_have_one_quarter_hour_origin() -> None:
    prices = DayAheadPrices(START, np.array([0.1, np.nan, -0.2]), "recorded", NOW)
    assert prices.resolution_minutes.tolist() == [15, 0, 15]
    assert prices.is_estimated.tolist() == [False] * 3
    assert prices.origin_at(START) == PriceOrigin("recorded", NOW, 15)
    assert prices.origin_at(START + timedelta(minutes=15)) is None
    assert prices.at(START + timedelta(minutes=15)) is None
    assert prices.at(START + timedelta(minutes=30)) == -0.2
    assert prices.origin_at(START - timedelta(minutes=1)) is None


def test_origins_must_fit_the_prices() -> None:
    with pytest.raises(ValueError, match="origin_index"):
        DayAheadPrices(START, np.zeros(3), "x", NOW, (QUARTERS,), np.zeros(2, dtype=np.int64))


def test_refined_hours_follow_the_learned_shape_and_keep_their_mean() -> None:
    switch = NOW + timedelta(hours=2)
    prices = mixed(switch)
    refined = refine_hourly(prices, NOW, VIENNA)
    at = (switch - START) // timedelta(minutes=15)
    hour, before = refined.spot_eur_per_kwh[at : at + 4], prices.spot_eur_per_kwh[at : at + 4]
    assert hour - before == pytest.approx(SHAPE)
    whole = refined.spot_eur_per_kwh[at:].reshape(-1, 4).mean(axis=1)
    assert whole == pytest.approx(prices.spot_eur_per_kwh[at:].reshape(-1, 4).mean(axis=1))
    assert (refined.spot_eur_per_kwh[:at] == prices.spot_eur_per_kwh[:at]).all()
    assert refined.is_estimated[at:].all()
    assert not refined.is_estimated[:at].any()
    origin = refined.origin_at(switch)
    assert origin is not None
    assert origin.source == "hours + intra-hour profile"
    assert not prices.is_estimated.any()


def test_without_enough_quarter_hours_nothing_is_refined() -> None:
    prices = mixed(START + timedelta(days=5))
    assert refine_hourly(prices, NOW, VIENNA) is prices
    only_quarters = mixed(NOW + timedelta(hours=36))
    assert refine_hourly(only_quarters, NOW, VIENNA) is only_quarters


def test_the_profile_learns_from_the_last_days_before_now_only() -> None:
    prices = mixed(NOW + timedelta(hours=36))
    late = (NOW - timedelta(days=28) - START) // timedelta(minutes=15)
    prices.spot_eur_per_kwh[:late:4] += 9.0
    prices.spot_eur_per_kwh[(NOW - START) // timedelta(minutes=15) :: 4] += 9.0
    profile = intra_hour_profile(prices, NOW, VIENNA)
    assert profile == pytest.approx(np.tile(SHAPE, (24, 1)))
    assert profile.sum(axis=1) == pytest.approx(np.zeros(24))
