"""An alarm as people see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class AlarmView:
    """One alarm as a person sees it.

    Attributes:
        name: Alarm name, for example ``"system_fault"``.
        active: True while it is shown as active, after delays.
        raised_at: When it last became active, UTC.
        cleared_at: When it ended, UTC; None while active.
        acknowledged: True once a person has seen it.
        count: How often it became active since it was last acknowledged while inactive.
    """

    name: str
    active: bool
    raised_at: datetime
    cleared_at: datetime | None = None
    acknowledged: bool = False
    count: int = 1
