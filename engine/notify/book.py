"""The list of the engine's own alarms: calmed for display, latched until acknowledged.

For people only. Limits and setpoints act on raw values in the same cycle and never use it.
"""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime

from engine.domain.alarms import (
    ENGINE_ALARMS,
    AlarmChange,
    AlarmChangeKind,
    AlarmRule,
    AlarmSeverity,
    AlarmView,
    Condition,
    severity_rank,
)
from engine.domain.clock import Clock
from engine.notify.plain import one_line, subject_of

FLAP_FROM = 4
"""So many times within `FLAP_WINDOW_S` make a condition one that flaps."""

FLAP_WINDOW_S = 600.0

RESTORED_HOLD_S = 60.0
"""After a restart nothing counts as over before every part has had time to look."""

MAX_ENTRIES = 200
MAX_CHANGES = 1000

_DIGITS = re.compile(r"\d+")

Key = tuple[str, str | None]


def _worst_first(condition: Condition) -> tuple[int, str, str]:
    return -severity_rank(condition.severity), condition.code, condition.subject or ""


class _Entry:
    """One condition with its delays; `view` is what people see of it, if anything."""

    def __init__(self, key: Key, rule: AlarmRule) -> None:
        self.key = key
        self.rule = rule
        self.severity: AlarmSeverity = "info"
        self.message = ""
        self.raw = False
        self.raw_ts: datetime | None = None
        self.raw_since_s = 0.0
        self.direct = False
        self.hold_until_s = 0.0
        self.view: AlarmView | None = None
        self.edges: deque[float] = deque(maxlen=FLAP_FROM)
        self.flapping_since_s: float | None = None
        self.flaps = 0


