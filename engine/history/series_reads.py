"""One series in full, at the step that was asked for, with its figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from engine.domain.forecast import FloatArray
from engine.domain.signals import Kind
from engine.history.buckets import Grouping, day_edges, hour_edges
from engine.history.columns import Aggregate, ColumnKey, Columns, Resolution, SeriesStore
from engine.history.point_reads import Points, PointStore
from engine.history.query_errors import QueryError
from engine.history.roll_up_columns import GAP_SECONDS, IMPORTED_STATE
from engine.history.rows import utc_microseconds
from engine.history.series_names import Family, SeriesName
from engine.history.series_query import (
    SECONDS,
    STORED,
    Aggregation,
    FullSeries,
    SeriesQuery,
    Statistics,
    Step,
)
from engine.history.series_statistics import (
    energies,
    held_seconds,
    highest,
    lowest,
    quantiles,
    total,
    weighted_mean,
)

_COVERED = ColumnKey("covered_s")
_US = 1_000_000
_RAW_GAP_STEPS = 3
_GAP_STEPS = 1.6


class QueryStore(SeriesStore, PointStore, Protocol):
    """Everything series are read from."""


@dataclass(frozen=True, slots=True, eq=False)
class ReadSeries:
    """A series in full and its figures; None where they were not wanted."""

    full: FullSeries
    statistics: Statistics | None


def read_measured(
    store: QueryStore,
    query: SeriesQuery,
    names: Sequence[SeriesName],
    zone: ZoneInfo,
    now: datetime,
    *,
    states: bool = True,
) -> dict[str, ReadSeries]:
    """Return the measured series `names` of a question, by name, from one read of the store.

    Args:
        store: The history.
        query: The question.
        names: Measured series.
        zone: The site's time zone.
        now: The time, UTC.
        states: Whether some of the values may be imported.

    Raises:
        QueryError: A series has no such aggregation or step.
        HistoryError: The store cannot answer.
    """
    if not names:
        return {}
    step = query.resolved_step
    for name in names:
        _check_measured(name, query.aggregation, step)
    keys = list(dict.fromkeys(key for name in names for key in _keys(name, query)))
    columns = store.columns(
        query.site_id,
        keys,
        query.since,
        query.until,
        STORED[step],
        texts=("state",) if states else (),
    )
    timing = _timing(columns, step, zone)
    return {name.text: _measured(name, query, columns, timing, now) for name in names}


def read_points(
    store: QueryStore, query: SeriesQuery, name: SeriesName, zone: ZoneInfo
) -> ReadSeries:
    """Return a series that is not measured.

    Raises:
        QueryError: It has no such aggregation.
        HistoryError: The store cannot answer.
    """
    if query.aggregation.is_energy:
        raise QueryError(
            f"{name.text} is no measured power.",
            field="aggregation",
            value=str(query.aggregation),
            hint="Energies come from battery_kw, grid_kw, pv_kw and load_kw.",
        )
    found = store.points(name, query.site_id, query.since, query.until, zone.key)
    step = query.resolved_step
    series = _grouped_points(name, found, step, query.aggregation, zone)
    statistics = None
    if query.statistics:
        p05, p95 = quantiles(found.values, 0.05, 0.95)
        statistics = Statistics(
            mean=None if name.additive else weighted_mean(found.values, found.seconds),
            low=lowest(found.values),
            high=highest(found.values),
            p05=p05,
            p95=p95,
            total=total(found.values) if name.additive else None,
        )
    return ReadSeries(series, statistics)


def _check_measured(name: SeriesName, aggregation: Aggregation, step: Step) -> None:
    if aggregation.is_energy and not name.is_power:
        raise QueryError(
            f"{name.text} is no power that energies are kept of.",
            field="aggregation",
            value=str(aggregation),
            hint="Energies come from battery_kw, grid_kw, pv_kw and load_kw.",
        )
    if step is Step.RAW and (aggregation is not Aggregation.MEAN or name.is_tally):
        raise QueryError(
            f"Single samples have no {aggregation} of {name.text}.",
            field="resolution",
            value=str(step),
            hint="Ask for 1min or a coarser resolution.",
        )


def _keys(name: SeriesName, query: SeriesQuery) -> list[ColumnKey]:
    """Return the columns that answer the question for one series."""
    column = name.column
    if name.is_tally or query.resolved_step is Step.RAW:
        return [ColumnKey(column)]
    keys = [_COVERED]
    if query.aggregation is Aggregation.POSITIVE_KWH:
        keys.append(ColumnKey(column, Aggregate.POSITIVE_KWH))
    elif query.aggregation is Aggregation.NEGATIVE_KWH:
        keys.append(ColumnKey(column, Aggregate.NEGATIVE_KWH))
    keys.append(ColumnKey(column))
    if name.kind is Kind.GAUGE:
        keys += [ColumnKey(column, a) for a in (Aggregate.MIN, Aggregate.MAX)]
        if query.resolved_step in (Step.HOUR, Step.DAY):
            keys.append(ColumnKey(column, Aggregate.COUNT))
    if query.statistics and name.is_power:
        keys += [ColumnKey(column, a) for a in (Aggregate.POSITIVE_KWH, Aggregate.NEGATIVE_KWH)]
    return keys


@dataclass(frozen=True, slots=True, eq=False)
class _Timing:
    """What all series of one read share.

    Attributes:
        grouping: How its intervals make longer ones; None when they are asked for as they are.
        gap_us: Longest distance of neighbours that is no gap.
        seconds: Time each interval covers; shape (n,).
        simulated: Simulated devices supplied values, per interval of the answer.
        imported: Values were read from a file, per interval of the answer.
    """

    grouping: Grouping | None
    gap_us: int
    seconds: FloatArray
    simulated: NDArray[np.bool_]
    imported: NDArray[np.bool_]


def _timing(columns: Columns, step: Step, zone: ZoneInfo) -> _Timing:
    states = columns.texts.get("state")
    imported = np.zeros(columns.ts.size, np.bool_) if states is None else states == IMPORTED_STATE
    grouping = _grouping(columns.ts, step, zone)
    gap_us = _gap_us(columns.ts, step)
    if columns.resolution is Resolution.RAW:
        seconds = held_seconds(columns.ts, gap_us / _US)
    else:
        seconds = columns.values.get(_COVERED, np.zeros(columns.ts.size))
    return _Timing(
        grouping,
        gap_us,
        seconds,
        simulated=columns.simulated if grouping is None else grouping.any(columns.simulated),
        imported=imported if grouping is None else grouping.any(imported),
    )


def _measured(
    name: SeriesName, query: SeriesQuery, columns: Columns, timing: _Timing, now: datetime
) -> ReadSeries:
    ts, values, low, high = _line(name, query.aggregation, columns, timing.grouping)
    full = FullSeries(
        name=name,
        step=query.resolved_step,
        ts=ts,
        values=values,
        gap_us=timing.gap_us,
        low=low,
        high=high,
        simulated=timing.simulated,
        imported=timing.imported,
    )
    if not query.statistics:
        return ReadSeries(full, None)
    return ReadSeries(full, _statistics(name, query, columns, timing.seconds, now))


def _line(
    name: SeriesName, aggregation: Aggregation, columns: Columns, grouping: Grouping | None
) -> tuple[NDArray[np.datetime64], FloatArray, FloatArray | None, FloatArray | None]:
    """Return times, values and band of one series, in longer intervals when `grouping` says so."""
    got = columns.values
    column = name.column
    mean = got[ColumnKey(column)]
    low, high = got.get(ColumnKey(column, Aggregate.MIN)), got.get(ColumnKey(column, Aggregate.MAX))
    if aggregation.is_energy:
        kwh = got[ColumnKey(column, Aggregate(aggregation.value))]
        if grouping is None:
            return columns.ts, kwh, None, None
        return grouping.starts, grouping.total(kwh), None, None
    if grouping is None:
        ts, line = columns.ts, mean
    else:
        ts = grouping.starts
        low = None if low is None else grouping.low(low)
        high = None if high is None else grouping.high(high)
        if name.additive:
            line = grouping.total(mean)
        elif name.kind is Kind.GAUGE and not name.is_tally:
            line = grouping.mean(mean, got[ColumnKey(column, Aggregate.COUNT)])
        elif name.is_tally:
            line = grouping.high(mean)
        else:
            line = grouping.last(mean)
    if aggregation in (Aggregation.MIN, Aggregation.MAX):
        edge = low if aggregation is Aggregation.MIN else high
        if edge is None:
            raise QueryError(
                f"{name.text} has no {aggregation}.",
                field="aggregation",
                value=str(aggregation),
                hint="Ask for the mean: of a counter or code it is the last value.",
            )
        return ts, edge, None, None
    return ts, line, low, high


def _grouping(ts: NDArray[np.datetime64], step: Step, zone: ZoneInfo) -> Grouping | None:
    if step is Step.HOUR:
        return Grouping(hour_edges(ts))
    if step is Step.DAY:
        return Grouping(day_edges(ts, zone))
    return None


def _gap_us(ts: NDArray[np.datetime64], step: Step) -> int:
    """Return the longest distance of neighbours that is no gap."""
    if step is not Step.RAW:
        return int(_GAP_STEPS * SECONDS[step] * _US)
    usual_us = float(np.median(np.diff(ts.astype(np.int64)))) if ts.size > 1 else 0.0
    return int(max(GAP_SECONDS * _US, _RAW_GAP_STEPS * usual_us))


def _statistics(
    name: SeriesName,
    query: SeriesQuery,
    columns: Columns,
    seconds: FloatArray,
    now: datetime,
) -> Statistics:
    got: Mapping[ColumnKey, FloatArray] = columns.values
    values = got[ColumnKey(name.column)]
    if name.is_tally:
        return Statistics(low=lowest(values), high=highest(values), total=total(values))
    raw = columns.resolution is Resolution.RAW
    positive_kwh = negative_kwh = None
    if name.is_power:
        if raw:
            found = energies(values, seconds)
            positive_kwh, negative_kwh = found if found is not None else (None, None)
        else:
            positive_kwh = total(got[ColumnKey(name.column, Aggregate.POSITIVE_KWH)])
            negative_kwh = total(got[ColumnKey(name.column, Aggregate.NEGATIVE_KWH)])
    p05, p95 = quantiles(values, 0.05, 0.95)
    end_us = min(utc_microseconds(query.until), utc_microseconds(now))
    past_s = (end_us - utc_microseconds(query.since)) / _US
    covered_s = float(np.nansum(np.where(np.isfinite(values), seconds, 0.0)))
    return Statistics(
        mean=weighted_mean(values, seconds) if name.kind is Kind.GAUGE else None,
        low=lowest(got.get(ColumnKey(name.column, Aggregate.MIN), values)),
        high=highest(got.get(ColumnKey(name.column, Aggregate.MAX), values)),
        p05=p05,
        p95=p95,
        positive_kwh=positive_kwh,
        negative_kwh=negative_kwh,
        coverage=min(1.0, covered_s / past_s) if past_s > 0 else None,
    )


def _grouped_points(
    name: SeriesName, found: Points, step: Step, aggregation: Aggregation, zone: ZoneInfo
) -> FullSeries:
    """Return points in hours or days when they are asked for, else as they are kept."""
    grouping = None
    if name.family is not Family.METRIC and found.ts.size:
        grouping = _grouping(found.ts, step, zone)
    longest_us = int(found.seconds.max() * _US) if found.seconds.size else _US
    if name.family is Family.METRIC:
        step = Step.DAY
    elif grouping is None:
        step = Step.QUARTER_HOUR
    if grouping is None:
        gap_us = int(_GAP_STEPS * longest_us)
        return FullSeries(name, step, found.ts, found.values, gap_us)
    low, high = grouping.low(found.values), grouping.high(found.values)
    if aggregation is Aggregation.MIN:
        values = low
    elif aggregation is Aggregation.MAX:
        values = high
    elif name.additive:
        values = grouping.total(found.values)
    else:
        values = grouping.mean(found.values, found.seconds)
    band = aggregation is Aggregation.MEAN and not name.additive
    return FullSeries(
        name,
        step,
        grouping.starts,
        values,
        int(_GAP_STEPS * SECONDS[step] * _US),
        low=low if band else None,
        high=high if band else None,
    )
