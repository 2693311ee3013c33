"""Rules for canonical signals wherever they come from, and for SunSpec and derived signals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from engine.devices.encoding import PositiveMeans
from engine.devices.profile_rules.fields import problem_of
from engine.devices.sunspec.models import find_point
from engine.domain.signals import ALARMS, SIGNALS

if TYPE_CHECKING:
    from engine.devices.profile_def import DeviceProfile

STATUS_CODES: Final = frozenset({0, 1, 2, 3, 5, 6, 7, 8})
"""Canonical codes of `status_code`, see `engine.domain.signals`."""

BATTERY_SIGNS: Final = frozenset({PositiveMeans.DISCHARGE, PositiveMeans.CHARGE})
_GRID_SIGNS: Final = frozenset({PositiveMeans.IMPORT, PositiveMeans.EXPORT})
_PV_SIGNS: Final = frozenset({PositiveMeans.GENERATION, PositiveMeans.CONSUMPTION})

_SIGNED_SIGNALS: Final[Mapping[str, frozenset[PositiveMeans]]] = {
    "battery_kw": BATTERY_SIGNS,
    "battery_setpoint_kw": BATTERY_SIGNS,
    "current_a": BATTERY_SIGNS,
    "grid_kw": _GRID_SIGNS,
    "grid_l1_kw": _GRID_SIGNS,
    "grid_l2_kw": _GRID_SIGNS,
    "grid_l3_kw": _GRID_SIGNS,
    "pv_kw": _PV_SIGNS,
}


def check_unit(profile: DeviceProfile, signal: str, field: str, unit: str | None) -> None:
    """Check that a canonical signal comes out in its own unit.

    Raises:
        DeviceError: Names the field, the value and the remedy.
    """
    known = SIGNALS.get(signal)
    if known is not None and unit not in (None, known.unit):
        raise problem_of(
            profile,
            f"{field}.unit",
            unit,
            f"{signal} is in {known.unit or 'no unit'}",
            f"Choose the scale so that the value comes out in {known.unit or 'plain numbers'}.",
        )


def check_sign(
    profile: DeviceProfile, signal: str, field: str, meaning: PositiveMeans | None
) -> None:
    """Check that a signed canonical signal says what a positive number means.

    Raises:
        DeviceError: Names the field, the value and the remedy.
    """
    meanings = _SIGNED_SIGNALS.get(signal)
    if meanings is not None and meaning not in meanings:
        raise problem_of(
            profile,
            f"{field}.positive_means",
            None if meaning is None else meaning.value,
            f"the sign of {signal} is not stated",
            f"Say what a positive number means: {' or '.join(sorted(meanings))}.",
        )


def check_codes(profile: DeviceProfile, field: str, code_map: Mapping[int, int]) -> None:
    """Check that codes of the device become canonical status codes.

    Raises:
        DeviceError: Names the field, the value and the remedy.
    """
    for code, canonical in code_map.items():
        if canonical not in STATUS_CODES:
            raise problem_of(
                profile,
                f"{field}.{code}",
                canonical,
                "not a canonical status code",
                f"Map it to one of {', '.join(str(c) for c in sorted(STATUS_CODES))}.",
            )


def check_sunspec(profile: DeviceProfile) -> None:
    """Check the signals and alarms that are found by walking SunSpec models.

    Raises:
        DeviceError: Names the field, the value and the remedy.
    """
    if profile.sunspec is None:
        return
    for signal, use in profile.sunspec.signals.items():
        field = f"sunspec.signals.{signal}"
        if signal in profile.registers:
            raise problem_of(
                profile, field, signal, "it is under registers too", "Leave one of them out."
            )
        check_unit(profile, signal, field, use.unit)
        for index, source in enumerate(use.sources):
            place = f"{field}.sources.{index}"
            if find_point(source.model, source.point) is None:
                raise problem_of(
                    profile,
                    f"{place}.point",
                    source.point,
                    f"SunSpec model {source.model} has no such point here",
                    "Correct model and point, or add it to sunspec/models.yaml.",
                )
            check_sign(profile, signal, place, source.positive_means)
            if signal == "status_code":
                check_codes(profile, f"{place}.code_map", source.code_map)
    for name, alarm in profile.sunspec.alarms.items():
        if name not in ALARMS:
            raise problem_of(
                profile,
                f"sunspec.alarms.{name}",
                name,
                "unknown alarm",
                f"Known are {', '.join(ALARMS)}.",
            )
        if find_point(alarm.model, alarm.point) is None:
            raise problem_of(
                profile,
                f"sunspec.alarms.{name}.point",
                alarm.point,
                f"SunSpec model {alarm.model} has no such point here",
                "Correct model and point, or add it to sunspec/models.yaml.",
            )


def check_derived(profile: DeviceProfile) -> None:
    """Check that every derived signal follows from signals before it.

    Raises:
        DeviceError: Names the field, the value and the remedy.
    """
    known = set(profile.registers)
    if profile.sunspec is not None:
        known |= set(profile.sunspec.signals)
    for signal, rule in profile.derived.items():
        field = f"derived.{signal}"
        if signal in known:
            raise problem_of(
                profile, field, signal, "it is a register too", "Leave one of them out."
            )
        check_unit(profile, signal, field, rule.unit)
        for name in rule.inputs:
            if name not in known:
                raise problem_of(
                    profile,
                    field,
                    name,
                    "it is worked out from a signal that is not there",
                    "Add it under registers, or above under derived.",
                )
        known.add(signal)
