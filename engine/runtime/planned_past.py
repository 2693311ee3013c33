"""What the plans in force wanted, step by step, for comparing plan and reality."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from engine.history.point_reads import PointStore
from engine.history.series_names import series_name

_EPOCH = np.datetime64(0, "us")
_MICROSECOND = np.timedelta64(1, "us")


@dataclass(frozen=True, slots=True)
class PlannedStep:
    """One step as the plan in force then wanted it.

    Attributes:
        start: Its start, UTC.
        end: Its end, UTC.
        battery_kw: Mean battery power, + discharge, - charge.
        soc_kwh: Stored energy at its end.
    """

    start: datetime
    end: datetime
    battery_kw: float
    soc_kwh: float


class PlannedPast:
    """Plans of one site as they were in force. Thread-safe.

    Args:
        store: Holds the plans.
        site_id: The site.
        timezone: IANA name of its time zone.
    """

    def __init__(self, store: PointStore, site_id: str, timezone: str) -> None:
        self._store = store
        self._site_id = site_id
        self._timezone = timezone

    def steps(self, since: datetime, until: datetime) -> list[PlannedStep]:
        """Return the steps that start in ``[since, until)``, ascending; gaps stay gaps.

        Raises:
            HistoryError: The history could not be read.
        """
        power, stored = (
            self._store.points(
                series_name(f"plan:{column}"), self._site_id, since, until, self._timezone
            )
            for column in ("battery_kw", "soc_kwh")
        )
        energy = dict(zip(stored.ts, stored.values, strict=True))
        out = []
        for ts, seconds, value in zip(power.ts, power.seconds, power.values, strict=True):
            soc = float(energy.get(ts, np.nan))
            if np.isfinite(value) and np.isfinite(soc):
                start = datetime.fromtimestamp(0, UTC) + timedelta(
                    microseconds=int((ts - _EPOCH) / _MICROSECOND)
                )
                end = start + timedelta(seconds=float(seconds))
                out.append(PlannedStep(start, end, float(value), soc))
        return out
