"""Day-ahead prices of the ENTSO-E Transparency Platform (document A44); needs a free token.

Facts that decide whether the right number is read (recorded replies, notes/forecasting 1.2):
AT and DE-LU get two time series a day, told apart only by
``classificationSequence_AttributeInstanceComponent.position``: 1 is the common European auction
(SDAC), 2 the EXAA auction; the order in the document says nothing. ``curveType`` A03 leaves out
points that repeat the one before. "Nothing published yet" comes as status 200 with an
acknowledgement document.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Literal
from xml.etree.ElementTree import Element
from zoneinfo import ZoneInfo

from engine.domain.clock import Clock
from engine.domain.errors import FetchError
from engine.fetching.http import HttpGetter, invalid
from engine.fetching.redaction import redact
from engine.fetching.xml import children, local_name, parse_xml, text_at
from engine.market.intervals import (
    QUARTER_MINUTES,
    FetchedPrices,
    ParsedPrices,
    PriceInterval,
    checked_intervals,
    checked_price,
    missing_words,
    within,
)

BASE_URL = "https://web-api.tp.entsoe.eu"

DOMAINS = {"AT": "10YAT-APG------L", "DE": "10Y1001A1001A82H"}

TOKEN_ENV = "EMS_ENTSOE_TOKEN"

_SEQUENCE = "classificationSequence_AttributeInstanceComponent.position"
_SDAC = "1"
_MINUTES = {"PT15M": 15, "PT60M": 60, "PT1H": 60}
_NO_DATA_CODE = "999"


def parse_entsoe(body: bytes, secrets: Iterable[str] = ()) -> ParsedPrices:
    """Return the SDAC prices of a reply.

    Where hourly and quarter-hour series cover the same time the quarter-hours are taken.

    Args:
        body: The XML.
        secrets: What must not be repeated when the reply gives a reason for a refusal.

    Raises:
        FetchError: When any part of it is not as documented; nothing is taken from it then.
    """
    root = parse_xml(body)
    kind = local_name(root)
    if kind == "Acknowledgement_MarketDocument":
        return _nothing(root, secrets)
    if kind != "Publication_MarketDocument":
        raise invalid(f"The ENTSO-E reply is a {kind!r}, not a price document.")
    fine: list[PriceInterval] = []
    hourly: list[PriceInterval] = []
    left_out = 0
    for series in children(root, "TimeSeries"):
        if text_at(series, _SEQUENCE) not in (None, _SDAC):
            left_out += 1
            continue
        _require_unit(series)
        for period in children(series, "Period"):
            for item in _points(period, text_at(series, "curveType")):
                (fine if item.minutes == QUARTER_MINUTES else hourly).append(item)
    quarters = {i.start for i in fine}
    whole = [
        h
        for h in hourly
        if not any(h.start + timedelta(minutes=15 * k) in quarters for k in range(4))
    ]
    intervals = checked_intervals(sorted([*fine, *whole], key=lambda i: i.start))
    problems: tuple[str, ...] = ()
    if not intervals and left_out:
        problems = ("only prices of another auction than SDAC are given",)
    return ParsedPrices(intervals, problems)


def _nothing(root: Element, secrets: Iterable[str]) -> ParsedPrices:
    for reason in children(root, "Reason"):
        code, text = text_at(reason, "code"), text_at(reason, "text") or "no reason given"
        if code != _NO_DATA_CODE or "no matching data" not in text.lower():
            raise invalid(f"ENTSO-E refuses the request ({code}): {redact(text, secrets)[:200]}")
    return ParsedPrices((), ("nothing is published for this period",))


def _require_unit(series: Element) -> None:
    currency = text_at(series, "currency_Unit.name")
    unit = text_at(series, "price_Measure_Unit.name")
    if currency != "EUR" or unit != "MWH":
        raise invalid(f"The ENTSO-E prices are in {currency} per {unit}, not EUR per MWH.")


def _points(period: Element, curve: str | None) -> list[PriceInterval]:
    resolution = text_at(period, "resolution")
    if resolution not in _MINUTES:
        raise invalid(f"The ENTSO-E resolution {resolution!r} is neither 15 nor 60 minutes.")
    minutes = _MINUTES[resolution]
    start = _instant(text_at(period, "timeInterval", "start"))
    end = _instant(text_at(period, "timeInterval", "end"))
    n = (end - start) // timedelta(minutes=minutes)
    if not 0 < n <= 100 * 366:
        raise invalid(f"An ENTSO-E period from {start} to {end} cannot be.")
    values: dict[int, float] = {}
    for point in children(period, "Point"):
        position = _position(text_at(point, "position"), n)
        if position in values:
            raise invalid(f"ENTSO-E gives position {position} twice.")
        values[position] = _price(text_at(point, "price.amount"), position)
    out, last = [], None
    for position in range(1, n + 1):
        if position in values:
            last = values[position]
        elif curve != "A03":
            last = None
        if last is not None:
            at = start + timedelta(minutes=minutes * (position - 1))
            out.append(PriceInterval(at, minutes, last / 1000.0))
    return out


def _instant(text: str | None) -> datetime:
    try:
        at = datetime.fromisoformat(text or "")
    except ValueError as error:
        raise invalid(f"The ENTSO-E time {text!r} cannot be read.") from error
    if at.tzinfo is None or at.minute % QUARTER_MINUTES or at.second:
        raise invalid(f"The ENTSO-E time {text!r} is not a full quarter-hour with offset.")
    return at.astimezone(UTC)


def _position(text: str | None, n: int) -> int:
    if text is None or not text.isdecimal() or not 1 <= int(text) <= n:
        raise invalid(f"The ENTSO-E position {text!r} is not in 1..{n}.")
    return int(text)


def _price(text: str | None, position: int) -> float:
    where = f"ENTSO-E position {position}"
    try:
        return checked_price(float(text or ""), where)
    except ValueError as error:
        raise invalid(f"{where}: {text!r} is not a number.") from error


class Entsoe:
    """`PriceProvider` for ENTSO-E.

    Args:
        region: ``"AT"`` or ``"DE"`` (the zone DE-LU).
        http: Gets addresses.
        clock: Time of fetching.
        zone: Local time of the bidding zone.
        base_url: Where to ask.
        token_env: Environment variable that holds the token.
        environ: The environment.
    """

    minutes = QUARTER_MINUTES
    attribution = "ENTSO-E Transparency Platform"

    def __init__(
        self,
        region: Literal["AT", "DE"],
        http: HttpGetter,
        clock: Clock,
        *,
        zone: ZoneInfo,
        base_url: str = BASE_URL,
        token_env: str = TOKEN_ENV,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.name = f"entsoe_{region.lower()}"
        self._domain = DOMAINS[region]
        self._http = http
        self._clock = clock
        self._zone = zone
        self._url = f"{base_url.rstrip('/')}/api"
        self._token_env = token_env
        self._environ = environ

    def fetch(self, start: datetime, end: datetime) -> FetchedPrices:
        """Return the prices of ``[start, end)``; see `PriceProvider`."""
        token = self._environ.get(self._token_env, "").strip()
        if not token:
            raise FetchError(
                f"ENTSO-E needs a token, and the environment variable {self._token_env} is empty.",
                kind="not_configured",
                retryable=False,
                field=self._token_env,
                hint="Ask for a free token on transparency.entsoe.eu and set the variable.",
            )
        reply = self._http.get(
            self._url,
            {
                "documentType": "A44",
                "in_Domain": self._domain,
                "out_Domain": self._domain,
                "periodStart": f"{start.astimezone(UTC):%Y%m%d%H%M}",
                "periodEnd": f"{end.astimezone(UTC):%Y%m%d%H%M}",
                "securityToken": token,
            },
        )
        parsed = parse_entsoe(reply.body, reply.secrets)
        intervals = within(parsed.intervals, start, end)
        return FetchedPrices(
            intervals=intervals,
            source=self.name,
            fetched_at=self._clock.now(),
            request=reply.request,
            problems=(*parsed.problems, *missing_words(intervals, start, end, self._zone)),
        )
