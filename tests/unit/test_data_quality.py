"""Data quality of a day: each fault is found, named and weighed; a good day is called good."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from engine.analytics.books import Books
from engine.analytics.quality import QualityReport, quality_of, report
from engine.domain.clock import SystemClock
from engine.domain.records import SampleRow
from engine.domain.signals import SIGNALS, Kind
from engine.history.columns import Aggregate, ColumnKey, Columns, Resolution
from engine.history.duckdb_store import DuckDbHistory
from engine.history.store import Batch
from engine.history.writer import HistoryWriter
from tests.support.measured_site import SITE, tariff_book

DAY = date(2026, 11, 23)
START = datetime(2026, 11, 22, 23, tzinfo=UTC)
N = 1440


class Minutes:
    """A day of minutes that a test spoils."""

    def __init__(self) -> None:
        rng = np.random.default_rng(1)
        load = 40.0 + 5.0 * rng.standard_normal(N)
        pv = np.maximum(0.0, 60.0 * np.sin(np.linspace(-1.5, 4.6, N)) + rng.standard_normal(N))
        pv[pv < 2.0] = 0.0
        battery = 20.0 * np.sin(np.linspace(0.0, 12.0, N))
        self.mean = {
            "load_kw": load,
            "pv_kw": pv,
            "battery_kw": battery,
            "grid_kw": load - pv - battery,
            "soc_percent": 50.0 - np.cumsum(battery) / 60.0 / 2.0 / 8.0,
        }
        self.count = {name: np.full(N, 30.0) for name in self.mean}
        self.keep = np.ones(N, np.bool_)
        self.frozen: dict[str, slice] = {}

    def report(self, configured: frozenset[str] = frozenset()) -> QualityReport:
        nan, values = np.full(N, np.nan), {ColumnKey("samples"): np.full(N, 30.0)}
        for name, signal in SIGNALS.items():
            mean = self.mean.get(name, nan)
            values[ColumnKey(name)] = mean
            values[ColumnKey(name, Aggregate.COUNT)] = self.count.get(name, np.zeros(N))
            if signal.kind is Kind.GAUGE:
                width = np.where(mean == 0.0, 0.0, 0.2)
                width[self.frozen.get(name, slice(0, 0))] = 0.0
                values[ColumnKey(name, Aggregate.MIN)] = mean - width
                values[ColumnKey(name, Aggregate.MAX)] = mean + width
        for power in ("grid_kw", "battery_kw", "pv_kw"):
            kwh = self.mean[power] / 60.0
            values[ColumnKey(power, Aggregate.POSITIVE_KWH)] = np.maximum(kwh, 0.0)
            values[ColumnKey(power, Aggregate.NEGATIVE_KWH)] = np.maximum(-kwh, 0.0)
        times = np.datetime64(START.replace(tzinfo=None), "us") + np.arange(N) * np.timedelta64(
            1, "m"
        )
        columns = Columns(
            Resolution.MINUTE,
            times[self.keep].astype("datetime64[us]"),
            {key: array[self.keep] for key, array in values.items()},
            np.zeros(int(self.keep.sum()), np.bool_),
        )
        return report(
            columns,
            DAY,
            since=START,
            until=START + timedelta(days=1),
            site=SITE,
            configured=configured,
        )


def codes(found: QualityReport) -> set[tuple[str, str | None]]:
    return {(f.code, f.signal) for f in found.findings}


def test_a_complete_and_consistent_day_is_called_good() -> None:
    found = Minutes().report()
    assert (found.verdict, found.findings, found.gaps) == ("good", (), ())
    assert found.covered_minutes == N
    assert found.balance_residual_kw == pytest.approx(0.0, abs=1e-9)
    assert {s.signal for s in found.signals} == {
        "load_kw",
        "pv_kw",
        "battery_kw",
        "grid_kw",
        "soc_percent",
    }


def test_gaps_are_listed_and_weighed() -> None:
    day = Minutes()
    day.keep[100:107] = False
    day.keep[300] = False
    found = day.report()
    assert [(g.start, g.minutes) for g in found.gaps] == [
        (START + timedelta(minutes=100), 7),
        (START + timedelta(minutes=300), 1),
    ]
    assert (found.verdict, codes(found)) == ("fair", {("gaps", None)})
    day.keep[600:800] = False
    assert day.report().verdict == "poor"


def test_a_signal_that_is_often_unusable_or_never_there_is_named() -> None:
    day = Minutes()
    day.count["pv_kw"] = np.full(N, 28.0)
    found = day.report(frozenset({"pv_kw", "temperature_c"}))
    assert codes(found) == {("unusable", "pv_kw"), ("missing", "temperature_c")}
    assert found.findings[0].code == "missing", "the worst comes first"
    by_name = {s.signal: s for s in found.signals}
    assert by_name["pv_kw"].unusable_share == pytest.approx(2 / 30)
    assert by_name["pv_kw"].verdict == "fair"


def test_a_frozen_meter_is_found_and_a_dark_night_is_not() -> None:
    day = Minutes()
    day.mean["grid_kw"][700:745] = 12.0
    day.frozen["grid_kw"] = slice(700, 745)
    day.mean["load_kw"] = day.mean["grid_kw"] + day.mean["pv_kw"] + day.mean["battery_kw"]
    found = day.report()
    assert codes(found) == {("frozen", "grid_kw")}
    assert {s.signal: s.frozen_minutes for s in found.signals}["grid_kw"] == 45
    assert {s.signal: s.frozen_minutes for s in found.signals}["pv_kw"] == 0


def test_a_state_of_charge_that_stands_while_energy_moves_is_frozen() -> None:
    day = Minutes()
    day.mean["battery_kw"][200:320] = 15.0
    day.mean["grid_kw"] = day.mean["load_kw"] - day.mean["pv_kw"] - day.mean["battery_kw"]
    day.mean["soc_percent"][200:320] = 44.0
    day.frozen["soc_percent"] = slice(200, 320)
    assert ("frozen", "soc_percent") in codes(day.report())
    day.mean["battery_kw"][200:320] = 0.0
    day.mean["grid_kw"] = day.mean["load_kw"] - day.mean["pv_kw"] - day.mean["battery_kw"]
    assert ("frozen", "soc_percent") not in codes(day.report())


def test_impossible_values_and_powers_that_do_not_add_up_are_found() -> None:
    day = Minutes()
    day.mean["battery_kw"][50:53] = 900.0
    found = day.report()
    assert ("range", "battery_kw") in codes(found)
    day = Minutes()
    day.mean["load_kw"] = day.mean["load_kw"] * 1.3
    found = day.report()
    assert codes(found) == {("balance", None)}
    assert found.verdict == "poor"
    assert (found.balance_residual_kw or 0.0) > 5.0


def test_a_register_that_disagrees_with_its_power_is_named_with_both_numbers() -> None:
    day = Minutes()
    imported = np.cumsum(np.maximum(day.mean["grid_kw"], 0.0)) / 60.0
    day.mean["grid_import_kwh"] = imported
    day.count["grid_import_kwh"] = np.full(N, 30.0)
    assert day.report().verdict == "good"
    day.mean["grid_import_kwh"] = imported * 0.8
    found = day.report()
    assert codes(found) == {("counter", "grid_import_kwh")}
    register = {s.signal: s for s in found.signals}["grid_import_kwh"]
    assert register.counter_kwh == pytest.approx(0.8 * (register.integrated_kwh or 0.0), rel=0.01)


def test_the_first_day_of_a_site_begins_with_its_first_sample(tmp_path) -> None:  # type: ignore[no-untyped-def]
    store = DuckDbHistory(tmp_path / "hot.duckdb")
    began = START + timedelta(hours=18, seconds=20)
    rows = [
        SampleRow(began + timedelta(minutes=minute), "site-1", {"soc_percent": 50.0 + minute / 10})
        for minute in range(30)
    ]
    store.write(Batch(samples=tuple(rows)))
    store.roll_up(began + timedelta(hours=1))
    books = Books(SITE, tariff_book(), store, HistoryWriter(store, SystemClock()))
    found = quality_of(books, DAY, began + timedelta(minutes=30))
    assert (found.minutes, found.covered_minutes, found.gaps) == (30, 30, ())
    store.close()


def test_a_day_without_anything_is_not_called_good(tmp_path) -> None:  # type: ignore[no-untyped-def]
    store = DuckDbHistory(tmp_path / "hot.duckdb")
    store.write(
        Batch(samples=(SampleRow(START - timedelta(days=2), "site-1", {"soc_percent": 50.0}),))
    )
    books = Books(SITE, tariff_book(), store, HistoryWriter(store, SystemClock()))
    found = quality_of(books, DAY, START + timedelta(hours=5))
    assert (found.verdict, found.minutes, found.covered_minutes) == ("none", 300, 0)
    assert "Nothing was measured" in found.summary
    store.close()
