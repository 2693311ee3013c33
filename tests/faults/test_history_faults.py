"""Killed processes, torn files, full disks and second instances: nothing acknowledged is lost."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from pathlib import Path

import duckdb
import pytest
from history_child import ROWS_PER_BATCH, T0, batch, forecast, selection

from engine.domain.errors import AlreadyRunningError, HistoryError
from engine.domain.forecast import LOAD_SIGNAL
from engine.domain.records import EventRow
from engine.history.duckdb_store import DuckDbHistory
from engine.history.instance import InstanceSettings, open_instance, wal_path
from engine.history.recovery import snapshot_path
from engine.history.rows import naive_utc
from engine.history.schema import MIGRATIONS, migrate
from engine.history.store import INSTALLATION_SITE_ID

ROOT = Path(__file__).resolve().parents[2]
CHILD = Path(__file__).with_name("history_child.py")
LONG = (T0 - timedelta(days=3650), T0 + timedelta(days=36500))


@contextmanager
def child(*arguments: object) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, str(CHILD), *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ask_child(*arguments: object) -> dict[str, object]:
    with child(*arguments) as process:
        answer, _ = process.communicate(timeout=60)
    result = json.loads(answer)
    assert isinstance(result, dict)
    return result


def stored_batches(store: DuckDbHistory) -> int:
    """Return how many batches are stored, after proving that they are whole and in place."""
    rows = store.counts()["samples"]
    assert rows % ROWS_PER_BATCH == 0, "a batch was stored in part"
    batches = rows // ROWS_PER_BATCH
    events = [e for e in store.events("main", *LONG) if e.code == "batch"]
    assert [e.message for e in events] == [str(i) for i in range(batches)]
    points = store.minute_means("main", ["battery_kw"], *LONG)
    assert [p.values["battery_kw"] for p in points] == [float(i) for i in range(batches)]
    last_of_each = [10 * q + min(9, batches - 1 - 10 * q) for q in range((batches + 9) // 10)]
    booked = [row.import_kwh for row in store.ledger("main", *LONG)]
    assert booked == [float(i) for i in last_of_each]
    assert store.selections("main", *LONG) == [selection(i) for i in range(batches)]
    vintages = store.forecasts("main", LOAD_SIGNAL, *LONG)
    assert [v.issued_at for v in vintages] == [forecast(i).issued_at for i in range(batches)]
    assert [h.billed_peak_kw for h in store.plans("main", *LONG)] == [
        float(i) for i in range(batches)
    ]
    for i in range(max(0, batches - 3), batches):
        found = store.forecast("main", LOAD_SIGNAL, forecast(i).issued_at, "ensemble")
        planned = store.plan(f"plan-{i}")
        assert found is not None
        assert planned is not None
        assert planned.steering is not None
        assert found.p90.tolist() == [i + 1.0] * 12
        assert planned.steering.peak_cap_kw.tolist() == [i + 1.0] * 2
    assert store.counts()["selection_candidates"] == 2 * batches
    assert store.counts()["plan_steps"] == 2 * batches
    return batches


def test_sigkill_at_any_moment_loses_nothing_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "history.duckdb"
    chance = random.Random(20261123)
    acknowledged = 0
    for round_number in range(8):
        with child("write", path, acknowledged) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "opening\n"
            # every other round the kill falls into opening and replaying the log
            acks = chance.randrange(1, 40) if round_number % 2 == 0 else chance.randrange(0, 2)
            for _ in range(acks):
                assert writer.stdout.readline().strip().isdigit()
            writer.kill()
            told = [int(line) for line in writer.stdout.read().split() if line.isdigit()]
        acknowledged = max([acknowledged + acks, *[n + 1 for n in told]])
        with DuckDbHistory(path) as store:
            batches = stored_batches(store)
            assert batches in (acknowledged, acknowledged + 1)
        acknowledged = batches
    assert acknowledged > 30


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a history of 12 batches: 6 in the file, 6 in the log, with its snapshot."""
    folder = tmp_path_factory.mktemp("written")
    with DuckDbHistory(folder / "history.duckdb") as store:
        for number in range(6):
            store.write(batch(number))
        store.checkpoint()
        for number in range(6, 12):
            store.write(batch(number))
    return folder


@pytest.fixture
def path(tmp_path: Path, written: Path) -> Path:
    """A copy of `written` to damage."""
    shutil.copytree(written, tmp_path, dirs_exist_ok=True)
    return tmp_path / "history.duckdb"


