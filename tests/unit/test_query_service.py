"""Questions for series: what a chart gets, at which step, and how questions end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engine.history.duckdb_store import DuckDbHistory
from engine.history.query_errors import QueryError, QueryStoppedError
from engine.history.query_service import HistoryQueries, rounded
from engine.history.read_limit import ReadLimit, limited_reads
from engine.history.series_query import Aggregation, Earlier, SeriesAnswer, SeriesQuery, Step
from engine.history.store import Batch
from tests.support.history_data import (
    QUARTER,
    SITE,
    START,
    booking,
    fill,
    forecast,
    price,
    samples,
    write_samples,
)

VIENNA = "Europe/Vienna"
HOUR = timedelta(hours=1)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DuckDbHistory]:
    with DuckDbHistory(tmp_path_factory.mktemp("history") / "hot.duckdb") as history:
        fill(history)
        yield history


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[DuckDbHistory]:
    with DuckDbHistory(tmp_path / "hot.duckdb") as history:
        yield history


class Time:
    """A time that moves when told."""

    def __init__(self, now: datetime = START + 2 * HOUR) -> None:
        self.now, self.seconds = now, 0.0

    def __call__(self) -> datetime:
        return self.now

    def monotonic(self) -> float:
        return self.seconds


def queries(store: DuckDbHistory, time: Time | None = None) -> HistoryQueries:
    time = time or Time()
    return HistoryQueries(store, VIENNA, time, monotonic=time.monotonic)


def ask(store: DuckDbHistory, *signals: str, hours: float = 2.0, **changes: object) -> SeriesAnswer:
    query = SeriesQuery(SITE, signals, START, START + hours * HOUR, **changes)  # type: ignore[arg-type]
    return queries(store).series(query)


def test_a_short_period_shows_single_samples_and_their_energy(store: DuckDbHistory) -> None:
    answer = ask(store, "battery_kw", "load_kw", max_points=10_000)
    battery = answer.series["battery_kw"]
    assert answer.step is Step.RAW
    assert battery.n == battery.values.size == 3600
    assert battery.unit == "kW"
    assert not battery.stepped
    figures = battery.statistics
    assert figures is not None
    assert figures.positive_kwh == pytest.approx(20.0, abs=0.02)
    assert figures.negative_kwh == pytest.approx(20.0, abs=0.02)
    assert figures.coverage == pytest.approx(1.0, abs=0.001)
    load = answer.series["load_kw"].statistics
    assert load is not None
    assert (load.low, load.high) == pytest.approx((20.0, 40.0), abs=0.01)
    assert load.mean == pytest.approx(30.0, abs=0.01)


def test_coarser_steps_agree_with_the_samples(store: DuckDbHistory) -> None:
    for step, n in ((Step.MINUTE, 120), (Step.QUARTER_HOUR, 8), (Step.HOUR, 2), (Step.DAY, 1)):
        answer = ask(store, "load_kw", "battery_kw", "grid_import_kwh", step=step)
        load, battery = answer.series["load_kw"], answer.series["battery_kw"]
        assert load.values.size == n
        assert load.low is not None
        assert load.high is not None
        assert load.low.min() == pytest.approx(20.0, abs=0.01)
        assert load.high.max() == pytest.approx(40.0, abs=0.01)
        assert np.average(load.values) == pytest.approx(30.0, abs=0.05)
        assert battery.statistics is not None
        assert battery.statistics.positive_kwh == pytest.approx(20.0, abs=0.05)
        # a counter shows its last value, not a mean
        assert answer.series["grid_import_kwh"].values[-1] == pytest.approx(1002.0, abs=0.01)


def test_energies_per_interval(store: DuckDbHistory) -> None:
    answer = ask(store, "battery_kw", aggregation=Aggregation.NEGATIVE_KWH)
    assert answer.step is Step.QUARTER_HOUR
    assert answer.series["battery_kw"].values.sum() == pytest.approx(20.0, abs=0.05)
    with pytest.raises(QueryError, match="no power that energies are kept of"):
        ask(store, "soc_percent", aggregation=Aggregation.POSITIVE_KWH)
    with pytest.raises(QueryError, match="no measured power"):
        ask(store, "price:buy_eur_per_kwh", aggregation=Aggregation.POSITIVE_KWH)


def test_prices_bookings_baselines_plans_and_key_figures_are_series(store: DuckDbHistory) -> None:
    answer = ask(
        store,
        "price:buy_eur_per_kwh",
        "ledger:cost_eur",
        "savings:no_battery:cost_eur",
        "plan:grid_kw",
        step=Step.HOUR,
    )
    prices = answer.series["price:buy_eur_per_kwh"]
    assert prices.unit == "EUR/kWh"
    assert prices.stepped
    assert prices.values == pytest.approx([0.235, 0.275])
    assert answer.series["ledger:cost_eur"].values == pytest.approx([4.4, 4.4])
    assert answer.series["savings:no_battery:cost_eur"].values == pytest.approx([8.0, 8.0])
    assert answer.series["plan:grid_kw"].values == pytest.approx([20.0, 20.0])
    figures = answer.series["ledger:cost_eur"].statistics
    assert figures is not None
    assert figures.total == pytest.approx(8.8)
    daily = HistoryQueries(store, VIENNA, Time()).series(
        SeriesQuery(SITE, ("metric:energy_cost_eur",), START - 24 * HOUR, START + 24 * HOUR)
    )
    found = daily.series["metric:energy_cost_eur"]
    assert (found.unit, found.values.tolist()) == ("EUR", [12.5])
    assert found.ts.tolist() == [np.datetime64("2026-11-22T23:00", "us").item()]


def test_a_forecast_is_asked_for_by_its_age(empty: DuckDbHistory) -> None:
    made = [forecast(START + k * HOUR, 30.0 + k) for k in range(3)]
    other = forecast(START + 2 * HOUR, 99.0, model="other")
    bare = forecast(START + 2 * HOUR, 5.0, model="pv_model_uncalibrated", signal="pv_kw")
    empty.write(Batch(forecasts=(*made, other, bare)))
    names = (
        "forecast:load_kw:p50:ensemble",
        "forecast:load_kw:p50:ensemble@1h",
        "forecast:load_kw:p90:other",
        "forecast:pv_kw:p50",
    )
    query = SeriesQuery(SITE, names, START + 2 * HOUR, START + 3 * HOUR)
    answer = queries(empty, Time(START + 3 * HOUR)).series(query)
    newest, hour_old, other_high, none = (answer.series[name].values for name in names)
    assert newest.tolist() == [32.0] * 4
    assert hour_old.tolist() == [31.0] * 4
    assert other_high.tolist() == [100.0] * 4
    # output of the bare PV model is kept for calibration and is no forecast to show
    assert none.size == 0


@pytest.mark.parametrize(
    "name",
    [
        "no_such_signal", "price:source", "price:", "ledger:ts", "savings:cost_eur", "nothing:x",
        "forecast:soc_percent:p50", "forecast:load_kw:p51", "forecast:load_kw:p50@x",
        "forecast:load_kw:p50@999h", "metric:a b", 'plan:battery_kw"', "measured:load_kw", "",
        'savings:x";--:cost_eur',
    ],
)  # fmt: skip
def test_a_name_of_nothing_is_refused(store: DuckDbHistory, name: str) -> None:
    with pytest.raises(QueryError) as caught:
        ask(store, name)
    assert caught.value.field == "signals"


def test_impossible_questions_say_what_is_possible() -> None:
    def query(**changes: object) -> SeriesQuery:
        given: dict[str, object] = {
            "site_id": SITE, "signals": ("load_kw",), "since": START, "until": START + HOUR,
        }  # fmt: skip
        return SeriesQuery(**(given | changes))  # type: ignore[arg-type]

    for changes, field in (
        ({"until": START}, "to"),
        ({"signals": ()}, "signals"),
        ({"signals": ("load_kw",) * 21}, "signals"),
        ({"max_points": 5}, "max_points"),
        ({"step": Step.RAW, "until": START + 200 * HOUR}, "resolution"),
    ):
        with pytest.raises(QueryError) as caught:
            query(**changes)
        assert caught.value.field == field
        assert caught.value.hint


@pytest.mark.parametrize(
    ("hours", "step"),
    [(1, Step.RAW), (48, Step.RAW), (49, Step.MINUTE), (24 * 15, Step.MINUTE),
     (24 * 16, Step.QUARTER_HOUR), (24 * 365, Step.QUARTER_HOUR)],
)  # fmt: skip
def test_long_periods_read_roll_ups(hours: int, step: Step) -> None:
    assert SeriesQuery(SITE, ("load_kw",), START, START + hours * HOUR).resolved_step is step


def test_a_gap_stays_a_gap_and_extremes_stay(empty: DuckDbHistory) -> None:
    def spiky(ts: datetime) -> float:
        if ts == START + timedelta(minutes=7):
            return 500.0
        return -3.0 if ts == START + timedelta(minutes=41, seconds=2) else 30.0

    write_samples(empty, samples(START, START + timedelta(minutes=20), power=spiky))
    later = START + timedelta(minutes=40)
    write_samples(empty, samples(later, later + timedelta(minutes=20), power=spiky))
    load = ask(empty, "load_kw", hours=1.0, max_points=50).series["load_kw"]
    assert load.values.size <= 50
    assert np.isnan(load.values).sum() == 1
    gap = load.ts[np.flatnonzero(np.isnan(load.values))[0]]
    assert START + timedelta(minutes=19) < gap.item().replace(tzinfo=UTC) < later
    assert (np.nanmin(load.values), np.nanmax(load.values)) == (-3.0, 500.0)
    assert load.statistics is not None
    assert load.statistics.coverage == pytest.approx(2 / 3, abs=0.01)


@pytest.mark.parametrize(("day", "hours"), [((2026, 3, 29), 23), ((2026, 10, 25), 25)])
def test_local_days_have_23_or_25_hours(
    empty: DuckDbHistory, day: tuple[int, int, int], hours: int
) -> None:
    zone = ZoneInfo(VIENNA)
    midnight = datetime(*day, tzinfo=zone).astimezone(UTC)
    next_midnight = midnight + hours * HOUR
    quarters = [midnight + k * QUARTER for k in range(-4, 4 * hours + 4)]
    empty.write(
        Batch(
            ledger=tuple(booking(ts, 1.0) for ts in quarters),
            samples=tuple(samples(quarters[0], quarters[-1] + QUARTER, QUARTER)),
        )
    )
    query = SeriesQuery(
        SITE, ("ledger:import_kwh", "load_kw"), midnight, next_midnight, step=Step.DAY
    )
    answer = queries(empty, Time(next_midnight)).series(query)
    booked = answer.series["ledger:import_kwh"]
    assert booked.values.tolist() == [4.0 * hours]
    assert booked.ts.tolist() == [midnight.replace(tzinfo=None)]
    assert answer.series["load_kw"].n == 1


def test_days_are_whole_local_days() -> None:
    zone = ZoneInfo(VIENNA)
    noon = datetime(2026, 10, 25, 12, tzinfo=zone)
    query = rounded(SeriesQuery(SITE, ("load_kw",), noon, noon + HOUR, step=Step.DAY), zone)
    assert query.since == datetime(2026, 10, 24, 22, tzinfo=UTC)
    assert query.until == datetime(2026, 10, 25, 23, tzinfo=UTC)


def test_an_earlier_week_is_compared_at_the_same_time_of_day(empty: DuckDbHistory) -> None:
    # between the two weeks the clock is put back
    monday = datetime(2026, 10, 26, 12, tzinfo=ZoneInfo(VIENNA)).astimezone(UTC)
    before = datetime(2026, 10, 19, 12, tzinfo=ZoneInfo(VIENNA)).astimezone(UTC)
    assert monday - before == timedelta(days=7, hours=1)
    empty.write(Batch(prices=(price(before, 0.05), price(monday, 0.30))))
    query = SeriesQuery(
        SITE, ("price:spot_eur_per_kwh",), monday, monday + HOUR, compare=Earlier.WEEK
    )
    answer = queries(empty, Time(monday)).series(query)
    now, then = (side["price:spot_eur_per_kwh"] for side in (answer.series, answer.earlier))
    assert (now.values.tolist(), then.values.tolist()) == ([0.30], [0.05])
    assert now.ts.tolist() == then.ts.tolist()
    assert answer.earlier_since == before


def test_the_present_is_kept_for_two_seconds_and_the_past_for_a_minute(
    empty: DuckDbHistory,
) -> None:
    time = Time(START + HOUR)
    service = queries(empty, time)
    now = SeriesQuery(SITE, ("price:spot_eur_per_kwh",), START, START + HOUR)
    past = SeriesQuery(SITE, ("price:spot_eur_per_kwh",), START - 9 * HOUR, START - 8 * HOUR)

    def counts() -> tuple[int, int]:
        return tuple(service.series(q).series["price:spot_eur_per_kwh"].n for q in (now, past))  # type: ignore[return-value]

    assert counts() == (0, 0)
    empty.write(Batch(prices=(price(START), price(START - 9 * HOUR))))
    assert counts() == (0, 0)
    time.seconds = 2.5
    assert counts() == (1, 0)
    time.seconds = 61.0
    assert counts() == (1, 1)


def test_samples_read_from_a_file_are_named(empty: DuckDbHistory) -> None:
    write_samples(empty, samples(START, START + HOUR, timedelta(minutes=1), state="imported"))
    load = ask(empty, "load_kw", hours=1.0).series["load_kw"]
    assert load.imported
    # minutes apart, and yet one line: that is how such samples lie
    assert not np.isnan(load.values).any()


def test_a_question_ends_after_its_time_or_when_it_is_cancelled(store: DuckDbHistory) -> None:
    endless = "SELECT count(*) FROM range(1000000000) a, range(1000000000) b"

    def run(limit: ReadLimit) -> None:
        with limited_reads(limit), store.lend_cursor() as cursor:
            cursor.execute(endless).fetchall()

    with pytest.raises(QueryStoppedError, match="took longer than"):
        run(ReadLimit(0.05))
    cancelled = ReadLimit(60.0)
    cancelled.cancel()
    with pytest.raises(QueryStoppedError, match="cancelled"):
        run(cancelled)
    grown = iter([0, 50, 400_000_000])
    with pytest.raises(QueryStoppedError, match="more than 300 MB"):
        run(ReadLimit(60.0, 300_000_000, memory=lambda: next(grown, 400_000_000)))
    # the store is as well as before
    assert ask(store, "load_kw").series["load_kw"].n == 3600
    with pytest.raises(QueryStoppedError):
        queries(store).series(
            SeriesQuery(SITE, ("load_kw",), START, START + HOUR, max_points=777), cancelled
        )
