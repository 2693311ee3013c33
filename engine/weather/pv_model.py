"""PV power from weather: the physical chain, before any learning from the site.

Solar position at the middle of each step -> clear sky (Ineichen and Perez 2002, Linke
turbidity 3) -> irradiance, or cloud cover where none is given -> direct and diffuse part
(Driesse's continuous Erbs model) -> plane of array (Hay and Davies 1980) -> cell temperature
(Sandia) -> PVWatts DC and AC (Dobos 2014) with the inverter's limit. All by pvlib. The choice
of links is measured in notes/forecasting 5.3: decomposition hardly matters, Hay-Davies
removes a bias of 2.8 % against an isotropic sky.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
import pvlib
from numpy.typing import NDArray

from engine.domain.errors import ConfigError, ForecastError
from engine.domain.quarter_hour import STEP
from engine.weather.weather import WeatherForecast

FloatArray = NDArray[np.float64]

ClearSky = Callable[[datetime, int], FloatArray]
"""PV power under a cloudless sky: (start of first step, number of steps) -> kW, shape (n,)."""

LINKE_TURBIDITY = 3.0
ALBEDO = 0.2
DEFAULT_TEMP_AIR_C = 15.0
DEFAULT_WIND_M_S = 2.0
_MAX_ZENITH_DEG = 87.0
_INVERTER_EFFICIENCY = 0.96


@dataclass(frozen=True, slots=True)
class PvPlane:
    """One group of modules that look the same way.

    Attributes:
        peak_kw: DC power at standard test conditions, > 0.
        tilt_deg: Angle to the horizontal, 0 (flat) .. 90 (facade).
        azimuth_deg: Where the modules look to, clockwise from north: 90 east, 180 south.
        inverter_limit_kw: Highest AC power of the inverter; None: as much as `peak_kw`.

    Raises:
        ConfigError: When a value is outside its range.
    """

    peak_kw: float
    tilt_deg: float
    azimuth_deg: float
    inverter_limit_kw: float | None = None

    def __post_init__(self) -> None:
        _require("peak_kw", self.peak_kw, self.peak_kw > 0, "above 0")
        _require("tilt_deg", self.tilt_deg, 0 <= self.tilt_deg <= 90, "from 0 to 90")
        _require("azimuth_deg", self.azimuth_deg, 0 <= self.azimuth_deg <= 360, "from 0 to 360")
        limit = self.inverter_limit_kw
        _require("inverter_limit_kw", limit, limit is None or limit > 0, "above 0, or nothing")

    @property
    def limit_kw(self) -> float:
        """AC power that is never exceeded: the inverter's limit, at most the installed power."""
        if self.inverter_limit_kw is None:
            return self.peak_kw
        return min(self.peak_kw, self.inverter_limit_kw)


@dataclass(frozen=True, slots=True)
class PvSystem:
    """The PV plant of a site.

    Attributes:
        latitude: Degrees north.
        longitude: Degrees east.
        planes: Its groups of modules, at least one.
        altitude_m: Height above the sea.
        losses_percent: Soiling, wiring, mismatch and the like; PVWatts' default is 14.
        temperature_coefficient_per_k: Relative change of power per kelvin of cell temperature.
        mounting: A mounting of pvlib's Sandia temperature model.

    Raises:
        ConfigError: When a value is outside its range.
    """

    latitude: float
    longitude: float
    planes: tuple[PvPlane, ...]
    altitude_m: float = 0.0
    losses_percent: float = 14.0
    temperature_coefficient_per_k: float = -0.0037
    mounting: str = "open_rack_glass_polymer"

    def __post_init__(self) -> None:
        _require("latitude", self.latitude, -90 <= self.latitude <= 90, "from -90 to 90")
        _require("longitude", self.longitude, -180 <= self.longitude <= 180, "from -180 to 180")
        _require("losses_percent", self.losses_percent, 0 <= self.losses_percent < 100, "0 to 99")
        gamma = self.temperature_coefficient_per_k
        _require("temperature_coefficient_per_k", gamma, -0.01 <= gamma <= 0, "from -0.01 to 0")
        _require("planes", len(self.planes), bool(self.planes), "at least one plane")
        known = pvlib.temperature.TEMPERATURE_MODEL_PARAMETERS["sapm"]
        _require("mounting", self.mounting, self.mounting in known, f"one of {', '.join(known)}")

    @property
    def peak_kw(self) -> float:
        """Installed DC power of all planes."""
        return sum(plane.peak_kw for plane in self.planes)

    @property
    def limit_kw(self) -> float:
        """AC power that is never exceeded."""
        return sum(plane.limit_kw for plane in self.planes)


