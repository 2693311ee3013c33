"""Money of the battery: every euro has a quarter-hour, and sums reconcile with the meter."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.analytics.baselines import (
    ACTUAL,
    CAUSAL_BASELINES,
    NO_BATTERY,
    PERFECT_FORESIGHT,
    SELF_CONSUMPTION,
    TIMER,
    TimerWindows,
    actual_rows,
    causal_rules,
    simulate_baseline,
)
from engine.analytics.facts import Quarter
from engine.analytics.money import cents, micro, shown_cents, total
from engine.analytics.perfect_foresight import DemandTerms, inside, perfect_foresight
from engine.analytics.savings import Carry, DayAccount, account_day, energy_cost_eur
from engine.domain.local_days import days_between, local_midnight, month_start
from engine.domain.quarter_hour import STEP
from engine.domain.records import SavingsRow
from engine.optimization.optimizer import Optimizer
from engine.recorded.recording import Recording
from tests.support.measured_site import (
    BATTERY_200,
    SITE,
    VIENNA,
    MeasuredSite,
    diligent,
    idle,
    measured_site,
    tariff_book,
)

VALUE = 0.15
DEMAND = "{demand_charge: {eur_per_kw: 8}, fixed_fee_eur_per_month: 31.37, vat_percent: 20}"


def simulated(
    quarters: Sequence[Quarter], start: Mapping[str, float] | None = None
) -> dict[str, list[SavingsRow]]:
    """Return every causal baseline; `start` goes on from stored energies."""
    rules = causal_rules(BATTERY_200, TimerWindows())
    begin = start or dict.fromkeys(CAUSAL_BASELINES, quarters[0].stored_start_kwh)
    return {
        baseline: simulate_baseline(
            baseline,
            rules[baseline],
            quarters,
            start_kwh=begin[baseline],
            site=SITE,
            may_export=[True] * len(quarters),
        )
        for baseline in CAUSAL_BASELINES
    }


def all_rows(quarters: Sequence[Quarter]) -> list[SavingsRow]:
    rows = actual_rows(quarters, None)
    for made in simulated(quarters).values():
        rows += made
    return rows


def accounts(measured: MeasuredSite, first: date, days: int) -> list[DayAccount]:
    rows = all_rows(measured.quarters())
    made, carry = [], Carry()
    for day in days_between(first, first + timedelta(days=days)):
        begin, end = local_midnight(day, VIENNA), local_midnight(day + timedelta(days=1), VIENNA)
        account = account_day(
            day,
            booked=[row for row in measured.rows if begin <= row.ts < end],
            savings=[row for row in rows if begin - STEP <= row.ts < end],
            tariff=measured.tariff,
            battery=BATTERY_200,
            zone=VIENNA,
            stored_value_eur_per_kwh=VALUE,
            before=carry,
        )
        made.append(account)
        carry = account.closing
    return made


@pytest.mark.parametrize(
    ("first", "steps"),
    [
        (date(2026, 3, 28), [96, 92, 96]),
        (date(2025, 10, 25), [96, 100, 96]),
        (date(2026, 5, 30), [96, 96, 96]),
    ],
)
def test_quarter_hours_days_months_and_the_meter_agree_to_the_last_digit(
    recording: Recording, first: date, steps: list[int]
) -> None:
    """Clock changes and the end of a month; the demand charge starts anew with the month."""
    measured = measured_site(first, 3, recording=recording, tariff=tariff_book(DEMAND))
    made = accounts(measured, first, 3)
    assert [a.steps for a in made] == steps
    assert [a.counted for a in made] == steps
    exact = sum((Decimal(repr(energy_cost_eur(row))) for row in measured.rows), start=Decimal(0))
    assert Decimal(repr(total(a.bill.energy_eur for a in made))) == exact
    metered = sum(
        r.import_kwh * r.buy_eur_per_kwh - r.export_kwh * r.sell_eur_per_kwh for r in measured.rows
    )
    assert float(exact) == pytest.approx(metered, abs=0.001)
    for account in made:
        assert account.bill.energy_eur == total(q.energy_eur for q in account.quarters)
        assert account.bill.uncounted_eur == 0.0
        for side, amounts in account.sides.items():
            parts = [q.sides[side] for q in account.quarters]
            assert amounts.total_eur == total(p.total_eur for p in parts)
        for baseline in CAUSAL_BASELINES:
            by_quarter = [q.saving_eur(baseline) for q in account.quarters]
            assert account.saving_eur(baseline) == total(s for s in by_quarter if s is not None)
    by_month: dict[date, list[DayAccount]] = {}
    for account in made:
        by_month.setdefault(month_start(account.day), []).append(account)
    for month, days in by_month.items():
        peak_kw = max(
            r.import_kwh * 4.0
            for r in measured.rows
            if month_start(r.ts.astimezone(VIENNA).date()) == month
        )
        charge = micro(peak_kw * 8.0 * 1.2)
        assert total(a.bill.demand_eur for a in days) == charge
        assert total(a.sides[ACTUAL].demand_eur for a in days) == charge


def test_fixed_fees_of_the_days_add_up_to_the_fee_of_the_month() -> None:
    tariff = tariff_book(DEMAND)
    fees = [
        account_day(
            day,
            booked=[],
            savings=[],
            tariff=tariff,
            battery=BATTERY_200,
            zone=VIENNA,
            stored_value_eur_per_kwh=VALUE,
            before=Carry(),
        ).bill.fixed_eur
        for day in days_between(date(2026, 4, 1), date(2026, 5, 1))
    ]
    assert total(fees) == micro(31.37 * 1.2)


def test_a_tariff_that_changes_at_local_midnight_prices_each_side_of_it(
    recording: Recording,
) -> None:
    text = (
        "{versions: [{grid_fee_eur_per_kwh: 0.05}, "
        "{valid_from: 2026-06-16, grid_fee_eur_per_kwh: 0.25}]}"
    )
    measured = measured_site(
        date(2026, 6, 15), 2, recording=recording, tariff=tariff_book(text), wish=idle
    )
    before, after = accounts(measured, date(2026, 6, 15), 2)
    midnight = local_midnight(date(2026, 6, 16), VIENNA)
    spot = recording.quarter_hours("price_at_eur_mwh", midnight - STEP, 2) / 1000.0
    last, first = before.quarters[-1].booked, after.quarters[0].booked
    assert (last.ts, first.ts) == (midnight - STEP, midnight)
    assert (first.buy_eur_per_kwh - spot[1]) - (last.buy_eur_per_kwh - spot[0]) == pytest.approx(
        0.2
    )
    assert after.bill.energy_eur == total(energy_cost_eur(q.booked) for q in after.quarters)


def test_a_battery_that_stands_still_saves_exactly_nothing_but_its_standby(
    recording: Recording,
) -> None:
    still = replace(SITE, battery=replace(BATTERY_200, standby_loss_kw=0.0))
    measured = measured_site(date(2026, 6, 15), 1, recording=recording, wish=idle, site=still)
    # The meter counts both ways within minutes as well; that is the site's own.
    rows = [replace(r, import_kwh=r.import_kwh + 0.2, export_kwh=r.export_kwh + 0.2)
            for r in measured.rows]  # fmt: skip
    (account,) = accounts(replace(measured, rows=rows), date(2026, 6, 15), 1)
    assert account.counted == 96
    assert [q.saving_eur(NO_BATTERY) for q in account.quarters] == [0.0] * 96


def test_importing_and_exporting_in_one_quarter_hour_is_not_netted_away(
    recording: Recording,
) -> None:
    measured = measured_site(
        date(2026, 6, 15), 1, recording=recording, wish=diligent, ripple_kw=40.0
    )
    rows = simulated(measured.quarters())[NO_BATTERY]
    both = [r for r in rows if r.import_kwh > 0.1 and r.export_kwh > 0.1]
    assert both, "the ripple crosses zero around noon"
    for quarter, row in zip(measured.quarters(), rows, strict=True):
        net = row.import_kwh - row.export_kwh
        assert net == pytest.approx(quarter.net_total_kwh, abs=1e-9)


def test_a_full_battery_is_no_profit_and_an_empty_one_no_loss(recording: Recording) -> None:
    def charge_only(_ts: datetime, _net_kw: float) -> float:
        return -20.0

    measured = measured_site(
        date(2026, 6, 15), 1, recording=recording, wish=charge_only, soc_percent=20.0
    )
    (account,) = accounts(measured, date(2026, 6, 15), 1)
    actual = account.sides[ACTUAL]
    last = account.quarters[-1]
    stored = measured.quarters()[-1].stored_end_kwh - 40.0
    assert last.counted
    assert actual.stored_eur == pytest.approx(stored * VALUE, abs=1e-5)
    saving = account.saving_eur(NO_BATTERY)
    assert saving is not None
    spent = actual.energy_eur - account.sides[NO_BATTERY].energy_eur
    assert saving == pytest.approx(stored * VALUE - spent - actual.wear_eur, abs=1e-5)


def test_gaps_lower_the_coverage_and_count_on_neither_side(recording: Recording) -> None:
    first = date(2026, 6, 15)
    whole = measured_site(first, 2, recording=recording)
    noon = local_midnight(first, VIENNA) + 48 * STEP
    unwatched = [noon + i * STEP for i in range(6)]
    unknown = [noon + (20 + i) * STEP for i in range(4)]
    measured = whole.without(unwatched).missing(unknown)
    day, after = accounts(measured, first, 2)
    # The quarter-hour after the unknown ones does not know what was stored at its start
    # from before, but its own first minute tells it.
    assert day.counted == 96 - 10
    assert day.coverage == pytest.approx(86 / 96)
    assert after.coverage == 1.0
    gone = {q.ts for q in day.quarters if not q.counted}
    assert gone == set(unwatched)
    left_out = total(q.energy_eur for q in day.quarters if q.ts in gone)
    assert day.bill.uncounted_eur == left_out
    assert day.bill.energy_eur == total((day.sides[ACTUAL].energy_eur, left_out))
    for side in day.sides:
        assert all(side in q.sides for q in day.quarters if q.counted)
    simulated_times = {row.ts for row in all_rows(measured.quarters()) if row.baseline != "opening"}
    assert not simulated_times & (set(unwatched) | set(unknown))


def test_every_baseline_keeps_its_own_energy_across_midnight_and_gaps(
    recording: Recording,
) -> None:
    first = date(2026, 6, 15)
    gap = local_midnight(first, VIENNA) + 60 * STEP
    measured = measured_site(first, 3, recording=recording).missing(
        [gap + i * STEP for i in range(8)]
    )
    rows = simulated(measured.quarters())
    for baseline in (SELF_CONSUMPTION, TIMER):
        made = rows[baseline]
        energy = measured.quarters()[0].stored_start_kwh
        for row in made:
            change = 0.95 * row.charged_kwh - row.discharged_kwh / 0.95 - 0.1 / 4.0
            assert row.soc_kwh == pytest.approx(energy + change, abs=1e-9)
            assert 20.0 - 1e-9 <= row.soc_kwh <= 180.0 + 1e-9
            energy = row.soc_kwh
        assert max(r.charged_kwh for r in made) <= 25.0 + 1e-9
    assert rows[SELF_CONSUMPTION][-1].soc_kwh != pytest.approx(rows[TIMER][-1].soc_kwh)
    assert all(r.soc_kwh == 0.0 for r in rows[NO_BATTERY])


def test_the_timer_follows_the_wall_clock_over_the_clock_change(recording: Recording) -> None:
    """29 March 2026 has no hour from 2 to 3; 25 October 2025 ends with two of them."""
    hours: dict[date, set[int]] = {}
    for first in (date(2026, 3, 29), date(2025, 10, 26), date(2026, 3, 31)):
        measured = measured_site(first, 1, recording=recording, soc_percent=10.0)
        hours[first] = {
            r.ts.astimezone(VIENNA).hour
            for r in simulated(measured.quarters())[TIMER]
            if r.charged_kwh > 1.0
        }
    assert hours == {
        date(2026, 3, 29): {1, 3, 4},
        date(2025, 10, 26): {1, 2, 3},  # full before four o'clock
        date(2026, 3, 31): {1, 2, 3, 4},
    }


@settings(max_examples=15)
@given(cut=st.integers(min_value=1, max_value=39), again=st.integers(min_value=1, max_value=39))
def test_a_restart_anywhere_gives_the_same_rows(night: list[Quarter], cut: int, again: int) -> None:
    whole = simulated(night)
    stops = sorted({0, cut, again, len(night)})
    pieces: dict[str, list[SavingsRow]] = {baseline: [] for baseline in CAUSAL_BASELINES}
    for begin, end in pairwise(stops):
        start = {
            baseline: rows[-1].soc_kwh if rows else night[0].stored_start_kwh
            for baseline, rows in pieces.items()
        }
        for baseline, rows in simulated(night[begin:end], start).items():
            pieces[baseline] += rows
    assert pieces == whole


@pytest.fixture(scope="module")
def night() -> list[Quarter]:
    """Ten hours around midnight: discharging in the evening, charging after one."""
    measured = measured_site(date(2026, 6, 15), 2, recording=Recording())
    evening = local_midnight(date(2026, 6, 16), VIENNA) - 20 * STEP
    return measured.quarters(evening, evening + 40 * STEP)


@pytest.mark.parametrize("text", ["{}", DEMAND])
def test_perfect_foresight_is_never_worse_than_any_baseline_with_the_same_end(
    recording: Recording, text: str
) -> None:
    tariff = tariff_book(text)
    measured = measured_site(
        date(2026, 6, 29), 3, recording=recording, tariff=tariff, ripple_kw=25.0
    )
    quarters = measured.quarters()
    times = [q.ts for q in quarters]
    periods = tariff.billing_periods(times[0], times[-1] + STEP)
    demand = [DemandTerms(inside(times, p.start, p.end), p.eur_per_kw, 0.0) for p in periods]
    best = perfect_foresight(
        quarters,
        site=SITE,
        start_kwh=quarters[0].stored_start_kwh,
        may_export=[True] * len(quarters),
        demand=demand,
        stored_value_eur_per_kwh=VALUE,
        optimizer=Optimizer(),
    )

    def paid(rows: list[SavingsRow]) -> float:
        wear = 0.015 * sum(0.95 * r.charged_kwh + r.discharged_kwh / 0.95 for r in rows)
        peak = sum(
            terms.eur_per_kw
            * max(r.import_kwh * 4.0 for r, yes in zip(rows, terms.billed, strict=True) if yes)
            for terms in demand
        )
        return sum(r.cost_eur for r in rows) + wear + peak - VALUE * rows[-1].soc_kwh

    others = simulated(quarters) | {ACTUAL: [r for r in actual_rows(quarters, None)
                                             if r.baseline == ACTUAL]}  # fmt: skip
    for rows in others.values():
        # No battery ends as it began, which perfect foresight could do as well.
        end = VALUE * quarters[0].stored_start_kwh if rows[0].baseline == NO_BATTERY else 0.0
        assert paid(best) <= paid(rows) - end + 1e-3
    assert all(20.0 - 1e-6 <= r.soc_kwh <= 180.0 + 1e-6 for r in best)
    assert {r.baseline for r in best} == {PERFECT_FORESIGHT}


@given(st.lists(st.floats(min_value=-1000.0, max_value=1000.0).map(micro), min_size=1, max_size=40))
def test_shown_cents_of_the_days_add_up_to_the_shown_month(parts: list[float]) -> None:
    shown = shown_cents(parts)
    assert sum(shown) == cents(total(parts))
    for part, cut in zip(parts, shown, strict=True):
        assert abs(Decimal(repr(part)) - cut) < Decimal("0.01")


@given(st.lists(st.floats(min_value=-1e5, max_value=1e5).map(micro), min_size=3, max_size=200))
def test_sums_are_exact_in_any_grouping(parts: list[float]) -> None:
    exact = sum((Decimal(repr(p)) for p in parts), start=Decimal(0))
    assert Decimal(repr(total(parts))) == exact
    middle = len(parts) // 2
    assert total((total(parts[:middle]), total(parts[middle:]))) == total(parts)
