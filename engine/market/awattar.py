"""Hourly day-ahead prices of aWATTar for Austria and Germany; no key needed.

``GET /v1/marketdata?start=<ms>&end=<ms>``. Always both: with ``start`` alone the reply holds
exactly 24 hours, so a 25-hour day lacks its last hour and a 23-hour day reaches into the next
(measured on 3,256 recorded replies). Values are net of VAT.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal
from zoneinfo import ZoneInfo

from engine.domain.clock import Clock
from engine.fetching.http import HttpGetter, invalid
from engine.market.intervals import (
    HOUR_MINUTES,
    FetchedPrices,
    ParsedPrices,
    PriceInterval,
    checked_intervals,
    checked_price,
    checked_stamp,
    missing_words,
    require_list,
    require_object,
    unit_is_eur_per_mwh,
    within,
)

BASE_URLS = {"AT": "https://api.awattar.at", "DE": "https://api.awattar.de"}


def parse_awattar(reply: Any) -> ParsedPrices:
    """Return the prices of a decoded reply.

    Raises:
        FetchError: When any part of it is not as documented; nothing is taken from it then.
    """
    rows = require_list(require_object(reply, "The aWATTar reply").get("data"), "'data'")
    intervals = []
    for i, item in enumerate(rows):
        where = f"aWATTar row {i + 1}"
        row = require_object(item, where)
        if not unit_is_eur_per_mwh(row.get("unit")):
            raise invalid(f"{where}: the unit {row.get('unit')!r} is not EUR/MWh.")
        start = checked_stamp(_seconds(row.get("start_timestamp")), where)
        end = checked_stamp(_seconds(row.get("end_timestamp")), where)
        intervals.append(
            PriceInterval(
                start=start,
                minutes=int((end - start).total_seconds() // 60),
                eur_per_kwh=checked_price(row.get("marketprice"), where) / 1000.0,
            )
        )
    return ParsedPrices(checked_intervals(intervals))


def _seconds(milliseconds: Any) -> Any:
    is_number = isinstance(milliseconds, (int, float)) and not isinstance(milliseconds, bool)
    return milliseconds / 1000.0 if is_number else milliseconds


class Awattar:
    """`PriceProvider` for aWATTar.

    Args:
        region: ``"AT"`` or ``"DE"`` (the zone DE-LU).
        http: Gets addresses.
        clock: Time of fetching.
        base_url: Left out: the public address.
    """

    minutes = HOUR_MINUTES
    attribution = "aWATTar; Bundesnetzagentur, SMARD.de (CC BY 4.0)"

    def __init__(
        self,
        region: Literal["AT", "DE"],
        http: HttpGetter,
        clock: Clock,
        *,
        zone: ZoneInfo,
        base_url: str | None = None,
    ) -> None:
        self.name = f"awattar_{region.lower()}"
        self._http = http
        self._clock = clock
        self._zone = zone
        self._url = f"{(base_url or BASE_URLS[region]).rstrip('/')}/v1/marketdata"

    def fetch(self, start: datetime, end: datetime) -> FetchedPrices:
        """Return the hourly prices of ``[start, end)``; see `PriceProvider`."""
        reply = self._http.get(
            self._url,
            {
                "start": str(int(start.timestamp() * 1000)),
                "end": str(int(end.timestamp() * 1000)),
            },
        )
        intervals = within(parse_awattar(reply.json()).intervals, start, end)
        return FetchedPrices(
            intervals=intervals,
            source=self.name,
            fetched_at=self._clock.now(),
            request=reply.request,
            problems=missing_words(intervals, start, end, self._zone),
        )
