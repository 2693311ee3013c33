"""The first routes: complete, finite, in one error shape."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from flask.testing import FlaskClient

from ems_dash.api.alarm_routes import register_alarm_api
from ems_dash.api.routes import register_api
from engine.domain.alarms import AlarmView
from engine.domain.control import EngineState, LinkStatus, PowerLimits, Setpoint, StepHealth
from engine.domain.forecast import Forecast
from engine.domain.records import PriceRow
from engine.domain.series import MeasuredPoint
from engine.domain.site import Site
from engine.domain.snapshot import EngineSnapshot, Notice, PriceNow
from engine.domain.strategy import StrategyKey, StrategyState
from engine.telemetry.recent import RecentCycle, RecentRing
from tests.support.access import AS_VIEWER, open_flask
from tests.support.build import NOW, image, plan, strategy_state


class FakeServices:
    """Holds one snapshot."""

    def __init__(self, snapshot: EngineSnapshot) -> None:
        self.current = snapshot
        self.age_s = 0.4
        self.plans_requested = 0
        self.acknowledged: list[str | None] = []
        self.ring = RecentRing()

    def snapshot(self) -> EngineSnapshot:
        return self.current

    def measured(self, since: datetime, until: datetime | None = None) -> list[MeasuredPoint]:
        return []

    def prices(self, since: datetime, until: datetime) -> list[PriceRow]:
        return []

    def now(self) -> datetime:
        return NOW

    def heartbeat_age_s(self) -> float:
        return self.age_s

    def recent(self, since: datetime, limit: int | None = None) -> list[RecentCycle]:
        return self.ring.since(since, limit)

    def acknowledge(self, alarm: str | None = None, by: str = "operator") -> tuple[str, ...]:
        self.acknowledged.append(alarm)
        return (alarm or "system_fault",)

    def request_plan(self) -> None:
        self.plans_requested += 1

    def strategy_state(self) -> StrategyState:
        return strategy_state()

    def choose_strategy(self, strategy: StrategyKey, until: datetime) -> StrategyState:
        return strategy_state(mode="manual", manual=strategy, manual_until=until)

    def choose_automatically(self) -> StrategyState:
        return strategy_state()

    def forecasts(self) -> dict[str, Forecast]:
        return {}


@pytest.fixture
def services(site: Site) -> FakeServices:
    return FakeServices(
        EngineSnapshot(
            seq=7,
            ts=NOW,
            site=site,
            state=EngineState.AUTOMATIC,
            state_reason=None,
            image=image(bad=("insulation_resistance_kohm",), soc_percent=63.0),
            limits=PowerLimits(100.0, 40.0, "nameplate", "bms_power"),
            setpoint=Setpoint(NOW, -58.0, -100.0, "value_dispatch", "bms_power"),
            plan=plan(),
            price=PriceNow(0.15, 0.25, 0.145, "recorded"),
            energy_cost_today_eur=-1.25,
            links=(LinkStatus("bms", "online", None, "127.0.0.1:1502", 9, 0, 1.2, True, False),),
            health=(StepHealth("plan", True, NOW),),
            notices=(Notice("recorded_prices"),),
        )
    )


@pytest.fixture
def client(services: FakeServices) -> Iterator[FlaskClient]:
    server = open_flask()

    @server.route("/<path:anything>")
    def page(anything: str) -> str:
        return "<html>Dash's catch-all</html>"

    register_api(server, services)
    register_alarm_api(server, services)
    with server.test_client() as client:
        yield client


def test_state_tells_everything_with_quality_and_units(client: FlaskClient) -> None:
    answer = client.get("/api/state")
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    state = answer.get_json()
    assert state["signals"]["soc_percent"] == {
        "value": 63.0,
        "unit": "%",
        "ts": "2026-11-23T12:00:00.000Z",
        "source": "test",
        "quality": "good",
        "reason": None,
    }
    missing = state["signals"]["insulation_resistance_kohm"]
    assert (missing["value"], missing["quality"]) == (None, "bad")
    assert state["setpoint"]["power_kw"] == -58.0
    assert state["setpoint"]["binding"] == "bms_power"
    assert state["price"]["source"] == "recorded"
    assert state["plan"]["profit_24h_eur"] == 12.34
    assert state["devices"][0]["simulated"] is True
    assert state["energy_cost_today_eur"] == -1.25
    assert state["notices"] == [{"code": "recorded_prices", "severity": "info", "detail": None}]


def test_numbers_are_finite_or_null(client: FlaskClient) -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    for route in ("/api/state", "/api/plan", "/healthz"):
        json.loads(client.get(route).data, parse_constant=refuse)


def test_plan_is_given_step_by_step(client: FlaskClient) -> None:
    answer = client.get("/api/plan").get_json()
    assert answer["plan_id"] == "20261123T120000-0001"
    assert answer["step_minutes"] == 15
    assert len(answer["steps"]) == 144
    first, second = answer["steps"][:2]
    assert (first["ts"], second["ts"]) == ("2026-11-23T12:00:00.000Z", "2026-11-23T12:15:00.000Z")
    assert first["soc_percent"] == 50.0
    assert answer["check"]["passed"] is True


def test_no_plan_says_why(client: FlaskClient, services: FakeServices) -> None:
    failed = StepHealth("plan", False, None, 3, 3, "No prices.")
    services.current = replace(services.current, plan=None, health=(failed,))
    answer = client.get("/api/plan")
    assert answer.status_code == 404
    assert answer.get_json() == {
        "error": {
            "code": "no_plan",
            "message": "No plan has been published yet.",
            "field": None,
            "hint": "No prices.",
        }
    }


def test_health_follows_the_heartbeat(client: FlaskClient, services: FakeServices) -> None:
    answer = client.get("/healthz")
    assert answer.status_code == 200
    assert answer.get_json() == {"status": "ok", "heartbeat_age_s": 0.4, "state": "automatic"}
    services.age_s = 95.0
    answer = client.get("/healthz")
    assert (answer.status_code, answer.get_json()["status"]) == (503, "stalled")


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/api/nope", 404, "not_found"),
        ("GET", "/api/", 404, "not_found"),
        ("POST", "/api/nope/deeper", 404, "not_found"),
        ("POST", "/api/state", 405, "method_not_allowed"),
        ("DELETE", "/api/plan", 405, "method_not_allowed"),
        ("GET", "/api/state?site=other", 404, "unknown_site"),
        ("GET", "/api/plan?site=other", 404, "unknown_site"),
    ],
)
def test_errors_are_json_in_one_shape(
    client: FlaskClient, method: str, path: str, status: int, code: str
) -> None:
    answer = client.open(path, method=method)
    assert answer.status_code == status
    assert answer.mimetype == "application/json"
    error = answer.get_json()["error"]
    assert set(error) == {"code", "message", "field", "hint"}
    assert error["code"] == code
    if status == 405:
        assert "GET" in answer.headers["Allow"]


def test_the_own_site_may_be_named(client: FlaskClient) -> None:
    assert client.get("/api/state?site=site-1").status_code == 200


def test_a_new_plan_can_be_asked_for_but_not_by_a_viewer(
    client: FlaskClient, services: FakeServices
) -> None:
    refused = client.post("/api/plan", headers=AS_VIEWER)
    assert (refused.status_code, refused.get_json()["error"]["code"]) == (403, "forbidden")
    assert services.plans_requested == 0
    answer = client.post("/api/plan")
    assert answer.status_code == 202
    assert answer.get_json() == {"requested": True, "plan_in_force": "20261123T120000-0001"}
    assert services.plans_requested == 1
    again = client.post("/api/plan")
    assert (again.status_code, again.get_json()["error"]["code"]) == (429, "rate_limited")


def test_recent_telemetry_with_quality_and_bounds(
    client: FlaskClient, services: FakeServices
) -> None:
    for seconds in range(0, 20, 2):
        services.ring.add(image(NOW - timedelta(seconds=20 - seconds), grid_kw=float(seconds)))
    services.ring.add(image(NOW, bad=("grid_kw",)))
    body = client.get("/api/monitoring/telemetry?minutes=1&limit=3").get_json()
    assert [c["values"]["grid_kw"] for c in body["cycles"]] == [16.0, 18.0, None]
    assert [c["quality"] for c in body["cycles"]] == [{}, {}, {"grid_kw": "bad"}]
    assert body["shown"]["soc_percent"]["value"] == 63.0
    for query in ("minutes=0", "minutes=61", "limit=-1", "limit=x", "minutes=1.5"):
        refused = client.get(f"/api/monitoring/telemetry?{query}")
        error = refused.get_json()["error"]
        assert (refused.status_code, error["code"]) == (400, "invalid_request")
        assert error["field"] == query.split("=", maxsplit=1)[0]


def test_alarms_are_listed_and_acknowledged(client: FlaskClient, services: FakeServices) -> None:
    services.current = replace(
        services.current, alarms=(AlarmView("system_fault", True, NOW, count=2),)
    )
    (alarm,) = client.get("/api/alarms").get_json()["alarms"]
    assert (alarm["name"], alarm["active"], alarm["count"]) == ("system_fault", True, 2)
    assert client.get("/api/state").get_json()["alarms"] == [alarm]
    answer = client.post("/api/alarms/ack", json={"name": "system_fault"})
    assert answer.get_json() == {"acknowledged": ["system_fault"]}
    assert client.post("/api/alarms/ack").status_code == 200
    assert services.acknowledged == ["system_fault", None]
    for body in ('{"name": "nobody"}', '{"nme": 1}', "[", '{"name": 3}'):
        refused = client.post("/api/alarms/ack", data=body, content_type="application/json")
        assert (refused.status_code, refused.get_json()["error"]["code"]) == (
            400,
            "invalid_request",
        )
    assert client.post("/api/alarms/ack", headers=AS_VIEWER).status_code == 403
