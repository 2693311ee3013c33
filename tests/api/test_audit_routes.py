"""Everything that changes something is in the audit log, whichever way it was asked for."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pytest
from werkzeug.test import TestResponse

import ems_dash.services as seam
from ems_dash.cli.main import main
from engine.audit.key import read_key
from engine.audit.reading import AuditQuery, read_page
from engine.audit.verify import verify
from engine.control.external_limits import ExternalLimit
from engine.devices.mqtt.commands import Command
from engine.domain.records import SampleRow
from engine.domain.strategy import StrategyKey
from engine.history.duckdb_store import DuckDbHistory
from engine.history.store import Batch
from tests.support.whole_program import Program, build

YAML = """
limits: {external: [{source: dso}]}
notifications:
  channels: [{name: ops, type: webhook, url: "http://127.0.0.1:9/canary"}]
"""

CHANGES: Final[dict[str, tuple[Any, str]]] = {
    "POST /api/plan": (None, "plan.request"),
    "POST /api/alarms/ack": (None, "alarm.acknowledge"),
    "POST /api/config/restore": ({}, "config.changed"),
    "POST /api/config": ({}, "config.changed"),
    "POST /api/config/reload": (None, "config.reload"),
    "POST /api/mqtt/config": ({"mqtt": {"enabled": False}}, "config.changed"),
    "POST /api/modbus/config": ({"modbus": {"poll_interval_s": 3}}, "config.changed"),
    "POST /api/history/imports": (None, "history.import"),
    "POST /api/modbus/test": ({"profile": "hithium_ess_5016", "host": "127.0.0.1"}, "device.test"),
    "POST /api/mqtt/test": (None, "broker.test"),
    "POST /api/strategy": ({"strategy": "arbitrage", "hours": 1}, "strategy.manual"),
    "POST /api/strategy/auto": (None, "strategy.auto"),
    "POST /api/control/manual": ({"power_kw": 5, "minutes": 5}, "manual.give"),
    "POST /api/control/auto": (None, "manual.end"),
    "POST /api/control/limits": ({"source": "dso", "charge_kw": 4.2}, "limit.put"),
    "POST /api/notifications/test": ({"channel": "ops"}, "notification.test"),
    "POST /api/history/backup": ({}, "history.backup"),
}
"""Route to a body and the action that its entry carries."""

READS: Final = {
    "POST /api/sql": "answers a question",
    "POST /api/history/imports/cancel": "ends what an entry says was started",
    "POST /api/backtests": "computes beside the site",
    "DELETE /api/backtests/<number>": "ends or forgets such a computation",
}
"""Routes that change nothing although they are not GET, and why."""

OTHERS: Final = ("ems_dash.auth.", "ems_dash.api.account_routes")
"""Modules whose views record themselves and are tested there."""

AUDITED: Final = {
    "Services": {"acknowledge", "request_plan", "choose_strategy", "choose_automatically"},
    "OperatorServices": {"give", "end", "put_limit", "release_limit", "contact"},
    "NotificationServices": {"test"},
    "ImportServices": {"start"},
    "SettingsServices": {"store_secret", "test_broker", "reload"},
    "DeviceServices": {"test"},
    "BackupServices": {"backup"},
    "MqttServices": {"test"},
}
"""Methods of the seam between web and engine that change something or reach out."""

READING: Final = {
    "ImportServices": {"keep", "kept", "preview", "states", "state", "cancel"},
    "NotificationServices": {"status"},
    "OperatorServices": {"limits_in_force"},
    "MqttServices": {"status"},
    "Services": {
        *("snapshot", "measured", "prices", "planned", "now", "heartbeat_age_s", "recent"),
        *("events", "strategy_state", "forecasts", "forecast_accuracy"),
    },
    "DeviceServices": {
        *("statistics", "registers", "device_clocks", "limit_states", "devices", "new_device"),
    },
}
"""Methods that only read; classes of the seam without any method above only read altogether."""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    made = build(tmp_path_factory.mktemp("audited"), YAML)
    yield made
    made.stop()


def unsafe_routes(program: Program) -> set[str]:
    found = set()
    for rule in program.server.url_map.iter_rules():
        view = inspect.unwrap(program.server.view_functions[rule.endpoint])
        is_ours = rule.rule.startswith("/api/") and rule.endpoint != "api.unknown"
        if is_ours and not view.__module__.startswith(OTHERS):
            for method in (rule.methods or set()) - {"GET", "HEAD", "OPTIONS"}:
                found.add(f"{method} {rule.rule}")
    return found


def body_of(program: Program, route: str) -> Any:
    body = CHANGES[route][0]
    if route == "POST /api/config":
        stated = program.ask("GET", "/api/config").get_json()
        values = stated["values"] | {"branding": {"product_name": "Audited"}}
        return {"values": values, "revision": stated["revision"], "save": True}
    if route == "POST /api/config/restore":
        program.ask("POST", "/api/config", json=body_of(program, "POST /api/config"))
        newest = program.ask("GET", "/api/config/backups").get_json()["backups"][0]["name"]
        revision = program.ask("GET", "/api/config").get_json()["revision"]
        return {"backup": newest, "revision": revision}
    if route in ("POST /api/mqtt/config", "POST /api/modbus/config"):
        revision = program.ask("GET", "/api/config").get_json()["revision"]
        return {**body, "revision": revision, "save": True}
    return body


def asked(program: Program, route: str, body: Any) -> TestResponse:
    method, path = route.split()
    if route == "POST /api/history/imports":
        file = b"ts,load_kw\n2026-01-01T00:00:00Z,5\n2026-01-01T00:15:00Z,6\n"
        return program.ask(method, f"{path}?name=a.csv", data=file, content_type="text/csv")
    return program.ask(method, path, json=body) if body is not None else program.ask(method, path)


def test_every_route_that_is_not_a_get_is_known_here(program: Program) -> None:
    assert unsafe_routes(program) == {*CHANGES, *READS}


@pytest.mark.parametrize("route", sorted(CHANGES, reverse=True))
def test_every_route_that_changes_something_writes_an_entry(program: Program, route: str) -> None:
    body = body_of(program, route)
    before = {entry.seq for entry in program.audit()}
    answer = asked(program, route, body)
    assert answer.status_code < 300, answer.get_json()
    action = CHANGES[route][1]
    (entry,) = [e for e in program.audit(action) if e.seq not in before]
    assert (entry.action, entry.actor, entry.address, entry.outcome) == (
        CHANGES[route][1],
        "admin",
        "127.0.0.1",
        "done",
    )


@pytest.mark.parametrize("route", sorted(CHANGES))
def test_what_a_viewer_tried_is_written_down_as_refused(program: Program, route: str) -> None:
    method, path = route.split()
    assert program.ask(method, path, "viewer", json={}).status_code == 403
    # Beside it, what another test began may be ending.
    entry = next(e for e in program.audit() if e.action.startswith("request."))
    assert (entry.action, entry.target, entry.outcome) == ("request.refused", route, "refused")


def test_refusals_cannot_fill_the_log(program: Program) -> None:
    before = len(program.audit())
    for _ in range(60):
        program.ask("POST", "/api/plan", "viewer")
    assert len(program.audit()) - before <= 30


def test_every_method_of_the_seam_is_either_audited_or_only_reads() -> None:
    for name, protocol in vars(seam).items():
        if not getattr(protocol, "_is_protocol", False) or protocol.__module__ != seam.__name__:
            continue
        methods = {m for m, value in vars(protocol).items() if m[0] != "_" and callable(value)}
        changing = AUDITED.get(name, set())
        assert methods - changing == READING.get(name, methods if not changing else set()), name


def test_the_methods_that_pages_call_write_entries(program: Program) -> None:
    engine = program.engine
    until = engine.now() + timedelta(minutes=5)
    engine.choose_strategy(StrategyKey.ARBITRAGE, until)
    engine.choose_automatically()
    engine.acknowledge(None, "tester")
    engine.request_plan()
    engine.operator.give(5.0, until, None, "tester")
    engine.operator.end()
    engine.operator.put_limit(ExternalLimit("dso", charge_kw=4.2))
    engine.operator.release_limit("dso")
    engine.notifications.test("ops")
    assert engine.settings is not None
    engine.settings.store_secret("mqtt-password", "canary-secret")
    actions = [entry.action for entry in program.audit()[:10]][::-1]
    assert actions == [
        *("strategy.manual", "strategy.auto", "alarm.acknowledge", "plan.request"),
        *("manual.give", "manual.end", "limit.put", "limit.release"),
        *("notification.test", "secret.stored"),
    ]
    written = "".join(p.read_text() for p in (program.folder / "data" / "audit").glob("*.jsonl"))
    assert "canary" not in written


def test_a_change_says_what_was_before(program: Program) -> None:
    program.ask("POST", "/api/strategy/auto")
    program.ask("POST", "/api/strategy", json={"strategy": "arbitrage", "hours": 1})
    entry = program.audit("strategy.manual")[0]
    assert entry.before == "auto"
    assert entry.after["strategy"] == "arbitrage"


def test_what_could_not_be_done_is_written_down_as_failed(program: Program) -> None:
    program.ask("POST", "/api/control/manual", json={"power_kw": 5000, "minutes": 5})
    entry = program.audit("manual.give")[0]
    assert (entry.outcome, entry.after["error"]) == ("failed", "control_refused")


def test_commands_over_mqtt_are_written_down_but_not_their_repeats(program: Program) -> None:
    before = len(program.audit("manual.give"))
    send = program.engine.mqtt_service._on_command
    until = datetime.now(UTC) + timedelta(seconds=30)
    for power_kw in (3.0, 3.0, 3.0, 4.0):
        assert send(Command("power_kw", power_kw, 30.0, "", until)).accepted
    found = program.audit("manual.give")
    assert len(found) - before == 2
    assert (found[0].actor, found[0].via) == ("mqtt", "mqtt")
    assert found[0].after["power_kw"] == 4.0


def test_admins_read_and_filter_it(program: Program) -> None:
    program.ask("POST", "/api/plan")
    assert program.ask("GET", "/api/audit", "operator").status_code == 403
    answer = program.ask("GET", "/api/audit?action=plan.&limit=1").get_json()
    assert [entry["action"] for entry in answer["entries"]] == ["plan.request"]
    assert answer["next_before"] is not None
    assert answer["log"]["problem"] is None
    older = program.ask("GET", f"/api/audit?before={answer['next_before']}&limit=500").get_json()
    assert older["entries"][-1]["seq"] == 1
    assert older["next_before"] is None
    since = (datetime.now(UTC) + timedelta(hours=1)).isoformat().replace("+", "%2B")
    assert program.ask("GET", f"/api/audit?since={since}").get_json()["entries"] == []


@pytest.mark.parametrize(
    "query",
    [
        "since=yesterday",
        "since=2026-01-01",
        "outcome=odd",
        "limit=0",
        "before=x",
        "actor=" + "a" * 400,
    ],
)
def test_a_question_that_makes_no_sense_is_refused(program: Program, query: str) -> None:
    answer = program.ask("GET", f"/api/audit?{query}")
    assert answer.status_code == 400
    assert answer.get_json()["error"]["code"] == "invalid_request"


def test_admins_see_it_on_a_page_where_nothing_that_was_typed_is_html(program: Program) -> None:
    program.ask("POST", "/api/notifications/test", json={"channel": "<script>alert(1)</script>"})
    text = program.ask("GET", "/settings/audit?action=notification.").get_data(as_text=True)
    assert "notification.test" in text
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
    assert program.ask("GET", "/settings/audit", "operator").status_code == 403
    older = program.ask("GET", "/settings/audit?before=3&outcome=odd").get_data(as_text=True)
    assert "plan.request" not in older


def test_the_chain_of_all_that_is_whole_and_the_command_says_so(
    program: Program, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [f"--{name}={program.folder / name}" for name in ("config", "data")]
    assert main(["verify-audit", "--json", *folders]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["ok"]
    assert main(["verify-audit", "--anchor", report["head"], *folders]) == 0
    assert "Whole" in capsys.readouterr().out
    assert main(["verify-audit", "--anchor", f"1:{'0' * 64}", *folders]) == 1
    assert "altered" in capsys.readouterr().out
    assert main(["verify-audit", "--anchor", "nonsense", *folders]) == 2


def test_what_commands_change_is_in_the_same_chain(tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with DuckDbHistory(data / "hot.duckdb") as store:
        store.write(Batch(samples=(SampleRow(datetime(2026, 11, 1, tzinfo=UTC), "main"),)))
    folders = [f"--{name}={tmp_path / name}" for name in ("config", "data")]
    assert main(["backup", str(tmp_path / "usb"), *folders]) == 0
    assert main(["restore", str(tmp_path / "usb"), *folders]) == 0
    found = read_page(data / "audit", AuditQuery(action="history.")).entries
    assert [(entry.action, entry.via) for entry in found] == [
        ("history.restore", "cli"),
        ("history.backup", "cli"),
    ]
    assert verify(data / "audit", read_key(tmp_path / "config")).ok
