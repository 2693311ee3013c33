"""PV power follows the sun, the planes and the weather."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from engine.domain.errors import ConfigError, ForecastError
from engine.domain.quarter_hour import STEP
from engine.weather.pv_model import (
    PvPlane,
    PvSystem,
    clear_sky_kw,
    clear_sky_of,
    pv_power_kw,
    sun_and_sky,
    weather_steps,
)
from tests.unit.pv_builders import dwd_weeks, system, weather

JUNE = datetime(2026, 6, 21, tzinfo=UTC)


def middle_of_energy_h(power_kw: np.ndarray) -> float:
    """Return the hour (UTC) around which the day's energy lies."""
    return float((power_kw * (np.arange(96) + 0.5) * 0.25).sum() / power_kw.sum())


def test_a_south_plane_peaks_at_solar_noon() -> None:
    plant = system()
    power = clear_sky_kw(plant, JUNE, 96)
    # Solar noon at 16.4 E on 21 June: 12:00 - 16.4/15 h + 1.8 min = 10:56 UTC.
    assert (np.argmax(power) + 0.5) * 0.25 == pytest.approx(10.94, abs=0.3)
    assert middle_of_energy_h(power) == pytest.approx(10.94, abs=0.1)
    assert 70 < power.max() < 90


def test_east_and_west_planes_shift_the_day() -> None:
    def at(azimuth: float) -> float:
        return middle_of_energy_h(clear_sky_kw(system(PvPlane(100, 45, azimuth)), JUNE, 96))

    assert at(90) < at(180) - 1.5
    assert at(270) > at(180) + 1.5


def test_planes_add_up() -> None:
    east, west = PvPlane(40, 15, 90), PvPlane(60, 15, 270)
    both = clear_sky_kw(system(east, west), JUNE, 96)
    apart = clear_sky_kw(system(east), JUNE, 96) + clear_sky_kw(system(west), JUNE, 96)
    assert both == pytest.approx(apart)


def test_winter_sun_is_low_and_a_steep_plane_likes_it() -> None:
    december = datetime(2026, 12, 21, tzinfo=UTC)

    def day_kwh(tilt: float, day: datetime) -> float:
        return float(clear_sky_kw(system(PvPlane(100, tilt, 180)), day, 96).sum() / 4)

    assert day_kwh(60, december) > 1.7 * day_kwh(10, december)
    assert day_kwh(10, JUNE) > day_kwh(60, JUNE)


def test_the_sun_below_the_horizon_is_exactly_zero() -> None:
    plant = system()
    n = 96
    # Weather that claims light at night, as an interpolated forecast does at twilight.
    shining = weather(JUNE, n, ghi_w_m2=np.full(n, 100.0), dhi_w_m2=np.full(n, 50.0))
    power = pv_power_kw(plant, shining)
    night = ~sun_and_sky(plant, JUNE, n).is_day
    assert 25 < night.sum() < 40
    assert (power[night] == 0.0).all()
    assert (power[~night] > 0.0).any()
    nothing_known = pv_power_kw(plant, weather(JUNE, n))
    assert (nothing_known[night] == 0.0).all()
    assert np.isnan(nothing_known[~night]).all()


def test_the_inverter_cuts_and_only_cuts() -> None:
    free = clear_sky_kw(system(PvPlane(100, 30, 180)), JUNE, 96)
    cut = clear_sky_kw(system(PvPlane(100, 30, 180, inverter_limit_kw=50.0)), JUNE, 96)
    assert cut.max() == pytest.approx(50.0)
    assert cut == pytest.approx(np.minimum(free, 50.0))


def test_heat_costs_power_and_wind_gives_some_back() -> None:
    n = 96
    ghi = sun_and_sky(system(), JUNE, n).ghi_w_m2

    def energy(temp: float, wind: float) -> float:
        given = weather(
            JUNE,
            n,
            ghi_w_m2=ghi,
            temp_air_c=np.full(n, temp),
            wind_speed_m_s=np.full(n, wind),
        )
        return float(pv_power_kw(system(), given).sum())

    assert energy(35, 1) < 0.95 * energy(15, 1)
    assert energy(35, 6) > energy(35, 1)


def test_each_step_takes_the_best_it_has() -> None:
    plant = system()
    n = 96
    sky = sun_and_sky(plant, JUNE, n)
    nan = np.full(n, np.nan)
    half = np.arange(n) < 44
    clouds = np.full(n, 50.0)
    mixed = pv_power_kw(
        plant,
        weather(
            JUNE, n, ghi_w_m2=np.where(half, 0.3 * sky.ghi_w_m2, nan), cloud_cover_percent=clouds
        ),
    )
    by_clouds = pv_power_kw(plant, weather(JUNE, n, cloud_cover_percent=clouds))
    by_ghi = pv_power_kw(plant, weather(JUNE, n, ghi_w_m2=0.3 * sky.ghi_w_m2))
    assert np.isfinite(mixed).all()
    assert mixed[half] == pytest.approx(by_ghi[half])
    assert mixed[~half] == pytest.approx(by_clouds[~half])
    # Direct and diffuse alone make up the global irradiance.
    closed = pv_power_kw(plant, weather(JUNE, n, dni_w_m2=sky.dni_w_m2, dhi_w_m2=sky.dhi_w_m2))
    assert closed.sum() == pytest.approx(clear_sky_kw(plant, JUNE, n).sum(), rel=0.02)


