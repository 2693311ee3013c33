"""Recorded prices appear when the exchange would publish them; the tariff adds up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from engine.domain.clock import ManualClock
from engine.domain.errors import MarketError
from engine.market.prices import require_price
from engine.market.recorded_prices import RecordedPrices
from engine.recorded.recording import Recording


def vienna_midnight(day: int) -> datetime:
    return datetime(2026, 11, day, tzinfo=UTC) - timedelta(hours=1)


@pytest.mark.parametrize(
    ("hour_utc", "last_day_known"), [(10, 24), (11, 24), (12, 25), (22, 25), (23, 25)]
)
def test_tomorrow_is_published_at_13_local_time(
    recording: Recording, hour_utc: int, last_day_known: int
) -> None:
    now = datetime(2026, 11, 23, hour_utc, tzinfo=UTC)
    prices = RecordedPrices(recording, ManualClock(now)).published(now)
    assert prices.end == vienna_midnight(last_day_known)
    assert prices.source == "recorded"
    assert prices.at(prices.end) is None
    with pytest.raises(MarketError, match="No published"):
        require_price(prices, prices.end)


def test_price_is_the_recorded_one_in_eur_per_kwh(recording: Recording) -> None:
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    prices = RecordedPrices(recording, ManualClock(now)).published(now)
    # 2026-11-23 is a Monday; the recorded Monday nearest in the season is 2025-11-24.
    expected = recording.values("price_at_eur_mwh", [datetime(2025, 11, 24, 12, tzinfo=UTC)])[0]
    assert prices.at(now) == pytest.approx(expected / 1000)
    steps = prices.steps(now, 400)
    assert steps[0] == prices.at(now)
    assert np.isnan(steps[-1])


def test_recorded_prices_reach_back_half_a_year(recording: Recording) -> None:
    now = datetime(2026, 11, 23, 12, tzinfo=UTC)
    source = RecordedPrices(recording, ManualClock(now))
    prices = source.published(now)
    assert prices.start <= now - timedelta(days=180)
    assert np.isfinite(prices.spot_eur_per_kwh).all()
    assert source.published(now + timedelta(hours=1)) is prices
