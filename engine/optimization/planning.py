"""From a checked solution to a plan that may be published."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import ArrayLike

from engine.domain.errors import OptimizationError
from engine.domain.plan import Plan, PlanCheck
from engine.optimization.baseline import baseline_cost_eur, first_steps_demand_eur
from engine.optimization.instance import Instance
from engine.optimization.settlement import settled
from engine.optimization.solution import Solution
from engine.optimization.steering import current_peak_kw, steering_of

_DAY = timedelta(hours=24)


def profit_24h_eur(instance: Instance, solution: Solution) -> float:
    """Return the expected profit of the first 24 h (or of a shorter horizon), in EUR.

    Cost of the same hours without a battery minus cost with it (energy, wear and the
    demand charge on peaks within these hours), plus the change of stored energy at
    the plan's marginal value. Where the store must recover into its window that value
    contains the price of being outside, which is no money; it is capped at what the
    dearest kWh of the horizon and its share of the peak could cost.
    """
    steps = min(instance.n_steps, max(1, _DAY // instance.step))
    first = slice(0, steps)
    hours = instance.step_hours
    grid_kw = solution.grid_kw[first]
    imported_kw = np.maximum(grid_kw, 0.0)
    cost_eur = hours * float(
        instance.buy_eur_per_kwh[first] @ imported_kw
        + instance.sell_eur_per_kwh[first] @ np.minimum(grid_kw, 0.0)
        + instance.wear_charge_eur_per_kwh * solution.charge_kw[first].sum()
        + instance.wear_discharge_eur_per_kwh * solution.discharge_kw[first].sum()
    )
    cost_eur += first_steps_demand_eur(instance, imported_kw)

    dearest = max(
        float(np.abs(instance.buy_eur_per_kwh).max()),
        float(np.abs(instance.sell_eur_per_kwh).max()),
        float(np.abs(instance.terminal_marginals_eur_per_kwh()).max()),
    )
    cap = dearest + sum(peak.charge_eur_per_kw for peak in instance.peaks) / hours
    value = float(np.clip(solution.stored_value_eur_per_kwh[steps - 1], -cap, cap))
    stored_more_kwh = float(solution.soc_kwh[steps - 1]) - instance.energy_start_kwh
    return baseline_cost_eur(instance, steps) - cost_eur + value * stored_more_kwh


def make_plan(
    instance: Instance,
    solution: Solution,
    check: PlanCheck,
    *,
    plan_id: str,
    site_id: str,
    created_at: datetime,
    spot: ArrayLike,
    price_is_forecast: ArrayLike,
    strategy: str,
    trigger: str,
    forecast_sources: Mapping[str, str],
    tariff: Instance | None = None,
) -> Plan:
    """Return the plan to publish.

    Args:
        instance: What was asked, at the prices the strategy saw.
        solution: The optimiser's answer.
        check: Its replay; it must have passed.
        plan_id: Unique, time-ordered identifier.
        site_id: The site.
        created_at: When it was computed, timezone-aware.
        spot: Day-ahead price per step in EUR/kWh, shape (n,).
        price_is_forecast: True per step whose price is not published yet, shape (n,).
        strategy: Key of the strategy.
        trigger: Why it was computed.
        forecast_sources: Series to the model and data behind it.
        tariff: The same plant and horizon at the site's own prices, where the strategy saw
            others; prices, cost, baseline and profit of the plan are counted there. None
            when `instance` has the site's own prices.

    Raises:
        OptimizationError: The check has not passed, or a series has the wrong length.
    """
    if not check.passed:
        raise OptimizationError(
            "the plan failed its independent check and is not published: "
            + " ".join(check.messages),
            field="plan.check",
            value=check.messages,
            hint="The previous plan stays valid; please report this case.",
        )
    spot_eur_per_kwh = np.array(spot, dtype=np.float64)
    is_forecast = np.array(price_is_forecast, dtype=np.bool_)
    for name, series in (("spot", spot_eur_per_kwh), ("price_is_forecast", is_forecast)):
        if series.shape != (instance.n_steps,):
            raise OptimizationError(
                f"the series has shape {series.shape}, expected ({instance.n_steps},).",
                field=name,
                value=series.shape,
                hint="Give one value per step.",
            )
    if created_at.tzinfo is None:
        raise OptimizationError(
            f"{created_at!r} has no time zone.",
            field="created_at",
            value=created_at,
            hint="Give a timezone-aware time.",
        )
    own = instance if tariff is None else tariff
    paid = solution if tariff is None else settled(solution, tariff)
    return Plan(
        plan_id=plan_id,
        site_id=site_id,
        created_at=created_at.astimezone(UTC),
        start=instance.start,
        step_minutes=instance.step_minutes,
        battery_kw=solution.battery_kw,
        grid_kw=solution.grid_kw,
        load_kw=instance.load_kw,
        pv_kw=instance.pv_kw,
        curtailed_kw=solution.curtailed_kw,
        soc_kwh=solution.soc_kwh,
        soc_start_kwh=instance.energy_start_kwh,
        buy_eur_per_kwh=own.buy_eur_per_kwh,
        sell_eur_per_kwh=own.sell_eur_per_kwh,
        spot_eur_per_kwh=spot_eur_per_kwh,
        price_is_forecast=is_forecast,
        stored_value_eur_per_kwh=solution.stored_value_eur_per_kwh,
        strategy=strategy,
        cost_eur=paid.cost_eur,
        baseline_cost_eur=paid.baseline_cost_eur,
        profit_24h_eur=profit_24h_eur(own, paid),
        status=solution.status,
        solver=solution.solver,
        gap=solution.gap,
        solve_ms=solution.solve_ms,
        check=check,
        trigger=trigger,
        gave_way=dict(solution.gave_way),
        forecast_sources=dict(forecast_sources),
        site_price_eur_per_kwh=solution.site_price_eur_per_kwh,
        peak_share_eur_per_kwh=solution.peak_dual_eur_per_kw / instance.step_hours,
        billed_peak_kw=current_peak_kw(instance, solution),
        steering=steering_of(instance, solution.grid_kw),
        reserve_kwh=instance.energy_reserve_kwh,
    )
