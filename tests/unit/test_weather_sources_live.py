"""Weather forecasts land on the right 15 minutes, in the right unit, or are refused."""

from __future__ import annotations

import copy
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from engine.domain.clock import ManualClock
from engine.domain.errors import FetchError
from engine.fetching.cache import DiskCache
from engine.weather.open_meteo import parse_open_meteo
from engine.weather.openweathermap import parse_openweathermap
from engine.weather.sources_live import LiveWeather, with_past
from engine.weather.weather import WeatherForecast
from tests.support.api_replies import open_meteo, openweathermap, recorded

MIDNIGHT = datetime(2026, 6, 10, tzinfo=UTC)
NOW = MIDNIGHT + timedelta(hours=9, minutes=7)


# -- Open-Meteo ----------------------------------------------------------------------------


def test_means_of_the_preceding_quarter_hour_move_to_its_start() -> None:
    forecast = parse_open_meteo(open_meteo(MIDNIGHT), NOW)
    # Value i of the reply is stamped MIDNIGHT + i quarters and covers the quarter before.
    assert forecast.start == MIDNIGHT
    assert forecast.n_steps == 191
    assert forecast.ghi_w_m2[:3].tolist() == [1.0, 2.0, 3.0]
    assert forecast.dni_w_m2[:3].tolist() == [2.0, 4.0, 6.0]
    assert forecast.dhi_w_m2[:3].tolist() == [0.5, 1.0, 1.5]
    # Instants become the mean of both ends of the step.
    assert forecast.temp_air_c[:3] == pytest.approx([0.05, 0.15, 0.25])
    assert forecast.cloud_cover_percent[:3] == pytest.approx([0.5, 1.5, 2.5])
    assert set(forecast.wind_speed_m_s) == {3.0}
    assert forecast.has_irradiance
    assert (forecast.source, forecast.fetched_at) == ("open_meteo", NOW)


def test_a_recorded_reply_with_local_times_and_instants() -> None:
    reply = recorded("open_meteo_instant")
    forecast = parse_open_meteo(reply, NOW)
    # Local midnight in Paris in winter.
    assert forecast.start == datetime(2025, 2, 23, 23, tzinfo=UTC)
    assert forecast.n_steps == 287
    raw = reply["minutely_15"]["shortwave_radiation_instant"]
    noon = 4 * 12
    assert forecast.ghi_w_m2[noon] == pytest.approx((raw[noon] + raw[noon + 1]) / 2)
    assert forecast.ghi_w_m2.max() > 400
    # The reply gives km/h.
    assert forecast.wind_speed_m_s[0] == pytest.approx(13.0 / 3.6)
    assert forecast.temp_air_c[0] == pytest.approx(-15.35)


def test_what_the_source_leaves_open_stays_open() -> None:
    reply = open_meteo(MIDNIGHT)
    reply["minutely_15"]["shortwave_radiation"][5] = None
    reply["minutely_15"]["temperature_2m"][5] = None
    del reply["minutely_15"]["cloud_cover"]
    forecast = parse_open_meteo(reply, NOW)
    assert np.flatnonzero(np.isnan(forecast.ghi_w_m2)).tolist() == [4]
    assert np.flatnonzero(np.isnan(forecast.temp_air_c)).tolist() == [4, 5]
    assert np.isnan(forecast.cloud_cover_percent).all()


Block = dict[str, Any]


def edited(change: Callable[[Block, Block], Any]) -> Block:
    reply = open_meteo(MIDNIGHT)
    change(reply["minutely_15"], reply["minutely_15_units"])
    return reply


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (recorded("open_meteo_hourly"), "'minutely_15' of Open-Meteo is missing"),
        ([], "reply is missing or no object"),
        ({"error": True, "reason": "x"}, "'minutely_15'"),
        (edited(lambda b, u: b.pop("shortwave_radiation")), "no 'shortwave_radiation'"),
        (edited(lambda b, u: b["shortwave_radiation"].pop()), "for each of its 192 times"),
        (edited(lambda b, u: u.update(temperature_2m="°F")), "'temperature_2m' in '°F'"),
        (edited(lambda b, u: u.update(shortwave_radiation="MJ/m²")), "in 'MJ/m²', not in W/m²"),
        (edited(lambda b, u: b["temperature_2m"].__setitem__(3, 280.0)), "280 °C cannot be"),
        (edited(lambda b, u: b["cloud_cover"].__setitem__(3, 101)), "101 % cannot be"),
        (edited(lambda b, u: b["wind_speed_10m"].__setitem__(3, "3")), "value 4: '3' is not"),
        (edited(lambda b, u: b["direct_normal_irradiance"].__setitem__(0, -9)), "-9 W/m²"),
        (edited(lambda b, u: b["time"].__setitem__(3, b["time"][3] + 60)), "full quarter-hour"),
        (edited(lambda b, u: b["time"].__setitem__(3, b["time"][2])), "not in order"),
        (edited(lambda b, u: b["time"].__setitem__(3, "soon")), "'soon' is not Unix time"),
        (
            edited(lambda b, u: [v.pop(7) for v in b.values()]),
            "not 15 minutes apart",
        ),
        (edited(lambda b, u: b.update(time=[])), "0 times are no forecast"),
    ],
)
def test_wrong_open_meteo_replies_are_refused(reply: Any, words: str) -> None:
    with pytest.raises(FetchError, match=words) as caught:
        parse_open_meteo(reply, NOW)
    assert caught.value.kind == "invalid"


