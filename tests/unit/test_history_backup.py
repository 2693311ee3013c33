"""Backup while everything goes on, restore completely or not at all."""

from __future__ import annotations

import json
import shutil
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.domain.clock import ManualClock
from engine.domain.errors import AlreadyRunningError, HistoryError
from engine.domain.records import EventRow, SampleRow
from engine.history import restore
from engine.history.backup import MANIFEST_NAME, read_backup
from engine.history.columns import ColumnKey, Resolution
from engine.history.duckdb_store import DuckDbHistory
from engine.history.restore import restore_backup
from engine.history.store import Batch
from engine.runtime.backup_service import BackupService

T0 = datetime(2026, 10, 1, 12, 0, tzinfo=UTC)
NOW = T0 + timedelta(days=20)
LONG = (T0 - timedelta(days=1), NOW + timedelta(days=99))


def samples(day: int) -> Batch:
    return Batch(
        samples=tuple(
            SampleRow(T0 + timedelta(days=day, seconds=2 * i), "main", {"pv_kw": float(i)})
            for i in range(10)
        )
    )


def powers(store: DuckDbHistory) -> list[float]:
    found = store.columns("main", [ColumnKey("pv_kw")], *LONG, Resolution.RAW)
    return [float(v) for v in found.values[ColumnKey("pv_kw")]]


def tidied(store: DuckDbHistory, now: datetime = NOW) -> None:
    while store.roll_up(now) or not store.tidy(now):
        pass


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "data" / "hot.duckdb"
    with DuckDbHistory(path) as store:
        for day in (0, 1, 19):
            store.write(samples(day))
        tidied(store)
    return path


def open_at(path: Path, minute: int, **settings: object) -> DuckDbHistory:
    clock = ManualClock(NOW + timedelta(minutes=minute))
    return DuckDbHistory(path, clock=clock, **settings)  # type: ignore[arg-type]