def test_clouds_darken_as_the_formula_says() -> None:
    plant = system()
    sums = [
        pv_power_kw(plant, weather(JUNE, 96, cloud_cover_percent=np.full(96, c))).sum()
        for c in (0.0, 50.0, 100.0)
    ]
    clear = clear_sky_kw(plant, JUNE, 96).sum()
    assert sums[0] == pytest.approx(clear, rel=0.05)
    assert sums[0] > sums[1] > sums[2] > 0.25 * clear


def test_measured_weather_irradiance_beats_clouds() -> None:
    """Four measured weeks: power from GHI alone and from sunshine, against GHI and DHI.

    No cloud cover was measured there. It stands in as the share of a three-hour block (the
    step of OpenWeatherMap) without sunshine, which is direct irradiance above 120 W/m2 (WMO).
    """
    plant = PvSystem(51.30, 6.77, (PvPlane(100, 30, 180),), altitude_m=37)
    errors: dict[str, float] = {"irradiance": 0.0, "clouds": 0.0}
    total = 0.0
    for start, measured in dwd_weeks():
        n = measured["ghi_w_m2"].size
        sky = sun_and_sky(plant, start, n)
        up = sky.elevation_deg > 3
        cos_zenith = np.maximum(np.cos(np.radians(sky.zenith_deg)), 0.05)
        sunny = (measured["ghi_w_m2"] - measured["dhi_w_m2"]) / cos_zenith > 120.0
        light = up.reshape(-1, 12).sum(axis=1)
        shine = (sunny & up).reshape(-1, 12).sum(axis=1) / np.maximum(light, 1)
        cover = np.repeat(100.0 * (1.0 - shine), 12)
        both = {name: measured[name] for name in ("temp_air_c", "wind_speed_m_s")}
        ghi, dhi = measured["ghi_w_m2"], measured["dhi_w_m2"]
        truth = pv_power_kw(plant, weather(start, n, ghi_w_m2=ghi, dhi_w_m2=dhi, **both))
        from_ghi = pv_power_kw(plant, weather(start, n, ghi_w_m2=ghi, **both))
        from_clouds = pv_power_kw(plant, weather(start, n, cloud_cover_percent=cover, **both))
        errors["irradiance"] += float(np.abs(from_ghi - truth).sum())
        errors["clouds"] += float(np.abs(from_clouds - truth).sum())
        total += float(truth.sum())
    assert errors["irradiance"] / total < 0.06
    assert errors["clouds"] > 4 * errors["irradiance"]
    assert errors["clouds"] / total < 0.5


@pytest.mark.parametrize(("month", "day"), [(3, 29), (10, 25)])
def test_days_of_clock_change_have_one_sun(month: int, day: int) -> None:
    start = datetime(2026, month, day, tzinfo=UTC) - timedelta(hours=6)
    long = clear_sky_kw(system(), start, 192)
    apart = np.concatenate([clear_sky_kw(system(), start + i * 48 * STEP, 48) for i in range(4)])
    assert long == pytest.approx(apart)
    light = np.flatnonzero(long[:120] > 0)
    assert light.size > 36
    assert (np.diff(light) == 1).all()


def test_weather_is_cut_and_padded_to_the_steps_asked_for() -> None:
    given = weather(JUNE, 4, ghi_w_m2=np.arange(4.0))
    moved = weather_steps(given, JUNE - STEP, 6)
    assert moved.start == JUNE - STEP
    assert np.isnan(moved.ghi_w_m2[[0, 5]]).all()
    assert moved.ghi_w_m2[1:5].tolist() == [0, 1, 2, 3]
    with pytest.raises(ForecastError, match="grid"):
        weather_steps(given, JUNE + timedelta(minutes=7), 2)


def test_the_cloudless_function_is_the_model() -> None:
    assert clear_sky_of(system())(JUNE, 8) == pytest.approx(clear_sky_kw(system(), JUNE, 8))
    with pytest.raises(ForecastError, match="time zone"):
        clear_sky_kw(system(), JUNE.replace(tzinfo=None), 4)


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: PvPlane(0, 30, 180), "pv.peak_kw"),
        (lambda: PvPlane(10, 91, 180), "pv.tilt_deg"),
        (lambda: PvPlane(10, 30, -90), "pv.azimuth_deg"),
        (lambda: PvPlane(10, 30, 180, 0), "pv.inverter_limit_kw"),
        (lambda: PvSystem(95, 0, (PvPlane(1, 1, 1),)), "pv.latitude"),
        (lambda: PvSystem(45, 0, ()), "pv.planes"),
        (lambda: PvSystem(45, 0, (PvPlane(1, 1, 1),), mounting="tent"), "pv.mounting"),
    ],
)
def test_impossible_plants_are_refused_by_name(make, field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        make()
    assert caught.value.field == field
    assert caught.value.hint
