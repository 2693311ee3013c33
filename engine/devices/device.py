"""One polled device: reads all its registers through its link into samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from engine.devices.codec import bad_sample, decode_sample, register_width
from engine.devices.link import DeviceAnswerError, ModbusLink
from engine.devices.planner import BlockReader, Point, Reading
from engine.devices.spec import DeviceSpec
from engine.domain.clock import Clock
from engine.domain.control import LinkStatus
from engine.domain.errors import DeviceError, LinkError
from engine.domain.sample import Sample
from engine.domain.signals import ALARMS


class PolledDevice:
    """State of one device; written by the thread that polls its link, read by anyone.

    Args:
        spec: The device.
        link: Connection it is behind.
        clock: Stamps the samples.
    """

    def __init__(self, spec: DeviceSpec, link: ModbusLink, clock: Clock) -> None:
        self.spec = spec
        self._link = link
        self._clock = clock
        profile = spec.profile
        self._points = {
            signal: Point(
                register.function, profile.wire_address(register.address), register_width(register)
            )
            for signal, register in profile.registers.items()
        }
        self._alarm_points = {
            name: Point(alarm.function, profile.wire_address(alarm.address), 1)
            for name, alarm in profile.alarms.items()
        }
        self._reader = BlockReader(
            (*self._points.values(), *self._alarm_points.values()), profile.max_registers
        )
        self._session = link.session
        self._state = "connecting"
        self._reason: str | None = "not read yet"
        self.failures_in_a_row = 0
        self.failures_total = 0
        self.last_success: datetime | None = None
        self.last_error: str | None = None
        self._samples = self._all_bad("not read yet")

    @property
    def samples(self) -> Mapping[str, Sample]:
        """Signal to sample of the newest poll; replaced as a whole, never changed."""
        return self._samples

    @property
    def requests_per_scan(self) -> int:
        """Number of block reads of one poll."""
        return len(self._reader.blocks)

    def status(self) -> LinkStatus:
        """Return the state of the connection to this device."""
        statistics = self._link.statistics(self.spec.unit_id)
        return LinkStatus(
            name=self.spec.name,
            state=self._state,
            reason=self._reason,
            endpoint=f"{self._link.endpoint} unit {self.spec.unit_id}",
            requests=statistics.requests,
            errors=statistics.errors,
            latency_ms=statistics.latency_ms,
            simulated=self.spec.simulated,
            writable=self.spec.writable,
        )

    def poll(self) -> None:
        """Read every register once; on any failure every signal becomes BAD."""
        try:
            readings = self._reader.read_all(self._request, self._clock.now)
        except LinkError as exc:
            self.fail("offline", str(exc))
        except DeviceError as exc:
            self.fail("degraded", str(exc))
        else:
            self._publish(readings)

    def fail(self, state: str, reason: str) -> None:
        """Make every signal BAD for `reason`."""
        self._samples = self._all_bad(reason)
        self._state, self._reason = state, reason
        self.failures_in_a_row += 1
        self.failures_total += 1
        self.last_error = reason

    def retire(self, reason: str) -> None:
        """Make every signal BAD because polling ended on purpose; this is no failure."""
        self._samples = self._all_bad(reason)
        self._state, self._reason = "offline", reason

    def _request(self, function: int, address: int, count: int) -> tuple[Sequence[int], datetime]:
        try:
            words = self._link.read(self.spec.unit_id, function, address, count)
        except (LinkError, DeviceAnswerError):
            self._forget_after_reconnect()
            raise
        self._forget_after_reconnect()
        return words, self._clock.now()

    def _forget_after_reconnect(self) -> None:
        if self._link.session != self._session:
            self._session = self._link.session
            self._reader.forget()

    def _publish(self, readings: Mapping[Point, Reading]) -> None:
        profile, name = self.spec.profile, self.spec.name
        samples: dict[str, Sample] = {}
        for signal, point in self._points.items():
            reading = readings[point]
            if reading.words is None:
                samples[signal] = bad_sample(reading.ts, name, f"{signal}: {reading.reason}")
            else:
                samples[signal] = decode_sample(profile, signal, reading.words, reading.ts, name)
        if self._alarm_points:
            samples["alarm_bits"] = self._alarm_sample(readings)
        self._samples = MappingProxyType(samples)
        refused = self._reader.refused
        if refused:
            missing = sorted(
                signal
                for signal, point in (*self._points.items(), *self._alarm_points.items())
                if point in refused
            )
            self._state = "degraded"
            self._reason = f"not supported by the device: {', '.join(missing)}"
        else:
            self._state, self._reason = "online", None
        self.failures_in_a_row = 0
        self.last_error = None
        self.last_success = self._clock.now()

    def _alarm_sample(self, readings: Mapping[Point, Reading]) -> Sample:
        bits = 0
        ts = self._clock.now()
        for name, point in self._alarm_points.items():
            reading = readings[point]
            ts = min(ts, reading.ts)
            if reading.words is None:
                # An alarm that cannot be read is not an alarm that is off.
                return bad_sample(reading.ts, self.spec.name, f"alarm {name}: {reading.reason}")
            bits |= reading.words[0] << ALARMS.index(name)
        return Sample(float(bits), ts, self.spec.name)

    def _all_bad(self, reason: str) -> Mapping[str, Sample]:
        ts = self._clock.now()
        return MappingProxyType(
            {signal: bad_sample(ts, self.spec.name, reason) for signal in self.spec.profile.signals}
        )
