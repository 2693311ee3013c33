"""What waits for one channel, and when it goes out."""

from __future__ import annotations

import logging
import threading
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from engine.domain.alarms import AlarmChange, severity_rank
from engine.domain.clock import Clock
from engine.domain.site_context import SiteThread
from engine.fetching.refresher import Backoff
from engine.notify.channel import Channel
from engine.notify.errors import NotifyError, NotifyKind
from engine.notify.kept import Kept, KeptChange, KeptMessages
from engine.notify.message import Message, urgency
from engine.notify.rules import ChannelRules, RateLimit

log = logging.getLogger(__name__)

GATHER_S = 8.0
"""What happens together is told together: a dead link soon has further alarms behind it."""

EXPIRY_S = 86_400.0
MAX_QUEUED = 200
LONGEST_WAIT_S = 60.0
"""Quiet hours end by the wall clock, which may be set: look again at least this often."""

RETRIES = Backoff(first_s=15.0, cap_s=900.0)


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """How a channel is doing.

    Attributes:
        name: The channel.
        type: ``"webhook"``, ``"email"`` or ``"mqtt"``.
        target: Where it goes, without secrets.
        enabled: True when it is in use.
        state: ``"off"``, ``"unused"`` (nothing was sent yet), ``"ok"`` or ``"failing"``.
        last_success: When a message was last taken, UTC.
        last_error: Why the last attempt failed; None when it did not.
        failures: Failed attempts in a row.
        queued: Things that wait.
        sent: Messages taken since start.
        suppressed: Things dropped since start because too many waited.
        expired: Things dropped since start because they were older than a day.
        failed: Things dropped since start because the other side refused the message.
        next_try: When it is tried again, UTC; None when nothing waits.
        quiet_until: End of the quiet hours, UTC; None outside of them.
        storage_error: Why what waits would not outlive a restart; None while it would.
    """

    name: str
    type: str
    target: str
    enabled: bool
    state: str
    last_success: datetime | None = None
    last_error: str | None = None
    failures: int = 0
    queued: int = 0
    sent: int = 0
    suppressed: int = 0
    expired: int = 0
    failed: int = 0
    next_try: datetime | None = None
    quiet_until: datetime | None = None
    storage_error: str | None = None


def unexpected(error: Exception, kind: NotifyKind) -> NotifyError:
    """Return a failure nobody has thought of, without its text, which may hold a key."""
    stack = "".join(traceback.format_tb(error.__traceback__))
    log.error("sending failed with %s at\n%s", type(error).__name__, stack)
    return NotifyError(
        f"Unexpected failure ({type(error).__name__}).",
        kind=kind,
        hint="Please report this as a mistake of EMS Dash.",
    )


class _Waiting:
    __slots__ = ("change", "since_s")

    def __init__(self, change: AlarmChange, since_s: float) -> None:
        self.change = change
        self.since_s = since_s


