"""What happens at the site, put into words for the list of events."""

from __future__ import annotations

import logging

from engine.domain.alarms import AlarmView
from engine.domain.clock import Clock
from engine.domain.control import EngineState
from engine.domain.records import EventRow
from engine.domain.snapshot import EngineSnapshot
from engine.domain.strategy import Selection
from engine.telemetry.event_log import EventLog

log = logging.getLogger(__name__)


class Journal:
    """Writes the events of one site. Thread-safe, never blocks.

    Args:
        events: Takes the events.
        site_id: The site.
        clock: Time of the events.
    """

    def __init__(self, events: EventLog, site_id: str, clock: Clock) -> None:
        self._events = events
        self._site_id = site_id
        self._clock = clock

    def note(self, severity: str, code: str, message: str) -> None:
        """Write one event that happened now.

        Args:
            severity: ``"info"``, ``"warning"`` or ``"alarm"``.
            code: Key of its title.
            message: What happened, in words.
        """
        self._events.add(EventRow(self._clock.now(), self._site_id, severity, code, message))

    def state_changed(self, before: EngineState, snapshot: EngineSnapshot) -> None:
        """Write that the state is another one than `before`; nothing when it is not."""
        state, reason = snapshot.state, snapshot.state_reason
        if before is state:
            return
        severity = "warning" if state in (EngineState.SAFE, EngineState.DEGRADED) else "info"
        text = f"{before.value} -> {state.value}" + (f" ({reason})" if reason else "")
        log.info("state %s", text)
        self.note(severity, "state_changed", text)

    def alarms_changed(self, before: tuple[AlarmView, ...], after: tuple[AlarmView, ...]) -> None:
        """Write which alarms came and which are over; the list itself stays until acknowledged."""
        known = {view.name: view for view in before}
        for view in after:
            old = known.get(view.name)
            if view.active and (old is None or not old.active):
                log.warning("alarm %s", view.name)
                self.note("alarm", "alarm_raised", view.name)
        active = {view.name for view in after if view.active}
        for view in before:
            if view.active and view.name not in active:
                log.info("alarm %s is over", view.name)
                self.note("info", "alarm_cleared", view.name)

    def strategy_chosen(self, selection: Selection) -> None:
        """Write that the strategy was switched; nothing when the choice is the one before."""
        before, after = selection.previous, selection.active
        if before is None or before is after:
            return
        self.note(
            "info", "strategy_switched", f"{before.value} -> {after.value} ({selection.reason})"
        )
