"""The files for containers, services and proxies hold what they promise.

``make deploy-test`` runs them with the real programs.
"""

from __future__ import annotations

import configparser
import re
import stat
import subprocess
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from ems_dash.cli.main import parser
from engine.config.load import load_config
from tests.support.deploy_files import KEPT, copy_of_deploy, env_of, run_setup

ROOT = Path(__file__).resolve().parents[2]


def read(path: str) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


@cache
def instructions() -> list[tuple[str, str]]:
    """Return the Dockerfile's instructions with continued lines joined."""
    lines = [line for line in read("Dockerfile").splitlines() if not line.startswith("#")]
    text = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(a, b) for a, _, b in (line.partition(" ") for line in text.splitlines() if line)]


@cache
def compose() -> Any:
    return YAML(typ="safe").load(read("deploy/docker-compose.yml"))


def all_of(name: str) -> list[str]:
    return [rest for keyword, rest in instructions() if keyword == name]


def test_the_image_is_built_in_two_stages_and_compilers_stay_in_the_first() -> None:
    stages = [i for i, (keyword, _) in enumerate(instructions()) if keyword == "FROM"]
    assert len(stages) == 2
    builder, runtime = instructions()[stages[0] : stages[1]], instructions()[stages[1] :]
    assert any("build-essential" in rest for _, rest in builder)
    assert not any("build-essential" in rest or " pip " in rest for _, rest in runtime)


def test_the_image_installs_exactly_what_is_locked() -> None:
    installs = [rest for rest in all_of("RUN") if " install --no-cache-dir" in rest]
    assert len(installs) == 1
    assert "--require-hashes -r /build/runtime.txt" in installs[0]
    requirements = re.split(r"\n(?=[a-z0-9])", read("requirements/runtime.txt"))[1:]
    assert all("--hash=sha256:" in entry for entry in requirements)


def test_the_image_runs_without_root_and_says_how_it_is() -> None:
    assert all_of("USER") == ["10001:10001"]
    after_user = [k for k, _ in instructions()][[k for k, _ in instructions()].index("USER") :]
    assert not {"RUN", "COPY", "ADD"} & set(after_user)
    assert "/healthz" in all_of("HEALTHCHECK")[0]
    assert all_of("STOPSIGNAL") == ["SIGTERM"]
    assert all_of("ENTRYPOINT") == ['["python", "-m", "ems_dash"]']
    (command,) = all_of("CMD")
    arguments = parser().parse_args(re.findall(r'"([^"]+)"', command))
    assert (arguments.command, arguments.port) == ("run", 5050)
    assert set(re.findall(r'"([^"]+)"', all_of("VOLUME")[0])) == {
        str(arguments.config),
        str(arguments.data),
    }


def test_the_image_holds_every_folder_and_file_the_program_needs() -> None:
    copied = {source for rest in all_of("COPY") for source in rest.split()[:-1]}
    assert {"engine", "ems_dash", "pages", "assets", "pyproject.toml"} <= copied
    let_in = set(re.findall(r"^!(.+)$", read(".dockerignore"), re.MULTILINE))
    outside = {source for source in copied if not source.startswith(("--from", "/"))}
    assert read(".dockerignore").splitlines()[1] == "*"
    assert outside == let_in
    version = tomllib.loads(read("pyproject.toml"))["project"]["version"]
    assert f"VERSION={version}" in all_of("ARG")


def test_no_image_is_named_latest() -> None:
    images = [service["image"] for service in compose()["services"].values()]
    images += [rest.split()[0] for rest in all_of("ARG") if rest.startswith("PYTHON_IMAGE")]
    for image in images:
        assert ":" in image, image
        assert "latest" not in image


