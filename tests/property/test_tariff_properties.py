"""What holds for every tariff: it adds up, is the same in one step or many, and survives YAML."""

from __future__ import annotations

import io
from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from ruamel.yaml import YAML

from engine.config.tariff import TariffConfig
from engine.config.tariff_windows import WEEKDAYS
from engine.domain.quarter_hour import STEP
from engine.market.tariff import TariffBook

ZONE = ZoneInfo("Europe/Vienna")
BEGIN = datetime(2026, 1, 1, tzinfo=UTC)

prices = st.floats(-1, 2)
fees = st.floats(0, 2)
percents = st.floats(0, 100)
spots = st.floats(-0.5, 5)
starts = st.integers(0, 2 * 365 * 96).map(lambda k: BEGIN + k * STEP)


def clock(slot: int) -> str:
    return f"{slot // 4:02d}:{slot % 4 * 15:02d}"


@st.composite
def windows(draw: st.DrawFn, price: st.SearchStrategy[float]) -> list[dict[str, Any]]:
    """Windows that divide the day, so that they never overlap."""
    edges = sorted(draw(st.sets(st.integers(0, 95), min_size=2, max_size=5)))
    out = []
    for first, last in zip(edges, edges[1:] + edges[:1], strict=True):
        if not draw(st.booleans()):
            continue
        window: dict[str, Any] = {
            "from": clock(first),
            "to": clock(last),
            "eur_per_kwh": draw(price),
        }
        if draw(st.booleans()):
            window["weekdays"] = draw(st.lists(st.sampled_from(WEEKDAYS), min_size=1, max_size=7))
        if draw(st.booleans()):
            window["months"] = draw(st.lists(st.integers(1, 12), min_size=1, max_size=12))
        if draw(st.booleans()):
            window["name"] = draw(st.sampled_from(["NT", "ST", "HT"]))
        out.append(window)
    return out


@st.composite
def terms(draw: st.DrawFn) -> dict[str, Any]:
    out: dict[str, Any] = {
        "grid_fee_eur_per_kwh": draw(fees),
        "grid_fee_windows": draw(windows(fees)),
        "levies_eur_per_kwh": draw(fees),
        "vat_percent": draw(percents),
        "settlement_minutes": draw(st.sampled_from([15, 60])),
        "feed_in_zero_when_spot_negative": draw(st.booleans()),
        "fixed_fee_eur_per_month": draw(st.floats(0, 1000)),
    }
    if draw(st.booleans()):
        out |= {
            "energy_price_eur_per_kwh": draw(prices),
            "energy_price_windows": draw(windows(prices)),
        }
    else:
        out |= {
            "spot_markup_eur_per_kwh": draw(prices),
            "spot_markup_percent": draw(percents),
            "loss_percent": draw(percents),
        }
    feed_in = draw(st.sampled_from(["spot", "fixed", "none"]))
    if feed_in == "spot":
        out |= {"sell_fee_eur_per_kwh": draw(prices), "sell_fee_percent": draw(percents)}
    elif feed_in == "fixed":
        out |= {"feed_in_eur_per_kwh": draw(prices), "feed_in_windows": draw(windows(prices))}
    else:
        out["export_allowed"] = False
    if draw(st.booleans()):
        billed = [{k: v for k, v in w.items() if k != "eur_per_kwh"} for w in draw(windows(fees))]
        out["demand_charge"] = {
            "eur_per_kw": draw(st.floats(0, 200)),
            "period": draw(st.sampled_from(["month", "year"])),
            "windows": billed,
        }
    return out


@st.composite
def configs(draw: st.DrawFn) -> TariffConfig:
    if draw(st.booleans()):
        return TariffConfig.model_validate(draw(terms()))
    days = draw(st.lists(st.dates(date(2026, 1, 2), date(2027, 12, 31)), max_size=3, unique=True))
    dated = [{**draw(terms()), "valid_from": day} for day in sorted(days)]
    return TariffConfig.model_validate({"versions": [draw(terms()), *dated]})


