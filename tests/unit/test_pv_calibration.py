"""A site's own measurements correct its PV model, unless they say nothing about the sun."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engine.domain.errors import ForecastError
from engine.domain.quarter_hour import STEP
from engine.forecasting.pv_calibration import (
    ModelledRun,
    ModelledRuns,
    PvCalibration,
    dead_days,
    fit_calibration,
)
from engine.forecasting.pv_curtailment import (
    NeverCurtailed,
    SuspectedCurtailment,
    suspected_curtailment,
    without_curtailed,
)
from engine.forecasting.pv_days import SolarDays
from tests.unit.pv_builders import Series, World

START = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = SolarDays(timedelta(0))


def shading() -> np.ndarray:
    """A tree that takes most of the morning, nothing else."""
    factors = np.ones(96)
    factors[24:36] = 0.3
    return factors


def fit(world: World, measured: np.ndarray | None = None, n_days: int = 90) -> PvCalibration:
    n = 96 * n_days
    y = world.measured_kw if measured is None else measured
    return fit_calibration(
        world.start, y[:n], world.modelled_kw[:n], world.clear_kw[:n], days=DAYS, peak_kw=100.0
    )


def test_a_shading_tree_is_found_slot_by_slot() -> None:
    world = World(START, 90, shading=shading(), error=0.08)
    factors = fit(world).factors
    assert factors[28:36] == pytest.approx(0.3, abs=0.1)
    assert factors[38:64] == pytest.approx(1.0, abs=0.1)
    assert "slot factors from 90 days" in fit(world).basis


def test_curtailed_steps_would_have_biased_it_and_do_not() -> None:
    world = World(START, 90, error=0.08)
    noon = np.isin(np.arange(world.measured_kw.size) % 96, range(40, 50))
    curtailed = noon & (np.arange(world.measured_kw.size) // 96 % 2 == 0)
    measured = np.where(curtailed, 0.0, world.measured_kw)
    biased = fit(world, measured).factors[40:50]
    honest = fit(world, np.where(curtailed, np.nan, measured)).factors[40:50]
    assert (biased < 0.7).all()
    assert honest == pytest.approx(1.0, abs=0.1)


def test_days_under_snow_are_not_learnt() -> None:
    world = World(START, 90, error=0.08)
    measured = world.measured_kw.copy()
    measured[10 * 96 : 25 * 96] *= 0.01
    modelled = world.modelled_kw
    assert np.flatnonzero(dead_days(measured, modelled, 100.0)).tolist() == list(range(10, 25))
    assert fit(world, measured).factors[40:56] == pytest.approx(1.0, abs=0.1)
    assert not dead_days(world.measured_kw, modelled, 100.0).any()


def test_little_history_means_little_correction() -> None:
    world = World(START, 90, error=0.08, shading=np.full(96, 0.5))
    assert (fit(world, n_days=2).factors == 1.0).all()
    assert "not calibrated" in fit(world, n_days=2).basis
    one_scale = fit(world, n_days=10)
    assert np.unique(one_scale.factors).size == 1
    assert one_scale.factors[0] == pytest.approx(0.55, abs=0.06)
    assert one_scale.basis == "one scale from 10 days"
    assert fit(world, n_days=40).residual is None


def test_a_residual_is_learnt_when_it_helps() -> None:
    """Weather that exaggerates: dark days are brighter, bright days darker than said."""
    world = World(START, 120, error=0.05)
    world.measured_kw = world.clear_kw * (0.35 + 0.45 * world.said)
    n = 90 * 96
    calibration = fit(world)
    assert calibration.residual is not None
    assert "learned residual" in calibration.basis
    later = (world.start + 90 * 96 * STEP, world.modelled_kw[n:], world.clear_kw[n:])
    plain = PvCalibration(calibration.factors, None, DAYS, "")
    errors = [np.abs(c.apply(*later) - world.measured_kw[n:]).mean() for c in (calibration, plain)]
    assert errors[0] < 0.5 * errors[1]
    assert (calibration.apply(*later)[world.clear_kw[n:] == 0] == 0).all()


def test_a_residual_that_does_not_help_is_left_out() -> None:
    world = World(START, 90, error=0.0)
    assert fit(world).residual is None


def test_a_calibration_needs_whole_days() -> None:
    with pytest.raises(ForecastError, match="whole solar days"):
        fit_calibration(START + STEP, np.ones(96), np.ones(96), np.ones(96), days=DAYS, peak_kw=1.0)


def test_the_archive_gives_the_newest_vintage_that_is_old_enough() -> None:
    runs = ModelledRuns()
    early, late = START, START + timedelta(hours=6)
    runs.add(ModelledRun(late, late, np.full(96, 2.0)))
    runs.add(ModelledRun(early, early, np.full(96, 1.0)))
    end = START + timedelta(hours=12)
    assert runs.means(START, end, 0.0).tolist() == [1.0] * 24 + [2.0] * 24
    lead_3 = runs.means(START, end, 3.0)
    assert np.isnan(lead_3[:12]).all()
    assert lead_3[12:].tolist() == [1.0] * 24 + [2.0] * 12
    assert np.isnan(runs.means(START - timedelta(hours=1), START, 0.0)).all()


def test_signals_raise_suspicion() -> None:
    pv = np.array([50.0, 50.0, 50.0, 0.0, np.nan, 90.0])
    grid = np.array([-30.0, -29.8, -10.0, -30.0, -30.0, 5.0])
    at_limit = suspected_curtailment(pv, grid_kw=grid, export_limit_kw=30.0)
    assert at_limit.tolist() == [True, True, False, False, False, False]
    assert suspected_curtailment(pv, pv_limit_kw=90.0).tolist() == [False] * 5 + [True]
    zero_export = suspected_curtailment(
        np.full(4, 20.0),
        grid_kw=np.array([0.1, 0.1, -8.0, 12.0]),
        sell_price_eur_per_kwh=np.array([-0.02, 0.05, -0.02, -0.02]),
    )
    assert zero_export.tolist() == [True, False, False, False]
    planned = suspected_curtailment(
        np.array([0.0, 10.0]), planned_curtailed_kw=np.array([40.0, np.nan])
    )
    assert planned.tolist() == [True, False]


def test_suspicious_steps_are_unknown_to_learning() -> None:
    class Both(Series):
        def means(self, signal: str, start: datetime, end: datetime) -> np.ndarray:
            n = (end - start) // STEP
            return np.full(n, 50.0) if signal == "pv_kw" else np.linspace(-30, 0, n)

    history = Both(START, np.ones(1))
    suspected = SuspectedCurtailment(history, export_limit_kw=30.0)
    end = START + 4 * STEP
    assert suspected.curtailed(START, end).tolist() == [True, False, False, False]
    values = without_curtailed(history, suspected, START, end)
    assert np.isnan(values[0])
    assert values[1:].tolist() == [50.0] * 3
    assert not NeverCurtailed().curtailed(START, end).any()


def test_solar_days_ignore_summer_time() -> None:
    days = SolarDays.of(ZoneInfo("Europe/Vienna"), 2026)
    before, after = (datetime(2026, month, 15, 11, tzinfo=UTC) for month in (1, 7))
    assert days.slots(before, 1) == days.slots(after, 1) == [48]
    # The 23-hour day of the clock change has 96 slots like every other.
    change = days.start_of(datetime(2026, 3, 29, 12, tzinfo=UTC))
    assert days.start_of(change + 95 * STEP) == change
    assert days.start_of(change + 96 * STEP) == change + timedelta(days=1)
    assert days.days_after(change, change - STEP, 98).tolist() == [-1] + [0] * 96 + [1]
