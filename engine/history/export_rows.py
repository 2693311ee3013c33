"""Rows of an export, read part by part so that memory stays bounded however long the period."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engine.domain.forecast import FloatArray
from engine.domain.local_days import local_midnight
from engine.history.dictionary import TableInfo, table_info
from engine.history.export_request import (
    SERIES,
    SQL,
    ExportColumn,
    ExportInfo,
    ExportRequest,
    ExportRows,
)
from engine.history.query_service import rounded
from engine.history.read_limit import ReadLimit, limited_reads
from engine.history.series_names import Family, SeriesName, series_name
from engine.history.series_query import SECONDS, SeriesQuery, Step
from engine.history.series_reads import QueryStore, read_measured, read_points
from engine.history.sql_sandbox import EXPORT_SECONDS, GROWTH_BYTES, SqlSandbox
from engine.history.table_reads import TableStore

PART_SECONDS = 120.0
"""Longest time one part may take to read."""

_TS = "ts"
_STAMP = pa.timestamp("us")
_ARROW = {
    "TIMESTAMP": _STAMP,
    "DATE": pa.date32(),
    "DOUBLE": pa.float64(),
    "FLOAT": pa.float32(),
    "INTEGER": pa.int32(),
    "BOOLEAN": pa.bool_(),
    "VARCHAR": pa.string(),
    "FLOAT[]": pa.list_(pa.float32()),
    "BOOLEAN[]": pa.list_(pa.bool_()),
}
_FLAGS = (
    ExportColumn("simulated", "", "Simulated devices supplied some of the values"),
    ExportColumn("imported", "", "Values were read from a file, not measured by this program"),
)


class ExportStore(QueryStore, TableStore, Protocol):
    """Everything exports are read from."""


@dataclass(frozen=True, slots=True)
class ExportContext:
    """What exports of one installation share.

    Attributes:
        store: Where rows are read from.
        sandbox: Runs statements; None where SQL is not possible.
        timezone: IANA name of the site's time zone.
        program: Name and version of this program.
        now: The time, UTC.
    """

    store: ExportStore
    sandbox: SqlSandbox | None
    timezone: str
    program: str
    now: datetime


def export_rows(context: ExportContext, request: ExportRequest, limit: ReadLimit) -> ExportRows:
    """Return the rows of an export; they are read while they are taken.

    Raises:
        QueryError: A series or column is unknown.
        HistoryError: The store cannot answer (while rows are taken as well).
    """
    if request.dataset == SQL:
        return _sql_rows(context, request)
    if request.dataset == SERIES:
        return _series_rows(context, request, limit)
    return _table_rows(context, request, limit)


def _info(
    context: ExportContext,
    request: ExportRequest,
    columns: Sequence[ExportColumn],
    resolution: str = "",
) -> ExportInfo:
    return ExportInfo(
        dataset=request.dataset,
        site_id=request.site_id,
        timezone=context.timezone,
        since=request.since,
        until=request.until,
        resolution=resolution,
        columns=tuple(columns),
        program=context.program,
        created_at=context.now,
    )


def _table_rows(context: ExportContext, request: ExportRequest, limit: ReadLimit) -> ExportRows:
    table = table_info(request.dataset)
    names = request.signals or tuple(c.name for c in table.columns)
    if table.time_column not in names:
        names = (table.time_column, *names)
    infos = [table.column(name) for name in dict.fromkeys(names)]
    schema = pa.schema([pa.field(c.name, _ARROW[c.sql_type]) for c in infos])
    zone = ZoneInfo(context.timezone)
    since, until = _filled(context, request, (table.name,))
    parts = _parts(since, until, _part_days(table), zone)

    def read() -> Iterator[Any]:
        for start, end in parts:
            with limited_reads(_part_limit(limit)):
                found = context.store.table_rows(
                    table,
                    [c.name for c in infos],
                    request.site_id,
                    start,
                    end,
                    timezone=context.timezone,
                )
            yield found.cast(schema)

    columns = [ExportColumn(c.name, c.unit, c.meaning) for c in infos]
    return ExportRows(
        info=_info(context, request, columns),
        schema=schema,
        time_column=None if table.is_daily else table.time_column,
        parts=len(parts),
        tables=read(),
    )


def _part_days(table: TableInfo) -> int:
    return {"samples": 1, "minutes": 7, "forecasts": 7, "forecast_steps": 2, "plan_steps": 2}.get(
        table.name, 31
    )


def _series_rows(context: ExportContext, request: ExportRequest, limit: ReadLimit) -> ExportRows:
    names = [series_name(text) for text in dict.fromkeys(request.signals)]
    zone = ZoneInfo(context.timezone)
    since, until = _period(request)
    step = _step(request, since, until)
    measured = [name for name in names if name.family is Family.MEASURED]
    columns = [ExportColumn(_TS, "", "Start of the interval")]
    columns += [ExportColumn(n.text, _unit(n, request), _meaning(n, request)) for n in names]
    columns += _FLAGS if measured else ()
    schema = pa.schema(
        [
            pa.field(_TS, _STAMP),
            *(pa.field(name.text, pa.float64()) for name in names),
            *(pa.field(flag.name, pa.bool_()) for flag in (_FLAGS if measured else ())),
        ]
    )
    tables = sorted({table for name in names for table in _TABLES_OF[name.family]})
    since, until = _filled(context, request, tables)
    whole = _whole(since, until, step, zone)
    days = {Step.RAW: 1, Step.MINUTE: 7}.get(step, 31)
    # hours are cut in UTC: a local midnight may lie within one
    cut = zone if step is Step.DAY else ZoneInfo("UTC")
    parts = _parts(*whole, days, cut)

    def read() -> Iterator[Any]:
        for start, end in parts:
            with limited_reads(_part_limit(limit)):
                yield _series_part(context, _query(request, start, end, step), names, schema)

    return ExportRows(
        info=_info(context, request, columns, str(step)),
        schema=schema,
        time_column=_TS,
        parts=len(parts),
        tables=read(),
    )


def _query(request: ExportRequest, since: datetime, until: datetime, step: Step) -> SeriesQuery:
    return SeriesQuery(
        site_id=request.site_id,
        signals=request.signals,
        since=since,
        until=until,
        step=step,
        aggregation=request.aggregation,
        statistics=False,
    )


def _step(request: ExportRequest, since: datetime, until: datetime) -> Step:
    if request.step is not Step.AUTO:
        return request.step
    shortest = min(until - since, timedelta(days=3_000))
    probe = _query(request, since, since + shortest, Step.AUTO)
    return probe.resolved_step


def _series_part(
    context: ExportContext, query: SeriesQuery, names: Sequence[SeriesName], schema: Any
) -> Any:
    """Return one part: a row per time that any of the series has."""
    zone = ZoneInfo(context.timezone)
    measured = read_measured(
        context.store,
        query,
        [name for name in names if name.family is Family.MEASURED],
        zone,
        context.now,
    )
    full = {
        name.text: (
            measured[name.text] if name.text in measured
            else read_points(context.store, query, name, zone)
        ).full
        for name in names
    }  # fmt: skip
    # samples give the times; other series hold their value until their interval is over
    giving = [full[text] for text in measured] or list(full.values())
    ts = np.unique(np.concatenate([series.ts for series in giving]))
    arrays: list[Any] = [pa.array(ts.astype("datetime64[us]"), _STAMP)]
    for name in names:
        series = full[name.text]
        holds_s = SECONDS[series.step] if name.family is not Family.MEASURED else 0.0
        values = _held(ts, series.ts, series.values, holds_s)
        arrays.append(pa.array(values, pa.float64(), from_pandas=True))
    if measured:
        first = next(iter(measured.values())).full
        for flags in (first.simulated, first.imported):
            arrays.append(pa.array(flags, pa.bool_()))
    return pa.Table.from_arrays(arrays, schema=schema)


def _held(
    ts: NDArray[np.datetime64], at: NDArray[np.datetime64], values: FloatArray, holds_s: float
) -> FloatArray:
    """Return the value in force at each of `ts`; NaN where there is none."""
    if at.size == 0:
        return np.full(ts.shape, np.nan)
    index = np.searchsorted(at, ts, side="right") - 1
    age_us = ts.astype(np.int64) - at[np.maximum(index, 0)].astype(np.int64)
    # hours and days are as long as the clock makes them
    most_us = holds_s * 1e6 * (1.05 if holds_s >= SECONDS[Step.DAY] else 1.0)
    known = (index >= 0) & ((age_us == 0) | (age_us < most_us))
    held: FloatArray = np.where(known, values[np.maximum(index, 0)], np.nan)
    return held


def _unit(name: SeriesName, request: ExportRequest) -> str:
    return "kWh" if request.aggregation.is_energy else name.unit


def _meaning(name: SeriesName, request: ExportRequest) -> str:
    if name.family is Family.MEASURED and not name.is_tally:
        column = table_info("samples").column(name.column)
        return f"{column.meaning} ({request.aggregation})"
    return f"{name.family} ({request.aggregation})"


def _sql_rows(context: ExportContext, request: ExportRequest) -> ExportRows:
    if context.sandbox is None or request.sql is None:
        raise ValueError("a statement needs a sandbox")
    # not the limit of the export: a statement may not take as long as a slow reader does
    limit = ReadLimit(EXPORT_SECONDS, GROWTH_BYTES)
    # spooled, so that a slow reader holds neither the cursor nor the turn of others
    spool = tempfile.TemporaryFile(prefix="ems-export-")  # noqa: SIM115
    try:
        with context.sandbox.stream(request.sql, limit, tell_utc=True) as stream:
            schema, columns, utc = _unique(stream.schema), stream.columns, stream.utc
            parts = 0
            with pa.ipc.new_stream(spool, schema) as writer:
                for batch in stream.batches:
                    writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
                    parts += 1
    except BaseException:
        spool.close()
        raise
    wall = frozenset(
        item.name
        for at, item in enumerate(schema)
        if pa.types.is_timestamp(item.type) and item.type.tz is None and at not in utc
    )
    named = zip(schema.names, columns, strict=True)
    infos = [ExportColumn(name, "", _sql_meaning(name, c.type, wall)) for name, c in named]

    def read() -> Iterator[Any]:
        with spool:
            spool.seek(0)
            with pa.ipc.open_stream(spool) as reader:
                for batch in reader:
                    yield pa.Table.from_batches([batch], schema=schema)

    return ExportRows(_info(context, request, infos), schema, None, parts, read(), wall)


def _sql_meaning(name: str, kind: str, wall: frozenset[str]) -> str:
    zone = ""
    if kind.startswith("TIMESTAMP"):
        zone = "; no time zone: as the statement gives it" if name in wall else "; UTC"
    return f"Result of the statement, {kind}{zone}"


def _unique(schema: Any) -> Any:
    """Return the schema with names made different: a join may have the same one twice."""
    taken: dict[str, int] = {}
    fields = []
    for item in schema:
        taken[item.name] = taken.get(item.name, 0) + 1
        n = taken[item.name]
        fields.append(item if n == 1 else item.with_name(f"{item.name}_{n}"))
    return pa.schema(fields)


_TABLES_OF: dict[Family, tuple[str, ...]] = {
    # roll-ups outlive the samples they were made of
    Family.MEASURED: ("samples", "quarter_hours"),
    Family.PRICE: ("prices",),
    Family.LEDGER: ("ledger",),
    Family.SAVINGS: ("savings",),
    Family.PLAN: ("plan_steps",),
    Family.FORECAST: ("forecast_steps",),
    Family.METRIC: ("metrics",),
}


def _filled(
    context: ExportContext, request: ExportRequest, names: Sequence[str]
) -> tuple[datetime, datetime]:
    """Return the part of the period that may have rows, to whole days; empty without any."""
    since, until = _period(request)
    found = [context.store.extent(table_info(name), request.site_id) for name in names]
    spans = [span for span in found if span is not None]
    if not spans:
        return since, since
    day = timedelta(days=1)
    first, last = min(s for s, _ in spans), max(e for _, e in spans)
    # cut at the period's own rhythm, so that intervals stay where they are
    lead = max(timedelta(0), first - since - 2 * day) // day * day
    return since + lead, max(since + lead, min(until, last + 2 * day))


def _whole(
    since: datetime, until: datetime, step: Step, zone: ZoneInfo
) -> tuple[datetime, datetime]:
    """Return the period over whole intervals."""
    if since == until:
        return since, until
    probe = SeriesQuery("", ("load_kw",), since, since + timedelta(seconds=1), step=step)
    end = SeriesQuery("", ("load_kw",), until - timedelta(seconds=1), until, step=step)
    return rounded(probe, zone).since, rounded(end, zone).until


def _part_limit(whole: ReadLimit) -> ReadLimit:
    """Return the limit of one part; an export that was cancelled ends here."""
    whole.check()
    return ReadLimit(PART_SECONDS)


def _period(request: ExportRequest) -> tuple[datetime, datetime]:
    if request.since is None or request.until is None:
        raise ValueError("the period is checked when the request is made")
    return request.since, request.until


def _parts(
    since: datetime, until: datetime, days: int, zone: ZoneInfo
) -> list[tuple[datetime, datetime]]:
    """Return the period cut at every `days`-th midnight of `zone`."""
    day: date = since.astimezone(zone).date()
    out, start = [], since.astimezone(UTC)
    while start < until:
        day += timedelta(days=days)
        end = min(local_midnight(day, zone), until.astimezone(UTC))
        out.append((start, end))
        start = end
    return out
