"""What the charts of the last minutes and hours are drawn from, at a resolution that suits."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from ems_dash.services import Services
from ems_dash.ui.figure_parts import live_value
from engine.domain.series import MeasuredPoint
from engine.telemetry.recent import RecentCycle

SIGNALS = (
    *("pv_kw", "load_kw", "grid_kw", "battery_kw", "soc_percent"),
    *("max_charge_power_kw", "max_discharge_power_kw", "battery_setpoint_kw"),
)
"""Order of the values of a live point, as `assets/monitoring.js` reads them."""

MINUTE_S = 60.0


@dataclass(frozen=True, slots=True)
class Span:
    """One range of the charts.

    Attributes:
        key: Its name in the address and in the catalogue.
        length: How far it reaches back.
        bucket_s: Length of the means that are drawn; at most 720 of them.
        tick: Distance of the ticks of the time axis.
        row_s: Length of the means of the table beside the chart.
    """

    key: str
    length: timedelta
    bucket_s: float
    tick: timedelta
    row_s: float

    def paced(self, time_factor: float) -> Span:
        """Return this range for a clock that runs fast: about one new point a second at most."""
        bucket_s = max(self.bucket_s, float(math.ceil(time_factor)))
        if bucket_s > MINUTE_S:
            bucket_s = MINUTE_S * math.ceil(bucket_s / MINUTE_S)
        return replace(self, bucket_s=bucket_s)

    def start_of(self, ts: datetime) -> datetime:
        """Return the start of the bucket that `ts` lies in, UTC."""
        return datetime.fromtimestamp(ts.timestamp() // self.bucket_s * self.bucket_s, UTC)


SPANS = {
    span.key: span
    for span in (
        Span("15m", timedelta(minutes=15), 2.0, timedelta(minutes=3), 60.0),
        Span("60m", timedelta(minutes=60), 5.0, timedelta(minutes=10), 300.0),
        Span("6h", timedelta(hours=6), 60.0, timedelta(hours=1), 1800.0),
        Span("24h", timedelta(hours=24), 120.0, timedelta(hours=3), 7200.0),
    )
}
DEFAULT_SPAN = "60m"


def span_of(key: str | None, time_factor: float = 1.0) -> Span:
    """Return the range of that name; the default one for a name that is none."""
    return SPANS.get(key or "", SPANS[DEFAULT_SPAN]).paced(time_factor)


def gap_s(span: Span, timestep_s: float) -> float:
    """Return the distance of two points from which on there is a hole between them."""
    return max(1.5 * span.bucket_s, 3.5 * timestep_s)


def points_of(
    services: Services, span: Span, now: datetime, since: datetime
) -> list[MeasuredPoint]:
    """Return the means of every bucket that is over and begins later than `since`.

    Fine ranges are drawn from the control cycles the engine remembers, what is older (as after
    a restart) from one-minute means.

    Args:
        services: The engine.
        span: The range.
        now: The engine's time, UTC.
        since: The newest bucket that is known already, or the left edge of the chart.
    """
    until = span.start_of(now)
    if span.bucket_s >= MINUTE_S:
        minutes = services.measured(since)
        return means(((p.ts, p.values) for p in minutes), span, since, until)
    cycles = services.recent(since)
    fine = means(((c.ts, _values(c)) for c in cycles), span, since, until)
    first = cycles[0].ts if cycles else now
    if first - since < timedelta(seconds=2 * MINUTE_S):
        return fine
    return [*services.measured(since, first - timedelta(seconds=MINUTE_S)), *fine]


def _values(cycle: RecentCycle) -> dict[str, float | None]:
    return {signal: cycle.value(signal) for signal in SIGNALS}


def means(
    rows: Iterable[tuple[datetime, Mapping[str, float | None]]],
    span: Span,
    since: datetime,
    until: datetime,
) -> list[MeasuredPoint]:
    """Return the mean of each signal per bucket with ``since < start`` and ``start < until``.

    A signal without a value in a bucket is None there; a bucket without rows is left out.
    """
    sums: dict[datetime, dict[str, list[float]]] = {}
    for ts, values in rows:
        start = span.start_of(ts)
        if not since < start < until:
            continue
        found = sums.setdefault(start, {})
        for signal in SIGNALS:
            value = values.get(signal)
            if value is not None:
                found.setdefault(signal, []).append(value)
    return [
        MeasuredPoint(
            start,
            round(span.bucket_s),
            {s: sum(found[s]) / len(found[s]) if s in found else None for s in SIGNALS},
        )
        for start, found in sorted(sums.items())
    ]


def with_holes(points: Sequence[MeasuredPoint], hole_s: float) -> list[MeasuredPoint]:
    """Return `points` with an empty one where two are further apart than `hole_s`.

    Coarser points, as those from before a restart, may be further apart by their own length.
    """
    out: list[MeasuredPoint] = []
    for point in points:
        before = out[-1] if out else None
        if before is not None:
            apart_s = (point.ts - before.ts).total_seconds()
            if apart_s > max(hole_s, 1.5 * before.seconds):
                end = before.ts + timedelta(seconds=before.seconds)
                out.append(MeasuredPoint(end, 0, {}))
        out.append(point)
    return out


def live_rows(points: Sequence[MeasuredPoint]) -> list[list[float | None]]:
    """Return points as ``[utc_ms, *values in the order of SIGNALS]``."""
    return [
        [round(p.ts.timestamp() * 1000), *(live_value(p.values.get(s)) for s in SIGNALS)]
        for p in points
    ]


def table_rows(
    points: Sequence[MeasuredPoint], span: Span
) -> list[tuple[datetime, Mapping[str, float | None]]]:
    """Return coarser means for a table, oldest first; a row without data is left out."""
    coarse = replace(span, bucket_s=span.row_s)
    since, until = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    rows = means(((p.ts, p.values) for p in points), coarse, since, until)
    return [(row.ts, row.values) for row in rows]
