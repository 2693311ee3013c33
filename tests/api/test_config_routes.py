"""Configuration over REST: check, save, go back; never a secret, never over somebody's change."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from flask.testing import FlaskClient

from ems_dash.api.config_routes import register_config_api
from engine.config.desk import ConfigDesk
from engine.config.load import load_config
from tests.support.access import AS_OPERATOR, open_flask

TEXT = """\
# kept
grid: {import_limit_kw: 80.0}   # kept too
notifications:
  channels:
    - {type: webhook, name: ops, url: "https://hooks.example/canary"}
"""


@pytest.fixture
def client(tmp_path: Path) -> Iterator[FlaskClient]:
    (tmp_path / "ems.yaml").write_text(TEXT)
    desk = ConfigDesk(tmp_path, now=lambda: datetime(2026, 11, 25, 21, 0, tzinfo=UTC))
    settings = SimpleNamespace(desk=desk, running=load_config(tmp_path))
    server = open_flask()
    register_config_api(server, SimpleNamespace(settings=settings), lambda: "site-1")
    with server.test_client() as client:
        yield client


def post(client: FlaskClient, path: str, body: Any, headers: dict[str, str] | None = None) -> Any:
    return client.post(path, json=body, headers=headers)


def test_a_change_is_checked_saved_listed_and_undone(client: FlaskClient, tmp_path: Path) -> None:
    now = client.get("/api/config").json
    assert "canary" not in str(now)
    now["values"]["grid"]["import_limit_kw"] = 60.0
    body = {"values": now["values"], "revision": now["revision"]}
    checked = post(client, "/api/config", body).json
    assert checked["saved"] is False
    assert checked["changes"] == [{"path": "grid.import_limit_kw", "old": 80.0, "new": 60.0}]
    assert (tmp_path / "ems.yaml").read_text() == TEXT
    saved = post(client, "/api/config", {**body, "save": True}).json
    assert saved["saved"]
    assert (tmp_path / "ems.yaml").read_text() == TEXT.replace("80.0", "60.0")
    after = client.get("/api/config").json
    assert [c["path"] for c in after["takes_effect_at_next_start"]] == ["grid.import_limit_kw"]
    (backup,) = client.get("/api/config/backups").json["backups"]
    assert backup["name"] == saved["backup"]
    undo = {"backup": backup["name"], "revision": after["revision"]}
    assert post(client, "/api/config/restore", undo).json["saved"]
    assert (tmp_path / "ems.yaml").read_text() == TEXT


def test_mistakes_are_placed_and_nothing_is_saved(client: FlaskClient, tmp_path: Path) -> None:
    now = client.get("/api/config").json
    now["values"]["bess"] = {"soc_min_percent": 95.0}
    answer = post(
        client,
        "/api/config",
        {"values": now["values"], "revision": now["revision"], "save": True},
    )
    assert answer.status_code == 400
    assert [p["field"] for p in answer.json["problems"]] == ["bess.soc_min_percent"]
    assert (tmp_path / "ems.yaml").read_text() == TEXT


def test_an_old_revision_is_a_conflict(client: FlaskClient) -> None:
    values = client.get("/api/config").json["values"]
    answer = post(client, "/api/config", {"values": values, "revision": "old", "save": True})
    assert answer.status_code == 409
    assert answer.json["error"]["code"] == "config_changed"


def test_writing_is_for_admins(client: FlaskClient) -> None:
    body = {"values": {}, "revision": "x", "save": True}
    assert post(client, "/api/config", body, AS_OPERATOR).status_code == 403
    going_back = {"backup": "x", "revision": "x"}
    assert post(client, "/api/config/restore", going_back, AS_OPERATOR).status_code == 403


def test_a_body_that_is_wrong_is_not_repeated(client: FlaskClient) -> None:
    answer = post(client, "/api/config", {"values": "canary", "revision": "x"})
    assert answer.status_code == 400
    assert "canary" not in answer.text
