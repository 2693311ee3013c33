"""Questions for series and their answers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from engine.domain.forecast import FloatArray
from engine.history.checks import check_time
from engine.history.columns import Resolution
from engine.history.downsample import LEAST_POINTS
from engine.history.query_errors import QueryError
from engine.history.series_names import Family, SeriesName

MOST_POINTS = 10_000
MOST_SIGNALS = 20
DEFAULT_POINTS = 1_500


class Step(StrEnum):
    """Length of the intervals of an answer."""

    AUTO = "auto"
    RAW = "raw"
    MINUTE = "1min"
    QUARTER_HOUR = "15min"
    HOUR = "60min"
    DAY = "1day"


class Aggregation(StrEnum):
    """What an answer says about each interval.

    MEAN comes with the lowest and highest value as a band. POSITIVE_KWH and NEGATIVE_KWH
    (both >= 0) are energies of measured powers.
    """

    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    POSITIVE_KWH = "positive_kwh"
    NEGATIVE_KWH = "negative_kwh"

    @property
    def is_energy(self) -> bool:
        """True for energies."""
        return self in (Aggregation.POSITIVE_KWH, Aggregation.NEGATIVE_KWH)


class Earlier(StrEnum):
    """An earlier period to compare with, at the same time of day by the wall clock."""

    DAY = "day"
    WEEK = "week"
    YEAR = "year"

    @property
    def days(self) -> int:
        """How far back; a year is 52 weeks, so that days of the week meet."""
        return {Earlier.DAY: 1, Earlier.WEEK: 7, Earlier.YEAR: 364}[self]


LONGEST: dict[Step, timedelta] = {
    Step.RAW: timedelta(days=7),
    Step.MINUTE: timedelta(days=100),
    Step.QUARTER_HOUR: timedelta(days=3_700),
    Step.HOUR: timedelta(days=3_700),
    Step.DAY: timedelta(days=3_700),
}
"""Longest period at each step; exports have no such bound."""

STORED: dict[Step, Resolution] = {
    Step.RAW: Resolution.RAW,
    Step.MINUTE: Resolution.MINUTE,
    Step.QUARTER_HOUR: Resolution.QUARTER_HOUR,
    Step.HOUR: Resolution.QUARTER_HOUR,
    Step.DAY: Resolution.QUARTER_HOUR,
}
"""What each step is read from."""

SECONDS: dict[Step, float] = {
    Step.RAW: 2.0,
    Step.MINUTE: 60.0,
    Step.QUARTER_HOUR: 900.0,
    Step.HOUR: 3_600.0,
    Step.DAY: 86_400.0,
}
"""Usual length of an interval."""

_RAW_UP_TO = timedelta(days=2)
_MINUTES_UP_TO = timedelta(days=7)
_QUARTERS_UP_TO = timedelta(days=14)
_HOURS_UP_TO = timedelta(days=60)


@dataclass(frozen=True, slots=True)
class SeriesQuery:
    """These signals, this period, this many points.

    Attributes:
        site_id: The site.
        signals: Names as in `engine.history.series_names`.
        since: Start of the period, aware; intervals that start in the period are meant.
        until: End of the period, aware.
        step: Length of the intervals; AUTO takes the finest a chart of that length can use.
        aggregation: What is asked of each interval.
        max_points: Most points per signal, marks of gaps included.
        compare: An earlier period whose series come as well; None for none.
        statistics: Whether figures of the whole period are wanted.
    """

    site_id: str
    signals: tuple[str, ...]
    since: datetime
    until: datetime
    step: Step = Step.AUTO
    aggregation: Aggregation = Aggregation.MEAN
    max_points: int = DEFAULT_POINTS
    compare: Earlier | None = None
    statistics: bool = True

    def __post_init__(self) -> None:
        check_time(self.since, "from")
        check_time(self.until, "to")
        if not self.since < self.until:
            raise QueryError(
                f"The period ends at {self.until.isoformat()}, before or when it starts.",
                field="to",
                value=self.until.isoformat(),
                hint="Give an end after the start.",
            )
        if not 1 <= len(self.signals) <= MOST_SIGNALS:
            raise QueryError(
                f"{len(self.signals)} series are asked for.",
                field="signals",
                value=len(self.signals),
                hint=f"Ask for 1 to {MOST_SIGNALS}.",
            )
        if not LEAST_POINTS <= self.max_points <= MOST_POINTS:
            raise QueryError(
                f"{self.max_points} points are not possible.",
                field="max_points",
                value=self.max_points,
                hint=f"Ask for {LEAST_POINTS} to {MOST_POINTS}.",
            )
        longest = LONGEST[self.resolved_step]
        if self.until - self.since > longest:
            raise QueryError(
                f"A period of {(self.until - self.since).days} days is too long for "
                f"{self.resolved_step} values.",
                field="resolution",
                value=str(self.resolved_step),
                hint=f"Ask for at most {longest.days} days, for a coarser resolution, "
                "or for an export.",
            )

    @property
    def resolved_step(self) -> Step:
        """The step of the answer."""
        if self.step is not Step.AUTO:
            return self.step
        span = self.until - self.since
        if self.aggregation.is_energy:
            if span <= _QUARTERS_UP_TO:
                return Step.QUARTER_HOUR
            return Step.HOUR if span <= _HOURS_UP_TO else Step.DAY
        if self.aggregation is Aggregation.MEAN and span <= _RAW_UP_TO:
            return Step.RAW
        # from as many quarter-hours on as there are points, minutes would only cost time:
        # the band keeps their extremes
        minutes_up_to = max(_MINUTES_UP_TO, self.max_points * timedelta(minutes=15))
        return Step.MINUTE if span <= minutes_up_to else Step.QUARTER_HOUR


@dataclass(frozen=True, slots=True)
class Statistics:
    """Figures of one series over the whole period, from all its values; None: not known.

    Attributes:
        mean: Mean, weighted by how much was measured; None for additive series.
        low: Lowest value.
        high: Highest value.
        p05: Value that one of twenty intervals lies below.
        p95: Value that one of twenty intervals lies above.
        total: Sum of an additive series.
        positive_kwh: Energy of a power above zero.
        negative_kwh: Energy of a power below zero, >= 0.
        coverage: Measured share of the period up to now, 0 to 1; of measured series only.
    """

    mean: float | None = None
    low: float | None = None
    high: float | None = None
    p05: float | None = None
    p95: float | None = None
    total: float | None = None
    positive_kwh: float | None = None
    negative_kwh: float | None = None
    coverage: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class FullSeries:
    """One series before it is thinned; every array has shape (n,), NaN where not known.

    `simulated` and `imported` say of each value where it came from; None: neither.
    """

    name: SeriesName
    step: Step
    ts: NDArray[np.datetime64]
    values: FloatArray
    gap_us: int
    low: FloatArray | None = None
    high: FloatArray | None = None
    simulated: NDArray[np.bool_] | None = None
    imported: NDArray[np.bool_] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Series:
    """One series of an answer; every array has shape (n,).

    Attributes:
        name: Its name.
        unit: Its unit.
        family: Where it comes from.
        stepped: Each value holds until the next one: draw steps, not a line.
        ts: Times, UTC, as ``datetime64[us]``, ascending.
        values: Values; NaN marks a gap.
        low: Lower edge of the band; None without one.
        high: Upper edge of the band; None without one.
        n: Values it was made of.
        simulated: Some of them came from simulated devices.
        imported: Some of them were read from a file.
        statistics: Figures of the period; None when they were not wanted.
    """

    name: str
    unit: str
    family: Family
    stepped: bool
    ts: NDArray[np.datetime64]
    values: FloatArray
    low: FloatArray | None
    high: FloatArray | None
    n: int
    simulated: bool
    imported: bool
    statistics: Statistics | None


@dataclass(frozen=True, slots=True, eq=False)
class SeriesAnswer:
    """The answer to a `SeriesQuery`.

    Attributes:
        query: The question as it was answered: rounded to whole intervals.
        step: Length of the intervals.
        timezone: The site's time zone, which cuts days.
        series: Name to series, in the order asked for.
        earlier: Likewise for the earlier period, its times moved onto this one.
        earlier_since: Start of the earlier period; None without one.
    """

    query: SeriesQuery
    step: Step
    timezone: str
    series: Mapping[str, Series]
    earlier: Mapping[str, Series] = field(default_factory=dict)
    earlier_since: datetime | None = None
