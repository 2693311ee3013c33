"""One Modbus connection, shared by the unit ids behind it, that trusts no answer blindly.

pymodbus hands out short answers and answers of another function as they
come, so function code, length and echo of every answer are checked here, and
the connection is closed after any doubt: what arrives late can then never be
taken for the answer to the next question. RTU frames carry no transaction
number and a gateway may hand a late one to the next connection, so there the
line must also be silent for one timeout before the next question. Waiting
times grow from 0.5 s to 30 s, and when they end a single request probes the
device.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pymodbus.exceptions import ConnectionException, ModbusException
from pymodbus.pdu import ModbusPDU

from engine.devices.answer_error import DeviceAnswerError, describe_exception
from engine.devices.backoff import Backoff
from engine.devices.link_statistics import LinkFault, UnitCounters, UnitStatistics
from engine.devices.register_def import READ_BITS
from engine.devices.transport import (
    ModbusClient,
    OpenClient,
    SerialLine,
    Transport,
    abort,
    discard_for,
    endpoint_name,
    opener,
    unread,
)
from engine.domain.clock import Clock
from engine.domain.errors import DeviceError, LinkError, WriteRefusedError

_WRITE_FUNCTIONS: Final = frozenset({6, 16})

SILENCE_TIMEOUTS: Final = 4
"""An RTU line that is not silent after this many timeouts counts as disturbed."""


@dataclass(frozen=True, slots=True)
class UnitSettings:
    """How one unit id behind the link is treated.

    Attributes:
        timeout_s: Longest wait for an answer.
        writable: False refuses every write before anything is sent.
    """

    timeout_s: float = 3.0
    writable: bool = False


class ModbusLink:
    """A connection to one endpoint; requests are sent by one thread at a time.

    Args:
        host: Host name or address; not used on a serial line.
        port: TCP port; not used on a serial line.
        units: Unit id to its settings; other unit ids are refused.
        clock: Drives the waiting times.
        transport: How requests travel.
        serial: The serial line, for `Transport.RTU`.
        min_gap_s: Silence between an answer and the next request, for slow devices.
        connect_delay_s: Silence between opening the connection and the first request.
        open_client: Makes the client, so that the network can be replaced in tests; None for
            the one that `transport` needs.
        stopwatch: Seconds of a timer for the measured latency.

    Raises:
        DeviceError: A serial transport without a serial line.
    """

    def __init__(
        self,
        host: str,
        port: int,
        units: Mapping[int, UnitSettings],
        clock: Clock,
        *,
        transport: Transport = Transport.TCP,
        serial: SerialLine | None = None,
        min_gap_s: float = 0.0,
        connect_delay_s: float = 0.0,
        open_client: OpenClient | None = None,
        stopwatch: Callable[[], float] = time.perf_counter,
    ) -> None:
        self.endpoint = endpoint_name(host, port, transport, serial)
        self._host = host
        self._port = port
        self._units = dict(units)
        self._clock = clock
        self._transport = transport
        self._min_gap_s = min_gap_s
        self._connect_delay_s = connect_delay_s
        self._open_client = opener(transport, serial) if open_client is None else open_client
        self._stopwatch = stopwatch
        self._lock = threading.RLock()
        self._client: ModbusClient | None = None
        self._session = 0
        self._received = b""
        self._connection_backoff = Backoff()
        self._unit_backoff = {unit: Backoff() for unit in units}
        self._silent_in_a_row = 0
        self._last_problem = "not connected"
        self._counters = {unit: UnitCounters() for unit in units}
        self._timeout_cap_s: float | None = None
        self._aborted = threading.Event()
        self._ready_at_s = float("-inf")
        self._must_be_silent = False

    @property
    def session(self) -> int:
        """Number of connections made so far; a change means that the device may have restarted."""
        return self._session

    @property
    def connected(self) -> bool:
        """True while a connection is open."""
        return self._client is not None

    def statistics(self, unit_id: int) -> UnitStatistics:
        """Return the request counts of `unit_id`."""
        return self._counters[unit_id].snapshot()

    def read(self, unit_id: int, function: int, address: int, count: int) -> tuple[int, ...]:
        """Return `count` registers (0..65535) or bits (0/1) from wire address `address`.

        Args:
            unit_id: Unit id of the device.
            function: 1 coils, 2 discrete inputs, 3 holding registers, 4 input registers.
            address: First wire address, 0-based.
            count: Number of registers (1..125) or bits (1..2000).

        Raises:
            LinkError: No trustworthy answer; the connection is closed.
            DeviceAnswerError: The device answered with a Modbus exception.
            DeviceError: The request itself is not valid.
        """
        is_bits = function in READ_BITS
        if function not in (1, 2, 3, 4):
            raise DeviceError(
                f"function {function} does not read.", field="function", value=function
            )
        if not 1 <= count <= (2000 if is_bits else 125):
            raise DeviceError(
                f"one request cannot read {count} values.",
                field="count",
                value=count,
                hint="Lower max_registers of the profile.",
            )
        payload = (count + 7) // 8 if is_bits else 2 * count

        def send(client: ModbusClient) -> ModbusPDU:
            reader = {
                1: client.read_coils,
                2: client.read_discrete_inputs,
                3: client.read_holding_registers,
                4: client.read_input_registers,
            }[function]
            return reader(address, count=count, device_id=unit_id)

        with self._lock:
            answer = self._request(unit_id, function, send, 2 + payload)
            if is_bits:
                return tuple(int(bit) for bit in answer.bits[:count])
            return tuple(answer.registers)

    def write(self, unit_id: int, function: int, address: int, words: Sequence[int]) -> None:
        """Write registers; the only way to write there is.

        Args:
            unit_id: Unit id of the device.
            function: 6 for one register, 16 for several.
            address: First wire address, 0-based.
            words: Registers to write, each 0..65535.

        Raises:
            WriteRefusedError: Writing is not enabled for this unit; nothing was sent.
            LinkError: No trustworthy confirmation; the write may or may not have arrived.
            DeviceAnswerError: The device refused it.
            DeviceError: The request itself is not valid.
        """
        if not self._settings(unit_id).writable:
            raise WriteRefusedError(
                f"writing to unit {unit_id} at {self.endpoint} is not enabled.",
                field="writable",
                value=False,
                hint="Enable writing for this device in the configuration.",
            )
        if (function == 6 and len(words) != 1) or (function == 16 and not 1 <= len(words) <= 123):
            raise DeviceError(
                f"function {function} cannot write {len(words)} registers.",
                field="words",
                value=len(words),
            )
        if function not in (6, 16):
            raise DeviceError(
                f"function {function} does not write registers.", field="function", value=function
            )

        def send(client: ModbusClient) -> ModbusPDU:
            if function == 6:
                return client.write_register(address, words[0], device_id=unit_id)
            return client.write_registers(address, list(words), device_id=unit_id)

        with self._lock:
            answer = self._request(unit_id, function, send, 5)
            echo = answer.registers[0] if function == 6 else answer.count
            expected = words[0] if function == 6 else len(words)
            if answer.address != address or echo != expected:
                raise self._distrust(
                    unit_id,
                    LinkFault.WRONG_ECHO,
                    f"confirmed a write to {answer.address} ({echo}) "
                    f"instead of {address} ({expected})",
                )

    def admit(self, unit_id: int, timeout_s: float) -> bool:
        """Let a unit id be read, never written, that is not configured (a connection test).

        Returns:
            True when it was not configured; then `dismiss` ends it.
        """
        with self._lock:
            if unit_id in self._units:
                return False
            self._units[unit_id] = UnitSettings(timeout_s, writable=False)
            self._unit_backoff[unit_id] = Backoff()
            self._counters[unit_id] = UnitCounters()
            return True

    def dismiss(self, unit_id: int) -> None:
        """Forget a unit id that `admit` let in."""
        with self._lock:
            del self._units[unit_id], self._unit_backoff[unit_id], self._counters[unit_id]

    def close(self) -> None:
        """Close the connection; the next request opens a new one."""
        with self._lock:
            if self._client is not None:
                self._client.close()
                self._client = None

    def abort(self) -> None:
        """End a request that another thread is waiting for; it fails with LinkError."""
        self._aborted.set()
        client = self._client
        if client is not None:
            abort(client)

    def hurry(self, timeout_s: float) -> None:
        """Make the next requests at once and wait at most `timeout_s` for each (used on stop)."""
        with self._lock:
            self._timeout_cap_s = timeout_s
            self._aborted.clear()
            self._connection_backoff.reset()
            for backoff in self._unit_backoff.values():
                backoff.reset()
            self.close()

    def _settings(self, unit_id: int) -> UnitSettings:
        settings = self._units.get(unit_id)
        if settings is None:
            raise DeviceError(
                f"unit {unit_id} is not configured at {self.endpoint}.",
                field="unit_id",
                value=unit_id,
                hint=f"Configured are {', '.join(str(unit) for unit in sorted(self._units))}.",
            )
        return settings

    def _error(self, unit_id: int, problem: str) -> LinkError:
        self._last_problem = problem
        return LinkError(f"unit {unit_id} at {self.endpoint}: {problem}.")

    def _distrust(self, unit_id: int, kind: LinkFault, problem: str) -> LinkError:
        """Close the connection, lengthen the waiting times and return the error to raise."""
        self.close()
        self._must_be_silent = self._transport.is_rtu
        self._counters[unit_id].fault(kind)
        now = self._clock.monotonic()
        self._unit_backoff[unit_id].fail(now)
        self._silent_in_a_row += 1
        if self._silent_in_a_row >= len(self._units):
            # Every unit had its turn in vain: the endpoint itself is in doubt.
            self._connection_backoff.fail(now)
        return self._error(unit_id, problem)

    def _request(
        self,
        unit_id: int,
        function: int,
        send: Callable[[ModbusClient], ModbusPDU],
        pdu_bytes: int,
    ) -> ModbusPDU:
        """Send one request and return its answer once function code and length are right."""
        settings = self._settings(unit_id)
        now = self._clock.monotonic()
        wait_s = max(
            self._connection_backoff.remaining_s(now), self._unit_backoff[unit_id].remaining_s(now)
        )
        if wait_s > 0:
            raise LinkError(
                f"unit {unit_id} at {self.endpoint}: {self._last_problem}, "
                f"next attempt in {wait_s:.1f} s."
            )
        self._counters[unit_id].request()
        timeout_s = settings.timeout_s
        if self._timeout_cap_s is not None:
            timeout_s = min(timeout_s, self._timeout_cap_s)
        client = self._connect(unit_id, timeout_s)
        self._pause(unit_id)
        self._received = b""
        started = self._stopwatch()
        try:
            answer = send(client)
        except (ModbusException, ValueError, OSError) as exc:
            raise self._distrust(unit_id, *self._why(client, exc, timeout_s)) from exc
        finally:
            self._ready_at_s = self._clock.monotonic() + self._min_gap_s
        latency_ms = (self._stopwatch() - started) * 1000.0
        if answer.isError():
            pdu_bytes = 2
        if answer.function_code & 0x7F != function:
            raise self._distrust(
                unit_id,
                LinkFault.WRONG_FUNCTION,
                f"answered function {answer.function_code} instead of {function}",
            )
        expected_bytes = self._transport.frame_bytes + pdu_bytes
        if len(self._received) != expected_bytes:
            raise self._distrust(
                unit_id,
                LinkFault.WRONG_LENGTH,
                f"answered {len(self._received)} bytes instead of {expected_bytes}",
            )
        self._silent_in_a_row = 0
        self._connection_backoff.reset()
        self._counters[unit_id].answer(latency_ms)
        if answer.isError():
            self._raise_exception_answer(unit_id, function, answer.exception_code)
        self._unit_backoff[unit_id].reset()
        return answer

    def _raise_exception_answer(self, unit_id: int, function: int, exception_code: int) -> None:
        self._counters[unit_id].fault(LinkFault.EXCEPTION, exception_code)
        self._last_problem = describe_exception(exception_code)
        error = DeviceAnswerError(
            f"unit {unit_id} at {self.endpoint}: {describe_exception(exception_code)}.",
            exception_code,
        )
        if error.is_illegal_request:
            self._unit_backoff[unit_id].reset()
        elif function not in _WRITE_FUNCTIONS:
            # A device that does not take a setpoint now can still be read.
            self._unit_backoff[unit_id].fail(self._clock.monotonic())
        raise error

    def _why(
        self, client: ModbusClient, problem: Exception, timeout_s: float
    ) -> tuple[LinkFault, str]:
        if self._received:
            return LinkFault.UNREADABLE, "the answer is not readable"
        if client.socket is None or isinstance(problem, OSError | ConnectionException):
            return LinkFault.CLOSED, "the device closed the connection"
        return LinkFault.TIMEOUT, f"no answer within {timeout_s:g} s"

    def _pause(self, unit_id: int) -> None:
        """Wait until the device may be asked again; `abort` ends it."""
        wait_s = self._ready_at_s - self._clock.monotonic()
        if wait_s > 0:
            self._clock.wait(self._aborted, wait_s)
        if self._aborted.is_set():
            self.close()
            raise self._error(unit_id, "the request was cut off")

    def _connect(self, unit_id: int, timeout_s: float) -> ModbusClient:
        if self._client is not None:
            surplus = unread(self._client)
            if surplus is None:
                self._set_timeout(self._client, timeout_s)
                return self._client
            self.close()
            if surplus:
                raise self._distrust(unit_id, LinkFault.UNASKED, "sent data that nobody asked for")
        client = self._open_client(self._host, self._port, timeout_s, self._trace)
        if not client.connect():
            self._counters[unit_id].fault(LinkFault.NO_CONNECTION)
            self._connection_backoff.fail(self._clock.monotonic())
            raise self._error(unit_id, "no connection, nothing listens there or it is unreachable")
        self._client = client
        self._session += 1
        self._ready_at_s = self._clock.monotonic() + self._connect_delay_s
        if self._must_be_silent:
            self._wait_for_silence(unit_id, client, timeout_s)
        return client

    def _wait_for_silence(self, unit_id: int, client: ModbusClient, timeout_s: float) -> None:
        """Throw away what still comes in until the line was silent for one timeout."""
        silence_s = timeout_s
        if self._timeout_cap_s is not None:
            # On stop only writes follow, and no late answer to a read looks like their echo.
            silence_s = min(silence_s, self._timeout_cap_s / SILENCE_TIMEOUTS)
        give_up_at_s = time.monotonic() + SILENCE_TIMEOUTS * silence_s
        while (heard := discard_for(client, silence_s)) is not None:
            if heard is False:
                raise self._distrust(unit_id, LinkFault.CLOSED, "the device closed the connection")
            if time.monotonic() >= give_up_at_s:
                raise self._distrust(unit_id, LinkFault.NOISE, "the line does not fall silent")
        self._must_be_silent = False

    @staticmethod
    def _set_timeout(client: ModbusClient, timeout_s: float) -> None:
        parameters = getattr(client, "comm_params", None)
        if parameters is not None:
            parameters.timeout_connect = timeout_s

    def _trace(self, sending: bool, data: bytes) -> bytes:
        if not sending:
            self._received = data
        return data
