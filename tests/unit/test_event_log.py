"""What happened is on the page at once, and stays known when it is over."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from engine.domain.records import EventRow
from engine.notify.events import ended_alarms
from engine.telemetry.event_log import EventLog

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def event(minute: int, code: str, message: str, severity: str = "info") -> EventRow:
    return EventRow(NOW + timedelta(minutes=minute), "site-1", severity, code, message)


def test_events_go_to_the_history_and_are_remembered_up_to_a_bound() -> None:
    stored: list[EventRow] = []
    log = EventLog(stored.append, capacity=2)
    log.preload([event(0, "engine_started", "a")])
    for minute in (1, 2):
        log.add(event(minute, "state_changed", "b"))
    assert [row.ts for row in stored] == [NOW + timedelta(minutes=m) for m in (1, 2)]
    assert [row.ts.minute for row in log.since(NOW)] == [1, 2]
    assert [row.ts.minute for row in log.since(NOW + timedelta(minutes=2))] == [2]


def test_an_alarm_that_is_over_keeps_when_it_was_raised_seen_and_cleared() -> None:
    (view,) = ended_alarms(
        [
            event(0, "alarm_raised", "link_offline [meter]: no answer", "warning"),
            event(1, "alarm_acknowledged", "link_offline [meter]: by anna"),
            event(3, "alarm_cleared", "link_offline [meter]"),
        ]
    )
    assert (view.name, view.subject, view.severity) == ("link_offline", "meter", "warning")
    assert (view.raised_at.minute, view.acknowledged_by, view.active) == (0, "anna", False)
    assert view.acknowledged_at is not None
    assert view.cleared_at is not None
    assert (view.acknowledged_at.minute, view.cleared_at.minute) == (1, 3)
    assert view.message == "no answer"


def test_each_time_an_alarm_came_is_an_entry_and_a_running_one_is_none() -> None:
    rows = [
        event(0, "alarm_raised", "system_fault", "alarm"),
        event(1, "alarm_cleared", "system_fault"),
        event(2, "alarm_acknowledged", "system_fault: by operator"),
        event(3, "alarm_raised", "system_fault", "alarm"),
        event(4, "alarm_cleared", "system_fault"),
        event(5, "alarm_raised", "system_fault", "alarm"),
        event(6, "state_changed", "system_fault"),
    ]
    second, first = ended_alarms(rows)
    assert (first.acknowledged, second.acknowledged) == (True, False)
    assert (first.source, second.raised_at.minute) == ("device", 3)
