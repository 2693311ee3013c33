"""What people may ask of the history: series, SQL, exports; each with its own limits."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import chain
from typing import Any, Protocol

from engine.domain.product import product_version
from engine.history.export_request import ExportRequest, Progress
from engine.history.export_rows import ExportContext, ExportStore
from engine.history.exporter import LIMIT_SECONDS, about_export, stream_export
from engine.history.query_errors import BusyError
from engine.history.query_service import HistoryQueries
from engine.history.read_limit import ReadLimit
from engine.history.series_query import SeriesAnswer, SeriesQuery
from engine.history.sql_sandbox import ROW_LIMIT, SqlResult, SqlSandbox, SqlStore

EXPORTS_AT_ONCE = 2
REMEMBERED = 20
"""Finished exports whose outcome is still told."""


class DeskStore(ExportStore, SqlStore, Protocol):
    """Everything the desk reads from."""


@dataclass(frozen=True, slots=True)
class ExportState:
    """How an export is doing.

    Attributes:
        number: Which one, counted since the start.
        dataset: What is exported.
        format: In which format.
        started_at: When it began, UTC.
        progress: How far it is.
        state: ``"running"``, ``"done"``, ``"failed"`` or ``"ended"`` (nobody took the rest).
    """

    number: int
    dataset: str
    format: str
    started_at: datetime
    progress: Progress
    state: str


class RunningExport:
    """The bytes of one export, to be taken once; closing it early ends the export.

    Attributes:
        number: Which one, as in `ExportState`.
    """

    def __init__(self, number: int, chunks: Iterator[bytes], end: Callable[[str], None]) -> None:
        self.number = number
        self._chunks = chunks
        self._end = end

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._chunks)
        except StopIteration:
            self._end("done")
            raise
        except BaseException:
            self._end("failed")
            raise

    def close(self) -> None:
        """End the export when it has not ended; called by the web server as well."""
        close = getattr(self._chunks, "close", None)
        if close is not None:
            with suppress(ValueError):
                close()
        self._end("ended")


class HistoryDesk:
    """Answers questions about one site's history; may be used from any thread.

    Args:
        store: The history.
        site_id: The site.
        timezone: IANA name of the site's time zone.
        now: The engine's time, UTC.
        monotonic: Seconds that never run backwards.
    """

    def __init__(
        self,
        store: DeskStore,
        site_id: str,
        timezone: str,
        now: Callable[[], datetime],
        *,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._timezone = timezone
        self._now = now
        self._queries = HistoryQueries(store, timezone, now, monotonic=monotonic)
        self._sandbox = SqlSandbox(store, site_id, timezone, monotonic=monotonic)
        self._turns = threading.BoundedSemaphore(EXPORTS_AT_ONCE)
        self._lock = threading.Lock()
        self._exports: dict[int, ExportState] = {}
        self._number = 0

    @property
    def timezone(self) -> str:
        """IANA name of the site's time zone."""
        return self._timezone

    def series(self, query: SeriesQuery, limit: ReadLimit | None = None) -> SeriesAnswer:
        """Return the answer to a question for series; see `HistoryQueries.series`."""
        return self._queries.series(query, limit)

    def sql(self, sql: str, rows: int = ROW_LIMIT) -> SqlResult:
        """Return the answer to one SELECT; see `SqlSandbox.run`."""
        return self._sandbox.run(sql, rows)

    def export(self, request: ExportRequest) -> RunningExport:
        """Start an export and return its bytes; mistakes show before the first byte.

        Raises:
            BusyError: As many exports run as may at once.
            QueryError: The request cannot be answered as it is.
            HistoryError: The store cannot answer.
        """
        if not self._turns.acquire(blocking=False):
            raise BusyError(
                f"{EXPORTS_AT_ONCE} exports are running.",
                hint="Wait until one has ended; GET /api/exports lists them.",
            )
        number = self._begin(request)

        def tell(progress: Progress) -> None:
            with self._lock:
                self._exports[number] = replace(self._exports[number], progress=progress)

        def end(state: str) -> None:
            with self._lock:
                if self._exports[number].state != "running":
                    return
                self._exports[number] = replace(self._exports[number], state=state)
                self._forget()
            self._turns.release()

        chunks = stream_export(self._context(), request, ReadLimit(LIMIT_SECONDS), tell)
        try:
            first = next(chunks, b"")
        except BaseException:
            end("failed")
            raise
        return RunningExport(number, _closing(first, chunks), end)

    def about(self, request: ExportRequest) -> dict[str, Any]:
        """Return what is said about an export, without its rows.

        Raises:
            QueryError: The request cannot be answered as it is.
        """
        return about_export(self._context(), request)

    def exports(self) -> tuple[ExportState, ...]:
        """Return the exports that run and the newest that have ended, oldest first."""
        with self._lock:
            return tuple(self._exports.values())

    def _context(self) -> ExportContext:
        return ExportContext(
            store=self._store,
            sandbox=self._sandbox,
            timezone=self._timezone,
            program=f"EMS Dash {product_version()}",
            now=self._now(),
        )

    def _begin(self, request: ExportRequest) -> int:
        with self._lock:
            self._number += 1
            self._exports[self._number] = ExportState(
                self._number,
                request.dataset,
                str(request.format),
                self._now(),
                Progress(0, 0, 0),
                "running",
            )
            return self._number

    def _forget(self) -> None:
        ended = [n for n, export in self._exports.items() if export.state != "running"]
        for number in ended[:-REMEMBERED]:
            del self._exports[number]


def _closing(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    """Yield `first` and the rest; closing this closes the rest."""
    try:
        yield from chain((first,), rest)
    finally:
        close = getattr(rest, "close", None)
        if close is not None:
            close()
