"""What has been imported so far in the running quarter-hour, from the meter's readings.

Demand charges bill the import register, so exporting does not make up for importing: only
the positive part counts.

Time comes from two clocks. The wall clock says which quarter-hour it is and how much of it
has passed; the integral runs on monotonic time. Where the two disagree (the wall clock was
set), where readings were missing, and before a start inside a quarter-hour, part of the
quarter-hour is unknown. Nobody can say what the meter counted then, so it is assumed at the
cap, which is neutral, or at the first reading after it where that is higher: after a gap the
site is probably still drawing what it drew in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from engine.domain.quarter_hour import quarter_start

QUARTER_S = 900.0

CLOCK_STEP_S = 2.0
"""Wall and monotonic clock differing by more than this between two cycles: the clock was set."""


@dataclass(frozen=True, slots=True)
class QuarterSoFar:
    """The running quarter-hour up to now.

    Attributes:
        start: Its start, UTC.
        elapsed_s: Time since, 0..900.
        known_kws: Integral of the measured import over the part that was measured.
        known_s: Length of that part.
        unknown_s: Length of the part that was not.
        unknown_kw: First reading after the unknown part, + import; 0 when none says more.
    """

    start: datetime
    elapsed_s: float
    known_kws: float
    known_s: float
    unknown_s: float
    unknown_kw: float

    @property
    def remaining_s(self) -> float:
        """Time until it ends."""
        return QUARTER_S - self.elapsed_s

    @property
    def mean_import_kw(self) -> float | None:
        """Mean import over the measured part; None before the first measurement."""
        return self.known_kws / self.known_s if self.known_s > 0.0 else None

    def imported_kws(self, cap_kw: float, ceiling_kw: float) -> float:
        """Return the integral with the unknown part assumed between `cap_kw` and `ceiling_kw`."""
        return self.known_kws + self.unknown_s * min(max(self.unknown_kw, cap_kw), ceiling_kw)


class QuarterImport:
    """Integrates the meter's import over each quarter-hour.

    Args:
        max_gap_s: A reading older than this no longer stands for the time since the last.
    """

    def __init__(self, max_gap_s: float = 15.0) -> None:
        self._max_gap_s = max_gap_s
        self._now: datetime | None = None
        self._monotonic_s = 0.0
        self._start: datetime | None = None
        self._known_kws = self._known_s = 0.0
        self._unknown_s = self._unknown_kw = 0.0
        self._awaits_reading = False

    def update(self, now: datetime, monotonic_s: float, grid_kw: float | None) -> QuarterSoFar:
        """Count the time since the last call and return the quarter-hour so far.

        Args:
            now: Wall time, UTC.
            monotonic_s: Monotonic time.
            grid_kw: Power at the meter, + import; None when it is unusable. A reading stands
                for the time since the call before.
        """
        start = quarter_start(now)
        elapsed_s = (now - start).total_seconds()
        dt_s = max(0.0, monotonic_s - self._monotonic_s)
        wall_s = (now - self._now).total_seconds() if self._now is not None else 0.0
        clock_set = abs(wall_s - dt_s) > CLOCK_STEP_S
        if self._now is None or clock_set:
            self._begin(start, unknown_s=elapsed_s)
            # Of the time before the clock was set a reading now says nothing.
            self._awaits_reading = self._now is None
        else:
            if start != self._start:
                self._begin(start, unknown_s=max(0.0, elapsed_s - dt_s))
                dt_s = min(dt_s, elapsed_s)
            if grid_kw is None or dt_s > self._max_gap_s:
                self._unknown_s += dt_s
                self._awaits_reading = self._awaits_reading or dt_s > 0.0
            else:
                self._known_kws += dt_s * max(0.0, grid_kw)
                self._known_s += dt_s
        if self._awaits_reading and grid_kw is not None:
            self._unknown_kw = max(self._unknown_kw, grid_kw)
            self._awaits_reading = False
        self._now, self._monotonic_s = now, monotonic_s
        return QuarterSoFar(
            start, elapsed_s, self._known_kws, self._known_s, self._unknown_s, self._unknown_kw
        )

    def _begin(self, start: datetime, unknown_s: float) -> None:
        self._start = start
        self._known_kws = self._known_s = 0.0
        self._unknown_s, self._unknown_kw = unknown_s, 0.0
        # A gap that reaches over the boundary is still open.
        self._awaits_reading = self._awaits_reading and unknown_s > 0.0
