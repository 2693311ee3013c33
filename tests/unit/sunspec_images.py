"""SunSpec images for tests: a marker, models, an end, and a reader that refuses the rest."""

from collections.abc import Mapping, Sequence

from engine.devices.answer_error import DeviceAnswerError

MARKER = [0x5375, 0x6E53]


def model(number: int, length: int, points: Mapping[int, int] | None = None) -> list[int]:
    """Return the registers of one model; `points` is offset (from the ID) to word."""
    words = [number, length] + [0] * length
    for offset, word in (points or {}).items():
        words[offset] = word & 0xFFFF
    return words


def chain(*models: list[int], end: Sequence[int] = (0xFFFF, 0)) -> list[int]:
    """Return marker, models and end mark."""
    return [*MARKER, *(word for words in models for word in words), *end]


class Reader:
    """Reads from an image; what is not in it is refused with exception 2."""

    def __init__(self, words: Sequence[int], base: int = 40000) -> None:
        self.table = dict(enumerate(words, start=base))
        self.requests: list[tuple[int, int, int]] = []

    def __call__(self, function: int, address: int, count: int) -> Sequence[int]:
        self.requests.append((function, address, count))
        addresses = range(address, address + count)
        if any(at not in self.table for at in addresses):
            raise DeviceAnswerError("illegal data address", 2)
        return [self.table[at] for at in addresses]
