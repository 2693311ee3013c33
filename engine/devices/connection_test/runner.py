"""The connection test, step by step: resolve, connect, unit, addresses, registers, physics."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, cast

from engine.devices.answer_error import DeviceAnswerError
from engine.devices.codec import register_width
from engine.devices.connection_test.access import LiveReader, OwnReader, Reader, Recorder
from engine.devices.connection_test.physics import Observation, examine
from engine.devices.connection_test.plausibility import (
    Score,
    judge,
    with_address_base,
    with_swapped_words,
)
from engine.devices.connection_test.ranges import range_findings
from engine.devices.connection_test.report import (
    Candidate,
    ConnectionReport,
    Finding,
    RegisterReading,
    Step,
    StepState,
)
from engine.devices.device import PolledDevice
from engine.devices.group import DeviceGroup
from engine.devices.link import ModbusLink
from engine.devices.profile_def import DeviceProfile
from engine.devices.register_def import READ_BITS
from engine.devices.spec import DeviceSpec
from engine.devices.transport import Transport
from engine.domain.clock import Clock
from engine.domain.errors import DeviceError, LinkError
from engine.domain.sample import Sample
from engine.domain.signals import ALARMS, SIGNALS
from engine.domain.site import Battery

TIME_LIMIT_S: Final = 20.0
OBSERVE_S: Final = 3.0
"""Pause between the two scans that counters and slopes are judged by."""

CLEARLY_BETTER: Final = 0.12
"""Lead in score from which another setting is believed."""

CONVINCING: Final = 0.85
"""Score another setting needs to be believed: right settings of the profiles' images reach 0.91,
wrong ones at most 0.81 where no right one is among those tried."""

DOUBTFUL: Final = 0.60
"""Score below which the values are nonsense under the configured setting."""

LIKELY_UNITS: Final = (1, 2, 3, 247, 255, 0, 10, 100)
"""Unit ids devices are delivered with, tried when the configured one is silent."""

_SHOWN: Final = ("soc_percent", "voltage_v", "current_a", "battery_kw", "grid_kw", "pv_kw")
_GATEWAY_SAYS_ABSENT: Final = (10, 11)

Resolve = Callable[[str, int], list[str]]
"""Returns the addresses of a host name; raises OSError when there are none."""


def system_resolve(host: str, port: int) -> list[str]:
    """Return the addresses the operating system knows for `host`, preferred first."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def run_connection_test(
    spec: DeviceSpec,
    live: DeviceGroup | ModbusLink | None,
    clock: Clock,
    *,
    address: str | None = None,
    site_samples: Callable[[], Mapping[str, Sample]] = dict,
    past: Sequence[Observation] = (),
    battery: Battery | None = None,
    resolve: Resolve = system_resolve,
    time_limit_s: float = TIME_LIMIT_S,
    observe_s: float = OBSERVE_S,
    stopwatch: Callable[[], float] = time.perf_counter,
) -> ConnectionReport:
    """Test one device, reading only: no code path of it can write, whatever `spec` allows.

    The connection that polls the device already is used where one is open, because many
    devices accept a single client only.

    Args:
        spec: The device as it is, or is to be, configured.
        live: Group or link that may hold a connection to it; None for none.
        clock: Time; its `wait` paces the test.
        address: Address to connect to, when the caller has resolved and checked the host.
        site_samples: Newest samples of the whole site by canonical signal, for balances.
        past: Earlier observations of the site, ascending, for slow effects (SoC).
        battery: Nameplate of the site's battery, or None.
        resolve: Resolves host names.
        time_limit_s: Longest duration; a test cut short says so.
        observe_s: Pause between the two scans.
        stopwatch: Seconds of a timer for latencies.
    """
    test = _Test(spec, clock, stopwatch, time_limit_s)
    addresses = test.resolve(address, resolve)
    if addresses is None:
        return test.report()
    link = _live_link(spec, addresses, live, resolve)
    # Two programs on one serial line would spoil each other's frames, so it is never opened twice.
    shared = link is not None and (link.connected or spec.transport is Transport.RTU)
    if link is not None and shared:
        test.use(LiveReader(link, spec.unit_id, spec.timeout_s))
    else:
        host = addresses[0] if addresses else ""
        timeout_s = min(spec.timeout_s, time_limit_s / 6.0)
        test.use(OwnReader(spec, host, timeout_s, clock))
    try:
        if test.contact(addresses):
            test.probe()
            test.observe(observe_s, site_samples, past, battery)
    except _OutOfTimeError:
        test.out_of_time = True
    finally:
        test.close()
    return test.report()