class AlarmBook:
    """Alarms of the engine: raised, cleared, acknowledged. Thread-safe, bounded.

    What happened is handed out once and in order, by `update` or `take_changes`, whichever thread
    caused it.

    A condition that comes and goes `FLAP_FROM` times within `FLAP_WINDOW_S` is told once as
    flapping and stays active until it has been calm for as long.

    Args:
        clock: Its monotonic time paces the delays; a step of the wall clock does not.
        rules: Code to the way it is calmed.
        max_entries: Most alarms kept. Beyond, those that are over leave first, then the least
            severe; a new one that is not more severe than all others is refused and counted.
    """

    def __init__(
        self,
        clock: Clock,
        rules: Mapping[str, AlarmRule] = ENGINE_ALARMS,
        max_entries: int = MAX_ENTRIES,
    ) -> None:
        self._clock = clock
        self._rules = rules
        self._max_entries = max_entries
        self._entries: dict[Key, _Entry] = {}
        self._changes: deque[AlarmChange] = deque()
        self._views: tuple[AlarmView, ...] = ()
        self._stale_views = False
        self._refused = 0
        self._lock = threading.Lock()

    @property
    def refused(self) -> int:
        """Alarms and changes that found no room since start."""
        return self._refused

    def update(self, conditions: Iterable[Condition], ts: datetime) -> tuple[AlarmChange, ...]:
        """Take in everything that is wrong in this cycle; return what happened since last time.

        What was raised by an earlier `update` and is not among `conditions` is gone; what was
        raised by `raise_alarm` stays until `clear`.

        Args:
            conditions: What is wrong now, raw.
            ts: Time of the cycle, UTC.

        Raises:
            ValueError: A code is unknown.
        """
        worst: dict[Key, Condition] = {}
        for condition in sorted(conditions, key=_worst_first):
            key = (condition.code, subject_of(condition.subject))
            worst.setdefault(key, condition)
        now_s = self._clock.monotonic()
        with self._lock:
            for key, condition in worst.items():
                self._set(key, condition.severity, condition.message, ts, now_s)
            for entry in self._entries.values():
                gone = entry.raw and not entry.direct and entry.key not in worst
                if gone and now_s >= entry.hold_until_s:
                    self._unset(entry, ts, now_s)
            self._settle_all(ts, now_s)
        return self.take_changes()

    def take_changes(self) -> tuple[AlarmChange, ...]:
        """Return what happened since it was last asked; for a time when no cycle runs."""
        with self._lock:
            changes = tuple(self._changes)
            self._changes.clear()
        return changes

    def raise_alarm(
        self,
        code: str,
        severity: AlarmSeverity,
        subject: str | None,
        message: str,
        ts: datetime,
    ) -> None:
        """Raise an alarm that no cycle looks for; it stays until `clear`.

        Raises:
            ValueError: The code is unknown.
        """
        now_s = self._clock.monotonic()
        with self._lock:
            entry = self._set((code, subject_of(subject)), severity, message, ts, now_s)
            if entry is not None:
                entry.direct = True
                self._settle(entry, ts, now_s)

    def clear(self, code: str, subject: str | None, ts: datetime) -> None:
        """Say that an alarm raised by `raise_alarm` is over; one that is not raised stays so."""
        now_s = self._clock.monotonic()
        with self._lock:
            entry = self._entries.get((code, subject_of(subject)))
            if entry is not None:
                entry.direct = False
                if entry.raw:
                    self._unset(entry, ts, now_s)
                    self._settle(entry, ts, now_s)

    def acknowledge(self, name: str | None, by: str, ts: datetime) -> tuple[AlarmView, ...]:
        """Mark alarms as seen; those that are over leave the list.

        Args:
            name: Id of one alarm, a code for all of its subjects, or None for all.
            by: Who has seen it.
            ts: When, UTC.

        Returns:
            The alarms acknowledged by this call.
        """
        seen: list[AlarmView] = []
        with self._lock:
            for entry in self._entries.values():
                view = entry.view
                if view is None or view.acknowledged or name not in (None, view.id, view.name):
                    continue
                done = replace(
                    view, acknowledged=True, acknowledged_at=ts, acknowledged_by=one_line(by, 80)
                )
                entry.view = done if done.active else None
                seen.append(done)
                self._tell(AlarmChangeKind.ACKNOWLEDGED, done, ts)
            self._stale_views = self._stale_views or bool(seen)
        return tuple(seen)

    def restore(self, views: Iterable[AlarmView]) -> None:
        """Take over alarms that were listed before a restart; tells nothing.

        An active one counts as over when nothing has confirmed it `RESTORED_HOLD_S` after this
        call. Codes that are not known any more are left out.
        """
        now_s = self._clock.monotonic()
        with self._lock:
            for view in views:
                key = (view.name, subject_of(view.subject))
                if view.name not in self._rules or key in self._entries:
                    continue
                entry = self._room_for(key, view.severity)
                if entry is None:
                    continue
                entry.severity, entry.message = view.severity, view.message or ""
                entry.raw, entry.raw_ts, entry.raw_since_s = view.active, view.raised_at, now_s
                entry.hold_until_s = now_s + RESTORED_HOLD_S
                entry.view = replace(view, subject=key[1], source="engine", flapping=False)
            self._stale_views = True

    def views(self) -> tuple[AlarmView, ...]:
        """Return the alarms that are active or not acknowledged, newest first."""
        with self._lock:
            if self._stale_views:
                listed = [e.view for e in self._entries.values() if e.view is not None]
                listed.sort(key=lambda v: v.raised_at, reverse=True)
                self._views, self._stale_views = tuple(listed), False
            return self._views

    def _set(
        self, key: Key, severity: AlarmSeverity, message: str, ts: datetime, now_s: float
    ) -> _Entry | None:
        entry = self._entries.get(key) or self._room_for(key, severity)
        if entry is None:
            return None
        entry.hold_until_s = 0.0
        if not entry.raw:
            entry.raw, entry.raw_ts, entry.raw_since_s = True, ts, now_s
            entry.severity, entry.message = severity, one_line(message)
            entry.edges.append(now_s)
            entry.flaps += entry.flapping_since_s is not None
        elif severity_rank(severity) > severity_rank(entry.severity):
            entry.severity, entry.message = severity, one_line(message)
        else:
            text = one_line(message)
            # A running number in a text is no news; every listener would be told each cycle.
            if text != entry.message and _DIGITS.sub("", text) != _DIGITS.sub("", entry.message):
                entry.message = text
        return entry

    def _unset(self, entry: _Entry, ts: datetime, now_s: float) -> None:
        entry.raw, entry.raw_ts, entry.raw_since_s = False, ts, now_s
        entry.direct = False

    def _settle_all(self, ts: datetime, now_s: float) -> None:
        for entry in list(self._entries.values()):
            self._settle(entry, ts, now_s)
            if entry.view is None and not entry.raw and not entry.edges:
                del self._entries[entry.key]

    def _settle(self, entry: _Entry, ts: datetime, now_s: float) -> None:
        """Move what is shown towards what is true, as far as the delays allow."""
        while entry.edges and now_s - entry.edges[0] > FLAP_WINDOW_S:
            entry.edges.popleft()
        if entry.flapping_since_s is not None and not entry.edges:
            self._end_flapping(entry, ts, now_s)
        elif entry.flapping_since_s is None and len(entry.edges) >= FLAP_FROM:
            self._begin_flapping(entry, ts)
        view = entry.view
        if view is not None and view.active:
            self._refresh(entry, view, ts)
            if entry.flapping_since_s is None and not entry.raw:
                self._end_if_due(entry, ts, now_s)
        elif entry.raw and now_s - entry.raw_since_s >= entry.rule.on_delay_s:
            self._show(entry)
            self._tell_of(entry, AlarmChangeKind.RAISED, ts)

    def _refresh(self, entry: _Entry, view: AlarmView, ts: datetime) -> None:
        if not entry.raw:
            return
        if severity_rank(entry.severity) > severity_rank(view.severity):
            # An acknowledged warning that has become an alarm is news.
            entry.view = replace(
                view,
                severity=entry.severity,
                message=entry.message or None,
                acknowledged=False,
                acknowledged_at=None,
                acknowledged_by=None,
            )
            self._stale_views = True
            self._tell_of(entry, AlarmChangeKind.RAISED, ts)
        elif (entry.message or None) != view.message:
            entry.view = replace(view, message=entry.message or None)
            self._stale_views = True

    def _show(self, entry: _Entry, *, flapping: bool = False) -> None:
        code, subject = entry.key
        before = entry.view
        assert entry.raw_ts is not None
        entry.view = AlarmView(
            code,
            True,
            before.raised_at if before is not None and before.active else entry.raw_ts,
            count=1 if before is None else before.count + (not before.active),
            severity=entry.severity,
            subject=subject,
            message=entry.message or None,
            flapping=flapping,
            source="engine",
        )
        self._stale_views = True

    def _begin_flapping(self, entry: _Entry, ts: datetime) -> None:
        entry.flapping_since_s, entry.flaps = entry.edges[0], len(entry.edges)
        self._show(entry, flapping=True)
        since_s = entry.edges[-1] - entry.edges[0]
        self._tell_of(entry, AlarmChangeKind.FLAPPING, ts, entry.flaps, since_s)

    def _end_flapping(self, entry: _Entry, ts: datetime, now_s: float) -> None:
        since_s, times = entry.flapping_since_s, entry.flaps
        entry.flapping_since_s, entry.flaps = None, 0
        if entry.view is None:
            return
        entry.view = replace(entry.view, flapping=False, count=max(entry.view.count, times))
        self._stale_views = True
        if not entry.raw:
            # Calm for the whole window is more than any off-delay.
            assert since_s is not None
            self._end(entry, ts, times, max(0.0, entry.raw_since_s - since_s))

    def _end_if_due(self, entry: _Entry, ts: datetime, now_s: float) -> None:
        if now_s - entry.raw_since_s >= entry.rule.off_delay_s:
            self._end(entry, ts)

    def _end(self, entry: _Entry, ts: datetime, times: int = 0, window_s: float = 0.0) -> None:
        view = entry.view
        assert view is not None
        over = replace(view, active=False, cleared_at=entry.raw_ts)
        entry.view = over if entry.rule.latched and not over.acknowledged else None
        self._stale_views = True
        self._tell(AlarmChangeKind.CLEARED, over, ts, times, window_s)

    def _room_for(self, key: Key, severity: AlarmSeverity) -> _Entry | None:
        rule = self._rules.get(key[0])
        if rule is None:
            raise ValueError(f"{key[0]!r} is no alarm of the engine")
        if len(self._entries) >= self._max_entries:
            least = min(
                self._entries.values(),
                key=lambda e: (e.raw, severity_rank(e.severity), e.raw_since_s),
            )
            self._refused += 1
            if least.raw and severity_rank(least.severity) >= severity_rank(severity):
                return None
            del self._entries[least.key]
            self._stale_views = True
        entry = self._entries[key] = _Entry(key, rule)
        return entry

    def _tell_of(
        self,
        entry: _Entry,
        kind: AlarmChangeKind,
        ts: datetime,
        times: int = 0,
        window_s: float = 0.0,
    ) -> None:
        assert entry.view is not None
        self._tell(kind, entry.view, ts, times, window_s)

    def _tell(
        self,
        kind: AlarmChangeKind,
        view: AlarmView,
        ts: datetime,
        times: int = 0,
        window_s: float = 0.0,
    ) -> None:
        if len(self._changes) >= MAX_CHANGES:
            self._changes.popleft()
            self._refused += 1
        self._changes.append(AlarmChange(kind, view, ts, times, window_s))
