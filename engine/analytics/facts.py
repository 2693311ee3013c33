"""What was measured in a quarter-hour, complete enough to compare a battery with none.

A quarter-hour counts only when all of it is known: booked at a price, metered for at least
`COVERED_SECONDS`, battery energy metered, and stored energy known at both ends. Everything
else lowers the coverage and is left out on both sides of every comparison; nothing is filled
in. The bill of the meter (`engine.analytics.ledger`) keeps every booked quarter-hour.

**Net load.** Without a battery the site would have drawn, in kWh of the quarter-hour,
``import - export + discharged - charged``, all from counters. Where one-minute means of meter
and battery exist, its course inside the quarter-hour is ``grid_kw + battery_kw`` minute by
minute, shifted so that it adds up to exactly that energy: what was imported in one minute and
exported in another is then not netted away. Where a minute is missing the course is flat.

**Crossings.** A meter counts imports and exports within single minutes too, which no one-minute
course shows. While the battery stands still the difference is the site's own and is kept
(`crossing_kwh`), so that an idle battery saves exactly nothing. While it works the difference
may be its own doing and is not credited to the site: in doubt a saving is understated.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from engine.domain.plan import FloatArray
from engine.domain.quarter_hour import STEP
from engine.domain.records import LedgerRow
from engine.domain.site import Battery
from engine.history.columns import ColumnKey, Columns
from engine.history.store import COVERED_SECONDS

MINUTES = 15
"""Minutes of a quarter-hour: the step in which baselines are simulated."""

MINUTE_HOURS = 1.0 / 60.0

IDLE_KWH = 0.01
"""A battery that moved no more in a quarter-hour than this stood still (a register's step)."""

GRID, BATTERY, SOC = ColumnKey("grid_kw"), ColumnKey("battery_kw"), ColumnKey("soc_percent")

FACT_COLUMNS: tuple[ColumnKey, ...] = (GRID, BATTERY, SOC)
"""Columns of minutes that `measured_quarters` reads."""


@dataclass(frozen=True, slots=True, eq=False)
class Quarter:
    """One quarter-hour that is known completely.

    Attributes:
        row: What was booked; its battery energies are never None here.
        stored_start_kwh: Energy in the battery at its start.
        stored_end_kwh: Energy in the battery at its end.
        net_kwh: Net load without a battery per minute, + import, - export, shape (15,); adds up
            to import - export + discharged - charged.
        crossing_kwh: Energy that flowed in both directions within single minutes on account of
            the site itself; may be slightly negative where registers and power disagree.
        by_minute: False where `net_kwh` is flat for want of minutes.
    """

    row: LedgerRow
    stored_start_kwh: float
    stored_end_kwh: float
    net_kwh: FloatArray
    crossing_kwh: float
    by_minute: bool

    @property
    def ts(self) -> datetime:
        """Start of the quarter-hour, UTC."""
        return self.row.ts

    @property
    def charged_kwh(self) -> float:
        """AC energy the battery took, >= 0."""
        return self.row.battery_charged_kwh or 0.0

    @property
    def discharged_kwh(self) -> float:
        """AC energy the battery gave, >= 0."""
        return self.row.battery_discharged_kwh or 0.0

    @property
    def net_total_kwh(self) -> float:
        """Net load of the whole quarter-hour."""
        return net_total_kwh(self.row)

    @property
    def load_kwh(self) -> float | None:
        """Energy the site consumed; None where PV was not metered."""
        return None if self.row.pv_kwh is None else max(0.0, self.net_total_kwh + self.row.pv_kwh)


def net_total_kwh(row: LedgerRow) -> float:
    """Return import - export + discharged - charged of a row, battery energies known."""
    return (
        row.import_kwh
        - row.export_kwh
        + (row.battery_discharged_kwh or 0.0)
        - (row.battery_charged_kwh or 0.0)
    )


class MinuteFacts:
    """One-minute means of meter, battery and state of charge by time.

    Args:
        minutes: `FACT_COLUMNS` by minute, from at least a minute before the first quarter-hour
            to a minute after the last.
        battery: For the energy behind a percent.
    """

    def __init__(self, minutes: Columns, battery: Battery) -> None:
        numbers = minutes.ts.astype("datetime64[m]").astype(np.int64)
        self._numbers = numbers
        self._net_kwh = (minutes.values[GRID] + minutes.values[BATTERY]) * MINUTE_HOURS
        self._grid_kwh = minutes.values[GRID] * MINUTE_HOURS
        self._soc = minutes.values[SOC]
        self._kwh_per_percent = battery.energy_capacity_kwh / 100.0

    def net_kwh(self, start: datetime) -> FloatArray | None:
        """Return the net load of each minute of a quarter-hour, None unless all are known."""
        first = _minute(start)
        begin, end = np.searchsorted(self._numbers, (first, first + MINUTES))
        if end - begin != MINUTES:
            return None
        course: FloatArray = self._net_kwh[begin:end]
        return course if np.isfinite(course).all() else None

    def stored_kwh(self, at: datetime) -> float | None:
        """Return the energy stored at an instant: of the minute before it, else after it.

        The end of one quarter-hour is the start of the next, so changes add up without a rest.
        """
        number = _minute(at)
        for wanted in (number - 1, number):
            index = int(np.searchsorted(self._numbers, wanted))
            if index < self._numbers.size and self._numbers[index] == wanted:
                soc = float(self._soc[index])
                if np.isfinite(soc):
                    return soc * self._kwh_per_percent
        return None


def is_metered(row: LedgerRow) -> bool:
    """Return True when meter and battery were metered for the whole quarter-hour."""
    return (
        row.seconds >= COVERED_SECONDS
        and row.battery_charged_kwh is not None
        and row.battery_discharged_kwh is not None
    )


def measured_quarters(rows: Iterable[LedgerRow], minutes: MinuteFacts) -> list[Quarter]:
    """Return the quarter-hours that are known completely, in the order of `rows`."""
    out = []
    for row in rows:
        start_kwh = minutes.stored_kwh(row.ts)
        end_kwh = minutes.stored_kwh(row.ts + STEP)
        if not is_metered(row) or start_kwh is None or end_kwh is None:
            continue
        total_kwh = net_total_kwh(row)
        course = minutes.net_kwh(row.ts)
        by_minute = course is not None
        if course is None:
            course = np.full(MINUTES, total_kwh / MINUTES)
        else:
            course = course + (total_kwh - float(course.sum())) / MINUTES
        out.append(
            Quarter(
                row=row,
                stored_start_kwh=start_kwh,
                stored_end_kwh=end_kwh,
                net_kwh=course,
                crossing_kwh=_crossing_kwh(row, course),
                by_minute=by_minute,
            )
        )
    return out


def _crossing_kwh(row: LedgerRow, course: FloatArray) -> float:
    moved_kwh = (row.battery_charged_kwh or 0.0) + (row.battery_discharged_kwh or 0.0)
    if moved_kwh > IDLE_KWH:
        return 0.0
    return row.import_kwh - float(np.maximum(course, 0.0).sum())


def _minute(ts: datetime) -> int:
    return int(ts.timestamp() // 60)