class _OutOfTimeError(Exception):
    """The time limit was reached."""


@dataclass(frozen=True, slots=True)
class _Scan:
    """One way to read the device: profile, samples, judgement."""

    profile: DeviceProfile
    samples: Mapping[str, Sample]
    score: Score
    address_base: int
    swapped: bool
    problem: str | None

    @property
    def points(self) -> float:
        return -1.0 if self.score.overall is None else self.score.overall


class _Test:
    """State of one test while it runs."""

    def __init__(
        self,
        spec: DeviceSpec,
        clock: Clock,
        stopwatch: Callable[[], float],
        time_limit_s: float,
    ) -> None:
        # Even a device that is enabled for writing is tested as one that is not.
        self._spec = replace(spec, writable=False)
        self._clock = clock
        self._stopwatch = stopwatch
        self._ends_s = clock.monotonic() + time_limit_s
        self._started = clock.now()
        self._started_s = stopwatch()
        self._step_s = self._started_s
        self._reader: Reader | None = None
        self._recorder: Recorder | None = None
        self._steps: list[Step] = []
        self._findings: list[Finding] = []
        self._candidates: tuple[Candidate, ...] = ()
        self._registers: tuple[RegisterReading, ...] = ()
        self._address_base: int | None = None
        self._configured: _Scan | None = None
        self.out_of_time = False

    def use(self, reader: Reader) -> None:
        self._reader = reader
        self._recorder = Recorder(reader, self._stopwatch, self._check_time)

    def close(self) -> None:
        if self._reader is not None:
            self._reader.close()

    def resolve(self, address: str | None, resolve: Resolve) -> list[str] | None:
        """Return the addresses of the device ([] on a serial line), or None when it has none."""
        spec = self._spec
        if spec.transport is Transport.RTU:
            self._add("resolve", StepState.SKIPPED, "A serial line needs no name.")
            return []
        if address is not None:
            self._add("resolve", StepState.OK, f"{spec.host} is {address}.")
            return [address]
        try:
            found = resolve(spec.host, spec.port)
        except OSError as exc:
            self._add(
                "resolve",
                StepState.FAILED,
                f"{spec.host} has no address ({exc.strerror or exc}).",
                "Correct the host name, or give the device's IP address.",
            )
            return None
        self._add("resolve", StepState.OK, f"{spec.host} is {', '.join(found)}.")
        return found

    def contact(self, addresses: list[str]) -> bool:
        """Connect and ask the unit; True when it answers."""
        reader, spec = self._reader_now, self._spec
        problem = self._ask_unit(spec.unit_id)
        if not reader.ever_connected:
            self._add("connect", StepState.FAILED, *self._why_no_connection(addresses))
            return False
        way = "through the connection that is already open" if reader.live else "connected"
        self._add("connect", StepState.OK, f"{reader.endpoint}: {way}.")
        if problem is None:
            self._add("unit", StepState.OK, f"Unit {spec.unit_id} answers.")
            return True
        hint = (
            "Check the unit id. If another program is connected to the device, close it: many "
            "devices accept one connection only."
        )
        if not reader.live:
            answering = self._answering_units()
            if answering:
                units = ", ".join(str(unit) for unit in answering)
                hint = f"Try unit_id {units}: there something answers."
        self._add("unit", StepState.FAILED, problem, hint)
        return False

    def probe(self) -> None:
        """Read under every base and word order and compare."""
        profile = self._spec.profile
        scans = [self._scan(profile, profile.address_base, swapped=False)]
        configured = scans[0]
        self._configured = configured
        if configured.problem is not None and not configured.score.by_function:
            self._add("addresses", StepState.FAILED, configured.problem)
            return
        if profile.registers:
            other = 1 - profile.address_base
            shifted = with_address_base(profile, other)
            if shifted is not None:
                scans.append(self._scan(shifted, other, swapped=False))
            for scan in tuple(scans):
                swapped = with_swapped_words(scan.profile)
                if swapped is not None:
                    scans.append(self._scan(swapped, scan.address_base, swapped=True))
        # Of equally plausible settings the one that differs less is believed.
        ranked = sorted(
            scans, key=lambda scan: (-scan.points, scan is not configured, scan.swapped)
        )
        self._candidates = tuple(
            Candidate(
                address_base=scan.address_base,
                word_order_swapped=scan.swapped,
                configured=scan is configured,
                score=scan.score.overall,
                by_function=scan.score.by_function,
                values=_shown(scan.samples),
            )
            for scan in ranked
        )
        self._judge_candidates(configured, ranked)
        self._list_registers(configured)

    def observe(
        self,
        observe_s: float,
        site_samples: Callable[[], Mapping[str, Sample]],
        past: Sequence[Observation],
        battery: Battery | None,
    ) -> None:
        """Read again after a while and let physics judge."""
        first = self._configured
        if first is None or first.problem is not None:
            return
        settings_wrong = any(f.code in ("address_base", "word_order") for f in self._findings)
        if settings_wrong:
            self._add(
                "physics",
                StepState.SKIPPED,
                "Correct the addresses first: under them no value means anything.",
            )
            return
        self._findings += range_findings(first.profile, first.samples, self._recorder_now)
        # Signals the device itself supplies, seen together with those of the other devices.
        own = frozenset(name for name in first.samples if name in SIGNALS)
        observations = [self._observation(first.samples, site_samples())]
        self._clock.wait(threading.Event(), min(observe_s, self._remaining_s() / 2.0))
        self._recorder_now.forget()
        again = self._scan(self._spec.profile, first.address_base, swapped=False)
        if again.problem is None:
            observations.append(self._observation(again.samples, site_samples()))
        findings = examine(own, observations, past, battery)
        self._findings += findings
        if again.problem is not None:
            self._add("physics", StepState.WARNING, f"The second reading failed: {again.problem}")
        elif findings:
            many = len(findings) > 1
            told = f"{len(findings)} things do not" if many else "One thing does not"
            self._add("physics", StepState.WARNING, f"{told} add up; see findings.")
        else:
            self._add("physics", StepState.OK, "Nothing contradicts physics.")

    def report(self) -> ConnectionReport:
        """Return everything found so far."""
        reader, spec = self._reader, self._spec
        host = f"{spec.host}:{spec.port}"
        return ConnectionReport(
            device=spec.name,
            profile=spec.profile.key,
            endpoint=host if reader is None else reader.endpoint,
            unit_id=spec.unit_id,
            through_live_link=reader is not None and reader.live,
            simulated=spec.simulated,
            started=self._started,
            duration_ms=self._since(self._started_s),
            steps=tuple(self._steps),
            candidates=self._candidates,
            registers=self._registers,
            findings=tuple(self._findings),
            address_base=self._address_base,
            out_of_time=self.out_of_time,
        )

    @property
    def _reader_now(self) -> Reader:
        if self._reader is None:
            raise DeviceError("the connection test has no connection yet.")
        return self._reader

    @property
    def _recorder_now(self) -> Recorder:
        if self._recorder is None:
            raise DeviceError("the connection test has no connection yet.")
        return self._recorder

    def _since(self, start_s: float) -> float:
        return (self._stopwatch() - start_s) * 1000.0

    def _remaining_s(self) -> float:
        return max(0.0, self._ends_s - self._clock.monotonic())

    def _check_time(self) -> None:
        if self._remaining_s() <= 0.0:
            raise _OutOfTimeError

    def _add(self, name: str, state: StepState, detail: str, hint: str | None = None) -> None:
        self._steps.append(Step(name, state, detail, hint, self._since(self._step_s)))
        self._step_s = self._stopwatch()

    def _ask_unit(self, unit_id: int) -> str | None:
        """Return None when the unit answers anything, else why it does not."""
        problem = "The profile has no register to ask for."
        for function, address in _first_addresses(self._spec.profile):
            self._check_time()
            try:
                self._reader_now.read(unit_id, function, address, 1)
            except DeviceAnswerError as exc:
                if exc.exception_code not in _GATEWAY_SAYS_ABSENT:
                    return None
                problem = f"Unit {unit_id}: {exc.meaning}."
            except LinkError as exc:
                return str(exc)
            else:
                return None
        return problem

    def _answering_units(self) -> list[int]:
        found: list[int] = []
        for unit_id in LIKELY_UNITS:
            try:
                if unit_id != self._spec.unit_id and self._ask_unit(unit_id) is None:
                    found.append(unit_id)
            except _OutOfTimeError:
                self.out_of_time = True
                break
        return found

    def _why_no_connection(self, addresses: list[str]) -> tuple[str, str]:
        spec = self._spec
        if spec.transport is Transport.RTU:
            return (
                f"{self._reader_now.endpoint} cannot be opened.",
                "Check the serial device, its permissions and that nothing else uses it.",
            )
        where = f"{addresses[0]}:{spec.port}"
        try:
            socket.create_connection(
                (addresses[0], spec.port), min(spec.timeout_s, self._remaining_s() + 0.1)
            ).close()
        except ConnectionRefusedError:
            return (
                f"{where} refuses the connection: nothing listens there.",
                "Check the port, and that Modbus TCP is switched on in the device.",
            )
        except TimeoutError:
            return (
                f"{where} does not answer.",
                "Check the address, the network cable and firewalls on the way.",
            )
        except OSError as exc:
            return (
                f"{where} cannot be reached ({exc.strerror or exc}).",
                "Check the address and the network.",
            )
        return (
            f"{where} accepts connections only now and then.",
            "Another program may be connected; many devices accept one connection only.",
        )

    def _scan(self, profile: DeviceProfile, address_base: int, *, swapped: bool) -> _Scan:
        recorder = self._recorder_now
        # The recorder has all of a link that polling uses, and nothing that writes.
        link = cast(ModbusLink, recorder)
        device = PolledDevice(replace(self._spec, profile=profile), link, self._clock)
        device.poll()
        return _Scan(
            profile=device.profile,
            samples=device.samples,
            score=judge(device.profile, device.samples, recorder),
            address_base=address_base,
            swapped=swapped,
            problem=device.last_error,
        )

    def _judge_candidates(self, configured: _Scan, ranked: list[_Scan]) -> None:
        best = ranked[0]
        others = [
            scan.points
            for scan in ranked
            if scan.address_base != best.address_base and scan.swapped == best.swapped
        ]
        if others and best.points >= CONVINCING and best.points - others[0] >= CLEARLY_BETTER:
            self._address_base = best.address_base
        if best.points - configured.points >= CLEARLY_BETTER and best.points >= CONVINCING:
            self._accuse(configured, best)
            return
        score = max(0.0, configured.points)
        if score < DOUBTFUL:
            self._doubt_profile(score)
            return
        if not others or self._address_base is not None:
            detail = f"The values are plausible as configured (score {score:.2f} of 1)."
            self._add("addresses", StepState.OK, detail)
        elif self._spec.profile.address_base_stated:
            detail = f"Nothing speaks against the profile's addresses (score {score:.2f} of 1)."
            self._add("addresses", StepState.OK, detail)
        else:
            self._add(
                "addresses",
                StepState.WARNING,
                "The values look equally plausible whether addresses count from 0 or from 1.",
                "Repeat the test while the battery is charging or discharging.",
            )
        self._accuse_functions(configured, ranked)

    def _accuse(self, configured: _Scan, best: _Scan) -> None:
        compared = f"(score {best.points:.2f} against {max(0.0, configured.points):.2f})"
        hints = []
        if best.address_base != configured.address_base:
            hint = f"Set address_base: {best.address_base}."
            hints.append(hint)
            self._findings.append(
                Finding(
                    "error",
                    "address_base",
                    (),
                    f"Addresses seem to count from {best.address_base}, not from "
                    f"{configured.address_base} {compared}.",
                    hint,
                )
            )
        if best.swapped:
            hint = "Turn the word_order of the registers of 32 bits and more round."
            hints.append(hint)
            self._findings.append(
                Finding(
                    "error",
                    "word_order",
                    tuple(s for s, r in configured.profile.registers.items() if r.type.width > 1),
                    f"The registers of longer numbers seem to come in the other order {compared}.",
                    hint,
                )
            )
        self._add("addresses", StepState.FAILED, self._findings[-1].message, " ".join(hints))

    def _doubt_profile(self, score: float) -> None:
        message = f"Under no setting that was tried do the values make sense (score {score:.2f})."
        hint = "Check the profile, the unit id, the firmware of the device and the scales."
        self._findings.append(Finding("error", "profile", (), message, hint))
        self._add("addresses", StepState.FAILED, message, hint)

    def _accuse_functions(self, configured: _Scan, ranked: list[_Scan]) -> None:
        """Name a function code that alone fits better under the other base."""
        for scan in ranked:
            if scan.swapped or scan.address_base == configured.address_base:
                continue
            for function, score in scan.score.by_function.items():
                own = configured.score.by_function.get(function, score)
                if score - own >= 2 * CLEARLY_BETTER:
                    signals = tuple(
                        s for s, r in configured.profile.registers.items() if r.function == function
                    )
                    self._findings.append(
                        Finding(
                            "warning",
                            "address_base",
                            signals,
                            f"Addresses read with function {function} seem to count from "
                            f"{scan.address_base} (score {score:.2f} against {own:.2f}).",
                            f"Shift the addresses of function {function} by one.",
                        )
                    )

    def _list_registers(self, scan: _Scan) -> None:
        rows = [self._register_row(scan, signal) for signal in scan.profile.registers]
        rows += [self._alarm_row(scan, name) for name in scan.profile.alarms]
        rows += [
            _derived_row(signal, sample)
            for signal, sample in scan.samples.items()
            if signal not in scan.profile.registers and signal != "alarm_bits"
        ]
        self._registers = tuple(rows)
        bad = [row.signal for row in rows if row.quality == "bad"]
        if scan.problem is not None:
            self._add("registers", StepState.FAILED, scan.problem)
        elif bad:
            self._add(
                "registers",
                StepState.WARNING,
                f"{len(rows) - len(bad)} of {len(rows)} values are usable; not: {', '.join(bad)}.",
                "See the reason beside each value.",
            )
        else:
            self._add("registers", StepState.OK, f"All {len(rows)} values are usable.")

    def _register_row(self, scan: _Scan, signal: str) -> RegisterReading:
        register = scan.profile.registers[signal]
        answer = self._recorder_now.answer(
            register.function, scan.profile.wire_address(register.address), register_width(register)
        )
        sample = scan.samples[signal]
        unit = SIGNALS[signal].unit if signal in SIGNALS else register.unit or ""
        return RegisterReading(
            signal=signal,
            address=register.address,
            function=register.function,
            data_type="bit" if register.function in READ_BITS else register.type.value,
            words=None if answer is None else answer.words,
            value=sample.value,
            unit=unit,
            quality=sample.quality.value,
            reason=sample.reason,
            latency_ms=None if answer is None else answer.latency_ms,
            description=register.description,
        )

    def _alarm_row(self, scan: _Scan, name: str) -> RegisterReading:
        alarm = scan.profile.alarms[name]
        answer = self._recorder_now.answer(
            alarm.function, scan.profile.wire_address(alarm.address), 1
        )
        bits = scan.samples["alarm_bits"]
        value = None if bits.value is None else float(int(bits.value) >> ALARMS.index(name) & 1)
        return RegisterReading(
            signal=name,
            address=alarm.address,
            function=alarm.function,
            data_type="bit",
            words=None if answer is None else answer.words,
            value=value,
            unit="",
            quality=bits.quality.value,
            reason=bits.reason,
            latency_ms=None if answer is None else answer.latency_ms,
            description=f"alarm, {alarm.severity}",
        )

    def _observation(
        self, samples: Mapping[str, Sample], site: Mapping[str, Sample]
    ) -> Observation:
        values = {n: s.value for n, s in {**site, **samples}.items() if s.usable}
        known = {name: value for name, value in values.items() if value is not None}
        return Observation(self._clock.now(), known)


