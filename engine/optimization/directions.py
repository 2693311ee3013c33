"""Which way things flow: what a linear solve left open, and directions that always work."""

from __future__ import annotations

import numpy as np

from engine.optimization.candidates import Candidates
from engine.optimization.instance import Instance
from engine.optimization.outcome import Decisions, Flows

BOTH_WAYS_KW = 1e-5
"""Opposite flows above this power in one step count as simultaneous."""


def both_ways(instance: Instance, flows: Flows) -> Candidates:
    """Return the steps where opposite flows are not mere bookkeeping.

    Without losses, charging and discharging at once is the same as their difference; so is
    importing and exporting at once unless feeding in is worth more than buying.
    """
    lossless = instance.eta_charge * instance.eta_discharge >= 1.0
    battery = np.minimum(flows.charge_kw, flows.discharge_kw) > BOTH_WAYS_KW
    grid = np.minimum(flows.import_kw, flows.export_kw) > BOTH_WAYS_KW
    export_worth = instance.sell_eur_per_kwh - instance.export_premium_eur_per_kwh
    return Candidates(
        battery=battery & (not lossless),
        grid=grid & (export_worth > instance.buy_eur_per_kwh),
    )


def first_clean(instance: Instance, choices: tuple[Flows, ...]) -> tuple[Flows, Candidates]:
    """Return the first flows without simultaneous directions, else the last with their steps."""
    for flows in choices:
        remaining = both_ways(instance, flows)
        if remaining.count == 0:
            break
    return flows, remaining


def widened(
    candidates: Candidates, remaining: Candidates, *, everywhere: bool = False
) -> Candidates:
    """Return candidates that include `remaining`; all steps when that is nothing new."""
    wider = candidates.union(remaining)
    if wider.count > candidates.count and not everywhere:
        return wider
    every_step = np.ones(candidates.battery.size, dtype=np.bool_)
    return Candidates(every_step, every_step)


def idle_directions(instance: Instance, candidates: Candidates) -> Decisions:
    """Return directions that an idle battery can always follow."""
    return Decisions(
        candidates=candidates,
        charging=np.ones(instance.n_steps, dtype=np.bool_),
        importing=instance.load_kw >= instance.pv_kw,
    )
