"""What physics says about measured values: signs, scales, counters and limits.

A finding names the signal, what does not add up, and the setting to try. The
checks use the conventions of the program: grid = load - PV - battery, battery
and current positive when discharging.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Final

from engine.devices.connection_test.report import Finding
from engine.domain.signals import SIGNALS, Kind
from engine.domain.site import Battery

_SMALL_KW: Final = 2.0
_TOLERANCE: Final = 0.10
_DC_AC_RATIO: Final = (0.7, 1.4)
_FACTORS: Final = (0.001, 0.01, 0.1, 10.0, 100.0, 1000.0)
_SOC_STEP_PERCENT: Final = 1.0
_TELLING_ENERGY: Final = 0.25
_CHARGING, _DISCHARGING = 1, 2

_OPPOSITE: Final[Mapping[str, str]] = {
    "battery_kw": "charge or discharge, the opposite of now",
    "current_a": "charge or discharge, the opposite of now",
    "grid_kw": "import or export, the opposite of now",
    "pv_kw": "generation or consumption, the opposite of now",
}


@dataclass(frozen=True, slots=True)
class Observation:
    """Usable values at one instant (UTC), by canonical signal."""

    ts: datetime
    values: Mapping[str, float]


def examine(
    own: frozenset[str],
    now: Sequence[Observation],
    past: Sequence[Observation] = (),
    battery: Battery | None = None,
) -> list[Finding]:
    """Return what looks wrong.

    Args:
        own: Signals of the device under test; hints name these.
        now: Observations of the test in order, other devices' values included; at least one.
        past: Earlier observations of the same signals, ascending, for slow effects.
        battery: Nameplate of the site's battery, or None when it is not known.
    """
    latest = now[-1].values
    findings = [
        *_balance(latest, own),
        *_status(latest, own),
        *_direct_current(latest, own),
        *_limits(latest, own),
        *_nameplate(latest, own, battery),
        *_soc_slope([*past, *now], own, battery),
        *_counters(now, own),
    ]
    unique: dict[tuple[str, tuple[str, ...]], Finding] = {}
    for finding in findings:
        unique.setdefault((finding.code, finding.signals), finding)
    return list(unique.values())


def sign_hint(signal: str) -> str:
    """Return the setting that turns the sign of `signal` round."""
    return f"Set positive_means of {signal} to {_OPPOSITE.get(signal, 'the opposite of now')}."


def scale_hint(signal: str, factor: float) -> str:
    """Return the setting that multiplies `signal` by `factor`."""
    return f"Multiply the scale of {signal} by {factor:g}, or correct its unit (W and kW)."


def _balance(values: Mapping[str, float], own: frozenset[str]) -> Iterable[Finding]:
    if "grid_kw" not in values or not own & {"grid_kw", "pv_kw", "battery_kw", "load_kw"}:
        return
    parts = {name: values[name] for name in ("grid_kw", "pv_kw", "battery_kw") if name in values}
    load_kw = values.get("load_kw")
    largest = max(abs(value) for value in [*parts.values(), load_kw or 0.0])
    slack_kw = max(_SMALL_KW, _TOLERANCE * largest)

    def gap_kw(changed: Mapping[str, float]) -> float:
        """Return by how much the balance misses; 0 when it closes or cannot be judged."""
        through_kw = sum(changed.values())
        if load_kw is None:
            # An export may come from a part that nobody measures.
            return max(0.0, -through_kw - slack_kw) if len(parts) == 3 else 0.0
        return max(0.0, abs(load_kw - through_kw) - slack_kw)

    if gap_kw(parts) == 0.0:
        return
    told = " + ".join(f"{name} {value:.1f}" for name, value in parts.items())
    if load_kw is None:
        message = (
            f"{told} is {sum(parts.values()):.1f} kW of load, but a site cannot consume less "
            "than nothing."
        )
    else:
        message = f"{told} should be the load of {load_kw:.1f} kW (grid = load - PV - battery)."
    suspects = [name for name in parts if name in own] or list(parts)
    flips = [name for name in suspects if gap_kw({**parts, name: -parts[name]}) == 0.0]
    scales = [
        (name, factor)
        for name in suspects
        for factor in _FACTORS
        if load_kw is not None and gap_kw({**parts, name: parts[name] * factor}) == 0.0
    ]
    if flips:
        hint = " Or: ".join(sign_hint(name) for name in flips)
        yield Finding("error", "sign", tuple(flips), message, hint)
    elif scales:
        hint = " Or: ".join(scale_hint(name, factor) for name, factor in scales)
        yield Finding("error", "scale", tuple(dict.fromkeys(n for n, _ in scales)), message, hint)
    else:
        hint = "Check the direction, the scale and the mounting place of each meter."
        yield Finding("warning", "balance", tuple(suspects), message, hint)


def _direct_current(values: Mapping[str, float], own: frozenset[str]) -> Iterable[Finding]:
    """Compare voltage x current with the AC power; losses stay within a third."""
    needed = {"voltage_v", "current_a", "battery_kw"}
    if not needed <= values.keys() or not own & needed:
        return
    dc_kw = values["voltage_v"] * values["current_a"] / 1000.0
    ac_kw = values["battery_kw"]
    if min(abs(dc_kw), abs(ac_kw)) == 0.0 or max(abs(dc_kw), abs(ac_kw)) < _SMALL_KW:
        return
    ratio = dc_kw / ac_kw
    signals = tuple(n for n in ("current_a", "battery_kw", "voltage_v") if n in own)
    message = (
        f"{values['voltage_v']:.0f} V x {values['current_a']:.1f} A is {dc_kw:.1f} kW, but "
        f"battery_kw is {ac_kw:.1f} kW."
    )
    if _near_one(abs(ratio)):
        if ratio < 0:
            signed = tuple(n for n in signals if n != "voltage_v") or ("current_a", "battery_kw")
            hint = " Or: ".join(sign_hint(name) for name in signed)
            yield Finding("error", "sign", signed, message, hint)
        return
    factor = _power_of_ten(abs(ratio))
    if factor is not None:
        # Dividing the DC side or multiplying the AC side by it, whichever this device has.
        hint = " Or: ".join(
            scale_hint(n, factor if n == "battery_kw" else 1.0 / factor) for n in signals
        )
        yield Finding("error", "scale", signals, message, hint)
    elif min(abs(dc_kw), abs(ac_kw)) >= _SMALL_KW:
        yield Finding(
            "warning",
            "power_mismatch",
            signals,
            message,
            "Check that voltage, current and power belong to the same battery.",
        )


def _status(values: Mapping[str, float], own: frozenset[str]) -> Iterable[Finding]:
    """Compare the sign of power and current with a status that says charging or discharging."""
    status = values.get("status_code")
    if status not in (_CHARGING, _DISCHARGING):
        return
    word = "charging" if status == _CHARGING else "discharging"
    for signal, least in (("current_a", 2.0), ("battery_kw", 1.0)):
        value = values.get(signal)
        if value is None or abs(value) < least:
            continue
        if (value > 0) != (status == _DISCHARGING) and (signal in own or "status_code" in own):
            yield Finding(
                "error",
                "sign",
                (signal,),
                f"The battery reports that it is {word}, but {signal} is {value:.1f} "
                "(+ is discharging).",
                sign_hint(signal),
            )


def _limits(values: Mapping[str, float], own: frozenset[str]) -> Iterable[Finding]:
    for direction in ("charge", "discharge"):
        power, current = f"max_{direction}_power_kw", f"max_{direction}_current_a"
        for signal in (power, current):
            value = values.get(signal)
            if value is not None and value < 0 and signal in own:
                yield Finding(
                    "error",
                    "negative_limit",
                    (signal,),
                    f"{signal} is {value:g}, but a limit is never negative.",
                    f"Give {signal} a negative scale, or an unsigned type.",
                )
        limit_kw, limit_a = values.get(power), values.get(current)
        voltage_v = values.get("voltage_v")
        if not limit_kw or not limit_a or not voltage_v or power not in own:
            continue
        ratio = limit_kw / (voltage_v * limit_a / 1000.0)
        factor = _power_of_ten(abs(ratio))
        if not _near_one(abs(ratio)) and factor is not None:
            yield Finding(
                "warning",
                "scale",
                (power, current),
                f"{power} is {limit_kw:g} kW, but {current} x voltage is "
                f"{voltage_v * limit_a / 1000.0:g} kW.",
                f"{scale_hint(power, 1.0 / factor)} Or: {scale_hint(current, factor)}",
            )


def _nameplate(
    values: Mapping[str, float], own: frozenset[str], battery: Battery | None
) -> Iterable[Finding]:
    power_kw = values.get("battery_kw")
    if battery is None or power_kw is None or "battery_kw" not in own:
        return
    nameplate_kw = max(battery.power_charge_max_kw, battery.power_discharge_max_kw)
    if abs(power_kw) > 1.5 * nameplate_kw:
        yield Finding(
            "error",
            "scale",
            ("battery_kw",),
            f"battery_kw is {power_kw:g} kW, the battery's nameplate is {nameplate_kw:g} kW.",
            scale_hint("battery_kw", 0.001),
        )


def _soc_slope(
    observations: Sequence[Observation], own: frozenset[str], battery: Battery | None
) -> Iterable[Finding]:
    """Compare the change of the state of charge with the energy that went through the battery."""
    known = [o for o in observations if {"soc_percent", "battery_kw"} <= o.values.keys()]
    if len(known) < 2 or not own & {"soc_percent", "battery_kw"}:
        return
    energy_kwh = 0.0
    for before, after in pairwise(known):
        hours = (after.ts - before.ts).total_seconds() / 3600.0
        mean_kw = (before.values["battery_kw"] + after.values["battery_kw"]) / 2.0
        energy_kwh += mean_kw * hours
    change = known[-1].values["soc_percent"] - known[0].values["soc_percent"]
    minutes = (known[-1].ts - known[0].ts).total_seconds() / 60.0
    if abs(change) < _SOC_STEP_PERCENT or abs(energy_kwh) < 0.05:
        return
    verb = "discharged" if energy_kwh > 0 else "charged"
    message = (
        f"In {minutes:.0f} min the battery {verb} {abs(energy_kwh):.1f} kWh by its power, but its "
        f"state of charge went {'up' if change > 0 else 'down'} by {abs(change):.1f} %."
    )
    ratio = None
    if battery is not None:
        ratio = abs(energy_kwh) / (abs(change) / 100.0 * battery.energy_capacity_kwh)
    if (change > 0) == (energy_kwh > 0):
        # A battery at rest corrects its state of charge by itself; that is no energy.
        if ratio is None or ratio >= _TELLING_ENERGY:
            yield Finding("error", "sign", ("battery_kw",), message, sign_hint("battery_kw"))
        return
    if ratio is None or battery is None:
        return
    factor = _power_of_ten(ratio)
    if not 0.4 <= ratio <= 2.5 and factor is not None and abs(change) >= 2 * _SOC_STEP_PERCENT:
        yield Finding(
            "warning",
            "scale",
            ("battery_kw", "soc_percent"),
            f"{message} The battery's {battery.energy_capacity_kwh:g} kWh do not fit to that.",
            f"{scale_hint('battery_kw', 1.0 / factor)} Or: correct bess.energy_capacity_kwh.",
        )


def _counters(observations: Sequence[Observation], own: frozenset[str]) -> Iterable[Finding]:
    first, last = observations[0], observations[-1]
    for signal in sorted(own):
        if signal not in SIGNALS or SIGNALS[signal].kind is not Kind.COUNTER:
            continue
        before, after = first.values.get(signal), last.values.get(signal)
        if before is None or after is None:
            continue
        if after < before:
            yield Finding(
                "error",
                "counter",
                (signal,),
                f"{signal} fell from {before:g} to {after:g} kWh; an energy counter only grows.",
                f"Check address, type and word order of {signal}.",
            )
    grid_kw = [o.values["grid_kw"] for o in observations if "grid_kw" in o.values]
    for grows, sign, way in (
        ("grid_export_kwh", 1.0, "imports"),
        ("grid_import_kwh", -1.0, "exports"),
    ):
        before, after = first.values.get(grows), last.values.get(grows)
        if before is None or after is None or after <= before or grows not in own:
            continue
        if grid_kw and all(sign * value > _SMALL_KW for value in grid_kw):
            yield Finding(
                "error",
                "sign",
                ("grid_kw", grows),
                f"grid_kw says that the site {way}, but {grows} is counting.",
                f"{sign_hint('grid_kw')} Or: swap the addresses of the two counters.",
            )


def _near_one(ratio: float) -> bool:
    return _DC_AC_RATIO[0] <= ratio <= _DC_AC_RATIO[1]


def _power_of_ten(ratio: float) -> float | None:
    """Return the power of ten (not 1) that `ratio` is within a third of, else None."""
    if ratio <= 0:
        return None
    exponent = round(math.log10(ratio))
    return 10.0**exponent if exponent and _near_one(ratio / 10.0**exponent) else None
