"""Quarter-hour day-ahead prices of Energy-Charts (Fraunhofer ISE); no key needed.

``GET /price?bzn=AT&start=YYYY-MM-DD&end=YYYY-MM-DD`` gives ``unix_seconds`` and ``price``. Days
are local days of the zone, both included. Since 2025-10-01 the step is 15 minutes, before an
hour; it is read off the stamps, never assumed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Literal
from zoneinfo import ZoneInfo

from engine.domain.clock import Clock
from engine.fetching.http import HttpGetter, invalid
from engine.market.intervals import (
    QUARTER_MINUTES,
    FetchedPrices,
    ParsedPrices,
    checked_price,
    checked_stamp,
    intervals_from_stamps,
    missing_words,
    require_list,
    require_object,
    unit_is_eur_per_mwh,
    within,
)

BASE_URL = "https://api.energy-charts.info"

BIDDING_ZONES = {"AT": "AT", "DE": "DE-LU"}


def parse_energy_charts(reply: Any) -> ParsedPrices:
    """Return the prices of a decoded reply; open values (null) are named and left out.

    Raises:
        FetchError: When any part of it is not as documented; nothing is taken from it then.
    """
    body = require_object(reply, "The Energy-Charts reply")
    seconds = require_list(body.get("unix_seconds"), "'unix_seconds'")
    prices = require_list(body.get("price"), "'price'")
    if len(seconds) != len(prices):
        raise invalid(f"Energy-Charts gives {len(seconds)} times but {len(prices)} prices.")
    unit = body.get("unit")
    # Older replies say "No Unit" for what is documented as EUR/MWh.
    if not unit_is_eur_per_mwh(unit) and unit != "No Unit":
        raise invalid(f"The unit {unit!r} of Energy-Charts is not EUR/MWh.")
    stamps = [checked_stamp(s, f"Energy-Charts value {i + 1}") for i, s in enumerate(seconds)]
    values = [
        None if p is None else checked_price(p, f"Energy-Charts value {i + 1}") / 1000.0
        for i, p in enumerate(prices)
    ]
    open_values = sum(v is None for v in values)
    problems = (f"{open_values} of {len(values)} prices are left open",) if open_values else ()
    return ParsedPrices(intervals_from_stamps(stamps, values), problems)


class EnergyCharts:
    """`PriceProvider` for Energy-Charts.

    Args:
        region: ``"AT"`` or ``"DE"`` (the zone DE-LU).
        http: Gets addresses.
        clock: Time of fetching.
        zone: Local time of the bidding zone.
        base_url: Where to ask.
    """

    minutes = QUARTER_MINUTES
    attribution = "Energy-Charts (Fraunhofer ISE); Bundesnetzagentur, SMARD.de (CC BY 4.0)"

    def __init__(
        self,
        region: Literal["AT", "DE"],
        http: HttpGetter,
        clock: Clock,
        *,
        zone: ZoneInfo,
        base_url: str = BASE_URL,
    ) -> None:
        self.name = f"energy_charts_{region.lower()}"
        self._bidding_zone = BIDDING_ZONES[region]
        self._http = http
        self._clock = clock
        self._zone = zone
        self._url = f"{base_url.rstrip('/')}/price"

    def fetch(self, start: datetime, end: datetime) -> FetchedPrices:
        """Return the prices of ``[start, end)``; see `PriceProvider`."""
        last = (end - timedelta(seconds=1)).astimezone(self._zone).date()
        reply = self._http.get(
            self._url,
            {
                "bzn": self._bidding_zone,
                "start": start.astimezone(self._zone).date().isoformat(),
                "end": last.isoformat(),
            },
        )
        parsed = parse_energy_charts(reply.json())
        intervals = within(parsed.intervals, start, end)
        return FetchedPrices(
            intervals=intervals,
            source=self.name,
            fetched_at=self._clock.now(),
            request=reply.request,
            problems=(*parsed.problems, *missing_words(intervals, start, end, self._zone)),
        )
