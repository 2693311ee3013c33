"""What a strategy may be told besides the planning problem itself."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from engine.domain.errors import OptimizationError
from engine.domain.plan import FloatArray


def _require(field_name: str, value: float, ok: bool, hint: str) -> None:
    if not ok:
        raise OptimizationError(
            f"{value!r} is out of range.", field=f"strategies.{field_name}", value=value, hint=hint
        )


@dataclass(frozen=True, slots=True)
class StrategyParameters:
    """Settings of the pure strategies; the defaults suit a site nobody has tuned.

    Attributes:
        peak_target_kw: Import that peak shaving defends, >= 0; None: the optimum of the trailing
            weeks, else the peak already incurred.
        peak_price_eur_per_kw: What peak shaving takes a kW of peak to be worth where the tariff
            has no demand charge, > 0.
        early_recharge_eur_per_kwh_h: What peak shaving pays per missing kWh and hour to have the
            store full early, > 0. Small against any price, so that it only settles when to
            recharge.
        self_consumption_premium_eur_per_kwh: What self-consumption adds to the value of a kWh
            that need not be bought, > 0. Above any real price, so that money only breaks ties.
        balancing_window_hours: Length of the moving average load balancing follows, 0.5..24.
        balancing_centred: True: half of the window lies ahead (forecast); False: all behind.
        balancing_eur_per_kwh: What load balancing pays per kWh off its average, > 0; None for
            a price far above losses and wear, at which burning energy still never pays.
        balancing_return_hours: Time in which load balancing brings the store back to the
            middle of its window, > 0.
    """

    peak_target_kw: float | None = None
    peak_price_eur_per_kw: float = 10.0
    early_recharge_eur_per_kwh_h: float = 0.004
    self_consumption_premium_eur_per_kwh: float = 2.0
    balancing_window_hours: float = 4.0
    balancing_centred: bool = True
    balancing_eur_per_kwh: float | None = None
    balancing_return_hours: float = 24.0

    def __post_init__(self) -> None:
        if self.peak_target_kw is not None:
            _require(
                "peak_target_kw", self.peak_target_kw, self.peak_target_kw >= 0.0, "Give >= 0."
            )
        hours = self.balancing_window_hours
        _require("balancing_window_hours", hours, 0.5 <= hours <= 24.0, "Give 0.5 to 24 hours.")
        for name in (
            "peak_price_eur_per_kw",
            "early_recharge_eur_per_kwh_h",
            "self_consumption_premium_eur_per_kwh",
            "balancing_eur_per_kwh",
            "balancing_return_hours",
        ):
            value = getattr(self, name)
            if value is not None:
                _require(name, value, value > 0.0, "Give a number above 0.")


def _no_past() -> FloatArray:
    return np.zeros(0)


@dataclass(frozen=True, slots=True, eq=False)
class StrategyContext:
    """What is known at planning time and is no part of the planning problem.

    Attributes:
        recent_net_load_kw: Load minus PV of the steps just before the horizon, in steps of the
            same length, newest last, shape (k,), k >= 0. Load balancing averages over them.
        peak_target_kw: Import to defend, from the optimum of the trailing weeks (notes
            "optimisation" section 3b: never one's own last metered peak); None when unknown.
    """

    recent_net_load_kw: FloatArray = field(default_factory=_no_past)
    peak_target_kw: float | None = None
