"""The one seam between the web application and the engine.

Pages and API routes receive a `Services` object and nothing else, so they run
against the real engine and against a fake in tests alike.
"""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from engine.domain.records import PriceRow
from engine.domain.series import MeasuredPoint
from engine.domain.snapshot import EngineSnapshot


class Services(Protocol):
    """What the web application may ask of the engine. Every call returns at once."""

    def snapshot(self) -> EngineSnapshot:
        """Return the state after the newest control cycle."""
        ...

    def measured(self, since: datetime, until: datetime | None = None) -> list[MeasuredPoint]:
        """Return one-minute means of measured signals.

        Args:
            since: Only points with ``ts > since`` (UTC) are returned.
            until: Only points with ``ts < until`` are returned; None for no bound.

        Returns:
            Closed minutes in ascending order, at most 2,160 (36 h). A minute without any
            sample has no point: gaps stay gaps.
        """
        ...

    def prices(self, since: datetime, until: datetime) -> list[PriceRow]:
        """Return published prices in 15-min steps.

        Args:
            since: First instant, UTC; rounded down to its quarter-hour.
            until: Only steps that start before it, UTC, are returned.

        Returns:
            Steps in ascending order; unpublished ones are left out.
        """
        ...

    def now(self) -> datetime:
        """Return the engine's time, UTC (the demo clock may run fast)."""
        ...

    def heartbeat_age_s(self) -> float:
        """Return the seconds since the control loop last completed a cycle."""
        ...
