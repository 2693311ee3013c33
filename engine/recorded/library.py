"""The recorded sites and price years that come with the program, by name and with their source.

Any site can be looked at under any price year: its load and PV are those of the recorded day with
the same weekday nearest in the season (`recording`), the prices are those of the very day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import lru_cache
from pathlib import Path
from typing import TypeVar
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from engine.domain.errors import EmsError
from engine.domain.quarter_hour import STEP
from engine.recorded.recording import DEMO_FILE, Recording

EntryT = TypeVar("EntryT")

DATA = DEMO_FILE.parent
MARKET_ZONE = ZoneInfo("Europe/Vienna")
"""The recorded price years are local years of this zone."""

_DEMO_PV_KW = 160.0
"""Installed power of the recorded PV plant whose course the other sites borrow."""

_SMARD = "Bundesnetzagentur, SMARD.de (CC BY 4.0)"
_AEW = "AEW Energie AG (ODbL 1.0)"


@dataclass(frozen=True, slots=True)
class RecordedSite:
    """A measured load with a PV plant.

    Attributes:
        key: Its name in requests.
        file: Measured profile in W per MWh of annual energy; None for the demo recording.
        energy_mwh: Annual energy the profile is scaled to; of the demo site, as measured.
        pv_kw: Installed PV power; its course is the demo recording's of the same season.
        source: Origin and licence of load and PV.
    """

    key: str
    file: Path | None
    energy_mwh: float
    pv_kw: float
    source: str


@dataclass(frozen=True, slots=True)
class PriceYear:
    """Recorded day-ahead prices of the Austrian bidding zone.

    Attributes:
        key: Its name in requests.
        file: Hourly prices; None for those of the demo recording, in quarter-hours.
        source: Origin and licence.
    """

    key: str
    file: Path | None
    source: str


DEMO, OWN_YEAR = "demo", "at_2025_26"

SITES: Mapping[str, RecordedSite] = {
    site.key: site
    for site in (
        RecordedSite(DEMO, None, 130.0, _DEMO_PV_KW, _AEW),
        RecordedSite(
            "metalworking",
            DATA / "load" / "metalworking_2018_15min.parquet",
            700.0,
            150.0,
            f"load Tjaden, Zenodo 4683455 (CC BY 4.0); PV {_AEW}",
        ),
        RecordedSite(
            "office",
            DATA / "load" / "office_medium_2015_15min.parquet",
            250.0,
            300.0,
            f"load SCiBER, Tjaden (CC BY 4.0); PV {_AEW}",
        ),
    )
}

PRICE_YEARS: Mapping[str, PriceYear] = {
    year.key: year
    for year in (
        PriceYear(OWN_YEAR, None, _SMARD),
        PriceYear("at_2024", DATA / "prices" / "prices_at_2024_hourly.parquet", _SMARD),
        PriceYear("at_2018", DATA / "prices" / "prices_at_2018_hourly.parquet", _SMARD),
    )
}


@dataclass(frozen=True, slots=True, eq=False)
class Prices:
    """Day-ahead prices without a gap, in quarter-hours.

    Attributes:
        start: Start of the first quarter-hour, UTC.
        spot_eur_per_kwh: Shape (n,).
    """

    start: datetime
    spot_eur_per_kwh: NDArray[np.float64]

    @property
    def end(self) -> datetime:
        """End of the last quarter-hour, UTC."""
        return self.start + int(self.spot_eur_per_kwh.size) * STEP

    def days(self, zone: ZoneInfo) -> tuple[date, date]:
        """Return the first and the last local day that is there whole."""
        first, last = self.start.astimezone(zone), self.end.astimezone(zone)
        begins = first.date() if first.hour == first.minute == 0 else _next(first.date())
        return begins, date.fromordinal(last.date().toordinal() - 1)


def price_year(key: str) -> Prices:
    """Return the prices of a year.

    Raises:
        EmsError: There is no such year, or its file is missing.
    """
    return _price_year(_known(PRICE_YEARS, key, "data.prices").key)


def site_series(
    key: str, start: datetime, n: int, *, timezone: str, demo: Recording
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return load and PV power of `n` quarter-hours of a recorded site, kW, shape (n,) each.

    Args:
        key: One of `SITES`.
        start: First quarter-hour, aware.
        n: How many.
        timezone: IANA name of the zone whose wall time and weekdays rule the mapping.
        demo: The demo recording in that zone.

    Raises:
        EmsError: There is no such site, or its file is missing.
    """
    site = _known(SITES, key, "data.site")
    pv = np.maximum(demo.quarter_hours("pv_kw", start, n), 0.0) * site.pv_kw / _DEMO_PV_KW
    if site.file is None:
        return np.maximum(demo.quarter_hours("load_kw", start, n), 0.0), pv
    measured = _recording(site.file, timezone).quarter_hours("load_w_per_mwh_a", start, n)
    return np.maximum(measured, 0.0) * site.energy_mwh / 1000.0, pv


@lru_cache(maxsize=8)
def _price_year(key: str) -> Prices:
    file = PRICE_YEARS[key].file
    path = DEMO_FILE if file is None else file
    if not path.is_file():
        raise EmsError(
            "The file with recorded prices is missing.",
            field="data.prices",
            value=path.name,
            hint="Reinstall EMS Dash; the file belongs to the source tree.",
        )
    table = pq.read_table(path)
    column = "price_at_eur_mwh" if file is None else "price_eur_per_mwh"
    values = table.column(column).to_numpy().astype(np.float64) / 1000.0
    start = table.column("ts_utc")[0].as_py().astimezone(UTC)
    return Prices(start, values if file is None else np.repeat(values, 4))


@lru_cache(maxsize=4)
def _recording(path: Path, timezone: str) -> Recording:
    return Recording(path, timezone)


def _known(entries: Mapping[str, EntryT], key: str, field: str) -> EntryT:
    found = entries.get(key)
    if found is None:
        raise EmsError(
            f"There is no recording '{key}'.",
            field=field,
            value=key,
            hint=f"Known: {', '.join(entries)}.",
        )
    return found


def _next(day: date) -> date:
    return date.fromordinal(day.toordinal() + 1)
