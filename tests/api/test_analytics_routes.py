"""Savings, key figures, attribution and data quality over HTTP, in one error shape."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from ems_dash.api.analytics_routes import register_analytics_api
from engine.analytics.attribution import CAUSES, Attribution
from engine.analytics.kpis import KPIS
from engine.analytics.quality import Finding, Gap, QualityReport, SignalQuality
from engine.analytics.savings import Amounts, SavingsQuarter
from engine.domain.errors import HistoryError
from engine.domain.records import LedgerRow, RunRow
from engine.domain.snapshot import EngineSnapshot
from engine.history.columns import ColumnKey, Columns, Resolution
from engine.runtime.analytics_service import DayFigures, PeriodAttribution, PeriodFigures
from tests.support.access import open_flask
from tests.support.build import NOW
from tests.unit.ui_builders import snapshot

TODAY = date(2026, 11, 23)


class FakeAnalytics:
    """Remembers what was asked."""

    def __init__(self) -> None:
        self.asked: Any = None
        self.broken = False

    def savings(self, since: datetime, until: datetime) -> list[SavingsQuarter]:
        self.asked = (since, until)
        row = LedgerRow(
            since, "site-1", 900.0, 5.0, 0.0, 1.0, 0.0, 2.0, 0.3, 0.1, 1.5, "recorded", "counters"
        )
        sides = {"actual": Amounts(1.5, 0.0, 0.1, 0.2), "no_battery": Amounts(1.2)}
        return [SavingsQuarter(row, 0.4, sides)]

    def daily(self, days: int) -> list[DayFigures]:
        raise NotImplementedError

    def days(self, since: date, until: date) -> list[DayFigures]:
        if self.broken:
            raise HistoryError("the history could not be read.")
        self.asked = (since, until)
        return [DayFigures(since, True, {"capture": 0.6, "carry.last": 1.0, "gap.device": 0.1})]

    def summary(self, since: date, until: date) -> PeriodFigures:
        self.asked = (since, until)
        return PeriodFigures(since, until, 1, {"steps": 96.0}, dict.fromkeys(KPIS))

    def attribution(self, since: date, until: date) -> PeriodAttribution:
        self.asked = (since, until)
        parts = Attribution(1.1, dict.fromkeys(CAUSES, 0.1), ("planning",))
        return PeriodAttribution(since, until, 1, parts, {since: parts})

    def quality(self, day: date) -> QualityReport:
        self.asked = day
        return QualityReport(
            day=day,
            minutes=1440,
            covered_minutes=1430,
            gaps=(Gap(NOW, 10),),
            balance_residual_kw=0.1,
            balance_minutes=0,
            signals=(SignalQuality("grid_kw", 0.0, 3, 0, None, None, "good"),),
            findings=(Finding("gaps", "fair", None, 10.0, "10 of 1440 minutes"),),
            verdict="fair",
            summary="usable",
        )

    def state_history(self, hours: int) -> Columns:
        self.asked = hours
        return Columns(
            Resolution.MINUTE,
            np.array(["2026-11-23T11:58", "2026-11-23T11:59"], dtype="datetime64[us]"),
            {ColumnKey("soc_percent"): np.array([50.0, np.nan])},
            np.zeros(2, dtype=np.bool_),
            {"state": np.array(["automatic", None], dtype=object)},
        )

    def runs(self, days: int) -> list[RunRow]:
        self.asked = days
        return [RunRow(NOW, "site-1", "schedule", "failed", 12.0, message="No prices.")]


class FakeServices:
    """A site whose past is made up."""

    def __init__(self) -> None:
        self.analytics = FakeAnalytics()

    def snapshot(self) -> EngineSnapshot:
        return snapshot()

    def now(self) -> datetime:
        return NOW


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


@pytest.fixture
def client(services: FakeServices) -> Iterator[FlaskClient]:
    server = open_flask()
    register_analytics_api(server, services)  # type: ignore[arg-type]
    with server.test_client() as client:
        yield client


def test_a_period_is_given_by_days_or_by_local_dates(
    client: FlaskClient, services: FakeServices
) -> None:
    client.get("/api/analytics/summary?days=7")
    assert services.analytics.asked == (TODAY - timedelta(days=6), TODAY + timedelta(days=1))
    client.get("/api/analytics/summary?since=2026-10-01&until=2026-11-01")
    assert services.analytics.asked == (date(2026, 10, 1), date(2026, 11, 1))
    client.get("/api/analytics/attribution?since=2026-11-20")
    assert services.analytics.asked == (date(2026, 11, 20), TODAY + timedelta(days=1))
    client.get("/api/analytics/savings?since=2026-10-25&until=2026-10-26")
    # A local day of 25 hours.
    assert services.analytics.asked == (
        datetime(2026, 10, 24, 22, tzinfo=UTC),
        datetime(2026, 10, 25, 23, tzinfo=UTC),
    )


def test_daily_figures_name_every_key_figure_and_hide_the_bookkeeping(client: FlaskClient) -> None:
    (day,) = client.get("/api/analytics/daily?days=1").get_json()["days"]
    assert set(KPIS) <= set(day["values"])
    assert day["values"]["capture"] == 0.6
    assert day["values"]["full_cycles"] is None
    assert not [key for key in day["values"] if "." in key]


def test_a_quarter_hour_tells_every_side_and_what_was_saved(client: FlaskClient) -> None:
    (one,) = client.get("/api/analytics/savings?days=1").get_json()["quarters"]
    assert one["counted"] is True
    assert one["sides"]["actual"]["total_eur"] == pytest.approx(1.4)
    assert one["saving_eur"]["no_battery"] == pytest.approx(-0.2)
    assert one["saving_eur"]["perfect_foresight"] is None


def test_the_causes_of_a_gap_come_in_one_piece_and_by_day(client: FlaskClient) -> None:
    answer = client.get("/api/analytics/attribution?days=1").get_json()
    assert set(answer["total"]["causes"]) == set(CAUSES)
    assert answer["by_day"][0]["day"] == "2026-11-23"
    assert answer["by_day"][0]["unknown"] == ["planning"]


def test_quality_states_and_runs(client: FlaskClient, services: FakeServices) -> None:
    quality = client.get("/api/analytics/quality?day=2026-11-20").get_json()
    assert services.analytics.asked == date(2026, 11, 20)
    assert (quality["verdict"], quality["gaps"][0]["minutes"]) == ("fair", 10)
    states = client.get("/api/history/state?hours=2").get_json()
    assert states["series"]["soc_percent"] == [50.0, None]
    assert states["state"] == ["automatic", None]
    assert states["ts"][0] == "2026-11-23T11:58:00.000Z"
    (run,) = client.get("/api/history/optimization?days=3").get_json()["runs"]
    assert (run["status"], run["message"], run["plan_id"]) == ("failed", "No prices.", None)


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/analytics/daily?days=0", "days"),
        ("/api/analytics/daily?since=2026-13-01", "since"),
        ("/api/analytics/daily?since=2026-11-02&until=2026-11-01", "until"),
        ("/api/analytics/daily?since=2026-11-02&days=3", "days"),
        ("/api/analytics/summary?until=2026-11-01", "since"),
        ("/api/analytics/quality?day=today", "day"),
        ("/api/history/state?hours=99999", "hours"),
        ("/api/history/optimization?days=-1", "days"),
    ],
)
def test_what_cannot_be_understood_is_named(client: FlaskClient, path: str, field: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 400
    assert answer.get_json()["error"]["field"] == field


def test_another_site_and_a_broken_history_are_said(
    client: FlaskClient, services: FakeServices
) -> None:
    assert client.get("/api/analytics/daily?site=elsewhere").status_code == 404
    services.analytics.broken = True
    answer = client.get("/api/analytics/daily")
    assert answer.status_code == 503
    assert answer.get_json()["error"]["code"] == "history_error"
