"""Alarms for people: delayed against flutter, latched until acknowledged.

For display and messages only. Limits act on the raw bits of the process image
in the same cycle (`engine.control.limits`).
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from engine.domain.alarms import AlarmView
from engine.domain.sample import ProcessImage
from engine.domain.signals import ALARMS

TRIPS: frozenset[str] = frozenset(ALARMS)
"""Alarms shown without delay: contactor, fault summary and prohibited bits."""

ON_DELAY_S = 1.5
OFF_DELAY_S = 5.0


class AlarmTracker:
    """Turns raw alarm bits into calm, latched alarms. Thread-safe.

    An alarm is listed while it is active or not acknowledged. While the bits are unusable the
    list stays as it is: an alarm is not over because the device fell silent.

    Args:
        trips: Alarms without on-delay.
        on_delay_s: How long any other alarm must be set before it is shown.
        off_delay_s: How long an alarm must be clear before it counts as over.
    """

    def __init__(
        self,
        trips: frozenset[str] = TRIPS,
        on_delay_s: float = ON_DELAY_S,
        off_delay_s: float = OFF_DELAY_S,
    ) -> None:
        self._trips = trips
        self._on_delay_s = on_delay_s
        self._off_delay_s = off_delay_s
        self._views: dict[str, AlarmView] = {}
        self._changing_since_s: dict[str, float] = {}
        self._lock = threading.Lock()

    def update(self, image: ProcessImage, monotonic_s: float) -> tuple[AlarmView, ...]:
        """Take in the alarm bits of one cycle and return the listed alarms."""
        bits = image.value("alarm_bits")
        if bits is None:
            with self._lock:
                # A delay that was running starts again: what happened meanwhile is unknown.
                self._changing_since_s.clear()
            return self.views()
        states = {name: bool(int(bits) >> i & 1) for i, name in enumerate(ALARMS)}
        return self.update_states(states, image.ts, monotonic_s)

    def update_states(
        self, states: Mapping[str, bool], ts: datetime, monotonic_s: float
    ) -> tuple[AlarmView, ...]:
        """Take in raw states by alarm name and return the listed alarms.

        Args:
            states: Alarm name to raw state.
            ts: Time of the cycle, UTC.
            monotonic_s: Monotonic time of the cycle, which paces the delays.
        """
        with self._lock:
            for name, is_set in states.items():
                self._update_one(name, is_set, ts, monotonic_s)
        return self.views()

    def acknowledge(
        self, name: str | None = None, *, by: str | None = None, ts: datetime | None = None
    ) -> tuple[str, ...]:
        """Mark one alarm (or all) as seen; those that are over leave the list.

        Args:
            name: The alarm, or None for all.
            by: Who has seen it.
            ts: When, UTC.

        Returns:
            Names of the alarms that were acknowledged by this call.
        """
        with self._lock:
            names = [
                n for n, view in self._views.items() if not view.acknowledged and name in (None, n)
            ]
            for n in names:
                if self._views[n].active:
                    self._views[n] = replace(
                        self._views[n], acknowledged=True, acknowledged_at=ts, acknowledged_by=by
                    )
                else:
                    del self._views[n]
            return tuple(names)

    def views(self) -> tuple[AlarmView, ...]:
        """Return the listed alarms, newest first."""
        with self._lock:
            listed = list(self._views.values())
        return tuple(sorted(listed, key=lambda v: v.raised_at, reverse=True))

    def _update_one(self, name: str, is_set: bool, ts: datetime, monotonic_s: float) -> None:
        view = self._views.get(name)
        shown = view is not None and view.active
        if is_set == shown:
            self._changing_since_s.pop(name, None)
            return
        since = self._changing_since_s.setdefault(name, monotonic_s)
        on_delay_s = 0.0 if name in self._trips else self._on_delay_s
        if monotonic_s - since < (on_delay_s if is_set else self._off_delay_s):
            return
        del self._changing_since_s[name]
        if is_set:
            count = view.count + 1 if view is not None else 1
            self._views[name] = AlarmView(name, True, ts, count=count)
        elif view is not None and view.acknowledged:
            del self._views[name]
        elif view is not None:
            self._views[name] = replace(view, active=False, cleared_at=ts)
