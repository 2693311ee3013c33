"""Alarms as rows of the history, and back after a restart.

One row per change: its code says what happened, its message which alarm::

    alarm_raised        link_offline [meter]: it refuses the connection
    alarm_cleared       link_offline [meter]
    alarm_acknowledged  link_offline [meter]: by anna
    alarm_flapping      link_offline [meter]: 4 times in 92 s
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

from engine.domain.alarms import (
    ENGINE_ALARMS,
    SEVERITIES,
    AlarmChange,
    AlarmChangeKind,
    AlarmSeverity,
    AlarmView,
    alarm_id,
)
from engine.domain.records import EventRow
from engine.domain.signals import ALARMS

RAISED = "alarm_raised"
CLEARED = "alarm_cleared"
ACKNOWLEDGED = "alarm_acknowledged"
FLAPPING = "alarm_flapping"

_CODES = {
    AlarmChangeKind.RAISED: RAISED,
    AlarmChangeKind.CLEARED: CLEARED,
    AlarmChangeKind.ACKNOWLEDGED: ACKNOWLEDGED,
    AlarmChangeKind.FLAPPING: FLAPPING,
}
_MESSAGE = re.compile(r"(?P<code>[a-z0-9_]+)(?: \[(?P<subject>[^\]]*)\])?(?:: (?P<text>.*))?")


def event_of(change: AlarmChange, site_id: str) -> EventRow:
    """Return the row that remembers `change`."""
    view, kind = change.view, change.kind
    what = view.name if view.subject is None else f"{view.name} [{view.subject}]"
    text = ""
    if kind is AlarmChangeKind.RAISED:
        text = view.message or ""
    elif kind is AlarmChangeKind.ACKNOWLEDGED:
        text = f"by {view.acknowledged_by}"
    elif change.times:
        text = f"{change.times} times in {change.window_s:.0f} s"
    calm = kind in (AlarmChangeKind.CLEARED, AlarmChangeKind.ACKNOWLEDGED)
    severity = "info" if calm else view.severity
    message = f"{what}: {text}" if text else what
    return EventRow(change.ts, site_id, severity, _CODES[kind], message)


def listed_alarms(
    rows: Iterable[EventRow], source: Literal["engine", "device"] = "engine"
) -> tuple[AlarmView, ...]:
    """Return the alarms that were listed when `rows` ended, newest first.

    Args:
        rows: Events of one site, those of one instant in the order they happened. Rows of other
            kinds and unknown alarms are skipped.
        source: Whose alarms: the engine's own or the battery's.
    """
    codes = frozenset(ENGINE_ALARMS if source == "engine" else ALARMS)
    listed: dict[str, AlarmView] = {}
    for row in sorted(rows, key=lambda r: r.ts):
        if row.code not in _CODES.values():
            continue
        found = _MESSAGE.fullmatch(row.message)
        if found is None or found["code"] not in codes:
            continue
        key = alarm_id(found["code"], found["subject"])
        after = _after(listed.pop(key, None), row, found)
        if after is not None:
            listed[key] = replace(after, source=source)
    return tuple(sorted(listed.values(), key=lambda v: v.raised_at, reverse=True))


def ended_alarms(rows: Iterable[EventRow]) -> tuple[AlarmView, ...]:
    """Return the alarms that are over, also those nobody has seen, newest first.

    One entry per time an alarm was raised; when it was seen and by whom is part of it, also
    where that was after it had ended.

    Args:
        rows: Events of one site, those of one instant in the order they happened.
    """
    ended: list[AlarmView] = []
    running: dict[str, AlarmView] = {}
    last: dict[str, int] = {}
    for row in sorted(rows, key=lambda r: r.ts):
        found = _MESSAGE.fullmatch(row.message) if row.code in _CODES.values() else None
        if found is None or found["code"] not in _KNOWN:
            continue
        key = alarm_id(found["code"], found["subject"])
        view = running.get(key)
        if row.code in (RAISED, FLAPPING):
            after = _after(view, row, found)
            assert after is not None
            source: Literal["engine", "device"] = "device" if after.name in ALARMS else "engine"
            running[key] = replace(after, source=source, flapping=row.code == FLAPPING)
        elif row.code == CLEARED and view is not None:
            del running[key]
            last[key] = len(ended)
            ended.append(replace(view, active=False, cleared_at=row.ts, flapping=False))
        elif row.code == ACKNOWLEDGED and view is not None:
            running[key] = _seen(view, row, found)
        elif row.code == ACKNOWLEDGED and key in last:
            ended[last[key]] = _seen(ended[last[key]], row, found)
    return tuple(sorted(ended, key=lambda v: v.raised_at, reverse=True))


_KNOWN = frozenset((*ENGINE_ALARMS, *ALARMS))


def _seen(view: AlarmView, row: EventRow, found: re.Match[str]) -> AlarmView:
    by = (found["text"] or "").removeprefix("by ")
    return replace(view, acknowledged=True, acknowledged_at=row.ts, acknowledged_by=by or None)


def _after(view: AlarmView | None, row: EventRow, found: re.Match[str]) -> AlarmView | None:
    if row.code in (RAISED, FLAPPING):
        was_active = view is not None and view.active
        return AlarmView(
            found["code"],
            True,
            view.raised_at if view is not None and was_active else row.ts,
            count=1 if view is None else view.count + (not was_active),
            severity=_severity(row.severity),
            subject=found["subject"],
            message=found["text"] if row.code == RAISED else (view.message if view else None),
        )
    if view is None:
        return None
    if row.code == ACKNOWLEDGED:
        if not view.active:
            return None
        return _seen(view, row, found)
    rule = ENGINE_ALARMS.get(view.name)
    if view.acknowledged or (rule is not None and not rule.latched):
        return None
    return replace(view, active=False, cleared_at=row.ts)


def _severity(text: str) -> AlarmSeverity:
    return next((s for s in SEVERITIES if s == text), "alarm")
