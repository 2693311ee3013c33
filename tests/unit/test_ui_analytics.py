"""The results of a period: its days, its figures in words, its charts."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ems_dash.ui.analytics.periods import CUSTOM, period_of
from ems_dash.ui.analytics.results_figures import (
    daily_figure,
    duration_figure,
    heat_figure,
    hourly_means,
    peaks_figure,
    waterfall_figure,
)
from ems_dash.ui.analytics.results_model import (
    LEDGER_HEADS,
    cards,
    ledger_lines,
    strategy_shares,
)
from ems_dash.ui.analytics.runs_view import chosen, tally
from ems_dash.ui.forecasts.figures import Look
from engine.analytics.kpis import KPIS
from engine.analytics.totals import added
from engine.domain.records import RunRow
from engine.runtime.analytics_service import DayFigures, PeriodFigures

TODAY = date(2026, 11, 25)
VIENNA = ZoneInfo("Europe/Vienna")
LIGHT = Look("light", "en")


def day(number: int, closed: bool = True, **values: float | None) -> DayFigures:
    return DayFigures(date(2026, 11, number), closed, values)


def whole(days: list[DayFigures], **kpis: float | None) -> PeriodFigures:
    since, until = days[0].day, days[-1].day + timedelta(days=1)
    figures = dict.fromkeys(KPIS) | kpis
    return PeriodFigures(since, until, len(days), added(d.values for d in days), figures)


class TestPeriods:
    @pytest.mark.parametrize(
        ("key", "since", "until"),
        [
            ("today", TODAY, TODAY),
            ("yesterday", date(2026, 11, 24), date(2026, 11, 24)),
            ("7d", date(2026, 11, 19), TODAY),
            ("month", date(2026, 11, 1), TODAY),
            ("year", date(2026, 1, 1), TODAY),
        ],
    )
    def test_a_choice_ends_today_or_before(self, key: str, since: date, until: date) -> None:
        period = period_of(key, None, None, TODAY)
        assert (period.since, period.last) == (since, until)

    def test_chosen_days_include_both_ends_in_either_order(self) -> None:
        there = period_of(CUSTOM, "2026-10-25", "2026-10-20", TODAY)
        assert (there.since, there.last, there.days) == (date(2026, 10, 20), date(2026, 10, 25), 6)

    @pytest.mark.parametrize("asked", ["", "2026-13-01", "yesterday", None])
    def test_days_that_are_none_fall_back_to_a_week(self, asked: str | None) -> None:
        period = period_of(CUSTOM, asked, "2026-11-01", TODAY)
        assert period.days == 7
        assert period_of("nonsense", None, None, TODAY).days == 7

    def test_the_address_leads_back_to_the_same_days(self) -> None:
        for key in ("month", CUSTOM):
            period = period_of(key, "2026-10-20", "2026-10-25", TODAY)
            kept = period.address()
            again = period_of(kept["period"], kept.get("from"), kept.get("to"), TODAY)
            assert again == period


class TestCards:
    def test_what_is_not_known_is_a_dash_with_a_reason(self) -> None:
        shown = cards(whole([day(24)]), "no_battery", "en")
        assert {card.value for card in shown} == {"–"}
        assert {card.sub for card in shown} == {"Not known for this period"}
        assert {card.unit for card in shown} == {""}

    def test_the_profit_is_that_against_the_chosen_baseline(self) -> None:
        period = whole([day(24)], profit_no_battery_eur=52.894151, profit_timer_eur=-4.404)
        by_key = {card.key: card.value for card in cards(period, "timer", "de")}
        assert by_key["profit"] == "−4,40\N{NO-BREAK SPACE}€"
        assert cards(period, "no_battery", "en")[0].value == "+€52.89"

    def test_a_peak_that_rose_is_not_called_a_reduction(self) -> None:
        up = whole([day(24)], peak_kw=108.2, peak_reduction_kw=-58.4)
        sub = next(card.sub for card in cards(up, "no_battery", "en") if card.key == "peak")
        assert sub == "58.4 kW higher than without battery"


class TestLedger:
    def test_days_add_up_to_the_sum_to_the_cent(self) -> None:
        days = [
            day(n, bill_energy_eur=0.333333, bill_demand_eur=0.0, bill_fixed_eur=0.171717)
            for n in range(1, 24)
        ]
        *lines, total = ledger_lines(days, whole(days), "no_battery", "en")
        for column in (3, 5, 6):
            amounts = [Decimal(line.cells[column].replace("€", "")) for line in lines]
            assert sum(amounts) == Decimal(total.cells[column].replace("€", ""))

    def test_newest_first_unknown_as_dash_and_the_running_day_marked(self) -> None:
        days = [day(24, import_kwh=5.0), day(25, closed=False, import_kwh=1.0)]
        lines = ledger_lines(days, whole(days), "timer", "en")
        assert [line.head for line in lines] == ["Wed, 25 Nov 2026", "Tue, 24 Nov 2026", "Sum"]
        assert [line.note for line in lines] == ["running", "", ""]
        assert all(len(line.cells) == len(LEDGER_HEADS) for line in lines)
        assert lines[0].cells[-1] == "–"
        assert lines[-1].cells[1] == "6.0"


def test_strategies_share_the_time_of_the_period_only() -> None:
    start = datetime(2026, 11, 24, tzinfo=UTC)

    def run(hours: float, strategy: str | None, status: str = "published") -> RunRow:
        return RunRow(start + timedelta(hours=hours), "site", "schedule", status, 1.0, strategy)

    runs = [
        run(-5, "arbitrage"),
        run(6, "peak_shaving"),
        run(7, None, "failed"),
        run(18, "arbitrage"),
    ]
    shares = strategy_shares(runs, start, start + timedelta(hours=24))
    assert shares == [("arbitrage", 0.5), ("peak_shaving", 0.5)]
    assert strategy_shares([], start, start + timedelta(hours=24)) == []


class TestFigures:
    def test_only_days_with_a_known_saving_have_a_bar(self) -> None:
        days = [day(23, no_battery_saving_eur=None), day(24, no_battery_saving_eur=-2.5)]
        figure = daily_figure(days, "no_battery", LIGHT)
        assert figure["data"][0]["y"] == [-2.5]
        assert figure["layout"]["yaxis"]["range"][0] <= -2.5

    def test_the_highest_peak_stands_out_by_name(self) -> None:
        days = [day(23, peak_kw=80.0, no_battery_peak_kw=50.0), day(24, peak_kw=90.0)]
        by_name = {trace["name"]: trace["y"] for trace in peaks_figure(days, LIGHT)["data"]}
        assert by_name["highest of the period"] == [90.0]
        assert by_name["highest of the day"] == [80.0]
        assert by_name["No battery"] == [50.0]

    def test_the_way_down_ends_where_the_earnings_begin(self) -> None:
        causes = {"price_forecast": 3.0, "device": -1.0, "rest": 2.0}
        bars = waterfall_figure(36.0, causes, 32.0, LIGHT)["data"][0]
        ends = [
            b if lost > 0 else b + h
            for b, h, lost in zip(bars["base"][1:-1], bars["x"][1:-1], causes.values(), strict=True)
        ]
        assert ends == [33.0, 34.0, 32.0]
        assert bars["x"][-1] == 32.0

    def test_hours_are_local_also_on_the_day_of_25(self) -> None:
        days = [date(2026, 10, 24), date(2026, 10, 25)]
        start = datetime(2026, 10, 23, 22, tzinfo=UTC)
        stamps = [start + timedelta(hours=h) for h in range(49)]
        offsets = [
            int(offset.total_seconds())
            for ts in stamps
            if (offset := ts.astimezone(VIENNA).utcoffset()) is not None
        ]
        ts = np.array([s.replace(tzinfo=None) for s in stamps], dtype="datetime64[us]")
        means = hourly_means(ts, np.arange(49.0), days, offsets)
        assert np.isfinite(means).all()
        assert means[0].tolist() == [0.0, 24.0]
        # 02:00 happened twice: the hours 26 and 27 since the start
        assert means[2, 1] == 26.5
        assert means[23, 1] == 48.0

    def test_an_hour_nobody_measured_stays_empty(self) -> None:
        means = hourly_means(np.empty(0, dtype="datetime64[us]"), np.empty(0), [TODAY], [])
        # Nothing at all is said in words.
        assert heat_figure([TODAY], means, "kW", "grid", LIGHT)["data"] == []
        means[5, 0] = 7.0
        figure = heat_figure([TODAY], means, "kW", "grid", LIGHT)
        cells = [cell for row in figure["data"][0]["z"] for cell in row]
        assert cells == [None] * 5 + [7.0] + [None] * 18

    def test_the_duration_curve_falls_and_keeps_the_extremes(self) -> None:
        rng = np.random.default_rng(3)
        load = rng.normal(20.0, 9.0, 5_000)
        load[::7] = np.nan
        figure = duration_figure(load, np.empty(0), LIGHT)
        (curve,) = figure["data"]
        assert curve["y"][0] == pytest.approx(np.nanmax(load), abs=0.01)
        assert curve["y"][-1] == pytest.approx(np.nanmin(load), abs=0.01)
        assert all(a >= b for a, b in zip(curve["y"], curve["y"][1:], strict=False))
        assert curve["x"][0] == 0.0
        assert curve["x"][-1] == 100.0


class TestRuns:
    def _run(self, minute: int, status: str = "published", solve_ms: float | None = 20.0) -> RunRow:
        ts = datetime(2026, 11, 24, 10, minute, tzinfo=UTC)
        return RunRow(ts, "site", "schedule", status, 400.0 + minute, solve_ms=solve_ms)

    def test_the_newest_come_first_and_failures_can_be_listed_alone(self) -> None:
        runs = [self._run(0), self._run(15, "failed", None), self._run(30, "rejected", None)]
        assert [run.ts.minute for run in chosen(runs, "all")] == [30, 15, 0]
        assert [run.ts.minute for run in chosen(runs, "failed")] == [30, 15]
        assert [run.ts.minute for run in chosen(runs, "published")] == [0]

    def test_the_tally_counts_what_failed_and_times_what_was_solved(self) -> None:
        found = tally([self._run(0), self._run(1, solve_ms=40.0), self._run(2, "failed", None)])
        assert (found.runs, found.failed) == (3, 1)
        assert (found.median_solve_ms, found.median_ms) == (30.0, 401.0)
        assert tally([]).median_ms is None


@pytest.mark.parametrize(("count", "narrow"), [(7, True), (30, False), (31, True)])
def test_days_are_named_below_their_bars_the_newest_among_them(count: int, narrow: bool) -> None:
    days = [
        DayFigures(date(2026, 10, 1) + timedelta(days=i), True, {"peak_kw": 1.0})
        for i in range(count)
    ]
    figure = peaks_figure(days, Look("light", "de", narrow))
    bars = {x for trace in figure["data"] for x in trace["x"]}
    named = figure["layout"]["xaxis"]["tickvals"]
    assert set(named) <= bars
    assert named == sorted(named)
    assert named[-1] == max(bars)
    assert 2 <= len(named) <= 9