def reopened(path: Path) -> tuple[int, list[EventRow]]:
    """Open, prove the batches, add one, close, open again; return batches and repair events."""
    told: list[EventRow] = []
    with DuckDbHistory(path, on_event=told.append) as store:
        batches = stored_batches(store)
        store.write(batch(batches))
        stored = [e for e in store.events("main", *LONG) if e.site_id == INSTALLATION_SITE_ID]
        assert stored == told
    again: list[EventRow] = []
    with DuckDbHistory(path, on_event=again.append) as store:
        assert stored_batches(store) == batches + 1
    assert again == []
    return batches, told


def overwrite(path: Path, offset: int, count: int) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(random.Random(1).randbytes(count))


def kept(path: Path, word: str) -> list[Path]:
    return sorted(path.parent.glob(f"*.{word}-*"))


def test_sigkill_while_an_older_file_is_migrated_costs_nothing(tmp_path: Path) -> None:
    old = tmp_path / "old" / "history.duckdb"
    old.parent.mkdir()
    connection = open_instance(old, InstanceSettings(), create=True)
    migrate(connection, T0, migrations=MIGRATIONS[:1])
    for number in range(40):
        connection.execute(
            "INSERT INTO h.events VALUES (?, 'main', 'info', 'old', ?)",
            [naive_utc(T0 + timedelta(seconds=number)), str(number)],
        )
    connection.close()
    chance = random.Random(7)
    for round_number in range(5):
        path = tmp_path / str(round_number) / "history.duckdb"
        shutil.copytree(old.parent, path.parent)
        with child("write", path, 0) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "opening\n"
            with suppress(subprocess.TimeoutExpired):
                writer.wait(chance.uniform(0.0, 0.6))
            writer.kill()
            told = [int(line) for line in writer.stdout.read().split() if line.isdigit()]
        with DuckDbHistory(path) as store:
            assert stored_batches(store) in (len(told), len(told) + 1)
            events = [e for e in store.events("main", *LONG) if e.code == "old"]
            assert [e.message for e in events] == [str(i) for i in range(40)]


def test_an_intact_log_is_replayed_without_ado(path: Path) -> None:
    assert reopened(path) == (12, [])


def test_garbage_behind_the_log_is_ignored(path: Path) -> None:
    with wal_path(path).open("ab") as wal:
        wal.write(random.Random(2).randbytes(700))
    batches, _ = reopened(path)
    assert batches == 12


@pytest.mark.parametrize("cut", [1, 37, 400])
def test_a_log_that_ends_early_keeps_what_is_whole(path: Path, cut: int) -> None:
    os.truncate(wal_path(path), wal_path(path).stat().st_size - cut)
    batches, _ = reopened(path)
    assert batches == 11


def test_a_torn_end_of_the_log_is_cut_off_and_kept(path: Path) -> None:
    size = wal_path(path).stat().st_size
    overwrite(wal_path(path), size - 60, 40)
    with pytest.raises(duckdb.Error, match="Corrupt WAL"):
        duckdb.connect(str(path))

    batches, told = reopened(path)

    assert batches == 11
    assert [e.code for e in told] == ["history_wal_truncated"]
    assert told[0].severity == "warning"
    (tail,) = kept(path, "tail")
    assert tail.name in told[0].message
    assert f"{tail.stat().st_size} bytes" in told[0].message


@pytest.mark.parametrize("offset", [0, 4096, 8192, 12288 + 4096])
def test_a_torn_file_is_restored_from_snapshot_and_log(path: Path, offset: int) -> None:
    overwrite(path, offset, 512)

    batches, told = reopened(path)

    assert batches == 12
    assert [e.code for e in told] == ["history_restored_from_snapshot"]
    (damaged,) = kept(path, "damaged")
    assert damaged.name in told[0].message


def test_a_damaged_data_block_is_noticed_on_opening(path: Path) -> None:
    with DuckDbHistory(path) as store:
        store.checkpoint()
    # the newest block of the file holds rows, which DuckDB itself reads only when asked for
    overwrite(path, path.stat().st_size - 262_144 + 5_000, 64)
    duckdb.connect(str(path)).close()
    batches, told = reopened(path)
    assert batches == 12
    assert [e.code for e in told] == ["history_restored_from_snapshot"]


