"""What the plans in force wanted is read back step by step."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from engine.history.duckdb_store import DuckDbHistory
from engine.history.store import Batch
from engine.runtime.planned_past import PlannedPast
from tests.support.build import NOW, plan

STEP = timedelta(minutes=15)


def test_each_step_is_told_by_the_plan_in_force_then(tmp_path: Path) -> None:
    first = plan(8, battery_kw=-10.0, soc_kwh=90.0)
    renewed = replace(
        plan(8, NOW + STEP, battery_kw=20.0, soc_kwh=80.0),
        plan_id="20261123T121500-0002",
        created_at=NOW + STEP + timedelta(seconds=7),
    )
    store = DuckDbHistory(tmp_path / "hot.duckdb")
    store.write(Batch(plans=(first, renewed)))
    steps = PlannedPast(store, "site-1", "Europe/Vienna").steps(NOW, NOW + 3 * STEP)
    assert [(s.start, s.battery_kw, s.soc_kwh) for s in steps] == [
        (NOW, -10.0, 90.0),
        (NOW + STEP, 20.0, 80.0),
        (NOW + 2 * STEP, 20.0, 80.0),
    ]
    assert all(s.end - s.start == STEP for s in steps)
    assert PlannedPast(store, "nobody", "UTC").steps(NOW, NOW + STEP) == []
    store.close()
