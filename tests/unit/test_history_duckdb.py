"""What is particular to the DuckDB store: file, schema, settings, checkpoints."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from engine.domain.clock import ManualClock
from engine.domain.errors import AlreadyRunningError, HistoryError
from engine.domain.records import EventRow, SampleRow
from engine.domain.signals import SIGNALS, Kind, Signal
from engine.history import duckdb_store
from engine.history.checks import MAX_BATCH_ROWS
from engine.history.duckdb_store import DuckDbHistory
from engine.history.instance import InstanceSettings, open_instance, wal_path
from engine.history.recovery import snapshot_path
from engine.history.schema import MIGRATIONS, Migration, migrate, schema_version
from engine.history.store import INSTALLATION_SITE_ID, Batch

T0 = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def samples(first: int, count: int) -> tuple[SampleRow, ...]:
    return tuple(
        SampleRow(T0 + timedelta(seconds=2 * i), "main", {"battery_kw": float(i)})
        for i in range(first, first + count)
    )


def change(path: Path, *statements: str) -> None:
    with duckdb.connect(str(path)) as connection:
        for statement in statements:
            connection.execute(statement)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "data" / "history.duckdb"


def test_rows_survive_closing_and_opening(path: Path) -> None:
    with DuckDbHistory(path) as store:
        store.write(Batch(samples=samples(0, 10)))
        newest = store.latest_sample("main")
    with DuckDbHistory(path) as store:
        assert store.counts()["samples"] == 10
        assert store.latest_sample("main") == newest


def test_the_file_has_the_long_supported_format_and_no_index(path: Path) -> None:
    DuckDbHistory(path).close()
    assert path.read_bytes()[8:12] == b"DUCK"
    assert int.from_bytes(path.read_bytes()[12:20], "little") <= 68
    connection = open_instance(path, InstanceSettings())
    assert connection.execute("SELECT count(*) FROM duckdb_indexes()").fetchall() == [(0,)]
    types = dict(
        connection.execute(
            "SELECT column_name, data_type FROM duckdb_columns() WHERE table_name = 'samples'"
        ).fetchall()
    )
    connection.close()
    assert types["ts"] == "TIMESTAMP"
    for signal in SIGNALS.values():
        expected = {Kind.GAUGE: "FLOAT", Kind.COUNTER: "DOUBLE", Kind.CODE: "INTEGER"}
        assert types[signal.name] == expected[signal.kind]


def test_queries_cannot_leave_the_file_or_change_settings(path: Path, tmp_path: Path) -> None:
    DuckDbHistory(path).close()
    secret = tmp_path / "secret.txt"
    secret.write_text("x", encoding="utf-8")
    connection = open_instance(path, InstanceSettings())
    with pytest.raises(duckdb.Error, match="disabled by configuration"):
        connection.execute(f"SELECT * FROM read_text('{secret}')")
    with pytest.raises(duckdb.Error, match="locked"):
        connection.execute("SET threads = 1")
    connection.close()


def test_a_file_of_a_newer_program_is_refused_and_left_alone(path: Path) -> None:
    DuckDbHistory(path).close()
    change(path, "INSERT INTO schema_version VALUES (99, TIMESTAMP '2030-01-01')")
    before = path.read_bytes()
    with pytest.raises(HistoryError, match="version 99") as caught:
        DuckDbHistory(path)
    assert "newer" in (caught.value.hint or "")
    assert path.read_bytes() == before


def test_a_signal_added_later_gets_its_column(path: Path) -> None:
    with DuckDbHistory(path) as store:
        store.write(Batch(samples=samples(0, 3)))
    change(path, "ALTER TABLE samples DROP COLUMN pv_kw")
    with DuckDbHistory(path) as store:
        store.write(Batch(samples=(SampleRow(T0 + timedelta(hours=1), "main", {"pv_kw": 7.0}),)))
        points = store.minute_means("main", ["pv_kw", "battery_kw"], T0, T0 + DAY)
    assert [p.values["pv_kw"] for p in points] == [None, 7.0]
    assert points[0].values["battery_kw"] == 1.0


def test_a_signal_whose_column_has_another_type_is_refused(path: Path) -> None:
    DuckDbHistory(path).close()
    change(path, "ALTER TABLE samples ALTER pv_kw TYPE VARCHAR")
    with pytest.raises(HistoryError, match="pv_kw has type VARCHAR"):
        DuckDbHistory(path)


def test_migrations_run_in_order_and_all_or_nothing(path: Path) -> None:
    path.parent.mkdir()
    connection = open_instance(path, InstanceSettings(), create=True)
    migrate(connection, T0)
    next_version = MIGRATIONS[-1].version + 1
    second = Migration(
        next_version, ("CREATE TABLE h.extra(a INTEGER)", "INSERT INTO h.extra VALUES (1)")
    )
    broken = Migration(
        next_version + 1, ("CREATE TABLE h.more(a INTEGER)", "SELECT * FROM h.absent")
    )
    with pytest.raises(duckdb.Error):
        migrate(connection, T0, migrations=(*MIGRATIONS, second, broken))
    assert schema_version(connection) == MIGRATIONS[-1].version
    assert migrate(connection, T0, migrations=(*MIGRATIONS, second))
    assert schema_version(connection) == next_version
    assert not migrate(connection, T0, migrations=(*MIGRATIONS, second))
    new = Signal("humidity_percent", "%", Kind.GAUGE, "Relative humidity in the container")
    assert migrate(
        connection,
        T0,
        migrations=(*MIGRATIONS, second),
        signals={**SIGNALS, new.name: new},
    )
    connection.close()


def version_1_file(path: Path) -> None:
    """Write what version 1 of the schema held: a sample, a plan of two steps and an event."""
    path.parent.mkdir(parents=True, exist_ok=True)
    connection = open_instance(path, InstanceSettings(), create=True)
    migrate(connection, T0, migrations=MIGRATIONS[:1])
    for statement in (
        "INSERT INTO h.samples BY NAME SELECT TIMESTAMP '2026-11-23 10:00:00' AS ts, "
        "'main' AS site_id, 0 AS unusable, false AS simulated, 12.5 AS battery_kw",
        "INSERT INTO h.plans VALUES ('old', 'main', TIMESTAMP '2026-11-23 10:00:00', "
        "TIMESTAMP '2026-11-23 10:00:00', 15, 2, 50.5, 'co_optimised', 1.5, 2.5, 0.75, "
        "'optimal', 'HIGHS (LP)', 0, 4.25, true, 0, 0, 0, '[]', 'schedule', '{}', '{}')",
        "INSERT INTO h.plan_steps VALUES "
        "('old', 0, TIMESTAMP '2026-11-23 10:00:00', 1, 2, 3, 4, 5, 6, 7, 8, 9, true, 10), "
        "('old', 1, TIMESTAMP '2026-11-23 10:15:00', 2, 3, 4, 5, 6, 7, 8, 9, 10, false, 11)",
        "INSERT INTO h.events VALUES "
        "(TIMESTAMP '2026-11-23 10:00:00', 'main', 'info', 'started', 'x')",
    ):
        connection.execute(statement)
    connection.close()


def test_a_file_of_the_first_version_is_migrated_without_loss(path: Path) -> None:
    version_1_file(path)
    assert wal_path(path).stat().st_size > 0
    with DuckDbHistory(path) as store:
        assert not wal_path(path).exists(), "data must not share a log with the migration"
        old = store.plan("old")
        assert old is not None
        assert (old.n_steps, old.soc_start_kwh, old.profit_24h_eur) == (2, 50.5, 0.75)
        assert list(old.battery_kw) == [1.0, 2.0]
        assert list(old.price_is_forecast) == [True, False]
        assert list(old.stored_value_eur_per_kwh) == [10.0, 11.0]
        assert old.site_price_eur_per_kwh is None
        assert old.peak_share_eur_per_kwh is None
        assert old.billed_peak_kw is None
        assert old.steering is None
        newest = store.latest_sample("main")
        assert newest is not None
        assert newest.values == {"battery_kw": 12.5}
        store.write(Batch(samples=samples(1, 3)))
        store.write(Batch(plans=(replace(old, plan_id="new", billed_peak_kw=70.0),)))
    with DuckDbHistory(path) as store:
        counts = store.counts()
        assert (counts["samples"], counts["plans"], counts["plan_steps"]) == (4, 2, 4)
        assert counts["events"] == 1
        assert [h.billed_peak_kw for h in store.plans("main", T0, T0 + DAY)] == [70.0, None]
    connection = open_instance(path, InstanceSettings())
    assert schema_version(connection) == MIGRATIONS[-1].version
    connection.close()


def test_the_same_file_cannot_be_opened_twice(path: Path) -> None:
    with (
        DuckDbHistory(path) as store,
        pytest.raises(AlreadyRunningError, match=r"history\.duckdb is in use by process \d+"),
    ):
        DuckDbHistory(path)
    assert store is not None
    DuckDbHistory(path).close()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file", encoding="utf-8")
    with pytest.raises(HistoryError, match="data folder"):
        DuckDbHistory(tmp_path / "data" / "history.duckdb")


def test_a_checkpoint_empties_the_log_and_refreshes_the_snapshot(path: Path) -> None:
    with DuckDbHistory(path) as store:
        store.write(Batch(samples=samples(0, 100)))
        assert wal_path(path).stat().st_size > 0
        assert store.checkpoint()
        assert not wal_path(path).exists()
        assert snapshot_path(path).read_bytes() == path.read_bytes()
        store.write(Batch(samples=samples(100, 5)))
        assert snapshot_path(path).read_bytes() == path.read_bytes()


def test_checkpoints_come_with_log_size_and_with_time(path: Path) -> None:
    clock = ManualClock(T0)
    with DuckDbHistory(path, clock=clock, checkpoint_wal_bytes=20_000) as store:
        store.write(Batch(samples=samples(0, 10)))
        assert wal_path(path).exists()
        store.write(Batch(samples=samples(10, 300)))
        assert not wal_path(path).exists()
        store.write(Batch(samples=samples(400, 1)))
        clock.advance(3599)
        store.write(Batch(samples=samples(401, 1)))
        assert wal_path(path).exists()
        clock.advance(1)
        store.write(Batch(samples=samples(402, 1)))
        assert not wal_path(path).exists()
        assert store.counts()["samples"] == 313


def test_a_large_file_is_copied_less_often(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock(T0)
    with DuckDbHistory(path, clock=clock) as store:
        # as if the file were so large that a copy every two hours makes up what a day may cost
        monkeypatch.setattr(duckdb_store, "_COPIED_BYTES_PER_DAY", 12 * path.stat().st_size)
        store.write(Batch(samples=samples(0, 10)))
        clock.advance(7000)
        store.write(Batch(samples=samples(10, 10)))
        assert wal_path(path).exists()
        clock.advance(201)
        store.write(Batch(samples=samples(20, 10)))
        assert not wal_path(path).exists()


def test_no_checkpoint_on_a_nearly_full_disk(path: Path) -> None:
    clock = ManualClock(T0)
    told: list[EventRow] = []
    free = [10**12]
    with DuckDbHistory(
        path, clock=clock, free_bytes=lambda _: free[0], on_event=told.append
    ) as store:
        free[0] = 150_000_000
        store.write(Batch(samples=samples(0, 10)))
        assert not store.checkpoint()
        clock.advance(4000)
        store.write(Batch(samples=samples(10, 10)))
        assert wal_path(path).exists()
        assert [e.code for e in told] == ["history_disk_low"]
        assert "150 MB free" in told[0].message
        store.write(Batch(samples=samples(20, 1)))
        stored = store.events("main", T0, T0 + DAY)
        assert [e.code for e in stored] == ["history_disk_low"]
        assert stored[0].site_id == INSTALLATION_SITE_ID
        free[0] = 10**12
        assert store.checkpoint()
        assert store.counts()["samples"] == 21


def test_a_batch_too_large_for_the_log_is_refused(path: Path) -> None:
    with DuckDbHistory(path) as store:
        with pytest.raises(HistoryError, match="several batches"):
            store.write(Batch(samples=samples(0, MAX_BATCH_ROWS + 1)))
        store.write(Batch(samples=samples(0, MAX_BATCH_ROWS)))
        assert store.counts()["samples"] == MAX_BATCH_ROWS


def test_a_failing_read_ends_in_our_error_and_frees_its_cursor(path: Path) -> None:
    with DuckDbHistory(path, concurrent_queries=1) as store:
        for _ in range(3):
            with pytest.raises(HistoryError, match="signal"):
                store.minute_means("main", ["x"], T0, T0 + DAY)
        store.write(Batch(samples=(replace(samples(0, 1)[0], site_id="b"),)))
        assert store.counts()["samples"] == 1


def test_a_failed_checkpoint_does_not_fail_the_batch_and_is_tried_again_later(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = ManualClock(T0)
    told: list[EventRow] = []
    with DuckDbHistory(path, clock=clock, checkpoint_wal_bytes=1, on_event=told.append) as store:

        def fail() -> bool:
            raise duckdb.IOException("IO Error: Checkpoint failed. It has been invalidated.")

        monkeypatch.setattr(store, "_checkpoint", fail)
        for first in range(0, 50, 10):
            store.write(Batch(samples=samples(first, 10)))
        assert [e.code for e in told] == ["history_checkpoint_failed", "history_reopened"]
        monkeypatch.undo()
        clock.advance(60)
        store.write(Batch(samples=samples(50, 10)))
        assert not wal_path(path).exists()
        assert store.counts()["samples"] == 60
        assert [e.code for e in store.events("main", T0, T0 + DAY)] == [e.code for e in told]


def test_while_the_file_cannot_be_reopened_the_store_says_so_once_it_can(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[EventRow] = []
    with DuckDbHistory(path, on_event=told.append) as store:
        store.write(Batch(samples=samples(0, 10)))

        def die(*_: object) -> None:
            raise duckdb.FatalException("FATAL Error: database has been invalidated")

        def no_disk(*_: object, **__: object) -> None:
            raise duckdb.IOException("IO Error: Could not write file: No space left on device")

        with monkeypatch.context() as broken:
            broken.setattr("engine.history.duckdb_store.insert_batch", die)
            broken.setattr("engine.history.recovery.open_instance", no_disk)
            for _ in range(3):
                with pytest.raises(HistoryError, match="No space left"):
                    store.write(Batch(samples=samples(10, 10)))
            with pytest.raises(HistoryError, match="reopened"):
                store.counts()
        assert told == []
        store.write(Batch(samples=samples(10, 10)))
        assert store.counts()["samples"] == 20
        assert [e.code for e in told] == ["history_reopened"]