@dataclass(frozen=True, slots=True, eq=False)
class SunAndSky:
    """Solar position at the middle of each step and the cloudless irradiance; shapes (n,)."""

    zenith_deg: FloatArray
    azimuth_deg: FloatArray
    elevation_deg: FloatArray
    dni_extra_w_m2: FloatArray
    ghi_w_m2: FloatArray
    dni_w_m2: FloatArray
    dhi_w_m2: FloatArray

    @property
    def is_day(self) -> NDArray[np.bool_]:
        """True where the sun (with refraction) stands above the horizon."""
        return self.elevation_deg > 0.0


def sun_and_sky(system: PvSystem, start: datetime, n: int) -> SunAndSky:
    """Return solar position and cloudless irradiance of `n` steps from `start` (aware).

    Raises:
        ForecastError: When `start` has no time zone.
    """
    if start.tzinfo is None:
        raise ForecastError("A solar position needs a time zone.", field="start", value=start)
    times = pd.date_range(pd.Timestamp(start).tz_convert("UTC") + STEP / 2, periods=n, freq=STEP)
    # The short ephemeris is within 0.01 degrees of SPA and several times as fast.
    sun = pvlib.solarposition.get_solarposition(
        times, system.latitude, system.longitude, altitude=system.altitude_m, method="ephemeris"
    )
    zenith = sun["zenith"].to_numpy()
    apparent_zenith = sun["apparent_zenith"].to_numpy()
    extra = np.asarray(pvlib.irradiance.get_extra_radiation(times), dtype=np.float64)
    pressure = pvlib.atmosphere.alt2pres(system.altitude_m)
    airmass = pvlib.atmosphere.get_relative_airmass(apparent_zenith)
    # Where the sun is just at the horizon pvlib divides by zero and gets the right 0 out of it.
    with np.errstate(divide="ignore", invalid="ignore"):
        clear = pvlib.clearsky.ineichen(
            apparent_zenith,
            pvlib.atmosphere.get_absolute_airmass(airmass, pressure),
            LINKE_TURBIDITY,
            altitude=system.altitude_m,
            dni_extra=extra,
        )
    return SunAndSky(
        zenith_deg=zenith,
        azimuth_deg=sun["azimuth"].to_numpy(),
        elevation_deg=90.0 - apparent_zenith,
        dni_extra_w_m2=extra,
        ghi_w_m2=np.nan_to_num(clear["ghi"]),
        dni_w_m2=np.nan_to_num(clear["dni"]),
        dhi_w_m2=np.nan_to_num(clear["dhi"]),
    )


def pv_power_kw(system: PvSystem, weather: WeatherForecast) -> FloatArray:
    """Return the mean AC power of each step of `weather`.

    Each step uses the best it has: global, direct and diffuse irradiance as given, what is
    missing of them from closure or decomposition, else cloud cover by
    ``ghi = ghi_clear * (0.35 + 0.65 * (1 - cover))`` (notes/forecasting 5.1). A missing
    temperature counts as 15 C, missing wind as 2 m/s.

    Returns:
        kW, >= 0, shape (n,); NaN in daylight steps with neither irradiance nor cloud cover;
        exactly 0 where the sun is below the horizon at the middle of the step.
    """
    sky = sun_and_sky(system, weather.start, weather.n_steps)
    ghi, dni, dhi = _irradiance(weather, sky)
    temp_air = np.where(np.isfinite(weather.temp_air_c), weather.temp_air_c, DEFAULT_TEMP_AIR_C)
    wind = np.where(np.isfinite(weather.wind_speed_m_s), weather.wind_speed_m_s, DEFAULT_WIND_M_S)
    return _ac_power_kw(system, sky, (ghi, dni, dhi), temp_air, wind)


def clear_sky_kw(system: PvSystem, start: datetime, n: int) -> FloatArray:
    """Return the AC power of `n` steps from `start` under a cloudless sky; kW, shape (n,)."""
    sky = sun_and_sky(system, start, n)
    irradiance = (sky.ghi_w_m2, sky.dni_w_m2, sky.dhi_w_m2)
    temp_air = np.full(n, DEFAULT_TEMP_AIR_C)
    return _ac_power_kw(system, sky, irradiance, temp_air, np.full(n, DEFAULT_WIND_M_S))


def clear_sky_of(system: PvSystem) -> ClearSky:
    """Return `clear_sky_kw` of this plant as a plain function of start and number of steps."""

    def clear_sky(start: datetime, n: int) -> FloatArray:
        return clear_sky_kw(system, start, n)

    return clear_sky


