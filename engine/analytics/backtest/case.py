"""What is replayed: one site, its tariff, its recorded series and the period asked for."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np

from engine.analytics.baselines import TimerWindows
from engine.config.control import ControlConfig
from engine.config.planning import StrategiesConfig
from engine.config.tariff import TariffConfig
from engine.domain.errors import BacktestError
from engine.domain.forecast import Forecast
from engine.domain.plan import FloatArray
from engine.domain.quarter_hour import STEP
from engine.domain.site import Battery, Site

DAY_STEPS = 96
WEEK_STEPS = 7 * DAY_STEPS
STEP_HOURS = 0.25

FEWEST_STEPS = 4
"""A period shorter than an hour is no backtest."""


@dataclass(frozen=True, slots=True, eq=False)
class SiteSeries:
    """Recorded quarter-hours without a gap; every array has shape (n,), read-only.

    Attributes:
        start: Start of the first quarter-hour, UTC.
        spot_eur_per_kwh: Day-ahead price.
        load_kw: Mean load, >= 0.
        pv_kw: Mean PV power before curtailment, >= 0; zeros without PV.
        notes: What was assumed while the series were read, in words.

    Raises:
        BacktestError: A series has another length, a value that is missing, or a negative power.
    """

    start: datetime
    spot_eur_per_kwh: FloatArray
    load_kw: FloatArray
    pv_kw: FloatArray
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "start", _quarter("series.start", self.start))
        n = np.asarray(self.load_kw).size
        for name in ("spot_eur_per_kwh", "load_kw", "pv_kw"):
            values = np.array(getattr(self, name), dtype=np.float64)
            if values.shape != (n,) or n == 0:
                raise BacktestError(
                    f"{name} has the shape {values.shape}, the load has {n} quarter-hours.",
                    field=name,
                    hint="Give every series one value per quarter-hour of the same period.",
                )
            bad = np.flatnonzero(~np.isfinite(values))
            if bad.size:
                raise BacktestError(
                    f"{name} is not known at {self.start + int(bad[0]) * STEP:%Y-%m-%d %H:%M} UTC.",
                    field=name,
                    hint="Fill the gap or choose a period without one.",
                )
            low = np.flatnonzero(values < 0.0) if name != "spot_eur_per_kwh" else bad
            if low.size:
                raise BacktestError(
                    f"{name} is {values[low[0]]:g} at "
                    f"{self.start + int(low[0]) * STEP:%Y-%m-%d %H:%M} UTC, below 0.",
                    field=name,
                    value=float(values[low[0]]),
                    hint="Load and PV power are never negative; check the sign of the column.",
                )
            values.flags.writeable = False
            object.__setattr__(self, name, values)

    @property
    def n(self) -> int:
        """Number of quarter-hours."""
        return int(self.load_kw.size)

    @property
    def end(self) -> datetime:
        """End of the last quarter-hour, UTC."""
        return self.start + self.n * STEP

    @property
    def has_pv(self) -> bool:
        """True when there is any PV power."""
        return bool(self.pv_kw.any())


@dataclass(frozen=True, slots=True, eq=False)
class BacktestCase:
    """One site and period to replay. Picklable; `key` names its content.

    What the series have before `start` is the past that forecasters, reserve and peak targets
    learn from. Beyond `end` a plan may see what was published by then, as a real one would.

    Attributes:
        site: Battery and grid connection, time zone.
        tariff: What a kWh and a kW of peak cost, in all its dated versions.
        series: Recorded price, load and PV.
        start: First quarter-hour replayed, UTC.
        end: End of the period, UTC.
        soc_start_percent: State of charge at the start, brought into the window.
        curtailment_allowed: The PV plant gives away by itself what may not or should not be
            exported.
        control: The law between two plans.
        strategies: Threshold and dwell of the automatic choice, stated peak target.
        timer: Windows of the static timer.
        holidays_country: Country whose public holidays the load follows; None for none.
        vintages: Recorded forecasts, for `Forecaster.RECORDED`; None without any.
        assumptions: What was assumed when the case was made, in words, for the report.

    Raises:
        BacktestError: The series do not cover the period, or the period is empty.
    """

    site: Site
    tariff: TariffConfig
    series: SiteSeries
    start: datetime
    end: datetime
    soc_start_percent: float = 50.0
    curtailment_allowed: bool = False
    control: ControlConfig = field(default_factory=ControlConfig)
    strategies: StrategiesConfig = field(default_factory=StrategiesConfig)
    timer: TimerWindows = field(default_factory=TimerWindows)
    holidays_country: str | None = None
    vintages: tuple[Forecast, ...] | None = None
    assumptions: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in ("start", "end"):
            object.__setattr__(self, name, _quarter(name, getattr(self, name)))
        if self.stop - self.first < FEWEST_STEPS:
            raise BacktestError(
                f"The period from {self.start:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M} UTC "
                "is too short.",
                field="period",
                hint="Let it end at least an hour after it begins.",
            )
        if self.start < self.series.start or self.end > self.series.end:
            raise BacktestError(
                f"The data reach from {self.series.start:%Y-%m-%d %H:%M} to "
                f"{self.series.end:%Y-%m-%d %H:%M} UTC, the period asked for from "
                f"{self.start:%Y-%m-%d %H:%M} to {self.end:%Y-%m-%d %H:%M} UTC.",
                field="period",
                hint="Choose a period inside the data, or add the missing data.",
            )
        if not 0.0 <= self.soc_start_percent <= 100.0:
            raise BacktestError(
                f"{self.soc_start_percent:g} is no state of charge.",
                field="soc_start_percent",
                value=self.soc_start_percent,
                hint="Give a number from 0 to 100.",
            )

    @property
    def first(self) -> int:
        """Index of the first quarter-hour replayed."""
        return (self.start - self.series.start) // STEP

    @property
    def stop(self) -> int:
        """Index after the last quarter-hour replayed."""
        return (self.end - self.series.start) // STEP

    @property
    def n(self) -> int:
        """Number of quarter-hours replayed."""
        return self.stop - self.first

    @property
    def battery(self) -> Battery:
        """The battery."""
        return self.site.battery

    @property
    def energy_start_kwh(self) -> float:
        """Stored energy at the start, inside the window."""
        battery = self.battery
        asked_kwh = battery.energy_capacity_kwh * self.soc_start_percent / 100.0
        return min(max(asked_kwh, battery.energy_min_kwh), battery.energy_max_kwh)

    def with_battery(self, battery: Battery) -> BacktestCase:
        """Return the same case with another battery, for sizing."""
        return dataclasses.replace(self, site=dataclasses.replace(self.site, battery=battery))

    def with_tariff(self, tariff: TariffConfig) -> BacktestCase:
        """Return the same case under another tariff."""
        return dataclasses.replace(self, tariff=tariff)

    def between(self, start: datetime, end: datetime) -> BacktestCase:
        """Return the same case over another period of the same series."""
        return dataclasses.replace(self, start=start, end=end)

    def key(self) -> str:
        """Return a name for the content: equal cases have equal keys."""
        digest = hashlib.sha256()
        for name in ("spot_eur_per_kwh", "load_kw", "pv_kw"):
            digest.update(getattr(self.series, name).tobytes())
        for part in (
            self.series.start,
            self.start,
            self.end,
            self.site,
            self.soc_start_percent,
            self.curtailment_allowed,
            self.timer,
            self.holidays_country,
        ):
            digest.update(repr(part).encode())
        for model in (self.tariff, self.control, self.strategies):
            digest.update(model.model_dump_json().encode())
        for vintage in self.vintages or ():
            digest.update(f"{vintage.signal} {vintage.issued_at} {vintage.start}".encode())
            digest.update(vintage.p50.tobytes())
        return digest.hexdigest()


def _quarter(name: str, ts: datetime) -> datetime:
    if ts.tzinfo is None:
        raise BacktestError(
            f"{ts.isoformat()} has no time zone.",
            field=name,
            value=ts.isoformat(),
            hint="Give a time with its offset, for example 2026-01-01T00:00+01:00.",
        )
    utc = ts.astimezone(UTC)
    if utc.minute % 15 or utc.second or utc.microsecond:
        raise BacktestError(
            f"{ts.isoformat()} is not the start of a quarter-hour.",
            field=name,
            value=ts.isoformat(),
            hint="Give a time on a full quarter-hour.",
        )
    return utc
