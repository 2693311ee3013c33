"""What happens, as events with numbers, for everybody who listens at the same time.

One thread looks at the newest snapshot; each listener waits for what is newer than what it has.
State and plan are only worth their newest value, so a slow listener misses none that matters;
changes of alarms are kept in full, as far back as `KEPT_ALARMS` goes.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Final, Protocol

from ems_dash.api.models import AlarmEvent, AlarmInfo, plan_answer, state_answer
from engine.domain.alarms import AlarmView
from engine.domain.control import EngineState
from engine.domain.errors import EmsError
from engine.domain.snapshot import EngineSnapshot

_logger = logging.getLogger(__name__)

MOST_LISTENERS: Final = 32
"""Each holds one of the server's threads; half of them stay free."""

LOOK_S: Final = 0.5
HEARTBEAT_S: Final = 15.0
LONGEST_STREAM_S: Final = 900.0
"""A listener then has to come back and say again who it is."""

RETRY_MS: Final = 3_000
KEPT_ALARMS: Final = 1_000


class EventKind(StrEnum):
    """What an event is about."""

    STATE = "state"
    PLAN = "plan"
    ALARM = "alarm"


class SnapshotSource(Protocol):
    """What the hub asks of the engine."""

    def snapshot(self) -> EngineSnapshot:
        """Return the state after the newest control cycle."""
        ...

    def heartbeat_age_s(self) -> float:
        """Return the seconds since the control loop last completed a cycle."""
        ...


class TooManyListenersError(EmsError):
    """No more may listen at the same time."""

    code = "too_many_streams"


class Seats:
    """The places of listeners, which all hubs of the program share.

    Args:
        most: How many there are.
    """

    def __init__(self, most: int = MOST_LISTENERS) -> None:
        self._most = most
        self._taken = 0
        self._lock = threading.Lock()

    def take(self) -> None:
        """Take one; `give` gives it back.

        Raises:
            TooManyListenersError: All are taken.
        """
        with self._lock:
            if self._taken >= self._most:
                raise TooManyListenersError(
                    f"{self._most} listen to events already.",
                    hint="Come back in half a minute, or ask GET /api/state.",
                )
            self._taken += 1

    def give(self) -> None:
        """Give one back."""
        with self._lock:
            self._taken -= 1


@dataclass(slots=True)
class Event:
    """One event; its text is made once, when somebody first needs it."""

    number: int
    kind: EventKind
    make: Callable[[], str]
    _text: str | None = field(default=None)

    def text(self) -> str:
        """Return its data as JSON on one line."""
        if self._text is None:
            self._text = self.make()
        return self._text