@pytest.mark.parametrize("name", ["ems", "mosquitto"])
def test_a_service_has_no_more_rights_than_it_needs(name: str) -> None:
    service = compose()["services"][name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["user"].startswith("${EMS_UID:?")
    assert service["healthcheck"]["test"][0] == "CMD"
    assert service["restart"] == "unless-stopped"
    assert {"mem_limit", "pids_limit", "tmpfs", "stop_grace_period"} <= set(service)
    assert all(
        port.startswith(("${EMS_BIND:-127.", "${MQTT_BIND:-127.")) for port in service["ports"]
    )


def test_the_composition_keeps_data_configuration_and_logs_outside_of_its_containers() -> None:
    ems, broker = compose()["services"]["ems"], compose()["services"]["mosquitto"]
    assert {"./config:/config", "./data:/data", "./log:/log"} <= set(ems["volumes"])
    arguments = parser().parse_args(ems["command"])
    places = (arguments.config, arguments.data, arguments.logs)
    assert {f"./{place.name}:{place}" for place in places} <= set(ems["volumes"])
    assert {"./mosquitto/data:/mosquitto/data", "./log:/mosquitto/log"} <= set(broker["volumes"])
    assert ems["stop_grace_period"] == "20s"
    assert ems["ports"] == ["${EMS_BIND:-127.0.0.1}:5050:5050"]
    assert broker["ports"] == ["${MQTT_BIND:-127.0.0.1}:1883:1883"]


def test_the_broker_refuses_who_has_no_password() -> None:
    settings = dict(
        line.split(maxsplit=1)
        for line in read("deploy/mosquitto/mosquitto.conf").splitlines()
        if line and not line.startswith("#")
    )
    assert settings["allow_anonymous"] == "false"
    mounts = {v.split(":")[1] for v in compose()["services"]["mosquitto"]["volumes"]}
    for key in ("password_file", "acl_file"):
        assert settings[key] in mounts
    assert settings["persistence_location"].rstrip("/") in mounts


def test_the_first_configuration_is_valid_and_logs_in_at_the_broker(tmp_path: Path) -> None:
    (tmp_path / "ems.yaml").write_text(read("deploy/config/ems.yaml.example"), encoding="utf-8")
    mqtt = load_config(tmp_path).mqtt
    assert mqtt.enabled
    assert mqtt.broker_host in compose()["services"]
    assert (mqtt.username, mqtt.password_env) == ("ems", "EMS_MQTT_PASSWORD")
    assert f"user {mqtt.username}\n" in read("deploy/mosquitto/acl")


def test_no_file_that_git_would_take_holds_a_secret(tmp_path: Path) -> None:
    folder = copy_of_deploy(tmp_path)
    run_setup(folder)
    for made in ("data/history.duckdb", "log/mosquitto.log", "mosquitto/certs/server.key"):
        (folder / made).parent.mkdir(exist_ok=True)
        (folder / made).write_text("made by the program", encoding="utf-8")
    (tmp_path / ".gitignore").write_text(read(".gitignore"), encoding="utf-8")
    git = ["git", "-C", str(tmp_path)]
    subprocess.run([*git, "init", "-q"], check=True)
    subprocess.run([*git, "add", "-A"], check=True)
    taken = subprocess.run([*git, "ls-files", "-z", "deploy"], capture_output=True, check=True)
    names = [name for name in taken.stdout.decode().split("\0") if name]
    assert {f"deploy/{name}" for name in KEPT} == set(names)
    for name in names:
        text = (tmp_path / name).read_text(encoding="utf-8")
        assert "PRIVATE KEY" not in text, name
        assert not re.search(r"(?im)^[^#\n]*(password|token|secret)\s*[=:]\s*\w{6,}\s*$", text)
        assert not re.search(r"[0-9a-f]{32}", text), name


@pytest.mark.parametrize(
    "script",
    [
        "deploy/setup.sh",
        "deploy/systemd/install.sh",
        "scripts/image_check.sh",
        "scripts/newcomer.sh",
    ],
)
def test_scripts_can_be_run_and_are_valid_shell(script: str) -> None:
    path = ROOT / script
    assert path.stat().st_mode & stat.S_IXUSR
    shell = path.read_text(encoding="utf-8").splitlines()[0].rsplit("/", 1)[-1].split()[-1]
    subprocess.run([shell, "-n", str(path)], check=True)


def test_setup_makes_credentials_that_only_the_owner_can_read(tmp_path: Path) -> None:
    folder = copy_of_deploy(tmp_path)
    run_setup(folder)
    for made in (".env", "mosquitto/passwd", "config/ems.yaml"):
        assert stat.S_IMODE((folder / made).stat().st_mode) == 0o600, made
    settings = env_of(folder)
    assert len(settings["EMS_MQTT_PASSWORD"]) == 48
    assert settings["EMS_MQTT_PASSWORD"] != settings["EMS_ADMIN_PASSWORD"]
    accounts = (folder / "mosquitto/passwd").read_text(encoding="utf-8")
    assert re.fullmatch(r"ems:\$[67]\$\S+\n", accounts)
    assert settings["EMS_MQTT_PASSWORD"] not in accounts


def test_setup_run_again_changes_nothing_and_adds_accounts_on_demand(tmp_path: Path) -> None:
    folder = copy_of_deploy(tmp_path)
    run_setup(folder)
    before = {name: (folder / name).read_bytes() for name in (".env", "mosquitto/passwd")}
    run_setup(folder)
    assert before == {name: (folder / name).read_bytes() for name in before}
    said = run_setup(folder, "user", "meter-1")
    accounts = (folder / "mosquitto/passwd").read_text(encoding="utf-8").splitlines()
    assert [line.partition(":")[0] for line in accounts] == ["ems", "meter-1"]
    password = re.search(r"password (\w{48})", said)
    assert password is not None
    assert password[1] not in "".join(accounts)
    assert not list((folder / "mosquitto").glob(".passwd*"))


@pytest.mark.parametrize("name", ["", "a b", "../x", "a:b"])
def test_setup_refuses_a_name_that_would_break_the_password_file(tmp_path: Path, name: str) -> None:
    folder = copy_of_deploy(tmp_path)
    answer = subprocess.run(
        ["sh", folder / "setup.sh", "user", name], capture_output=True, text=True, check=False
    )
    assert answer.returncode == 2
    assert "setup.sh user NAME" in answer.stderr


def test_the_service_is_confined_to_its_own_folders() -> None:
    unit = configparser.RawConfigParser(strict=False)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read_string(read("deploy/systemd/ems-dash.service"))
    service = unit["Service"]
    assert service["User"] == "ems-dash"
    assert service["ProtectSystem"] == "strict"
    assert service["ReadWritePaths"] == "/etc/ems-dash/config"
    assert service["Restart"] == "on-failure"
    assert service["NoNewPrivileges"] == "true"
    assert service["CapabilityBoundingSet"] == ""
    command = service["ExecStart"].split(" -m ems_dash ")[1].split()
    arguments = parser().parse_args(command)
    assert (arguments.host, arguments.port) == ("127.0.0.1", 5050)
    assert str(arguments.config) == service["ReadWritePaths"]
    assert str(arguments.data) == f"/var/lib/{service['StateDirectory']}"


@pytest.mark.parametrize("name", ["nginx.conf", "Caddyfile"])
def test_a_proxy_passes_events_at_once_and_trusts_no_claim_of_a_client(name: str) -> None:
    text = read(f"deploy/reverse-proxy/{name}")
    assert "127.0.0.1:5050" in text
    assert "/metrics" in text
    if name == "nginx.conf":
        assert "X-Forwarded-For $remote_addr;" in text
        assert "$proxy_add_x_forwarded_for" not in text
        events = text[text.index("location = /api/events") :]
        assert "proxy_buffering off;" in events[: events.index("}")]
    else:
        assert "flush_interval -1" in text
        assert "trusted_proxies" not in text
