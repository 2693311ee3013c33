"""Finding out which SunSpec models a device has, by walking from the marker "SunS".

Behind the marker every model starts with its number and its length; number
0xFFFF ends the list (SunSpec Device Information Model Specification).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from engine.devices.answer_error import DeviceAnswerError
from engine.domain.errors import DeviceError

READ_FUNCTION: Final = 3
MARKER: Final = (0x5375, 0x6E53)
_END: Final = 0xFFFF
_MOST_MODELS: Final = 100

ReadWords = Callable[[int, int, int], Sequence[int]]
"""Reads (function, address, count); raises `DeviceAnswerError` when the device refuses."""


@dataclass(frozen=True, slots=True)
class ModelAt:
    """One model of a device.

    Attributes:
        number: Number of the model.
        address: Wire address of its ID register.
        length: Registers behind its two header registers.
    """

    number: int
    address: int
    length: int


@dataclass(frozen=True, slots=True)
class SunSpecDevice:
    """What a walk found.

    Attributes:
        base: Wire address of the marker.
        models: Every model in order, repeated ones included.
    """

    base: int
    models: tuple[ModelAt, ...]

    def first(self, number: int) -> ModelAt | None:
        """Return the first model `number`, or None when the device has none."""
        return next((model for model in self.models if model.number == number), None)

    @property
    def numbers(self) -> frozenset[int]:
        """Numbers of all models found."""
        return frozenset(model.number for model in self.models)


def discover(read: ReadWords, bases: Sequence[int]) -> SunSpecDevice:
    """Return the models of the device behind `read`.

    Args:
        read: Sends one request.
        bases: Wire addresses where the marker may be, tried in order.

    Raises:
        DeviceError: No marker at any base, or the list of models makes no sense.
        LinkError: No trustworthy answer.
    """
    seen: dict[int, str] = {}
    for base in bases:
        try:
            words = tuple(read(READ_FUNCTION, base, 2))
        except DeviceAnswerError as exc:
            if not exc.is_illegal_request:
                raise
            seen[base] = exc.meaning
            continue
        if words == MARKER:
            return SunSpecDevice(base, _walk(read, base + 2))
        seen[base] = "other content"
    raise _no_marker(seen)


def _walk(read: ReadWords, address: int) -> tuple[ModelAt, ...]:
    models: list[ModelAt] = []
    while len(models) < _MOST_MODELS and address < 65536:
        number, length = _header(read, address)
        if number == _END:
            return tuple(models)
        if length is None or not 0 < length < 0xFFFF:
            raise DeviceError(
                f"SunSpec model {number} at address {address} has no valid length.",
                field="sunspec",
                value=length,
                hint="Restart the device; otherwise choose a profile with fixed addresses.",
            )
        models.append(ModelAt(number, address, length))
        address += 2 + length
    raise DeviceError(
        "the list of SunSpec models has no end.",
        field="sunspec",
        value=len(models),
        hint="Restart the device; otherwise choose a profile with fixed addresses.",
    )


def _header(read: ReadWords, address: int) -> tuple[int, int | None]:
    try:
        number, length = read(READ_FUNCTION, address, 2)
    except DeviceAnswerError as exc:
        if not exc.is_illegal_request:
            raise
        # Some devices have nothing, not even a length, behind the end mark.
        return read(READ_FUNCTION, address, 1)[0], None
    return number, length


def _no_marker(seen: Mapping[int, str]) -> DeviceError:
    return DeviceError(
        "the device shows no SunSpec marker ("
        + ", ".join(f"{base}: {what}" for base, what in seen.items())
        + ").",
        field="sunspec",
        value=sorted(seen),
        hint="Enable SunSpec over Modbus in the device, and check its unit id.",
    )
