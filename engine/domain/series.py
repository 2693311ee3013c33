"""Measured time series as the pages ask for them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


@dataclass(frozen=True, slots=True)
class MeasuredPoint:
    """Means of one interval of measured values.

    Attributes:
        ts: Start of the interval, UTC.
        seconds: Length of the interval.
        values: Signal name to mean over its usable samples; a signal without any is None.
    """

    ts: datetime
    seconds: int
    values: Mapping[str, float | None] = field(default_factory=dict)
