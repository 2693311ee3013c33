"""What happens at or after `now` never changes a forecast; quantiles never cross."""

from __future__ import annotations

from datetime import date, timedelta

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.domain.forecast import LOAD_SIGNAL, PRICE_SIGNAL
from engine.domain.quarter_hour import quarter_start
from engine.forecasting.factory import build_forecaster
from tests.unit.forecasting_histories import VIENNA, ArrayHistory, midnight

FIRST = date(2026, 2, 2)
DAYS = 76


class UntilNow(ArrayHistory):
    """Refuses to be asked for the future, as a database could not answer it either."""

    now = None

    def means(self, signal, start, end):
        assert self.now is None or end <= self.now, "a forecast asked for the future"
        return super().means(signal, start, end)


def series(seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    n = DAYS * 96
    daily = 20.0 + 10.0 * np.sin(np.arange(n) / 96.0 * 2.0 * np.pi)
    values = daily + rng.normal(0.0, 3.0, n)
    for _ in range(int(rng.integers(0, 4))):
        at = int(rng.integers(0, n - 200))
        values[at : at + int(rng.integers(1, 200))] = np.nan
    return np.maximum(values, 0.0)


@given(
    seed=st.integers(0, 10_000),
    back_quarters=st.integers(1, 96 * 4),
    minutes=st.integers(0, 14),
    choice=st.sampled_from(["seasonal_naive", "day_type", "ridge", "lightgbm", "ensemble"]),
)
@settings(max_examples=12)
def test_the_future_never_changes_a_load_forecast(
    seed: int, back_quarters: int, minutes: int, choice: str
) -> None:
    start = midnight(FIRST)
    values = series(seed)
    now = start + (DAYS * 96 - back_quarters) * timedelta(minutes=15) + timedelta(minutes=minutes)
    other = values.copy()
    # The quarter-hour that runs is not complete, so it must not count either.
    from_index = (quarter_start(now) - start) // timedelta(minutes=15)
    other[from_index:] = np.random.default_rng(seed + 1).uniform(0.0, 500.0, DAYS * 96 - from_index)
    forecasts = []
    for given_values in (values, other):
        history = UntilNow(start, given_values)
        history.now = quarter_start(now)
        model = build_forecaster(LOAD_SIGNAL, choice, history, VIENNA, "AT")
        model.fit(now)
        forecasts.append(model.predict(quarter_start(now), 160, now))
    first, second = forecasts
    for name in ("p10", "p50", "p90"):
        assert (getattr(first, name) == getattr(second, name)).all()
    assert (first.p10 <= first.p50).all()
    assert (first.p50 <= first.p90).all()
    assert first.p10.min() >= 0.0
    assert first.method == second.method


@given(seed=st.integers(0, 10_000), hour=st.integers(0, 23))
@settings(max_examples=8)
def test_unpublished_prices_never_change_a_price_forecast(seed: int, hour: int) -> None:
    start = midnight(FIRST)
    values = series(seed) / 200.0 - 0.02
    today = FIRST + timedelta(days=DAYS - 3)
    published = (midnight(today + timedelta(days=1)) - start) // timedelta(minutes=15)
    now = midnight(today) + timedelta(hours=hour)
    hidden = values.copy()
    hidden[published:] = np.nan
    made = []
    for given_values in (hidden, hidden[:published]):
        history = ArrayHistory(start, given_values)
        model = build_forecaster(PRICE_SIGNAL, "ridge", history, VIENNA, "AT")
        made.append(model.predict(now, 192, now))
    assert (made[0].p50 == made[1].p50).all()
    assert (made[0].p10 <= made[0].p50).all()
    assert (made[0].p50 <= made[0].p90).all()
