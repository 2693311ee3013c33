"""However samples arrive, roll-ups equal what plain Python makes of all of them."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.domain.records import SampleRow
from engine.history.columns import TEXT_COLUMNS, Aggregate, ColumnKey, Resolution
from engine.history.duckdb_store import DuckDbHistory
from engine.history.store import Batch
from tests.support.series_reference import (
    assert_equal,
    reference_minutes,
    reference_quarter_hours,
)

T0 = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)
"""Half an hour before the clocks of Vienna go back."""

KEYS = [
    *(ColumnKey(name) for name in ("samples", "covered_s", "limited_s", "unusable")),
    *(
        ColumnKey("battery_kw", aggregate)
        for aggregate in Aggregate
        if aggregate not in {Aggregate.FIRST, Aggregate.ANY_BIT}
    ),
    *(ColumnKey("grid_import_kwh", a) for a in (Aggregate.MEAN, Aggregate.FIRST)),
    *(ColumnKey("alarm_bits", a) for a in (Aggregate.MEAN, Aggregate.COUNT, Aggregate.ANY_BIT)),
    ColumnKey("setpoint_kw", Aggregate.MAX),
]

values = st.none() | st.integers(-800, 800).map(lambda v: v / 8.0)
words = st.sampled_from([None, "soc_max", "grid_import"])
steps_s = st.sampled_from([0.5, 2.0, 2.0, 2.0, 2.013, 9.9, 10.0, 10.1, 61.0, 700.0, 4000.0])


@st.composite
def series(draw: st.DrawFn) -> list[SampleRow]:
    rows, at = [], T0 + timedelta(seconds=draw(st.integers(-100, 3600)))
    for _ in range(draw(st.integers(1, 45))):
        at += timedelta(seconds=draw(steps_s))
        rows.append(
            SampleRow(
                at,
                "main",
                {
                    "battery_kw": draw(values),
                    "grid_import_kwh": draw(values),
                    "alarm_bits": draw(st.none() | st.integers(0, 31)),
                },
                unusable=draw(st.integers(0, 3)),
                setpoint_kw=draw(values),
                binding=draw(words),
                decided_by=draw(words),
                state=draw(words),
                simulated=draw(st.booleans()),
            )
        )
    return rows


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("empty") / "history.duckdb"
    DuckDbHistory(path).close()
    return path.parent


@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=series(), data=st.data())
def test_roll_ups_equal_recomputation_in_any_order_of_arrival(
    rows: list[SampleRow], data: st.DataObject, empty: Path, tmp_path: Path
) -> None:
    order = data.draw(st.permutations(range(len(rows))), label="order of arrival")
    cuts = sorted(data.draw(st.sets(st.integers(0, len(rows)), max_size=4), label="batches"))
    folder = tmp_path / "store"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(empty, folder)
    with ExitStack() as opened:
        store = opened.enter_context(DuckDbHistory(folder / "history.duckdb"))
        written: list[SampleRow] = []
        for low, high in zip([0, *cuts], [*cuts, len(rows)], strict=True):
            part = [rows[i] for i in order[low:high]]
            # what was stored before stays, whatever comes for the same instant
            again = [replace(row, values={"battery_kw": 77.0}) for row in written[:3]]
            store.write(Batch(samples=(*part, *again)))
            written += part
            action = data.draw(st.sampled_from(["nothing", "roll up", "restart", "rebuild"]))
            if action == "roll up":
                store.roll_up(T0 + timedelta(seconds=data.draw(st.integers(0, 90_000))))
            elif action == "restart":
                store.close()
                store = opened.enter_context(DuckDbHistory(folder / "history.duckdb"))
            elif action == "rebuild":
                store.rebuild_roll_ups("main", T0, T0 + timedelta(hours=1))
        check(store, rows)
        store.roll_up(T0 + timedelta(days=30))
        check(store, rows)


def check(store: DuckDbHistory, rows: list[SampleRow]) -> None:
    minutes = reference_minutes(rows)
    for resolution, wanted in (
        (Resolution.MINUTE, minutes),
        (Resolution.QUARTER_HOUR, reference_quarter_hours(minutes)),
    ):
        found = store.columns(
            "main",
            KEYS,
            T0 - timedelta(days=1),
            T0 + timedelta(days=9),
            resolution,
            texts=TEXT_COLUMNS,
        )
        assert_equal(found, wanted)
