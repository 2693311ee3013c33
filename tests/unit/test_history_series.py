"""Series by column: the contract of `SeriesStore`; a new backend adds a subclass."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from engine.domain.errors import HistoryError
from engine.domain.records import SampleRow
from engine.domain.signals import SIGNALS, Kind
from engine.history.columns import TALLIES, TEXT_COLUMNS, Aggregate, ColumnKey, Resolution
from engine.history.duckdb_store import DuckDbHistory
from engine.history.roll_up_columns import BITS_SIGNAL, DECISION_COLUMNS, POWER_SIGNALS
from engine.history.store import Batch, HistoryStore
from tests.support.series_reference import (
    assert_equal,
    reference_minutes,
    reference_quarter_hours,
)

T0 = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
DAY = timedelta(days=1)
FOR_EVER = (T0 - 4000 * DAY, T0 + 4000 * DAY)


def every_key() -> list[ColumnKey]:
    """Return every column a roll-up has."""
    keys = [ColumnKey(name) for name in TALLIES]
    for name in (*DECISION_COLUMNS, *SIGNALS):
        kind = Kind.GAUGE if name in DECISION_COLUMNS else SIGNALS[name].kind
        aggregates = [Aggregate.MEAN, Aggregate.COUNT]
        if kind is Kind.GAUGE:
            aggregates += [Aggregate.MIN, Aggregate.MAX]
        if kind is Kind.COUNTER:
            aggregates += [Aggregate.FIRST]
        if name in POWER_SIGNALS:
            aggregates += [Aggregate.POSITIVE_KWH, Aggregate.NEGATIVE_KWH]
        if name == BITS_SIGNAL:
            aggregates += [Aggregate.ANY_BIT]
        keys += [ColumnKey(name, aggregate) for aggregate in aggregates]
    return keys


def sample(second: float, site_id: str = "main", **values: float | None) -> SampleRow:
    return SampleRow(ts=T0 + timedelta(seconds=second), site_id=site_id, values=values)


def lively(
    first: int, count: int, *, every_s: float = 2.0, site_id: str = "main"
) -> list[SampleRow]:
    """Return samples in which everything changes and now and then something is missing."""
    random = np.random.default_rng(first)
    words = ("soc_max", "grid_import", None)
    rows = []
    for i in range(first, first + count):
        values: dict[str, float | None] = {}
        for name, signal in SIGNALS.items():
            value = float(np.float32(random.normal() * 50.0))
            if signal.kind is Kind.COUNTER:
                value = i / 7.0
            elif signal.kind is Kind.CODE:
                value = float(1 << (i // 9 % 5))
            values[name] = value if random.random() > 0.1 else None
        rows.append(
            SampleRow(
                T0 + timedelta(seconds=every_s * i),
                site_id,
                values,
                unusable=i % 4,
                setpoint_kw=float(i % 50) if i % 3 else None,
                charge_limit_kw=80.0,
                binding=words[i // 20 % 3],
                decided_by="plan" if i // 25 % 2 else "peak_guard",
                state="automatic",
                simulated=i // 100 % 2 == 1,
            )
        )
    return rows


def assert_agrees(store: HistoryStore, rows: list[SampleRow]) -> None:
    """Assert that both roll-ups are what plain Python makes of `rows`."""
    minutes = reference_minutes(rows)
    expected = {
        Resolution.MINUTE: minutes,
        Resolution.QUARTER_HOUR: reference_quarter_hours(minutes),
    }
    for resolution, wanted in expected.items():
        found = store.columns("main", every_key(), *FOR_EVER, resolution, texts=TEXT_COLUMNS)
        assert_equal(found, wanted)


class SeriesContract:
    """The tests; subclasses provide `store`, empty and open."""

    def test_samples_come_back_as_they_were_written(self, store: HistoryStore) -> None:
        rows = [
            sample(0, battery_kw=1.5, status_code=3.0, grid_import_kwh=123456.789),
            sample(2, battery_kw=None, status_code=None),
            SampleRow(T0 + timedelta(seconds=4), "main", binding="soc_max", simulated=True),
        ]
        store.write(Batch(samples=(*reversed(rows), sample(0, "other", battery_kw=9.0))))
        battery, code, counter = (
            ColumnKey(name) for name in ("battery_kw", "status_code", "grid_import_kwh")
        )
        found = store.columns(
            "main", [battery, code, counter], T0, T0 + DAY, Resolution.RAW, texts=["binding"]
        )
        nan = float("nan")
        assert found.resolution is Resolution.RAW
        assert found.ts.dtype == np.dtype("datetime64[us]")
        assert (found.ts - found.ts[0]).astype(int).tolist() == [0, 2_000_000, 4_000_000]
        assert np.array_equal(found.values[battery], [1.5, nan, nan], equal_nan=True)
        assert np.array_equal(found.values[code], [3.0, nan, nan], equal_nan=True)
        assert np.array_equal(found.values[counter], [123456.789, nan, nan], equal_nan=True)
        assert found.texts["binding"].tolist() == [None, None, "soc_max"]
        assert found.simulated.tolist() == [False, False, True]

    def test_the_period_holds_the_intervals_that_start_in_it(self, store: HistoryStore) -> None:
        store.write(Batch(samples=tuple(sample(20 * i, pv_kw=1.0) for i in range(200))))
        second = timedelta(seconds=1)
        key = [ColumnKey("pv_kw")]
        raw = store.columns("main", key, T0 + second, T0 + 40 * second, Resolution.RAW)
        minutes = store.columns("main", key, T0 + second, T0 + 121 * second, Resolution.MINUTE)
        quarters = store.columns("main", key, T0, T0 + 900 * second, Resolution.QUARTER_HOUR)
        assert [len(raw), len(minutes), len(quarters)] == [1, 2, 1]
        assert str(minutes.ts[0]).endswith("10:01:00.000000")
        assert len(store.columns("main", key, T0, T0, Resolution.MINUTE)) == 0
        assert len(store.columns("nowhere", key, *FOR_EVER, Resolution.QUARTER_HOUR)) == 0

    def test_every_aggregate_is_what_plain_python_makes_of_the_samples(
        self, store: HistoryStore
    ) -> None:
        rows = lively(0, 700)
        store.write(Batch(samples=tuple(rows)))
        assert_agrees(store, rows)

    def test_energy_is_not_integrated_over_gaps(self, store: HistoryStore) -> None:
        rows = [sample(s, battery_kw=36.0) for s in (0, 2, 4, 15, 17, 600, 610, 620.5)]
        store.write(Batch(samples=tuple(rows)))
        keys = [
            ColumnKey("battery_kw", Aggregate.POSITIVE_KWH),
            ColumnKey("battery_kw", Aggregate.NEGATIVE_KWH),
            ColumnKey("covered_s"),
        ]
        found = store.columns("main", keys, T0, T0 + DAY, Resolution.QUARTER_HOUR)
        # 0-2-4, 15-17, 600-610; 620.5 is 10.5 s away and the last has no next
        assert found.values[keys[2]].tolist() == [16.0]
        assert found.values[keys[0]][0] == pytest.approx(36.0 * 16.0 / 3600.0)
        assert found.values[keys[1]].tolist() == [0.0]

    def test_rolled_up_or_not_the_answer_is_the_same(self, store: HistoryStore) -> None:
        rows = lively(0, 700)
        store.write(Batch(samples=tuple(rows[:400])))
        assert store.roll_up(T0 + timedelta(minutes=8)) == 8
        assert_agrees(store, rows[:400])
        store.write(Batch(samples=tuple(rows[400:])))
        assert_agrees(store, rows)
        assert store.roll_up(T0 + DAY) > 0
        assert store.roll_up(T0 + DAY) == 0
        assert_agrees(store, rows)

    def test_a_minute_is_rolled_up_once_it_is_over(self, store: HistoryStore) -> None:
        store.write(Batch(samples=tuple(lively(0, 60))))
        assert store.roll_up(T0 + timedelta(seconds=119)) == 1
        assert store.roll_up(T0 + timedelta(seconds=120)) == 1

    def test_late_samples_and_repeated_batches_make_their_minutes_again(
        self, store: HistoryStore
    ) -> None:
        rows = lively(0, 900)
        late = rows[100:160]
        store.write(Batch(samples=tuple(rows[:100] + rows[160:])))
        store.roll_up(T0 + DAY)
        store.write(Batch(samples=tuple(reversed(late))))
        store.write(Batch(samples=tuple(late)))
        assert 2 <= store.roll_up(T0 + DAY) <= 4
        assert_agrees(store, rows)
        store.write(Batch(samples=tuple(rows[:300])))
        store.roll_up(T0 + DAY)
        assert_agrees(store, rows)

    def test_a_rebuild_gives_what_was_there(self, store: HistoryStore) -> None:
        rows = lively(0, 700)
        store.write(Batch(samples=tuple(rows)))
        store.roll_up(T0 + DAY)
        made = store.rebuild_roll_ups("main", T0 + timedelta(minutes=1), T0 + DAY)
        assert made == len(reference_minutes(rows))
        assert store.rebuild_roll_ups("nowhere", T0, T0 + DAY) == 0
        assert_agrees(store, rows)

    def test_tidying_up_changes_no_answer(self, store: HistoryStore) -> None:
        rows = lively(0, 400)
        store.write(Batch(samples=tuple(rows)))
        later = T0 + 60 * DAY
        while store.roll_up(later) or not store.tidy(later):
            pass
        assert_agrees(store, rows)
        keys = [ColumnKey("battery_kw")]
        assert len(store.columns("main", keys, *FOR_EVER, Resolution.RAW)) == 400
        store.write(Batch(samples=tuple(rows[:50])))
        assert store.counts()["samples"] == 400
        newest = store.latest_sample("main")
        assert newest is not None
        assert newest.ts == rows[-1].ts

    def test_sites_are_rolled_up_apart(self, store: HistoryStore) -> None:
        mine, others = lively(0, 90), lively(45, 90, site_id="other")
        store.write(Batch(samples=(*mine, *others)))
        store.roll_up(T0 + DAY)
        assert_agrees(store, mine)

    @pytest.mark.parametrize(
        ("keys", "texts", "resolution", "field"),
        [
            ([ColumnKey("nonsense")], (), Resolution.MINUTE, "keys"),
            ([ColumnKey("nonsense")], (), Resolution.RAW, "keys"),
            ([ColumnKey("pv_kw", Aggregate.MAX)], (), Resolution.RAW, "keys"),
            ([ColumnKey("covered_s")], (), Resolution.RAW, "keys"),
            ([ColumnKey("covered_s", Aggregate.MAX)], (), Resolution.MINUTE, "keys"),
            ([ColumnKey("grid_import_kwh", Aggregate.MIN)], (), Resolution.MINUTE, "keys"),
            ([ColumnKey("soc_percent", Aggregate.POSITIVE_KWH)], (), Resolution.MINUTE, "keys"),
            ([ColumnKey("pv_kw", Aggregate.FIRST)], (), Resolution.MINUTE, "keys"),
            ([], ("site_id",), Resolution.MINUTE, "texts"),
        ],
    )
    def test_columns_that_do_not_exist_are_refused(
        self,
        store: HistoryStore,
        keys: list[ColumnKey],
        texts: tuple[str, ...],
        resolution: Resolution,
        field: str,
    ) -> None:
        with pytest.raises(HistoryError) as caught:
            store.columns("main", keys, T0, T0 + DAY, resolution, texts=texts)
        assert caught.value.field == field
        assert caught.value.hint

    def test_a_time_without_zone_is_refused(self, store: HistoryStore) -> None:
        with pytest.raises(HistoryError, match="time zone"):
            store.columns("main", [], datetime(2026, 1, 1), T0, Resolution.RAW)  # noqa: DTZ001
        with pytest.raises(HistoryError, match="time zone"):
            store.roll_up(datetime(2026, 1, 1))  # noqa: DTZ001


class TestDuckDbSeries(SeriesContract):
    @pytest.fixture
    def store(self, tmp_path: Path, empty_history: Path) -> Iterator[HistoryStore]:
        # copying a file is quicker than creating one
        shutil.copytree(empty_history.parent, tmp_path, dirs_exist_ok=True)
        with DuckDbHistory(tmp_path / empty_history.name) as history:
            yield history
