"""The gap to perfect foresight is explained completely, and each cause by what it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.analytics.attribution import CAUSES, Attribution, DayCase, Operation, attribute_day
from engine.analytics.facts import Quarter
from engine.analytics.money import micro, total
from engine.analytics.perfect_foresight import DemandTerms, optimal_problem
from engine.domain.forecast import LOAD_SIGNAL, PRICE_SIGNAL, PV_SIGNAL, Forecast
from engine.domain.plan import Plan
from engine.domain.quarter_hour import STEP
from engine.optimization.optimizer import Optimizer
from engine.optimization.routed import RoutedOptimizer
from engine.recorded.recording import Recording
from engine.strategies.evaluation import evaluate
from tests.support.build import plan as idle_plan
from tests.support.measured_site import SITE, measured_site, tariff_book

N = 24
VALUE = 0.12
OPTIMIZER = Optimizer()


@pytest.fixture(scope="module")
def morning() -> list[Quarter]:
    """Six hours of a working day, from five in the morning."""
    measured = measured_site(date(2026, 6, 16), 1, recording=Recording())
    first = measured.rows[0].ts + timedelta(hours=5)
    return measured.quarters(first, first + N * STEP)


def forecast(signal: str, start: datetime, values: Sequence[float]) -> Forecast:
    array = np.array(values)
    known = np.zeros(array.size, dtype=np.bool_)
    return Forecast(signal, start, array, array, array, start, "test", "made up", known)


def vintages(
    quarters: Sequence[Quarter], *, load: float = 1.0, pv: float = 1.0, price: float = 0.0
) -> Callable[[str, datetime], Forecast | None]:
    """Forecasts that are wrong by a factor, or for prices by a sum that grows with time."""

    def of(signal: str, at: datetime) -> Forecast | None:
        rest = [q for q in quarters if q.ts >= at]
        if signal == LOAD_SIGNAL:
            return forecast(signal, at, [(q.load_kwh or 0.0) * 4.0 * load for q in rest])
        if signal == PV_SIGNAL:
            return forecast(signal, at, [(q.row.pv_kwh or 0.0) * 4.0 * pv for q in rest])
        spot = [q.row.buy_eur_per_kwh - 0.1 + price * i / N for i, q in enumerate(rest)]
        return forecast(PRICE_SIGNAL, at, spot)

    return of


def planned(quarters: Sequence[Quarter], battery_kw: Sequence[float]) -> Callable[[datetime], Plan]:
    made = replace(
        idle_plan(len(quarters), quarters[0].ts), battery_kw=np.array(battery_kw, dtype=np.float64)
    )
    return lambda _at: made


def followed(battery_kw: Sequence[float]) -> list[Operation]:
    return [Operation(1.0, 0.0, 0.0, float(kw), 100.0, 100.0) for kw in battery_kw]


def real_kw(quarters: Sequence[Quarter]) -> np.ndarray:
    return np.array([(q.discharged_kwh - q.charged_kwh) * 4.0 for q in quarters])


def case(quarters: Sequence[Quarter], **changes: object) -> DayCase:
    kw = real_kw(quarters)
    fields: dict[str, object] = {
        "quarters": quarters,
        "operation": followed(kw),
        "site": SITE,
        "may_export": [True] * len(quarters),
        "demand": [DemandTerms(np.ones(len(quarters), np.bool_), 1.0, 30.0)],
        "stored_value_eur_per_kwh": VALUE,
        "tariff": tariff_book(),
        "vintage_of": vintages(quarters),
        "plan_of": planned(quarters, kw),
    }
    return DayCase(**(fields | changes))  # type: ignore[arg-type]


def explained(asked: DayCase) -> Attribution:
    """Perfect foresight of the stretch itself, and the real schedule as the accounts see it."""
    problem = optimal_problem(
        asked.quarters,
        site=SITE,
        start_kwh=asked.quarters[0].stored_start_kwh,
        may_export=asked.may_export,
        demand=asked.demand,
        stored_value_eur_per_kwh=VALUE,
    )
    best = OPTIMIZER.solve(problem)
    back = VALUE * problem.energy_start_kwh
    zeros = np.zeros(problem.n_steps)
    perfect = evaluate(problem, best.battery_kw, zeros).cost_eur + back
    actual = evaluate(problem, real_kw(asked.quarters), zeros).cost_eur + back
    return attribute_day(
        asked, perfect_eur=micro(perfect), actual_eur=micro(actual), optimizer=OPTIMIZER
    )


def test_the_kernel_explains_the_same_to_the_cent(morning: list[Quarter]) -> None:
    """Also where selling earns more than buying costs, which the model of record must search."""
    cheap = [
        replace(
            q,
            row=replace(q.row, buy_eur_per_kwh=q.row.buy_eur_per_kwh - 0.2, sell_eur_per_kwh=0.08),
        )
        for q in morning
    ]
    for quarters in (morning, cheap):
        asked = case(quarters, vintage_of=vintages(quarters, load=1.2, pv=0.8, price=0.1))
        by_kernel, by_record = (
            attribute_day(asked, perfect_eur=0.0, actual_eur=0.0, optimizer=solver)
            for solver in (RoutedOptimizer(), OPTIMIZER)
        )
        assert by_kernel.unknown == by_record.unknown
        for cause in CAUSES:
            assert by_kernel.causes[cause] == pytest.approx(by_record.causes[cause], abs=0.01), (
                cause
            )


@settings(max_examples=4)
@given(
    load=st.floats(min_value=0.3, max_value=2.0),
    pv=st.floats(min_value=0.0, max_value=2.0),
    price=st.floats(min_value=-0.3, max_value=0.3),
    seed=st.integers(min_value=0, max_value=2**16),
)
def test_the_parts_add_up_to_the_gap_whatever_went_wrong(
    morning: list[Quarter], load: float, pv: float, price: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet((2.0, 1.0, 1.0), size=N)
    operation = [
        None
        if rng.random() < 0.1
        else Operation(
            float(auto),
            float(manual),
            float(rng.uniform(-50, 50)),
            None if rng.random() < 0.2 else float(rng.uniform(-80, 80)),
            float(rng.uniform(0, 100)),
            float(rng.uniform(0, 100)),
        )
        for auto, manual, _down in shares
    ]
    found = explained(
        case(
            morning,
            vintage_of=vintages(morning, load=load, pv=pv, price=price),
            plan_of=planned(morning, rng.uniform(-90, 90, N).tolist()),
            operation=operation,
        )
    )
    assert tuple(found.causes) == CAUSES
    assert total(found.causes.values()) == found.gap_eur
    assert found.gap_eur >= -1e-6


def test_with_right_forecasts_nothing_is_blamed_on_them(morning: list[Quarter]) -> None:
    found = explained(case(morning))
    for cause in ("price_forecast", "pv_forecast", "load_forecast"):
        # Only the hourly re-planning without standby differs from the optimum.
        assert abs(found.causes[cause]) < 0.02
    assert found.causes["horizon"] == pytest.approx(0.0, abs=1e-6)


def test_a_wrong_load_forecast_is_blamed_for_what_it_cost(morning: list[Quarter]) -> None:
    right = explained(case(morning))
    wrong = explained(case(morning, vintage_of=vintages(morning, load=0.2)))
    assert wrong.causes["load_forecast"] > right.causes["load_forecast"] + 0.01
    assert wrong.causes["pv_forecast"] == right.causes["pv_forecast"]


def test_a_device_that_does_not_follow_is_blamed_for_it(morning: list[Quarter]) -> None:
    """It was asked to charge at the cheapest times, and did what it did."""
    asked = [-60.0 if i < 8 else 60.0 for i in range(N)]
    found = explained(case(morning, plan_of=planned(morning, asked), operation=followed(asked)))
    assert found.causes["limits"] == pytest.approx(0.0, abs=1e-6)
    assert found.causes["control"] == pytest.approx(0.0, abs=1e-6)
    assert abs(found.causes["device"]) > 0.01
    assert found.causes["rest"] == pytest.approx(0.0, abs=1e-5)


def test_downtime_limits_and_manual_orders_are_told_apart(morning: list[Quarter]) -> None:
    asked = [-60.0 if i < 8 else 60.0 for i in range(N)]
    plan_of = planned(morning, asked)

    def cause_of(operation: Operation) -> dict[str, float]:
        found = explained(case(morning, plan_of=plan_of, operation=[operation] * N))
        return {c: v for c, v in found.causes.items() if abs(v) > 1e-6}

    down = cause_of(Operation(0.0, 0.0, 0.0, None, None, None))
    assert "downtime" in down
    assert not {"limits", "manual"} & set(down)
    limited = cause_of(Operation(1.0, 0.0, 0.0, None, 5.0, 5.0))
    assert "limits" in limited
    assert not {"downtime", "manual"} & set(limited)
    by_hand = cause_of(Operation(0.0, 1.0, 30.0, None, 100.0, 100.0))
    assert "manual" in by_hand
    assert not {"downtime", "limits"} & set(by_hand)


def test_what_was_not_stored_is_said_and_not_guessed(morning: list[Quarter]) -> None:
    found = explained(
        case(
            morning,
            vintage_of=lambda _signal, _at: None,
            plan_of=lambda _at: None,
            operation=[None] * N,
        )
    )
    assert set(found.unknown) == {
        "price_forecast",
        "pv_forecast",
        "load_forecast",
        "planning",
        "limits",
        "downtime",
        "manual",
        "control",
    }
    assert all(found.causes[cause] == 0.0 for cause in found.unknown)
    assert total(found.causes.values()) == found.gap_eur
