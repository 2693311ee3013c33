"""Measured series as columns: what pages, analytics and exports ask the history for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engine.domain.forecast import FloatArray


class Resolution(StrEnum):
    """Length of the intervals of a series."""

    RAW = "raw"
    MINUTE = "1min"
    QUARTER_HOUR = "15min"


class Aggregate(StrEnum):
    """What a column says about its interval; only MEAN exists for RAW and is the value itself.

    MEAN is the mean of a GAUGE over its usable samples and the last usable value of a COUNTER
    or CODE, whose mean has no meaning. FIRST exists for COUNTER only. COUNT is the number of
    usable samples. POSITIVE_KWH and NEGATIVE_KWH (both >= 0) exist for power signals only;
    they integrate over the real time between samples, and not over gaps. ANY_BIT exists for
    `alarm_bits` only: every bit that was set at least once.
    """

    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    FIRST = "first"
    COUNT = "count"
    POSITIVE_KWH = "positive_kwh"
    NEGATIVE_KWH = "negative_kwh"
    ANY_BIT = "any_bit"


@dataclass(frozen=True, slots=True)
class ColumnKey:
    """One column: a signal, a decision (`DECISION_COLUMNS`), or of roll-ups also a tally.

    Tallies are ``samples`` (number of samples), ``covered_s`` (seconds that samples cover;
    longer gaps are not counted), ``limited_s`` (seconds in which a limit changed the setpoint)
    and ``unusable`` (most unusable signals in one sample); their aggregate is MEAN.
    """

    name: str
    aggregate: Aggregate = Aggregate.MEAN


TEXT_COLUMNS: tuple[str, ...] = ("binding", "decided_by", "state")
"""Columns of words; a roll-up keeps the word that held longest."""

TALLIES: tuple[str, ...] = ("samples", "covered_s", "limited_s", "unusable")
"""Columns that only roll-ups have."""


@dataclass(frozen=True, slots=True, eq=False)
class Columns:
    """A series of one site; every array has shape (n,), one entry per stored interval.

    Attributes:
        resolution: Length of the intervals.
        ts: Start of each interval (RAW: time of the sample), UTC, as ``datetime64[us]``, ascending;
            intervals without samples are absent.
        values: Column to values; NaN where there was no usable sample.
        texts: Text column to words; None where there was none.
        simulated: True where simulated devices supplied the values.
    """

    resolution: Resolution
    ts: NDArray[np.datetime64]
    values: Mapping[ColumnKey, FloatArray]
    simulated: NDArray[np.bool_]
    texts: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    def __len__(self) -> int:
        """Number of intervals."""
        return int(self.ts.size)


class SeriesStore(Protocol):
    """The measured series of a `HistoryStore`, at every resolution."""

    def columns(
        self,
        site_id: str,
        keys: Sequence[ColumnKey],
        since: datetime,
        until: datetime,
        resolution: Resolution,
        *,
        texts: Sequence[str] = (),
    ) -> Columns:
        """Return a series as columns, wherever it is kept, hot or archived.

        Roll-ups hold what `roll_up` has been asked to make; minutes and quarter-hours that
        are not rolled up yet are aggregated from raw samples, so the newest are never missing.

        Args:
            site_id: The site.
            keys: Columns wanted.
            since: Start of the period; intervals that start in the period are returned.
            until: End of the period.
            resolution: Length of the intervals.
            texts: Of `TEXT_COLUMNS`, those wanted as well.

        Raises:
            HistoryError: A column is unknown or has no such aggregate, a time is naive, or the
                store cannot answer.
        """
        ...

    def roll_up(self, now: datetime) -> int:
        """Aggregate what was stored since the last call; return how many minutes were (re)made.

        Intervals that samples came late for are made again. A minute is rolled up once it is
        over; equal to `rebuild_roll_ups` of everything.
        """
        ...

    def rebuild_roll_ups(self, site_id: str, since: datetime, until: datetime) -> int:
        """Make all roll-ups of a period again from raw samples, hot and archived.

        Intervals for which no raw samples are kept any more stay as they are.

        Returns:
            Number of minutes made.
        """
        ...
