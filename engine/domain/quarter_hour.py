"""The quarter-hour: the step in which prices settle, forecasts are made and money is booked."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

STEP = timedelta(minutes=15)
STEP_S = 900.0


def quarter_start(ts: datetime) -> datetime:
    """Return the start of the quarter-hour that contains the aware instant `ts`, UTC."""
    utc = ts.astimezone(UTC)
    return utc.replace(minute=utc.minute - utc.minute % 15, second=0, microsecond=0)
