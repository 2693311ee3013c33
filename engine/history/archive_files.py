"""Names and manifests of the archive: one immutable Parquet file per site and UTC day.

``site=<id>/month=YYYY-MM/day=DD.parquet``, beside it ``day=DD.json`` with rows, first and last
time and SHA-256. A day that samples came late for gets a new file, ``day=DD.2.parquet``.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import date, datetime
from pathlib import Path
from urllib.parse import quote, unquote

from engine.domain.errors import HistoryError
from engine.history.files import fsync_path, rename_synced

_NAME = re.compile(r"site=([^/]+)/month=(\d{4})-(\d{2})/day=(\d{2})(?:\.(\d+))?\.parquet")
_CHUNK_BYTES = 1 << 20
PART = ".part"
"""Ending of a file that is being written; it means nothing until it is renamed."""


@dataclass(frozen=True, slots=True)
class DayManifest:
    """What an archive file holds.

    Attributes:
        site_id: The site.
        day: The UTC day, ``YYYY-MM-DD``.
        file: The file, relative to the folder of the archive.
        rows: Samples in it.
        first: Time of the first, UTC.
        last: Time of the last, UTC.
        size: Bytes of the file.
        sha256: Of the file.
    """

    site_id: str
    day: str
    file: str
    rows: int
    first: str
    last: str
    size: int
    sha256: str


def day_file(site_id: str, day: date, version: int = 1) -> str:
    """Return the file of a day, relative to the folder of the archive."""
    number = f".{version}" if version > 1 else ""
    return f"site={quote(site_id, safe='')}/month={day:%Y-%m}/day={day:%d}{number}.parquet"


def site_day_version(file: str) -> tuple[str, date, int] | None:
    """Return what the name of an archive file says, None when it is no such name."""
    found = _NAME.fullmatch(file)
    if found is None:
        return None
    site, year, month, day, version = found.groups()
    return unquote(site), date(int(year), int(month), int(day)), int(version or 1)


def manifest_path(file: Path) -> Path:
    """Return the manifest beside an archive file."""
    return file.with_suffix(".json")


def write_manifest(cold: Path, manifest: DayManifest) -> None:
    """Write the manifest beside its file, durably."""
    target = manifest_path(cold / manifest.file)
    temporary = target.with_name(target.name + PART)
    temporary.write_text(json.dumps(asdict(manifest), indent=1) + "\n", encoding="utf-8")
    fsync_path(temporary)
    rename_synced(temporary, target)


def read_manifests(cold: Path) -> Iterator[DayManifest]:
    """Yield the manifests of an archive whose files are there, in no particular order.

    Raises:
        HistoryError: A manifest cannot be read.
    """
    for path in cold.glob("site=*/month=*/day=*.json"):
        try:
            manifest = DayManifest(**json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise HistoryError(
                f"The manifest {path} of the archive cannot be read: {error}.",
                field="archive",
                value=str(path),
                hint="Restore it from a backup, or move it and its Parquet file elsewhere.",
            ) from error
        if (cold / manifest.file).is_file() and site_day_version(manifest.file) is not None:
            yield manifest


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def make_synced_folder(folder: Path, root: Path) -> None:
    """Create `folder` below `root`, and make each new name durable."""
    missing = [f for f in (folder, *folder.parents) if f.is_relative_to(root) and not f.exists()]
    for path in reversed(missing):
        path.mkdir(exist_ok=True)
        fsync_path(path.parent)


def remove_day(cold: Path, file: str) -> None:
    """Remove an archive file and its manifest, and what folders that leaves empty."""
    path = cold / file
    for gone in (path, manifest_path(path)):
        gone.unlink(missing_ok=True)
    for folder in (path.parent, path.parent.parent):
        if folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()


def time_text(ts: datetime) -> str:
    """Return a naive UTC time as manifests have it."""
    return ts.isoformat(timespec="microseconds") + "Z"