def test_torn_file_and_torn_log_together(path: Path) -> None:
    overwrite(path, 12288 + 4096, 512)
    overwrite(wal_path(path), wal_path(path).stat().st_size - 60, 40)
    batches, told = reopened(path)
    assert batches == 11
    assert [e.code for e in told] == ["history_wal_truncated", "history_restored_from_snapshot"]


def test_a_missing_file_is_restored_from_snapshot_and_log(path: Path) -> None:
    path.unlink()
    batches, told = reopened(path)
    assert batches == 12
    assert [e.code for e in told] == ["history_restored_from_snapshot"]


def test_a_log_without_a_readable_start_is_kept_and_reported(path: Path) -> None:
    size = wal_path(path).stat().st_size
    overwrite(wal_path(path), 0, 40)
    batches, told = reopened(path)
    assert batches == 6
    assert [e.code for e in told] == ["history_wal_unreadable"]
    (unread,) = kept(path, "unread")
    assert unread.stat().st_size == size


def test_a_log_older_than_the_file_is_set_aside(path: Path, tmp_path: Path) -> None:
    shutil.copy(wal_path(path), tmp_path / "old.wal")
    with DuckDbHistory(path) as store:
        store.write(batch(12))
        store.checkpoint()
    shutil.copy(tmp_path / "old.wal", wal_path(path))
    batches, told = reopened(path)
    assert batches == 13
    assert [e.code for e in told] == ["history_wal_outdated"]


def test_an_old_copy_put_in_place_of_the_file_does_not_cost_the_log(
    path: Path, tmp_path: Path
) -> None:
    shutil.copy(path, tmp_path / "old_copy")
    with DuckDbHistory(path) as store:
        store.checkpoint()
        store.write(batch(12))
    shutil.copy(tmp_path / "old_copy", path)
    batches, told = reopened(path)
    assert batches == 13
    assert [e.code for e in told] == ["history_restored_from_snapshot"]


