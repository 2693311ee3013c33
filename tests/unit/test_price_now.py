"""The price of this quarter-hour is published or unknown, never a forecast."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engine.config.load import parse_config
from engine.domain.clock import ManualClock
from engine.domain.errors import MarketError
from engine.market.prices import DayAheadPrices, PriceOrigin
from engine.market.recorded_prices import SOURCE as RECORDED
from engine.market.tariff import TariffBook
from engine.runtime.price_now import PriceLookup

VIENNA = ZoneInfo("Europe/Vienna")
START = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
FETCHED = START - timedelta(hours=3)
DYNAMIC = (
    "spot_markup_eur_per_kwh: 0.01, grid_fee_eur_per_kwh: 0.05, levies_eur_per_kwh: 0, "
    "sell_fee_eur_per_kwh: 0.02"
)
FIXED = (
    "energy_price_eur_per_kwh: 0.20, grid_fee_eur_per_kwh: 0.05, levies_eur_per_kwh: 0, "
    "feed_in_eur_per_kwh: 0.08"
)


class Source:
    """Prices that can be published later, or fail."""

    def __init__(self, *spot: float, source: str = "energy_charts_at") -> None:
        self.prices: DayAheadPrices | None = None
        if spot:
            self.publish(*spot, source=source)

    def publish(self, *spot: float, source: str = "energy_charts_at") -> None:
        self.prices = DayAheadPrices(START, np.array(spot), source, FETCHED)

    def published(self, now: datetime) -> DayAheadPrices:
        if self.prices is None:
            raise MarketError("Nothing is known.")
        return self.prices


def lookup(source: Source, tariff: str = DYNAMIC) -> PriceLookup:
    book = TariffBook(parse_config(f"tariff: {{{tariff}}}").tariff, VIENNA)
    return PriceLookup(source, book, ManualClock(START))


def test_it_is_the_published_price_at_the_tariff_with_its_origin() -> None:
    price = lookup(Source(0.10, 0.12))(START + timedelta(minutes=20))
    assert price is not None
    assert price.spot_eur_per_kwh == 0.12
    assert price.buy_eur_per_kwh == pytest.approx(0.18)
    assert price.sell_eur_per_kwh == pytest.approx(0.10)
    assert (price.source, price.fetched_at) == ("energy_charts_at", FETCHED)


def test_what_is_not_published_is_unknown_and_known_as_soon_as_it_is() -> None:
    source = Source(0.10, np.nan)
    at = lookup(source)
    second = START + timedelta(minutes=15)
    assert at(second) is None
    assert at(START + timedelta(minutes=30)) is None
    source.publish(0.10, 0.14)
    price = at(second)
    assert price is not None
    assert price.spot_eur_per_kwh == 0.14


def test_without_any_source_a_dynamic_price_is_unknown_and_a_fixed_one_is_not() -> None:
    assert lookup(Source())(START) is None
    price = lookup(Source(), FIXED)(START)
    assert price is not None
    assert price.spot_eur_per_kwh is None
    assert price.buy_eur_per_kwh == pytest.approx(0.25)
    assert price.sell_eur_per_kwh == pytest.approx(0.08)
    assert (price.source, price.fetched_at) == ("tariff", None)


def test_recorded_prices_were_fetched_at_no_time() -> None:
    price = lookup(Source(0.10, source=RECORDED))(START)
    assert price is not None
    assert (price.source, price.fetched_at) == (RECORDED, None)


def test_the_age_is_that_of_the_quarter_hour_itself() -> None:
    source = Source()
    old, new = FETCHED - timedelta(days=1), FETCHED
    source.prices = DayAheadPrices(
        START,
        np.array([0.10, 0.12]),
        "a + b",
        old,
        (PriceOrigin("a", old, 60), PriceOrigin("b", new)),
        np.array([0, 1]),
    )
    first, second = lookup(source)(START), lookup(source)(START + timedelta(minutes=15))
    assert first is not None
    assert second is not None
    assert (first.fetched_at, second.fetched_at) == (old, new)


def test_before_the_first_tariff_the_price_is_unknown_not_zero() -> None:
    at = lookup(Source(0.10), f"versions: [{{valid_from: 2027-01-01, {DYNAMIC}}}]")
    assert at(START) is None


def test_an_hourly_contract_pays_the_mean_of_the_hour() -> None:
    at = lookup(Source(0.10, 0.12, 0.14, 0.16), f"{DYNAMIC}, settlement_minutes: 60")
    price = at(START + timedelta(minutes=50))
    assert price is not None
    assert price.spot_eur_per_kwh == 0.16
    assert price.buy_eur_per_kwh == pytest.approx(0.13 + 0.06)
