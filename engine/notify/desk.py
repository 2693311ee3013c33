"""The one place the engine turns to with its alarms: list, history and people."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from datetime import datetime

from engine.audit.trail import NO_TRAIL, Trail, noting
from engine.domain.alarms import AlarmChange, AlarmSeverity, AlarmView
from engine.domain.clock import Clock
from engine.domain.records import EventRow
from engine.domain.site_context import SiteThread
from engine.domain.snapshot import EngineSnapshot
from engine.notify.book import RESTORED_HOLD_S, AlarmBook
from engine.notify.conditions import conditions
from engine.notify.events import event_of, listed_alarms
from engine.notify.notifier import Notifier, NotifyTest
from engine.notify.outbox import ChannelStatus
from engine.notify.watches import ClockWatch, device_changes

log = logging.getLogger(__name__)

HANG_AFTER_S = 30.0
LOOK_EVERY_S = 5.0


class AlarmDesk:
    """Keeps the engine's own alarms, stores what happens to them and tells people.

    The alarms of the battery stay with `engine.telemetry.alarms`, which also stores them; here
    they are only told to people.

    Args:
        site_id: Key of the site.
        clock: Time of the engine.
        book: The list.
        notifier: Tells people.
        add_event: Hands a row to the history; never blocks.
        heartbeat_age_s: Real seconds since control last completed a cycle. Looked at from a
            thread of its own: an engine that hangs cannot say so itself.
        hang_after_s: From which age on control counts as hanging.
        publish: Told of the list when it changes while no cycle completes; never blocks.
        trail: Takes down tests of channels.
    """

    def __init__(
        self,
        site_id: str,
        clock: Clock,
        book: AlarmBook,
        notifier: Notifier,
        *,
        add_event: Callable[[EventRow], None],
        heartbeat_age_s: Callable[[], float] | None = None,
        hang_after_s: float = HANG_AFTER_S,
        publish: Callable[[tuple[AlarmView, ...]], None] = lambda _views: None,
        trail: Trail = NO_TRAIL,
    ) -> None:
        self._trail = trail
        self._site_id = site_id
        self._clock = clock
        self._book = book
        self._notifier = notifier
        self._add_event = add_event
        self._heartbeat_age_s = heartbeat_age_s
        self._hang_after_s = hang_after_s
        self._hangs = False
        self._publish = publish
        self._clock_watch = ClockWatch(clock)
        self._device_alarms: tuple[AlarmView, ...] = ()
        self._held: tuple[AlarmView, ...] = ()
        self._held_until_s = 0.0
        self._telling = threading.Lock()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def notifier(self) -> Notifier:
        """The channels, for their state and their test."""
        return self._notifier

    def restore(self, rows: Iterable[EventRow]) -> None:
        """Take over what was listed before a restart; call before the first `feed`.

        What people were told before is not told again, neither of the engine nor of the
        battery, while it is still so within `RESTORED_HOLD_S`.

        Args:
            rows: Stored events of the site, for example of the last 30 days.
        """
        stored = tuple(rows)
        self._book.restore(listed_alarms(stored))
        self._held = tuple(v for v in listed_alarms(stored, "device") if v.active)
        self._held_until_s = self._clock.monotonic() + RESTORED_HOLD_S
        self._device_alarms = self._held

    def start(self) -> None:
        """Start the channels and the watch over the heartbeat."""
        self._notifier.start()
        if self._heartbeat_age_s is not None:
            self._thread = SiteThread(target=self._watch, name="alarm-watch", daemon=True)
            self._thread.start()

    def stop(self, timeout_s: float = 1.0) -> None:
        """End every thread; what could not be sent by then is kept for the next start."""
        self._stop.set()
        self._notifier.stop(timeout_s)
        if self._thread is not None:
            self._thread.join(0.2)

    def feed(self, snapshot: EngineSnapshot) -> tuple[AlarmView, ...]:
        """Take in the state of a cycle; return the engine's alarms as they are listed now.

        Also to be called after a cycle that failed, with the last snapshot and new `health`.
        Alarms of the battery are those of ``snapshot.alarms`` whose source is ``"device"``.
        """
        found = conditions(snapshot)
        jumped = self._clock_watch.look()
        if jumped is not None:
            found.add(jumped)
        listed = self._of_the_device(snapshot)
        with self._telling:
            self._tell(self._book.update(found, snapshot.ts))
            if listed != self._device_alarms:
                self._notifier.tell(device_changes(self._device_alarms, listed, snapshot.ts))
                self._device_alarms = listed
        return self._book.views()

    def _of_the_device(self, snapshot: EngineSnapshot) -> tuple[AlarmView, ...]:
        listed = tuple(view for view in snapshot.alarms if view.source == "device")
        if self._held and self._clock.monotonic() >= self._held_until_s:
            self._held = ()
        known = {view.id for view in listed}
        return (*listed, *(view for view in self._held if view.id not in known))

    def raise_alarm(
        self,
        code: str,
        severity: AlarmSeverity,
        subject: str | None,
        message: str,
        ts: datetime,
    ) -> None:
        """Raise an alarm that no snapshot shows; it stays until `clear`. From any thread.

        It is stored and told by the next `feed`, or by the watch when control hangs.

        Raises:
            ValueError: The code is unknown.
        """
        self._book.raise_alarm(code, severity, subject, message, ts)

    def clear(self, code: str, subject: str | None, ts: datetime) -> None:
        """Say that an alarm raised by `raise_alarm` is over."""
        self._book.clear(code, subject, ts)

    def acknowledge(self, name: str | None, by: str) -> tuple[str, ...]:
        """Mark alarms as seen: one id, all subjects of a code, or all (None); return their ids."""
        seen = self._book.acknowledge(name, by, self._clock.now())
        return tuple(view.id for view in seen)

    def views(self) -> tuple[AlarmView, ...]:
        """Return the engine's alarms that are active or not acknowledged, newest first."""
        return self._book.views()

    def status(self) -> tuple[ChannelStatus, ...]:
        """Return how every channel is doing."""
        return self._notifier.status()

    def test(self, channel: str) -> NotifyTest:
        """Send a test message over a channel.

        Raises:
            NotifyError: There is no such channel.
        """
        with noting(self._trail, "notification.test", channel):
            return self._notifier.test(channel)

    def look_at_heartbeat(self) -> None:
        """Raise or end the alarm for a control loop that hangs, and tell what waits."""
        if self._heartbeat_age_s is None:
            return
        age_s = self._heartbeat_age_s()
        hangs = age_s > self._hang_after_s
        if hangs != self._hangs:
            self._hangs = hangs
            ts = self._clock.now()
            if hangs:
                text = f"No cycle was completed for {age_s:.0f} s."
                self._book.raise_alarm("engine_hangs", "alarm", None, text, ts)
            else:
                self._book.clear("engine_hangs", None, ts)
        if hangs:
            with self._telling:
                changes = self._book.take_changes()
                self._tell(changes)
            if changes:
                self._publish(self._book.views())

    def _watch(self) -> None:
        while not self._stop.wait(LOOK_EVERY_S):
            try:
                self.look_at_heartbeat()
            except Exception:
                log.exception("the watch over the heartbeat failed")

    def _tell(self, changes: tuple[AlarmChange, ...]) -> None:
        # People first: a history that takes no rows is one of the things to tell.
        self._notifier.tell(changes)
        for change in changes:
            row = event_of(change, self._site_id)
            log.log(_LEVELS[row.severity], "%s: %s", row.code, row.message)
            self._add_event(row)


_LEVELS = {"info": logging.INFO, "warning": logging.WARNING, "alarm": logging.WARNING}
