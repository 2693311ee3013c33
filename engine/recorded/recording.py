"""The recorded demo year and the rule that maps it onto any date.

A local calendar day is served by the recorded day with the same weekday that
lies nearest in the season, quarter-hour by quarter-hour of local wall time.
Recorded days with a clock change are left out, so that every local time exists
exactly once; on a 25-hour day the repeated hour repeats its values, on a
23-hour day the missing hour is skipped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from engine.domain.errors import EmsError

DEMO_FILE = Path(__file__).parent / "data" / "demo_site_composite_2025_26_15min.parquet"

ATTRIBUTION = (
    "Bundesnetzagentur, SMARD.de (CC BY 4.0)",
    "AEW Energie AG (ODbL 1.0)",
)

RECORDED_LATITUDE, RECORDED_LONGITUDE = 47.39, 8.05
"""About where load and PV were metered: canton Aargau (``data/README.md``), degrees N and E."""

QUARTERS_PER_DAY = 96
_DAYS_PER_YEAR = 365.25
_QUARTER_S = 900
_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()


def season_distance_days(a: date, b: date) -> float:
    """Return how far two dates lie apart within the year, 0..182.6 days, whatever their years."""
    return _apart_days(a.timetuple().tm_yday, b.timetuple().tm_yday)


def _apart_days(a: int, b: int) -> float:
    gap = abs(a - b)
    return min(gap, _DAYS_PER_YEAR - gap)


class Recording:
    """Quarter-hourly series of a recorded year, readable at any date.

    Args:
        path: Parquet file with the UTC index ``ts_utc`` (start of interval, gap-free) and
            one float column per series.
        timezone: IANA name of the zone whose wall time and weekdays rule the mapping.

    Raises:
        EmsError: When the file is missing, empty or not on a 15-min grid.
    """

    def __init__(self, path: Path = DEMO_FILE, timezone: str = "Europe/Vienna") -> None:
        if not path.is_file():
            raise EmsError(
                "The recorded data file is missing.",
                field="recording",
                value=path.name,
                hint="Reinstall EMS Dash; the file belongs to the source tree.",
            )
        self.timezone = ZoneInfo(timezone)
        table = pq.read_table(path)
        self.columns: tuple[str, ...] = tuple(c for c in table.column_names if c != "ts_utc")
        stamps = table.column("ts_utc")
        # Only the ends: a year of times as Python objects takes longer than all the rest.
        first, last = (stamps[i].as_py() if len(stamps) else None for i in (0, -1))
        start = _require_quarter_hour_grid(first, last, len(stamps))
        data = np.column_stack([table.column(c).to_numpy() for c in self.columns])
        self._days = self._split_days(start, data.astype(np.float64))
        if not self._days:
            raise EmsError("The recorded data holds no complete day.", field="recording")
        self._of_year = {day: day.timetuple().tm_yday for day in self._days}
        self._source_date = lru_cache(maxsize=4096)(self._find_source_date)
        self._row_of_day = {day: i for i, day in enumerate(self._days)}
        self._table = np.stack(list(self._days.values()))

    def _split_days(
        self, start: datetime, data: NDArray[np.float64]
    ) -> dict[date, NDArray[np.float64]]:
        local_days, first, rows = np.unique(
            self._local_seconds(start, len(data)) // 86_400, return_index=True, return_counts=True
        )
        return {
            date.fromordinal(_EPOCH_ORDINAL + int(day)): data[row : row + QUARTERS_PER_DAY]
            for day, row, count in zip(local_days, first, rows, strict=True)
            if count == QUARTERS_PER_DAY
        }

    def _find_source_date(self, day: date) -> date:
        candidates = [d for d in self._days if d.weekday() == day.weekday()] or list(self._days)
        of_year = day.timetuple().tm_yday
        # Of two equally near days the one closer in calendar time wins, so that a date inside
        # the recording is served by itself.
        return min(
            candidates,
            key=lambda d: (_apart_days(self._of_year[d], of_year), abs((d - day).days), d),
        )

    def source_date(self, day: date) -> date:
        """Return the recorded local date that stands in for the local date `day`."""
        return self._source_date(day)

    def values(self, column: str, times: Iterable[datetime]) -> NDArray[np.float64]:
        """Return the recorded 15-min means that stand in for the given times.

        Args:
            column: One of `columns`.
            times: Timezone-aware instants; each belongs to the quarter-hour that contains it.

        Returns:
            Array of shape (number of times,), in the unit of the column.

        Raises:
            EmsError: When the column does not exist.
        """
        k = self._column(column)
        out = []
        for ts in times:
            local = ts.astimezone(self.timezone)
            day = self._days[self.source_date(local.date())]
            out.append(day[local.hour * 4 + local.minute // 15, k])
        return np.array(out, dtype=np.float64)

    def quarter_hours(self, column: str, start: datetime, n: int) -> NDArray[np.float64]:
        """Return `n` consecutive 15-min means from `start` (aware); shape (n,)."""
        k = self._column(column)
        if n <= 0:
            return np.empty(0)
        local_s = self._local_seconds(start, n)
        days, position = np.unique(local_s // 86_400, return_inverse=True)
        rows = np.array(
            [
                self._row_of_day[self.source_date(date.fromordinal(_EPOCH_ORDINAL + int(day)))]
                for day in days
            ],
            dtype=np.int64,
        )
        out: NDArray[np.float64] = self._table[rows[position], local_s % 86_400 // _QUARTER_S, k]
        return out

    def _column(self, column: str) -> int:
        if column not in self.columns:
            raise EmsError(
                f"The recording has no series '{column}'.",
                field="column",
                value=column,
                hint=f"Use one of: {', '.join(self.columns)}.",
            )
        return self.columns.index(column)

    def _local_seconds(self, start: datetime, n: int) -> NDArray[np.int64]:
        """Return local wall time of `n` quarter-hours as seconds since 1970-01-01, local."""
        first = start.astimezone(UTC)
        seconds = math.floor(first.timestamp()) + _QUARTER_S * np.arange(n, dtype=np.int64)
        offsets = np.empty_like(seconds)
        for i in range(0, len(seconds), QUARTERS_PER_DAY):
            block = seconds[i : i + QUARTERS_PER_DAY]
            ends = {self._offset_s(int(block[0])), self._offset_s(int(block[-1]))}
            # Zones change their clock at most once in a day: equal ends, equal inside.
            offsets[i : i + QUARTERS_PER_DAY] = (
                ends.pop() if len(ends) == 1 else [self._offset_s(int(s)) for s in block]
            )
        return seconds + offsets

    def _offset_s(self, seconds: int) -> int:
        offset = datetime.fromtimestamp(seconds, self.timezone).utcoffset()
        return int(offset.total_seconds()) if offset is not None else 0


def _require_quarter_hour_grid(
    first: datetime | None, last: datetime | None, rows: int
) -> datetime:
    """Return the start of the first of `rows` quarter-hours, UTC."""
    if first is None or last is None or first.tzinfo is None:
        raise EmsError("The recorded data needs timezone-aware times.", field="ts_utc")
    start = first.astimezone(UTC)
    expected = start + timedelta(minutes=15 * (rows - 1))
    if last.astimezone(UTC) != expected or start.minute % 15 or start.second:
        raise EmsError(
            "The recorded data is not on a gap-free 15-min grid.",
            field="ts_utc",
            value=f"{first} .. {last}, {rows} rows",
        )
    return start


def quarter_mean(recording: Recording, column: str) -> Callable[[datetime], float]:
    """Return a fast function from an instant to the recorded mean of its quarter-hour.

    The last quarter-hour is remembered, because a plant asks for every second of it.
    """
    last: tuple[int, float] | None = None

    def value(ts: datetime) -> float:
        nonlocal last
        quarter = int(ts.timestamp() // 900)
        if last is None or last[0] != quarter:
            last = (quarter, float(recording.values(column, (ts,))[0]))
        return last[1]

    return value