def test_a_backup_restores_to_what_was_there(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    with open_at(path, 0) as store:
        before = powers(store)
        report = store.backup(folder)
        store.write(samples(20))
        with pytest.raises(AlreadyRunningError):
            restore_backup(folder, path, NOW)
        later = powers(store)
    assert (report.samples, report.files, report.copied) == (30, 5, 5)
    assert report.size == sum(
        f.stat().st_size for f in folder.rglob("*") if f.name[0] != "e" and f.is_file()
    )
    outcome = restore_backup(folder, path, NOW)
    assert outcome.samples == 30
    with DuckDbHistory(path) as store:
        assert powers(store) == before
        store.write(samples(21))
    assert outcome.aside is not None
    aside = path.parent / outcome.aside
    assert sorted(p.name for p in aside.iterdir()) == [
        "cold",
        "hot.duckdb",
        "hot.duckdb.bak",
        "hot.duckdb.wal",
    ]
    with DuckDbHistory(aside / "hot.duckdb") as store:
        assert powers(store) == later


def test_a_second_backup_copies_what_is_new_and_replaces_the_first(
    path: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "backup"
    with open_at(path, 0) as store:
        store.backup(folder)
    with open_at(path, 1) as store:
        store.write(samples(20))
        tidied(store, NOW + timedelta(days=15))
        expected = powers(store)
        report = store.backup(folder)
    # the new hot file, two more days and their manifests
    assert (report.files, report.copied) == (9, 5)
    assert len(list(folder.glob("hot-*.duckdb"))) == 1
    new = tmp_path / "elsewhere" / "hot.duckdb"
    assert restore_backup(folder, new, NOW).aside is None
    with DuckDbHistory(new) as store:
        assert powers(store) == expected


def test_a_backup_that_fails_leaves_the_one_before(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "backup"
    with open_at(path, 0) as store:
        store.backup(folder)
        store.write(samples(20))
    from engine.history import backup

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup, "_write_manifest", full)
    with open_at(path, 5) as store:
        with pytest.raises(HistoryError, match="No space left") as caught:
            store.backup(folder)
        assert caught.value.field == "folder"
        assert not path.with_name("hot.duckdb.backup").exists()
        store.write(samples(21))
    monkeypatch.undo()
    assert restore_backup(folder, tmp_path / "other" / "hot.duckdb", NOW).samples == 30


@pytest.mark.parametrize("damage", ["changed", "missing", "outside"])
def test_a_damaged_backup_is_refused_and_nothing_changes(
    path: Path, tmp_path: Path, damage: str
) -> None:
    folder = tmp_path / "backup"
    with open_at(path, 0) as store:
        store.backup(folder)
    victim = next(folder.rglob("*.parquet"))
    if damage == "changed":
        data = bytearray(victim.read_bytes())
        data[len(data) // 2] ^= 1
        victim.write_bytes(data)
    elif damage == "missing":
        victim.unlink()
    else:
        text = (folder / MANIFEST_NAME).read_text(encoding="utf-8")
        name = str(victim.relative_to(folder))
        (folder / MANIFEST_NAME).write_text(text.replace(name, "../x"), encoding="utf-8")
    before = sorted(p.name for p in path.parent.iterdir())
    with pytest.raises(HistoryError, match=damage):
        restore_backup(folder, path, NOW)
    assert sorted(p.name for p in path.parent.iterdir()) == before


def test_folders_that_hold_something_else_are_refused(path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "holiday.jpg").write_bytes(b"x")
    with open_at(path, 0) as store:
        with pytest.raises(HistoryError, match="holiday"):
            store.backup(folder)
        with pytest.raises(HistoryError, match="is no folder"):
            store.backup(folder / "holiday.jpg")
    with pytest.raises(HistoryError, match="no backup"):
        restore_backup(folder, path, NOW)
    (folder / MANIFEST_NAME).write_text('{"format": 9}', encoding="utf-8")
    with pytest.raises(HistoryError, match="newer program"):
        read_backup(folder)


@pytest.mark.parametrize("renames", range(7))
def test_an_interrupted_restore_is_finished_by_the_next_start(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    folder = tmp_path / "backup"
    with open_at(path, 0) as store:
        before = powers(store)
        store.backup(folder)
        store.write(samples(20))
    real, done = restore.rename_synced, []

    def dies(source: Path, target: Path) -> None:
        if target.name != "restore.json":
            if len(done) == renames:
                raise OSError(5, "pulled the plug")
            done.append(source)
        real(source, target)

    monkeypatch.setattr(restore, "rename_synced", dies)
    with suppress(HistoryError):
        restore_backup(folder, path, NOW)
    monkeypatch.undo()
    told: list[EventRow] = []
    with open_at(path, 9, on_event=told.append) as store:
        assert powers(store) == before
    assert [e.code for e in told] == ([] if renames >= 6 else ["history_restored"])
    left = {p.name for p in path.parent.iterdir()} - {"hot.duckdb.lock", "hot.duckdb.wal"}
    assert left == {"cold", "hot.duckdb", "hot.duckdb.bak", f"replaced-{NOW:%Y%m%dT%H%M%SZ}"}


def test_a_full_disk_refuses_a_backup_in_words(path: Path, tmp_path: Path) -> None:
    with open_at(path, 0, free_bytes=lambda _: 0) as store:
        store.write(samples(20))
        with pytest.raises(HistoryError, match="too full"):
            store.backup(tmp_path / "backup")
        store.write(samples(21))


def test_the_running_program_writes_only_where_it_may(path: Path, tmp_path: Path) -> None:
    with open_at(path, 0) as store:
        service = BackupService(store.backup, path.parent, None)
        assert service.backup().folder == str(path.parent.resolve() / "backup")
        with pytest.raises(HistoryError, match=r"or below, not to") as caught:
            service.backup(str(tmp_path / "elsewhere"))
        assert "backup_folder" in (caught.value.hint or "")
        allowed = BackupService(store.backup, path.parent, str(tmp_path / "usb"))
        assert allowed.backup(str(tmp_path / "usb" / "monday")).samples == 30
    manifest = json.loads((tmp_path / "usb/monday" / MANIFEST_NAME).read_text(encoding="utf-8"))
    assert manifest["samples"] == 30
    shutil.rmtree(tmp_path / "usb")
