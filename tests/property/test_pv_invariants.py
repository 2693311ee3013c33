"""Whatever the weather claims, PV power stays physical and quantiles stay in order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from engine.forecasting.pv_bands import PvBands, assumed_bands
from engine.forecasting.pv_clear_sky import ClearSkyPersistence
from engine.forecasting.pv_weather import WeatherPv
from engine.weather.pv_model import PvPlane, PvSystem, clear_sky_of, pv_power_kw, sun_and_sky
from tests.unit.pv_builders import Series, Source, weather

VIENNA = ZoneInfo("Europe/Vienna")
N = 96

planes = st.builds(
    PvPlane,
    peak_kw=st.floats(1, 500),
    tilt_deg=st.floats(0, 90),
    azimuth_deg=st.floats(0, 360),
    inverter_limit_kw=st.none() | st.floats(1, 300),
)
systems = st.builds(
    PvSystem,
    latitude=st.floats(-66, 66),
    longitude=st.floats(-180, 180),
    planes=st.lists(planes, min_size=1, max_size=3).map(tuple),
    altitude_m=st.floats(0, 2500),
)
starts = st.datetimes(datetime(2025, 1, 1), datetime(2027, 1, 1)).map(  # noqa: DTZ001
    lambda t: t.replace(minute=0, second=0, microsecond=0, tzinfo=UTC)
)


@st.composite
def skies(draw: st.DrawFn) -> dict[str, np.ndarray]:
    """Any weather, plausible or not, with gaps."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    highest = {
        "ghi_w_m2": 1400.0,
        "dni_w_m2": 1400.0,
        "dhi_w_m2": 900.0,
        "cloud_cover_percent": 100.0,
        "temp_air_c": 45.0,
        "wind_speed_m_s": 30.0,
    }
    out = {}
    for name, high in highest.items():
        low = -40.0 if name == "temp_air_c" else 0.0
        values = rng.uniform(low, high, N)
        values[rng.random(N) < draw(st.sampled_from((0.0, 0.3, 1.0)))] = np.nan
        out[name] = values
    return out


@given(systems, starts, skies())
@settings(max_examples=40)
def test_power_is_never_negative_nor_above_the_plant(
    system: PvSystem, start: datetime, sky: dict[str, np.ndarray]
) -> None:
    power = pv_power_kw(system, weather(start, N, **sky))
    known = np.isfinite(power)
    assert (power[known] >= 0).all()
    assert (power[known] <= system.limit_kw + 1e-9).all()
    night = ~sun_and_sky(system, start, N).is_day
    assert (power[night] == 0.0).all()
    blind = np.isnan(sky["ghi_w_m2"]) & np.isnan(sky["cloud_cover_percent"])
    blind &= np.isnan(sky["dni_w_m2"]) | np.isnan(sky["dhi_w_m2"])
    assert (known == (night | ~blind)).all()


@given(starts, skies(), st.floats(0.1, 20))
@settings(max_examples=25)
def test_power_scales_with_the_modules(
    start: datetime, sky: dict[str, np.ndarray], factor: float
) -> None:
    sky["ghi_w_m2"] = np.minimum(sky["ghi_w_m2"], 400.0)
    sky["dni_w_m2"] = np.full(N, np.nan)

    def power(peak_kw: float) -> np.ndarray:
        plant = PvSystem(47.0, 9.0, (PvPlane(peak_kw, 20, 170),))
        return pv_power_kw(plant, weather(start, N, **sky)) / peak_kw

    one, more = power(10.0), power(10.0 * factor)
    below = one < 0.999
    assert more[below] == pytest.approx(one[below], rel=1e-9, abs=1e-12)


@given(
    st.lists(st.floats(0, 100), min_size=4, max_size=40),
    st.floats(-2, 2),
    st.floats(-2, 2),
    st.floats(0, 60),
)
def test_bands_never_cross_nor_go_below_zero(
    powers: list[float], low: float, high: float, lead: float
) -> None:
    shape = assumed_bands(100.0).low.shape
    bands = PvBands(np.full(shape, low), np.full(shape, high), 100.0, "")
    p50 = np.array(powers)
    p10, middle, p90 = bands.around(p50, np.full(p50.size, 60.0), np.full(p50.size, lead))
    assert (middle == p50).all()
    assert (p10 >= 0).all()
    assert (p10 <= p50).all()
    assert (p50 <= p90).all()


@given(skies(), st.integers(0, 2**32 - 1), st.integers(0, 95))
# Every example fits a month of history; a failing one is small enough to read as it is.
@settings(max_examples=15, phases=(Phase.explicit, Phase.reuse, Phase.generate))
def test_forecasters_stay_within_the_plant(
    sky: dict[str, np.ndarray], seed: int, minute_step: int
) -> None:
    rng = np.random.default_rng(seed)
    plant = PvSystem(47.0, 9.0, (PvPlane(50.0, 20, 170, inverter_limit_kw=40.0),))
    clear = clear_sky_of(plant)
    start = datetime(2026, 4, 1, tzinfo=UTC)
    now = start + timedelta(days=30, minutes=15 * minute_step + 4)
    begin = now - timedelta(minutes=4)
    history = Series(start, clear(start, 30 * 96 + minute_step) * rng.uniform(0, 1.3))
    sky["ghi_w_m2"] = np.nan_to_num(sky["ghi_w_m2"], nan=100.0)
    held = weather(begin, N, **sky)
    night = ~sun_and_sky(plant, begin, N).is_day
    for forecaster in (
        ClearSkyPersistence(history, VIENNA, clear_sky=clear, limit_kw=40.0),
        WeatherPv(plant, Source(held), history, None, VIENNA),
    ):
        forecast = forecaster.predict(begin, N, now)
        assert (forecast.p10 >= 0).all()
        assert (forecast.p10 <= forecast.p50).all()
        assert (forecast.p50 <= forecast.p90).all()
        assert (forecast.p90 <= 40.0).all()
        assert (forecast.p90[night] == 0.0).all()