class EventHub:
    """Events of one engine.

    Args:
        source: The engine.
        seats: Places of listeners; None for as many as a program has.
        look_s: How often the newest snapshot is looked at.
        heartbeat_s: A listener hears something at least so often.
        longest_s: A stream ends after so long.
        monotonic: Seconds that never run backwards.
    """

    def __init__(
        self,
        source: SnapshotSource,
        *,
        seats: Seats | None = None,
        look_s: float = LOOK_S,
        heartbeat_s: float = HEARTBEAT_S,
        longest_s: float = LONGEST_STREAM_S,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._source = source
        self._seats = seats or Seats()
        self._look_s = look_s
        self._heartbeat_s = heartbeat_s
        self._longest_s = longest_s
        self._monotonic = monotonic
        self._news = threading.Condition()
        self._run = secrets.token_hex(4)
        self._number = 0
        self._newest: dict[EventKind, Event] = {}
        self._alarms: deque[Event] = deque(maxlen=KEPT_ALARMS)
        self._before: EngineSnapshot | None = None
        self._listeners = 0
        self._thread: threading.Thread | None = None
        self._ended = False

    @property
    def listeners(self) -> int:
        """How many listen now."""
        return self._listeners

    def enter(self) -> None:
        """Take one of the places of listeners; `leave` gives it back.

        Raises:
            TooManyListenersError: All are taken.
        """
        self._seats.take()
        with self._news:
            self._listeners += 1
            # Not before the first listener: nothing runs that nobody wants.
            if self._thread is None and not self._ended:
                self._look()
                self._thread = threading.Thread(target=self._watch, name="ems-events", daemon=True)
                self._thread.start()

    def leave(self) -> None:
        """Give a place back."""
        with self._news:
            self._listeners -= 1
        self._seats.give()

    def stream(
        self, last_id: str | None = None, kinds: frozenset[EventKind] = frozenset(EventKind)
    ) -> Iterator[bytes]:
        """Yield events in the form of ``text/event-stream`` until the engine stops.

        Args:
            last_id: Id of the last event the listener has; those after it follow. Without one,
                or with one that is not known any more, state and plan as they are now.
            kinds: Kinds to hear of.
        """
        ends_s = self._monotonic() + self._longest_s
        yield f"retry: {RETRY_MS}\n\n".encode()
        after = self._position(last_id)
        while True:
            with self._news:
                self._news.wait_for(partial(self._is_news, after, kinds), self._heartbeat_s)
                found, ended = self._since(after, kinds), self._ended
                after = max(self._number, after)
            if not found:
                yield b": heartbeat\n\n"
            for event in found:
                yield self._message(event)
            if ended or self._monotonic() >= ends_s:
                return

    def end(self) -> None:
        """End every stream now, and each that is begun later after its first events."""
        with self._news:
            self._ended = True
            self._news.notify_all()

    def look(self) -> None:
        """Look at the newest snapshot and tell what has changed."""
        with self._news:
            self._look()

    def _watch(self) -> None:
        while not self._ended:
            time.sleep(self._look_s)
            try:
                self.look()
            except Exception:
                # Listeners would wait for ever if this thread ended.
                _logger.exception("events could not be told")

    def _look(self) -> None:
        snapshot, before = self._source.snapshot(), self._before
        if before is not None and _same(before, snapshot):
            return
        age_s = self._source.heartbeat_age_s()
        if before is not None:
            for event in _alarm_changes(before.alarms, snapshot.alarms):
                self._alarms.append(self._event(EventKind.ALARM, event.model_dump_json))
        plan = snapshot.plan
        if plan is not None and (
            before is None or before.plan is None or before.plan.plan_id != plan.plan_id
        ):
            capacity = snapshot.site.battery.energy_capacity_kwh
            self._newest[EventKind.PLAN] = self._event(
                EventKind.PLAN, lambda: plan_answer(plan, capacity).model_dump_json()
            )
        self._newest[EventKind.STATE] = self._event(
            EventKind.STATE, lambda: state_answer(snapshot, age_s).model_dump_json()
        )
        self._before = snapshot
        self._ended = self._ended or snapshot.state is EngineState.STOPPED
        self._news.notify_all()

    def _event(self, kind: EventKind, make: Callable[[], str]) -> Event:
        self._number += 1
        return Event(self._number, kind, make)

    def _position(self, last_id: str | None) -> int:
        """Return the number of the last event a listener has; 0 to begin anew."""
        run, _, number = (last_id or "").partition("-")
        if run != self._run or not number.isascii() or not number.isdigit() or len(number) > 15:
            return 0
        with self._news:
            known = int(number) <= self._number
            full = len(self._alarms) == self._alarms.maxlen
            lost = full and self._alarms[0].number > int(number) + 1
        return int(number) if known and not lost else 0

    def _is_news(self, after: int, kinds: frozenset[EventKind]) -> bool:
        return self._ended or bool(self._since(after, kinds))

    def _since(self, after: int, kinds: frozenset[EventKind]) -> list[Event]:
        # Who begins anew has no use for alarms that came and went before.
        alarms = [event for event in self._alarms if event.number > after > 0]
        newest = [event for event in self._newest.values() if event.number > after]
        found = [event for event in (*alarms, *newest) if event.kind in kinds]
        return sorted(found, key=lambda event: event.number)

    def _message(self, event: Event) -> bytes:
        head = f"id: {self._run}-{event.number}\nevent: {event.kind}\n"
        return f"{head}data: {event.text()}\n\n".encode()


def _same(before: EngineSnapshot, after: EngineSnapshot) -> bool:
    return (
        before.seq == after.seq
        and before.state is after.state
        and before.plan is after.plan
        and before.alarms == after.alarms
    )


def _alarm_changes(
    before: tuple[AlarmView, ...], after: tuple[AlarmView, ...]
) -> Iterator[AlarmEvent]:
    """Yield what happened to alarms; one that is neither active nor open any more is ``gone``."""
    known = {alarm.id: alarm for alarm in before}
    for alarm in reversed(after):
        old = known.pop(alarm.id, None)
        if old != alarm:
            yield AlarmEvent(change=_change(old, alarm), alarm=AlarmInfo.model_validate(alarm))
    for alarm in known.values():
        yield AlarmEvent(change="gone", alarm=AlarmInfo.model_validate(alarm))


def _change(old: AlarmView | None, new: AlarmView) -> str:
    if new.active and (old is None or not old.active):
        return "raised"
    if not new.active and (old is None or old.active):
        return "cleared"
    if new.acknowledged and old is not None and not old.acknowledged:
        return "acknowledged"
    return "changed"
