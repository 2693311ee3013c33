"""Prophet takes part with its tuned settings; one small fit per series keeps this quick."""

from __future__ import annotations

import logging
import subprocess
import sys
from datetime import date, timedelta

import numpy as np
import pytest

from engine.domain.quarter_hour import STEP
from engine.forecasting.calendar import HolidayCalendar
from engine.forecasting.day_reader import DayReader
from engine.forecasting.day_table import DayTable
from engine.forecasting.factory import build_forecaster
from engine.forecasting.prophet_models import ProphetLoad, ProphetPrice, ProphetPv
from tests.unit.forecasting_histories import VIENNA, ArrayHistory, from_formula, midnight, office


def table_of(history: ArrayHistory, signal: str, *, by_weekday: bool = True) -> DayTable:
    reader = DayReader(
        history,
        signal,
        VIENNA,
        HolidayCalendar(),
        published_ahead=False,
        by_weekday=by_weekday,
    )
    last = history.end.astimezone(VIENNA).date()
    return reader.read(history.end, 400, until=last + timedelta(days=7))


def test_load_has_a_pattern_and_a_level_for_each_kind_of_day(
    capfd: pytest.CaptureFixture[str],
) -> None:
    # 4 kW on Sundays against 20 kW at work: zero-mean patterns alone could not tell them apart.
    table = table_of(from_formula(date(2026, 1, 12), 35, office), "load_kw")
    fitted = ProphetLoad().fit(table, table.origin)
    for ahead in range(7):
        row = table.origin + ahead
        made = fitted.predict(table, row, table.origin)
        start = midnight(table.day(row))
        truth = np.array([office((start + i * STEP).astimezone(VIENNA)) for i in range(96)])
        assert made.values.mean() == pytest.approx(truth.mean(), abs=0.7)
        assert np.abs(made.values - truth).mean() < 1.2
        assert made.key == "prophet"
    printed = capfd.readouterr()
    assert "cmdstanpy" not in printed.err + printed.out
    assert not logging.getLogger("cmdstanpy").isEnabledFor(logging.INFO)


def test_price_follows_its_lags() -> None:
    rng = np.random.default_rng(3)
    levels = 0.1 + 0.05 * np.cumsum(rng.normal(0.0, 0.2, 90))
    first = date(2026, 1, 1)

    def price(local) -> float:
        return levels[(local.date() - first).days] + 0.03 * np.sin(local.hour / 24 * 6.28)

    table = table_of(from_formula(first, 80, price), "spot_eur_per_kwh")
    made = ProphetPrice().fit(table, table.origin).predict(table, table.origin, table.origin)
    # The level wanders: tomorrow is near today, not near the mean of the past.
    assert made.values.mean() == pytest.approx(levels[79], abs=0.03)
    assert made.values.shape == (96,)


def test_pv_is_the_clear_sky_times_what_the_clouds_leave() -> None:
    def sun(local) -> float:
        return max(0.0, 1.0 - abs(local.hour + local.minute / 60 - 12.5) / 5)

    def clear_sky(start, n):
        return np.array([sun((start + i * STEP).astimezone(VIENNA)) for i in range(n)])

    history = from_formula(date(2026, 4, 1), 40, lambda t: 60.0 * sun(t))
    table = table_of(history, "pv_kw", by_weekday=False)
    made = (
        ProphetPv(clear_sky, VIENNA)
        .fit(table, table.origin)
        .predict(table, table.origin, table.origin)
    )
    expected = 60.0 * clear_sky(midnight(table.day(table.origin)), 96)
    assert (made.values[expected == 0.0] == 0.0).all()
    assert np.abs(made.values - expected).mean() < 2.0


def test_with_too_little_history_prophet_gives_way() -> None:
    history = from_formula(date(2026, 3, 1), 12, office)
    made = build_forecaster("load_kw", "prophet", history, VIENNA).predict(
        history.end, 96, history.end
    )
    assert made.model == "day_type"
    assert "not enough history for prophet: 12 of 28 days" in made.method


def test_prophet_is_loaded_only_when_it_is_asked_for() -> None:
    code = (
        "import sys; import engine.forecasting.factory, engine.forecasting.prophet_models; "
        "print('prophet' in sys.modules, 'lightgbm' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
