"""Open-Meteo: 15-min irradiance, temperature, clouds and wind; no key for non-commercial use.

Irradiance under its plain name is the mean of the 15 minutes that END at the stamp (their
documentation: "preceding 15 minutes mean"); ``_instant`` and everything else is the value AT the
stamp. A forecast step is named by its start, so means move one step back and instants become the
mean of both ends. Data: CC BY 4.0, open-meteo.com.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import numpy as np

from engine.domain.clock import Clock
from engine.domain.quarter_hour import STEP_S
from engine.fetching.http import HttpGetter, invalid
from engine.weather.sources import checked_stamps, checked_values, step_means
from engine.weather.weather import FloatArray, WeatherForecast

BASE_URL = "https://api.open-meteo.com"

NAME = "open_meteo"

_BLOCK = "minutely_15"
_IRRADIANCE = ("shortwave_radiation", "direct_normal_irradiance", "diffuse_radiation")
_INSTANTS = ("cloud_cover", "temperature_2m", "wind_speed_10m")
_QUANTITY = {
    "cloud_cover": "cloud_cover",
    "temperature_2m": "temperature",
    "wind_speed_10m": "wind_speed",
}
_UNITS = {
    "irradiance": {"W/m²": 1.0},
    "cloud_cover": {"%": 1.0},
    "temperature": {"°C": 1.0},
    "wind_speed": {"m/s": 1.0, "km/h": 1.0 / 3.6},
}


def parse_open_meteo(reply: Any, fetched_at: datetime) -> WeatherForecast:
    """Return the forecast in a decoded reply with a ``minutely_15`` block.

    Times may be Unix seconds or local ISO times with the reply's ``utc_offset_seconds``.

    Raises:
        FetchError: When any part of it is not as documented.
    """
    body = _object(reply, "The Open-Meteo reply")
    block = _object(body.get(_BLOCK), f"'{_BLOCK}' of Open-Meteo")
    units = _object(body.get(f"{_BLOCK}_units"), f"'{_BLOCK}_units' of Open-Meteo")
    stamps = checked_stamps(_times(block, units, body), "Open-Meteo")
    if any(b - a != int(STEP_S) for a, b in pairwise(stamps)):
        raise invalid("The Open-Meteo times are not 15 minutes apart.")
    ghi, dni, dhi = (_irradiance(block, units, name, stamps) for name in _IRRADIANCE)
    clouds, temp, wind = (_instant(block, units, name, stamps) for name in _INSTANTS)
    return WeatherForecast(
        start=datetime.fromtimestamp(stamps[0], UTC),
        ghi_w_m2=ghi,
        dni_w_m2=dni,
        dhi_w_m2=dhi,
        cloud_cover_percent=clouds,
        temp_air_c=temp,
        wind_speed_m_s=wind,
        source=NAME,
        fetched_at=fetched_at,
    )


def _object(value: Any, what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise invalid(f"{what} is missing or no object.")
    return value


def _times(block: Mapping[str, Any], units: Mapping[str, Any], body: Mapping[str, Any]) -> Any:
    times = block.get("time")
    if not isinstance(times, list):
        raise invalid("Open-Meteo gives no list of times.")
    if units.get("time") != "iso8601":
        return times
    offset = body.get("utc_offset_seconds")
    if isinstance(offset, bool) or not isinstance(offset, int):
        raise invalid("Open-Meteo gives local times without an offset.")
    out = []
    for i, text in enumerate(times):
        try:
            local = datetime.fromisoformat(text).replace(tzinfo=UTC)
        except (TypeError, ValueError) as error:
            raise invalid(f"Open-Meteo, time {i + 1}: {text!r} cannot be read.") from error
        out.append(int((local - timedelta(seconds=offset)).timestamp()))
    return out


def _column(
    block: Mapping[str, Any],
    units: Mapping[str, Any],
    name: str,
    quantity: str,
    stamps: list[int],
) -> FloatArray:
    values = block.get(name)
    if not isinstance(values, list) or len(values) != len(stamps):
        raise invalid(f"Open-Meteo gives no '{name}' for each of its {len(stamps)} times.")
    factor = _UNITS[quantity].get(units.get(name, ""))
    if factor is None:
        expected = " or ".join(_UNITS[quantity])
        raise invalid(f"Open-Meteo gives '{name}' in {units.get(name)!r}, not in {expected}.")
    return checked_values(values, quantity, f"Open-Meteo '{name}'") * factor


def _irradiance(
    block: Mapping[str, Any], units: Mapping[str, Any], name: str, stamps: list[int]
) -> FloatArray:
    if name in block:
        return _column(block, units, name, "irradiance", stamps)[1:]
    instant = f"{name}_instant"
    if instant not in block:
        raise invalid(f"Open-Meteo gives no '{name}'.")
    return step_means(stamps, _column(block, units, instant, "irradiance", stamps), STEP_S)[1]


def _instant(
    block: Mapping[str, Any], units: Mapping[str, Any], name: str, stamps: list[int]
) -> FloatArray:
    if name not in block:
        return np.full(len(stamps) - 1, np.nan)
    return step_means(stamps, _column(block, units, name, _QUANTITY[name], stamps), STEP_S)[1]


class OpenMeteo:
    """`WeatherProvider` for Open-Meteo.

    Args:
        latitude: Degrees north.
        longitude: Degrees east.
        http: Gets addresses.
        clock: Time of fetching.
        forecast_days: Days from today (UTC), 1..16; the rest of yesterday is asked for as well.
        base_url: Where to ask; a site of one's own or the paid host for commercial use.
        api_key: Key of the paid host.
    """

    attribution = "Weather data by Open-Meteo.com (CC BY 4.0)"

    def __init__(
        self,
        latitude: float,
        longitude: float,
        http: HttpGetter,
        clock: Clock,
        *,
        forecast_days: int = 3,
        base_url: str = BASE_URL,
        api_key: str | None = None,
    ) -> None:
        self.name = NAME
        self._http = http
        self._clock = clock
        self._url = f"{base_url.rstrip('/')}/v1/forecast"
        self._params = {
            "latitude": f"{latitude:.4f}",
            "longitude": f"{longitude:.4f}",
            _BLOCK: ",".join((*_IRRADIANCE, *_INSTANTS)),
            "past_days": "1",
            "forecast_days": str(forecast_days),
            "wind_speed_unit": "ms",
            "timezone": "GMT",
            "timeformat": "unixtime",
        }
        if api_key:
            self._params["apikey"] = api_key

    def fetch(self) -> WeatherForecast:
        """Return the newest forecast; see `WeatherProvider`."""
        reply = self._http.get(self._url, self._params)
        return parse_open_meteo(reply.json(), self._clock.now())
