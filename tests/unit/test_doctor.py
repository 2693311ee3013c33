"""The doctor finds what is wrong, says how to mend it, and changes nothing."""

from __future__ import annotations

import json
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ems_dash.cli.main import main
from ems_dash.doctor import Doctor
from ems_dash.doctor_devices import device_findings
from ems_dash.doctor_finding import Finding
from engine.audit.opening import open_audit
from engine.config.load import FILE_NAME, parse_config
from engine.devices.connection_test import ConnectionReport
from engine.devices.profile import MODBUS_PROFILES
from engine.devices.simulator.profile_server import ProfileServer
from engine.devices.spec import DeviceSpec
from engine.history.duckdb_store import DuckDbHistory
from engine.history.file_lock import FileLock
from engine.runtime.history_setup import DATABASE_NAME
from tests.support.login import prepare
from tests.support.process import free_port


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An installation with nothing wrong, to be copied."""
    root = tmp_path_factory.mktemp("sound")
    config, data = root / "config", root / "data"
    config.mkdir()
    data.mkdir()
    (config / FILE_NAME).write_text("site: {name: Here}\n")
    prepare(config)
    open_audit(config, data).note("a", "b")
    with DuckDbHistory(data / DATABASE_NAME):
        pass
    return root


@pytest.fixture
def folders(sound: Path, tmp_path: Path) -> tuple[Path, Path]:
    root = shutil.copytree(sound, tmp_path / "installation")
    return root / "config", root / "data"


def look(folders: tuple[Path, Path], port: int = 0, **how: bool) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings(folders, port, **how)}


def findings(folders: tuple[Path, Path], port: int = 0, **how: Any) -> list[Finding]:
    def unreachable(_host: str, _port: int) -> None:
        raise ConnectionRefusedError("refused\nforged line")

    return Doctor(*folders, port, connect=unreachable, **how).look()


def test_a_sound_installation_has_nothing_that_failed(folders: tuple[Path, Path]) -> None:
    found = look(folders, free_port())
    assert [f for f in found.values() if f.state == "failed"] == []
    assert found["config"].state == found["database"].state == found["audit"].state == "ok"


def test_looking_changes_nothing(folders: tuple[Path, Path]) -> None:
    root = folders[0].parent

    def state() -> dict[str, tuple[int, bytes]]:
        return {
            str(p): (p.stat().st_mtime_ns, p.read_bytes()) for p in root.rglob("*") if p.is_file()
        }

    before = state()
    look(folders, free_port())
    assert state() == before


def test_mistakes_of_the_configuration_are_named(folders: tuple[Path, Path]) -> None:
    (folders[0] / FILE_NAME).write_text("bess: {soc_min_percent: 200}\n")
    found = look(folders)["config"]
    assert found.state == "failed"
    assert "bess.soc_min_percent" in found.detail
    assert found.remedy


def test_secrets_that_others_can_read_are_named(folders: tuple[Path, Path]) -> None:
    key = folders[0] / "secrets" / "audit-key"
    key.chmod(0o644)
    found = look(folders)["secrets"]
    assert (found.state, found.remedy) == ("failed", f"chmod 600 {key}")
    (folders[0] / "users.yaml").chmod(0o640)
    assert look(folders)["users"].state == "failed"


def test_an_altered_audit_log_is_found(folders: tuple[Path, Path]) -> None:
    (path,) = (folders[1] / "audit").glob("audit-*.jsonl")
    path.write_text(path.read_text().replace('"target":"b"', '"target":"c"'))
    assert look(folders)["audit"].state == "failed"


def test_a_file_that_is_no_history_is_found(folders: tuple[Path, Path]) -> None:
    (folders[1] / DATABASE_NAME).write_bytes(b"x" * 4096)
    found = look(folders)["database"]
    assert found.state == "failed"
    assert "restore" in found.remedy


def test_a_damaged_history_is_found_by_opening_it(folders: tuple[Path, Path]) -> None:
    path = folders[1] / DATABASE_NAME
    whole = path.read_bytes()
    path.write_bytes(whole[:4096] + b"\xff" * 8192 + whole[12288:])
    found = look(folders)["database"]
    assert (found.state, "cannot be opened" in found.detail) == ("failed", True)
    assert "restore" in found.remedy


def test_the_holder_of_the_folder_is_named_and_not_disturbed(folders: tuple[Path, Path]) -> None:
    lock = FileLock(folders[1] / DATABASE_NAME)
    found = look(folders)
    assert "has the data folder" in found["lock"].detail
    lock.release()
    FileLock(folders[1] / DATABASE_NAME).release()


def test_a_port_of_somebody_else_is_found(folders: tuple[Path, Path]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        found = look(folders, other.getsockname()[1])["port"]
    assert found.state == "failed"


def test_what_does_not_answer_is_named_on_one_line(folders: tuple[Path, Path]) -> None:
    (folders[0] / FILE_NAME).write_text(
        "mqtt: {enabled: true, broker_host: broker.example}\n"
        f"modbus: {{enabled: true, host: 127.0.0.1, port: {free_port()}}}\n"
    )
    found = look(folders)
    assert found["broker"].state == found["devices"].state == "failed"
    assert "\n" not in found["broker"].detail
    assert "refuse" in found["devices"].detail
    assert found["devices"].remedy
    assert look(folders, offline=True)["devices"].state == "skipped"


@pytest.fixture
def meter() -> Iterator[ProfileServer]:
    server = ProfileServer(MODBUS_PROFILES["janitza_umg96"])
    yield server
    server.stop()


def test_every_device_is_read_once_and_what_is_wrong_is_said(meter: ProfileServer) -> None:
    port = meter.start()

    def found(unit_id: int, owner: str | None = None) -> Finding:
        config = parse_config(
            "devices: [{name: mains, profile: janitza_umg96, host: 127.0.0.1, "
            f"port: {port}, unit_id: {unit_id}}}]"
        )
        (finding,) = device_findings(config, owner, offline=False)
        return finding

    good = found(meter.unit_id)
    assert good.state == "ok", good
    assert f"mains at 127.0.0.1:{port}, unit {meter.unit_id} was read" in good.detail
    wrong = found(meter.unit_id + 1)
    assert wrong.state == "failed"
    assert f"unit_id {meter.unit_id}" in wrong.remedy
    beside = found(meter.unit_id + 1, owner="4711")
    assert beside.state == "warning", "the running program may have the only connection"
    assert "beside process 4711" in beside.detail


def test_a_device_with_one_connection_is_left_to_the_program_that_has_it(
    folders: tuple[Path, Path],
) -> None:
    (folders[0] / FILE_NAME).write_text(
        "devices: [{name: inverter, profile: solaredge_storedge, host: 192.0.2.1}]\n"
    )
    asked: list[DeviceSpec] = []

    def read(spec: DeviceSpec) -> ConnectionReport:
        asked.append(spec)
        raise OSError("the test must not connect")

    lock = FileLock(folders[1] / DATABASE_NAME)
    (found,) = (f for f in findings(folders, read=read) if f.name == "devices")
    lock.release()
    assert found.state == "skipped"
    assert "takes one connection" in found.detail
    assert asked == []
    findings(folders, read=read)
    assert len(asked) == 1


def test_trouble_at_one_site_does_not_hide_what_was_found_at_the_others(
    folders: tuple[Path, Path],
) -> None:
    (folders[0] / FILE_NAME).write_text("sites: [{site: {id: north}}, {site: {id: south}}]\n")
    (folders[1] / DATABASE_NAME).unlink()
    (folders[1] / DATABASE_NAME).mkdir()
    north, south = (f for f in findings(folders) if f.name == "database")
    assert (north.state, south.state) == ("failed", "ok")
    assert north.detail.startswith("north: ")
    assert south.detail.startswith("south: ")


def test_a_nearly_full_disk_is_found(
    folders: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ems_dash.doctor.LEAST_FREE_BYTES", 10**18)
    assert look(folders)["disk"].state == "failed"


def test_the_command_tells_and_its_exit_code_says_whether_all_is_well(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    argv = ["doctor", f"--config={folders[0]}", f"--data={folders[1]}", f"--port={free_port()}"]
    assert main([*argv, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ok"]
    (folders[0] / "secrets" / "audit-key").chmod(0o644)
    assert main(argv) == 1
    printed = capsys.readouterr().out
    assert "FAIL secrets" in printed
    assert "-> chmod 600" in printed
