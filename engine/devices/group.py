"""The devices of one site: what the engine reads from and commands."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from engine.devices.clock_sync import system_clock_synchronised
from engine.devices.command_state import CommandPhase, CommandState, LimitState
from engine.devices.commander import PowerCommander
from engine.devices.device import PolledDevice
from engine.devices.group_rules import check_specs, endpoint_of
from engine.devices.limit_commander import LimitCommander
from engine.devices.limit_share import checked_limit
from engine.devices.link import ModbusLink, UnitSettings
from engine.devices.link_statistics import UnitStatistics
from engine.devices.poller import LinkPoller
from engine.devices.register_view import RegisterReading, register_readings
from engine.devices.rtc import RtcState, RtcSync
from engine.devices.spec import DeviceSpec
from engine.devices.transport import OpenClient
from engine.devices.write_budget import WriteCountStore
from engine.domain.clock import Clock
from engine.domain.control import LinkStatus, StepHealth
from engine.domain.errors import DeviceError
from engine.domain.sample import Sample
from engine.domain.signals import SIGNALS

log = logging.getLogger(__name__)


class DeviceGroup:
    """Polls all devices of a site, commands its battery and limits its flexible devices.

    Either `start` runs one thread per endpoint, or the caller drives it with `poll_once`.

    Args:
        specs: The devices; all simulated or all real.
        clock: Stamps samples and gives the polling grid.
        signals_may_repeat: True when the caller combines signals that several devices supply.
        write_counts: Keeps the count of writes to flash memory across restarts.
        clock_synchronised: True when our own clock follows a time source; else no device's
            clock is set.
        open_client: Makes Modbus clients; replaced in tests only.

    Raises:
        DeviceError: No device, names or unit ids not unique, a signal supplied twice, simulated
            and real devices mixed, more than one device to command, devices on one serial line
            with different settings, or flash memory to write without `write_counts`.
    """

    def __init__(
        self,
        specs: Sequence[DeviceSpec],
        clock: Clock,
        *,
        signals_may_repeat: bool = False,
        write_counts: WriteCountStore | None = None,
        clock_synchronised: Callable[[], bool] = system_clock_synchronised,
        open_client: OpenClient | None = None,
    ) -> None:
        specs = tuple(specs)
        check_specs(specs, signals_may_repeat)
        self._clock = clock
        self._write_counts = write_counts
        self._clock_synchronised = clock_synchronised
        self._device_clocks: dict[PolledDevice, RtcSync] = {}
        self._devices: list[PolledDevice] = []
        self._links: dict[str, ModbusLink] = {}
        self._pollers: list[LinkPoller] = []
        self._commander: PowerCommander | None = None
        self._commanding_poller: LinkPoller | None = None
        self._refused_state = CommandState()
        self._limiters: dict[str, tuple[LimitCommander, LinkPoller]] = {}
        self._refused_limits: dict[str, LimitState] = {}
        self._stopped = False
        self._simulated = all(spec.simulated for spec in specs)
        endpoints: dict[str, list[DeviceSpec]] = {}
        for spec in specs:
            endpoints.setdefault(endpoint_of(spec), []).append(spec)
        for members in endpoints.values():
            self._add_link(members, open_client)

    def _add_link(self, specs: Sequence[DeviceSpec], open_client: OpenClient | None) -> None:
        units = {s.unit_id: UnitSettings(s.timeout_s, s.writable) for s in specs}
        first = specs[0]
        link = ModbusLink(
            first.host,
            first.port,
            units,
            self._clock,
            transport=first.transport,
            serial=first.serial,
            min_gap_s=max(spec.min_request_gap_s for spec in specs),
            connect_delay_s=max(spec.connect_delay_s for spec in specs),
            open_client=open_client,
        )
        devices = [PolledDevice(spec, link, self._clock) for spec in specs]
        commander: PowerCommander | None = None
        commanded: PolledDevice | None = None
        device_clocks: dict[PolledDevice, RtcSync] = {}
        limiters: dict[PolledDevice, LimitCommander] = {}
        for device in devices:
            if device.spec.takes_commands:
                commander = PowerCommander(device.spec, link, self._clock, self._write_counts)
                commanded = device
            if device.spec.takes_limits:
                limiters[device] = LimitCommander(
                    device.spec, link, self._clock, self._write_counts
                )
            if device.spec.profile.rtc is not None:
                device_clocks[device] = RtcSync(
                    device.spec, link, self._clock, self._clock_synchronised
                )
        poller = LinkPoller(
            link,
            devices,
            commander,
            commanded,
            self._clock,
            device_clocks=device_clocks,
            limiters=limiters,
        )
        self._devices.extend(devices)
        self._device_clocks |= device_clocks
        self._links |= {device.spec.name: link for device in devices}
        self._pollers.append(poller)
        self._limiters |= {d.spec.name: (limiter, poller) for d, limiter in limiters.items()}
        if commander is not None:
            self._commander, self._commanding_poller = commander, poller

    @property
    def simulated(self) -> bool:
        """True when every device of the group is simulated."""
        return self._simulated

    @property
    def commandable(self) -> bool:
        """True when a device takes power commands and writing to it is enabled."""
        return self._commander is not None

    def start(self) -> None:
        """Start one polling thread per endpoint.

        The clock must really wait: a manual clock is for `poll_once`.

        Raises:
            DeviceError: The group was stopped.
        """
        self._check_not_stopped()
        for poller in self._pollers:
            poller.start()

    def poll_once(self) -> None:
        """Write the pending command, then read every device, in the calling thread.

        Failures of devices are not raised: their signals are BAD afterwards.

        Raises:
            DeviceError: The group was stopped.
        """
        self._check_not_stopped()
        for poller in self._pollers:
            poller.poll_once()

    def samples(self) -> Mapping[str, Sample]:
        """Return canonical signal to newest sample; never older than the newest poll's result."""
        return {
            signal: sample
            for device in self._devices
            for signal, sample in device.samples.items()
            if signal in SIGNALS
        }

    def device_samples(self, name: str) -> Mapping[str, Sample]:
        """Return all samples of one device, signals outside the canonical list included.

        Raises:
            DeviceError: No device of that name.
        """
        for device in self._devices:
            if device.spec.name == name:
                return device.samples
        raise self._unknown(name)

    def registers(self, name: str) -> tuple[RegisterReading, ...]:
        """Return every value of one device beside the registers it was read from.

        Raises:
            DeviceError: No device of that name.
        """
        for device in self._devices:
            if device.spec.name == name:
                return register_readings(device.scan, device.samples)
        raise self._unknown(name)

    def connections(self) -> tuple[tuple[DeviceSpec, ModbusLink], ...]:
        """Return every device with the connection it is behind, for reading through it."""
        return tuple((device.spec, self._links[device.spec.name]) for device in self._devices)

    def statistics(self) -> Mapping[str, UnitStatistics]:
        """Return device name to its requests, errors by kind and latencies."""
        return {spec.name: link.statistics(spec.unit_id) for spec, link in self.connections()}

    def device_clocks(self) -> Mapping[str, RtcState]:
        """Return device name to the state of its clock, for devices whose clock can be set."""
        return {device.spec.name: sync.state for device, sync in self._device_clocks.items()}

    def links(self) -> tuple[LinkStatus, ...]:
        """Return the state of the connection to every device, in configured order."""
        return tuple(device.status() for device in self._devices)

    def command_power(self, power_kw: float) -> None:
        """Ask for battery power (+ discharge, - charge); replaces an earlier command, no waiting.

        Without a writable device nothing is sent and the command state says so.

        Raises:
            DeviceError: Not a finite number.
        """
        if self._commander is None or self._commanding_poller is None or self._stopped:
            self._refused_state = CommandState(
                CommandPhase.REFUSED,
                "the devices are stopped"
                if self._stopped
                else "no device is enabled for writing; nothing was sent",
                requested_kw=power_kw,
                ts=self._clock.now(),
            )
            return
        self._commander.command(power_kw)
        self._commanding_poller.wake()

    def command_state(self) -> CommandState:
        """Return how far the newest command got."""
        if self._commander is None or self._refused_state.state is CommandPhase.REFUSED:
            return self._refused_state
        return self._commander.state

    def last_poll(self) -> datetime | None:
        """Return when the newest poll ended that every endpoint took part in; failed ones count.

        None until every endpoint was polled once.
        """
        times = [poller.last_poll for poller in self._pollers]
        known = [ts for ts in times if ts is not None]
        return min(known) if len(known) == len(times) else None

    @property
    def limitable(self) -> frozenset[str]:
        """Names of the devices that take power limits and are enabled for writing."""
        return frozenset(self._limiters)

    def limit_power(self, device: str, limit_kw: float | None) -> None:
        """Ask for the most `device` may generate or draw; replaces an earlier one, no waiting.

        When the device takes no limit or writing to it is not enabled nothing is sent and its
        limit state says so.

        Args:
            device: Name of the device.
            limit_kw: Limit, >= 0; None for no limit.

        Raises:
            DeviceError: No device of that name, or the limit is negative or not finite.
        """
        spec = self._spec_of(device)
        if limit_kw is not None:
            checked_limit(limit_kw)
        if device not in self._limiters or self._stopped:
            if self._stopped:
                reason = "the devices are stopped"
            elif "limit_power_kw" not in spec.profile.commands:
                reason = f"{device} takes no power limit; nothing was sent"
            else:
                reason = f"{device} is not enabled for writing; nothing was sent"
            self._refused_limits[device] = LimitState(
                CommandPhase.REFUSED, reason, requested_kw=limit_kw, ts=self._clock.now()
            )
            return
        limiter, poller = self._limiters[device]
        limiter.limit(limit_kw)
        poller.wake()

    def limit_states(self) -> Mapping[str, LimitState]:
        """Return device name to how far its newest limit got, for every device limited or refused.

        Devices that can be limited are always among them.
        """
        states = {name: limiter.state for name, (limiter, _) in self._limiters.items()}
        return {**states, **self._refused_limits}

    def _spec_of(self, name: str) -> DeviceSpec:
        for device in self._devices:
            if device.spec.name == name:
                return device.spec
        raise self._unknown(name)

    def _unknown(self, name: str) -> DeviceError:
        return DeviceError(
            f"no such device (got {name!r}).",
            field="device",
            value=name,
            hint=f"Known are {', '.join(device.spec.name for device in self._devices)}.",
        )

    def poll_health(self) -> StepHealth:
        """Return the supervision record: ok only when the newest poll of every device succeeded."""
        failing = [device for device in self._devices if device.failures_in_a_row]
        successes = [device.last_success for device in self._devices]
        known = [ts for ts in successes if ts is not None]
        complete = len(known) == len(successes)
        return StepHealth(
            name="poll",
            ok=not failing and complete,
            last_success=min(known) if complete else None,
            failures=max((device.failures_in_a_row for device in failing), default=0),
            restarts=sum(device.failures_total for device in self._devices),
            last_error=failing[0].last_error if failing else None,
        )

    def configured_signals(self) -> frozenset[str]:
        """Return the canonical signals that the devices are meant to supply."""
        return frozenset(
            signal
            for device in self._devices
            for signal in device.spec.profile.signals
            if signal in SIGNALS
        )

    def stop(self, safe_power_kw: float | None = 0.0, timeout_s: float = 1.5) -> None:
        """Write the safe setpoint if writing is enabled, lift every limit, then close everything.

        Returns within about `timeout_s` of real time even when a device does not answer; the
        log then says that the setpoint was not written. Calling it again does nothing.

        Args:
            safe_power_kw: Setpoint to leave behind, or None to leave the last one.
            timeout_s: Time for all of it, in seconds.
        """
        if self._stopped:
            return
        self._stopped = True
        deadline_s = time.monotonic() + timeout_s
        for poller in self._pollers:
            poller.request_stop(safe_power_kw, deadline_s)
        for poller in self._pollers:
            if not poller.finish():
                log.error("%s did not stop within %g s", poller.endpoint, timeout_s)

    def _check_not_stopped(self) -> None:
        if self._stopped:
            raise DeviceError("the device group was stopped.", hint="Create a new group.")
