"""How a power setpoint is written to a device, as data of its profile."""

from __future__ import annotations

from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from engine.devices.encoding import Address, Encoding, Finite, Name, ProfileData
from engine.domain.errors import DeviceError

PowerPart = Literal["power_kw", "charge_kw", "discharge_kw", "magnitude_kw"]

REFRESHES_PER_WATCHDOG: Final = 3
"""A setpoint is repeated this often per watchdog time, so that one lost write does no harm."""


class DirectionCodes(ProfileData):
    """Codes of a register that carries only the direction of the power.

    Attributes:
        charge: Written while charging.
        discharge: Written while discharging.
        idle: Written at 0 kW.
    """

    charge: Finite
    discharge: Finite
    idle: Finite


class CommandStep(Encoding):
    """One write of a command.

    Attributes:
        address: Address as the manufacturer writes it.
        function: 6 (one register) or 16 (several registers).
        value: ``"power_kw"`` for the commanded power with its sign, ``"charge_kw"`` or
            ``"discharge_kw"`` for its part in that direction (>= 0), ``"magnitude_kw"`` for its
            amount, `DirectionCodes` for its direction, or a constant in engineering units.
        volatile: False for a register kept in flash memory: it is written only when it must
            change, never to refresh, and every write counts towards the daily budget.
    """

    address: Address
    function: Literal[6, 16]
    value: PowerPart | DirectionCodes | Finite = "power_kw"
    volatile: bool = True

    @property
    def carries_power(self) -> bool:
        """True when the register holds an amount of power."""
        return isinstance(self.value, str)

    def value_for(self, power_kw: float) -> float:
        """Return what this step writes for `power_kw` (+ discharge), in engineering units."""
        if isinstance(self.value, DirectionCodes):
            if power_kw == 0:
                return self.value.idle
            return self.value.discharge if power_kw > 0 else self.value.charge
        if not isinstance(self.value, str):
            return self.value
        parts: dict[PowerPart, float] = {
            "power_kw": power_kw,
            "charge_kw": max(0.0, -power_kw),
            "discharge_kw": max(0.0, power_kw),
            "magnitude_kw": abs(power_kw),
        }
        return parts[self.value]


class CommandDef(ProfileData):
    """How a power setpoint is written and checked.

    Attributes:
        steps: Writes in the order the device needs them, changes of its mode included.
        revert: Writes on stop, after the safe setpoint: they give the device back its own mode.
        readback: Signal that shows the setpoint as the device holds it; None if none does.
        effect: Signal that measures the power; without it only the read-back is checked.
        clamp_charge: Charge nameplate: kW, or the name of the signal that carries it.
        clamp_discharge: Discharge nameplate: kW, or the name of the signal that carries it.
        tolerance_kw: Largest difference between written and read-back power.
        settle_s: Time the read-back may take before it counts as without effect.
        effect_tolerance_kw: Largest difference between written and measured power, or
        effect_tolerance_percent: this share of the written power, whichever is more.
        effect_within_s: Time the measured power may take to follow.
        deadband_kw: A change up to this size is not written.
        ramp_kw_per_s: Fastest growth of the written power away from 0; None for at once.
        refresh_s: Write again after this time although nothing changed; None for a third of
            the watchdog time.
        watchdog_s: The device falls back to 0 without a write for this long; None if it does not.
        daily_write_budget: Most writes of flash-backed registers per day (UTC); needed as soon
            as a step is not volatile.
    """

    steps: Annotated[tuple[CommandStep, ...], Field(min_length=1)]
    revert: tuple[CommandStep, ...] = ()
    readback: Name | None = None
    effect: Name | None = None
    clamp_charge: Name | Annotated[Finite, Field(ge=0)]
    clamp_discharge: Name | Annotated[Finite, Field(ge=0)]
    tolerance_kw: Annotated[Finite, Field(gt=0)] = 0.1
    settle_s: Annotated[Finite, Field(ge=0)] = 2.0
    effect_tolerance_kw: Annotated[Finite, Field(gt=0)] = 1.0
    effect_tolerance_percent: Annotated[Finite, Field(ge=0, lt=100)] = 5.0
    effect_within_s: Annotated[Finite, Field(gt=0)] = 30.0
    deadband_kw: Annotated[Finite, Field(ge=0)] = 0.0
    ramp_kw_per_s: Annotated[Finite, Field(gt=0)] | None = None
    refresh_s: Annotated[Finite, Field(gt=0)] | None = None
    watchdog_s: Annotated[Finite, Field(gt=0)] | None = None
    daily_write_budget: Annotated[int, Field(ge=1)] | None = None

    @property
    def refresh_every_s(self) -> float | None:
        """Time after which an unchanged setpoint is written again, or None for never."""
        if self.refresh_s is not None or self.watchdog_s is None:
            return self.refresh_s
        return self.watchdog_s / REFRESHES_PER_WATCHDOG

    def effect_tolerance_for(self, power_kw: float) -> float:
        """Return how far the measured power may be off when `power_kw` was written (kW)."""
        return max(self.effect_tolerance_kw, abs(power_kw) * self.effect_tolerance_percent / 100)

    @property
    def flash_backed(self) -> bool:
        """True when a step, or a step of the revert, writes to flash memory."""
        return any(not step.volatile for step in (*self.steps, *self.revert))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.readback is None and self.effect is None:
            raise _error(
                "readback",
                None,
                "nothing shows whether a command arrived",
                "Name the signal that shows the setpoint (readback) or the power (effect).",
            )
        if any(not isinstance(step.value, float | int) for step in self.revert):
            raise _error(
                "revert",
                "power_kw",
                "a step of the revert carries a power",
                "Give every step of the revert a constant value.",
            )
        if self.flash_backed and self.daily_write_budget is None:
            raise _error(
                "daily_write_budget",
                None,
                "a step writes to flash memory without a budget",
                "Give the number of writes per day that the memory stands for its lifetime.",
            )
        return self


def _error(field: str, value: object, problem: str, hint: str) -> DeviceError:
    return DeviceError(
        f"command set_power_kw: {problem}.",
        field=f"commands.set_power_kw.{field}",
        value=value,
        hint=hint,
    )
