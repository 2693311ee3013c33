"""How near a backtest comes to what live control earned over the same period, and why not nearer.

Both sides are priced by the same accounts. The difference is taken apart by replaying with one
thing after the other made like live: its forecasts, then its decisions every minute instead of a
few in a quarter-hour. What is left is what a backtest on 15-min means cannot know: movements
within a quarter-hour, delays and errors of meters, limits and commands of the day.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from engine.analytics.backtest.accounts import account
from engine.analytics.backtest.case import BacktestCase
from engine.analytics.backtest.evaluate import Cancelled, evaluate, without_eur
from engine.analytics.backtest.policy import Forecaster, Policy
from engine.analytics.backtest.prepared import prepare
from engine.analytics.backtest.result import BacktestResult, Traces
from engine.analytics.money import total

WITHIN = 0.01
"""Share of the savings up to which both agree."""

EACH_MINUTE = 15

FORECASTS, DECISIONS, REST = "forecasts", "decisions within the quarter-hour", "not in 15-min means"


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """Live control and its backtest.

    Attributes:
        live_saving_eur: What live control saved.
        backtest: The backtest.
        parts_eur: Backtest less live of each part of the cost: energy, demand, wear, stored.
        causes_eur: Cause to its share of backtest less live; they add up to `difference_eur`.
    """

    live_saving_eur: float
    backtest: BacktestResult
    parts_eur: dict[str, float]
    causes_eur: dict[str, float]

    @property
    def difference_eur(self) -> float:
        """Saving of the backtest less that of live control."""
        return total((self.backtest.saving_eur, -self.live_saving_eur))

    @property
    def share(self) -> float:
        """The difference as a share of what live control saved."""
        return self.difference_eur / max(abs(self.live_saving_eur), 0.01)

    @property
    def agrees(self) -> bool:
        """True when both are within `WITHIN`."""
        return abs(self.share) <= WITHIN

    def lines(self) -> tuple[str, ...]:
        """Return the comparison in words."""
        said = [
            f"Live control saved {self.live_saving_eur:.2f} EUR, the backtest "
            f"{self.backtest.saving_eur:.2f} EUR: {100 * self.share:+.2f} %.",
            "The costs of the backtest differ by "
            + ", ".join(f"{name} {eur:+.2f} EUR" for name, eur in self.parts_eur.items())
            + ".",
        ]
        said += [f"{cause}: {eur:+.2f} EUR" for cause, eur in self.causes_eur.items()]
        return tuple(said)


def agreement(
    case: BacktestCase, live: Traces, policy: Policy, *, cancelled: Cancelled | None = None
) -> Agreement:
    """Return how a backtest compares with what live control did.

    Args:
        case: The period, with the forecasts that live control had where they were recorded.
        live: What live control did in each of its quarter-hours.
        policy: How the backtest runs the battery; its plans are as often as the live ones.
        cancelled: Asked whether to stop.

    Raises:
        EmsError: As for `evaluate`.
    """
    prepared = prepare(case)
    own = account(prepared, live)
    live_saving = total((without_eur(prepared), -own.total_eur))

    def saved(of: Policy) -> BacktestResult:
        return evaluate(case, of, cancelled=cancelled, keep_traces=False)

    chosen = saved(policy)
    causes: dict[str, float] = {}
    same = chosen
    if case.vintages is not None and policy.forecaster is not Forecaster.RECORDED:
        same = saved(dataclasses.replace(policy, forecaster=Forecaster.RECORDED))
        causes[FORECASTS] = total((chosen.saving_eur, -same.saving_eur))
    finer = saved(dataclasses.replace(same.policy, sub_steps=EACH_MINUTE))
    causes[DECISIONS] = total((same.saving_eur, -finer.saving_eur))
    causes[REST] = total((finer.saving_eur, -live_saving))
    parts = {
        "energy": chosen.energy_eur - total(own.energy_eur),
        "demand": chosen.demand_eur - total(own.demand_eur),
        "wear": chosen.wear_eur - total(own.wear_eur),
        "stored": own.stored_eur - chosen.stored_eur,
    }
    return Agreement(live_saving, chosen, parts, causes)
