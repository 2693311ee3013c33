"""Rows of published prices, and the price of one moment, under the tariff of the time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engine.config.tariff import TariffConfig
from engine.domain.quarter_hour import STEP
from engine.market.price_rows import TARIFF_SOURCE, PriceQuote, price_rows, quote_at
from engine.market.prices import DayAheadPrices
from engine.market.tariff import TariffBook

MIDNIGHT = datetime(2026, 6, 30, 22, tzinfo=UTC)
"""Local midnight before 1 July 2026 in Vienna."""


def published(values: list[float], start: datetime = MIDNIGHT) -> DayAheadPrices:
    return DayAheadPrices(start, np.array(values), "recorded", fetched_at=start)


def book(**terms: Any) -> TariffBook:
    return TariffBook(TariffConfig.model_validate(terms), ZoneInfo("Europe/Vienna"))


def test_rows_are_the_published_quarter_hours_in_the_range() -> None:
    prices = published([0.1, 0.2, float("nan"), 0.4])
    rows = price_rows(prices, book(), "s", MIDNIGHT - STEP, MIDNIGHT + timedelta(hours=9))
    assert [r.ts for r in rows] == [MIDNIGHT, MIDNIGHT + STEP, MIDNIGHT + 3 * STEP]
    assert [r.buy_eur_per_kwh for r in rows] == pytest.approx([0.2, 0.3, 0.5])
    assert [r.sell_eur_per_kwh for r in rows] == pytest.approx([0.095, 0.195, 0.395])
    inside = price_rows(
        prices, book(), "s", MIDNIGHT + STEP + timedelta(minutes=2), MIDNIGHT + 2 * STEP
    )
    assert [r.ts for r in inside] == [MIDNIGHT + STEP]
    assert price_rows(prices, book(), "s", MIDNIGHT, MIDNIGHT) == []


def test_yesterday_is_priced_with_yesterdays_tariff() -> None:
    tariff = book(versions=[{}, {"valid_from": "2026-07-01", "levies_eur_per_kwh": 0.025}])
    prices = published([0.1] * 8, MIDNIGHT - 4 * STEP)
    rows = price_rows(prices, tariff, "s", prices.start, prices.end)
    assert [r.buy_eur_per_kwh for r in rows] == pytest.approx([0.20] * 4 + [0.21] * 4)


def test_rows_begin_with_the_first_version() -> None:
    tariff = book(versions=[{"valid_from": "2026-07-01"}])
    prices = published([0.1] * 8, MIDNIGHT - 4 * STEP)
    rows = price_rows(prices, tariff, "s", prices.start, prices.end)
    assert [r.ts for r in rows] == [MIDNIGHT + k * STEP for k in range(4)]


def test_a_row_needs_a_published_price_even_where_the_tariff_does_not() -> None:
    tariff = book(energy_price_eur_per_kwh=0.12, feed_in_eur_per_kwh=0.08)
    rows = price_rows(published([0.1]), tariff, "s", MIDNIGHT, MIDNIGHT + 4 * STEP)
    assert [(r.ts, r.spot_eur_per_kwh) for r in rows] == [(MIDNIGHT, 0.1)]
    assert rows[0].buy_eur_per_kwh == pytest.approx(0.205)


def test_a_part_of_an_hour_is_settled_by_the_whole_hour() -> None:
    tariff = book(settlement_minutes=60)
    prices = published([0.1, 0.2, 0.3, 0.4, 0.5])
    (row,) = price_rows(prices, tariff, "s", MIDNIGHT + 2 * STEP, MIDNIGHT + 3 * STEP)
    assert row.spot_eur_per_kwh == 0.3
    assert row.buy_eur_per_kwh == pytest.approx(0.35)
    quote = quote_at(prices, tariff, MIDNIGHT + timedelta(minutes=50))
    assert quote is not None
    assert quote.buy_eur_per_kwh == pytest.approx(0.35)


def test_hourly_settlement_where_local_midnight_is_no_full_hour_in_utc() -> None:
    config = TariffConfig.model_validate(
        {"versions": [{"valid_from": "2026-01-01", "settlement_minutes": 60}]}
    )
    kolkata = TariffBook(config, ZoneInfo("Asia/Kolkata"))
    start = datetime(2025, 12, 31, 18, tzinfo=UTC)
    prices = published([0.1, 0.2, 0.3, 0.4], start)
    rows = price_rows(prices, kolkata, "s", start, prices.end)
    assert [r.spot_eur_per_kwh for r in rows] == [0.3, 0.4]
    assert quote_at(prices, kolkata, start + 3 * STEP) is not None


def test_the_price_of_a_moment() -> None:
    ts = MIDNIGHT + timedelta(minutes=7)
    assert quote_at(published([0.1]), book(), ts) == PriceQuote(
        pytest.approx(0.2), pytest.approx(0.095), "recorded"
    )
    assert quote_at(published([0.1]), book(), ts + STEP) is None
    assert quote_at(None, book(), ts) is None


def test_a_fixed_tariff_has_a_price_without_any_exchange() -> None:
    tariff = book(energy_price_eur_per_kwh=0.12, feed_in_eur_per_kwh=0.08)
    quote = PriceQuote(pytest.approx(0.205), 0.08, TARIFF_SOURCE)
    assert quote_at(None, tariff, MIDNIGHT) == quote
    assert quote_at(published([0.1]), tariff, MIDNIGHT + 9 * STEP) == quote
    assert quote_at(None, book(energy_price_eur_per_kwh=0.12), MIDNIGHT) is None
