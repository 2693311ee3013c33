"""Strategies, the choice by hand and forecasts over HTTP: complete, guarded, in one error shape."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from ems_dash.api.planning_routes import register_planning_api
from engine.domain.errors import ConfigError
from engine.domain.forecast import LOAD_SIGNAL, PRICE_SIGNAL, PV_SIGNAL, Forecast
from engine.domain.snapshot import EngineSnapshot
from engine.domain.strategy import StrategyKey, StrategyState
from engine.forecasting.accuracy import LeadScore
from engine.runtime.accuracy_service import ModelAccuracy
from tests.support.access import AS_VIEWER, open_flask
from tests.support.build import NOW, forecast, strategy_state
from tests.unit.ui_builders import snapshot


class FakeServices:
    """Remembers what was chosen."""

    def __init__(self) -> None:
        self.chosen: tuple[StrategyKey, datetime] | None = None
        self.made: dict[str, Forecast] = {}
        self.error: ConfigError | None = None

    def snapshot(self) -> EngineSnapshot:
        return snapshot()

    def now(self) -> datetime:
        return NOW

    def strategy_state(self) -> StrategyState:
        if self.chosen is None:
            return strategy_state()
        return strategy_state(mode="manual", manual=self.chosen[0], manual_until=self.chosen[1])

    def choose_strategy(self, strategy: StrategyKey, until: datetime) -> StrategyState:
        if self.error is not None:
            raise self.error
        self.chosen = (strategy, until)
        return self.strategy_state()

    def choose_automatically(self) -> StrategyState:
        self.chosen = None
        return self.strategy_state()

    def forecasts(self) -> dict[str, Forecast]:
        return self.made

    def forecast_accuracy(self, days: int) -> tuple[ModelAccuracy, ...]:
        good = LeadScore(0, 4, 400, 2.0, 3.0, -0.5, 0.6, 0.5, 1.0, 0.6, 0.81)
        bad = replace(good, lead_from_steps=4, lead_to_steps=None, rmae=1.2)
        return (ModelAccuracy(LOAD_SIGNAL, "ensemble", days, bad, (good, bad)),)


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


@pytest.fixture
def client(services: FakeServices) -> Iterator[FlaskClient]:
    server = open_flask()
    register_planning_api(server, services)  # type: ignore[arg-type]
    with server.test_client() as client:
        yield client


def test_every_candidate_is_told_with_its_money_and_the_reason_without_a_plan(
    client: FlaskClient,
) -> None:
    answer = client.get("/api/strategies").get_json()
    assert answer["mode"] == "auto"
    assert answer["switch_threshold"] == 0.15
    assert set(answer["strategies"]) == {key.value for key in StrategyKey}
    chosen = answer["selection"]
    assert (chosen["active"], chosen["reason"]) == ("co_optimised", "best")
    by_key = {c["strategy"]: c for c in chosen["candidates"]}
    assert by_key["arbitrage"]["saving_eur"] == 9.0
    assert by_key["load_balancing"]["saving_eur"] is None
    assert "independent check" in by_key["load_balancing"]["reason"]


@pytest.mark.parametrize(
    ("body", "until"),
    [
        ({"strategy": "peak_shaving", "hours": 4}, NOW + timedelta(hours=4)),
        (
            {"strategy": "peak_shaving", "until": "2026-11-23T18:00:00+01:00"},
            datetime(2026, 11, 23, 17, tzinfo=UTC),
        ),
    ],
)
def test_a_strategy_is_chosen_until_an_end_and_given_back(
    client: FlaskClient, services: FakeServices, body: dict[str, Any], until: datetime
) -> None:
    answer = client.post("/api/strategy", json=body)
    assert answer.status_code == 200
    assert services.chosen == (StrategyKey.PEAK_SHAVING, until)
    assert answer.get_json()["mode"] == "manual"
    assert answer.get_json()["manual"] == "peak_shaving"
    back = client.post("/api/strategy/auto")
    assert back.get_json()["mode"] == "auto"
    assert services.chosen is None


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"strategy": "peak_shaving"}, "until"),
        ({"strategy": "peak_shaving", "hours": 4, "until": "2026-11-23T18:00:00Z"}, "until"),
        ({"strategy": "greed", "hours": 4}, "strategy"),
        ({"hours": 4}, "strategy"),
        ({"strategy": "arbitrage", "hours": 0}, "hours"),
        ({"strategy": "arbitrage", "hours": 10_000}, "hours"),
        ({"strategy": "arbitrage", "until": "2026-11-23T11:00:00Z"}, "until"),
        ({"strategy": "arbitrage", "until": "2026-12-30T11:00:00Z"}, "until"),
        ({"strategy": "arbitrage", "until": "2026-11-23T18:00:00"}, "until"),
        ({"strategy": "arbitrage", "hours": 4, "user": "me"}, "user"),
    ],
)
def test_a_choice_that_cannot_be_is_refused_by_name_and_changes_nothing(
    client: FlaskClient, services: FakeServices, body: dict[str, Any], field: str
) -> None:
    answer = client.post("/api/strategy", json=body)
    assert answer.status_code == 400
    told = answer.get_json()["error"]
    assert told["code"] == "invalid_request"
    assert told["field"] == field
    assert told["hint"]
    assert services.chosen is None


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"arbitrage"'])
def test_what_is_no_request_is_refused(client: FlaskClient, body: bytes) -> None:
    answer = client.post("/api/strategy", data=body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.get_json()["error"]["hint"]


@pytest.mark.parametrize("path", ["/api/strategy", "/api/strategy/auto"])
def test_a_viewer_cannot_choose(client: FlaskClient, services: FakeServices, path: str) -> None:
    body = {"strategy": "arbitrage", "hours": 4}
    assert client.post(path, json=body, headers=AS_VIEWER).status_code == 403
    assert services.chosen is None


def test_a_choice_that_cannot_be_kept_says_so(client: FlaskClient, services: FakeServices) -> None:
    services.error = ConfigError(
        "The choice could not be stored: No space left on device.", hint="Check the data folder."
    )
    body = {"strategy": "arbitrage", "hours": 4}
    answer = client.post("/api/strategy", json=body)
    assert answer.status_code == 400
    assert "No space left" in answer.get_json()["error"]["message"]


def test_forecasts_come_with_quantiles_vintage_and_what_is_published(
    client: FlaskClient, services: FakeServices
) -> None:
    assert client.get("/api/forecast").status_code == 404
    known = np.array([True] * 4 + [False] * 4)
    services.made = {
        PRICE_SIGNAL: forecast(PRICE_SIGNAL, known=known, model="ridge"),
        LOAD_SIGNAL: forecast(LOAD_SIGNAL),
        PV_SIGNAL: forecast(PV_SIGNAL),
    }
    answer = client.get("/api/forecast").get_json()
    by_signal = {series["signal"]: series for series in answer["forecasts"]}
    assert by_signal[PRICE_SIGNAL]["unit"] == "EUR/kWh"
    assert by_signal[PRICE_SIGNAL]["known"] == known.tolist()
    load = by_signal[LOAD_SIGNAL]
    assert (load["p10"][0], load["p50"][0], load["p90"][0]) == (20.0, 30.0, 45.0)
    assert load["issued_at"] == "2026-11-23T12:00:00.000Z"
    assert load["method"] == "median of three models"
    only = client.get("/api/forecast?signal=load_kw").get_json()["forecasts"]
    assert [series["signal"] for series in only] == [LOAD_SIGNAL]
    wrong = client.get("/api/forecast?signal=wind_kw")
    assert (wrong.status_code, wrong.get_json()["error"]["field"]) == (400, "signal")


def test_accuracy_comes_by_lead_time_and_says_what_is_poor(client: FlaskClient) -> None:
    answer = client.get("/api/forecast/accuracy?days=7").get_json()
    (entry,) = answer["models"]
    assert (answer["days"], entry["signal"], entry["unit"]) == (7, LOAD_SIGNAL, "kW")
    assert entry["poor"] is True
    near, far = entry["by_lead"]
    assert (near["lead_from_hours"], near["lead_to_hours"], near["rmae"]) == (0.0, 1.0, 0.6)
    assert far["lead_to_hours"] is None
    assert near["pinball"] == pytest.approx(0.7)
    wrong = client.get("/api/forecast/accuracy?days=0")
    assert (wrong.status_code, wrong.get_json()["error"]["field"]) == (400, "days")


@pytest.mark.parametrize("path", ["/api/strategies", "/api/forecast", "/api/forecast/accuracy"])
def test_another_site_is_unknown(client: FlaskClient, path: str) -> None:
    answer = client.get(f"{path}?site=elsewhere")
    assert answer.status_code == 404
    assert answer.get_json()["error"]["code"] == "unknown_site"