def test_a_log_that_fits_nothing_is_set_aside_with_an_alarm(path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "history.duckdb"
    with DuckDbHistory(other) as store:
        store.write(batch(0))
    shutil.copy(wal_path(other), wal_path(path))
    batches, told = reopened(path)
    assert batches == 6
    assert [(e.code, e.severity) for e in told] == [("history_log_lost", "alarm")]
    assert len(kept(path, "damaged")) == 1


def test_a_damaged_file_with_a_foreign_log_falls_back_to_the_snapshot(
    path: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other" / "history.duckdb"
    with DuckDbHistory(other) as store:
        store.write(batch(0))
    shutil.copy(wal_path(other), wal_path(path))
    overwrite(path, 12288 + 4096, 512)
    batches, told = reopened(path)
    assert batches == 6
    assert [(e.code, e.severity) for e in told] == [("history_partly_lost", "alarm")]
    assert len(kept(path, "damaged")) == 2


def test_when_nothing_can_be_read_history_starts_empty_and_keeps_the_files(path: Path) -> None:
    overwrite(path, 0, 512)
    overwrite(snapshot_path(path), 0, 512)
    batches, told = reopened(path)
    assert batches == 0
    assert [(e.code, e.severity) for e in told] == [("history_restarted_empty", "alarm")]
    assert len(kept(path, "damaged")) == 3


def test_a_snapshot_missed_by_a_crash_is_made_up_for_on_opening(path: Path, tmp_path: Path) -> None:
    shutil.copy(snapshot_path(path), tmp_path / "stale")
    with DuckDbHistory(path) as store:
        store.checkpoint()
        store.write(batch(12))
    shutil.copy(tmp_path / "stale", snapshot_path(path))
    DuckDbHistory(path).close()
    overwrite(path, 12288 + 4096, 512)
    batches, _ = reopened(path)
    assert batches == 13


def test_a_torn_creation_is_started_over(tmp_path: Path) -> None:
    path = tmp_path / "history.duckdb"
    path.with_name("history.duckdb.new").write_bytes(b"torn")
    path.with_name("history.duckdb.new.wal").write_bytes(b"torn")
    assert reopened(path) == (0, [])


def test_a_full_disk_costs_no_row_and_no_process(tmp_path: Path) -> None:
    result = ask_child("full", tmp_path / "history.duckdb")
    assert "could not be written" in str(result["commit"])
    assert "could not be checkpointed" in str(result["checkpoint"])
    assert result["readable_after_commit"] == 20 * ROWS_PER_BATCH
    assert result["readable_after_checkpoint"] == 20 * ROWS_PER_BATCH
    assert result["readable_while_full"] == 20 * ROWS_PER_BATCH
    assert result["checkpointed"] is True
    assert result["samples"] == result["samples_reopened"] == 25 * ROWS_PER_BATCH
    assert "history_reopened" in result["events"]  # type: ignore[operator]


def test_a_batch_goes_through_although_the_instance_has_died(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.history import duckdb_store

    real, calls = duckdb_store.insert_batch, []

    def dies_once(connection: duckdb.DuckDBPyConnection, rows: object, source: object) -> None:
        calls.append(rows)
        if len(calls) == 1:
            raise duckdb.FatalException("FATAL Error: database has been invalidated")
        real(connection, rows, source)  # type: ignore[arg-type]

    told: list[EventRow] = []
    with DuckDbHistory(path, on_event=told.append) as store:
        monkeypatch.setattr(duckdb_store, "insert_batch", dies_once)
        store.write(batch(12))
        assert stored_batches(store) == 13
        assert [e.code for e in told] == ["history_reopened"]


def test_a_second_process_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "history.duckdb"
    with child("hold", path) as owner:
        assert owner.stdout is not None
        assert owner.stdout.readline() == "holding\n"
        refused = ask_child("open", path)
        with pytest.raises(AlreadyRunningError, match=f"process {owner.pid}"):
            DuckDbHistory(path)
    assert refused["code"] == "already_running"
    assert str(path) in str(refused["refused"])
    assert f"process {owner.pid}" in str(refused["refused"])
    assert "--data" in str(refused["hint"])
    with DuckDbHistory(path) as store:
        assert stored_batches(store) == 1


def test_duckdbs_own_lock_outlives_a_snapshot(tmp_path: Path) -> None:
    path = tmp_path / "history.duckdb"
    with DuckDbHistory(path) as store:
        store.write(batch(0))
        store.checkpoint()
        assert "Could not set lock" in str(ask_child("raw", path)["refused"])
        store.write(batch(1))
    assert ask_child("raw", path)["refused"] is None


def test_a_file_open_in_another_program_is_refused_untouched(path: Path) -> None:
    before = path.read_bytes()
    script = (
        "import duckdb, sys; c = duckdb.connect(sys.argv[1]); "
        "print('open', flush=True); sys.stdin.readline()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(AlreadyRunningError, match=f"process {other.pid}"):
            DuckDbHistory(path)
        assert path.read_bytes() == before
        other.kill()
    assert kept(path, "damaged") == []


def test_an_unreadable_folder_is_an_error_and_not_a_repair(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.history import recovery

    def no_space(*_: object, **__: object) -> None:
        raise duckdb.IOException("IO Error: Could not write file: No space left on device")

    monkeypatch.setattr(recovery, "open_instance", no_space)
    with pytest.raises(HistoryError, match="No space left"):
        DuckDbHistory(path)
    monkeypatch.undo()
    assert kept(path, "damaged") == []
    assert reopened(path) == (12, [])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 12 MB."""
    disk = tmp_path / "small"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(disk)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a tmpfs cannot be mounted here")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_full_disk_stops_upkeep_in_words_and_costs_no_sample(small_disk: Path) -> None:
    path = small_disk / "history.duckdb"
    filler = small_disk / "filler"
    late = T0 + timedelta(days=30)
    failed: list[str] = []

    def tried(action: Callable[[], object]) -> None:
        try:
            action()
        except HistoryError as error:
            failed.append(str(error))

    with DuckDbHistory(path, free_bytes=lambda _: 1 << 40) as store:
        for number in range(20):
            store.write(batch(number))
        descriptor = os.open(filler, os.O_WRONLY | os.O_CREAT)
        with suppress(OSError):
            while os.write(descriptor, bytes(4096)):
                pass
        os.close(descriptor)
        # nothing fits any more: not a sample, not a roll-up, not a day of the archive
        waiting = batch(20)
        tried(lambda: store.write(waiting))
        tried(lambda: store.roll_up(late))
        tried(lambda: store.tidy(late))
        tried(store.checkpoint)
        assert failed
        os.truncate(filler, 0)
        store.write(waiting)
        while store.roll_up(late) or not store.tidy(late):
            pass
        assert stored_batches(store) == 21
    assert not list(small_disk.rglob("*.part"))
    with DuckDbHistory(path) as store:
        assert stored_batches(store) == 21
        assert store.counts()["samples"] == 21 * ROWS_PER_BATCH
