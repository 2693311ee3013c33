"""How good the forecasts were: scored against what came, named when they are worth nothing."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from engine.domain.clock import ManualClock
from engine.domain.errors import HistoryError
from engine.domain.forecast import (
    LOAD_SIGNAL,
    MODEL_RUN,
    PRICE_SIGNAL,
    PV_SIGNAL,
    Forecast,
)
from engine.domain.records import SampleRow
from engine.history.duckdb_store import DuckDbHistory
from engine.history.store import Batch, SiteForecast
from engine.runtime.accuracy_service import KEPT_FOR, WATCHED_EVERY, AccuracyService
from engine.runtime.forecast_archive import ForecastArchive
from engine.runtime.market_service import MarketService
from tests.support.build import forecast

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
FIRST = NOW - timedelta(days=12)
STEP = timedelta(minutes=15)


def load_kw(ts: datetime) -> float:
    """A load that differs from week to week by 10 kW."""
    week = (ts - FIRST) // timedelta(days=7)
    return 30.0 + ts.hour + (10.0 if week % 2 else 0.0)


def measured() -> tuple[SampleRow, ...]:
    times = [FIRST + i * timedelta(minutes=1) for i in range(12 * 1440)]
    return tuple(
        SampleRow(ts=ts, site_id="site-1", values={"load_kw": load_kw(ts), "pv_kw": 0.0})
        for ts in times
    )


def told(issued_at: datetime, error_kw: float, model: str = "ensemble") -> SiteForecast:
    times = [issued_at + i * STEP for i in range(96)]
    middle = np.array([load_kw(ts) + error_kw for ts in times])
    made: Forecast = forecast(
        LOAD_SIGNAL,
        start=issued_at,
        p10=middle - 2.0,
        p50=middle,
        p90=middle + 2.0,
        issued_at=issued_at,
        model=model,
    )
    return SiteForecast("site-1", made)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> DuckDbHistory:
    opened = DuckDbHistory(tmp_path_factory.mktemp("accuracy") / "hot.duckdb")
    days = [NOW - timedelta(days=d) for d in (2, 3, 4)]
    made = [told(day, 0.0, "perfect") for day in days]
    made += [told(day, 25.0, "poor") for day in days]
    made += [told(day, 0.0, MODEL_RUN) for day in days]
    opened.write(Batch(samples=measured(), forecasts=tuple(made)))
    return opened


@pytest.fixture
def service(store: DuckDbHistory) -> AccuracyService:
    return AccuracyService(store, "site-1", ManualClock(NOW))


def test_a_perfect_forecast_scores_nothing_and_beats_last_week(service: AccuracyService) -> None:
    by_model = {entry.model: entry for entry in service.scores(7)}
    perfect = by_model["perfect"].overall
    assert (perfect.mae, perfect.rmse, perfect.bias) == pytest.approx((0.0, 0.0, 0.0), abs=1e-9)
    assert perfect.coverage == 1.0
    assert perfect.rmae == pytest.approx(0.0, abs=1e-9)
    assert perfect.n == 3 * 96
    assert not by_model["perfect"].poor


def test_one_that_is_worse_than_last_week_is_poor_and_becomes_a_notice(
    service: AccuracyService,
) -> None:
    assert service.notices() == (), "nothing is said before anything was scored"
    service.watch()
    by_model = {entry.model: entry for entry in service.scores()}
    poor = by_model["poor"]
    # 25 kW too high against 10 kW from week to week.
    assert poor.overall.bias == pytest.approx(25.0)
    assert poor.overall.rmae == pytest.approx(2.5, rel=0.02)
    assert poor.poor
    (notice,) = service.notices()
    assert (notice.code, notice.severity) == ("forecast_poor", "info")
    assert notice.detail is not None
    assert "load_kw, poor: rMAE 2.5" in notice.detail


def test_lead_times_are_told_apart(service: AccuracyService) -> None:
    (poor,) = [entry for entry in service.scores() if entry.model == "poor"]
    assert len(poor.by_lead) > 1
    assert sum(lead.n for lead in poor.by_lead) == poor.overall.n


def test_what_is_kept_to_learn_from_and_what_was_never_forecast_are_absent(
    service: AccuracyService,
) -> None:
    found = {(entry.signal, entry.model) for entry in service.scores()}
    assert found == {(LOAD_SIGNAL, "perfect"), (LOAD_SIGNAL, "poor")}
    assert PV_SIGNAL not in {signal for signal, _ in found}


def test_nothing_stored_is_nothing_scored(tmp_path: Path) -> None:
    store = DuckDbHistory(tmp_path / "hot.duckdb")
    service = AccuracyService(store, "site-1", ManualClock(NOW))
    assert service.scores() == ()
    service.watch()
    assert service.notices() == ()
    store.close()


class CountingStore:
    """Counts the questions; may be on strike."""

    def __init__(self) -> None:
        self.asked = 0
        self.on_strike = False

    def forecasts(self, *arguments: object) -> list[object]:
        self.asked += 1
        if self.on_strike:
            raise HistoryError("The database is on strike.")
        return []


def test_the_history_is_not_asked_again_and_again() -> None:
    clock, store = ManualClock(NOW), CountingStore()
    service = AccuracyService(store, "site-1", clock)  # type: ignore[arg-type]
    service.scores(7)
    asked = store.asked
    service.scores(7)
    assert store.asked == asked
    service.scores(14)
    assert store.asked == 2 * asked
    clock.advance(KEPT_FOR.total_seconds())
    service.scores(7)
    assert store.asked == 3 * asked


def test_the_engine_looks_by_itself_a_few_times_a_day() -> None:
    clock, store = ManualClock(NOW), CountingStore()
    service = AccuracyService(store, "site-1", clock)  # type: ignore[arg-type]
    service.watch()
    asked = store.asked
    clock.advance(WATCHED_EVERY.total_seconds() - 1.0)
    service.watch()
    assert store.asked == asked
    clock.advance(1.0)
    service.watch()
    assert store.asked == 2 * asked


def test_a_history_that_fails_is_logged_and_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    clock, store = ManualClock(NOW), CountingStore()
    service = AccuracyService(store, "site-1", clock)  # type: ignore[arg-type]
    store.on_strike = True
    with caplog.at_level(logging.WARNING):
        service.watch()
    assert "on strike" in caplog.text
    with pytest.raises(HistoryError):
        service.scores()
    store.on_strike = False
    service.watch()
    assert service.scores() == ()


def test_errors_are_told_by_local_day_beside_last_weeks(service: AccuracyService) -> None:
    (poor,) = [entry for entry in service.scores(7) if entry.model == "poor"]
    assert sum(day.n for day in poor.by_day) == poor.overall.n
    assert all(day.mae == pytest.approx(25.0) for day in poor.by_day)
    assert poor.by_day[0].naive_mae == pytest.approx(10.0, rel=0.05)
    assert poor.mean_actual == pytest.approx(46.5, abs=6.0)


def test_the_archive_gives_what_was_planned_with_and_what_came(store: DuckDbHistory) -> None:
    archive = ForecastArchive(store, "site-1", MarketService(prices=None))  # type: ignore[arg-type]
    made = archive.vintages(LOAD_SIGNAL, NOW - timedelta(days=5), NOW)
    assert {header.model for header in made} == {"perfect", "poor"}
    told_then = archive.vintage(LOAD_SIGNAL, made[0].issued_at, made[0].model)
    assert told_then is not None
    came = archive.came(LOAD_SIGNAL, told_then.start, told_then.end)
    assert came.at(told_then.start, told_then.n_steps) == pytest.approx(told_then.p50)
    later = archive.came(LOAD_SIGNAL, NOW - STEP, NOW + STEP)
    assert np.isfinite(later.values).tolist() == [True, False]
    assert archive.vintage(LOAD_SIGNAL, NOW, "nobody") is None
    assert archive.weather(NOW) is None
    assert np.isnan(archive.came(PRICE_SIGNAL, NOW, NOW + STEP).values).all()
