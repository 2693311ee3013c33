"""What a plan does about what it cannot know: the peak worth holding, a reserve, scenarios."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from engine.config.planning import PlanningConfig
from engine.domain.errors import HistoryError
from engine.domain.forecast import LOAD_SIGNAL, PRICE_SIGNAL, PV_SIGNAL, Forecast
from engine.domain.site import Battery
from engine.domain.strategy import StrategyKey
from engine.optimization.instance import Instance
from engine.optimization.optimizer import Optimizer
from engine.optimization.terms import BilledPeak
from engine.runtime.problem import PlanForecasts
from engine.runtime.uncertainty import Uncertainty
from engine.strategies.candidates import plan_candidates
from engine.strategies.parameters import StrategyContext, StrategyParameters
from tests.support.build import forecast

NOW = datetime(2026, 11, 25, 6, 3, tzinfo=UTC)
START = NOW.replace(minute=0)
N = 48
STEP = timedelta(minutes=15)


class Past:
    """Load of 40 kW with a peak of 110 kW from 9 to 10 o'clock, PV of 5 kW, known since a time."""

    label = "measured"

    def __init__(self, weeks: float = 10.0, gaps: tuple[datetime, ...] = ()) -> None:
        self.known_from = START - timedelta(weeks=weeks)
        self.gaps = gaps
        self.load_kw: Callable[[datetime], float] = lambda ts: 110.0 if ts.hour == 9 else 40.0

    def means(self, signal: str, start: datetime, end: datetime) -> np.ndarray:
        times = [start + i * STEP for i in range((end - start) // STEP)]

        def value(ts: datetime) -> float:
            if ts < self.known_from or ts in self.gaps:
                return np.nan
            return 5.0 if signal == "pv_kw" else self.load_kw(ts)

        return np.array([value(ts) for ts in times])


def vintages(
    past: Past, days: int, error_kw: float = 4.0
) -> Callable[[str, datetime, timedelta], Forecast | None]:
    """Forecasts of the last `days` days that were `error_kw` too low."""

    def at(signal: str, issued_at: datetime, within: timedelta) -> Forecast | None:
        if NOW - issued_at > timedelta(days=1 + days):
            return None
        start = issued_at.replace(minute=0)
        middle = past.means(signal, start, start + N * STEP) - error_kw
        return forecast(
            signal, start=start, p10=middle, p50=middle, p90=middle, issued_at=issued_at
        )

    return at


def uncertainty(
    battery: Battery,
    past: Past | None = None,
    vintage_at: Callable[[str, datetime, timedelta], Forecast | None] | None = None,
    **config: Any,
) -> Uncertainty:
    return Uncertainty(
        PlanningConfig(**config),
        battery,
        past or Past(),
        vintage_at=vintage_at,
        optimizer=Optimizer(),
        rng=np.random.default_rng(1),
    )


def series() -> PlanForecasts:
    def of(signal: str, p10: float, p50: float, p90: float) -> Forecast:
        bands = {
            "p10": np.full(N, p10),
            "p50": np.full(N, p50),
            "p90": np.full(N, p90),
        }
        return forecast(signal, start=START, issued_at=NOW, **bands)

    return PlanForecasts(
        price=of(PRICE_SIGNAL, 0.1, 0.1, 0.1),
        load=of(LOAD_SIGNAL, 30.0, 40.0, 70.0),
        pv=of(PV_SIGNAL, 1.0, 5.0, 8.0),
    )


def problem(battery: Battery, floor_kw: float | None = 45.0) -> Instance:
    peaks = ()
    if floor_kw is not None:
        peaks = (BilledPeak(np.ones(N, dtype=np.bool_), 8.0, floor_kw),)
    return Instance.for_battery(
        battery,
        start=START,
        step_minutes=15,
        buy_eur_per_kwh=np.where(np.arange(N) < 24, 0.15, 0.30),
        sell_eur_per_kwh=np.full(N, 0.05),
        load_kw=np.full(N, 40.0),
        pv_kw=np.full(N, 5.0),
        import_limit_kw=200.0,
        export_limit_kw=200.0,
        energy_start_kwh=100.0,
        terminal_value_eur_per_kwh=0.15,
        billed_peaks=peaks,
    )


# -- the peak worth holding ----------------------------------------------------------------


def test_the_peak_worth_holding_is_what_the_battery_could_have_held(battery: Battery) -> None:
    target_kw = uncertainty(battery).peak_target_kw(NOW, has_pv=True)
    assert target_kw is not None
    # 105 kW of net load for an hour a day, 35 kW else. With full knowledge the battery could hold
    # about 38 kW; the target lies a third of the way up to the peak without it.
    lowest_kw = (target_kw - 105.0 / 3.0) * 1.5
    assert 36.0 < lowest_kw < 42.0
    without_pv = uncertainty(battery).peak_target_kw(NOW, has_pv=False)
    assert without_pv == pytest.approx(target_kw + 5.0, abs=0.1)


def test_only_the_last_four_weeks_count(battery: Battery) -> None:
    past = Past()
    usual = uncertainty(battery, past).peak_target_kw(NOW, has_pv=True)
    past.load_kw = lambda ts: 190.0 if ts < START - timedelta(weeks=4) else _usual_kw(ts)
    assert uncertainty(battery, past).peak_target_kw(NOW, has_pv=True) == usual


def _usual_kw(ts: datetime) -> float:
    return 110.0 if ts.hour == 9 else 40.0


def test_with_less_than_a_week_there_is_no_target(battery: Battery) -> None:
    assert uncertainty(battery, Past(weeks=0.99)).peak_target_kw(NOW, has_pv=True) is None
    assert uncertainty(battery, Past(weeks=1.01)).peak_target_kw(NOW, has_pv=True) is not None


def test_a_short_gap_is_bridged_and_a_long_one_ends_the_past(battery: Battery) -> None:
    def at(*quarters: int) -> tuple[datetime, ...]:
        return tuple(START - timedelta(days=3) + q * STEP for q in quarters)

    short = Past(gaps=at(0, 1, 2, 3))
    assert uncertainty(battery, short).peak_target_kw(NOW, has_pv=True) is not None
    long = Past(gaps=at(*range(9)))
    assert uncertainty(battery, long).peak_target_kw(NOW, has_pv=True) is None
    just_now = Past(gaps=(START - STEP,))
    assert uncertainty(battery, just_now).peak_target_kw(NOW, has_pv=True) is None


def test_noise_of_the_meters_below_zero_is_no_reason_to_plan_nothing(battery: Battery) -> None:
    past = Past()
    past.load_kw = lambda ts: -0.2 if ts.hour == 3 else _usual_kw(ts)
    assert uncertainty(battery, past).peak_target_kw(NOW, has_pv=True) is not None


def test_the_target_is_found_anew_once_a_day(battery: Battery) -> None:
    past = Past()
    policy = uncertainty(battery, past)
    morning = policy.peak_target_kw(NOW, has_pv=True)
    past.load_kw = lambda ts: 60.0
    assert policy.peak_target_kw(NOW + timedelta(hours=1), has_pv=True) == morning
    tomorrow = policy.peak_target_kw(NOW + timedelta(days=1), has_pv=True)
    assert tomorrow is not None
    assert tomorrow != morning


# -- the reserve ---------------------------------------------------------------------------


def test_a_reserve_is_kept_only_where_a_peak_is_billed(battery: Battery) -> None:
    policy = uncertainty(battery)
    free = problem(battery, floor_kw=None)
    assert policy.with_reserve(free, series(), NOW, 45.0) is free
    billed = policy.with_reserve(problem(battery), series(), NOW, 45.0)
    assert billed.energy_reserve_kwh is not None
    # The past has 110 kW at nine o'clock, which the forecast does not see.
    before_nine = billed.energy_reserve_kwh[:12]
    assert before_nine.max() > battery.energy_min_kwh + 40.0
    whole = uncertainty(battery, reserve_share=1.0)
    asked = whole.with_reserve(problem(battery), series(), NOW, 45.0).energy_reserve_kwh
    assert asked is not None
    kept = battery.energy_min_kwh + PlanningConfig().reserve_share * (
        asked - battery.energy_min_kwh
    )
    assert billed.energy_reserve_kwh == pytest.approx(kept)
    assert billed.reserve_eur_per_kwh_h == pytest.approx(0.4)


def test_the_reserve_can_be_switched_off(battery: Battery) -> None:
    policy = uncertainty(battery, peak_reserve="off")
    billed = problem(battery)
    assert policy.with_reserve(billed, series(), NOW, 45.0) is billed


def test_without_a_week_of_past_the_high_forecast_stands_in(battery: Battery) -> None:
    policy = uncertainty(battery, Past(weeks=0.5), reserve_share=1.0)
    billed = policy.with_reserve(problem(battery), series(), NOW, None)
    assert billed.energy_reserve_kwh is not None
    # P90 is 70 kW against 45 kW to hold, for hours: the battery is asked to be full at first.
    assert billed.energy_reserve_kwh[0] == pytest.approx(battery.energy_max_kwh)


def test_with_nothing_to_hold_there_is_no_reserve(battery: Battery) -> None:
    policy = uncertainty(battery, Past(weeks=0.5))
    unknown = problem(battery, floor_kw=0.0)
    assert policy.with_reserve(unknown, series(), NOW, None) is unknown


# -- scenarios -----------------------------------------------------------------------------


def test_medians_are_planned_with_where_no_peak_is_billed_or_it_is_wished(
    battery: Battery,
) -> None:
    free, billed = problem(battery, floor_kw=None), problem(battery)
    assert uncertainty(battery).solver(free, series(), NOW) is None
    assert uncertainty(battery, uncertainty="median").solver(billed, series(), NOW) is None
    assert uncertainty(battery).solver(billed, series(), NOW) is not None
    assert uncertainty(battery, uncertainty="scenarios").solver(free, series(), NOW) is not None


@pytest.mark.parametrize(("days", "paths"), [(0, 3), (4, 3), (5, 10), (10, 10)])
def test_past_errors_are_drawn_from_once_there_are_five_days_of_them(
    battery: Battery, days: int, paths: int
) -> None:
    past = Past()
    solver = uncertainty(battery, past, vintages(past, days)).solver(
        problem(battery), series(), NOW
    )
    assert solver is not None
    assert solver.load_kw.shape == solver.pv_kw.shape == (paths, N)
    if paths == 10:
        # Every past forecast was 4 kW too low.
        assert solver.load_kw == pytest.approx(44.0)
        assert solver.pv_kw == pytest.approx(9.0)
        assert solver.weights is None
    else:
        assert solver.load_kw[:, 0].tolist() == [30.0, 40.0, 70.0]
        assert solver.pv_kw[:, 0].tolist() == [8.0, 5.0, 1.0], "a dull day goes with a high load"
        assert solver.weights == pytest.approx([0.3, 0.4, 0.3])


def test_a_day_that_was_not_measured_whole_teaches_nothing(battery: Battery) -> None:
    past = Past()
    known = vintages(past, 5)
    assert _paths(battery, past, known) == 10
    torn = Past(gaps=(START - timedelta(days=3) + 8 * STEP,))
    assert _paths(battery, torn, known) == 3


def test_a_history_that_cannot_be_read_leaves_the_quantile_paths(battery: Battery) -> None:
    def fail(signal: str, issued_at: datetime, within: timedelta) -> Forecast | None:
        raise HistoryError("The database is on strike.")

    assert _paths(battery, Past(), fail) == 3


def _paths(
    battery: Battery, past: Past, at: Callable[[str, datetime, timedelta], Forecast | None]
) -> int:
    solver = uncertainty(battery, past, at).solver(problem(battery), series(), NOW)
    assert solver is not None
    return len(solver.load_kw)


def test_the_plan_against_scenarios_passes_its_check_and_says_how_many(battery: Battery) -> None:
    past = Past()
    policy = uncertainty(battery, past, vintages(past, 10))
    billed = policy.with_reserve(problem(battery), series(), NOW, 45.0)
    solver = policy.solver(billed, series(), NOW)
    assert solver is not None
    found = plan_candidates(
        billed,
        StrategyContext(recent_net_load_kw=np.full(96, 35.0), peak_target_kw=45.0),
        StrategyParameters(),
        solver,
        (StrategyKey.CO_OPTIMISED,),
    )[StrategyKey.CO_OPTIMISED]
    assert found.check is not None
    assert found.check.passed
    assert found.solution is not None
    assert "10 scenarios" in found.solution.solver
    # The published path is the one of the median forecast.
    assert found.solution.grid_kw == pytest.approx(
        billed.load_kw - billed.pv_kw + found.solution.curtailed_kw - found.solution.battery_kw,
        abs=1e-6,
    )
