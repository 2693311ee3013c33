"""One thread per connection: writes first, then reads, on a fixed grid.

Slots that were missed are skipped, never caught up in a burst. A new command
wakes the thread early. `poll_once` does the same without a thread.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from engine.devices.commander import PowerCommander
from engine.devices.device import PolledDevice
from engine.devices.limit_commander import LimitCommander
from engine.devices.link import ModbusLink
from engine.devices.rtc import RtcSync
from engine.domain.clock import Clock
from engine.domain.site_context import SiteThread

log = logging.getLogger(__name__)


class LinkPoller:
    """Polls the devices behind one link.

    Args:
        link: The connection.
        devices: Devices behind it, in polling order.
        commander: Takes power commands for one of the devices, or None.
        commanded: The device `commander` writes to, or None.
        clock: Gives the grid.
        device_clocks: Devices whose clock is set on each new connection.
        limiters: Devices whose power can be limited.
    """

    def __init__(
        self,
        link: ModbusLink,
        devices: Sequence[PolledDevice],
        commander: PowerCommander | None,
        commanded: PolledDevice | None,
        clock: Clock,
        *,
        device_clocks: Mapping[PolledDevice, RtcSync] | None = None,
        limiters: Mapping[PolledDevice, LimitCommander] | None = None,
    ) -> None:
        self._link = link
        self._devices = tuple(devices)
        self._commander = commander
        self._commanded = commanded
        self._clock = clock
        self._device_clocks = dict(device_clocks or {})
        self._limiters = dict(limiters or {})
        self._cycle_lock = threading.Lock()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._safe_power_kw: float | None = None
        self._stop_deadline_s = math.inf
        self._finished = False
        self.last_poll: datetime | None = None

    @property
    def endpoint(self) -> str:
        """Host and port, or the serial device."""
        return self._link.endpoint

    def start(self) -> None:
        """Start the thread; calling it again does nothing."""
        if self._thread is None and not self._stopping.is_set():
            self._thread = SiteThread(
                target=self._run, name=f"poll {self._link.endpoint}", daemon=True
            )
            self._thread.start()

    def wake(self) -> None:
        """Let the thread write a new command now instead of at its next slot."""
        self._wake.set()

    def poll_once(self) -> None:
        """Write what is due, then read every device."""
        self._cycle(self._devices)

    def request_stop(self, safe_power_kw: float | None, deadline_s: float) -> None:
        """Ask for the end without waiting: safe setpoint, then close.

        Args:
            safe_power_kw: Last setpoint to write, or None for none.
            deadline_s: Value of `time.monotonic` by which it must be over.
        """
        self._safe_power_kw = safe_power_kw
        self._stop_deadline_s = deadline_s
        self._stopping.set()
        self._wake.set()

    def finish(self) -> bool:
        """Wait for the end asked for by `request_stop`; True when it came in time."""
        thread = self._thread
        if thread is None:
            return self._finish()

        def ended(seconds: float) -> bool:
            thread.join(seconds)
            return not thread.is_alive()

        return self._within_deadline(ended)

    def _within_deadline(self, wait: Callable[[float], bool]) -> bool:
        """Wait; cut off the request under way when half of the time is gone.

        The other half is left for the safe setpoint.
        """
        if wait(max(0.0, (self._stop_deadline_s - time.monotonic()) / 2)):
            return True
        self._link.abort()
        return wait(max(0.0, self._stop_deadline_s - time.monotonic()))

    def _run(self) -> None:
        origin = self._clock.monotonic()
        due = dict.fromkeys(self._devices, origin)
        while not self._stopping.is_set():
            self._wake.clear()
            now = self._clock.monotonic()
            turn = [device for device in self._devices if due[device] <= now]
            try:
                self._cycle(turn)
            except Exception as exc:
                # A thread that dies unnoticed would leave old values looking fresh.
                log.exception("polling %s failed", self._link.endpoint)
                for device in self._devices:
                    device.fail("offline", f"internal error: {exc!r}")
            now = self._clock.monotonic()
            for device in turn:
                due[device] = _next_slot(origin, device.spec.poll_interval_s, now)
            if not self._stopping.is_set():
                self._clock.wait(self._wake, min(due.values()) - self._clock.monotonic())
        self._finish()

    def _cycle(self, devices: Sequence[PolledDevice]) -> None:
        with self._cycle_lock:
            self._write()
            for limited, limiter in self._limiters.items():
                limiter.write_due(limited.samples)
            for device in devices:
                if self._stopping.is_set():
                    return
                device.poll()
                if device is self._commanded and self._commander is not None:
                    # A nameplate that has just been read lets a waiting command go out now.
                    if self._commander.waits_for_nameplate and self._write():
                        device.poll()
                    self._commander.check(device.samples)
                if device in self._limiters:
                    limiter = self._limiters[device]
                    if limiter.waits_for_nameplate and limiter.write_due(device.samples):
                        device.poll()
                    limiter.check(device.samples)
                if device in self._device_clocks and not self._stopping.is_set():
                    self._device_clocks[device].sync_if_due()
            if devices:
                self.last_poll = self._clock.now()

    def _write(self) -> bool:
        if self._commander is None or self._commanded is None:
            return False
        return self._commander.write_due(self._commanded.samples)

    def _finish(self) -> bool:
        """Write the safe setpoint and close; False when a request under way did not end."""
        if not self._within_deadline(lambda seconds: self._cycle_lock.acquire(timeout=seconds)):
            return False
        try:
            if not self._finished:
                self._finished = True
                self._write_safe_setpoint()
                self._lift_limits()
                self._link.close()
                for device in self._devices:
                    device.retire("stopped")
        finally:
            self._cycle_lock.release()
        return True

    def _write_safe_setpoint(self) -> None:
        if self._safe_power_kw is None or self._commander is None or self._commanded is None:
            return
        remaining_s = self._stop_deadline_s - time.monotonic()
        if remaining_s > 0:
            self._link.hurry(remaining_s)
            self._commander.command(self._safe_power_kw)
            written = self._commander.write_due(self._commanded.samples, force=True)
            if time.monotonic() < self._stop_deadline_s:
                self._commander.revert()
            if written:
                return
        log.error(
            "%s: the safe setpoint of %g kW was not written: %s",
            self._commanded.spec.name,
            self._safe_power_kw,
            self._commander.state.reason if remaining_s > 0 else "no time was left",
        )

    def _lift_limits(self) -> None:
        for device, limiter in self._limiters.items():
            remaining_s = self._stop_deadline_s - time.monotonic()
            if remaining_s > 0:
                self._link.hurry(remaining_s)
                if limiter.lift():
                    continue
            elif not limiter.leaves_limit:
                continue
            log.error(
                "%s: its power limit was not lifted%s",
                device.spec.name,
                "" if remaining_s > 0 else ": no time was left",
            )


def _next_slot(origin_s: float, interval_s: float, now_s: float) -> float:
    """Return the first slot of the grid after `now_s`."""
    return origin_s + interval_s * (math.floor((now_s - origin_s) / interval_s) + 1)
