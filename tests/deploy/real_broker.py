"""The broker of the composition, run by a real Mosquitto with what ``setup.sh`` made.

Part of ``make deploy-test``. Mosquitto runs as the user of the containers, so that file modes
count.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from engine.config.load import load_config
from engine.config.mqtt import MqttConfig
from engine.devices.mqtt.broker_check import check_broker
from engine.domain.clock import SystemClock
from tests.support.build import SIMPLE_MODELS
from tests.support.deploy_files import copy_of_deploy, env_of, run_setup
from tests.support.process import free_port, running, wait_for

MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
DEADLINE_S = 20.0


@dataclass(frozen=True)
class Site:
    """A running broker and the folder it was set up in."""

    folder: Path
    port: int

    @property
    def secrets(self) -> dict[str, str]:
        """What ``.env`` hands to EMS Dash."""
        return env_of(self.folder)

    @property
    def mqtt(self) -> MqttConfig:
        """The section `mqtt` that ``setup.sh`` wrote, with this broker's address."""
        written = load_config(self.folder / "config").mqtt
        return written.model_copy(update={"broker_host": "127.0.0.1", "broker_port": self.port})


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    # Folders of pytest belong to one user only; the broker runs as another.
    top = Path(subprocess.check_output(["mktemp", "-d"], text=True).strip())
    top.chmod(0o755)
    folder = copy_of_deploy(top)
    run_setup(folder)
    port = free_port()
    text = (folder / "mosquitto/mosquitto.conf").read_text(encoding="utf-8")
    text = text.replace("listener 1883", f"listener {port} 127.0.0.1")
    text = text.replace("/mosquitto/config/", f"{folder}/mosquitto/")
    text = text.replace("/mosquitto/data/", f"{folder}/mosquitto/data/")
    text = text.replace("/mosquitto/log/", f"{folder}/log/")
    (folder / "mosquitto/mosquitto.conf").write_text(text, encoding="utf-8")
    secrets = env_of(folder)
    assert MOSQUITTO is not None
    command = [MOSQUITTO, "-c", str(folder / "mosquitto/mosquitto.conf")]
    if os.getuid() == 0:
        ids = (f"--reuid={secrets['EMS_UID']}", f"--regid={secrets['EMS_GID']}")
        command = ["setpriv", *ids, "--clear-groups", "--no-new-privs", *command]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    try:
        wait_for(lambda: _listens(port) or process.poll() is not None, "a broker", DEADLINE_S)
        assert process.poll() is None, process.stdout.read().decode()  # type: ignore[union-attr]
        yield Site(folder, port)
    finally:
        process.kill()
        process.wait(timeout=DEADLINE_S)
        shutil.rmtree(top)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Client:
    """A client that is not ours."""

    def __init__(self, port: int, username: str | None, password: str | None) -> None:
        self.messages: dict[str, str] = {}
        self.refused: str | None = None
        self.joined = False
        self.client = paho.Client(CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5)
        self.client.username_pw_set(username, password)
        self.client.on_connect = self._on_connect
        self.client.on_message = self._on_message
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        wait_for(lambda: self.joined or self.refused, "an answer of the broker", DEADLINE_S)

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def _on_connect(self, client: Any, data: Any, flags: Any, reason: Any, more: Any) -> None:
        if reason.is_failure:
            self.refused = str(reason)
        else:
            client.subscribe([("ems/#", 1), ("device/#", 1)])
            self.joined = True

    def _on_message(self, client: Any, data: Any, message: Any) -> None:
        self.messages[message.topic] = message.payload.decode()

    def publish(self, topic: str) -> str:
        """Publish, and return what the broker says of it."""
        answers: list[str] = []
        self.client.on_publish = lambda c, d, mid, reason, more: answers.append(str(reason))
        self.client.publish(topic, "1", qos=1)
        return str(wait_for(lambda: answers and answers[0], "an acknowledgement", DEADLINE_S))


def test_ems_dash_logs_in_with_the_password_that_was_made_and_not_without(site: Site) -> None:
    good = check_broker(site.mqtt, "site-1", SystemClock(), environment=site.secrets, listen_s=0.1)
    assert good.ok, good.steps
    for wrong in ({"EMS_MQTT_PASSWORD": "wrong"}, {}):
        bad = check_broker(site.mqtt, "site-1", SystemClock(), environment=wrong, listen_s=0.1)
        assert not bad.ok
    anonymous = site.mqtt.model_copy(update={"username": None, "password_env": None})
    assert not check_broker(anonymous, "site-1", SystemClock(), environment={}, listen_s=0.1).ok


def test_nobody_joins_without_a_password(site: Site) -> None:
    for who in ((None, None), ("ems", "x"), ("nobody", site.secrets["EMS_MQTT_PASSWORD"])):
        with Client(site.port, *who) as client:
            assert client.refused is not None, who


def test_another_account_reads_but_commands_nothing(site: Site) -> None:
    said = run_setup(site.folder, "user", "meter-1")
    password = re.search(r"password (\w{48})", said)
    assert password is not None
    pid = subprocess.check_output(
        ["pgrep", "-f", f"{MOSQUITTO} -c {site.folder}"], text=True
    ).split()[-1]
    os.kill(int(pid), 1)
    with Client(site.port, "ems", site.secrets["EMS_MQTT_PASSWORD"]) as ems:

        def joined() -> Client | None:
            client = Client(site.port, "meter-1", password[1])
            if client.joined:
                return client
            client.__exit__()
            return None

        # The broker reads its files again a moment after the signal.
        with wait_for(joined, "the new account", DEADLINE_S) as meter:
            assert "Not authorized" in meter.publish("ems/site-1/set/power_kw")
            assert "Not authorized" in meter.publish("device/other/power")
            assert "Not authorized" not in meter.publish("device/meter-1/power")
            wait_for(lambda: "device/meter-1/power" in ems.messages, "its own topic", DEADLINE_S)
            ems.publish("ems/site-1/telemetry")
            wait_for(lambda: "ems/site-1/telemetry" in meter.messages, "telemetry", DEADLINE_S)
            assert "ems/site-1/set/power_kw" not in ems.messages


def test_the_program_speaks_to_the_broker_with_the_first_configuration(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMS_MQTT_PASSWORD", site.secrets["EMS_MQTT_PASSWORD"])
    written = (site.folder / "config/ems.yaml").read_text(encoding="utf-8")
    config = written.replace("broker_host: mosquitto", "broker_host: 127.0.0.1").replace(
        "broker_port: 1883", f"broker_port: {site.port}"
    )
    with (
        running(tmp_path, config + SIMPLE_MODELS) as program,
        Client(site.port, "ems", site.secrets["EMS_MQTT_PASSWORD"]) as client,
    ):
        wait_for(lambda: client.messages.get("ems/site-1/status") == "online", "its birth", 60)
        wait_for(lambda: "ems/site-1/plan" in client.messages, "its plan", 60)
        assert program.stop() == 0
        wait_for(lambda: client.messages["ems/site-1/status"] == "offline", "its goodbye", 20)
