"""The baselines of the savings ledger on a case: no battery, self-consumption rule, timer."""

from __future__ import annotations

from collections.abc import Callable
from datetime import time

import numpy as np

from engine.analytics.backtest.accounts import traces_of, without_battery
from engine.analytics.backtest.case import STEP_HOURS
from engine.analytics.backtest.policy import NONE, SELF_CONSUMPTION_RULE
from engine.analytics.backtest.prepared import Prepared
from engine.analytics.backtest.result import Traces
from engine.analytics.baselines import SELF_CONSUMPTION, TIMER, BaselineBattery, causal_rules
from engine.strategies.rules import RuleState

_NOTHING = np.empty(0)
_LOOKED_AT = 2048
"""Steps between two looks at the cancel token."""


def baseline_traces(prepared: Prepared, baseline: str, alive: Callable[[int], None]) -> Traces:
    """Return what a baseline does; its rule sees the mean of the quarter-hour it acts in.

    Args:
        prepared: The case.
        baseline: One of `policy.BASELINES`.
        alive: Told now and then how many steps are done; it raises when asked to stop.
    """
    if baseline == NONE:
        return without_battery(prepared)
    case, span = prepared.case, prepared.span
    key = SELF_CONSUMPTION if baseline == SELF_CONSUMPTION_RULE else TIMER
    rule = causal_rules(case.battery, case.timer)[key]
    assert rule is not None
    store = BaselineBattery(case.battery, case.energy_start_kwh)
    net = (case.series.load_kw - case.series.pv_kw)[span].tolist()
    slots, exports = prepared.slot[span].tolist(), prepared.export_limit_kw[span].tolist()
    times = [time(slot // 4, slot % 4 * 15) for slot in range(96)]
    power, energy = np.empty(case.n), np.empty(case.n)
    for k, (net_kw, slot, export_kw) in enumerate(zip(net, slots, exports, strict=True)):
        if k % _LOOKED_AT == 0:
            alive(k)
        state = RuleState(
            local_time=times[slot],
            net_load_kw=net_kw,
            past_net_load_kw=_NOTHING,
            energy_kwh=store.energy_kwh,
            day_buy_eur_per_kwh=_NOTHING,
            day_sell_eur_per_kwh=_NOTHING,
            step_of_day=slot,
        )
        power[k] = store.step(
            rule(state),
            net_kw,
            import_limit_kw=case.site.grid.import_limit_kw,
            export_limit_kw=export_kw,
            hours=STEP_HOURS,
        )
        energy[k] = store.energy_kwh
    return traces_of(prepared, power, energy)
