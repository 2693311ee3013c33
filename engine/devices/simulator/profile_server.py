"""Any profile as a Modbus TCP device on the loopback interface, with moving values.

Everything it shows is simulated. It exists so that people can try their own
tools, and so that tests can read every profile through a real connection.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from engine.devices.command_def import WriteStep
from engine.devices.profile_def import DeviceProfile
from engine.devices.rtc_def import RTC_REGISTERS
from engine.devices.simulator.image_server import Image, ImageServer
from engine.devices.simulator.profile_image import ProfileImage, Tables
from engine.devices.simulator.profile_values import SimulatedSite
from engine.devices.simulator.written_power import limit_from, power_from, released_words
from engine.domain.clock import Clock, SystemClock

_REFRESH_S = 0.2
"""Values are worked out again after this time, so that one block shows one instant."""


class ProfileServer:
    """Serves one simulated device of a profile; setpoints written to it move its battery.

    Args:
        profile: The profile a client reads the device with.
        port: TCP port; 0 lets the system choose a free one.
        unit_id: Modbus unit id; None for the usual one of the profile.
        clock: Time of the plant behind it.

    Raises:
        DeviceError: A value of the plant does not fit into a register of the profile.
    """

    def __init__(
        self,
        profile: DeviceProfile,
        port: int = 0,
        unit_id: int | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.unit_id = profile.connection.unit_id if unit_id is None else unit_id
        self._clock = clock or SystemClock()
        self.site = SimulatedSite(profile, self._clock)
        self._image = ProfileImage(profile)
        self._profile = self._image.profile
        self._lock = threading.Lock()
        self._written: dict[int, int] = {}
        command = self._profile.commands.get("set_power_kw")
        if command is not None:
            self._written |= released_words(self._profile, command)
        self._clock_error = timedelta(0)
        self._tables: Tables = {}
        self._made_s: float | None = None
        self._tables_now()
        self._server = ImageServer(self._tables_now, self.unit_id, self._take_write, port=port)

    def start(self) -> int:
        """Start listening and return the port.

        Raises:
            DeviceError: The port is in use or not allowed.
        """
        return self._server.start()

    def stop(self) -> None:
        """Close the port and every connection.

        Raises:
            DeviceError: The server thread did not end in time.
        """
        self._server.stop()

    def _tables_now(self) -> Image:
        with self._lock:
            now_s = self._clock.monotonic()
            if self._made_s is None or now_s - self._made_s >= _REFRESH_S:
                self._made_s = now_s
                self._tables = self._image.tables(self.site.values())
                holding = self._tables.setdefault(3, {})
                self._add_steps(holding)
                self._add_clock()
                holding.update(self._written)
            return self._tables

    def _add_steps(self, holding: dict[int, int]) -> None:
        for step in self._steps():
            start = self._profile.wire_address(step.address)
            for address in range(start, start + step.type.width):
                holding.setdefault(address, 0)

    def _steps(self) -> list[WriteStep]:
        power = self._profile.commands.get("set_power_kw")
        limit = self._profile.commands.get("limit_power_kw")
        return [
            step
            for command in (power, limit)
            if command is not None
            for step in (*command.all_steps, *command.revert_steps)
        ]

    def _add_clock(self) -> None:
        rtc = self._profile.rtc
        if rtc is None:
            return
        shown = self._clock.now().astimezone(UTC) + self._clock_error
        start = self._profile.wire_address(rtc.address)
        words = (
            shown.year - rtc.year_offset,
            shown.month,
            shown.day,
            shown.hour,
            shown.minute,
            shown.second,
        )
        for function in {3, rtc.read_function}:
            self._tables.setdefault(function, {}).update(enumerate(words, start=start))

    def _take_write(self, address: int, words: Sequence[int]) -> bool:
        rtc = self._profile.rtc
        if rtc is not None and address == self._profile.wire_address(rtc.address):
            return self._set_clock(words, rtc.year_offset)
        writable: dict[int, int] = {}
        self._add_steps(writable)
        if any(at not in writable for at in range(address, address + len(words))):
            return False
        written = {**self._written, **dict(enumerate(words, start=address))}
        if not (self._command(written) and self._limit(written)):
            return False
        with self._lock:
            self._written = written
            self._made_s = None
        return True

    def _command(self, written: Mapping[int, int]) -> bool:
        command = self._profile.commands.get("set_power_kw")
        power_kw = None if command is None else power_from(self._profile, command, written)
        if power_kw is not None:
            return self.site.command(power_kw)
        self.site.release()
        return True

    def _limit(self, written: Mapping[int, int]) -> bool:
        limit = self._profile.commands.get("limit_power_kw")
        if limit is None:
            return True
        clamp = limit.clamp
        nameplate_kw = self.site.values()[clamp] if isinstance(clamp, str) else clamp
        return self.site.limit(limit_from(self._profile, limit, nameplate_kw, written))

    def _set_clock(self, words: Sequence[int], year_offset: int) -> bool:
        if len(words) != RTC_REGISTERS:
            return False
        year, month, day, hour, minute, second = words
        try:
            ts = datetime(year + year_offset, month, day, hour, minute, second, tzinfo=UTC)
        except ValueError:
            # A real clock refuses the 30th of February too.
            return False
        with self._lock:
            self._clock_error = ts - self._clock.now()
            self._made_s = None
        return True
