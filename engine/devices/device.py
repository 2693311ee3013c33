"""One polled device: reads all its registers through its link into samples.

A device with SunSpec signals is walked once per connection, because models
move with firmware and settings; texts are read once per connection too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from engine.devices.answer_error import DeviceAnswerError
from engine.devices.codec import bad_sample, decode_sample, decode_text, is_active
from engine.devices.derive import add_derived
from engine.devices.layout import Layout, lay_out
from engine.devices.link import ModbusLink
from engine.devices.planner import BlockReader, Point, Reading
from engine.devices.profile_def import DeviceProfile
from engine.devices.register_view import Scan
from engine.devices.spec import DeviceSpec
from engine.devices.sunspec.discovery import discover
from engine.devices.sunspec.resolve import resolve
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
        self._profile: DeviceProfile = spec.profile
        self._signals = spec.profile.signals
        self._layout: Layout
        self._reader: BlockReader
        self._use(spec.profile)
        self._prepared_for: int | None = None
        self._sessions_seen: set[int] = set()
        self._texts: Mapping[str, str] = MappingProxyType({})
        self._session = link.session
        self._state = "connecting"
        self._reason: str | None = "not read yet"
        self.failures_in_a_row = 0
        self.failures_total = 0
        self.last_success: datetime | None = None
        self.last_error: str | None = None
        self._samples = self._all_bad("not read yet")
        self._scan = Scan(spec.profile, self._layout, MappingProxyType({}))

    @property
    def scan(self) -> Scan:
        """What the device answered at the last poll that succeeded, raw; replaced as a whole."""
        return self._scan

    @property
    def samples(self) -> Mapping[str, Sample]:
        """Signal to sample of the newest poll; replaced as a whole, never changed."""
        return self._samples

    @property
    def profile(self) -> DeviceProfile:
        """The profile in use: with SunSpec signals at the addresses this device has them."""
        return self._profile

    @property
    def texts(self) -> Mapping[str, str]:
        """Name to text as the device reported it on this connection, e.g. its serial number."""
        return self._texts

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
            self._prepare()
            readings = self._reader.read_all(self._request, self._clock.now)
            self._check_still_prepared()
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

    def _use(self, profile: DeviceProfile) -> None:
        self._profile = profile
        self._layout = lay_out(profile)
        self._reader = BlockReader(self._layout.points, profile.max_registers)

    def _prepare(self) -> None:
        """Walk the models and read the texts once per connection."""
        profile = self.spec.profile
        if profile.sunspec is None and not profile.texts:
            return
        if self._prepared_for == self._link.session:
            return
        self._sessions_seen.clear()
        if profile.sunspec is not None:
            self._use(resolve(profile, discover(self._words, profile.sunspec.bases)))
        self._texts = MappingProxyType(self._read_texts())
        if len(self._sessions_seen) > 1:
            raise self._renewed()
        self._prepared_for = self._link.session
        self._forget_after_reconnect()

    def _check_still_prepared(self) -> None:
        if self.spec.profile.sunspec is not None and self._prepared_for != self._link.session:
            raise self._renewed()

    def _renewed(self) -> DeviceError:
        return DeviceError(
            f"{self.spec.name}: the connection was renewed while the device was being read.",
            field="sunspec",
            hint="It is read from the start at the next poll.",
        )

    def _read_texts(self) -> dict[str, str]:
        found: dict[str, str] = {}
        for name, text in self._profile.texts.items():
            try:
                words = self._words(
                    text.function, self._profile.wire_address(text.address), text.length
                )
            except DeviceAnswerError as exc:
                if not exc.is_illegal_request:
                    raise
                # A device without this text is as good as any other.
                continue
            value = decode_text(words)
            if value is not None:
                found[name] = value
        return found

    def _words(self, function: int, address: int, count: int) -> Sequence[int]:
        try:
            return self._link.read(self.spec.unit_id, function, address, count)
        finally:
            self._sessions_seen.add(self._link.session)

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
        profile, name = self._profile, self.spec.name
        samples: dict[str, Sample] = {}
        for signal, slot in self._layout.registers.items():
            reading = readings[slot.point]
            if reading.words is None:
                samples[signal] = bad_sample(reading.ts, name, f"{signal}: {reading.reason}")
            else:
                samples[signal] = decode_sample(
                    profile,
                    signal,
                    slot.words(reading.words),
                    reading.ts,
                    name,
                    factor_word=slot.factor_word(reading.words),
                )
        add_derived(profile.derived, samples, name)
        if self._layout.alarms:
            samples["alarm_bits"] = self._alarm_sample(readings)
        for signal in self._signals - samples.keys():
            reason = f"{signal}: the device has no SunSpec model for it"
            samples[signal] = bad_sample(self._clock.now(), name, reason)
        self._samples = MappingProxyType(samples)
        self._scan = Scan(profile, self._layout, readings)
        refused = self._reader.refused
        if refused:
            places = list(self._layout.registers.items())
            places += [
                (name, slot) for name, found in self._layout.alarms.items() for _, slot in found
            ]
            missing = sorted({signal for signal, slot in places if slot.point in refused})
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
        for name, places in self._layout.alarms.items():
            for place, slot in places:
                reading = readings[slot.point]
                ts = min(ts, reading.ts)
                if reading.words is None:
                    # An alarm that cannot be read is not an alarm that is off.
                    return bad_sample(reading.ts, self.spec.name, f"alarm {name}: {reading.reason}")
                word = slot.words(reading.words)[0]
                if word == place.sentinel:
                    reason = f"alarm {name}: the device reports 'not available'"
                    return bad_sample(reading.ts, self.spec.name, reason)
                bits |= int(is_active(place, word)) << ALARMS.index(name)
        return Sample(float(bits), ts, self.spec.name)

    def _all_bad(self, reason: str) -> Mapping[str, Sample]:
        ts = self._clock.now()
        return MappingProxyType(
            {signal: bad_sample(ts, self.spec.name, reason) for signal in self.spec.profile.signals}
        )
