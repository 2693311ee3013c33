"""Every strategy's plan for the same moment, checked, and valued under the true tariff."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Iterable
from dataclasses import dataclass

from engine.domain.errors import EmsError, OptimizationError
from engine.domain.plan import PlanCheck, PlanSteering
from engine.domain.strategy import CandidateValue, StrategyKey
from engine.optimization.check import check_solution
from engine.optimization.instance import Instance
from engine.optimization.solution import Solution
from engine.optimization.solving import Solves
from engine.optimization.steering import steering_of
from engine.strategies.configured import configure
from engine.strategies.evaluation import evaluate
from engine.strategies.parameters import StrategyContext, StrategyParameters

log = logging.getLogger(__name__)

_PHYSICS = (
    "load_kw",
    "pv_kw",
    "charge_limit_kw",
    "discharge_limit_kw",
    "import_limit_kw",
    "export_limit_kw",
    "eta_charge",
    "eta_discharge",
    "energy_min_kwh",
    "energy_max_kwh",
    "energy_start_kwh",
    "standby_loss_kw",
    "wear_charge_eur_per_kwh",
    "wear_discharge_eur_per_kwh",
    "grid_charge_allowed",
    "battery_export_allowed",
    "curtailment_allowed",
)


@dataclass(frozen=True, slots=True, eq=False)
class CandidatePlan:
    """One strategy's plan, or why there is none.

    Attributes:
        instance: The problem as the strategy saw it; None when it could not even be stated.
        solution: Its solution, in the strategy's own prices; None when there is none.
        check: Replay of the solution; None when there was nothing to replay.
        value: What it is worth under the true tariff, or the reason it is worth nothing.
        preference_eur: What the owner's preferences in the true problem (a missing reserve, a
            premium on exporting, smoothing, ramps) charge the plan for. No money, but part
            of what is weighed when choosing. 0 without a plan.
        steering: What control between plans needs to keep the strategy's view; None without a plan.
    """

    instance: Instance | None
    solution: Solution | None
    check: PlanCheck | None
    value: CandidateValue
    preference_eur: float = 0.0
    steering: PlanSteering | None = None

    @property
    def usable(self) -> bool:
        """True when there is a plan that passed its check."""
        return self.value.cost_eur is not None


def plan_candidates(
    true_instance: Instance,
    context: StrategyContext,
    parameters: StrategyParameters,
    optimizer: Solves,
    keys: Iterable[StrategyKey] = tuple(StrategyKey),
) -> dict[StrategyKey, CandidatePlan]:
    """Plan with each strategy and value every plan under the true tariff.

    A strategy that fails, at stating its problem, solving or checking, becomes a candidate
    with the reason; the others go on.

    Args:
        true_instance: Plant and forecasts at the tariff the site really pays.
        context: What is known beside the problem.
        parameters: Settings of the pure strategies.
        optimizer: Solves the problems; keep it, its models are compiled once.
        keys: Strategies to plan with.
    """
    return {key: _candidate(key, true_instance, context, parameters, optimizer) for key in keys}


def _candidate(
    key: StrategyKey,
    true_instance: Instance,
    context: StrategyContext,
    parameters: StrategyParameters,
    optimizer: Solves,
) -> CandidatePlan:
    instance: Instance | None = None
    try:
        instance = configure(key, true_instance, parameters, context)
        solution = optimizer.solve(instance)
        check = _checked(true_instance, instance, solution)
        if not check.passed:
            raise OptimizationError(
                "the plan failed its independent check: " + " ".join(check.messages),
                field=f"strategies.{key}",
                value=check.messages,
                hint="Another strategy plans meanwhile; please report this case.",
            )
        worth = evaluate(true_instance, solution.battery_kw, solution.curtailed_kw)
        view = steering_of(instance, solution.grid_kw)
    except EmsError as error:
        log.warning("strategy %s made no plan: %s", key, error)
        return _failed(key, instance, str(error))
    except Exception as error:
        # One strategy's defect must not cost the site its plan; it is logged in full.
        log.exception("strategy %s made no plan", key)
        return _failed(key, instance, f"{type(error).__name__}: {error}")
    return CandidatePlan(
        instance=instance,
        solution=solution,
        check=check,
        value=worth.candidate(key),
        preference_eur=worth.preference_eur,
        steering=view,
    )


def _checked(true_instance: Instance, configured: Instance, solution: Solution) -> PlanCheck:
    """Replay the plan on the strategy's problem, and on the true plant at its prices."""
    own = check_solution(configured, solution)
    if configured is true_instance or not own.passed:
        return own
    true_plant = dataclasses.replace(
        configured, **{name: getattr(true_instance, name) for name in _PHYSICS}
    )
    return check_solution(true_plant, solution)


def _failed(key: StrategyKey, instance: Instance | None, reason: str) -> CandidatePlan:
    value = CandidateValue(strategy=key, cost_eur=None, saving_eur=None, reason=reason)
    return CandidatePlan(instance=instance, solution=None, check=None, value=value)
