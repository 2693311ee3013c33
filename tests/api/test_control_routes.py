"""Orders by hand and limits from outside over HTTP: complete, guarded, in one error shape."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from ems_dash.api.control_routes import register_control_api
from engine.config.described_site import site_from
from engine.config.load import parse_config
from engine.domain.clock import ManualClock
from engine.domain.snapshot import EngineSnapshot
from engine.runtime import operator_desk
from engine.runtime.operator_desk import OperatorDesk
from engine.runtime.strategy_desk import StrategyDesk
from tests.support.access import AS_VIEWER, open_flask
from tests.support.build import NOW
from tests.unit.ui_builders import snapshot

CONFIG = "limits: {external: [{source: dso}, {source: api}, {source: digital_input}]}"

MANUAL, AUTO, LIMITS = "/api/control/manual", "/api/control/auto", "/api/control/limits"


class DeskServices:
    """A real desk at a standing clock."""

    def __init__(self, folder: Path, config_text: str = CONFIG) -> None:
        config, self.clock = parse_config(config_text), ManualClock(NOW)
        strategies = StrategyDesk(config.strategies, folder, self.clock)
        battery = site_from(config).battery
        self.operator = OperatorDesk(battery, config.limits, folder, self.clock, strategies)
        self.told: list[tuple[str, str, str]] = []
        self.operator.tell = lambda *event: self.told.append(event)

    def snapshot(self) -> EngineSnapshot:
        return snapshot(manual=self.operator.manual.order)

    def now(self) -> datetime:
        return self.clock.now()


@pytest.fixture
def services(tmp_path: Path) -> DeskServices:
    return DeskServices(tmp_path)


@pytest.fixture
def client(services: DeskServices) -> Iterator[FlaskClient]:
    server = open_flask()
    register_control_api(server, services)  # type: ignore[arg-type]
    with server.test_client() as client:
        yield client


def post(client: FlaskClient, path: str, body: dict[str, Any]) -> Any:
    answer = client.post(path, json=body)
    assert answer.status_code == 200, answer.get_json()
    return answer.get_json()


# Orders by hand.


@pytest.mark.parametrize(
    ("body", "until"),
    [
        ({"power_kw": -50, "minutes": 30}, NOW + timedelta(minutes=30)),
        ({"power_kw": -50, "minutes": 0.5}, NOW + timedelta(seconds=30)),
        (
            {"power_kw": -50, "until": "2026-11-23T18:00:00+01:00"},
            datetime(2026, 11, 23, 17, tzinfo=UTC),
        ),
    ],
)
def test_an_order_is_given_shown_and_taken_back(
    client: FlaskClient, services: DeskServices, body: dict[str, Any], until: datetime
) -> None:
    assert client.get(MANUAL).get_json() == {"manual": None}
    given = post(client, MANUAL, {**body, "soc_percent": 80})["manual"]
    assert given == client.get(MANUAL).get_json()["manual"]
    assert (given["power_kw"], given["soc_percent"], given["source"]) == (-50.0, 80.0, "tester")
    assert datetime.fromisoformat(given["until"]) == until
    assert datetime.fromisoformat(given["given_at"]) == NOW
    order = services.operator.manual.order
    assert order is not None
    assert order.until == until
    assert post(client, AUTO, {}) == {"manual": None}
    assert services.operator.manual.order is None
    assert post(client, AUTO, {}) == {"manual": None}, "twice is as good as once"
    assert [code for _, code, _ in services.told] == ["manual_started", "manual_ended"]


def test_an_idle_battery_can_be_ordered_too(client: FlaskClient) -> None:
    assert post(client, MANUAL, {"power_kw": 0, "minutes": 5})["manual"]["power_kw"] == 0.0


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"power_kw": -50}, "until"),
        ({"power_kw": -50, "minutes": 5, "until": "2026-11-23T18:00:00Z"}, "until"),
        ({"minutes": 5}, "power_kw"),
        ({"power_kw": "much", "minutes": 5}, "power_kw"),
        ({"power_kw": True, "minutes": 5}, "power_kw"),
        ({"power_kw": None, "minutes": 5}, "power_kw"),
        ({"power_kw": 101, "minutes": 5}, "power_kw"),
        ({"power_kw": -1e300, "minutes": 5}, "power_kw"),
        ({"power_kw": 10, "minutes": 0}, "until"),
        ({"power_kw": 10, "minutes": -5}, "until"),
        ({"power_kw": 10, "minutes": -2e16}, "minutes"),
        ({"power_kw": 10, "minutes": 1500}, "until"),
        ({"power_kw": 10, "minutes": 1e300}, "minutes"),
        ({"power_kw": 10, "until": "2026-11-23T11:59:00Z"}, "until"),
        ({"power_kw": 10, "until": "2026-11-25T18:00:00Z"}, "until"),
        ({"power_kw": 10, "until": "2026-11-23T18:00:00"}, "until"),
        ({"power_kw": 10, "until": "9999-12-31T23:59:59-14:00"}, "until"),
        ({"power_kw": 10, "until": "soon"}, "until"),
        ({"power_kw": 10, "minutes": 5, "soc_percent": 5}, "soc_percent"),
        ({"power_kw": 10, "minutes": 5, "soc_percent": 95}, "soc_percent"),
        ({"power_kw": 0, "minutes": 5, "soc_percent": 50}, "soc_percent"),
        ({"power_kw": 10, "minutes": 5, "user": "me"}, "user"),
    ],
)
def test_an_order_that_cannot_be_is_refused_by_name_and_changes_nothing(
    client: FlaskClient, services: DeskServices, body: dict[str, Any], field: str
) -> None:
    post(client, MANUAL, {"power_kw": 7, "minutes": 60})
    answer = client.post(MANUAL, json=body)
    assert answer.status_code == 400
    told = answer.get_json()["error"]
    assert told["field"] == field
    assert told["message"]
    assert told["hint"]
    order = services.operator.manual.order
    assert order is not None
    assert order.power_kw == 7.0, "the order before stands"


NO_REQUESTS = [b"", b"{", b"[]", b'"charge"', b"null", b"\xff\xfe", b'{"power_kw": NaN}', b"7"]


@pytest.mark.parametrize("path", [MANUAL, LIMITS])
@pytest.mark.parametrize("body", [*NO_REQUESTS, b'{"power_kw": Infinity, "minutes": 5}'])
def test_what_is_no_request_is_refused(
    client: FlaskClient, services: DeskServices, path: str, body: bytes
) -> None:
    answer = client.post(path, data=body, content_type="application/json")
    assert answer.status_code == 400
    assert answer.get_json()["error"]["hint"]
    assert services.told == []


# Limits from outside.


def test_a_limit_is_put_shown_and_released(client: FlaskClient, services: DeskServices) -> None:
    assert client.get(LIMITS).get_json() == {"limits": []}
    body = {"source": "dso", "charge_kw": 4.2, "valid_until": "2026-11-23T20:00:00+01:00"}
    (limit,) = post(client, LIMITS, body)["limits"]
    assert limit["source"] == "dso"
    assert limit["charge_kw"] == 4.2
    assert limit["discharge_kw"] is None, "what is not said is not limited"
    assert datetime.fromisoformat(limit["valid_until"]) == datetime(2026, 11, 23, 19, tzinfo=UTC)
    assert client.get(LIMITS).get_json() == {"limits": [limit]}
    (again,) = post(client, LIMITS, {"source": "dso", "import_kw": 30, "export_kw": 0})["limits"]
    assert (again["import_kw"], again["export_kw"], again["charge_kw"]) == (30.0, 0.0, None)
    assert again["valid_until"] is None
    assert post(client, LIMITS, {"source": "dso", "release": True}) == {"limits": []}
    assert [code for _, code, _ in services.told] == ["external_limit"] * 3


def test_sources_apply_together_and_api_is_the_one_meant_when_none_is_named(
    client: FlaskClient,
) -> None:
    post(client, LIMITS, {"charge_kw": 10})
    post(client, LIMITS, {"source": "manual", "soc_max_percent": 80, "soc_min_percent": 20})
    found = post(client, LIMITS, {"source": "dso", "discharge_kw": 0})["limits"]
    assert {limit["source"] for limit in found} == {"api", "manual", "dso"}
    by_source = {limit["source"]: limit for limit in found}
    assert by_source["manual"]["soc_max_percent"] == 80.0


def test_the_digital_input_is_closed_and_open(client: FlaskClient) -> None:
    (limit,) = post(client, LIMITS, {"source": "digital_input", "closed": True})["limits"]
    assert (limit["source"], limit["charge_kw"]) == ("digital_input", 0.0)
    assert post(client, LIMITS, {"source": "digital_input", "closed": False}) == {"limits": []}


def test_a_limit_that_has_ended_is_not_shown(client: FlaskClient, services: DeskServices) -> None:
    post(client, LIMITS, {"source": "dso", "charge_kw": 1, "valid_until": "2026-11-23T12:01:00Z"})
    services.clock.advance(61.0)
    assert client.get(LIMITS).get_json() == {"limits": []}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "charge_kw"),
        ({"source": "dso"}, "charge_kw"),
        ({"source": "dso", "valid_until": "2026-11-23T20:00:00Z"}, "charge_kw"),
        ({"source": "dso", "charge_kw": -1}, "charge_kw"),
        ({"source": "dso", "import_kw": -0.1}, "import_kw"),
        ({"source": "dso", "charge_kw": "little"}, "charge_kw"),
        ({"source": "dso", "charge_kw": False}, "charge_kw"),
        ({"source": "dso", "soc_min_percent": 101}, "soc_min_percent"),
        ({"source": "dso", "charge_kw": 1, "valid_until": "2026-11-23T20:00:00"}, "valid_until"),
        (
            {"source": "dso", "charge_kw": 1, "valid_until": "9999-12-31T23:59:59-14:00"},
            "valid_until",
        ),
        ({"source": "mayor", "charge_kw": 1}, "source"),
        ({"source": "mqtt", "charge_kw": 1}, "source"),
        ({"source": "digital_input"}, "closed"),
        ({"source": "digital_input", "charge_kw": 1}, "closed"),
        ({"source": "digital_input", "closed": "perhaps"}, "closed"),
        ({"source": "dso", "closed": True}, "closed"),
        ({"source": "dso", "charge_kw": 1, "colour": "red"}, "colour"),
    ],
)
def test_a_limit_that_cannot_be_is_refused_by_name_and_changes_nothing(
    client: FlaskClient, services: DeskServices, body: dict[str, Any], field: str
) -> None:
    (before,) = post(client, LIMITS, {"source": "dso", "charge_kw": 4.2})["limits"]
    answer = client.post(LIMITS, json=body)
    assert answer.status_code == 400
    told = answer.get_json()["error"]
    assert told["field"] == field
    assert told["hint"]
    assert client.get(LIMITS).get_json() == {"limits": [before]}


@pytest.mark.parametrize(
    "body",
    [
        {"source": "dso", "charge_kw": 1},
        {"source": "dso", "release": True},
        {"source": "digital_input", "closed": True},
    ],
)
def test_a_source_that_is_not_configured_is_refused_with_the_remedy(
    tmp_path: Path, body: dict[str, Any]
) -> None:
    server = open_flask()
    register_control_api(server, DeskServices(tmp_path, ""))  # type: ignore[arg-type]
    with server.test_client() as client:
        answer = client.post(LIMITS, json=body)
    assert answer.status_code == 400
    told = answer.get_json()["error"]
    assert told["field"] == "source"
    assert "limits.external" in told["hint"]


def test_a_limit_that_cannot_be_stored_says_so_and_holds(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(operator_desk, "write_atomically", full)
    body = {"source": "dso", "charge_kw": 1}
    answer = client.post(LIMITS, json=body)
    assert answer.status_code == 400
    told = answer.get_json()["error"]
    assert "in force" in told["message"]
    assert "No space left" in told["message"]
    (limit,) = client.get(LIMITS).get_json()["limits"]
    assert limit["charge_kw"] == 1.0


# Guards.


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (MANUAL, {"power_kw": 10, "minutes": 5}),
        (AUTO, {}),
        (LIMITS, {"source": "dso", "charge_kw": 1}),
    ],
)
def test_a_viewer_cannot_control(
    client: FlaskClient, services: DeskServices, path: str, body: dict[str, Any]
) -> None:
    answer = client.post(path, json=body, headers=AS_VIEWER)
    assert answer.status_code == 403
    assert answer.get_json()["error"]["code"] == "forbidden"
    assert services.told == []
    assert client.get(path if path != AUTO else MANUAL).status_code == 200


@pytest.mark.parametrize("path", [MANUAL, AUTO, LIMITS])
def test_another_site_is_unknown(client: FlaskClient, services: DeskServices, path: str) -> None:
    body = {"power_kw": 10, "minutes": 5}
    answer = client.post(f"{path}?site=elsewhere", json=body)
    assert answer.status_code == 404
    assert answer.get_json()["error"]["code"] == "unknown_site"
    if path != AUTO:
        assert client.get(f"{path}?site=elsewhere").status_code == 404
    assert services.told == []
