"""What the API says about the history: series for charts, answers to SQL, exports."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta
from datetime import time as wall_time
from decimal import Decimal
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, RootModel

from ems_dash.api.models import ApiModel, ApiRequest, UtcTime
from engine.history.export_text import interval_words
from engine.history.series_query import Series, SeriesAnswer
from engine.history.sql_sandbox import ROW_LIMIT, SqlResult
from engine.runtime.history_desk import ExportState


class StatisticsInfo(ApiModel):
    """Figures of one series over the period; null: not known."""

    mean: float | None
    low: float | None
    high: float | None
    p05: float | None
    p95: float | None
    total: float | None
    positive_kwh: float | None
    negative_kwh: float | None
    coverage: float | None


class SeriesInfo(ApiModel):
    """One series; a null in `values` is a gap: interrupt the line there."""

    name: str
    unit: str
    family: str
    stepped: bool
    n: int
    simulated: bool
    imported: bool
    ts: list[str]
    values: list[float | None]
    low: list[float | None] | None
    high: list[float | None] | None
    statistics: StatisticsInfo | None


class SeriesReply(BaseModel):
    """``GET /api/series``."""

    model_config = ConfigDict(allow_inf_nan=False, serialize_by_alias=True)

    site_id: str
    time_zone: str
    since: UtcTime = Field(serialization_alias="from")
    until: UtcTime = Field(serialization_alias="to")
    resolution: str
    aggregation: str
    series: list[SeriesInfo]
    earlier_from: UtcTime | None
    earlier: list[SeriesInfo]


class SqlRequest(ApiRequest):
    """``POST /api/sql``: one SELECT, and the most rows of its answer."""

    sql: Annotated[str, Field(min_length=1)]
    rows: int = ROW_LIMIT


class SqlColumnInfo(ApiModel):
    """One column of an answer."""

    name: str
    type: str


class SqlReply(ApiModel):
    """The answer to a statement; times without offset are as the column's meaning says."""

    columns: list[SqlColumnInfo]
    rows: list[list[Any]]
    truncated: bool
    seconds: float


class ExportStateInfo(ApiModel):
    """How an export is doing; `state` is running, done, failed or ended."""

    number: int
    dataset: str
    format: str
    started_at: UtcTime
    rows: int
    parts: int
    parts_total: int
    state: str


class AboutReply(RootModel[dict[str, Any]]):
    """``GET /api/export/.../about``: what is said about an export beside its rows."""


class ExportsReply(ApiModel):
    """``GET /api/exports``."""

    exports: list[ExportStateInfo]


def series_reply(answer: SeriesAnswer) -> SeriesReply:
    """Return the API's view of an answer."""
    query = answer.query
    return SeriesReply(
        site_id=query.site_id,
        time_zone=answer.timezone,
        since=query.since,
        until=query.until,
        resolution=str(answer.step),
        aggregation=str(query.aggregation),
        series=[_series(one) for one in answer.series.values()],
        earlier_from=answer.earlier_since,
        earlier=[_series(one) for one in answer.earlier.values()],
    )


def sql_reply(result: SqlResult) -> SqlReply:
    """Return the API's view of an answer to a statement."""
    columns = [column.to_pylist() for column in result.table.columns]
    n = result.table.num_rows
    return SqlReply(
        columns=[SqlColumnInfo.model_validate(column) for column in result.columns],
        rows=[[_plain(column[i]) for column in columns] for i in range(n)],
        truncated=result.truncated,
        seconds=round(result.seconds, 4),
    )


def exports_reply(states: tuple[ExportState, ...]) -> ExportsReply:
    """Return the API's view of the exports."""
    return ExportsReply(
        exports=[
            ExportStateInfo(
                number=one.number,
                dataset=one.dataset,
                format=one.format,
                started_at=one.started_at,
                rows=one.progress.rows,
                parts=one.progress.parts,
                parts_total=one.progress.parts_total,
                state=one.state,
            )
            for one in states
        ]
    )


def _series(one: Series) -> SeriesInfo:
    statistics = one.statistics
    return SeriesInfo(
        name=one.name,
        unit=one.unit,
        family=str(one.family),
        stepped=one.stepped,
        n=one.n,
        simulated=one.simulated,
        imported=one.imported,
        ts=np.datetime_as_string(one.ts, unit="ms", timezone="UTC").tolist(),
        values=_numbers(one.values),
        low=None if one.low is None else _numbers(one.low),
        high=None if one.high is None else _numbers(one.high),
        statistics=None if statistics is None else StatisticsInfo.model_validate(statistics),
    )


def _numbers(values: NDArray[np.float64]) -> list[float | None]:
    usable = np.isfinite(values)
    return [
        value if known else None
        for value, known in zip(values.tolist(), usable.tolist(), strict=True)
    ]


def _plain(value: Any) -> Any:
    """Return a value of an answer as JSON can say it."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, datetime):
        if value.tzinfo is None:
            return value.isoformat()
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, date | wall_time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, pa.MonthDayNano):
        return interval_words(value)
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if value is None or isinstance(value, bool | int | str):
        return value
    return str(value)
