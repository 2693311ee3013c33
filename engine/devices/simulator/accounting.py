"""The plant's own books per quarter-hour, kept apart from every register.

Tests and evaluations compare what the program measured with what happened.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from engine.devices.simulator.battery import Flows

_KEPT: Final = 4000
"""Quarter-hours kept, about 41 days."""


@dataclass(slots=True)
class EnergyBooks:
    """Energies of one span of time; all kWh and >= 0 except the stored ones.

    Attributes:
        start: Start of the span, UTC.
        seconds: Simulated part of the span.
        grid_import_kwh: Bought at the grid connection.
        grid_export_kwh: Sold at the grid connection.
        load_kwh: Used by the site.
        pv_kwh: Generated.
        curtailed_kwh: Not generated because of a limit.
        charged_kwh: AC energy into the battery.
        discharged_kwh: AC energy out of the battery.
        conversion_loss_kwh: Lost in conversion, both ways.
        standby_loss_kwh: Drawn by standby.
        stored_start_kwh: Stored energy at the start.
        stored_end_kwh: Stored energy at the end.
    """

    start: datetime
    seconds: float = 0.0
    grid_import_kwh: float = 0.0
    grid_export_kwh: float = 0.0
    load_kwh: float = 0.0
    pv_kwh: float = 0.0
    charged_kwh: float = 0.0
    discharged_kwh: float = 0.0
    conversion_loss_kwh: float = 0.0
    standby_loss_kwh: float = 0.0
    stored_start_kwh: float = 0.0
    stored_end_kwh: float = 0.0
    curtailed_kwh: float = 0.0

    def book(
        self,
        *,
        hours: float,
        load_kwh: float,
        pv_kwh: float,
        curtailed_kwh: float,
        flows: Flows,
        stored_kwh: float,
    ) -> None:
        """Add one step; the grid closes its balance."""
        grid_kwh = load_kwh - pv_kwh + flows.charged_kwh - flows.discharged_kwh
        if grid_kwh >= 0.0:
            self.grid_import_kwh += grid_kwh
        else:
            self.grid_export_kwh -= grid_kwh
        self.seconds += hours * 3600.0
        self.load_kwh += load_kwh
        self.pv_kwh += pv_kwh
        self.curtailed_kwh += curtailed_kwh
        self.charged_kwh += flows.charged_kwh
        self.discharged_kwh += flows.discharged_kwh
        self.conversion_loss_kwh += flows.conversion_loss_kwh
        self.standby_loss_kwh += flows.standby_kwh
        self.stored_end_kwh = stored_kwh


@dataclass(frozen=True, slots=True)
class PlantTruth:
    """What really happened.

    Attributes:
        total: Everything since the plant was made.
        quarters: Quarter-hours in order, the newest 41 days; the last one may be incomplete.
    """

    total: EnergyBooks
    quarters: tuple[EnergyBooks, ...]


class Bookkeeper:
    """Books every step into the total and into its quarter-hour.

    Args:
        start: Start of the plant, UTC.
        quarter_start: Start of the quarter-hour `start` lies in.
        stored_kwh: Stored energy at the start.
    """

    def __init__(self, start: datetime, quarter_start: datetime, stored_kwh: float) -> None:
        self._origin = quarter_start
        self._total = EnergyBooks(start, stored_start_kwh=stored_kwh, stored_end_kwh=stored_kwh)
        self._quarters: deque[EnergyBooks] = deque(maxlen=_KEPT)
        self._index = -1
        self._current = self._total

    def book(
        self,
        quarter: int,
        *,
        hours: float,
        load_kwh: float,
        pv_kwh: float,
        curtailed_kwh: float,
        flows: Flows,
        stored_kwh: float,
    ) -> None:
        """Book a step that lies within quarter-hour number `quarter` since the first one."""
        if quarter != self._index:
            before = self._total.stored_end_kwh
            self._index = quarter
            self._current = EnergyBooks(
                self._origin + quarter * timedelta(minutes=15),
                stored_start_kwh=before,
                stored_end_kwh=before,
            )
            self._quarters.append(self._current)
        for books in (self._current, self._total):
            books.book(
                hours=hours,
                load_kwh=load_kwh,
                pv_kwh=pv_kwh,
                curtailed_kwh=curtailed_kwh,
                flows=flows,
                stored_kwh=stored_kwh,
            )

    def truth(self) -> PlantTruth:
        """Return a copy of the books."""
        return PlantTruth(
            replace(self._total), tuple(replace(quarter) for quarter in self._quarters)
        )
