"""Samples leave the hot file for the archive only after the archive has been read back.

Order of a day: write under another name, fsync, rename, fsync the folder, read back and
compare, manifest, and last, in one transaction, the entry that makes readers use the file and
the deletion of the hot rows. A crash at any point leaves the day readable exactly once.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import date, datetime, timedelta

import duckdb

from engine.domain.errors import HistoryError
from engine.history.archive_files import (
    PART,
    DayManifest,
    day_file,
    make_synced_folder,
    read_manifests,
    remove_day,
    sha256_of,
    site_day_version,
    time_text,
    write_manifest,
)
from engine.history.files import fsync_path, rename_synced
from engine.history.retention import Retention
from engine.history.roll_up_sql import inside, quoted
from engine.history.roll_ups import kept_from, pending
from engine.history.sample_source import SampleSource, text
from engine.history.schema import CATALOG, MINUTES
from engine.history.spans import Span, clipped

_DAY = timedelta(days=1)
_ROW_GROUP_ROWS = 43_200

_Summary = tuple[object, ...]


def due_day(cursor: duckdb.DuckDBPyConnection, hot_from: date) -> tuple[str, date] | None:
    """Return the site and the oldest day that is to be archived, None when there is none.

    A day that still lacks roll-ups waits for them.
    """
    rows = cursor.execute(
        "SELECT site_id, min(ts)::DATE FROM h.samples WHERE ts < ? GROUP BY site_id ORDER BY ALL",
        [_midnight(hot_from)],
    ).fetchall()
    for site_id, day in rows:
        if not clipped(pending(cursor, site_id), *_span(day)):
            return site_id, day
    return None


def archive_day(
    cursor: duckdb.DuckDBPyConnection, source: SampleSource, site_id: str, day: date
) -> list[str]:
    """Move the samples of one site and UTC day to the archive, in one transaction.

    Args:
        cursor: A writing cursor; after an error close it, which undoes everything.
        source: Where samples are.
        site_id: The site.
        day: The day; samples of it that are archived already are merged in.

    Returns:
        Files this one replaces; readers may still be at them, so they are removed later.

    Raises:
        HistoryError: The archive cannot be written, or does not read back the same.
    """
    span = _span(day)
    where = f"site_id = {text(site_id)} AND {inside('ts', [span])}"
    cursor.execute("BEGIN")
    before = cursor.execute(
        "SELECT file FROM h.archived_days WHERE site_id = ? AND day = ?", [site_id, day]
    ).fetchall()
    version = max((_version(file) for (file,) in before), default=0) + 1
    file = day_file(site_id, day, version)
    samples = source.relation(cursor, site_id, [span])
    manifest = _write(cursor, source, file, f"SELECT * FROM {samples} WHERE {where}")
    cursor.execute("DELETE FROM h.archived_days WHERE site_id = ? AND day = ?", [site_id, day])
    cursor.execute(
        "INSERT INTO h.archived_days VALUES (?, ?, ?, ?, ?)",
        [site_id, day, file, manifest.rows, manifest.sha256],
    )
    cursor.execute(f"DELETE FROM h.samples WHERE {where}")
    cursor.execute("COMMIT")
    return [replaced for (replaced,) in before]


def drop_expired(
    cursor: duckdb.DuckDBPyConnection, source: SampleSource, retention: Retention, now: datetime
) -> list[str]:
    """Delete archived months and minutes that are kept no longer.

    Returns:
        The archive files that nothing refers to any more, for `remove_day`.
    """
    cursor.execute("BEGIN")
    minutes_from = _midnight(retention.minutes_from(now))
    for (site_id,) in cursor.execute(
        f"SELECT DISTINCT site_id FROM h.{MINUTES} WHERE ts < ?", [minutes_from]
    ).fetchall():
        _keep_from(cursor, site_id, minutes_from)
    cursor.execute(f"DELETE FROM h.{MINUTES} WHERE ts < ?", [minutes_from])
    archive_from = retention.archive_from(now)
    gone: list[tuple[str, str]] = []
    if archive_from is not None:
        gone = cursor.execute(
            "SELECT site_id, file FROM h.archived_days WHERE day < ? ORDER BY day", [archive_from]
        ).fetchall()
        for site_id in sorted({site for site, _ in gone}):
            _keep_from(cursor, site_id, _midnight(archive_from))
        cursor.execute("DELETE FROM h.archived_days WHERE day < ?", [archive_from])
    cursor.execute("COMMIT")
    return [file for _, file in gone]


def adopt(cursor: duckdb.DuckDBPyConnection, source: SampleSource) -> list[str]:
    """Take archive files in that the hot file does not know, for example after it was lost.

    A day of which the hot file has samples is left out: archiving it was interrupted and will
    be done again. What writing left unfinished is removed, and what a newer file replaced.

    Returns:
        The files taken in; the roll-ups of their days lack and are noted so.
    """
    for part in source.cold.glob(f"site=*/month=*/*{PART}"):
        part.unlink(missing_ok=True)
    known = {
        (site, day): file
        for site, day, file in cursor.execute(
            "SELECT site_id, day, file FROM h.archived_days"
        ).fetchall()
    }
    newest: dict[tuple[str, date], DayManifest] = {}
    for manifest in read_manifests(source.cold):
        key = (manifest.site_id, date.fromisoformat(manifest.day))
        if key in known:
            if _version(manifest.file) < _version(known[key]):
                remove_day(source.cold, manifest.file)
        elif key not in newest or _version(newest[key].file) < _version(manifest.file):
            newest[key] = manifest
    taken = []
    cursor.execute("BEGIN")
    for (site_id, day), manifest in sorted(newest.items()):
        start, end = _span(day)
        hot = cursor.execute(
            "SELECT 1 FROM h.samples WHERE site_id = ? AND ts >= ? AND ts < ? LIMIT 1",
            [site_id, start, end],
        ).fetchall()
        if not hot:
            cursor.execute(
                "INSERT INTO h.archived_days VALUES (?, ?, ?, ?, ?)",
                [site_id, day, manifest.file, manifest.rows, manifest.sha256],
            )
            cursor.execute(
                "INSERT INTO h.roll_up_pending SELECT ?, ?, ? WHERE NOT EXISTS ("
                f"SELECT 1 FROM h.{MINUTES} WHERE site_id = ? AND ts >= ? AND ts < ?)",
                [site_id, start, end, site_id, start, end],
            )
            taken.append(manifest.file)
    cursor.execute("COMMIT")
    return taken


def _write(
    cursor: duckdb.DuckDBPyConnection, source: SampleSource, file: str, select: str
) -> DayManifest:
    target = source.cold / file
    part = target.with_name(target.name + PART)
    try:
        make_synced_folder(target.parent, source.cold.parent)
        cursor.execute(
            f"COPY ({select} ORDER BY ts) TO {text(str(part))} "
            f"(FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {_ROW_GROUP_ROWS})"
        )
        fsync_path(part)
        rename_synced(part, target)
        manifest = _compared(cursor, source, file, select)
        write_manifest(source.cold, manifest)
    except OSError as error:
        raise HistoryError(
            f"The archive file {target} could not be written: {error.strerror or error}.",
            field="archive",
            value=str(target),
            hint="Check the free space and the permissions of the data folder.",
        ) from error
    finally:
        part.unlink(missing_ok=True)
    return manifest


def _compared(
    cursor: duckdb.DuckDBPyConnection, source: SampleSource, file: str, select: str
) -> DayManifest:
    """Read the file back; every column must have the same count, ends and checksum."""
    target = source.cold / file
    names = [
        name
        for (name,) in cursor.execute(
            "SELECT column_name FROM duckdb_columns() WHERE database_name = ? "
            "AND table_name = 'samples' ORDER BY column_index",
            [CATALOG],
        ).fetchall()
    ]
    written = _summary(cursor, f"({select})", names)
    read = _summary(cursor, f"read_parquet({text(str(target))})", names)
    if written != read:
        os.unlink(target)
        raise HistoryError(
            f"The archive file {target} does not read back as it was written; "
            "the samples stay where they were.",
            field="archive",
            value=str(target),
            hint="Check the health of the disk that holds the data folder.",
        )
    rows, first, last = read[0], read[2], read[3]
    known = site_day_version(file)
    if known is None or not isinstance(first, datetime) or not isinstance(last, datetime):
        raise HistoryError(f"The archive file {target} holds no samples.", field="archive")
    return DayManifest(
        site_id=known[0],
        day=known[1].isoformat(),
        file=file,
        rows=int(str(rows)),
        first=time_text(first),
        last=time_text(last),
        size=target.stat().st_size,
        sha256=sha256_of(target),
    )


def _summary(cursor: duckdb.DuckDBPyConnection, relation: str, names: Sequence[str]) -> _Summary:
    """Return rows, then per column count, least, greatest and a checksum of its values in time.

    The checksum stands for the sum: it does not depend on the order either, and is exact.
    """
    ordered = ["ts", *(name for name in names if name != "ts")]
    parts = [
        f"count({c}), min({c}), max({c}), bit_xor(hash(ts, {c}))" for c in map(quoted, ordered)
    ]
    rows = cursor.execute(f"SELECT count(*), {', '.join(parts)} FROM {relation}").fetchall()
    return tuple(rows[0])


def _keep_from(cursor: duckdb.DuckDBPyConnection, site_id: str, ts: datetime) -> None:
    newest = max(ts, kept_from(cursor, site_id))
    cursor.execute("DELETE FROM h.kept_from WHERE site_id = ?", [site_id])
    cursor.execute("INSERT INTO h.kept_from VALUES (?, ?)", [site_id, newest])


def _version(file: str) -> int:
    known = site_day_version(file)
    return known[2] if known is not None else 0


def _span(day: date) -> Span:
    return _midnight(day), _midnight(day) + _DAY


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day)  # noqa: DTZ001
