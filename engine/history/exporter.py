"""Exports as a stream of bytes or as a file with what is said about it beside it."""

from __future__ import annotations

import hashlib
import json
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.domain.errors import HistoryError
from engine.history.export_csv import csv_bytes
from engine.history.export_parquet import parquet_bytes
from engine.history.export_request import ExportFormat, ExportRequest, Progress, Tell
from engine.history.export_rows import ExportContext, export_rows
from engine.history.export_xlsx import write_xlsx
from engine.history.files import fsync_path, rename_synced
from engine.history.read_limit import ReadLimit

MIME_TYPES: dict[ExportFormat, str] = {
    ExportFormat.CSV: "text/csv; charset=utf-8",
    ExportFormat.PARQUET: "application/vnd.apache.parquet",
    ExportFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
}

LIMIT_SECONDS = 6 * 3_600.0
"""Longest duration of an export, at the pace of whoever reads it."""

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class ExportedFile:
    """A finished export: its file, its rows, and what is said about it."""

    path: Path
    rows: int
    about: dict[str, Any]


def stream_export(
    context: ExportContext,
    request: ExportRequest,
    limit: ReadLimit | None = None,
    tell: Tell | None = None,
) -> Iterator[bytes]:
    """Yield an export in chunks; memory stays bounded however long the period is.

    XLSX is made in a temporary file first, because it cannot be streamed.

    Raises:
        QueryError: A series or column is unknown, or there are too many rows for the format.
        QueryStoppedError: It took too long, or was cancelled.
        HistoryError: The store cannot answer.
    """
    limit = limit or ReadLimit(LIMIT_SECONDS)
    tell = tell or _nobody
    rows = export_rows(context, request, limit)
    match request.format:
        case ExportFormat.CSV:
            yield from csv_bytes(rows, request.profile, comments=request.comments, tell=tell)
        case ExportFormat.PARQUET:
            yield from parquet_bytes(rows, tell=tell)
        case ExportFormat.XLSX:
            with tempfile.TemporaryDirectory(prefix="ems-export-") as folder:
                path = Path(folder) / "export.xlsx"
                write_xlsx(rows, path, tell=tell)
                with path.open("rb") as made:
                    while chunk := made.read(_CHUNK_BYTES):
                        yield chunk


def export_file(
    context: ExportContext,
    request: ExportRequest,
    path: Path,
    limit: ReadLimit | None = None,
    tell: Tell | None = None,
) -> ExportedFile:
    """Write an export to `path` and what is said about it to ``<path>.meta.json``.

    The file appears whole or not at all.

    Raises:
        QueryError: A series or column is unknown, or there are too many rows for the format.
        QueryStoppedError: It took too long, or was cancelled.
        HistoryError: The store cannot answer, or the file cannot be written.
    """
    counted = _Counter(tell or _nobody)
    chunks = stream_export(context, request, limit, counted)
    digest = save_chunks(chunks, path)
    about = about_export(context, request) | {"rows": counted.rows, "sha256": digest}
    write_about(path, about)
    return ExportedFile(path, counted.rows, about)


def about_export(context: ExportContext, request: ExportRequest) -> dict[str, Any]:
    """Return what is said about an export without reading its rows; of SQL without columns."""
    if request.sql is not None:
        return {"dataset": request.dataset, "site": request.site_id, "sql": request.sql}
    about = export_rows(context, request, ReadLimit(LIMIT_SECONDS)).info.as_dict()
    return about | {"format": str(request.format), "profile": str(request.profile)}


def save_chunks(chunks: Iterator[bytes], path: Path) -> str:
    """Write `chunks` to `path`, whole or not at all, and return their SHA-256.

    Raises:
        HistoryError: The file cannot be written.
    """
    temporary = path.with_name(path.name + ".part")
    digest = hashlib.sha256()
    try:
        with temporary.open("wb") as out:
            for chunk in chunks:
                digest.update(chunk)
                out.write(chunk)
        fsync_path(temporary)
        rename_synced(temporary, path)
    except OSError as error:
        raise HistoryError(
            f"The file {path} cannot be written: {error.strerror or error}.",
            field="--out",
            value=str(path),
            hint="Choose a folder that exists, with room for the file.",
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    return digest.hexdigest()


def write_about(path: Path, about: dict[str, Any]) -> Path:
    """Write what is said about the export in `path` beside it and return where."""
    beside = path.with_name(path.name + ".meta.json")
    text = json.dumps(about, indent=1, ensure_ascii=False) + "\n"
    save_chunks(iter([text.encode()]), beside)
    return beside


class _Counter:
    """Remembers the newest progress and passes it on."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self.rows = 0

    def __call__(self, progress: Progress) -> None:
        self.rows = progress.rows
        self._tell(progress)


def _nobody(progress: Progress) -> None:
    pass
