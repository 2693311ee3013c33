"""Whatever comes and goes, is acknowledged or restarted: the list and what was told agree."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.alarms import AlarmChange, Condition
from engine.domain.clock import ManualClock
from engine.domain.records import EventRow
from engine.notify.book import AlarmBook
from engine.notify.events import event_of, listed_alarms

NOW = datetime(2026, 11, 25, 19, 0, tzinfo=UTC)

CONDITIONS = [
    Condition(code, severity, "text", subject)
    for code, subject in (
        ("fault", None),
        ("link_offline", "bms"),
        ("link_offline", "meter"),
        ("external_limit", "dso"),
    )
    for severity in ("info", "warning", "alarm")
]

STEPS = st.lists(
    st.one_of(
        st.tuples(
            st.just("cycles"),
            st.sets(st.sampled_from(CONDITIONS), max_size=4),
            st.sampled_from([2.0, 12.0, 40.0, 700.0]),
        ),
        st.tuples(
            st.just("acknowledge"),
            st.sampled_from([None, "fault", "link_offline:bms", "link_offline"]),
            st.just(0.0),
        ),
        st.tuples(st.just("raise"), st.sampled_from(CONDITIONS), st.just(0.0)),
        st.tuples(st.just("clear"), st.sampled_from(CONDITIONS), st.just(0.0)),
    ),
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_the_list_is_what_was_told_and_what_a_restart_finds(steps: list[tuple]) -> None:
    clock = ManualClock(NOW)
    book = AlarmBook(clock)
    told: list[AlarmChange] = []
    for what, value, seconds in steps:
        clock.advance(0.5)
        if what == "acknowledge":
            book.acknowledge(value, "anna", clock.now())
        elif what == "raise":
            book.raise_alarm(value.code, value.severity, value.subject, "by hand", clock.now())
        elif what == "clear":
            book.clear(value.code, value.subject, clock.now())
        else:
            for _ in range(2):
                clock.advance(seconds / 2)
                told += book.update(value, clock.now())
    told += book.take_changes()
    _told_makes_sense(told)
    rows: list[EventRow] = [event_of(change, "site-1") for change in told]
    stored = {(v.id, v.active, v.acknowledged, v.severity) for v in listed_alarms(rows)}
    assert stored == {(v.id, v.active, v.acknowledged, v.severity) for v in book.views()}


def _told_makes_sense(told: list[AlarmChange]) -> None:
    """Nothing ends that did not begin; times do not run backwards; each end is told once."""
    active: dict[str, bool] = {}
    for change in told:
        key, kind = change.view.id, change.kind.value
        if kind == "cleared":
            assert active[key]
            assert change.view.cleared_at is not None
            assert change.view.cleared_at >= change.view.raised_at
            active[key] = False
        elif kind in ("raised", "flapping"):
            active[key] = True
    for before, after in pairwise(told):
        assert before.ts <= after.ts
