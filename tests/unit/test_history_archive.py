"""The archive: samples move, answers stay; nothing is deleted before it was read back."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import numpy as np
import pyarrow.parquet as pq
import pytest

from engine.domain.errors import HistoryError
from engine.domain.records import EventRow, SampleRow
from engine.history import archive, compaction, duckdb_store
from engine.history.columns import Aggregate, ColumnKey, Resolution
from engine.history.duckdb_store import DuckDbHistory
from engine.history.instance import InstanceSettings, open_instance, wal_path
from engine.history.retention import Retention
from engine.history.store import Batch

T0 = datetime(2026, 10, 24, 23, 59, tzinfo=UTC)
"""A minute before the UTC day on which the clocks of Vienna go back."""
NOW = T0 + timedelta(days=20)
PERIOD = (T0 - timedelta(days=1), NOW)
POWER, MEAN = ColumnKey("battery_kw"), ColumnKey("battery_kw", Aggregate.MEAN)

Store = Callable[..., DuckDbHistory]


def sample(number: int, **changes: float) -> SampleRow:
    """Return sample `number` of a series with one every 20 minutes, and pairs 2 s apart."""
    at = T0 + timedelta(minutes=20 * (number // 2), seconds=2 * (number % 2))
    values: dict[str, float | None] = {
        "battery_kw": float(number),
        "grid_import_kwh": number / 8,
        **changes,
    }
    return SampleRow(at, "main", values, binding="soc_max" if number % 3 else None)


ROWS = tuple(sample(i) for i in range(300))
"""Two whole UTC days, and parts of the one before and the one after."""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("filled")
    with DuckDbHistory(folder / "history.duckdb") as store:
        store.write(Batch(samples=ROWS))
        store.write(Batch(samples=(SampleRow(T0, "other", {"battery_kw": 1.0}),)))
    return folder


@pytest.fixture
def folder(tmp_path: Path, filled: Path) -> Path:
    return Path(shutil.copytree(filled, tmp_path / "data"))


def opened(folder: Path, **settings: object) -> DuckDbHistory:
    return DuckDbHistory(folder / "history.duckdb", **settings)  # type: ignore[arg-type]


def archived(store: DuckDbHistory) -> None:
    rolled_up(store)
    while not store.tidy(NOW):
        pass


def rolled_up(store: DuckDbHistory) -> None:
    # a call ends after some time, done or not
    while store.roll_up(NOW):
        pass


def files(folder: Path) -> list[str]:
    return sorted(str(f.relative_to(folder / "cold")) for f in (folder / "cold").rglob("*.parquet"))


def hot_rows(folder: Path) -> int:
    connection = open_instance(folder / "history.duckdb", InstanceSettings())
    try:
        return int(connection.execute("SELECT count(*) FROM h.samples").fetchall()[0][0])
    finally:
        connection.close()


def answers(store: DuckDbHistory) -> list[object]:
    """Return everything that may not change when samples move."""
    out: list[object] = [
        store.latest_sample("main"),
        store.counts(),
        store.minute_means("main", ["battery_kw", "grid_import_kwh"], *PERIOD),
        store.quarter_hour_means("main", ["battery_kw"], *PERIOD),
    ]
    for resolution in Resolution:
        keys = [POWER] if resolution is Resolution.RAW else [MEAN, ColumnKey("covered_s")]
        found = store.columns("main", keys, *PERIOD, resolution, texts=["binding"])
        out += [found.ts.tolist(), found.texts["binding"].tolist()]
        out += [found.values[key].tolist() for key in keys]
    return out


def test_answers_stay_the_same_when_samples_move_to_the_archive(folder: Path) -> None:
    with opened(folder) as store:
        before = answers(store)
        archived(store)
        assert answers(store) == before
        assert store.rebuild_roll_ups("main", *PERIOD) == 150
        assert answers(store) == before
    assert files(folder) == [
        "site=main/month=2026-10/day=24.parquet",
        "site=main/month=2026-10/day=25.parquet",
        "site=main/month=2026-10/day=26.parquet",
        "site=main/month=2026-10/day=27.parquet",
        "site=other/month=2026-10/day=24.parquet",
    ]
    assert hot_rows(folder) == 0
    with opened(folder) as store:
        assert answers(store) == before


def test_only_whole_days_older_than_asked_move(folder: Path) -> None:
    with opened(folder, retention=Retention(raw_days=19)) as store:
        archived(store)
        before = answers(store)
    assert files(folder) == [
        "site=main/month=2026-10/day=24.parquet",
        "site=other/month=2026-10/day=24.parquet",
    ]
    with opened(folder) as store:
        assert answers(store) == before


def test_a_day_that_lacks_roll_ups_stays(folder: Path) -> None:
    with opened(folder) as store:
        assert store.tidy(NOW) is True
    assert files(folder) == []


def test_an_archive_file_is_plain_parquet_with_a_true_manifest(folder: Path) -> None:
    with opened(folder) as store:
        archived(store)
    file = folder / "cold" / files(folder)[1]
    manifest = json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))
    table = pq.read_table(file)
    assert manifest["rows"] == table.num_rows == 144
    assert manifest["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert manifest["size"] == file.stat().st_size
    assert manifest["site_id"] == "main"
    stamps = table.column("ts").to_pylist()
    assert stamps == sorted(stamps)
    assert manifest["first"] == stamps[0].isoformat(timespec="microseconds") + "Z"
    assert pq.ParquetFile(file).metadata.row_group(0).column(0).compression == "ZSTD"
    assert not list((folder / "cold").rglob("*.part"))


def test_samples_of_archived_days_are_stored_once_and_late_ones_join_them(folder: Path) -> None:
    late = sample(100)
    with opened(folder) as store:
        expected = None
        with opened_copy(folder) as other:
            other.write(Batch(samples=(late_of(late),)))
            rolled_up(other)
            expected = answers(other)
        archived(store)
        store.write(Batch(samples=ROWS))
        assert store.counts()["samples"] == 301
        store.write(Batch(samples=(late_of(late), late)))
        assert answers(store) == expected
        archived(store)
        assert answers(store) == expected
        assert "site=main/month=2026-10/day=25.2.parquet" in files(folder)
        # the file it replaces goes when no reader can be at it any more
        store.tidy(NOW)
        assert "site=main/month=2026-10/day=25.parquet" not in files(folder)
        assert answers(store) == expected


def late_of(row: SampleRow) -> SampleRow:
    return SampleRow(row.ts + timedelta(seconds=1), "main", {"battery_kw": 500.0})


def opened_copy(folder: Path) -> DuckDbHistory:
    copy = folder.with_name("copy")
    copy.mkdir()
    shutil.copy(folder / "history.duckdb", copy)
    shutil.copy(wal_path(folder / "history.duckdb"), copy)
    return opened(copy)


def test_an_archive_that_does_not_read_back_costs_nothing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = archive._summary

    def bad(cursor: duckdb.DuckDBPyConnection, relation: str, names: list[str]) -> object:
        found = real(cursor, relation, names)
        return (*found[:-1], 0) if relation.startswith("read_parquet") else found

    with opened(folder) as store:
        rolled_up(store)
        before = answers(store)
        monkeypatch.setattr(archive, "_summary", bad)
        with pytest.raises(HistoryError, match="does not read back"):
            store.tidy(NOW)
        assert files(folder) == []
        assert answers(store) == before
        store.write(Batch(events=(EventRow(NOW, "main", "info", "x", "still writing"),)))
        monkeypatch.undo()
        archived(store)
        assert answers(store)[0] == before[0]


def test_a_crash_between_file_and_deletion_is_archived_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dies(*_: object) -> None:
        raise duckdb.IOException("IO Error: pulled the plug")

    with opened(folder) as store:
        rolled_up(store)
        before = answers(store)
        real = archive.write_manifest

        def write_then_die(*arguments: object) -> None:
            real(*arguments)  # type: ignore[arg-type]
            dies()

        monkeypatch.setattr(archive, "write_manifest", write_then_die)
        with pytest.raises(HistoryError, match="pulled the plug"):
            store.tidy(NOW)
        monkeypatch.undo()
        assert len(files(folder)) == 1
    (folder / "cold/site=main/month=2026-10/day=25.parquet.part").write_bytes(b"half")
    with opened(folder) as store:
        assert answers(store) == before
        archived(store)
        assert answers(store) == before
    assert not list((folder / "cold").rglob("*.part"))


def test_a_lost_hot_file_finds_its_archive_again(folder: Path) -> None:
    with opened(folder) as store:
        archived(store)
        before = answers(store)
    for path in folder.glob("history.duckdb*"):
        path.unlink()
    told: list[EventRow] = []
    with opened(folder, on_event=told.append) as store:
        assert [e.code for e in told] == ["history_archive_adopted"]
        rolled_up(store)
        after = answers(store)
        before[1]["events"] = after[1]["events"]  # type: ignore[index]
        assert after == before


def test_a_broken_manifest_is_told_and_stops_nothing(folder: Path) -> None:
    with opened(folder) as store:
        archived(store)
    broken = folder / "cold" / "site=main/month=2026-10/day=25.json"
    broken.write_text("{", encoding="utf-8")
    told: list[EventRow] = []
    with opened(folder, on_event=told.append) as store:
        assert [(e.code, e.severity) for e in told] == [("history_archive_unreadable", "alarm")]
        assert store.counts()["samples"] == 301


def test_months_and_minutes_are_given_up_in_time_and_quarter_hours_never(folder: Path) -> None:
    later = NOW + timedelta(days=70)
    with opened(folder, retention=Retention(14, 60, 1)) as store:
        archived(store)
        quarters = store.quarter_hour_means("main", ["battery_kw"], *PERIOD)
        store.tidy(NOW + timedelta(days=3))
        assert store.counts()["samples"] == 301
        assert store.tidy(later) is True
        assert store.counts()["samples"] == 0
        assert len(store.minute_means("main", ["battery_kw"], *PERIOD)) == 0
        # a straggler neither brings a minute's roll-up into doubt nor a quarter-hour's
        store.write(Batch(samples=(late_of(sample(100)),)))
        store.roll_up(later)
        assert store.rebuild_roll_ups("main", *PERIOD) >= 0
        assert store.quarter_hour_means("main", ["battery_kw"], *PERIOD) == quarters
        store.tidy(later)
        store.tidy(later)
    assert files(folder) == []
    assert not (folder / "cold" / "site=main").exists()


def test_for_ever_means_for_ever(folder: Path) -> None:
    with opened(folder, retention=Retention(14, 4000, None)) as store:
        archived(store)
        store.tidy(NOW + timedelta(days=3000))
        assert store.counts()["samples"] == 301


def test_nothing_but_the_archive_can_be_reached(folder: Path, tmp_path: Path) -> None:
    with opened(folder) as store:
        archived(store)
    secret = tmp_path / "secret.parquet"
    secret.write_bytes((folder / "cold" / files(folder)[0]).read_bytes())
    (folder / "cold" / "link.parquet").symlink_to(secret)
    connection = open_instance(folder / "history.duckdb", InstanceSettings())
    inside = folder / "cold" / "site=main/month=2026-10/day=24.parquet"
    assert connection.execute(f"SELECT count(*) FROM read_parquet('{inside}')").fetchall() == [(2,)]
    for sql in (
        f"SELECT * FROM read_parquet('{secret}')",
        f"SELECT * FROM read_parquet('{folder}/cold/../../secret.parquet')",
        f"SELECT * FROM read_parquet('{folder}/cold/link.parquet')",
        f"SELECT * FROM read_text('{folder}/history.duckdb.lock')",
        f"SELECT * FROM glob('{tmp_path}/*')",
        f"COPY (SELECT 1) TO '{tmp_path}/out.parquet' (FORMAT parquet)",
        f"ATTACH '{tmp_path}/other.duckdb' AS o",
    ):
        with pytest.raises(duckdb.Error, match="disabled by configuration"):
            connection.execute(sql)
    connection.close()


def test_a_file_that_is_mostly_free_is_written_anew(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = np.random.default_rng(1)

    def noisy(first: int) -> Batch:
        return Batch(
            samples=tuple(
                SampleRow(T0 + timedelta(seconds=2 * i), "noise", {"pv_kw": float(random.random())})
                for i in range(first, first + 10_000)
            )
        )

    told: list[EventRow] = []
    monkeypatch.setattr(compaction, "LOOSE_SHARE", 0.2)
    monkeypatch.setattr(duckdb_store, "is_loose", lambda c: compaction.is_loose(c, 1 << 20))
    with opened(folder, on_event=told.append) as store:
        for first in range(0, 40_000, 10_000):
            store.write(noisy(first))
        store.checkpoint()
        archived(store)
        before = answers(store)
        store.checkpoint()
        store.checkpoint()
        size = (folder / "history.duckdb").stat().st_size
        store.tidy(NOW)
        assert [e.code for e in told] == ["history_compacted"], [e.message for e in told]
        assert (folder / "history.duckdb").stat().st_size < size
        before[1]["events"] += 1  # type: ignore[index,operator]
        assert answers(store) == before
        store.write(noisy(50_000))
    with opened(folder) as store:
        assert store.counts()["samples"] == 301 + 50_000
    assert [p.name for p in folder.glob("*compact*")] == []
