"""Results of the made-up plant: four days of the same saving, the last one running."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from engine.analytics.attribution import CAUSES, Attribution
from engine.analytics.kpis import KPIS
from engine.analytics.quality import Finding, QualityReport
from engine.analytics.totals import added
from engine.domain.errors import HistoryError
from engine.domain.local_days import local_day
from engine.domain.records import RunRow
from engine.history.series_names import Family, series_name
from engine.history.series_query import (
    SECONDS,
    Series,
    SeriesAnswer,
    SeriesQuery,
    Statistics,
    Step,
)
from engine.runtime.analytics_service import DayFigures, PeriodAttribution, PeriodFigures

DAYS = 4
ONE_DAY = timedelta(days=1)
SAVING_EUR = {"no_battery": 12.34, "self_consumption": 3.21, "timer": 5.0}
BEST_EUR = 15.0
VIENNA = ZoneInfo("Europe/Vienna")


class FakeAnalytics:
    """`ems_dash.services.AnalyticsServices` over made-up days."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self._now = now

    def _all(self) -> list[DayFigures]:
        today = local_day(self._now(), VIENNA)
        return [
            DayFigures(
                today - timedelta(days=back),
                back > 0,
                {
                    "steps": 96,
                    "counted_steps": 96,
                    "import_kwh": 200.0,
                    "export_kwh": 20.0,
                    "discharged_kwh": 80.0,
                    "pv_kwh": 150.0,
                    "bill_energy_eur": 40.111111,
                    "bill_demand_eur": 0.0,
                    "bill_fixed_eur": 0.5,
                    "actual_wear_eur": 2.0,
                    "actual_stored_eur": 0.0,
                    "perfect_profit_eur": BEST_EUR,
                    "captured_profit_eur": SAVING_EUR["no_battery"],
                    "peak_kw": 60.0 + back,
                    "no_battery_peak_kw": 80.0,
                    **{f"{key}_saving_eur": eur for key, eur in SAVING_EUR.items()},
                },
            )
            for back in reversed(range(DAYS))
        ]

    def savings(self, since: datetime, until: datetime) -> list[object]:
        return []

    def daily(self, days: int) -> list[DayFigures]:
        return self._all()[-days:]

    def days(self, since: date, until: date) -> list[DayFigures]:
        return [day for day in self._all() if since <= day.day < until]

    def summary(self, since: date, until: date) -> PeriodFigures:
        days = self.days(since, until)
        totals = added(day.values for day in days)
        kpis: dict[str, float | None] = dict.fromkeys(KPIS)
        if days:
            kpis |= {f"profit_{key}_eur": totals[f"{key}_saving_eur"] for key in SAVING_EUR}
            kpis |= {"coverage": 1.0, "capture": 0.82, "peak_kw": totals["peak_kw"]}
        return PeriodFigures(since, until, len(days), totals, kpis)

    def attribution(self, since: date, until: date) -> PeriodAttribution:
        closed = [day for day in self.days(since, until) if day.closed]
        gap = BEST_EUR - SAVING_EUR["no_battery"]
        one = Attribution(gap, dict.fromkeys(CAUSES, 0.0) | {"load_forecast": gap})
        whole = None
        if closed:
            n = len(closed)
            whole = Attribution(n * gap, {c: n * lost for c, lost in one.causes.items()})
        by_day = {day.day: one for day in closed}
        return PeriodAttribution(since, until, len(closed), whole, by_day)

    def quality(self, day: date) -> QualityReport:
        finding = Finding("frozen", "fair", "grid_kw", 42, "grid_kw did not move for 42 minutes.")
        return QualityReport(day, 600, 590, (), 0.1, 590, (), (finding,), "fair", "")

    def state_history(self, hours: int) -> object:
        raise HistoryError("The made-up plant keeps no columns.")

    def runs(self, days: int) -> Sequence[RunRow]:
        start = self._now() - timedelta(days=2)
        every = ("site-1", "schedule", "published", 300.0)
        return [
            RunRow(start, *every, "co_optimised", "p1"),
            RunRow(start + timedelta(days=1), *every, "arbitrage", expected_profit_eur=4.2),
        ]


class FakeHistory:
    """The part of `ems_dash.services.HistoryServices` that draws."""

    timezone = "Europe/Vienna"

    def __init__(self, truth: Callable[[str, datetime], float]) -> None:
        self._truth = truth
        self.broken: str | None = None

    def series(self, query: SeriesQuery) -> SeriesAnswer:
        if self.broken is not None:
            raise HistoryError(self.broken)
        step_s = max(
            SECONDS[query.resolved_step], (query.until - query.since).total_seconds() / 300
        )
        step = timedelta(seconds=step_s)
        n = max(0, (query.until - query.since) // step)
        stamps = [query.since + i * step for i in range(n)]
        ts = np.array([s.replace(tzinfo=None) for s in stamps], dtype="datetime64[us]")
        banded = query.resolved_step is not Step.RAW
        series, earlier = {}, {}
        for name in query.signals:
            found = series_name(name)
            signal = name.split(":")[-1]
            known = signal in ("spot_eur_per_kwh", "load_kw", "pv_kw")
            values = np.array([self._truth(signal, s) if known else 5.0 for s in stamps])
            one = Series(
                name,
                found.unit,
                found.family,
                found.family is not Family.MEASURED,
                ts,
                values,
                values - 2.0 if banded else None,
                values + 2.0 if banded else None,
                n,
                True,
                False,
                Statistics(values.mean(), values.min(), values.max()) if n else None,
            )
            series[name] = one
            if query.compare is not None:
                earlier[name] = replace(one, values=values * 0.8)
        before = None if query.compare is None else query.since - timedelta(query.compare.days)
        return SeriesAnswer(query, query.resolved_step, self.timezone, series, earlier, before)
