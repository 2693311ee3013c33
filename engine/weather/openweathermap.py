"""OpenWeatherMap 2.5: clouds, temperature and wind every 3 hours for 5 days; needs a key.

``GET /data/2.5/forecast?lat&lon&appid&units=metric``. ``dt`` is an instant; values between are
interpolated linearly. There is no irradiance in it: PV power from clouds alone is no better than
yesterday's (notes/forecasting 5.1), so this is the second choice.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import numpy as np

from engine.domain.clock import Clock
from engine.domain.errors import FetchError
from engine.fetching.http import HttpGetter, invalid
from engine.weather.sources import checked_stamps, checked_values, step_means
from engine.weather.weather import FloatArray, WeatherForecast

BASE_URL = "https://api.openweathermap.org"

KEY_ENV = "EMS_OPENWEATHERMAP_KEY"

NAME = "openweathermap"

_STEP_S = 3 * 3600.0


def parse_openweathermap(reply: Any, fetched_at: datetime) -> WeatherForecast:
    """Return the forecast in a decoded reply, on the 15-min grid from its first to last instant.

    Raises:
        FetchError: When any part of it is not as documented.
    """
    if not isinstance(reply, dict) or not isinstance(reply.get("list"), list):
        raise invalid("The OpenWeatherMap reply has no 'list'.")
    rows = reply["list"]
    stamps = checked_stamps([_at(r, "dt") for r in rows], "OpenWeatherMap")

    def means(quantity: str, *path: str) -> FloatArray:
        where = f"OpenWeatherMap '{'.'.join(path)}'"
        values = checked_values([_at(r, *path) for r in rows], quantity, where)
        return step_means(stamps, values, _STEP_S)[1]

    clouds = means("cloud_cover", "clouds", "all")
    start, temp = step_means(
        stamps,
        checked_values(
            [_at(r, "main", "temp") for r in rows], "temperature", "OpenWeatherMap 'main.temp'"
        ),
        _STEP_S,
    )
    nothing = np.full(clouds.size, np.nan)
    return WeatherForecast(
        start=start,
        ghi_w_m2=nothing,
        dni_w_m2=nothing,
        dhi_w_m2=nothing,
        cloud_cover_percent=clouds,
        temp_air_c=temp,
        wind_speed_m_s=means("wind_speed", "wind", "speed"),
        source=NAME,
        fetched_at=fetched_at,
    )


def _at(row: Any, *path: str) -> Any:
    """Return what lies at `path`, or None where it is left out."""
    for name in path:
        if row is None:
            return None
        if not isinstance(row, dict):
            raise invalid(f"OpenWeatherMap gives {row!r} where '{name}' should be.")
        row = row.get(name)
    return row


class OpenWeatherMap:
    """`WeatherProvider` for OpenWeatherMap 2.5.

    Args:
        latitude: Degrees north.
        longitude: Degrees east.
        http: Gets addresses.
        clock: Time of fetching.
        base_url: Where to ask.
        key_env: Environment variable that holds the key.
        environ: The environment.
    """

    attribution = "Weather data provided by OpenWeather (openweathermap.org)"

    def __init__(
        self,
        latitude: float,
        longitude: float,
        http: HttpGetter,
        clock: Clock,
        *,
        base_url: str = BASE_URL,
        key_env: str = KEY_ENV,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self.name = NAME
        self._http = http
        self._clock = clock
        self._url = f"{base_url.rstrip('/')}/data/2.5/forecast"
        self._place = {"lat": f"{latitude:.4f}", "lon": f"{longitude:.4f}"}
        self._key_env = key_env
        self._environ = environ

    def fetch(self) -> WeatherForecast:
        """Return the newest forecast; see `WeatherProvider`."""
        key = self._environ.get(self._key_env, "").strip()
        if not key:
            raise FetchError(
                f"OpenWeatherMap needs a key, and the environment variable {self._key_env} "
                "is empty.",
                kind="not_configured",
                retryable=False,
                field=self._key_env,
                hint="Get a key on openweathermap.org and set the variable.",
            )
        reply = self._http.get(self._url, {**self._place, "units": "metric", "appid": key})
        return parse_openweathermap(reply.json(), self._clock.now())
