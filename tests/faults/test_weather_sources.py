"""Weather sources against a real web server, well and badly behaved."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import numpy as np
import pytest

from engine.domain.clock import ManualClock
from engine.domain.errors import FetchError
from engine.fetching.cache import DiskCache
from engine.fetching.http import HttpLimits, RequestsGetter
from engine.fetching.refresher import BackgroundRefresher
from engine.weather.open_meteo import OpenMeteo
from engine.weather.openweathermap import OpenWeatherMap
from engine.weather.sources_live import LiveWeather
from tests.support.api_replies import open_meteo, openweathermap
from tests.support.http_server import Answer, WebServer, as_json

NOW = datetime(2026, 6, 10, 9, 7, tzinfo=UTC)
MIDNIGHT = datetime(2026, 6, 9, tzinfo=UTC)
KEY = "S3cr3t-k3y"


@pytest.fixture
def server() -> Iterator[WebServer]:
    with WebServer() as running:
        yield running


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def http(clock: ManualClock) -> RequestsGetter:
    return RequestsGetter(clock, HttpLimits(connect_s=2.0, read_s=0.3, total_s=0.8))


@pytest.fixture
def meteo(server: WebServer, http: RequestsGetter, clock: ManualClock) -> OpenMeteo:
    return OpenMeteo(48.2082, 16.3738, http, clock, base_url=server.url)


@pytest.fixture
def owm(server: WebServer, http: RequestsGetter, clock: ManualClock) -> OpenWeatherMap:
    environ = {"EMS_OPENWEATHERMAP_KEY": KEY}
    return OpenWeatherMap(48.2082, 16.3738, http, clock, base_url=server.url, environ=environ)


def test_open_meteo_is_asked_for_universal_time_and_si_units(
    server: WebServer, meteo: OpenMeteo
) -> None:
    server.answers["/v1/forecast"] = as_json(open_meteo(MIDNIGHT, 4 * 96))
    forecast = meteo.fetch()
    path, query = server.requests[0]
    assert path == "/v1/forecast"
    assert query["latitude"] == "48.2082"
    assert query["timezone"] == "GMT"
    assert query["timeformat"] == "unixtime"
    assert query["wind_speed_unit"] == "ms"
    assert "direct_normal_irradiance" in query["minutely_15"]
    assert "_instant" not in query["minutely_15"]
    assert forecast.fetched_at == NOW
    assert forecast.end == MIDNIGHT + timedelta(days=4) - timedelta(minutes=15)


def test_openweathermap_sends_its_key_and_nobody_sees_it(
    server: WebServer, owm: OpenWeatherMap, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    server.answers["/data/2.5/forecast"] = as_json(openweathermap(MIDNIGHT))
    assert not owm.fetch().has_irradiance
    assert server.requests[0][1] == {
        "lat": "48.2082",
        "lon": "16.3738",
        "units": "metric",
        "appid": KEY,
    }
    server.answers["/data/2.5/forecast"] = as_json({"message": f"Invalid API key {KEY}"}, 401)
    with pytest.raises(FetchError, match="Invalid API key") as caught:
        owm.fetch()
    assert caught.value.kind == "status"
    assert not caught.value.retryable
    assert KEY not in f"{caught.value} {caplog.text}"


def test_a_missing_key_names_the_variable(
    server: WebServer, http: RequestsGetter, clock: ManualClock
) -> None:
    owm = OpenWeatherMap(48.2, 16.4, http, clock, base_url=server.url, environ={})
    with pytest.raises(FetchError, match="EMS_OPENWEATHERMAP_KEY") as caught:
        owm.fetch()
    assert caught.value.kind == "not_configured"
    assert server.requests == []


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(b'{"minutely_15": {'), "invalid"),
        (Answer(b"<html>busy</html>"), "invalid"),
        (Answer(b""), "invalid"),
        (as_json({"error": True, "reason": "Latitude must be in range"}, 400), "status"),
        (as_json({"reason": "Minutely API request limit exceeded"}, 429), "status"),
        (Answer(b"", 502), "status"),
        (Answer(silent=True), "timeout"),
        (Answer(b"{}", trickle_s=0.05), "timeout"),
        (Answer(drop=True), "unreachable"),
    ],
)
def test_the_second_source_answers_whatever_the_first_one_does(
    server: WebServer,
    meteo: OpenMeteo,
    owm: OpenWeatherMap,
    clock: ManualClock,
    answer: Answer,
    kind: str,
) -> None:
    server.answers["/v1/forecast"] = answer
    server.answers["/data/2.5/forecast"] = as_json(openweathermap(MIDNIGHT))
    with pytest.raises(FetchError) as caught:
        meteo.fetch()
    assert caught.value.kind == kind
    live = LiveWeather([meteo, owm], clock, Random(1), place="here")
    live.refresh()
    forecast = live.forecast(NOW)
    assert forecast is not None
    assert forecast.source == "openweathermap"
    first = live.status().sources[0]
    assert first.last_error
    assert first.failures == 1


def test_weather_in_the_background_with_an_outage_and_a_restart(
    server: WebServer, meteo: OpenMeteo, clock: ManualClock, tmp_path: Path
) -> None:
    server.answers["/v1/forecast"] = as_json(open_meteo(MIDNIGHT, 4 * 96))
    live = LiveWeather([meteo], clock, Random(1), place="here", cache=DiskCache(tmp_path))
    refresher = BackgroundRefresher(live.jobs(), clock, Random(1))
    clock.advance(refresher.run_due() + 1)
    server.answers.clear()
    clock.advance(refresher.run_due() + 1)
    assert refresher.health()[0].failures == 1
    assert live.status().state == "cached"

    again = LiveWeather([meteo], clock, Random(1), place="here", cache=DiskCache(tmp_path))
    forecast = again.forecast(clock.now())
    assert forecast is not None
    assert forecast.fetched_at == NOW
    assert np.isfinite(forecast.ghi_w_m2).all()
    server.answers["/v1/forecast"] = as_json(open_meteo(MIDNIGHT, 4 * 96))
    clock.advance(3600)
    again.refresh()
    assert again.status().state == "ok"
    assert again.status().fetched_at == clock.now()
