"""The documentation names what exists."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask

from ems_dash.api.account_routes import register_account_api
from ems_dash.api.analytics_routes import register_analytics_api
from ems_dash.api.audit_routes import register_audit_api
from ems_dash.api.backup_routes import register_backup_api
from ems_dash.api.config_routes import register_config_api
from ems_dash.api.control_routes import register_control_api
from ems_dash.api.history_routes import register_history_api
from ems_dash.api.modbus_routes import register_modbus_api
from ems_dash.api.mqtt_routes import register_mqtt_api
from ems_dash.api.notification_routes import register_notification_api
from ems_dash.api.planning_routes import register_planning_api
from ems_dash.api.routes import register_api
from ems_dash.cli.main import parser
from engine.devices.profile import MODBUS_PROFILES

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def text() -> str:
    return "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def test_every_route_is_documented_and_every_documented_route_exists() -> None:
    server = Flask("docs")
    register_api(server, None)  # type: ignore[arg-type]
    register_modbus_api(server, None, "site-1")  # type: ignore[arg-type]
    register_mqtt_api(server, None)  # type: ignore[arg-type]
    register_planning_api(server, None)  # type: ignore[arg-type]
    register_analytics_api(server, None)  # type: ignore[arg-type]
    register_config_api(server, None, "site-1")  # type: ignore[arg-type]
    register_control_api(server, None)  # type: ignore[arg-type]
    register_notification_api(server, None)  # type: ignore[arg-type]
    register_history_api(server, None)  # type: ignore[arg-type]
    register_backup_api(server, None)  # type: ignore[arg-type]
    register_audit_api(server, None)  # type: ignore[arg-type]
    register_account_api(server, None)  # type: ignore[arg-type]
    routes = {
        rule.rule
        for rule in server.url_map.iter_rules()
        if rule.rule.startswith(("/api/", "/healthz")) and "<" not in rule.rule
    } - {"/api/"}
    families = tuple(
        rule.rule.partition("<")[0]
        for rule in server.url_map.iter_rules()
        if "<" in rule.rule and rule.endpoint != "api.unknown"
    )
    named = {
        route
        for route in re.findall(r"(/api/[a-z/_]+[a-z]|/healthz)", text())
        if route in routes or not f"{route}/".startswith(families)
    }
    assert routes - named == set()
    assert named - routes == set()


def test_documented_commands_exist() -> None:
    commands = parser()._subparsers._group_actions[0].choices  # type: ignore[union-attr]
    assert commands is not None
    named = set(re.findall(r"python -m ems_dash ([a-z]+(?:-[a-z]+)*)", text()))
    assert named <= set(commands)
    assert set(commands) <= named


@pytest.mark.parametrize("page", PAGES, ids=lambda p: p.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", page.read_text(encoding="utf-8")):
        assert (page.parent / target).exists(), target


def test_the_number_of_profiles_in_the_readme_is_right() -> None:
    real = [key for key in MODBUS_PROFILES if not key.startswith("demo_")]
    assert f"{len(real)} device profiles" in (ROOT / "README.md").read_text(encoding="utf-8")
