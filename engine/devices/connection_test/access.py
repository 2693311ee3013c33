"""The only way a connection test reaches a device: reads, through a link that cannot write.

The objects here have no method that writes, and a connection of their own is
opened with writing disabled on the link itself.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from engine.devices.answer_error import DeviceAnswerError
from engine.devices.link import ModbusLink, UnitSettings
from engine.devices.link_statistics import UnitStatistics
from engine.devices.spec import DeviceSpec
from engine.devices.transport import endpoint_name
from engine.domain.clock import Clock
from engine.domain.errors import LinkError


class Reader(Protocol):
    """Reads registers of any unit id behind one endpoint."""

    endpoint: str

    def read(self, unit_id: int, function: int, address: int, count: int) -> tuple[int, ...]: ...

    @property
    def live(self) -> bool: ...

    @property
    def ever_connected(self) -> bool: ...

    def close(self) -> None: ...


class LiveReader:
    """Reads through the connection that polls the device already.

    Args:
        link: The connection.
        unit_id: Unit under test; let in as read-only when it is not configured.
        timeout_s: Longest wait for an answer of a unit that is not configured.
    """

    live = True
    """It is the connection that was open already."""

    def __init__(self, link: ModbusLink, unit_id: int, timeout_s: float) -> None:
        self._link = link
        self.endpoint = link.endpoint
        self._guest = unit_id if link.admit(unit_id, timeout_s) else None

    @property
    def ever_connected(self) -> bool:
        """True once a connection was made."""
        return self._link.session > 0

    def read(self, unit_id: int, function: int, address: int, count: int) -> tuple[int, ...]:
        """Return registers or bits; see `ModbusLink.read`."""
        return self._link.read(unit_id, function, address, count)

    def close(self) -> None:
        """Leave the connection as it was found."""
        if self._guest is not None:
            self._link.dismiss(self._guest)
            self._guest = None


class OwnReader:
    """Reads through a connection of its own, which is closed after any doubt and at the end.

    Args:
        spec: The device; its `writable` is ignored.
        host: Address to connect to (already resolved and checked), or the name.
        timeout_s: Longest wait for an answer.
        clock: Time of the link.
    """

    live = False
    """It is a connection of its own."""

    def __init__(self, spec: DeviceSpec, host: str, timeout_s: float, clock: Clock) -> None:
        self._timeout_s = timeout_s
        self._link = ModbusLink(
            host,
            spec.port,
            {spec.unit_id: UnitSettings(timeout_s, writable=False)},
            clock,
            transport=spec.transport,
            serial=spec.serial,
            min_gap_s=spec.min_request_gap_s,
            connect_delay_s=spec.connect_delay_s,
        )
        self.endpoint = endpoint_name(spec.host, spec.port, spec.transport, spec.serial)

    @property
    def ever_connected(self) -> bool:
        """True once a connection was made."""
        return self._link.session > 0

    def read(self, unit_id: int, function: int, address: int, count: int) -> tuple[int, ...]:
        """Return registers or bits; see `ModbusLink.read`."""
        self._link.admit(unit_id, self._timeout_s)
        try:
            return self._link.read(unit_id, function, address, count)
        except LinkError:
            # A person waits for this test, so the link's growing pauses are left out; what it
            # knows about late answers on its line it keeps.
            self._link.hurry(self._timeout_s)
            raise

    def close(self) -> None:
        """Close the connection."""
        self._link.close()


@dataclass(frozen=True, slots=True)
class Answer:
    """One value as it came over the wire."""

    words: tuple[int, ...]
    latency_ms: float


class Recorder:
    """Stands in for the link of a `PolledDevice`: reads, remembers every word, cannot write.

    A request that was answered once is answered from memory, so that several ways to decode
    the same registers cost one reading.

    Args:
        reader: Reads the device.
        stopwatch: Seconds of a timer, for latencies.
        check_time: Raises when the time of the test is over.
    """

    def __init__(
        self, reader: Reader, stopwatch: Callable[[], float], check_time: Callable[[], None]
    ) -> None:
        self._reader = reader
        self._stopwatch = stopwatch
        self._check_time = check_time
        self._answers: dict[tuple[int, int, int, int], tuple[int, ...] | Exception] = {}
        self._words: dict[tuple[int, int], tuple[int, float]] = {}
        self.endpoint = reader.endpoint
        self.session = 1
        self.requests = 0

    def statistics(self, unit_id: int) -> UnitStatistics:
        """Return nothing counted: the test has figures of its own."""
        del unit_id
        return UnitStatistics()

    def read(self, unit_id: int, function: int, address: int, count: int) -> tuple[int, ...]:
        """Return registers or bits; see `ModbusLink.read`."""
        key = (unit_id, function, address, count)
        if key not in self._answers:
            self._answers[key] = self._ask(*key)
        answer = self._answers[key]
        if isinstance(answer, Exception):
            raise answer
        return answer

    def forget(self) -> None:
        """Read anew from now on."""
        self._answers.clear()
        self._words.clear()

    def answer(self, function: int, address: int, width: int) -> Answer | None:
        """Return the words read at `address` (wire), or None when one of them was not."""
        found = [self._words.get((function, address + i)) for i in range(width)]
        known = [entry for entry in found if entry is not None]
        if len(known) < width:
            return None
        return Answer(tuple(word for word, _ in known), known[0][1])

    def _ask(
        self, unit_id: int, function: int, address: int, count: int
    ) -> tuple[int, ...] | Exception:
        self._check_time()
        self.requests += 1
        started = self._stopwatch()
        try:
            words = self._reader.read(unit_id, function, address, count)
        except DeviceAnswerError as exc:
            return exc
        latency_ms = (self._stopwatch() - started) * 1000.0
        for offset, word in enumerate(words):
            self._words[function, address + offset] = (word, latency_ms)
        return words