def _derived_row(signal: str, sample: Sample) -> RegisterReading:
    return RegisterReading(
        signal=signal,
        address=None,
        function=None,
        data_type=None,
        words=None,
        value=sample.value,
        unit=SIGNALS[signal].unit if signal in SIGNALS else "",
        quality=sample.quality.value,
        reason=sample.reason,
        latency_ms=None,
        description="derived",
    )


def _shown(samples: Mapping[str, Sample]) -> Mapping[str, float]:
    found = {name: samples[name].value for name in _SHOWN if name in samples}
    return {name: value for name, value in found.items() if value is not None}


def _first_addresses(profile: DeviceProfile) -> list[tuple[int, int]]:
    """Return (function, wire address) of one register per function code, most telling first."""
    found: dict[int, int] = {}
    for register in profile.registers.values():
        found.setdefault(register.function, profile.wire_address(register.address))
    for alarm in profile.alarms.values():
        found.setdefault(alarm.function, profile.wire_address(alarm.address))
    if profile.sunspec is not None and not found:
        # The marker of a SunSpec map stands in holding registers.
        found[3] = profile.sunspec.bases[0]
    return list(found.items())


def _live_link(
    spec: DeviceSpec,
    addresses: list[str],
    live: DeviceGroup | ModbusLink | None,
    resolve: Resolve,
) -> ModbusLink | None:
    """Return the link that holds a connection to the endpoint of `spec`, if there is one."""
    if live is None or isinstance(live, ModbusLink):
        return live
    for other, link in live.connections():
        if other.transport is not spec.transport:
            continue
        if spec.transport is Transport.RTU:
            if (
                other.serial is not None
                and spec.serial is not None
                and (other.serial.device == spec.serial.device)
            ):
                return link
        elif other.port == spec.port and (
            other.host == spec.host or _same_host(other, addresses, resolve)
        ):
            return link
    return None


def _same_host(other: DeviceSpec, addresses: list[str], resolve: Resolve) -> bool:
    if other.host in addresses:
        return True
    try:
        return bool(set(resolve(other.host, other.port)) & set(addresses))
    except OSError:
        # A host without an address has no open connection either.
        return False
