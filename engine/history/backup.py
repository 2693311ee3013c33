"""A backup folder: a copy of the hot file, the archive, and a manifest that names both.

``ems-backup.json`` is written last and atomically: until then an earlier backup in the same
folder stays the valid one. Archive files never change, so the next backup into the same folder
copies only new days. A folder with other files in it is refused.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from engine.domain.errors import HistoryError
from engine.history.archive_files import make_synced_folder, manifest_path, sha256_of
from engine.history.files import copy_synced, fsync_path, rename_synced

MANIFEST_NAME = "ems-backup.json"
COLD = "cold"
_FORMAT = 1


@dataclass(frozen=True, slots=True)
class BackupFile:
    """One file of a backup: its name inside the folder, its size and its SHA-256."""

    file: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class BackupManifest:
    """What a backup holds.

    Attributes:
        made_at: When it was made, UTC.
        hot: The hot file, without a write-ahead log.
        cold: Files of the archive with their manifests.
        samples: Samples in both.
    """

    made_at: str
    hot: BackupFile
    cold: tuple[BackupFile, ...]
    samples: int


@dataclass(frozen=True, slots=True)
class BackupReport:
    """What came of a backup or a restore.

    Attributes:
        folder: The backup folder.
        made_at: When the backup was made, UTC.
        samples: Samples in it.
        files: Files in it.
        copied: Files copied now; the others were there already.
        size: Bytes of all its files.
        seconds: How long it took.
        aside: Of a restore: the folder the former data is kept in; None when there was none.
    """

    folder: str
    made_at: str
    samples: int
    files: int
    copied: int
    size: int
    seconds: float
    aside: str | None = None


def write_backup(
    folder: Path, hot: Path, cold: Path, cold_files: Iterable[str], *, samples: int, now: datetime
) -> BackupReport:
    """Write a backup to `folder`, or bring the one in it up to date.

    Args:
        folder: An empty or new folder, or one with a backup.
        hot: A hot file that does not change, without a write-ahead log.
        cold: Folder of the archive.
        cold_files: Archive files to copy, relative to `cold`.
        samples: Samples in all of it, for the manifest.
        now: Time of the backup.

    Raises:
        HistoryError: The folder cannot be used, or a copy failed; an earlier backup in it is
            still the valid one.
    """
    began = time.perf_counter()
    try:
        _check_folder(folder)
        stamp = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        hot_name = f"hot-{stamp}.duckdb"
        copied = int(_copied(hot, folder / hot_name, folder))
        files = [_described(folder, hot_name)]
        for name in cold_files:
            for source in (cold / name, manifest_path(cold / name)):
                inside = f"{COLD}/{source.relative_to(cold)}"
                copied += _copied(source, folder / inside, folder)
                files.append(_described(folder, inside))
        manifest = BackupManifest(
            made_at=now.astimezone(UTC).isoformat(timespec="seconds"),
            hot=files[0],
            cold=tuple(files[1:]),
            samples=samples,
        )
        _write_manifest(folder, manifest)
        for old in folder.glob("hot-*.duckdb"):
            if old.name != hot_name:
                old.unlink()
    except OSError as error:
        raise HistoryError(
            f"The backup to {folder} could not be written: {error.strerror or error}.",
            field="folder",
            value=str(folder),
            hint="Check the free space and the permissions of that folder.",
        ) from error
    return _report(folder, manifest, copied, began)


def read_backup(folder: Path) -> BackupManifest:
    """Return the manifest of the backup in `folder`.

    Raises:
        HistoryError: There is no backup, or its manifest cannot be read.
    """
    path = folder / MANIFEST_NAME
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data.pop("format") != _FORMAT:
            raise ValueError("it was written by a newer program")
        return BackupManifest(
            made_at=str(data["made_at"]),
            hot=BackupFile(**data["hot"]),
            cold=tuple(BackupFile(**entry) for entry in data["cold"]),
            samples=int(data["samples"]),
        )
    except FileNotFoundError as error:
        raise HistoryError(
            f"There is no backup in {folder}: {MANIFEST_NAME} is missing.",
            field="folder",
            value=str(folder),
            hint="Name the folder that `backup` was given.",
        ) from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise HistoryError(
            f"The manifest {path} cannot be read: {error}.",
            field="folder",
            value=str(folder),
            hint="Use another backup.",
        ) from error


def check_backup(folder: Path, manifest: BackupManifest) -> None:
    """Compare every file of a backup with its manifest.

    Raises:
        HistoryError: One is missing or not the same; the first ten are named.
    """
    wrong = []
    for entry in (manifest.hot, *manifest.cold):
        path = folder / entry.file
        if not _is_inside(entry.file):
            wrong.append(f"{entry.file} (name outside the folder)")
        elif not path.is_file():
            wrong.append(f"{entry.file} (missing)")
        elif path.stat().st_size != entry.size or sha256_of(path) != entry.sha256:
            wrong.append(f"{entry.file} (changed)")
    if wrong:
        more = f" and {len(wrong) - 10} more" if len(wrong) > 10 else ""
        raise HistoryError(
            f"The backup in {folder} is damaged: {', '.join(wrong[:10])}{more}.",
            field="folder",
            value=str(folder),
            hint="Use another backup; nothing was changed.",
        )


def report_of(folder: Path, manifest: BackupManifest, began: float, aside: Path) -> BackupReport:
    """Return the report of a restore that began at `began` (of `time.perf_counter`)."""
    report = _report(folder, manifest, 1 + len(manifest.cold), began)
    kept = aside.name if aside.exists() else None
    return BackupReport(**{**asdict(report), "aside": kept})


def _check_folder(folder: Path) -> None:
    if folder.exists() and not folder.is_dir():
        raise HistoryError(
            f"{folder} is no folder.", field="folder", value=str(folder), hint="Name a folder."
        )
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MANIFEST_NAME).exists():
        left = {path.name for path in folder.iterdir()}
        ours = {COLD, *(path.name for path in folder.glob("hot-*.duckdb*"))}
        if left - ours:
            raise HistoryError(
                f"The folder {folder} holds other files, for example {min(left - ours)}.",
                field="folder",
                value=str(folder),
                hint="Name an empty or new folder, or one with a backup.",
            )
    folder.mkdir(parents=True, exist_ok=True)


def _copied(source: Path, target: Path, root: Path) -> bool:
    """Copy unless the same is there already; return whether it was copied."""
    same_size = target.is_file() and target.stat().st_size == source.stat().st_size
    if same_size and sha256_of(target) == sha256_of(source):
        return False
    make_synced_folder(target.parent, root)
    copy_synced(source, target)
    return True


def _described(folder: Path, name: str) -> BackupFile:
    path = folder / name
    return BackupFile(name, path.stat().st_size, sha256_of(path))


def _write_manifest(folder: Path, manifest: BackupManifest) -> None:
    temporary = folder / (MANIFEST_NAME + ".part")
    text = json.dumps({"format": _FORMAT, **asdict(manifest)}, indent=1)
    temporary.write_text(text + "\n", encoding="utf-8")
    fsync_path(temporary)
    rename_synced(temporary, folder / MANIFEST_NAME)


def _is_inside(name: str) -> bool:
    return not os.path.isabs(name) and ".." not in Path(name).parts


def _report(folder: Path, manifest: BackupManifest, copied: int, began: float) -> BackupReport:
    return BackupReport(
        folder=str(folder),
        made_at=manifest.made_at,
        samples=manifest.samples,
        files=1 + len(manifest.cold),
        copied=copied,
        size=sum(entry.size for entry in (manifest.hot, *manifest.cold)),
        seconds=round(time.perf_counter() - began, 3),
    )
