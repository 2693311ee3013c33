"""Where a device shows its alarms, as data of its profile."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from engine.devices.encoding import Address, ProfileData


class Severity(StrEnum):
    """How serious an alarm is."""

    FAULT = "fault"
    LIMIT = "limit"


class AlarmBit(ProfileData):
    """Where an alarm shows: a coil or discrete input, or bits of one register.

    Attributes:
        address: Address as the manufacturer writes it.
        function: Read function code: 1 coil, 2 discrete input, 3 holding, 4 input register.
        bit: The one bit of the register, lowest 0.
        mask: Bits of the register of which any one is enough; without bit and mask all 16.
        active_values: Values of the masked bits that are the alarm, instead of any bit set.
        inverted: True when the alarm is active while the bits are all 0.
        sentinel: Register pattern that means "not available": the alarms are then BAD.
    """

    address: Address
    function: Annotated[int, Field(ge=1, le=4)]
    bit: Annotated[int, Field(ge=0, le=15)] | None = None
    mask: Annotated[int, Field(ge=1, le=0xFFFF)] | None = None
    active_values: tuple[int, ...] = ()
    inverted: bool = False
    sentinel: Annotated[int, Field(ge=0, le=0xFFFF)] | None = None

    @property
    def bit_mask(self) -> int:
        """Bits of the register that count."""
        if self.bit is not None:
            return 1 << self.bit
        return 0xFFFF if self.mask is None else self.mask


class AlarmDef(AlarmBit):
    """One alarm of `engine.domain.signals.ALARMS`.

    Attributes:
        severity: How serious it is.
        also: Further places of which any one is enough.
    """

    severity: Severity
    also: tuple[AlarmBit, ...] = ()

    @property
    def places(self) -> tuple[AlarmBit, ...]:
        """Every place the alarm shows at."""
        return (self, *self.also)
