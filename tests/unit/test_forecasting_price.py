"""Price forecasts: published steps stay as they are, the rest is like the past."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from engine.domain.clock import ManualClock
from engine.domain.errors import ForecastError
from engine.domain.forecast import PRICE_SIGNAL
from engine.domain.quarter_hour import STEP
from engine.forecasting.factory import build_forecaster
from engine.forecasting.histories import RecordedHistory
from engine.forecasting.price_history import PriceHistory
from engine.forecasting.published import PublishedPrices
from engine.market.prices import DayAheadPrices, PriceOrigin
from engine.market.recorded_prices import RecordedPrices
from engine.recorded.recording import Recording
from tests.unit.forecasting_histories import VIENNA, ArrayHistory, from_formula, midnight

NOW = datetime(2026, 3, 10, 9, 7, tzinfo=UTC)
START = datetime(2026, 3, 10, 9, 0, tzinfo=UTC)


def market(local: datetime) -> float:
    """Cheap at noon and on Sundays, dear in the evening; quarters differ within the hour."""
    base = 0.10 - 0.06 * (11 <= local.hour < 15) + 0.08 * (18 <= local.hour < 21)
    return base - 0.03 * (local.weekday() == 6) + (local.minute - 22.5) / 1500.0


def published_until(
    end: datetime, *, first: date = date(2025, 12, 1), minutes: int = 15
) -> DayAheadPrices:
    days = (end.astimezone(VIENNA).date() - first).days
    quarters = from_formula(first, days, market)
    spot = quarters.values
    if minutes == 60:
        spot = np.repeat(spot.reshape(-1, 4).mean(axis=1), 4)
    return DayAheadPrices(
        start=quarters.start,
        spot_eur_per_kwh=spot,
        source="test",
        fetched_at=NOW,
        origins=(PriceOrigin("test", NOW, minutes),),
        origin_index=np.zeros(len(spot), dtype=np.int64),
    )


def forecaster(prices: DayAheadPrices, choice: str = "auto", **given) -> PublishedPrices:
    model = build_forecaster(
        PRICE_SIGNAL, choice, PriceHistory(lambda: prices), VIENNA, "AT", **given
    )
    return PublishedPrices(model, lambda now: prices, VIENNA, **given)


def test_published_prices_are_untouched_and_the_rest_is_forecast() -> None:
    prices = published_until(midnight(date(2026, 3, 11)))
    made = forecaster(prices).predict(START, 192, NOW)
    n = (prices.end - START) // STEP
    assert made.known.tolist() == [True] * n + [False] * (192 - n)
    for values in (made.p10, made.p50, made.p90):
        assert (values[:n] == prices.steps(START, n)).all()
    truth = np.array([market((START + i * STEP).astimezone(VIENNA)) for i in range(192)])
    assert np.abs(made.p50 - truth)[n:].mean() < 0.01
    assert made.model == "ridge"
    assert made.method.startswith("published (test), then ridge regression on")
    assert "28-day profile" in made.method


def test_everything_published_needs_no_model() -> None:
    prices = published_until(midnight(date(2026, 3, 12)), first=date(2026, 3, 10))
    made = forecaster(prices).predict(START, 96, NOW)
    assert made.known.all()
    assert made.method == "published (test)"


def test_a_model_that_learnt_nothing_matters_only_where_it_is_needed() -> None:
    prices = published_until(midnight(date(2026, 3, 12)), first=date(2026, 3, 10))
    now = prices.end - 4 * STEP
    few = DayAheadPrices(now, prices.steps(now, 4), "test", now)
    model = forecaster(few)
    model.fit(now)
    assert model.predict(now, 4, now).known.all()
    with pytest.raises(ForecastError, match="not enough history"):
        model.predict(now, 5, now)


def test_hourly_prices_under_quarter_hour_settlement_keep_their_hourly_mean() -> None:
    quarters = published_until(midnight(date(2026, 3, 11)))
    hourly = published_until(midnight(date(2026, 3, 11)), minutes=60)
    today = (midnight(date(2026, 3, 10)) - quarters.start) // STEP
    spot = quarters.spot_eur_per_kwh.copy()
    spot[today:] = hourly.spot_eur_per_kwh[today:]
    index = np.zeros(len(spot), dtype=np.int64)
    index[today:] = 1
    mixed = DayAheadPrices(
        quarters.start,
        spot,
        "test",
        NOW,
        origins=(PriceOrigin("test", NOW, 15), PriceOrigin("test", NOW, 60)),
        origin_index=index,
    )
    n = (mixed.end - START) // STEP
    made = forecaster(mixed).predict(START, n, NOW)
    means = made.p50.reshape(-1, 4).mean(axis=1)
    assert means == pytest.approx(mixed.steps(START, n).reshape(-1, 4).mean(axis=1), abs=1e-12)
    assert made.p50 == pytest.approx(quarters.steps(START, n), abs=1e-9)
    assert not made.known.any()
    settled_hourly = forecaster(mixed, settlement_minutes=60).predict(START, n, NOW)
    assert settled_hourly.known.all()
    assert (settled_hourly.p50 == mixed.steps(START, n)).all()


def test_little_history_means_the_similar_day_and_says_so() -> None:
    end = midnight(date(2026, 3, 11))
    made = forecaster(published_until(end, first=date(2026, 2, 20))).predict(START, 192, NOW)
    assert made.model == "similar_day"
    assert "not enough history for ridge: 19 of 60 days" in made.method
    # Wednesday is like the day before.
    n = (end - START) // STEP
    day_before = published_until(end).steps(end - timedelta(days=1), 36)
    assert made.p50[n : n + 36] == pytest.approx(day_before)
    model = build_forecaster(PRICE_SIGNAL, "auto", ArrayHistory(START, np.empty(0)), VIENNA)
    with pytest.raises(ForecastError) as refused:
        model.predict(START, 4, NOW)
    assert refused.value.field == PRICE_SIGNAL


def test_an_outage_of_the_source_is_bridged() -> None:
    # The last prices are those of the day before yesterday.
    prices = published_until(midnight(date(2026, 3, 9)))
    made = forecaster(prices).predict(START, 96, NOW)
    truth = np.array([market((START + i * STEP).astimezone(VIENNA)) for i in range(96)])
    assert not made.known.any()
    assert np.abs(made.p50 - truth).mean() < 0.015


@pytest.mark.parametrize("day", [date(2026, 3, 29), date(2026, 10, 25)], ids=["23h", "25h"])
def test_days_with_a_clock_change(day: date) -> None:
    now = midnight(day) - timedelta(hours=12)
    history = from_formula(day - timedelta(days=100), 100, market)
    made = build_forecaster(PRICE_SIGNAL, "auto", history, VIENNA).predict(midnight(day), 120, now)
    truth = np.array([market((midnight(day) + i * STEP).astimezone(VIENNA)) for i in range(120)])
    assert np.abs(made.p50 - truth).mean() < 0.02


def test_ridge_beats_last_week_on_recorded_prices(recording: Recording) -> None:
    clock = ManualClock(datetime(2026, 3, 2, 9, tzinfo=UTC))
    past = RecordedHistory(recording, {PRICE_SIGNAL: ("price_at_eur_mwh", 0.001)}, clock)
    source = RecordedPrices(recording, clock)
    history = PriceHistory(lambda: source.published(clock.now()), past)
    models = {
        choice: build_forecaster(
            PRICE_SIGNAL, choice, history, VIENNA, "AT", longest_history_days=150
        )
        for choice in ("ridge", "seasonal_naive")
    }
    errors: dict[str, list[float]] = {choice: [] for choice in models}
    inside = []
    for _ in range(12):
        target = midnight(clock.now().astimezone(VIENNA).date() + timedelta(days=1))
        truth = recording.quarter_hours("price_at_eur_mwh", target, 96) / 1000.0
        for choice, model in models.items():
            model.fit(clock.now())
            made = model.predict(target, 96, clock.now())
            errors[choice].append(float(np.abs(made.p50 - truth).mean()))
            if choice == "ridge":
                inside.append(((truth >= made.p10) & (truth <= made.p90)).mean())
        clock.advance(3 * 86400.0)
    assert np.mean(errors["ridge"]) < 0.85 * np.mean(errors["seasonal_naive"])
    assert 0.6 < np.mean(inside) < 0.95


def test_a_price_history_knows_prices_only() -> None:
    prices = published_until(midnight(date(2026, 3, 11)))
    with pytest.raises(ForecastError, match="prices only"):
        PriceHistory(lambda: prices).means("load_kw", START, START + STEP)
    older = from_formula(date(2025, 11, 1), 30, lambda t: 0.5)
    both = PriceHistory(lambda: prices, older)
    values = both.means(PRICE_SIGNAL, prices.start - STEP, prices.start + STEP)
    assert values.tolist() == [0.5, prices.spot_eur_per_kwh[0]]
    assert both.label == "test prices"
