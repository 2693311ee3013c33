"""What happened on a link: requests, errors by kind, latency."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

LATENCIES_KEPT: Final = 256
"""Newest answers that the spread of the latency is taken from."""


class LinkFault(StrEnum):
    """Kinds of requests that brought no valid answer."""

    NO_CONNECTION = "no_connection"
    TIMEOUT = "timeout"
    CLOSED = "closed"
    UNREADABLE = "unreadable"
    WRONG_FUNCTION = "wrong_function"
    WRONG_LENGTH = "wrong_length"
    WRONG_ECHO = "wrong_echo"
    UNASKED = "unasked"
    NOISE = "noise"
    EXCEPTION = "exception"


@dataclass(frozen=True, slots=True)
class UnitStatistics:
    """Requests of one unit id since start.

    Attributes:
        requests: Requests tried.
        errors: Requests without a valid answer, Modbus exceptions included.
        latency_ms: Round trip of the last answered request, None before the first.
        errors_by_kind: `LinkFault` to number; device exceptions as ``"exception <code>"``.
        latency_mean_ms: Mean round trip of the newest answers, None before the first.
        latency_p95_ms: Round trip that 95 % of the newest answers kept, None before the first.
        latency_max_ms: Longest round trip of the newest answers, None before the first.
    """

    requests: int = 0
    errors: int = 0
    latency_ms: float | None = None
    errors_by_kind: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    latency_mean_ms: float | None = None
    latency_p95_ms: float | None = None
    latency_max_ms: float | None = None


class UnitCounters:
    """Counts for one unit id; changed by the thread of the link, read by anyone."""

    def __init__(self) -> None:
        self._requests = 0
        self._errors: dict[str, int] = {}
        self._latencies_ms: deque[float] = deque(maxlen=LATENCIES_KEPT)

    def request(self) -> None:
        """Count a request that is tried."""
        self._requests += 1

    def fault(self, kind: LinkFault, exception_code: int | None = None) -> None:
        """Count a request without a valid answer."""
        name = kind.value if exception_code is None else f"{kind.value} {exception_code}"
        self._errors = {**self._errors, name: self._errors.get(name, 0) + 1}

    def answer(self, latency_ms: float) -> None:
        """Count a valid answer after `latency_ms`."""
        self._latencies_ms.append(latency_ms)

    def snapshot(self) -> UnitStatistics:
        """Return the counts of this moment."""
        errors = self._errors
        latencies = tuple(self._latencies_ms)
        ordered = sorted(latencies)
        last = len(ordered) - 1
        return UnitStatistics(
            requests=self._requests,
            errors=sum(errors.values()),
            latency_ms=latencies[-1] if latencies else None,
            errors_by_kind=MappingProxyType(errors),
            latency_mean_ms=sum(ordered) / len(ordered) if ordered else None,
            latency_p95_ms=ordered[-(-last * 95 // 100)] if ordered else None,
            latency_max_ms=ordered[-1] if ordered else None,
        )
