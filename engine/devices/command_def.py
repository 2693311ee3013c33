"""How setpoints and limits of power are written to a device, as data of its profile."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import ConfigDict, Field, model_validator
from typing_extensions import TypedDict

from engine.devices.encoding import Address, Encoding, Finite, Name, ProfileData
from engine.domain.errors import DeviceError

PowerPart = Literal["power_kw", "charge_kw", "discharge_kw", "magnitude_kw"]

LimitPart = Literal["limit_kw", "limit_percent"]

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


class WriteStep(Encoding, ABC):
    """One write of a command.

    Attributes:
        address: Address as the manufacturer writes it.
        function: 6 (one register) or 16 (several registers).
        volatile: False for a register kept in flash memory: it is written only when it must
            change, never to refresh, and every write counts towards the daily budget.
    """

    address: Address
    function: Literal[6, 16]
    volatile: bool = True

    @property
    @abstractmethod
    def carries_power(self) -> bool:
        """True when the register holds an amount of power."""

    @abstractmethod
    def value_for(self, power_kw: float) -> float:
        """Return what this step writes for `power_kw`, in engineering units."""


class CommandStep(WriteStep):
    """One write of a power setpoint.

    Attributes:
        value: ``"power_kw"`` for the commanded power with its sign, ``"charge_kw"`` or
            ``"discharge_kw"`` for its part in that direction (>= 0), ``"magnitude_kw"`` for its
            amount, `DirectionCodes` for its direction, or a constant in engineering units.
    """

    value: PowerPart | DirectionCodes | Finite = "power_kw"

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


class LimitStep(WriteStep):
    """One write of a power limit.

    Attributes:
        value: ``"limit_kw"`` for the limit, ``"limit_percent"`` for its share of the nameplate,
            or a constant in engineering units.
    """

    value: LimitPart | Finite = "limit_kw"

    @property
    def carries_power(self) -> bool:
        """True when the register holds the limit."""
        return isinstance(self.value, str)

    def value_for(self, power_kw: float) -> float:
        """Return what this step writes for a limit of `power_kw` (>= 0).

        A step in percent must be turned into kW first, see `LimitDef.steps_for`.
        """
        return power_kw if isinstance(self.value, str) else self.value


class WriteRules(ProfileData, ABC):
    """What every written command has in common: when it is written and how it is checked.

    Attributes:
        readback: Signal that shows the written power as the device holds it; None if none does.
        effect: Signal that measures the power; without it only the read-back is checked.
        tolerance_kw: Largest difference between written and read-back power.
        settle_s: Time the read-back may take before it counts as without effect.
        effect_tolerance_kw: Largest difference between written and measured power (of a limit:
            the most the measured power may lie above it), or
        effect_tolerance_percent: this share of the written power, whichever is more.
        effect_within_s: Time the measured power may take to follow.
        deadband_kw: A change up to this size is not written.
        refresh_s: Write again after this time although nothing changed; None for a third of
            the watchdog time.
        watchdog_s: The device forgets the command without a write for this long: it falls back
            to 0 (setpoint) or to no limit; None if it does not.
        daily_write_budget: Most writes of flash-backed registers per day (UTC); needed as soon
            as a step is not volatile.
    """

    command_name: ClassVar[str]

    readback: Name | None = None
    effect: Name | None = None
    tolerance_kw: Annotated[Finite, Field(gt=0)] = 0.1
    settle_s: Annotated[Finite, Field(ge=0)] = 2.0
    effect_tolerance_kw: Annotated[Finite, Field(gt=0)] = 1.0
    effect_tolerance_percent: Annotated[Finite, Field(ge=0, lt=100)] = 5.0
    effect_within_s: Annotated[Finite, Field(gt=0)] = 30.0
    deadband_kw: Annotated[Finite, Field(ge=0)] = 0.0
    refresh_s: Annotated[Finite, Field(gt=0)] | None = None
    watchdog_s: Annotated[Finite, Field(gt=0)] | None = None
    daily_write_budget: Annotated[int, Field(ge=1)] | None = None

    @property
    def refresh_every_s(self) -> float | None:
        """Time after which an unchanged command is written again, or None for never."""
        if self.refresh_s is not None or self.watchdog_s is None:
            return self.refresh_s
        return self.watchdog_s / REFRESHES_PER_WATCHDOG

    def effect_tolerance_for(self, power_kw: float) -> float:
        """Return how far the measured power may be off when `power_kw` was written (kW)."""
        return max(self.effect_tolerance_kw, abs(power_kw) * self.effect_tolerance_percent / 100)

    @property
    @abstractmethod
    def all_steps(self) -> Sequence[WriteStep]:
        """Steps in order of writing."""

    @property
    @abstractmethod
    def revert_steps(self) -> Sequence[WriteStep]:
        """Steps that give the device back its own mode."""

    @property
    def flash_backed(self) -> bool:
        """True when a step, or a step of the revert, writes to flash memory."""
        return any(not step.volatile for step in (*self.all_steps, *self.revert_steps))

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.readback is None and self.effect is None:
            raise self._error(
                "readback",
                None,
                "nothing shows whether a command arrived",
                "Name the signal that shows the written power (readback) or the measured one "
                "(effect).",
            )
        if any(
            not isinstance(getattr(step, "value", None), float | int) for step in self.revert_steps
        ):
            raise self._error(
                "revert",
                "power_kw",
                "a step of the revert carries a power",
                "Give every step of the revert a constant value.",
            )
        if self.flash_backed and self.daily_write_budget is None:
            raise self._error(
                "daily_write_budget",
                None,
                "a step writes to flash memory without a budget",
                "Give the number of writes per day that the memory stands for its lifetime.",
            )
        return self

    def _error(self, field: str, value: object, problem: str, hint: str) -> DeviceError:
        return DeviceError(
            f"command {self.command_name}: {problem}.",
            field=f"commands.{self.command_name}.{field}",
            value=value,
            hint=hint,
        )


class CommandDef(WriteRules):
    """How a power setpoint (`set_power_kw`) is written and checked.

    Attributes:
        steps: Writes in the order the device needs them, changes of its mode included.
        revert: Writes on stop, after the safe setpoint: they give the device back its own mode.
        clamp_charge: Charge nameplate: kW, or the name of the signal that carries it.
        clamp_discharge: Discharge nameplate: kW, or the name of the signal that carries it.
        ramp_kw_per_s: Fastest growth of the written power away from 0; None for at once.
    """

    command_name: ClassVar[str] = "set_power_kw"

    steps: Annotated[tuple[CommandStep, ...], Field(min_length=1)]
    revert: tuple[CommandStep, ...] = ()
    clamp_charge: Name | Annotated[Finite, Field(ge=0)]
    clamp_discharge: Name | Annotated[Finite, Field(ge=0)]
    ramp_kw_per_s: Annotated[Finite, Field(gt=0)] | None = None

    @property
    def all_steps(self) -> Sequence[CommandStep]:
        """Steps in order of writing."""
        return self.steps

    @property
    def revert_steps(self) -> Sequence[CommandStep]:
        """Steps that give the device back its own mode."""
        return self.revert


class LimitDef(WriteRules):
    """How the most a device may generate or draw (`limit_power_kw`) is written and checked.

    A step in percent assumes that 100 % is the nameplate.

    Attributes:
        steps: Writes of a limit in the order the device needs them.
        revert: Writes that lift the limit; also on stop.
        clamp: Nameplate: kW, or the name of the signal that carries it. A larger limit is
            written as the nameplate.
    """

    command_name: ClassVar[str] = "limit_power_kw"

    steps: Annotated[tuple[LimitStep, ...], Field(min_length=1)]
    revert: Annotated[tuple[LimitStep, ...], Field(min_length=1)]
    clamp: Name | Annotated[Finite, Field(gt=0)]

    @property
    def all_steps(self) -> Sequence[LimitStep]:
        """Steps in order of writing."""
        return self.steps

    @property
    def revert_steps(self) -> Sequence[LimitStep]:
        """Steps that lift the limit."""
        return self.revert

    def steps_for(self, nameplate_kw: float) -> tuple[LimitStep, ...]:
        """Return the steps with every share of the nameplate turned into kW.

        Args:
            nameplate_kw: Nameplate power, finite and > 0.

        Raises:
            DeviceError: The nameplate is not a positive number.
        """
        if not (math.isfinite(nameplate_kw) and nameplate_kw > 0):
            raise self._error(
                "clamp",
                nameplate_kw,
                f"the nameplate must be more than 0 kW (got {nameplate_kw!r})",
                "Correct the register of the nameplate, or give it in kW.",
            )
        kw_per_percent = nameplate_kw / 100.0
        return tuple(
            step.model_copy(
                update={
                    "value": "limit_kw",
                    "scale": step.scale * kw_per_percent,
                    "offset": step.offset * kw_per_percent,
                }
            )
            if step.value == "limit_percent"
            else step
            for step in self.steps
        )


class Commands(TypedDict, total=False):
    """The commands a profile may have, by name."""

    __pydantic_config__ = ConfigDict(extra="forbid")  # type: ignore[misc]

    set_power_kw: CommandDef
    limit_power_kw: LimitDef
