"""What better forecasts are worth: from perfect ones over scaled errors to the real forecasters."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from engine.analytics.backtest.case import BacktestCase
from engine.analytics.backtest.evaluate import PERFECT, SMALLEST_SAVING_EUR
from engine.analytics.backtest.policy import Forecaster, Policy
from engine.analytics.studies.units import Failure, Outcome, Unit

SCALES: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0)
"""Factors on the errors of the forecaster under study: 0 has none, 1 its own, 2 twice as large.

Scaled real errors keep what errors of forecasts have: they last for hours, grow with the lead
and come together for load and PV. Independent noise has none of that and looks harmless.
"""

REAL: tuple[Forecaster, ...] = (
    Forecaster.NAIVE,
    Forecaster.DAY_TYPE,
    Forecaster.RIDGE,
    Forecaster.BLEND,
)


@dataclass(frozen=True, slots=True)
class QualityPoint:
    """One quality of forecast.

    Attributes:
        forecaster: Whose errors; `PERFECT` for the whole period known at once.
        error_scale: Factor on them.
        saving_eur: What was earned; None where it failed.
        capture: Share of perfect foresight; None likewise, or where that saves nothing.
        failure: Why there is no result, in words.
    """

    forecaster: Forecaster
    error_scale: float
    saving_eur: float | None
    capture: float | None
    failure: str | None = None


def quality_units(
    case: BacktestCase,
    policy: Policy,
    *,
    scales: Sequence[float] = SCALES,
    forecasters: Sequence[Forecaster] = REAL,
) -> list[Unit]:
    """Return perfect foresight, `policy` with scaled errors, and with each real forecaster."""
    policies = [PERFECT]
    policies += [dataclasses.replace(policy, error_scale=scale) for scale in scales]
    policies += [
        dataclasses.replace(policy, forecaster=forecaster, error_scale=1.0)
        for forecaster in forecasters
        if not (forecaster is policy.forecaster and 1.0 in scales)
    ]
    return [Unit(case, one) for one in policies]


def quality_points(units: Sequence[Unit], outcomes: Sequence[Outcome]) -> list[QualityPoint]:
    """Return the points of `quality_units`, the first one perfect foresight."""
    first = outcomes[0]
    best = None if isinstance(first, Failure) else first.saving_eur
    points = []
    for unit, outcome in zip(units, outcomes, strict=True):
        policy = unit.policy
        if isinstance(outcome, Failure):
            failed = outcome.message
            point = QualityPoint(policy.forecaster, policy.error_scale, None, None, failed)
        else:
            known = best is not None and best >= SMALLEST_SAVING_EUR
            capture = outcome.saving_eur / best if known and best is not None else None
            point = QualityPoint(policy.forecaster, policy.error_scale, outcome.saving_eur, capture)
        points.append(point)
    return points
