"""The problem that is planned is the one the site has: its tariff, its peaks, its grid."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engine.analytics.incurred_peak import IncurredPeaks
from engine.config.load import parse_config
from engine.domain.errors import MarketError
from engine.domain.forecast import LOAD_SIGNAL, PRICE_SIGNAL, PV_SIGNAL
from engine.domain.records import LedgerRow
from engine.domain.site import Site
from engine.market.prices import DayAheadPrices
from engine.market.tariff import TariffBook
from engine.optimization.check import check_solution
from engine.optimization.instance import Instance
from engine.optimization.optimizer import Optimizer
from engine.runtime.problem import PlanForecasts, ProblemBuilder, recent_net_load_kw
from tests.support.build import forecast
from tests.unit.test_incurred_peak import booked, stored

VIENNA = ZoneInfo("Europe/Vienna")
FLAT = "energy_price_eur_per_kwh: 0.20, grid_fee_eur_per_kwh: 0, levies_eur_per_kwh: 0"


def local(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=VIENNA).astimezone(UTC)


def builder(site: Site, tariff: str, *rows: LedgerRow, throttles: bool = False) -> ProblemBuilder:
    book = TariffBook(parse_config(f"tariff: {{{tariff}}}").tariff, VIENNA)
    return ProblemBuilder(site, book, IncurredPeaks(stored(rows), book), throttles)


def forecasts(
    start: datetime, n: int = 144, *, spot: Any = 0.10, load: Any = 30.0, pv: Any = 0.0
) -> PlanForecasts:
    def flat(signal: str, values: Any) -> Any:
        array = np.full(n, values) * np.asarray(1.0)
        return forecast(
            signal, start=start, p10=array, p50=array, p90=array, issued_at=start, known=KNOWN[:n]
        )

    return PlanForecasts(
        price=None if spot is None else flat(PRICE_SIGNAL, spot),
        load=flat(LOAD_SIGNAL, load),
        pv=flat(PV_SIGNAL, pv),
    )


KNOWN = np.ones(400, dtype=np.bool_)


def build(
    made: ProblemBuilder, start: datetime, n: int = 144, minutes: float = 0.0, **options: Any
) -> Instance:
    series = {k: options.pop(k) for k in ("spot", "load", "pv") if k in options}
    now = start + timedelta(minutes=minutes)
    arguments: dict[str, Any] = {"published": None, "soc_percent": 50.0, "now": now}
    return made.build(forecasts(start, n, **series), **(arguments | options))


# -- demand charge -------------------------------------------------------------------------


def test_a_month_that_ends_within_the_horizon_has_two_peaks_each_with_its_own_floor(
    site: Site,
) -> None:
    start = local("2026-11-30 12:00")
    made = builder(
        site,
        "demand_charge: {eur_per_kw: 8}",
        booked(local("2026-11-10 08:00"), 75.0),
        booked(local("2026-10-10 08:00"), 190.0),
    )
    november, december = build(made, start, minutes=3).peaks
    assert november.billed.tolist() == [True] * 48 + [False] * 96
    assert december.billed.tolist() == [False] * 48 + [True] * 96
    assert (november.floor_kw, december.floor_kw) == (pytest.approx(75.0), 0.0)
    assert (november.charge_eur_per_kw, december.charge_eur_per_kw) == (8.0, 8.0)


def test_imports_up_to_the_incurred_peak_are_free_and_beyond_it_cost(site: Site) -> None:
    start = local("2026-11-25 00:00")
    load = np.where(np.arange(96) == 40, 80.0, 20.0)
    empty = replace(site, battery=replace(site.battery, power_discharge_max_kw=0.001))

    def demand_eur(incurred_kw: float) -> float:
        made = builder(
            empty,
            f"{FLAT}, demand_charge: {{eur_per_kw: 10}}",
            booked(local("2026-11-10 08:00"), incurred_kw),
        )
        instance = build(made, start, 96, load=load, minutes=1)
        return Optimizer().solve(instance).demand_cost_eur

    assert demand_eur(85.0) == pytest.approx(0.0, abs=0.05)
    assert demand_eur(60.0) == pytest.approx(200.0, abs=0.05)


def test_a_yearly_charge_looks_back_to_new_year(site: Site) -> None:
    made = builder(
        site,
        "demand_charge: {eur_per_kw: 96, period: year}",
        booked(local("2026-01-15 08:00"), 110.0),
        booked(local("2025-12-15 08:00"), 180.0),
    )
    (year,) = build(made, local("2026-11-30 12:00")).peaks
    assert year.billed.all()
    assert year.floor_kw == pytest.approx(110.0)
    assert year.charge_eur_per_kw == 96.0


def test_only_the_windows_of_the_charge_are_billed(site: Site) -> None:
    windows = "[{from: 17:00, to: 20:00, weekdays: [mon, tue, wed, thu, fri]}]"
    made = builder(site, f"demand_charge: {{eur_per_kw: 8, windows: {windows}}}")
    friday = local("2026-11-27 12:00")
    (peak,) = build(made, friday).peaks
    times = [(friday + timedelta(minutes=15 * int(i))).astimezone(VIENNA) for i in range(144)]
    billed = [f"{ts:%a %H:%M}" for ts, flag in zip(times, peak.billed, strict=True) if flag]
    assert (billed[0], billed[-1], len(billed)) == ("Fri 17:00", "Fri 19:45", 12)
    saturday = local("2026-11-28 00:00")
    assert build(made, saturday, 96).peaks == ()


def test_the_peak_worth_holding_is_a_floor_like_one_incurred(site: Site) -> None:
    row = booked(local("2026-11-10 08:00"), 40.0)
    made = builder(site, "demand_charge: {eur_per_kw: 8}", row)
    (lower,) = build(made, local("2026-11-20 12:00"), peak_target_kw=35.0, minutes=1).peaks
    (higher,) = build(made, local("2026-11-20 12:00"), peak_target_kw=55.0, minutes=1).peaks
    assert (lower.floor_kw, higher.floor_kw) == (pytest.approx(40.0), 55.0)


def test_without_a_demand_charge_there_is_no_peak(site: Site) -> None:
    assert build(builder(site, ""), local("2026-11-30 12:00")).peaks == ()
    assert (
        build(builder(site, "demand_charge: {eur_per_kw: 0}"), local("2026-11-30 12:00")).peaks
        == ()
    )


# -- export --------------------------------------------------------------------------------


def test_without_export_the_limit_is_zero_and_a_plan_exports_nothing(site: Site) -> None:
    made = builder(site, f"{FLAT}, export_allowed: false", throttles=True)
    pv = np.where((np.arange(96) > 30) & (np.arange(96) < 60), 140.0, 0.0)
    instance = build(made, local("2026-06-10 00:00"), 96, pv=pv, load=20.0)
    assert instance.curtailment_allowed
    assert not instance.export_limit_kw.any()
    solution = Optimizer().solve(instance)
    assert check_solution(instance, solution).passed
    assert solution.grid_kw.min() >= -1e-6
    assert solution.curtailed_kw.max() > 50.0, "the plant gives away what has no place"


def test_a_plant_that_does_not_throttle_itself_is_not_planned_to(site: Site) -> None:
    made = builder(site, f"{FLAT}, export_allowed: false")
    pv = np.where((np.arange(96) > 30) & (np.arange(96) < 60), 140.0, 0.0)
    instance = build(made, local("2026-06-10 00:00"), 96, pv=pv, load=20.0)
    assert not instance.curtailment_allowed
    solution = Optimizer().solve(instance)
    assert not solution.curtailed_kw.any()
    assert any("export" in wish for wish in solution.gave_way), "and the plan says what gave way"


# -- prices --------------------------------------------------------------------------------


def test_an_hourly_contract_counts_the_part_of_the_hour_that_has_passed(site: Site) -> None:
    made = builder(
        site,
        "settlement_minutes: 60, spot_markup_eur_per_kwh: 0, grid_fee_eur_per_kwh: 0, "
        "levies_eur_per_kwh: 0, sell_fee_eur_per_kwh: 0",
    )
    hour = local("2026-11-25 14:00")
    quarters = np.array([0.00, 0.10, 0.20, 0.30, 0.50, 0.50, 0.50, 0.50])
    published = DayAheadPrices(hour, quarters, "test", hour)
    start = hour + timedelta(minutes=30)
    instance = build(made, start, 6, spot=quarters[2:], published=published, minutes=4)
    expected = [0.15, 0.15, 0.50, 0.50, 0.50, 0.50]
    assert instance.buy_eur_per_kwh == pytest.approx(expected)
    assert instance.sell_eur_per_kwh == pytest.approx(expected)


def test_a_new_tariff_applies_from_its_local_midnight(site: Site) -> None:
    versions = (
        "versions: [{grid_fee_eur_per_kwh: 0.05}, {valid_from: 2027-01-01, "
        "grid_fee_eur_per_kwh: 0.09, export_allowed: false, demand_charge: {eur_per_kw: 9}}]"
    )
    instance = build(builder(site, versions), local("2026-12-31 18:00"), minutes=2)
    assert np.diff(instance.buy_eur_per_kwh).nonzero()[0].tolist() == [23]
    assert instance.buy_eur_per_kwh[24] - instance.buy_eur_per_kwh[23] == pytest.approx(0.04)
    assert instance.export_limit_kw[:24].tolist() == [200.0] * 24
    assert not instance.export_limit_kw[24:].any()
    (peak,) = instance.peaks
    assert peak.billed.tolist() == [False] * 24 + [True] * 120


def test_before_the_first_version_there_is_no_problem_to_state(site: Site) -> None:
    made = builder(site, "versions: [{valid_from: 2027-01-01}]")
    with pytest.raises(MarketError, match="No tariff is known for 2026-12-31"):
        build(made, local("2026-12-31 18:00"))


@pytest.mark.parametrize(("day", "steps"), [("2026-03-29", 92), ("2026-10-25", 100)])
def test_windows_keep_to_the_clock_on_days_of_a_clock_change(
    site: Site, day: str, steps: int
) -> None:
    window = "{from: 17:00, to: 20:00, eur_per_kwh: 0.11}"
    fee = f"grid_fee_windows: [{window}], grid_fee_eur_per_kwh: 0.01"
    start = local(f"{day} 00:00")
    instance = build(builder(site, f"{fee}, demand_charge: {{eur_per_kw: 8}}"), start, steps)
    dear = np.flatnonzero(instance.buy_eur_per_kwh > instance.buy_eur_per_kwh.min() + 0.05)
    hours = {(start + timedelta(minutes=15 * int(i))).astimezone(VIENNA).hour for i in dear}
    assert (len(dear), hours) == (12, {17, 18, 19})
    assert instance.start + steps * instance.step == local(f"{day} 00:00") + timedelta(
        hours=steps / 4
    )
    solution = Optimizer().solve(instance)
    assert check_solution(instance, solution).passed


def test_a_fixed_tariff_is_planned_without_any_day_ahead_price(site: Site) -> None:
    made = builder(site, f"{FLAT}, feed_in_eur_per_kwh: 0.08")
    start = local("2026-06-10 06:00")
    series = forecasts(start, spot=None, pv=50.0)
    instance = made.build(series, published=None, soc_percent=50.0, now=start)
    assert set(instance.buy_eur_per_kwh) == {0.20}
    assert set(instance.sell_eur_per_kwh) == {0.08}
    assert np.isnan(series.spot_eur_per_kwh).all()
    assert series.price_is_forecast.all()
    assert "price" not in {signal.split("_")[0] for signal in series.by_signal()}
    assert series.sources()["price"] == "none"


# -- state and what is left ----------------------------------------------------------------


def test_only_the_rest_of_the_running_quarter_hour_is_left_to_act_in(site: Site) -> None:
    instance = build(builder(site, ""), local("2026-11-25 14:00"), minutes=10.5)
    assert instance.charge_limit_kw[0] == pytest.approx(30.0)
    assert instance.discharge_limit_kw[0] == pytest.approx(30.0)
    assert instance.discharge_limit_kw[1:].tolist() == [100.0] * 143
    assert instance.energy_start_kwh == 100.0


def test_the_first_terminal_value_is_what_a_kwh_earns_without_skill(site: Site) -> None:
    spot = np.concatenate((np.full(48, 0.50), np.full(96, 0.10)))
    made = builder(site, "sell_fee_eur_per_kwh: 0.01")
    first = build(made, local("2026-11-25 14:00"), spot=spot)
    # The median feed-in price of the last day, less discharge losses and wear.
    assert first.terminal_value_eur_per_kwh == pytest.approx(0.09 * 0.95 - 0.015)
    told = build(made, local("2026-11-25 14:00"), spot=spot, terminal_value_eur_per_kwh=0.123)
    assert told.terminal_value_eur_per_kwh == 0.123


def test_where_feed_in_earns_nothing_a_stored_kwh_saves_the_cheapest_import(site: Site) -> None:
    made = builder(site, f"{FLAT}, export_allowed: false")
    instance = build(made, local("2026-11-25 14:00"), spot=None)
    assert instance.terminal_value_eur_per_kwh == pytest.approx(0.20 * 0.95 - 0.015)


def test_a_stored_kwh_is_never_worth_less_than_nothing(site: Site) -> None:
    made = builder(site, "sell_fee_eur_per_kwh: 0.005, grid_fee_eur_per_kwh: 0")
    instance = build(made, local("2026-05-01 06:00"), spot=-0.30)
    assert instance.terminal_value_eur_per_kwh == 0.0


# -- recent net load -----------------------------------------------------------------------


class Past:
    """A day of load with a gap, and PV."""

    label = "measured"

    def __init__(self, gap: int | None) -> None:
        self.gap = gap

    def means(self, signal: str, start: datetime, end: datetime) -> np.ndarray:
        out = np.full((end - start) // timedelta(minutes=15), 10.0 if signal == "pv_kw" else 30.0)
        if self.gap is not None and signal == "load_kw":
            out[self.gap] = np.nan
        return out


@pytest.mark.parametrize(("gap", "steps"), [(None, 96), (40, 55), (95, 0)])
def test_recent_net_load_is_the_unbroken_stretch_up_to_now(gap: int | None, steps: int) -> None:
    now = local("2026-11-25 14:07")
    net = recent_net_load_kw(Past(gap), now, has_pv=True)
    assert net.tolist() == [20.0] * steps
    assert recent_net_load_kw(Past(gap), now, has_pv=False).tolist() == [30.0] * steps