class Outbox:
    """Delivers to one channel, in a thread of its own, so that no channel delays another.

    Everything that waits goes into one message when its time has come: after `GATHER_S`, after
    quiet hours, when the rate allows it again, or when a failing receiver is back. Delivery is
    at least once: a message whose answer was lost comes again with the same id where nothing
    new joined it.

    What waits is kept in a file by the thread of the channel, a moment after it came, and goes
    out after a restart; its age goes on meanwhile. A program that is killed just after a
    delivery delivers it once more.

    Args:
        channel: Where it goes.
        rules: What is told.
        compose: Makes a message of changes and of a count of suppressed ones.
        zone: Time zone of the site, for quiet hours.
        clock: Time.
        random: For jitter.
        max_queued: Most things that wait; beyond, the least severe, oldest one is dropped and
            counted.
        kept: Keeps what waits over a restart; None: it is lost with the program.
    """

    def __init__(
        self,
        channel: Channel,
        rules: ChannelRules,
        *,
        compose: Callable[[tuple[AlarmChange, ...], int], Message],
        zone: ZoneInfo,
        clock: Clock,
        random: Random,
        max_queued: int = MAX_QUEUED,
        kept: KeptMessages | None = None,
    ) -> None:
        self._channel = channel
        self._rules = rules
        self._compose = compose
        self._zone = zone
        self._clock = clock
        self._random = random
        self._max_queued = max_queued
        self._rate = RateLimit(rules.max_per_hour)
        self._queue: list[_Waiting] = []
        self._not_before_s = 0.0
        self._failures = 0
        self._unsaid = 0
        self._pending: tuple[tuple[_Waiting, ...], int, Message] | None = None
        self._last_success: datetime | None = None
        self._last_error: str | None = None
        self._sent = self._suppressed = self._expired = self._failed = 0
        self._kept = kept
        self._changed = False
        self._storage_error: str | None = None
        self._lock = threading.Lock()
        # Over reading and writing what waits, so that the newest state is written last.
        self._saving = threading.Lock()
        self._wake = threading.Event()
        self._stopped = False
        self._thread: threading.Thread | None = None
        self._take_back()

    @property
    def channel(self) -> Channel:
        """Where it goes."""
        return self._channel

    @property
    def queued(self) -> int:
        """Things that wait."""
        with self._lock:
            return len(self._queue)

    def offer(self, change: AlarmChange) -> None:
        """Take in something that happened; returns at once."""
        if not self._rules.wants(change):
            return
        now_s = self._clock.monotonic()
        with self._lock:
            self._add(_Waiting(change, now_s))
        self._wake.set()

    def _add(self, waiting: _Waiting) -> None:
        self._queue.append(waiting)
        self._changed = True
        if len(self._queue) > self._max_queued:
            least = min(
                range(len(self._queue)),
                key=lambda i: (severity_rank(urgency(self._queue[i].change)), i),
            )
            del self._queue[least]
            self._suppressed += 1
            self._unsaid += 1

    def save(self) -> None:
        """Write what waits where it has changed; a failure is told by `status`."""
        if self._kept is None:
            return
        with self._saving:
            with self._lock:
                if not self._changed:
                    return
                self._changed = False
                kept = self._to_keep()
            try:
                self._kept.keep(self._channel.name, kept)
            except OSError as error:
                text = f"{error.strerror or error}"
                if text != self._storage_error:
                    log.warning(
                        "channel %s: what waits could not be stored: %s", self._channel.name, text
                    )
                self._storage_error = text
                with self._lock:
                    self._changed = True
            else:
                self._storage_error = None

    def _to_keep(self) -> Kept:
        now_s, now = self._clock.monotonic(), self._clock.now()
        return Kept(
            tuple(
                KeptChange(w.change, now - timedelta(seconds=now_s - w.since_s))
                for w in self._queue
            ),
            self._unsaid,
        )

    def _take_back(self) -> None:
        """Take in what an earlier run could not deliver, as far as it is still to be told."""
        if self._kept is None:
            return
        now_s, now = self._clock.monotonic(), self._clock.now()
        kept = self._kept.of(self._channel.name)
        with self._lock:
            for entry in kept.waiting:
                if self._rules.wants(entry.change):
                    # A clock that was set back makes nothing younger than now.
                    age_s = max(0.0, (now - entry.since).total_seconds())
                    self._add(_Waiting(entry.change, now_s - age_s))
            self._unsaid += kept.unsaid
            self._expire(now_s)

    def start(self) -> None:
        """Start delivering."""
        self._thread = SiteThread(
            target=self._loop, name=f"notify-{self._channel.name}", daemon=True
        )
        self._thread.start()

    def begin_stop(self) -> None:
        """Ask the thread to end and end what it is doing."""
        self._stopped = True
        self._wake.set()
        self._channel.close()

    def join(self, timeout_s: float) -> bool:
        """Wait for the thread; False when it did not end in time (it is a daemon)."""
        if self._thread is None:
            return True
        self._thread.join(max(0.0, timeout_s))
        return not self._thread.is_alive()

    def step(self) -> float:
        """Deliver one message if one is due; return seconds until the next look is worth it."""
        self.save()
        now_s, now = self._clock.monotonic(), self._clock.now()
        quiet = self._rules.quiet_until(now, self._zone) is not None
        with self._lock:
            self._expire(now_s)
            ready = [w for w in self._queue if not quiet or urgency(w.change) == "alarm"]
            if not ready:
                return LONGEST_WAIT_S
            wait_s = max(
                self._not_before_s - now_s,
                ready[0].since_s + GATHER_S - now_s,
                self._rate.wait_s(now_s),
            )
            if wait_s > 0.0:
                return min(wait_s, LONGEST_WAIT_S)
            items, unsaid = tuple(ready), self._unsaid
        self._deliver(items, unsaid)
        return 0.0

    def status(self) -> ChannelStatus:
        """Return how this channel is doing."""
        now_s, now = self._clock.monotonic(), self._clock.now()
        quiet_until = self._rules.quiet_until(now, self._zone)
        target = self._channel.target
        with self._lock:
            if self._last_error is not None:
                state = "failing"
            else:
                state = "unused" if self._last_success is None else "ok"
            next_try = None
            if self._queue:
                due_s = max(
                    self._not_before_s - now_s,
                    self._rate.wait_s(now_s),
                    self._queue[0].since_s + GATHER_S - now_s,
                    0.0,
                )
                next_try = now + timedelta(seconds=due_s)
                if quiet_until and all(urgency(w.change) != "alarm" for w in self._queue):
                    next_try = max(next_try, quiet_until)
            return ChannelStatus(
                self._channel.name,
                self._channel.type,
                target,
                True,
                state,
                self._last_success,
                self._last_error,
                self._failures,
                len(self._queue),
                self._sent,
                self._suppressed,
                self._expired,
                self._failed,
                next_try,
                quiet_until,
                self._storage_error,
            )

    def note(self, error: NotifyError | None) -> None:
        """Take in the result of a test: what works now need not wait for its next try."""
        with self._lock:
            self._last_error = None if error is None else str(error)
            if error is None:
                self._last_success = self._clock.now()
                self._failures, self._not_before_s = 0, 0.0
        self._wake.set()

    def _loop(self) -> None:
        while not self._stopped:
            self._wake.clear()
            try:
                wait_s = self.step()
            except Exception:
                log.exception("channel %s: delivering failed", self._channel.name)
                wait_s = LONGEST_WAIT_S
            if wait_s > 0.0 and not self._stopped:
                self._clock.wait(self._wake, wait_s)

    def _expire(self, now_s: float) -> None:
        kept = [w for w in self._queue if now_s - w.since_s <= EXPIRY_S]
        gone = len(self._queue) - len(kept)
        if gone:
            self._queue = kept
            self._changed = True
            self._expired += gone
            log.warning("channel %s: %d messages were too old to send", self._channel.name, gone)

    def _deliver(self, items: tuple[_Waiting, ...], unsaid: int) -> None:
        try:
            message = self._message(items, unsaid)
        except Exception as error:
            log.exception("channel %s: a message could not be written", self._channel.name)
            self._not_sent(items, unexpected(error, "message"))
            return
        try:
            self._channel.send(message)
        except NotifyError as error:
            self._not_sent(items, error)
        except Exception as error:  # noqa: BLE001 (logged without its text, which may hold a key)
            self._not_sent(items, unexpected(error, "refused"))
        else:
            self._was_sent(items, unsaid)

    def _message(self, items: tuple[_Waiting, ...], unsaid: int) -> Message:
        if self._pending is not None and self._pending[:2] == (items, unsaid):
            return self._pending[2]
        message = self._compose(tuple(w.change for w in items), unsaid)
        self._pending = (items, unsaid, message)
        return message

    def _was_sent(self, items: tuple[_Waiting, ...], unsaid: int) -> None:
        with self._lock:
            if self._failures:
                log.info("channel %s works again", self._channel.name)
            self._remove(items)
            self._rate.take(self._clock.monotonic())
            self._unsaid -= unsaid
            self._changed = True
            self._sent += 1
            self._failures, self._not_before_s, self._last_error = 0, 0.0, None
            self._last_success = self._clock.now()

    def _not_sent(self, items: tuple[_Waiting, ...], error: NotifyError) -> None:
        with self._lock:
            if error.kind == "stopped":
                return
            text = str(error)
            if text != self._last_error:
                log.warning("channel %s: %s", self._channel.name, text)
            self._last_error = text
            self._failures += 1
            if error.kind == "message":
                # It will be refused again, and must not keep the next one from being told.
                self._remove(items)
                self._failed += len(items)
                self._rate.take(self._clock.monotonic())
                return
            wait_s = RETRIES.wait_s(self._failures, self._random)
            if not error.passes:
                # Something must be changed first; until then, asking seldom is enough.
                wait_s = max(wait_s, RETRIES.cap_s)
            wait_s = max(wait_s, min(error.retry_after_s or 0.0, EXPIRY_S))
            self._not_before_s = self._clock.monotonic() + wait_s

    def _remove(self, items: tuple[_Waiting, ...]) -> None:
        done = set(map(id, items))
        self._queue = [w for w in self._queue if id(w) not in done]
        self._changed = True
        self._pending = None
