"""How one number is coded in a device's registers: type, word order, scale, sign, sentinel."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Annotated, Any, Final

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
Finite = Annotated[float, Field(allow_inf_nan=False)]
Address = Annotated[int, Field(ge=0, le=65536)]


class DataType(StrEnum):
    """How a number is laid out in registers of 16 bits."""

    INT16 = "int16"
    UINT16 = "uint16"
    INT32 = "int32"
    UINT32 = "uint32"
    INT64 = "int64"
    UINT64 = "uint64"
    FLOAT32 = "float32"
    FLOAT64 = "float64"

    @property
    def width(self) -> int:
        """Number of registers."""
        return self.bits // 16

    @property
    def bits(self) -> int:
        """Number of bits."""
        return int(self.value.lstrip("uintfloa"))

    @property
    def is_float(self) -> bool:
        """True for IEEE 754 numbers."""
        return self.value.startswith("float")

    @property
    def raw_range(self) -> tuple[int, int]:
        """Smallest and largest raw integer; not defined for floats."""
        if self.value.startswith("uint"):
            return 0, (1 << self.bits) - 1
        return -(1 << (self.bits - 1)), (1 << (self.bits - 1)) - 1


class WordOrder(StrEnum):
    """Order of the registers of one number; bytes inside a register are always high first."""

    BIG = "big"
    LITTLE = "little"


class PositiveMeans(StrEnum):
    """What a positive number of the device stands for."""

    DISCHARGE = "discharge"
    CHARGE = "charge"
    IMPORT = "import"
    EXPORT = "export"
    GENERATION = "generation"
    CONSUMPTION = "consumption"


_CANONICAL_SIGN: Final = {
    PositiveMeans.DISCHARGE: 1.0,
    PositiveMeans.CHARGE: -1.0,
    PositiveMeans.IMPORT: 1.0,
    PositiveMeans.EXPORT: -1.0,
    PositiveMeans.GENERATION: 1.0,
    PositiveMeans.CONSUMPTION: -1.0,
}


def empty_mapping() -> Mapping[Any, Any]:
    """Return what a field without entries holds; it cannot be changed."""
    return MappingProxyType({})


def frozen_mapping(mapping: Mapping[Any, Any]) -> Mapping[Any, Any]:
    """Return a copy of `mapping` that nobody can change."""
    return MappingProxyType(dict(mapping))


class ProfileData(BaseModel):
    """A part of a profile: immutable, no unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Encoding(ProfileData):
    """How one number is coded: canonical value = sign * (raw * scale + offset).

    Attributes:
        type: Layout in registers.
        scale: Factor from raw to engineering units, not 0.
        offset: Added after scaling, in engineering units.
        positive_means: Meaning of a positive number of the device; sets the sign.
        sentinel: Bit pattern that means "not available" (a negative number is taken as the
            two's complement of the type).
        word_order: Differs from the profile's order when given.
    """

    type: DataType = DataType.UINT16
    scale: Finite = 1.0
    offset: Finite = 0.0
    positive_means: PositiveMeans | None = None
    sentinel: int | None = None
    word_order: WordOrder | None = None

    @property
    def sign(self) -> float:
        """+1 when the device's sign is ours, -1 when it is the opposite."""
        return 1.0 if self.positive_means is None else _CANONICAL_SIGN[self.positive_means]

    @property
    def sentinel_bits(self) -> int | None:
        """The sentinel as an unsigned bit pattern of the type's width."""
        return None if self.sentinel is None else self.sentinel & ((1 << self.type.bits) - 1)


class ScaleFactor(ProfileData):
    """The register that holds the power of ten of a value (SunSpec "sunssf").

    Attributes:
        address: Address as the manufacturer writes it, read with the value's own function.
    """

    address: Address


class TextDef(ProfileData):
    """A text in registers, two bytes of UTF-8 per register, padded with NUL or blanks.

    Attributes:
        address: Address as the manufacturer writes it.
        function: Read function code, 3 or 4.
        length: Number of registers.
        description: Meaning, for display.
    """

    address: Address
    function: Annotated[int, Field(ge=3, le=4)]
    length: Annotated[int, Field(ge=1, le=64)]
    description: str = ""
