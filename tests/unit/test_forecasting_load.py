"""Load forecasts: calendar, gaps, clock changes, new sites, quantiles, and real data."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from engine.domain.errors import ForecastError
from engine.domain.forecast import LOAD_SIGNAL, Forecast
from engine.domain.quarter_hour import STEP, quarter_start
from engine.forecasting.calendar import DayType, HolidayCalendar
from engine.forecasting.factory import build_forecaster
from tests.unit.forecasting_histories import (
    BERLIN,
    VIENNA,
    ArrayHistory,
    from_formula,
    measured_load,
    midnight,
    office,
)

CHOICES = ("seasonal_naive", "day_type", "ridge", "lightgbm", "ensemble")


def forecast(
    history: ArrayHistory, now: datetime, n: int = 96, choice: str = "auto", **given
) -> Forecast:
    model = build_forecaster(LOAD_SIGNAL, choice, history, VIENNA, "AT", **given)
    return model.predict(quarter_start(now), n, now)


@pytest.mark.parametrize("choice", CHOICES)
def test_a_regular_week_is_repeated(choice: str) -> None:
    history = from_formula(date(2026, 1, 12), 56, office)
    now = midnight(date(2026, 3, 6))
    made = forecast(history, now, 4 * 96, choice)
    truth = np.array([office((now + i * STEP).astimezone(VIENNA)) for i in range(4 * 96)])
    assert np.abs(made.p50 - truth).mean() < 0.8
    assert made.model == choice
    assert made.issued_at == now
    assert not made.known.any()


def test_a_public_holiday_is_a_sunday() -> None:
    def site(local: datetime) -> float:
        return 4.0 if HolidayCalendar("AT").is_holiday(local.date()) else office(local)

    # Monday 2026-10-26 is the Austrian national day.
    now = midnight(date(2026, 10, 26))
    history = from_formula(date(2026, 8, 31), 56, site)
    made = forecast(history, now, choice="day_type")
    assert made.p50 == pytest.approx(4.0)
    assert "holidays of AT" in made.method
    ordinary = build_forecaster(LOAD_SIGNAL, "day_type", history, VIENNA)
    assert ordinary.predict(now, 96, now).p50.max() == pytest.approx(20.0)


def test_holidays_follow_the_subdivision() -> None:
    assumption = date(2026, 8, 15)
    corpus_christi = date(2026, 6, 4)
    assert HolidayCalendar("DE", "BY").kind(corpus_christi) is DayType.SUNDAY
    assert HolidayCalendar("DE", "BE").kind(corpus_christi) is DayType.WORKDAY
    assert HolidayCalendar().kind(assumption) is DayType.SATURDAY
    with pytest.raises(ForecastError, match="not known"):
        HolidayCalendar("XX")


@pytest.mark.parametrize(
    ("day", "steps"), [(date(2026, 10, 25), 100), (date(2026, 3, 29), 92)], ids=["25h", "23h"]
)
@pytest.mark.parametrize("choice", ["seasonal_naive", "day_type", "ridge"])
def test_a_day_with_a_clock_change_keeps_wall_time(day: date, steps: int, choice: str) -> None:
    history = from_formula(day - timedelta(days=60), 60, lambda t: 10.0 + t.hour)
    now = midnight(day)
    made = forecast(history, now, steps + 96, choice)
    assert midnight(day + timedelta(days=1)) - now == steps * STEP
    truth = [10.0 + (now + i * STEP).astimezone(VIENNA).hour for i in range(steps + 96)]
    assert made.p50 == pytest.approx(truth, abs=0.5)


def test_the_past_may_hold_clock_changes() -> None:
    history = from_formula(date(2026, 3, 20), 20, lambda t: 10.0 + t.hour)
    now = midnight(date(2026, 4, 5))
    made = forecast(history, now, choice="seasonal_naive")
    # A week before is 2026-03-29, whose 02:00 hour does not exist: it lies between its neighbours.
    assert made.p50[8:12] == pytest.approx([11.2, 12.4, 12.6, 12.8], abs=1.0)


@pytest.mark.parametrize("choice", CHOICES)
def test_gaps_are_never_read_as_zero(choice: str) -> None:
    history = from_formula(date(2026, 1, 12), 56, lambda t: 30.0 + office(t))
    now = midnight(date(2026, 3, 6))
    end = history.index(now)
    history.values[end - 2 * 96 : end - 96 // 2] = np.nan
    history.values[end - 10 * 96 : end - 10 * 96 + 6] = np.nan
    made = forecast(history, now, 96, choice)
    truth = np.array([30.0 + office((now + i * STEP).astimezone(VIENNA)) for i in range(96)])
    assert np.abs(made.p50 - truth).max() < 8.0
    assert np.abs(made.p50 - truth).mean() < 1.0
    assert "have gaps" in made.method


def test_a_new_site_gets_a_plan_and_is_told_what_it_rests_on() -> None:
    start = midnight(date(2026, 6, 1))
    history = from_formula(date(2026, 6, 1), 60, office)

    def at(**after: float) -> Forecast:
        now = start + timedelta(**after)
        known = ArrayHistory(start, history.values[: history.index(now)])
        return forecast(known, now, 192)

    with pytest.raises(ForecastError, match="Wait until an hour") as refused:
        at(minutes=30)
    assert refused.value.field == LOAD_SIGNAL
    first = at(hours=3)
    assert first.model == "flat_mean"
    assert np.ptp(first.p50) == pytest.approx(0.0)
    assert "flat mean of the first 3 h measured" in first.method
    assert "default widths" in first.method
    assert (first.p90 - first.p10 > 0.2 * first.p50).all()
    second = at(hours=17)
    assert "mean by time of day of the first 17 h" in second.method
    # Tomorrow at 05:00 and at 12:00 were seen today, 20:00 was not.
    assert second.p50[12 * 4] == pytest.approx(5.0, abs=0.5)
    assert second.p50[19 * 4] == pytest.approx(20.0, abs=0.5)
    assert 6.0 < second.p50[3 * 4] < 19.0
    # Tuesday to Thursday seen: Friday is a workday, Saturday was never seen.
    days = at(days=4)
    assert days.model == "day_type"
    assert days.p50[:96].max() == pytest.approx(20.0, abs=0.5)
    assert "not enough history for ridge: 4 of 28 days" in days.method
    assert at(days=20).model == "day_type"
    assert at(days=45).model == "ensemble"


def test_the_last_hour_moves_the_next_ones_and_narrows_them() -> None:
    rng = np.random.default_rng(1)
    history = from_formula(date(2026, 4, 13), 56, lambda t: 40.0 + office(t))
    # Disturbances that last for hours, as on a real site.
    noise = np.zeros(len(history.values))
    for i in range(1, noise.size):
        noise[i] = 0.97 * noise[i - 1] + rng.normal(0.0, 1.0)
    history.values += noise
    now = midnight(date(2026, 6, 3)) + timedelta(hours=10)
    at = history.index(now)
    calm = forecast(history, now, 96, "day_type")
    history.values[at - 4 : at] += 15.0
    moved = forecast(history, now, 96, "day_type")
    assert moved.p50[0] > calm.p50[0] + 10.0
    shift = moved.p50 - calm.p50
    assert 0.0 < shift[40] < 0.4 * shift[0]
    width = moved.p90 - moved.p10
    assert width[:4].mean() < 0.7 * width[36:44].mean()


def test_a_load_is_never_forecast_negative() -> None:
    history = from_formula(date(2026, 4, 13), 56, lambda t: 1.0)
    now = midnight(date(2026, 6, 3)) + timedelta(hours=10)
    history.values[history.index(now) - 4 : history.index(now)] = -30.0
    made = forecast(history, now, 96)
    assert made.p10.min() >= 0.0


def test_the_running_quarter_hour_counts_what_was_measured() -> None:
    history = from_formula(date(2026, 4, 13), 56, lambda t: 20.0)
    now = midnight(date(2026, 6, 3)) + timedelta(hours=10, minutes=9)
    made = forecast(history, now, 8, "day_type", running_mean=lambda signal, start, at: 50.0)
    assert made.p50[0] == pytest.approx(0.6 * 50.0 + 0.4 * 20.0)
    assert made.p50[1] == pytest.approx(20.0)


def test_learning_is_done_once_a_day() -> None:
    history = from_formula(date(2026, 2, 2), 120, office)
    model = build_forecaster(LOAD_SIGNAL, "ridge", history, VIENNA)
    now = midnight(date(2026, 5, 20)) + timedelta(hours=1)
    model.fit(now)
    history.steps_read = 0
    model.fit(now + timedelta(hours=5))
    assert history.steps_read == 0
    model.fit(now + timedelta(days=1))
    # Only what is new (and what may have come late) is read again, not the whole past.
    assert 0 < history.steps_read < 40 * 96


def test_equal_inputs_give_equal_forecasts() -> None:
    history = measured_load("office_medium_2015")
    now = midnight(date(2015, 6, 10), BERLIN) + timedelta(hours=11)
    cut = ArrayHistory(history.start, history.values[: history.index(now)])
    first, second = (forecast(cut, now, 96) for _ in range(2))
    assert (first.p50 == second.p50).all()
    assert (first.p90 == second.p90).all()


def test_unknown_choices_are_refused_with_the_known_ones() -> None:
    history = from_formula(date(2026, 4, 13), 7, office)
    with pytest.raises(ForecastError, match="ridge, lightgbm"):
        build_forecaster(LOAD_SIGNAL, "arima", history, VIENNA)
    with pytest.raises(ForecastError, match="wind_kw"):
        build_forecaster("wind_kw", "auto", history, VIENNA)
    with pytest.raises(ForecastError, match="clear-sky"):
        build_forecaster("pv_kw", "prophet", history, VIENNA)


def test_a_start_far_in_the_past_is_refused() -> None:
    history = from_formula(date(2026, 4, 13), 56, office)
    now = datetime(2026, 6, 5, 12, tzinfo=UTC)
    model = build_forecaster(LOAD_SIGNAL, "day_type", history, VIENNA)
    with pytest.raises(ForecastError, match="past"):
        model.predict(now - timedelta(days=90), 4, now)


@pytest.mark.parametrize(
    ("choice", "at_most"),
    [("day_type", 1.0), ("ridge", 0.92), ("lightgbm", 1.0), ("ensemble", 0.90)],
)
def test_models_beat_last_week_on_a_measured_year(choice: str, at_most: float) -> None:
    history = measured_load("metalworking_2018")
    errors, naive, inside = [], [], []
    model = build_forecaster(LOAD_SIGNAL, choice, history, BERLIN, "DE")
    yardstick = build_forecaster(LOAD_SIGNAL, "seasonal_naive", history, BERLIN, "DE")
    for i in range(10):
        now = midnight(date(2018, 6, 4) + timedelta(days=2 * i), BERLIN)
        truth = history.steps(now, 96)
        model.fit(now)
        yardstick.fit(now)
        made = model.predict(now, 96, now)
        errors.append(np.abs(made.p50 - truth).mean())
        naive.append(np.abs(yardstick.predict(now, 96, now).p50 - truth).mean())
        inside.append(((truth >= made.p10) & (truth <= made.p90)).mean())
    assert np.mean(errors) < at_most * np.mean(naive)
    assert 0.65 < np.mean(inside) < 0.95
