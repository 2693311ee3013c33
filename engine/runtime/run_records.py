"""Runs of the optimiser as they are stored, also those that led to no plan."""

from __future__ import annotations

from datetime import datetime

from engine.domain.errors import OptimizationError
from engine.domain.plan import Plan
from engine.domain.records import RunRow

PUBLISHED, REJECTED, FAILED = "published", "rejected", "failed"

CHECK_FIELD = "plan.check"
"""Field of the error of a plan that did not pass its independent check."""


def published_run(plan: Plan, ts: datetime) -> RunRow:
    """Return the run that led to `plan`; its duration is 0 until it is known."""
    return RunRow(
        ts=ts,
        site_id=plan.site_id,
        trigger=plan.trigger,
        status=PUBLISHED,
        duration_ms=0.0,
        strategy=plan.strategy,
        plan_id=plan.plan_id,
        expected_profit_eur=plan.profit_24h_eur,
        solver=plan.solver,
        gap=plan.gap,
        solve_ms=plan.solve_ms,
    )


def failed_run(error: Exception, ts: datetime, site_id: str, trigger: str) -> RunRow:
    """Return the run that `error` ended; rejected when the independent check said no."""
    rejected = isinstance(error, OptimizationError) and error.field == CHECK_FIELD
    return RunRow(
        ts=ts,
        site_id=site_id,
        trigger=trigger,
        status=REJECTED if rejected else FAILED,
        duration_ms=0.0,
        message=str(error) or type(error).__name__,
    )
