"""Sets the clock of a device to UTC, once per connection, and looks whether it took it.

A clock is only written when all is certain: writing is enabled, the address
base is known (off by one register the year would land in the month), and our
own clock is right.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Final

from engine.devices.link import ModbusLink
from engine.devices.rtc_def import RTC_REGISTERS, RtcDef
from engine.devices.spec import DeviceSpec
from engine.domain.clock import Clock
from engine.domain.errors import DeviceError

log = logging.getLogger(__name__)

FIRST_PLAUSIBLE_YEAR: Final = 2024
"""Our own clock showing an earlier year was never set."""

RETRY_S: Final = 600.0
"""Wait after a failed attempt: a device that drops the connection when its clock is written
would otherwise never be read again."""


class RtcPhase(StrEnum):
    """What became of the synchronisation on this connection."""

    WAITING = "waiting"
    SYNCHRONISED = "synchronised"
    SKIPPED = "skipped"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class RtcState:
    """State of a device's clock.

    Attributes:
        state: `RtcPhase`.
        reason: Why it is not synchronised, in words; None when it is.
        ts: Time of the newest attempt, UTC; None before the first.
        drift_s: Clock of the device minus ours when it was read back, or None.
    """

    state: RtcPhase = RtcPhase.WAITING
    reason: str | None = "not connected yet"
    ts: datetime | None = None
    drift_s: float | None = None


class RtcSync:
    """Synchronises the clock of one device; called by the thread of its link.

    Args:
        spec: The device; its profile must have a clock.
        link: Connection it is behind.
        clock: Our time.
        synchronised: True when our clock follows a time source.

    Raises:
        DeviceError: The profile has no clock.
    """

    def __init__(
        self, spec: DeviceSpec, link: ModbusLink, clock: Clock, synchronised: Callable[[], bool]
    ) -> None:
        if spec.profile.rtc is None:
            raise DeviceError(
                f"device {spec.name} has no clock that can be set.",
                field="rtc",
                value=spec.profile.key,
                hint="Add rtc to its profile.",
            )
        self._spec = spec
        self._rtc: RtcDef = spec.profile.rtc
        self._link = link
        self._clock = clock
        self._synchronised = synchronised
        self._session: int | None = None
        self._not_before_s = float("-inf")
        self._state = RtcState()

    @property
    def state(self) -> RtcState:
        """What became of the newest attempt."""
        return self._state

    def sync_if_due(self) -> None:
        """Set the clock if this connection is a new one; never raises for a device's failure."""
        if not self._link.connected or self._link.session == self._session:
            return
        obstacle = self._obstacle()
        if obstacle is not None:
            # Not tied to the session: the obstacle may go away while the connection stays.
            if obstacle != self._state.reason:
                log.info("clock of %s not set: %s", self._spec.name, obstacle)
            self._state = RtcState(RtcPhase.SKIPPED, obstacle, self._clock.now())
            return
        if self._clock.monotonic() < self._not_before_s:
            return
        self._session = self._link.session
        try:
            drift_s = self._set_clock()
        except DeviceError as exc:
            self._fail(str(exc), None)
        else:
            if drift_s is None or abs(drift_s) > self._rtc.tolerance_s:
                shown = "no valid time" if drift_s is None else f"a time {drift_s:+.1f} s off"
                self._fail(f"the clock shows {shown} after it was set", drift_s)
            else:
                self._state = RtcState(RtcPhase.SYNCHRONISED, None, self._clock.now(), drift_s)

    def _fail(self, reason: str, drift_s: float | None) -> None:
        self._not_before_s = self._clock.monotonic() + RETRY_S
        self._state = RtcState(RtcPhase.FAILED, reason, self._clock.now(), drift_s)
        log.warning("clock of %s: %s", self._spec.name, reason)

    def _obstacle(self) -> str | None:
        """Return why the clock must not be written now, or None."""
        profile = self._spec.profile
        if not self._spec.writable:
            return "writing to this device is not enabled"
        if not (profile.address_base_stated or self._spec.address_base_confirmed):
            return "the address base is not confirmed; run the connection test first"
        year = self._clock.now().year
        if year < FIRST_PLAUSIBLE_YEAR:
            return f"our own clock is not plausible, it shows the year {year}"
        if not self._synchronised():
            return "our own clock is not synchronised with a time source"
        return None

    def _set_clock(self) -> float | None:
        """Write the time and return how far the device is off then, None for no valid time."""
        profile, rtc = self._spec.profile, self._rtc
        address = profile.wire_address(rtc.address)
        # The registers hold whole seconds.
        now = (self._clock.now() + timedelta(milliseconds=500)).replace(microsecond=0)
        words = (
            now.year - rtc.year_offset,
            now.month,
            now.day,
            now.hour,
            now.minute,
            now.second,
        )
        self._link.write(self._spec.unit_id, rtc.function, address, words)
        held = self._link.read(self._spec.unit_id, rtc.read_function, address, RTC_REGISTERS)
        shown = decode_clock(held, rtc.year_offset)
        return None if shown is None else (shown - self._clock.now()).total_seconds()


def decode_clock(words: Sequence[int], year_offset: int) -> datetime | None:
    """Return the UTC time in six registers (year minus offset .. second), None if it is none."""
    year, month, day, hour, minute, second = words
    try:
        return datetime(year + year_offset, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
