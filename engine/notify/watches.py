"""What no single snapshot shows: a clock that jumped, and what changed on the battery's list."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from engine.domain.alarms import AlarmChange, AlarmChangeKind, AlarmView, Condition
from engine.domain.clock import Clock

JUMP_S = 30.0
"""More than what setting a clock by network time does in small steps."""


class ClockWatch:
    """Compares the wall clock with the monotonic one between two looks."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last: tuple[datetime, float] | None = None

    def look(self) -> Condition | None:
        """Return the jump since the last look, or None; it is reported once."""
        now, mono = self._clock.now(), self._clock.monotonic()
        before, self._last = self._last, (now, mono)
        if before is None:
            return None
        jump_s = (now - before[0]).total_seconds() - (mono - before[1])
        if abs(jump_s) < JUMP_S:
            return None
        return Condition("clock_jumped", "warning", f"By {jump_s:+.0f} s.")


def device_changes(
    before: Sequence[AlarmView], after: Sequence[AlarmView], ts: datetime
) -> tuple[AlarmChange, ...]:
    """Return what was raised and what ended between two lists of a battery's alarms.

    Args:
        before: The list as it was.
        after: The list as it is; one that left it while active is over.
        ts: Time of the cycle, UTC.
    """
    was = {view.id: view for view in before if view.active}
    now = {view.id: view for view in after}
    found = [
        AlarmChange(AlarmChangeKind.RAISED, view, ts)
        for view in reversed(after)
        if view.active and view.id not in was
    ]
    for key, view in was.items():
        listed = now.get(key)
        if listed is None or not listed.active:
            ended = listed.cleared_at if listed is not None else None
            over = replace(view, active=False, cleared_at=ended or ts)
            found.append(AlarmChange(AlarmChangeKind.CLEARED, over, ts))
    return tuple(found)
