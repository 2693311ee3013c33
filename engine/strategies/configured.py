"""The five strategies as configurations of the one planning problem.

None has an optimiser of its own (notes "optimisation" section 1). All keep the plant as
it is: load, PV, limits, efficiencies, standby, wear, energy window, and the site's own
rules on charging from and discharging into the grid. They differ in the prices they see:

| strategy | energy prices | demand charge | preferences | end of horizon |
|---|---|---|---|---|
| co-optimised | true | true | the problem's own | the problem's own |
| arbitrage | true | none | none | the problem's own |
| peak shaving | one flat price | true, or a stated one | a full store, early | the flat price |
| self-consumption | true, import dearer by a premium | none | none | its own and the premium |
| load balancing | one flat price | none | distance to a moving average | the flat price |

A flat price for buying and selling leaves losses and wear as the only cost of moving
energy; the same price at the end of the horizon makes it pay neither to empty the store
nor to fill it for its own sake.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from engine.domain.strategy import StrategyKey
from engine.optimization.exactness import burning_price_eur_per_kwh
from engine.optimization.instance import Instance
from engine.optimization.terms import BilledPeak
from engine.strategies.balancing import reference_kw
from engine.strategies.parameters import StrategyContext, StrategyParameters

LOWEST_FLAT_EUR_PER_KWH = 0.01
"""Flat price where the mean purchase price is lower still: losses must never pay."""

_NO_PREFERENCES: dict[str, Any] = {
    "export_premium_eur_per_kwh": 0.0,
    "smoothing_eur_per_kwh": 0.0,
    "smoothing_reference_kw": None,
    "ramp_eur_per_kw": 0.0,
    "energy_reserve_kwh": None,
    "reserve_eur_per_kwh_h": 0.0,
}

_NO_DEMAND: dict[str, Any] = {"demand_charge_eur_per_kw": 0.0, "billed_peaks": ()}


def configure(
    key: StrategyKey,
    true_instance: Instance,
    parameters: StrategyParameters,
    context: StrategyContext,
) -> Instance:
    """Return the planning problem as the strategy `key` sees it.

    Args:
        key: The strategy.
        true_instance: Plant and forecasts at the tariff the site really pays, with the peaks
            incurred and all preferences of the owner.
        parameters: Settings of the pure strategies.
        context: What is known beside the problem.
    """
    if key is StrategyKey.CO_OPTIMISED:
        return true_instance
    if key is StrategyKey.ARBITRAGE:
        return dataclasses.replace(true_instance, **_NO_DEMAND, **_NO_PREFERENCES)
    if key is StrategyKey.PEAK_SHAVING:
        return _peak_shaving(true_instance, parameters, context)
    if key is StrategyKey.SELF_CONSUMPTION:
        return _self_consumption(true_instance, parameters)
    return _load_balancing(true_instance, parameters, context)


def flat_price_eur_per_kwh(instance: Instance) -> float:
    """Return the mean purchase price of the horizon, never below a small positive price."""
    return max(float(instance.buy_eur_per_kwh.mean()), LOWEST_FLAT_EUR_PER_KWH)


def _flat(instance: Instance) -> dict[str, Any]:
    price = flat_price_eur_per_kwh(instance)
    return {
        "buy_eur_per_kwh": np.full(instance.n_steps, price),
        "sell_eur_per_kwh": np.full(instance.n_steps, price),
        "terminal_value_eur_per_kwh": price,
        "terminal_curve": None,
    }


def _peak_shaving(
    instance: Instance, parameters: StrategyParameters, context: StrategyContext
) -> Instance:
    peaks = tuple(peak for peak in instance.peaks if peak.charge_eur_per_kw > 0.0)
    if not peaks:
        everywhere = np.ones(instance.n_steps, dtype=np.bool_)
        peaks = (
            BilledPeak(everywhere, parameters.peak_price_eur_per_kw, instance.incurred_peak_kw),
        )
    if parameters.peak_target_kw is not None:
        # What the owner states is defended even where the month's peak is higher already.
        floors = [parameters.peak_target_kw] * len(peaks)
    else:
        floors = [max(peak.floor_kw, context.peak_target_kw or 0.0) for peak in peaks]
    return dataclasses.replace(
        instance,
        **_flat(instance),
        **_NO_PREFERENCES
        | {
            # Refilling is worth nothing by itself and could wait for ever; this small price
            # makes it happen as early as the peak allows.
            "energy_reserve_kwh": np.full(instance.n_steps, instance.energy_max_kwh),
            "reserve_eur_per_kwh_h": parameters.early_recharge_eur_per_kwh_h,
        },
        demand_charge_eur_per_kw=0.0,
        billed_peaks=tuple(
            dataclasses.replace(peak, floor_kw=floor)
            for peak, floor in zip(peaks, floors, strict=True)
        ),
    )


def _self_consumption(instance: Instance, parameters: StrategyParameters) -> Instance:
    # Without charging from the grid and exporting from the battery, a PV kWh used on site is
    # an imported kWh less. The premium sits on imports because one on exports makes stored
    # energy a burden ahead of a full store, which costs binary variables. Control between
    # plans sees the same prices: with a premium on exporting it would store every surplus at
    # once instead of the plan's cheapest; closed loop on recorded months (bench_strategies)
    # that brought one point of self-consumption in April and half a point in July, and cost
    # a third of the saving.
    premium = parameters.self_consumption_premium_eur_per_kwh
    return dataclasses.replace(
        instance,
        **_NO_DEMAND,
        **_NO_PREFERENCES,
        buy_eur_per_kwh=instance.buy_eur_per_kwh + premium,
        terminal_value_eur_per_kwh=instance.terminal_value_eur_per_kwh
        + premium * instance.eta_discharge,
        grid_charge_allowed=False,
        battery_export_allowed=False,
    )


def _load_balancing(
    instance: Instance, parameters: StrategyParameters, context: StrategyContext
) -> Instance:
    past_kw = context.recent_net_load_kw
    price = parameters.balancing_eur_per_kwh or _balancing_price(instance)
    return dataclasses.replace(
        instance,
        **_flat(instance),
        **_NO_DEMAND,
        **_NO_PREFERENCES
        | {
            "smoothing_eur_per_kwh": price,
            "smoothing_reference_kw": reference_kw(
                instance,
                past_kw,
                window_hours=parameters.balancing_window_hours,
                centred=parameters.balancing_centred,
                return_hours=parameters.balancing_return_hours,
            ),
        },
    )


def _balancing_price(instance: Instance) -> float:
    """Return half of the smoothing price above which burning stored energy could pay.

    A kWh taken in on one side of the average and given back on the other shortens the
    distance by about two; the price is some ten times what that costs in losses and wear,
    and the problem stays linear (`exactness`).
    """
    burning = burning_price_eur_per_kwh(instance)
    flat = flat_price_eur_per_kwh(instance)
    return flat if np.isinf(burning) else 0.5 * (flat - burning)
