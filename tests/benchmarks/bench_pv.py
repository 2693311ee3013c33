"""How well PV power is forecast without weather, and what the links of the weather chain cost.

Run from the repository root: ``python tests/benchmarks/bench_pv.py``.
Day ahead at local midnight on the recorded demo site (AEW, real PV of 2019 shifted by whole
weeks), every third day; then the weather chain on four measured weeks at Düsseldorf, where the
power from measured global and diffuse irradiance counts as the truth.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from engine.domain.forecast import PV_SIGNAL, Forecast
from engine.forecasting.base import Forecaster
from engine.forecasting.day_type import DayTypeMedian
from engine.forecasting.pv_clear_sky import ClearSkyPersistence
from engine.recorded.recording import DEMO_FILE
from engine.weather.pv_model import PvPlane, PvSystem, clear_sky_of, pv_power_kw, sun_and_sky
from tests.unit.pv_builders import Series, dwd_weeks, weather

FloatArray = NDArray[np.float64]

ZURICH = ZoneInfo("Europe/Zurich")
AEW = PvSystem(47.39, 8.05, (PvPlane(180.0, 10.0, 180.0),), altitude_m=400.0)
DUESSELDORF = PvSystem(51.30, 6.77, (PvPlane(100.0, 30.0, 180.0),), altitude_m=37.0)
FIRST_DAY = 92
EVERY_DAYS = 3
DAY = 96
NIGHT_KW = 0.02 * AEW.peak_kw


@dataclass(frozen=True)
class Score:
    """Accuracy of one method.

    Attributes:
        name: Method.
        origins: Forecasts made.
        mae_percent: Mean absolute error, percent of the mean power.
        rmse_percent: Root mean square error, percent of the mean power.
        bias_percent: Mean error, percent of the mean power; + forecast too high.
        pinball_percent: Mean pinball loss of P10, P50, P90, percent of the mean power.
        coverage_percent: Daylight steps inside P10-P90; NaN for methods without quantiles.
        ms: Mean time of a forecast, fitting included.
    """

    name: str
    origins: int
    mae_percent: float
    rmse_percent: float
    bias_percent: float
    pinball_percent: float
    coverage_percent: float
    ms: float


def recorded() -> Series:
    """Return the recorded PV power of the demo site."""
    table = pq.read_table(DEMO_FILE, columns=["ts_utc", "pv_kw"])
    start = table.column("ts_utc")[0].as_py().astimezone(UTC)
    return Series(start, table.column("pv_kw").to_numpy().astype(np.float64))


def origins(past: Series, scale: float) -> list[datetime]:
    """Return local midnights over the recording."""
    last = past.pv_kw.size // DAY - 2
    days = range(FIRST_DAY, last, max(1, round(EVERY_DAYS / scale)))
    first = past.start.astimezone(ZURICH)
    # Aware arithmetic in one zone keeps midnight at midnight over clock changes.
    return [(first + timedelta(days=day)).astimezone(UTC) for day in days]


def run(scale: float = 1.0) -> list[Score]:
    """Score the methods without weather; scale 1 makes 76 forecasts each."""
    past = recorded()
    when = origins(past, scale)
    clear_sky = clear_sky_of(AEW)

    def mean_of(days: int) -> Callable[[datetime], FloatArray]:
        def forecast(now: datetime) -> FloatArray:
            values = past.means(PV_SIGNAL, now - timedelta(days=days), now)
            return np.asarray(values.reshape(days, DAY).mean(axis=0))

        return forecast

    limit = AEW.limit_kw
    methods: list[tuple[str, Forecaster | Callable[[datetime], FloatArray]]] = [
        ("yesterday (seasonal naive)", mean_of(1)),
        ("mean of 7 days", mean_of(7)),
        (
            "day type, 7 days",
            DayTypeMedian(
                past, PV_SIGNAL, ZURICH, days=7, by_weekday=False, scaling=True, tau_hours=3.0
            ),
        ),
        ("clear-sky persistence, no location", ClearSkyPersistence(past, ZURICH, limit_kw=limit)),
        (
            "clear-sky persistence",
            ClearSkyPersistence(past, ZURICH, clear_sky=clear_sky, limit_kw=limit),
        ),
    ]
    return [_score(name, method, past, when) for name, method in methods]


def _score(
    name: str,
    method: Forecaster | Callable[[datetime], FloatArray],
    past: Series,
    when: list[datetime],
) -> Score:
    rows: list[tuple[FloatArray, FloatArray, FloatArray]] = []
    truth = []
    started = time.perf_counter()
    for now in when:
        if callable(method):
            values = method(now)
            rows.append((values, values, values))
        else:
            method.fit(now)
            made: Forecast = method.predict(now, DAY, now)
            rows.append((made.p10, made.p50, made.p90))
    ms = (time.perf_counter() - started) / len(when) * 1000
    truth = np.concatenate([past.means(PV_SIGNAL, now, now + timedelta(days=1)) for now in when])
    p10, p50, p90 = (np.concatenate([row[i] for row in rows]) for i in range(3))
    percent = 100.0 / float(truth.mean())
    light = (truth > NIGHT_KW) | (p50 > NIGHT_KW)
    inside = float(((truth >= p10) & (truth <= p90))[light].mean())
    pinball = sum(_pinball(truth, p, q) for p, q in ((p10, 0.1), (p50, 0.5), (p90, 0.9))) / 3
    return Score(
        name=name,
        origins=len(when),
        mae_percent=percent * float(np.abs(p50 - truth).mean()),
        rmse_percent=percent * float(np.sqrt(((p50 - truth) ** 2).mean())),
        bias_percent=percent * float((p50 - truth).mean()),
        pinball_percent=percent * pinball,
        coverage_percent=float("nan") if (p10 == p90).all() else 100.0 * inside,
        ms=ms,
    )


def _pinball(truth: FloatArray, forecast: FloatArray, quantile: float) -> float:
    short = truth - forecast
    return float(np.maximum(quantile * short, (quantile - 1.0) * short).mean())


def chain() -> list[tuple[str, float, float, float]]:
    """Return (input, MAE, RMSE, bias) of the weather chain, percent of the mean power."""
    errors: dict[str, list[FloatArray]] = {}
    truths = []
    for start, measured in dwd_weeks():
        ghi, dhi = measured["ghi_w_m2"], measured["dhi_w_m2"]
        n = ghi.size
        sky = sun_and_sky(DUESSELDORF, start, n)
        other = {name: measured[name] for name in ("temp_air_c", "wind_speed_m_s")}
        truth = pv_power_kw(DUESSELDORF, weather(start, n, ghi_w_m2=ghi, dhi_w_m2=dhi, **other))
        truths.append(truth)
        cover = sunless_percent(ghi, dhi, sky.zenith_deg)
        inputs = {
            "global irradiance, 15 min": {"ghi_w_m2": ghi},
            "global irradiance, hourly repeated": {"ghi_w_m2": _repeated(ghi, 4)},
            "sunless share as clouds, hourly": {"cloud_cover_percent": _repeated(cover, 4)},
            "sunless share as clouds, 3 h": {"cloud_cover_percent": _repeated(cover, 12)},
        }
        for name, given in inputs.items():
            power = pv_power_kw(DUESSELDORF, weather(start, n, **given, **other))
            errors.setdefault(name, []).append(power - truth)
    percent = 100.0 / float(np.concatenate(truths).mean())
    out = []
    for name, parts in errors.items():
        error = np.concatenate(parts)
        mae, rmse = float(np.abs(error).mean()), float(np.sqrt((error**2).mean()))
        out.append((name, percent * mae, percent * rmse, percent * float(error.mean())))
    return out


def sunless_percent(ghi: FloatArray, dhi: FloatArray, zenith_deg: FloatArray) -> FloatArray:
    """Return 100 where direct irradiance is below 120 W/m2 (WMO: no sunshine), NaN at night."""
    cos_zenith = np.cos(np.radians(zenith_deg))
    up = zenith_deg < 87.0
    direct = np.where(up, (ghi - dhi) / np.where(up, cos_zenith, 1.0), np.nan)
    return np.where(up, np.where(direct > 120.0, 0.0, 100.0), np.nan)


def _repeated(values: FloatArray, steps: int) -> FloatArray:
    """Return the mean of each block of `steps` for all of it; a block of night stays unknown."""
    blocks = values.reshape(-1, steps)
    known = np.isfinite(blocks)
    count = known.sum(axis=1)
    total = np.where(known, blocks, 0.0).sum(axis=1)
    return np.repeat(np.where(count > 0, total / np.maximum(count, 1), 100.0), steps)


def model_ms() -> float:
    """Return the time of the weather chain over 192 steps, best of 20."""
    start = datetime(2026, 6, 1, tzinfo=UTC)
    given = weather(start, 192, cloud_cover_percent=np.full(192, 50.0))
    times = []
    for _ in range(20):
        began = time.perf_counter()
        pv_power_kw(AEW, given)
        times.append(time.perf_counter() - began)
    return min(times) * 1000


def table(scores: list[Score]) -> str:
    """Return everything as one aligned table."""
    naive = scores[0]
    lines = [
        f"PV day ahead without weather, {naive.origins} origins, percent of mean power",
        f"{'method':<36}{'MAE':>7}{'RMSE':>7}{'bias':>7}{'rMAE':>7}{'pinball':>9}"
        f"{'P10-P90':>9}{'ms':>8}",
    ]
    for s in scores:
        cover = "-" if np.isnan(s.coverage_percent) else f"{s.coverage_percent:.1f} %"
        lines.append(
            f"{s.name:<36}{s.mae_percent:>7.1f}{s.rmse_percent:>7.1f}{s.bias_percent:>7.1f}"
            f"{s.mae_percent / naive.mae_percent:>7.2f}{s.pinball_percent:>9.2f}{cover:>9}"
            f"{s.ms:>8.1f}"
        )
    lines.append(f"weather chain against measured global + diffuse ({model_ms():.1f} ms / 48 h)")
    for name, mae, rmse, bias in chain():
        lines.append(f"{name:<36}{mae:>7.1f}{rmse:>7.1f}{bias:>7.1f}")
    return "\n".join(lines)


def main() -> None:
    """Print the table."""
    print(table(run()))


if __name__ == "__main__":
    main()
