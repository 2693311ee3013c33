"""Forecasts follow the past, never the future."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.domain.clock import ManualClock
from engine.domain.errors import ForecastError
from engine.domain.series import MeasuredPoint
from engine.forecasting.day_type import DayTypeMedian
from engine.forecasting.histories import FirstKnown, MeasuredHistory, RecordedHistory
from engine.forecasting.intraday import decaying_offset
from engine.recorded.recording import Recording

VIENNA = ZoneInfo("Europe/Vienna")
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
QUARTER = timedelta(minutes=15)


class Formula:
    """A history computed from local time."""

    label = "formula"

    def __init__(self, value) -> None:
        self._value = value

    def means(self, signal: str, start: datetime, end: datetime) -> NDArray[np.float64]:
        n = (end - start) // QUARTER
        return np.array([self._value((start + i * QUARTER).astimezone(VIENNA)) for i in range(n)])


def test_workdays_and_weekends_are_told_apart() -> None:
    history = Formula(lambda t: 10.0 if t.weekday() >= 5 else 30.0 + t.hour)
    forecast = DayTypeMedian(history, "load_kw", VIENNA).predict(NOW, 6 * 96, NOW)
    for i, value in enumerate(forecast.p50):
        local = (NOW + i * QUARTER).astimezone(VIENNA)
        expected = 10.0 if local.weekday() >= 5 else 30.0 + local.hour
        assert value == pytest.approx(expected)


def test_the_last_hour_corrects_the_next_hours() -> None:
    history = Formula(lambda t: 50.0 if t.date() == NOW.date() else 30.0)
    forecast = DayTypeMedian(history, "load_kw", VIENNA, tau_hours=2.0).predict(NOW, 96, NOW)
    assert forecast.p50[0] == pytest.approx(30 + 20 * np.exp(-0.125 / 2))
    assert forecast.p50[-1] == pytest.approx(30, abs=0.01)


def test_pv_is_scaled_not_shifted_and_never_negative() -> None:
    def sun(t: datetime) -> float:
        daylight = max(0.0, 1 - abs(t.hour + t.minute / 60 - 12.5) / 4)
        return 80.0 * daylight * (0.25 if t.date() == NOW.date() else 1.0)

    forecast = DayTypeMedian(
        Formula(sun), "pv_kw", VIENNA, by_weekday=False, scaling=True, tau_hours=3.0
    ).predict(NOW, 96, NOW)
    assert (forecast.p50 >= 0).all()
    night = [(NOW + i * QUARTER).astimezone(VIENNA).hour in (0, 1, 2) for i in range(96)]
    assert forecast.p50[night] == pytest.approx(0.0)
    assert forecast.p50[0] < 0.35 * sun(datetime(2026, 11, 22, 13, 0, tzinfo=VIENNA))


def test_no_history_is_said_not_invented() -> None:
    empty = Formula(lambda t: float("nan"))
    with pytest.raises(ForecastError, match="not enough history"):
        DayTypeMedian(empty, "load_kw", VIENNA).predict(NOW, 96, NOW)


def test_recorded_history_refuses_the_future(recording: Recording) -> None:
    history = RecordedHistory(recording, {"load_kw": ("load_kw", 1.0)}, ManualClock(NOW))
    assert history.means("load_kw", NOW - QUARTER, NOW).shape == (1,)
    with pytest.raises(ForecastError, match="future"):
        history.means("load_kw", NOW, NOW + QUARTER)
    with pytest.raises(ForecastError, match="wind_kw"):
        history.means("wind_kw", NOW - QUARTER, NOW)


def test_measured_values_come_before_recorded_ones(recording: Recording) -> None:
    start = NOW - 4 * QUARTER
    points = [MeasuredPoint(start + QUARTER, 900, {"load_kw": 77.0})]
    both = FirstKnown(
        MeasuredHistory(lambda s, a, b: points),
        RecordedHistory(recording, {"load_kw": ("load_kw", 1.0)}, ManualClock(NOW)),
    )
    values = both.means("load_kw", start, NOW)
    assert values[1] == 77.0
    assert values[0] == recording.quarter_hours("load_kw", start, 1)[0]
    assert both.label == "measured + recorded"


def test_offset_needs_a_measurement() -> None:
    nothing = decaying_offset(np.full(4, np.nan), np.ones(4), 8, 2.0)
    assert (nothing == 0).all()
