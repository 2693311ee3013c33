"""How a power setpoint is written to a device, as data of its profile."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from engine.devices.encoding import Address, Encoding, Finite, Name, ProfileData


class CommandStep(Encoding):
    """One write of a command.

    Attributes:
        address: Address as the manufacturer writes it.
        function: 6 (one register) or 16 (several registers).
        value: ``"power_kw"`` for the commanded power, or a constant in engineering units.
    """

    address: Address
    function: Literal[6, 16]
    value: Literal["power_kw"] | Finite = "power_kw"


class CommandDef(ProfileData):
    """How a power setpoint is written and checked.

    Attributes:
        steps: Writes in the order the device needs them.
        readback: Signal that shows the setpoint as the device holds it.
        clamp_charge: Charge nameplate: kW, or the name of the signal that carries it.
        clamp_discharge: Discharge nameplate: kW, or the name of the signal that carries it.
        tolerance_kw: Largest difference between written and read-back power.
        settle_s: Time the read-back may take before it counts as without effect.
        deadband_kw: A change up to this size is not written.
        refresh_s: Write again after this time although nothing changed; None for never.
        watchdog_s: The device falls back to 0 without a write for this long; None if it does not.
    """

    steps: Annotated[tuple[CommandStep, ...], Field(min_length=1)]
    readback: Name
    clamp_charge: Name | Annotated[Finite, Field(ge=0)]
    clamp_discharge: Name | Annotated[Finite, Field(ge=0)]
    tolerance_kw: Annotated[Finite, Field(gt=0)] = 0.1
    settle_s: Annotated[Finite, Field(ge=0)] = 2.0
    deadband_kw: Annotated[Finite, Field(ge=0)] = 0.0
    refresh_s: Annotated[Finite, Field(gt=0)] | None = None
    watchdog_s: Annotated[Finite, Field(gt=0)] | None = None
