"""How good the forecasters are, side by side on recorded data, and what they cost.

Run from the repository root: ``python -m tests.benchmarks.bench_forecast``. Every model sees
the same rolling origins, forecasts the same 96 quarter-hours of the next local day and is
compared with the seasonal naive (same day last week) on the same steps. Load is forecast at
local midnight; prices at noon of the day before, with all prices up to the end of that day
known. Prophet takes
seconds per origin, minutes per series.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
if str(ROOT) not in sys.path:
    sys.path.insert(0, str(ROOT))

from engine.domain.forecast import LOAD_SIGNAL, PRICE_SIGNAL  # noqa: E402
from engine.domain.quarter_hour import STEP  # noqa: E402
from engine.forecasting.accuracy import LeadScore, score_all  # noqa: E402
from engine.forecasting.factory import build_forecaster  # noqa: E402
from engine.recorded.recording import DEMO_FILE  # noqa: E402
from tests.unit.forecasting_histories import (  # noqa: E402
    BERLIN,
    VIENNA,
    ArrayHistory,
    measured_load,
    midnight,
)

ORIGINS = 61
DAYS_BETWEEN = 3
FIRST_ORIGIN_DAY = 140

LOAD_MODELS = ("seasonal_naive", "day_type", "ridge", "lightgbm", "ensemble", "prophet")
PRICE_MODELS = ("seasonal_naive", "ridge", "prophet")


class UntilHistory(ArrayHistory):
    """A history that ends at `known_until`, as the market's does."""

    known_until: datetime | None = None

    def means(self, signal: str, start: datetime, end: datetime) -> NDArray[np.float64]:
        out = super().means(signal, start, end)
        if self.known_until is not None:
            out[max(0, (self.known_until - start) // STEP) :] = np.nan
        return out


@dataclass(frozen=True, slots=True)
class Series:
    """One recorded series."""

    name: str
    signal: str
    history: UntilHistory
    zone: ZoneInfo
    country: str | None
    unit: str
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class Row:
    """Result of one model on one series."""

    model: str
    origins: int
    score: LeadScore
    fit_ms: float
    first_fit_ms: float
    predict_ms: float


def demo(column: str, factor: float) -> UntilHistory:
    """Return a column of the demo recording at its own dates."""
    table = pq.read_table(DEMO_FILE)
    start = table.column("ts_utc")[0].as_py().astimezone(UTC)
    return UntilHistory(start, table.column(column).to_numpy().astype(np.float64) * factor)


def all_series() -> list[Series]:
    """Return the recorded series."""
    loads: list[tuple[str, UntilHistory, ZoneInfo, str | None]] = [
        (name, UntilHistory(h.start, h.values), BERLIN, "DE")
        for name in ("metalworking_2018", "office_medium_2015")
        for h in [measured_load(name)]
    ]
    # Its load is of another year, shifted by whole weeks: no calendar's holidays fit it.
    loads.insert(0, ("demo site", demo("load_kw", 1.0), VIENNA, None))
    found = [Series(f"load, {n}", LOAD_SIGNAL, h, z, c, "kW") for n, h, z, c in loads]
    price = demo("price_at_eur_mwh", 0.001)
    found.append(Series("price, AT 2025/26", PRICE_SIGNAL, price, VIENNA, "AT", "EUR/MWh", 1000.0))
    return found


def origins(series: Series) -> list[date]:
    """Return the local days forecast."""
    first = series.history.start.astimezone(series.zone).date() + timedelta(
        days=1 + FIRST_ORIGIN_DAY
    )
    days = [first + timedelta(days=DAYS_BETWEEN * i) for i in range(ORIGINS)]
    # Days with a clock change have no 96 quarter-hours.
    return [
        d
        for d in days
        if midnight(d + timedelta(days=1), series.zone) - midnight(d, series.zone) == 96 * STEP
    ]


def run_model(series: Series, model: str, naive: dict[date, NDArray[np.float64]]) -> Row:
    """Return errors and times of one model over the rolling origins; fills `naive` itself."""
    forecaster = build_forecaster(series.signal, model, series.history, series.zone, series.country)
    truths, p10, p50, p90, yard = [], [], [], [], []
    fits, predictions = [], []
    days = origins(series)
    for day in days:
        start = midnight(day, series.zone)
        series.history.known_until = start
        now = start - timedelta(hours=12) if series.signal == PRICE_SIGNAL else start
        began = time.perf_counter()
        forecaster.fit(now)
        fitted = time.perf_counter()
        made = forecaster.predict(start, 96, now)
        done = time.perf_counter()
        fits.append(fitted - began)
        predictions.append(done - fitted)
        series.history.known_until = None
        truths.append(series.history.steps(start, 96) * series.factor)
        for target, values in ((p10, made.p10), (p50, made.p50), (p90, made.p90)):
            target.append(values * series.factor)
        if model == "seasonal_naive":
            naive[day] = made.p50 * series.factor
        yard.append(naive[day])
    score = score_all(*(np.concatenate(v) for v in (truths, p10, p50, p90, yard)))
    assert score is not None
    return Row(
        model,
        len(days),
        score,
        1000.0 * float(np.mean(fits[1:])),
        1000.0 * fits[0],
        1000.0 * float(np.mean(predictions)),
    )


def print_rows(series: Series, rows: Sequence[Row]) -> None:
    """Print one table."""
    print(f"{series.name}, day-ahead, 15-min steps, errors in {series.unit}")
    print(
        f"{'model':<15}{'days':>5}{'MAE':>8}{'rMAE':>7}{'bias':>8}{'RMSE':>8}{'pinball':>9}"
        f"{'P10-P90':>9}{'fit ms':>9}{'first':>8}{'predict':>9}"
    )
    for row in rows:
        s = row.score
        print(
            f"{row.model:<15}{row.origins:>5}{s.mae:>8.2f}{s.rmae or 0.0:>7.3f}{s.bias:>8.2f}"
            f"{s.rmse:>8.2f}{s.pinball:>9.3f}{100.0 * s.coverage:>8.1f}%{row.fit_ms:>9.0f}"
            f"{row.first_fit_ms:>8.0f}{row.predict_ms:>9.1f}"
        )
    print()


def run() -> None:
    """Print the comparison."""
    print("Forecasts: P10-P90 is the share of truths inside (80 % is nominal); 'first' is the fit")
    print("with all residuals of past origins, 'fit' the mean of the later ones when due")
    for series in all_series():
        naive: dict[date, NDArray[np.float64]] = {}
        models = PRICE_MODELS if series.signal == PRICE_SIGNAL else LOAD_MODELS
        print_rows(series, [run_model(series, model, naive) for model in models])


def main() -> None:
    """Run the benchmark from the command line."""
    run()


if __name__ == "__main__":
    main()