# -- OpenWeatherMap ------------------------------------------------------------------------


def test_three_hour_instants_are_interpolated_to_quarter_hours() -> None:
    forecast = parse_openweathermap(openweathermap(MIDNIGHT), NOW)
    assert forecast.start == MIDNIGHT
    assert forecast.end == MIDNIGHT + timedelta(hours=39 * 3)
    # From -5 to -2 degrees in twelve quarter-hours; the first is half a step in.
    assert forecast.temp_air_c[0] == pytest.approx(-5.0 + 3.0 / 24)
    assert forecast.temp_air_c[:12].mean() == pytest.approx(-3.5)
    assert forecast.cloud_cover_percent[11] == pytest.approx(10.0 * 23 / 24)
    assert not forecast.has_irradiance
    assert forecast.source == "openweathermap"


def test_nothing_is_interpolated_over_a_missing_entry() -> None:
    reply = openweathermap(MIDNIGHT, 6)
    del reply["list"][2]
    reply["list"][0].pop("wind")
    forecast = parse_openweathermap(reply, NOW)
    assert np.flatnonzero(np.isnan(forecast.temp_air_c)).tolist() == list(range(12, 36))
    assert np.flatnonzero(np.isnan(forecast.wind_speed_m_s)).tolist() == list(range(36))


def rows(change: Callable[[list[Any]], Any]) -> Block:
    reply = copy.deepcopy(openweathermap(MIDNIGHT))
    change(reply["list"])
    return reply


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        ({"cod": "404", "message": "city not found"}, "no 'list'"),
        (rows(lambda r: r.clear()), "0 times are no forecast"),
        (rows(lambda r: r[0]["main"].update(temp=281.0)), "281 °C cannot be"),
        (rows(lambda r: r[0].update(main=[1])), "where 'temp' should be"),
        (rows(lambda r: r[0].update(dt=None)), "None is not Unix time"),
        (rows(lambda r: r.reverse()), "not in order"),
        (rows(lambda r: r[2]["clouds"].update(all=True)), "True is not a number"),
        (rows(lambda r: r.__setitem__(1, 5)), "gives 5 where 'dt' should be"),
    ],
)
def test_wrong_openweathermap_replies_are_refused(reply: Any, words: str) -> None:
    with pytest.raises(FetchError, match=words):
        parse_openweathermap(reply, NOW)


# -- live ----------------------------------------------------------------------------------


class Sky:
    """A weather source that answers as told."""

    attribution = "nobody"

    def __init__(self, name: str, clock: ManualClock, *, irradiance: bool = True) -> None:
        self.name = name
        self.error: FetchError | None = None
        self.hours = 48
        self.asked = 0
        self._clock = clock
        self._irradiance = irradiance

    def fetch(self) -> WeatherForecast:
        self.asked += 1
        if self.error is not None:
            raise self.error
        now = self._clock.now()
        start = now.replace(minute=0, second=0, microsecond=0)
        n = self.hours * 4
        sun = np.full(n, 100.0 + self.asked) if self._irradiance else np.full(n, np.nan)
        full = np.full(n, float(self.asked))
        return WeatherForecast(start, sun, sun, sun, full, full, full, self.name, now)


DOWN = FetchError("the host is down.", kind="unreachable", retryable=True)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def sky(clock: ManualClock) -> Sky:
    return Sky("sky", clock)


def make(clock: ManualClock, *sources: Sky, **options: Any) -> LiveWeather:
    return LiveWeather(sources, clock, Random(1), place="48.21_16.38", **options)


def test_no_weather_is_said_and_nothing_made_up(clock: ManualClock, sky: Sky) -> None:
    live = make(clock, sky)
    assert live.forecast(NOW) is None
    assert (live.status().state, live.status().warn) == ("waiting", False)
    sky.error = DOWN
    with pytest.raises(FetchError, match="the host is down"):
        live.refresh()
    assert live.forecast(NOW) is None
    assert live.status().state == "none"
    assert live.status().warn
    assert "sky: the host is down." in live.status().message


