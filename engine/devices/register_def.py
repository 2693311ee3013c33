"""What one register of a device means, as data of its profile."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from engine.devices.encoding import (
    Address,
    Encoding,
    Finite,
    ScaleFactor,
    empty_mapping,
    frozen_mapping,
)

READ_BITS: Final = frozenset({1, 2})
"""Function codes that read single bits (coils, discrete inputs)."""


class RegisterDef(Encoding):
    """One readable value.

    Attributes:
        address: Address as the manufacturer writes it.
        function: Read function code: 1 coil, 2 discrete input, 3 holding, 4 input register.
        bit: Number of the one bit of the register that is the value (0 or 1), lowest 0.
        mask: Bits of the register that are the value, shifted down to bit 0.
        inverted: True when the value is 1 while its one bit is 0, for example a contact that
            opens (active low).
        values: Code to text of an enumeration; any other code is BAD.
        code_map: Code of the device to canonical code; any other code is BAD.
        scale_factor: Register with the power of ten, read in the same request as the value.
        sentinel_value: What the sentinel stands for when the device only sleeps (PV power at
            night): an UNCERTAIN value instead of a BAD sample. None for BAD.
        unit: Unit of the scaled value; for canonical signals the unit of the signal.
        min: Smallest plausible canonical value; below it the value is BAD.
        max: Largest plausible canonical value; above it the value is BAD.
        priority: ``"high"`` for every poll, ``"low"`` for values that change slowly.
        description: Meaning, for display.
    """

    address: Address
    function: Annotated[int, Field(ge=1, le=4)]
    bit: Annotated[int, Field(ge=0, le=63)] | None = None
    mask: Annotated[int, Field(ge=1)] | None = None
    inverted: bool = False
    values: Annotated[Mapping[int, str], AfterValidator(frozen_mapping)] = Field(
        default_factory=empty_mapping
    )
    code_map: Annotated[Mapping[int, int], AfterValidator(frozen_mapping)] = Field(
        default_factory=empty_mapping
    )
    scale_factor: ScaleFactor | None = None
    sentinel_value: Finite | None = None
    unit: str | None = None
    min: Finite | None = None
    max: Finite | None = None
    priority: Literal["high", "low"] = "high"
    description: str = ""

    @property
    def bit_mask(self) -> int | None:
        """Bits of the register that are the value; None for all of them."""
        return self.mask if self.bit is None else 1 << self.bit

    @property
    def is_one_bit(self) -> bool:
        """True when what is read is a single bit."""
        return self.function in READ_BITS or self.bit is not None


def is_plausible(register: RegisterDef, value: float) -> bool:
    """True when `value` (canonical) is finite and within the register's min and max."""
    return (
        math.isfinite(value)
        and (register.min is None or value >= register.min)
        and (register.max is None or value <= register.max)
    )
