"""The documentation names what exists."""

from __future__ import annotations

import re
from pathlib import Path
from unittest.mock import MagicMock

import pytest
from flask import Flask

from ems_dash.api.account_routes import register_account_api
from ems_dash.api.audit_routes import register_audit_api
from ems_dash.api.install import install_api
from ems_dash.cli.main import parser
from engine.devices.profile import MODBUS_PROFILES

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]


def text() -> str:
    return "\n".join(page.read_text(encoding="utf-8") for page in PAGES)


def test_every_route_is_documented_and_every_documented_route_exists() -> None:
    server = Flask("docs")
    install_api(server, MagicMock())
    register_audit_api(server, MagicMock())
    register_account_api(server, MagicMock())
    routes = {
        rule.rule.partition(".")[0]
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