@given(config=configs())
@settings(max_examples=60, deadline=None)
def test_any_valid_tariff_survives_yaml_and_json(config: TariffConfig) -> None:
    out = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.dump(config.model_dump(), out)
    read = YAML(typ="safe", pure=True).load(out.getvalue())
    assert TariffConfig.model_validate(read) == config
    assert TariffConfig.model_validate_json(config.model_dump_json()) == config


@given(config=configs(), start=starts, spot=st.lists(spots, min_size=1, max_size=200))
@settings(max_examples=60, deadline=None)
def test_many_steps_cost_what_each_costs_alone(
    config: TariffConfig, start: datetime, spot: list[float]
) -> None:
    book = TariffBook(config, ZONE)
    # Equal prices within the hour, so that hourly settlement changes nothing.
    hours = [spot[(start.minute // 15 + i) // 4 % len(spot)] for i in range(len(spot))]
    priced = book.prices(start, np.array(hours))
    billed = book.billed_mask(start, len(spot))
    export = book.export_mask(start, len(spot))
    for i in range(0, len(spot), 5):
        ts = start + i * STEP
        buy, sell = book.at(ts + timedelta(minutes=3), hours[i])
        assert buy == priced.buy_eur_per_kwh[i]
        assert sell == priced.sell_eur_per_kwh[i]
        assert export[i] == book.export_allowed(ts)
        assert billed[i] == book.billed_mask(ts, 1)[0]


@given(config=configs(), start=starts, spot=spots)
@settings(max_examples=100, deadline=None)
def test_the_components_add_up_exactly(config: TariffConfig, start: datetime, spot: float) -> None:
    book = TariffBook(config, ZONE)
    price = book.describe(start, spot)
    total = 0.0
    for _, part in price.parts:
        total += part
    assert total == price.buy_eur_per_kwh == book.at(start, spot)[0]


@given(config=configs(), start=starts, low=spots, high=spots)
@settings(max_examples=100, deadline=None)
def test_dearer_spot_never_makes_buying_cheaper_or_selling_worse(
    config: TariffConfig, start: datetime, low: float, high: float
) -> None:
    book = TariffBook(config, ZONE)
    low, high = sorted((low, high))
    (buy_low, sell_low), (buy_high, sell_high) = book.at(start, low), book.at(start, high)
    assert buy_low <= buy_high + 1e-12
    # The zero of the negative-price rule may lie above what a positive price earns after fees.
    if low >= 0 or not any(v.feed_in_zero_when_spot_negative for v in config.dated):
        assert sell_low <= sell_high + 1e-12


@given(config=configs(), start=starts)
@settings(max_examples=60, deadline=None)
def test_a_price_is_known_without_spot_exactly_where_none_is_needed(
    config: TariffConfig, start: datetime
) -> None:
    book = TariffBook(config, ZONE)
    buy, sell = book.at(start, None)
    assert book.needs_spot(start) == bool(np.isnan(buy) or np.isnan(sell))


@given(config=configs(), start=starts, days=st.integers(1, 500))
@settings(max_examples=60, deadline=None)
def test_billing_periods_are_disjoint_and_reach_every_billed_step(
    config: TariffConfig, start: datetime, days: int
) -> None:
    book = TariffBook(config, ZONE)
    end = start + timedelta(days=days)
    periods = book.billing_periods(start, end)
    for before, after in pairwise(periods):
        assert before.end <= after.start
    for hour in range(0, days * 24, 37):
        ts = start + timedelta(hours=hour)
        inside = [p for p in periods if p.start <= ts < p.end]
        charge = book.demand_charge(ts)
        assert len(inside) == (charge is not None)
        if charge is not None:
            assert inside[0].kind == charge.period
            assert inside[0].eur_per_kw <= charge.eur_per_kw


@given(raw=st.dictionaries(st.sampled_from(sorted(TariffConfig.model_fields)), st.none() | spots))
def test_nonsense_is_a_named_mistake_and_never_a_crash(raw: dict[str, Any]) -> None:
    try:
        config = TariffConfig.model_validate(raw)
    except ValidationError:
        return
    TariffBook(config, ZONE).at(BEGIN, 0.1)
