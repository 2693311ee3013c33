"""Putting a backup in place of the present history, completely or not at all.

Everything is copied beside the present data first and checked there. A small journal then says
what is to be renamed; whatever interrupts the renaming, the next start finishes it. The former
data is kept in a folder of its own.
"""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import duckdb

from engine.domain.errors import HistoryError
from engine.history.archive_files import make_synced_folder
from engine.history.backup import (
    COLD,
    BackupReport,
    check_backup,
    read_backup,
    report_of,
)
from engine.history.file_lock import FileLock
from engine.history.files import copy_synced, fsync_path, rename_synced
from engine.history.instance import InstanceSettings, open_instance, verify

JOURNAL_NAME = "restore.json"
_KEPT_IN_PLACE = (".lock",)


def restore_backup(folder: Path, path: Path, now: datetime) -> BackupReport:
    """Put the backup in `folder` in place of the history file `path` and its archive.

    Args:
        folder: A folder with a backup.
        path: The history file; its folder may be new.
        now: Time, for the name of the folder the former data is kept in.

    Raises:
        AlreadyRunningError: The program runs.
        HistoryError: The backup is damaged, or cannot be copied; nothing was changed.
    """
    began = time.perf_counter()
    manifest = read_backup(folder)
    data = path.parent
    stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
    staged, aside = data / f"restoring-{stamp}", data / f"replaced-{stamp}"
    try:
        data.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        try:
            finish_restore(path)
            check_backup(folder, manifest)
            staged.mkdir()
            (staged / COLD).mkdir()
            copy_synced(folder / manifest.hot.file, staged / path.name)
            for entry in manifest.cold:
                target = staged / entry.file
                make_synced_folder(target.parent, staged)
                copy_synced(folder / entry.file, target)
            _check_opens(staged / path.name)
            fsync_path(staged)
            _write_journal(data, staged, aside)
            finish_restore(path)
        finally:
            lock.release()
    except (OSError, duckdb.Error) as error:
        raise HistoryError(
            f"The backup in {folder} could not be restored: {error}.",
            field="folder",
            value=str(folder),
            hint="Check the free space of the data folder, then start the restore again.",
        ) from error
    return report_of(folder, manifest, began, aside)


def finish_restore(path: Path) -> bool:
    """Finish a restore that was interrupted; the caller holds the lock of `path`.

    Returns:
        True when there was one.

    Raises:
        OSError: Files cannot be renamed; the next call goes on where this one stopped.
    """
    data = path.parent
    journal = data / JOURNAL_NAME
    if not journal.exists():
        return False
    names = json.loads(journal.read_text(encoding="utf-8"))
    staged, aside = data / names["staged"], data / names["aside"]
    aside.mkdir(exist_ok=True)
    if (staged / COLD).exists():
        if (data / COLD).exists():
            rename_synced(data / COLD, aside / COLD)
        rename_synced(staged / COLD, data / COLD)
    if (staged / path.name).exists():
        # as long as the new file is not in place, what is there belongs to the former one
        for old in sorted(data.glob(f"{path.name}*"), reverse=True):
            if not old.name.endswith(_KEPT_IN_PLACE):
                rename_synced(old, aside / old.name)
        rename_synced(staged / path.name, path)
    fsync_path(aside)
    if not any(aside.iterdir()):
        aside.rmdir()
    journal.unlink()
    fsync_path(data)
    staged.rmdir()
    return True


def _write_journal(data: Path, staged: Path, aside: Path) -> None:
    temporary = data / (JOURNAL_NAME + ".part")
    temporary.write_text(json.dumps({"staged": staged.name, "aside": aside.name}), encoding="utf-8")
    fsync_path(temporary)
    rename_synced(temporary, data / JOURNAL_NAME)


def _check_opens(path: Path) -> None:
    connection = open_instance(path, InstanceSettings())
    try:
        verify(connection)
    finally:
        connection.close()
