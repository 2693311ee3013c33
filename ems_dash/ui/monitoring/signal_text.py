"""Signals in words: what they are called, their figures, where they come from, how old they are."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import datetime

from ems_dash.i18n import label, t
from ems_dash.ui import format as fmt
from engine.domain.sample import Quality, Sample
from engine.domain.signals import ALARMS, EXTERNAL_CONTACT, SIGNALS, Kind
from engine.domain.snapshot import EngineSnapshot

DECIMALS = {"%": 1, "kW": 1, "kWh": 1, "V": 1, "A": 1, "°C": 1, "kΩ": 0, "Hz": 2}
"""Decimals of a figure by its unit."""

SIGNED = frozenset(
    {"battery_kw", "battery_setpoint_kw", "current_a", "grid_kw"}
    | {f"grid_l{phase}_kw" for phase in (1, 2, 3)}
)
"""Signals whose sign has a meaning; + is written."""

QUALITY_KIND = {
    Quality.GOOD: "ok",
    Quality.UNCERTAIN: "warn",
    Quality.STALE: "warn",
    Quality.BAD: "alarm",
    Quality.SUBSTITUTED: "info",
}

_BALANCE = "balance"
_NONE = "none"


def shown_sample(snapshot: EngineSnapshot, signal: str) -> Sample | None:
    """Return the sample of `signal` as it is shown: calmed value, true time, source and quality.

    A calmed value holds until it changes enough, and keeps the time it had then; how old the
    reading is, is another matter.
    """
    sample = snapshot.image.sample(signal)
    held = snapshot.display.sample(signal)
    if sample is None or held is None or sample.value is None or held.value is None:
        return sample
    return replace(sample, value=held.value)


def name_of(signal: str, lang: str) -> str:
    """Return what people call a signal."""
    return label("signal", signal, lang)


def status_word(code: float | None, lang: str) -> str:
    """Return what a battery status code means; ``–`` without one."""
    return fmt.NO_VALUE if code is None else label("status_code", f"{code:.0f}", lang)


def figure(signal: str, value: float | None, lang: str) -> fmt.Quantity:
    """Return a value of a signal with its unit; codes and alarm bits in words."""
    known = SIGNALS.get(signal)
    unit = "" if known is None else known.unit
    if value is None:
        return fmt.Quantity(fmt.NO_VALUE, unit)
    if signal == "alarm_bits":
        return fmt.Quantity(_alarms(value, lang), "")
    if signal == "status_code":
        return fmt.Quantity(f"{value:.0f} · {status_word(value, lang)}", "")
    if signal == EXTERNAL_CONTACT:
        return fmt.Quantity(t(f"signals.contact_{'closed' if value else 'open'}", lang), "")
    if known is not None and known.kind is Kind.CODE:
        return fmt.Quantity(f"{value:.0f}", unit)
    return number(value, unit, lang, signed=signal in SIGNED)


def number(value: float | None, unit: str, lang: str, *, signed: bool = False) -> fmt.Quantity:
    """Return a figure with the decimals its unit deserves; large insulation values in MΩ."""
    if unit == "kΩ" and value is not None and abs(value) >= 1000.0:
        return fmt.Quantity(fmt.number(value / 1000.0, 2, lang), "MΩ")
    decimals = DECIMALS.get(unit)
    if decimals is None:
        decimals = 0 if value is None or float(value).is_integer() else 2
    return fmt.Quantity(fmt.number(value, decimals, lang, signed=signed), unit)


def _alarms(bits: float, lang: str) -> str:
    active = [name for i, name in enumerate(ALARMS) if int(bits) >> i & 1]
    if not active:
        return t("signals.no_alarm", lang)
    return ", ".join(label("alarm", name, lang) for name in active)


def source_of(sample: Sample, lang: str) -> str:
    """Return the device a value comes from, or that it is worked out."""
    if sample.source == _BALANCE:
        return t("signals.balance", lang)
    return fmt.NO_VALUE if sample.source == _NONE else sample.source


def sample_age(sample: Sample, snapshot: EngineSnapshot) -> str:
    """Return how old a reading is; ``–`` where there is none."""
    if sample.value is None:
        return fmt.NO_VALUE
    return age_of(sample.ts, snapshot.ts, snapshot.timestep_s)


def age_of(ts: datetime, now: datetime, step_s: float) -> str:
    """Return how old a value is, in a step too coarse to tick while all is well.

    Args:
        ts: Time of the value, UTC.
        now: Time of the control cycle, UTC.
        step_s: Control step; a value of the newest poll is up to one and a half steps old.
    """
    fresh_s = math.ceil(1.5 * step_s)
    seconds = (now - ts).total_seconds()
    return f"< {fmt.age(fresh_s)}" if 0 <= seconds < fresh_s else fmt.age(seconds)


def quality_word(quality: Quality, lang: str) -> str:
    """Return the quality of a value in a word."""
    return t(f"quality.{quality.value}", lang)
