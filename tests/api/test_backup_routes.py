"""A backup over HTTP and from the command line."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from flask import Flask
from werkzeug.serving import make_server

from ems_dash.api.backup_routes import register_backup_api
from ems_dash.cli.main import main
from engine.domain.records import SampleRow
from engine.history.duckdb_store import DuckDbHistory
from engine.history.store import Batch
from engine.runtime.backup_service import BackupService
from tests.support.access import AS_OPERATOR, open_flask


@pytest.fixture
def data(tmp_path: Path) -> Path:
    with DuckDbHistory(tmp_path / "data" / "hot.duckdb") as store:
        store.write(Batch(samples=(SampleRow(datetime(2026, 11, 1, tzinfo=UTC), "main"),)))
    return tmp_path / "data"


def application(store: DuckDbHistory, data: Path) -> Flask:
    server = open_flask()
    register_backup_api(
        server, BackupService(store.backup, data, str(data.parent / "usb")), lambda: "site-1"
    )
    return server


def test_the_route_is_guarded_and_keeps_to_its_folder(data: Path) -> None:
    with DuckDbHistory(data / "hot.duckdb") as store:
        client = application(store, data).test_client()
        refused = client.post("/api/history/backup", json={}, headers=AS_OPERATOR)
        assert refused.status_code == 403
        elsewhere = {"folder": str(data.parent / "elsewhere")}
        refused = client.post("/api/history/backup", json=elsewhere)
        assert refused.status_code == 503
        assert refused.get_json()["error"]["field"] == "folder"
        wrong = client.post("/api/history/backup", json={"path": "x"})
        assert wrong.status_code == 400
        made = client.post("/api/history/backup", json={})
    assert made.status_code == 200
    assert made.get_json()["samples"] == 1
    assert (data.parent / "usb" / "ems-backup.json").is_file()


def test_the_command_asks_the_running_program_and_works_without_it(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = data.parent / "usb" / "monday"
    command = ["backup", str(folder), "--data", str(data), "--json"]
    with DuckDbHistory(data / "hot.duckdb") as store:
        server = make_server("127.0.0.1", 0, application(store, data), threaded=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}"
            assert main([*command, "--url", url]) == 0
            asked = json.loads(capsys.readouterr().out)
            command[1] = str(data.parent / "elsewhere")
            assert main([*command, "--url", url]) == 2
            assert "backup_folder" in capsys.readouterr().err
        finally:
            server.shutdown()
            thread.join()
            server.server_close()
        assert main([*command, "--url", url]) == 2
        assert "none answers" in capsys.readouterr().err
        assert main(["restore", str(folder), "--data", str(data)]) == 2
        assert "in use" in capsys.readouterr().err
    assert asked["folder"] == str(folder)
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["samples"] == 1
    assert main(["restore", str(folder), "--data", str(data)]) == 0
    assert "kept in replaced-" in capsys.readouterr().out
    assert main(["backup", str(folder), "--data", str(data / "nowhere")]) == 2
    assert "no history" in capsys.readouterr().err
