"""Forecasts with their vintages, and what came instead; a new backend adds a subclass."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import duckdb
import numpy as np
import pytest

from engine.domain.clock import ManualClock
from engine.domain.errors import HistoryError
from engine.domain.forecast import LOAD_SIGNAL, PRICE_SIGNAL, PV_SIGNAL, Forecast
from engine.domain.quarter_hour import STEP
from engine.domain.records import EventRow, PriceRow, SampleRow
from engine.history.checks import MAX_FORECAST_STEPS
from engine.history.duckdb_store import DuckDbHistory
from engine.history.store import (
    FULL_VINTAGE_DAYS,
    MIN_GOOD_MINUTES,
    Batch,
    ForecastPairs,
    HistoryStore,
    SiteForecast,
)

T0 = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
DAY = timedelta(days=1)
WEEK = timedelta(days=7)
LATER = timedelta(seconds=3, microseconds=250)


def made(
    quarter: int = 0,
    *values: float,
    site_id: str = "main",
    signal: str = LOAD_SIGNAL,
    model: str = "ensemble",
    known: int = 0,
    late: timedelta = LATER,
) -> SiteForecast:
    """Return a forecast from quarter-hour `quarter` after T0 on, issued `late` into it."""
    middle = np.array(values or (1.0, 2.0, 3.0))
    spread = np.where(np.arange(middle.size) < known, 0.0, 0.5)
    start = T0 + quarter * STEP
    return SiteForecast(
        site_id,
        Forecast(
            signal=signal,
            start=start,
            p10=middle - spread,
            p50=middle,
            p90=middle + spread,
            issued_at=start + late,
            model=model,
            method="median of ridge and day type",
            known=np.arange(middle.size) < known,
        ),
    )


def measured(
    first: datetime, *values: float, minutes: int = 15, signal: str = LOAD_SIGNAL
) -> tuple[SampleRow, ...]:
    """Return samples every 20 s in the first `minutes` of each quarter-hour."""
    return tuple(
        SampleRow(first + i * STEP + timedelta(seconds=20 * k), "main", {signal: value})
        for i, value in enumerate(values)
        for k in range(3 * minutes)
    )


def price(ts: datetime, minutes: int, spot: float, site_id: str = "main") -> PriceRow:
    return PriceRow(ts, site_id, minutes, spot, spot + 0.1, spot, "recorded", T0)


def pairs(
    store: HistoryStore,
    signal: str = LOAD_SIGNAL,
    *,
    since: datetime = T0,
    until: datetime = T0 + DAY,
    leads: tuple[int, ...] | None = None,
) -> ForecastPairs:
    return store.forecast_pairs("main", signal, "ensemble", since, until, lead_steps=leads)


def instants(stamps: np.ndarray) -> list[datetime]:
    return [ts.replace(tzinfo=UTC) for ts in stamps.astype("datetime64[us]").tolist()]


class ForecastVintagesContract:
    """The tests; subclasses provide `store`, empty and open."""

    def test_a_forecast_comes_back_as_it_was_issued(self, store: HistoryStore) -> None:
        rng = np.random.default_rng(3)
        written = made(0, *rng.normal(size=144) * 80.0, known=5)
        store.write(Batch(forecasts=(written, made(1), made(0, model="naive"))))
        expected = written.forecast
        got = store.forecast("main", LOAD_SIGNAL, expected.issued_at, "ensemble")

        assert got is not None
        for name in ("signal", "start", "issued_at", "model", "method", "n_steps"):
            assert getattr(got, name) == getattr(expected, name), name
        for name in ("p10", "p50", "p90"):
            assert getattr(got, name) == pytest.approx(getattr(expected, name), rel=1e-7), name
        assert np.array_equal(got.known, expected.known)
        assert got.known.dtype == np.bool_

    def test_what_was_never_issued_is_none(self, store: HistoryStore) -> None:
        store.write(Batch(forecasts=(made(),)))
        issued = T0 + LATER
        assert store.forecast("main", LOAD_SIGNAL, issued, "naive") is None
        assert store.forecast("main", PV_SIGNAL, issued, "ensemble") is None
        assert store.forecast("other", LOAD_SIGNAL, issued, "ensemble") is None
        assert store.forecast("main", LOAD_SIGNAL, T0, "ensemble") is None

    def test_headers_are_of_the_period_of_issue_and_of_the_model(self, store: HistoryStore) -> None:
        store.write(
            Batch(
                forecasts=(
                    made(2),
                    made(0),
                    made(0, model="naive"),
                    made(0, signal=PV_SIGNAL),
                    made(0, site_id="other"),
                )
            )
        )
        all_of = store.forecasts("main", LOAD_SIGNAL, T0, T0 + DAY)
        assert [(h.issued_at - T0, h.model) for h in all_of] == [
            (LATER, "ensemble"),
            (LATER, "naive"),
            (2 * STEP + LATER, "ensemble"),
        ]
        assert [h.start for h in all_of] == [T0, T0, T0 + 2 * STEP]
        assert all_of[0].n_steps == 3
        assert all_of[0].method == "median of ridge and day type"
        assert len(store.forecasts("main", LOAD_SIGNAL, T0, T0 + DAY, "naive")) == 1
        assert store.forecasts("main", LOAD_SIGNAL, T0, T0 + LATER) == []

    def test_the_first_forecast_of_a_vintage_stays_and_is_stored_once(
        self, store: HistoryStore
    ) -> None:
        store.write(Batch(forecasts=(made(0, 1.0), made(0, 9.0))))
        store.write(Batch(forecasts=(made(-4, 7.0), made(0, 5.0), made(4, 7.0))))
        store.write(Batch(forecasts=(made(0, 5.0),)))
        assert store.counts()["forecasts"] == 3
        found = store.forecast("main", LOAD_SIGNAL, T0 + LATER, "ensemble")
        assert found is not None
        assert list(found.p50) == [1.0]

    def test_a_vintage_of_another_time_zone_is_the_same_instant(self, store: HistoryStore) -> None:
        store.write(Batch(forecasts=(made(),)))
        vienna = timezone(timedelta(hours=1))
        issued = (T0 + LATER).astimezone(vienna)
        assert store.forecast("main", LOAD_SIGNAL, issued, "ensemble") is not None

    def test_forecasts_meet_what_was_measured_by_lead(self, store: HistoryStore) -> None:
        store.write(
            Batch(
                samples=measured(T0, 10.0, 20.0, 30.0),
                forecasts=(
                    made(0, 1.0, 2.0, 3.0),
                    made(1, 4.0, 5.0, 6.0),
                    made(0, 99.0, model="naive"),
                    made(0, 99.0, site_id="other"),
                    made(0, 99.0, signal=PV_SIGNAL),
                ),
            )
        )
        got = pairs(store)

        assert len(got) == 5
        assert got.lead_steps.tolist() == [0, 1, 2, 0, 1]
        assert got.p50.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]
        assert got.p10.tolist() == [0.5, 1.5, 2.5, 3.5, 4.5]
        assert got.p90.tolist() == [1.5, 2.5, 3.5, 4.5, 5.5]
        assert got.actual.tolist() == [10.0, 20.0, 30.0, 20.0, 30.0]
        assert instants(got.ts) == [T0, T0 + STEP, T0 + 2 * STEP, T0 + STEP, T0 + 2 * STEP]
        assert instants(got.issued_at) == [T0 + LATER] * 3 + [T0 + STEP + LATER] * 2
        assert np.isnan(got.naive).all()
        assert got.p50.dtype == got.actual.dtype == got.naive.dtype == np.float64

    def test_leads_count_from_the_quarter_hour_of_issue(self, store: HistoryStore) -> None:
        ahead = made(3, 1.0, 2.0, late=-2 * STEP)
        running = made(3, 3.0, 4.0, late=timedelta(minutes=14, seconds=59))
        after_the_fact = made(3, 5.0, 6.0, late=STEP)
        store.write(
            Batch(
                samples=measured(T0 + 3 * STEP, 7.0, 8.0),
                forecasts=(ahead, running, after_the_fact),
            )
        )
        got = pairs(store)
        assert got.lead_steps.tolist() == [2, 3, 0, 1, 0]
        assert got.p50.tolist() == [1.0, 2.0, 3.0, 4.0, 6.0]
        chosen = pairs(store, leads=(1, 3))
        assert chosen.p50.tolist() == [2.0, 4.0]
        assert len(pairs(store, leads=())) == 0

    def test_the_period_is_that_of_the_quarter_hours_forecast(self, store: HistoryStore) -> None:
        store.write(
            Batch(samples=measured(T0, *map(float, range(8))), forecasts=(made(0, *[1.0] * 8),))
        )
        second = timedelta(seconds=1)
        got = pairs(store, since=T0 + 2 * STEP, until=T0 + 5 * STEP)
        assert got.actual.tolist() == [2.0, 3.0, 4.0]
        got = pairs(store, since=T0 + 2 * STEP + second, until=T0 + 5 * STEP + second)
        assert got.actual.tolist() == [3.0, 4.0, 5.0]
        for since, until in ((T0 + DAY, T0 + 2 * DAY), (T0, T0), (T0 + DAY, T0)):
            assert len(pairs(store, since=since, until=until)) == 0

    def test_what_was_known_when_forecast_is_not_scored(self, store: HistoryStore) -> None:
        store.write(
            Batch(samples=measured(T0, 10.0, 20.0, 30.0), forecasts=(made(0, 1, 2, 3, known=2),))
        )
        assert pairs(store).lead_steps.tolist() == [2]

    def test_a_quarter_hour_measured_too_little_is_not_scored(self, store: HistoryStore) -> None:
        late = measured(T0 + STEP, 20.0, minutes=MIN_GOOD_MINUTES - 1)
        unusable = tuple(
            SampleRow(row.ts + 2 * STEP, "main", {LOAD_SIGNAL: None}) for row in measured(T0, 0.0)
        )
        store.write(
            Batch(
                samples=(
                    *measured(T0, 10.0, minutes=MIN_GOOD_MINUTES),
                    *late,
                    *unusable,
                    *(replace(row, site_id="other") for row in measured(T0 + STEP, 77.0)),
                ),
                forecasts=(made(0, 1.0, 2.0, 3.0),),
            )
        )
        assert pairs(store).actual.tolist() == [10.0]

    def test_every_minute_counts_the_same_however_often_it_was_sampled(
        self, store: HistoryStore
    ) -> None:
        sparse = [
            SampleRow(T0 + timedelta(minutes=m), "main", {LOAD_SIGNAL: 0.0}) for m in range(14)
        ]
        dense = [
            SampleRow(T0 + timedelta(minutes=14, seconds=s), "main", {LOAD_SIGNAL: 150.0})
            for s in range(0, 60, 2)
        ]
        store.write(Batch(samples=(*sparse, *dense), forecasts=(made(0, 1.0),)))
        assert pairs(store).actual.tolist() == [pytest.approx(10.0)]

    def test_the_naive_forecast_is_the_week_before(self, store: HistoryStore) -> None:
        store.write(
            Batch(
                samples=(*measured(T0 - WEEK, 5.0), *measured(T0, 10.0, 20.0)),
                forecasts=(made(0, 1.0, 2.0),),
            )
        )
        got = pairs(store)
        assert got.actual.tolist() == [10.0, 20.0]
        assert got.naive[0] == 5.0
        assert np.isnan(got.naive[1])

    def test_pv_meets_pv(self, store: HistoryStore) -> None:
        store.write(
            Batch(
                samples=measured(T0, 3.5, signal=PV_SIGNAL),
                forecasts=(made(0, 4.0, signal=PV_SIGNAL),),
            )
        )
        got = pairs(store, PV_SIGNAL)
        assert (got.signal, got.model) == (PV_SIGNAL, "ensemble")
        assert got.actual.tolist() == [3.5]

    def test_prices_meet_what_was_published_at_the_finest_interval(
        self, store: HistoryStore
    ) -> None:
        hour = timedelta(hours=1)
        store.write(
            Batch(
                prices=(
                    price(T0 - hour, 60, 0.5),
                    price(T0 + STEP, 15, 0.125),
                    price(T0, 60, 0.25),
                    price(T0 + 3 * hour, 60, 0.75),
                    price(T0 - WEEK, 60, -0.5),
                    price(T0, 15, 9.0, "other"),
                ),
                forecasts=(made(-1, *[0.1] * 6, signal=PRICE_SIGNAL, late=timedelta(0)),),
            )
        )
        got = pairs(store, PRICE_SIGNAL, since=T0 - DAY)
        assert got.lead_steps.tolist() == [0, 1, 2, 3, 4]
        assert got.actual.tolist() == [0.5, 0.25, 0.125, 0.25, 0.25]
        assert np.array_equal(got.naive, [np.nan, -0.5, -0.5, -0.5, -0.5], equal_nan=True)
        inside = pairs(store, PRICE_SIGNAL, since=T0 + 3 * STEP, until=T0 + hour)
        assert inside.actual.tolist() == [0.25]

    @pytest.mark.parametrize(
        ("row", "field"),
        [
            (made(signal="soc_percent"), "forecast.signal"),
            (made(0, *[1.0] * (MAX_FORECAST_STEPS + 1)), "forecast"),
            (made(0, 1e39), "forecast.p10"),
            (
                SiteForecast(
                    "main",
                    replace(made().forecast, start=T0 + timedelta(minutes=5)),
                ),
                "forecast.start",
            ),
            (
                SiteForecast("main", replace(made().forecast, known=np.zeros(2, dtype=np.bool_))),
                "forecast.known",
            ),
        ],
    )
    def test_forecasts_that_cannot_be_scored_are_refused_by_name(
        self, store: HistoryStore, row: SiteForecast, field: str
    ) -> None:
        with pytest.raises(HistoryError) as caught:
            store.write(Batch(forecasts=(made(), row)))
        assert caught.value.field == field
        assert caught.value.hint
        assert store.counts()["forecasts"] == 0

    def test_questions_that_mean_nothing_are_refused(self, store: HistoryStore) -> None:
        with pytest.raises(HistoryError, match="soc_percent is not forecast"):
            store.forecasts("main", "soc_percent", T0, T0 + DAY)
        with pytest.raises(HistoryError, match="not forecast"):
            pairs(store, 'load_kw" FROM h.samples --')
        with pytest.raises(HistoryError, match="time zone"):
            store.forecast("main", LOAD_SIGNAL, datetime(2026, 1, 1), "m")  # noqa: DTZ001


class TestDuckDbVintages(ForecastVintagesContract):
    @pytest.fixture
    def store(self, tmp_path: Path, empty_history: Path) -> Iterator[HistoryStore]:
        # copying a file is quicker than creating one
        shutil.copytree(empty_history.parent, tmp_path, dirs_exist_ok=True)
        history = DuckDbHistory(tmp_path / empty_history.name)
        yield history
        history.close()


def day_of(ago_days: int) -> tuple[SiteForecast, ...]:
    """Return forecasts of two models every 15 min, and one extra each, of the hour 10:00."""
    first = -96 * ago_days
    return tuple(
        made(first + quarter, 1.0, model=model, late=late)
        for model in ("ensemble", "naive")
        for quarter in range(4)
        for late in ((LATER, 2 * LATER) if quarter == 0 else (LATER,))
    )


def test_old_vintages_are_thinned_to_the_first_of_each_hour_and_model(tmp_path: Path) -> None:
    clock = ManualClock(T0 + timedelta(hours=5))
    with DuckDbHistory(tmp_path / "h.duckdb", clock=clock) as store:
        old = FULL_VINTAGE_DAYS + 1
        store.write(Batch(forecasts=(*day_of(0), *day_of(FULL_VINTAGE_DAYS - 1), *day_of(old))))
        kept = store.forecasts("main", LOAD_SIGNAL, T0 - 100 * DAY, T0 + DAY)
        ages = [(T0 - h.issued_at) // DAY + 1 for h in kept]
        assert (ages.count(0), ages.count(FULL_VINTAGE_DAYS - 1), ages.count(old)) == (10, 10, 2)
        assert [h.issued_at for h in kept if h.issued_at < T0 - old * DAY + DAY] == [
            T0 - old * DAY + LATER
        ] * 2
        assert {h.model for h in kept[:2]} == {"ensemble", "naive"}

        clock.advance(2 * 86_400)
        store.write(Batch(events=(EventRow(T0, "main", "info", "x", "y"),)))
        assert store.counts()["forecasts"] == 10 + 2 + 2
        store.write(Batch(forecasts=day_of(old)))
        store.write(Batch(forecasts=day_of(0)))
        clock.advance(86_400)
        store.write(Batch(forecasts=day_of(0)))
        assert store.counts()["forecasts"] == 10 + 2 + 2


def test_a_failed_thinning_does_not_fail_the_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[EventRow] = []

    def fail(*_: object) -> None:
        raise duckdb.IOException("IO Error: No space left on device")

    monkeypatch.setattr("engine.history.duckdb_store.thin_forecasts", fail)
    with DuckDbHistory(tmp_path / "h.duckdb", on_event=told.append) as store:
        store.write(Batch(forecasts=(made(),)))
        store.write(Batch(forecasts=(made(1),)))
        assert store.counts()["forecasts"] == 2
        assert [e.code for e in told] == ["history_thinning_failed"]
        assert [e.code for e in store.events("main", T0 - WEEK, T0 + 365 * DAY)] == [
            "history_thinning_failed"
        ]