def weather_steps(weather: WeatherForecast, start: datetime, n: int) -> WeatherForecast:
    """Return `weather` on the `n` steps from `start`, NaN where it does not reach.

    Raises:
        ForecastError: When `start` is not on the grid of `weather`.
    """
    if (start - weather.start) % STEP:
        raise ForecastError("Weather and forecast are not on one grid.", field="start", value=start)
    first = (start - weather.start) // STEP
    source = first + np.arange(n)
    inside = (source >= 0) & (source < weather.n_steps)

    def moved(values: FloatArray) -> FloatArray:
        out = np.full(n, np.nan)
        out[inside] = values[source[inside]]
        return out

    return WeatherForecast(
        start=start,
        ghi_w_m2=moved(weather.ghi_w_m2),
        dni_w_m2=moved(weather.dni_w_m2),
        dhi_w_m2=moved(weather.dhi_w_m2),
        cloud_cover_percent=moved(weather.cloud_cover_percent),
        temp_air_c=moved(weather.temp_air_c),
        wind_speed_m_s=moved(weather.wind_speed_m_s),
        source=weather.source,
        fetched_at=weather.fetched_at,
    )


def _irradiance(
    weather: WeatherForecast, sky: SunAndSky
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return (ghi, dni, dhi) of every step, NaN where the weather says nothing usable."""
    cos_zenith = np.maximum(np.cos(np.radians(sky.zenith_deg)), 0.0)
    ghi, dni, dhi = (
        np.maximum(values.astype(np.float64), 0.0)
        for values in (weather.ghi_w_m2, weather.dni_w_m2, weather.dhi_w_m2)
    )
    ghi = np.where(np.isnan(ghi), dhi + dni * cos_zenith, ghi)
    cover = np.clip(weather.cloud_cover_percent / 100.0, 0.0, 1.0)
    ghi = np.where(np.isnan(ghi), sky.ghi_w_m2 * (0.35 + 0.65 * (1.0 - cover)), ghi)
    split = pvlib.irradiance.erbs_driesse(
        np.nan_to_num(ghi), sky.zenith_deg, dni_extra=sky.dni_extra_w_m2
    )
    low_sun = sky.zenith_deg > _MAX_ZENITH_DEG
    safe_cos = np.maximum(cos_zenith, math.cos(math.radians(_MAX_ZENITH_DEG)))
    dhi_from_dni = np.clip(ghi - dni * cos_zenith, 0.0, ghi)
    dhi = np.where(np.isnan(dhi), dhi_from_dni, np.minimum(dhi, ghi))
    dhi = np.where(np.isnan(dhi), split["dhi"], dhi)
    dni = np.where(np.isnan(dni), (ghi - dhi) / safe_cos, dni)
    # Just above the horizon the quotient explodes; the little light there is counts as diffuse.
    dni = np.where(low_sun, 0.0, np.minimum(dni, sky.dni_extra_w_m2))
    dhi = np.where(low_sun, ghi, dhi)
    unknown = np.isnan(ghi)
    return ghi, np.where(unknown, np.nan, dni), np.where(unknown, np.nan, dhi)


def _ac_power_kw(
    system: PvSystem,
    sky: SunAndSky,
    irradiance: tuple[FloatArray, FloatArray, FloatArray],
    temp_air_c: FloatArray,
    wind_m_s: FloatArray,
) -> FloatArray:
    ghi, dni, dhi = irradiance
    sandia = pvlib.temperature.TEMPERATURE_MODEL_PARAMETERS["sapm"][system.mounting]
    keep = 1.0 - system.losses_percent / 100.0
    total = np.zeros(ghi.size)
    for plane in system.planes:
        poa = pvlib.irradiance.get_total_irradiance(
            plane.tilt_deg,
            plane.azimuth_deg,
            sky.zenith_deg,
            sky.azimuth_deg,
            dni,
            ghi,
            dhi,
            dni_extra=sky.dni_extra_w_m2,
            albedo=ALBEDO,
            model="haydavies",
        )["poa_global"]
        cell_c = pvlib.temperature.sapm_cell(poa, temp_air_c, wind_m_s, **sandia)
        dc_kw = keep * pvlib.pvsystem.pvwatts_dc(
            poa, cell_c, plane.peak_kw, system.temperature_coefficient_per_k
        )
        # The efficiency curve belongs to an inverter as large as the modules, so that power
        # scales with peak_kw; a smaller inverter only cuts.
        ac_kw = pvlib.inverter.pvwatts(
            dc_kw, plane.peak_kw / _INVERTER_EFFICIENCY, eta_inv_nom=_INVERTER_EFFICIENCY
        )
        total += np.minimum(np.maximum(ac_kw, 0.0), plane.limit_kw)
    return np.where(sky.is_day, total, 0.0)


def _require(name: str, value: object, ok: bool, allowed: str) -> None:
    if not ok:
        raise ConfigError(
            f"{name} is out of range.", field=f"pv.{name}", value=value, hint=f"Allowed: {allowed}."
        )
