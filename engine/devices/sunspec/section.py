"""What a profile takes from the SunSpec models of a device, as data of the profile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from engine.devices.encoding import Address, Finite, Name, PositiveMeans, ProfileData
from engine.devices.encoding import frozen_mapping as _frozen


class PointUse(ProfileData):
    """One point of one model as the source of a signal.

    Attributes:
        model: Number of the information model.
        point: Name of the point in it.
        module: Number of the repeated block (MPPT module, DC port) the point is in, from 1.
        scale: Factor from the unit of the model to the unit of the signal, e.g. 0.001 for kW.
        positive_means: Meaning of a positive number of the device; sets the sign.
        code_map: Code of the model to canonical code.
        sentinel_value: What "not implemented" stands for while the device only sleeps.
        with_models: Used only where the device has all of these models too.
        without_models: Used only where the device has none of these models.
    """

    model: Annotated[int, Field(ge=1, le=65534)]
    point: Annotated[str, Field(min_length=1)]
    module: Annotated[int, Field(ge=1, le=32)] | None = None
    scale: Finite = 1.0
    positive_means: PositiveMeans | None = None
    code_map: Annotated[Mapping[int, int], AfterValidator(_frozen)] = Field(default_factory=dict)
    sentinel_value: Finite | None = None
    with_models: tuple[int, ...] = ()
    without_models: tuple[int, ...] = ()


class SignalUse(ProfileData):
    """Where one signal comes from.

    Attributes:
        sources: Points in order of preference; the first one the device has counts.
        unit: Unit; for canonical signals the unit of the signal.
        min: Smallest plausible canonical value.
        max: Largest plausible canonical value.
        priority: ``"high"`` for every poll, ``"low"`` for values that change slowly.
        description: Meaning, for display.
    """

    sources: Annotated[tuple[PointUse, ...], Field(min_length=1)]
    unit: str | None = None
    min: Finite | None = None
    max: Finite | None = None
    priority: Literal["high", "low"] = "high"
    description: str = ""


class AlarmUse(ProfileData):
    """Bits of a 32-bit event point that are one alarm.

    Attributes:
        model: Number of the information model.
        point: Name of the bit field in it.
        bits: Numbers of the bits of which any one is enough.
        severity: ``"fault"`` or ``"limit"``.
    """

    model: Annotated[int, Field(ge=1, le=65534)]
    point: Annotated[str, Field(min_length=1)]
    bits: Annotated[tuple[Annotated[int, Field(ge=0, le=31)], ...], Field(min_length=1)]
    severity: Literal["fault", "limit"]


class SunSpecUse(ProfileData):
    """The SunSpec part of a profile: found by walking the models, not by fixed addresses.

    Attributes:
        bases: Addresses where the marker "SunS" may be, tried in order.
        signals: Signal to its sources.
        alarms: Alarm to its bits; left out where the device has not got the model.
    """

    bases: Annotated[tuple[Address, ...], Field(min_length=1)] = (40000, 50000, 0)
    signals: Annotated[Mapping[Name, SignalUse], AfterValidator(_frozen)]
    alarms: Annotated[Mapping[Name, AlarmUse], AfterValidator(_frozen)] = Field(
        default_factory=dict
    )