def test_a_forecast_is_used_until_it_is_too_old_or_ends(clock: ManualClock, sky: Sky) -> None:
    live = make(clock, sky)
    live.refresh()
    assert live.status().state == "ok"
    assert live.forecast(NOW) is live.forecast(NOW + timedelta(hours=12))
    assert live.forecast(NOW + timedelta(hours=12, seconds=1)) is None
    sky.error = DOWN
    clock.advance(3600)
    with pytest.raises(FetchError):
        live.refresh()
    assert live.status().state == "cached"
    assert not live.status().warn
    clock.advance(12 * 3600)
    assert live.status().state == "outage"
    assert "13 hours old" in live.status().message

    sky.error, sky.hours = None, 2
    clock.advance(3600)
    live.refresh()
    assert live.forecast(clock.now()) is not None
    assert live.forecast(clock.now() + timedelta(hours=2)) is None


def test_the_next_source_steps_in_but_clouds_do_not_replace_fresh_irradiance(
    clock: ManualClock, sky: Sky
) -> None:
    clouds = Sky("clouds", clock, irradiance=False)
    live = make(clock, sky, clouds)
    live.refresh()
    assert clouds.asked == 0
    sky.error = DOWN
    clock.advance(3600)
    live.refresh()
    kept = live.forecast(clock.now())
    assert kept is not None
    assert kept.source == "sky"
    assert live.status().state == "cached"
    clock.advance(6 * 3600)
    live.refresh()
    assert live.status().source == "clouds"
    assert live.status().state == "ok"
    assert not live.status().has_irradiance
    sky.error = None
    clock.advance(2 * 3600)
    live.refresh()
    assert live.status().source == "sky"


def test_a_forecast_that_ends_in_the_past_is_no_forecast(clock: ManualClock, sky: Sky) -> None:
    sky.hours = 0
    live = make(clock, sky)
    with pytest.raises(FetchError, match="ends in the past"):
        live.refresh()


def test_the_present_keeps_what_was_forecast_for_it(clock: ManualClock, sky: Sky) -> None:
    first = sky.fetch()
    clock.advance(3 * 3600)
    second = sky.fetch()
    joined = with_past(second, first)
    assert joined.start == first.start
    assert joined.fetched_at == second.fetched_at
    assert joined.ghi_w_m2[:12].tolist() == [101.0] * 12
    assert joined.ghi_w_m2[12:].tolist() == [102.0] * 192
    clock.advance(100 * 3600)
    third = sky.fetch()
    assert with_past(third, second) is third, "a gap is not bridged"
    other = Sky("other", clock)
    assert with_past(other.fetch(), third).source == "other"


def test_weather_survives_a_restart_with_its_age(
    clock: ManualClock, sky: Sky, tmp_path: Path
) -> None:
    live = make(clock, sky, cache=DiskCache(tmp_path))
    live.refresh()
    before = live.forecast(NOW)
    clock.advance(3600)
    again = make(clock, sky, cache=DiskCache(tmp_path)).forecast(clock.now())
    assert before is not None
    assert again is not None
    assert (again.source, again.fetched_at, again.start) == ("sky", NOW, before.start)
    assert again.ghi_w_m2 == pytest.approx(before.ghi_w_m2)
    clock.advance(12 * 3600)
    late = make(clock, sky, cache=DiskCache(tmp_path))
    assert late.forecast(clock.now()) is None
    assert late.status().state == "outage"


@pytest.mark.parametrize(
    "payload",
    [
        "1",
        "{}",
        '{"start": "2026-06-10T09:00:00", "ghi_w_m2": []}',
        '{"start": "2026-06-10T09:00:00+00:00", "ghi_w_m2": [1], "dni_w_m2": [1, 2],'
        ' "dhi_w_m2": [1], "cloud_cover_percent": [1], "temp_air_c": [1], "wind_speed_m_s": [1]}',
        '{"start": "2026-06-10T09:00:00+00:00", "ghi_w_m2": ["x"], "dni_w_m2": [1],'
        ' "dhi_w_m2": [1], "cloud_cover_percent": [1], "temp_air_c": [1], "wind_speed_m_s": [1]}',
    ],
)
def test_a_damaged_cache_is_reported_and_replaced(
    clock: ManualClock, sky: Sky, tmp_path: Path, payload: str
) -> None:
    (tmp_path / "weather_48.21_16.38.json").write_text(
        '{"format": "ems-dash-cache", "version": 1, "fetched_at": "2026-06-10T09:00:00+00:00",'
        f' "source": "sky", "request": "", "payload": {payload}}}'
    )
    live = make(clock, sky, cache=DiskCache(tmp_path))
    assert live.forecast(NOW) is None
    assert "cached weather is ignored" in live.status().cache_problems[0]
    live.refresh()
    assert make(clock, sky, cache=DiskCache(tmp_path)).forecast(NOW) is not None


def test_requests_are_spread_between_thirty_and_sixty_minutes(clock: ManualClock, sky: Sky) -> None:
    live = make(clock, sky)
    waits = [live.next_refresh_s(NOW) for _ in range(50)]
    assert 1800 <= min(waits) < 2200
    assert 3000 < max(waits) <= 3600
