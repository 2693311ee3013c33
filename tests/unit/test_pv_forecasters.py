"""PV forecasts: own uncertainty, the last hour, and what is done without weather."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engine.domain.errors import ForecastError
from engine.domain.forecast import Forecast
from engine.domain.quarter_hour import STEP
from engine.forecasting.day_type import DayTypeMedian
from engine.forecasting.pv_auto import BestPv
from engine.forecasting.pv_clear_sky import ClearSkyPersistence
from engine.forecasting.pv_weather import WeatherPv
from engine.forecasting.running_step import blend_running_step, elapsed_share
from engine.weather.pv_model import clear_sky_of, pv_power_kw, sun_and_sky
from engine.weather.weather import WeatherForecast
from tests.unit.pv_builders import Series, Source, World, system, weather

VIENNA = ZoneInfo("Europe/Vienna")
START = datetime(2026, 2, 1, tzinfo=UTC)
NOW = datetime(2026, 6, 1, 9, 0, tzinfo=UTC)


@pytest.fixture(scope="module")
def world() -> World:
    return World(START, 150)


def weather_of(world: World, start: datetime, n: int, said: float = 1.0) -> WeatherForecast:
    """Return irradiance that leads exactly to the cloudless power times `said`."""
    sky = sun_and_sky(world.system, start, n)
    return weather(start, n, dni_w_m2=sky.dni_w_m2 * said, dhi_w_m2=sky.dhi_w_m2 * said)


def weather_pv(world: World, held: WeatherForecast | None, now: datetime, **more) -> WeatherPv:
    archive = more.pop("archive", world.archive())
    history = more.pop("history", world.history(now))
    return WeatherPv(world.system, Source(held), history, archive, VIENNA, **more)


def recent_days(history: Series) -> DayTypeMedian:
    return DayTypeMedian(
        history, "pv_kw", VIENNA, days=7, by_weekday=False, scaling=True, tau_hours=3.0
    )


def test_bands_hold_what_they_promise(world: World) -> None:
    """P10-P90 learnt on the first 110 days cover about 80 % of the days after."""
    inside = light = 0
    for day in range(110, 148, 2):
        now = START + timedelta(days=day, hours=8)
        first = (now - START) // STEP
        steps = slice(first, first + 96)
        forecaster = weather_pv(world, weather_of(world, now, 96), now)
        forecaster.fit(now)
        _, calibration, bands = forecaster._fitted
        clear = world.clear_kw[steps]
        base = calibration.apply(now, world.modelled_kw[steps], clear)
        lead = 0.25 * np.arange(0.5, 96)
        far = (lead > 6) & (clear > 2)
        p10, p50, p90 = bands.around(base, clear, lead)
        truth = world.measured_kw[steps]
        assert (p10 <= p50).all()
        assert (p50 <= p90).all()
        inside += int(((truth >= p10) & (truth <= p90))[far].sum())
        light += int(far.sum())
        assert bands.basis.startswith("own errors of")
    assert 0.72 < inside / light < 0.88


def test_clear_sky_persistence_covers_what_it_promises(world: World) -> None:
    inside = light = 0
    for day in range(100, 146, 3):
        now = START + timedelta(days=day)
        forecaster = ClearSkyPersistence(
            world.history(now), VIENNA, clear_sky=clear_sky_of(world.system), limit_kw=100.0
        )
        forecast = forecaster.predict(now, 96, now)
        first = (now - START) // STEP
        truth = world.measured_kw[first : first + 96]
        sun = world.clear_kw[first : first + 96] > 2
        inside += int(((truth >= forecast.p10) & (truth <= forecast.p90))[sun].sum())
        light += int(sun.sum())
    assert 0.72 < inside / light < 0.88


def test_weather_tells_a_dark_day_from_a_bright_one(world: World) -> None:
    tomorrow = datetime(2026, 6, 2, tzinfo=UTC)
    energy = {}
    for said in (0.2, 1.0):
        held = weather_of(world, NOW, 192, said)
        forecast = weather_pv(world, held, NOW).predict(tomorrow, 96, NOW)
        energy[said] = forecast.p50.sum()
    assert energy[0.2] < 0.3 * energy[1.0]


def test_an_uncalibrated_site_says_so(world: World) -> None:
    held = weather_of(world, NOW, 96)
    forecaster = weather_pv(world, held, NOW, archive=None, history=Series(START, np.zeros(0)))
    forecast = forecaster.predict(NOW, 96, NOW)
    assert "not calibrated, 0 days of pairs" in forecast.method
    assert "assumed widths" in forecast.method
    assert "irradiance of test, 0.0 h old" in forecast.method
    assert forecast.p50 == pytest.approx(pv_power_kw(world.system, held))
    assert (forecast.p90 > forecast.p10)[forecast.p50 > 1].all()


def test_the_last_hour_scales_the_next_ones(world: World) -> None:
    """Half of what was said was measured: the next hours are lower, tomorrow is not."""
    held = weather_of(world, NOW - timedelta(hours=2), 200)
    said = pv_power_kw(world.system, held)
    histories = [Series(held.start, share * said[:8]) for share in (1.0, 0.5)]
    as_said, halved = (
        weather_pv(world, held, NOW, archive=None, history=h).predict(NOW, 144, NOW)
        for h in histories
    )
    ratio = halved.p50[[0, 8, 24, 100]] / as_said.p50[[0, 8, 24, 100]]
    assert 0.5 < ratio[0] < 0.6
    assert ratio[0] < ratio[1] < ratio[2] < ratio[3]
    assert ratio[3] == pytest.approx(1.0, abs=0.01)


def test_weather_missing_stale_or_short_is_refused(world: World) -> None:
    with pytest.raises(ForecastError, match="no weather forecast"):
        weather_pv(world, None, NOW).predict(NOW, 8, NOW)
    old = weather_of(world, NOW - timedelta(hours=30), 400)
    with pytest.raises(ForecastError, match="30 h old"):
        weather_pv(world, old, NOW).predict(NOW, 8, NOW)
    short = weather_of(world, NOW, 8)
    forecaster = weather_pv(world, short, NOW)
    with pytest.raises(ForecastError, match="says nothing for 2026-06-01 11:00"):
        forecaster.predict(NOW, 16, NOW)
    assert forecaster.covered_steps(NOW, 16, NOW) == 8


def test_what_is_archived_is_uncalibrated(world: World) -> None:
    held = weather_of(world, NOW, 96)
    run = weather_pv(world, held, NOW).modelled_run(NOW)
    assert run.issued_at == held.fetched_at
    assert run.power_kw == pytest.approx(pv_power_kw(world.system, held))


@pytest.mark.parametrize("with_location", [True, False])
def test_without_weather_a_bright_fortnight_promises_more(with_location: bool) -> None:
    world = World(START, 60, error=0.0)
    now = START + timedelta(days=59)
    clear_sky = clear_sky_of(world.system) if with_location else None

    def tomorrow(recent: float) -> float:
        measured = world.clear_kw.copy() * 0.9
        measured[45 * 96 : 59 * 96] *= recent
        forecast = ClearSkyPersistence(
            Series(START, measured[: 59 * 96]), VIENNA, clear_sky=clear_sky, limit_kw=100.0
        ).predict(now, 96, now)
        assert "no weather" in forecast.method
        assert (forecast.p50[:12] == 0.0).all()
        return float(forecast.p50.sum() / (0.9 * world.clear_kw[59 * 96 :]).sum())

    assert tomorrow(1.0) == pytest.approx(1.0, abs=0.12)
    assert tomorrow(0.5) == pytest.approx(0.5, abs=0.06)


def test_yesterday_counts_four_tenths() -> None:
    world = World(START, 60, error=0.0)
    measured = 0.9 * world.clear_kw
    measured[58 * 96 : 59 * 96] *= 0.25
    now = START + timedelta(days=59)
    forecast = ClearSkyPersistence(
        Series(START, measured[: 59 * 96]), VIENNA, clear_sky=clear_sky_of(world.system)
    ).predict(now, 192, now)
    clear = 0.9 * world.clear_kw[59 * 96 : 60 * 96]
    mean_14 = (13 + 0.25) / 14
    share = forecast.p50[:96].sum() / clear.sum()
    assert share == pytest.approx(0.4 * 0.25 + 0.6 * mean_14, abs=0.03)
    # The day after is further from yesterday and nearer to the mean.
    assert forecast.p50[96:].sum() / clear.sum() == pytest.approx(0.84, abs=0.03)


def test_no_past_no_envelope() -> None:
    empty = ClearSkyPersistence(Series(START, np.zeros(0)), VIENNA)
    with pytest.raises(ForecastError, match="0 known days"):
        empty.predict(NOW, 8, NOW)


@pytest.mark.parametrize(("month", "day"), [(3, 29), (10, 25)])
def test_days_of_clock_change_are_like_their_neighbours(month: int, day: int) -> None:
    now = datetime(2026, month, day, tzinfo=UTC) - timedelta(hours=12)
    start = now - timedelta(days=50)
    clear = clear_sky_of(system())
    history = Series(start, 0.8 * clear(start, (now - start) // STEP))
    forecast = ClearSkyPersistence(history, VIENNA, clear_sky=clear).predict(now, 144, now)
    truth = 0.8 * clear(now, 144)
    assert forecast.n_steps == 144
    assert forecast.p50 == pytest.approx(truth, abs=2.5)


def best(world: World, held: WeatherForecast | None, history: Series, **more) -> BestPv:
    return BestPv(
        WeatherPv(world.system, Source(held), history, world.archive(), VIENNA),
        ClearSkyPersistence(history, VIENNA, clear_sky=clear_sky_of(world.system), limit_kw=100.0),
        recent_days(history),
        limit_kw=100.0,
        **more,
    )


def test_the_best_method_at_hand_is_used_and_named(world: World) -> None:
    history = world.history(NOW)
    by_weather = best(world, weather_of(world, NOW, 96), history).predict(NOW, 96, NOW)
    assert by_weather.method.startswith("irradiance of test")
    assert "because" not in by_weather.method
    without = best(world, None, history).predict(NOW, 96, NOW)
    assert without.method.startswith("clear-sky envelope (location)")
    assert "(because: There is no weather forecast.)" in without.method
    old = weather_of(world, NOW - timedelta(hours=30), 400)
    assert "30 h old" in best(world, old, history).predict(NOW, 96, NOW).method
    two_days = Series(NOW - timedelta(days=2), world.history(NOW).pv_kw[-192:])
    poor = best(world, None, two_days).predict(NOW, 96, NOW)
    assert poor.method.startswith("mean of recent days")
    assert "no weather forecast" in poor.method
    assert "known days of PV power are too few" in poor.method
    assert (poor.p90 > poor.p10)[poor.p50 > 1].all()
    assert {f.model for f in (by_weather, without, poor)} == {"pv_auto"}
    blind = best(world, None, Series(NOW, np.zeros(0)))
    with pytest.raises(ForecastError, match=r"weather.*known days.*not enough history"):
        blind.predict(NOW, 96, NOW)


def test_a_last_resort_without_uncertainty_gets_a_stated_one() -> None:
    class Flat:
        key, signal = "flat", "pv_kw"

        def fit(self, now: datetime) -> None:
            """Nothing to learn."""

        def predict(self, start: datetime, n: int, now: datetime) -> Forecast:
            values = np.full(n, 80.0)
            return Forecast("pv_kw", start, values, values, values, now, "flat", "flat")

    nothing = ClearSkyPersistence(Series(NOW, np.zeros(0)), VIENNA)
    forecast = BestPv(None, nothing, Flat(), limit_kw=100.0).predict(NOW, 2, NOW)
    assert forecast.p10 == pytest.approx([24.0, 24.0])
    assert forecast.p90 == pytest.approx([100.0, 100.0])
    assert "P10-P90: assumed widths" in forecast.method


def test_no_weather_source_is_a_reason_too(world: World) -> None:
    history = world.history(NOW)
    forecaster = BestPv(None, ClearSkyPersistence(history, VIENNA), recent_days(history))
    forecaster.fit(NOW)
    method = forecaster.predict(NOW, 8, NOW).method
    assert "no location: from measurements" in method
    assert "no weather source or location is set" in method


def test_where_the_weather_ends_persistence_goes_on(world: World) -> None:
    history = world.history(NOW)
    near = best(world, weather_of(world, NOW, 40), history).predict(NOW, 40, NOW)
    far = best(world, None, history).predict(NOW, 144, NOW)
    both = best(world, weather_of(world, NOW, 40), history).predict(NOW, 144, NOW)
    # Night follows the end of the weather, and nothing needs to be known about the night.
    joined = 40 + int(np.flatnonzero(world.clear_kw[(NOW - START) // STEP + 40 :][:104] > 0)[0])
    assert both.p50[:40] == pytest.approx(near.p50)
    assert both.p50[joined:] == pytest.approx(far.p50[joined:])
    assert "where the weather forecast ends" in both.method


def test_the_running_quarter_hour_is_partly_known(world: World) -> None:
    now = NOW + timedelta(minutes=10)
    asked = []

    def running(signal: str, start: datetime, until: datetime) -> float | None:
        asked.append((signal, start, until))
        return 3.0

    plain = best(world, None, world.history(NOW)).predict(NOW, 8, now)
    history = world.history(NOW)
    seen = ClearSkyPersistence(
        history,
        VIENNA,
        clear_sky=clear_sky_of(world.system),
        limit_kw=100.0,
        running_mean=running,
    ).predict(NOW, 8, now)
    assert asked == [("pv_kw", NOW, now)]
    assert seen.p50[0] == pytest.approx(2 / 3 * 3.0 + 1 / 3 * plain.p50[0])
    assert seen.p50[1:] == pytest.approx(plain.p50[1:])
    assert seen.p90[0] - seen.p10[0] == pytest.approx((plain.p90[0] - plain.p10[0]) / 3)


@pytest.mark.parametrize("unknown", [None, float("nan")])
def test_an_unknown_running_mean_changes_nothing(world: World, unknown: float | None) -> None:
    now = NOW + timedelta(minutes=10)
    history = world.history(NOW)
    plain = ClearSkyPersistence(history, VIENNA).predict(NOW, 4, now)
    seen = ClearSkyPersistence(history, VIENNA, running_mean=lambda *_: unknown)
    assert seen.predict(NOW, 4, now).p50 == pytest.approx(plain.p50)


def test_blending_one_step() -> None:
    p50, p10, p90 = np.array([10.0, 20.0]), np.array([8.0, 15.0]), np.array([14.0, 25.0])
    mixed = blend_running_step(p50, p10, p90, 6.0, 0.5)
    assert [values.tolist() for values in mixed] == [[8, 20], [7, 15], [10, 25]]
    assert p50[0] == 10.0
    assert blend_running_step(p50, p10, p90, None, 0.5)[0].tolist() == [10, 20]
    with pytest.raises(ForecastError, match="share"):
        blend_running_step(p50, p10, p90, 6.0, 1.5)
    with pytest.raises(ForecastError, match="not a number"):
        blend_running_step(p50, p10, p90, float("nan"), 0.5)
    assert elapsed_share(NOW, NOW + timedelta(minutes=5)) == pytest.approx(1 / 3)
    assert elapsed_share(NOW + STEP, NOW) == elapsed_share(NOW - STEP, NOW) == 0.0
