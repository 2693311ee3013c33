"""The dated backups beside the file of the configuration."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from engine.config.load import write_atomically

BACKUP_FOLDER: Final = "backups"
MAX_BACKUPS: Final = 200
"""Older backups are removed when a new one is made."""

_BACKUP_NAME = re.compile(r"ems-(\d{8}T\d{6})Z(?:-(\d{1,3}))?\.yaml")


class BackupFolder:
    """Keeps the newest backups in one folder, which is made when it is needed.

    Args:
        path: The folder.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def has(self, name: str) -> bool:
        """True when there is a backup of that name; any other name is none."""
        return _BACKUP_NAME.fullmatch(name) is not None and (self._path / name).is_file()

    def path_of(self, name: str) -> Path:
        """Return where the backup of that name lies."""
        return self._path / name

    def names(self) -> list[str]:
        """Return the names of all backups, newest first."""
        if not self._path.is_dir():
            return []
        found = [p.name for p in self._path.iterdir() if _BACKUP_NAME.fullmatch(p.name)]
        return sorted(found, key=_order, reverse=True)

    def add(self, text: str, mode: int, now: datetime) -> str:
        """Write a backup, with the rights of the file, and return its name.

        Raises:
            OSError: It could not be written.
        """
        self._path.mkdir(exist_ok=True)
        name = self._free_name(now)
        write_atomically(self._path / name, text, mode)
        return name

    def prune(self) -> None:
        """Remove what is older than the newest `MAX_BACKUPS`.

        Raises:
            OSError: One could not be removed.
        """
        for oldest in self.names()[MAX_BACKUPS:]:
            (self._path / oldest).unlink(missing_ok=True)

    def _free_name(self, now: datetime) -> str:
        stem = f"ems-{now.astimezone(UTC):%Y%m%dT%H%M%S}Z"
        names = (f"{stem}.yaml", *(f"{stem}-{i}.yaml" for i in range(1, 1000)))
        return next(name for name in names if not (self._path / name).exists())


def dated(name: str) -> datetime:
    """Return when a backup was made, UTC, by its name."""
    match = _BACKUP_NAME.fullmatch(name)
    stamp = match[1] if match else "19700101T000000"
    return datetime.strptime(stamp, "%Y%m%dT%H%M%S").replace(tzinfo=UTC)


def _order(name: str) -> tuple[datetime, int]:
    match = _BACKUP_NAME.fullmatch(name)
    return dated(name), int(match[2] or 0) if match else 0
