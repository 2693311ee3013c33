"""The sparkline of what plans expected to earn."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ems_dash.ui.live import millis
from ems_dash.ui.profit_past import profit_past
from engine.domain.records import RunRow

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)


def run(minutes_ago: float, profit_eur: float | None, status: str = "published") -> RunRow:
    ts = NOW - timedelta(minutes=minutes_ago)
    return RunRow(ts, "site-1", "schedule", status, 300.0, expected_profit_eur=profit_eur)


def ago(minutes: float) -> int:
    return millis(NOW - timedelta(minutes=minutes))


def test_each_plan_holds_until_the_next_and_the_last_until_now() -> None:
    line = profit_past([run(90, 5.0), run(70, 3.0), run(20, 4.0)], NOW)
    assert line == {"x": [ago(60), ago(20), ago(20), ago(0)], "y": [3.0, 3.0, 4.0, 4.0]}


def test_runs_without_a_plan_change_nothing() -> None:
    runs = [run(40, 3.0), run(30, None, "failed"), run(20, 9.0, "rejected")]
    assert profit_past(runs, NOW)["y"] == [3.0, 3.0]


def test_without_plans_there_is_no_line() -> None:
    assert profit_past([run(10, None, "failed")], NOW) == {"x": [], "y": []}
