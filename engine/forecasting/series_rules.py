"""What tells the series apart for a forecaster."""

from __future__ import annotations

from dataclasses import dataclass

from engine.forecasting.conformal import WidthRule


@dataclass(frozen=True, slots=True)
class SeriesRules:
    """What the series asks of its forecaster.

    Attributes:
        widths: How P10 and P90 come about.
        published_ahead: Values of future steps may be known (prices).
        floor: Least possible value, or None.
        intraday: ``"offset"`` or ``"ratio"`` of the last hour, or None for no correction.
        tau_hours: Fixed time constant of the correction; None learns it.
        by_weekday: Tell workdays, Saturdays and Sundays apart.
    """

    widths: WidthRule
    published_ahead: bool = False
    floor: float | None = None
    intraday: str | None = None
    tau_hours: float | None = None
    by_weekday: bool = True
