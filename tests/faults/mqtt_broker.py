"""A real Mosquitto on loopback, and a plain client to look at it from outside."""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import paho.mqtt.client as paho
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

from tests.support.process import free_port, wait_for

MOSQUITTO = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
MOSQUITTO_PASSWD = shutil.which("mosquitto_passwd")
DEADLINE_S = float(os.environ.get("MQTT_TEST_DEADLINE_S", "20"))


@dataclass
class Broker:
    """One Mosquitto; the same port for every start."""

    folder: Path
    settings: tuple[str, ...] = ("allow_anonymous true",)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """What it has logged."""
        path = self.folder / "mosquitto.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def start(self) -> None:
        """Start and wait until it listens."""
        assert MOSQUITTO is not None, "mosquitto is not installed (Debian package mosquitto)"
        conf = self.folder / "mosquitto.conf"
        lines = [
            f"listener {self.port} 127.0.0.1",
            "user root",
            f"log_dest file {self.folder / 'mosquitto.log'}",
            "log_type all",
            "connection_messages true",
            *self.settings,
        ]
        conf.write_text("\n".join(lines) + "\n")
        self.process = subprocess.Popen(
            [MOSQUITTO, "-c", str(conf)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for(self._listens, f"mosquitto on port {self.port}; log:\n{self.log}", DEADLINE_S)

    def kill(self) -> None:
        """Take it away as a power cut would."""
        if self.process is not None:
            self.process.send_signal(signal.SIGCONT)
            self.process.kill()
            self.process.wait(timeout=DEADLINE_S)
            self.process = None

    def freeze(self) -> None:
        """Keep its connections open and answer nothing."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Go on after `freeze`."""
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def _listens(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1.0)
            return probe.connect_ex(("127.0.0.1", self.port)) == 0


def password_settings(folder: Path, users: dict[str, str], acl: str = "") -> tuple[str, ...]:
    """Return settings with a password file and, when given, an ACL file."""
    assert MOSQUITTO_PASSWD is not None
    passwords = folder / "passwords"
    passwords.touch(mode=0o600)
    for user, password in users.items():
        subprocess.run([MOSQUITTO_PASSWD, "-b", str(passwords), user, password], check=True)
    settings = ["allow_anonymous false", f"password_file {passwords}"]
    if acl:
        (folder / "acl").write_text(acl)
        (folder / "acl").chmod(0o600)
        settings.append(f"acl_file {folder / 'acl'}")
    return tuple(settings)


class Outside:
    """A client that is not ours: collects what is published and publishes itself."""

    def __init__(
        self, port: int, username: str | None = None, password: str | None = None, **connect: Any
    ) -> None:
        self.messages: list[paho.MQTTMessage] = []
        self._changed = threading.Condition()
        self._connected = threading.Event()
        client = paho.Client(
            CallbackAPIVersion.VERSION2, protocol=MQTTProtocolVersion.MQTTv5, **connect
        )
        client.username_pw_set(username, password)
        client.on_connect = self._on_connect
        client.on_message = self._on_message
        client.reconnect_delay_set(1, 1)
        client.connect("127.0.0.1", port, keepalive=30)
        client.loop_start()
        self.client = client
        assert self._connected.wait(DEADLINE_S), "the observer did not connect"

    def close(self) -> None:
        """Disconnect and end its thread."""
        self.client.disconnect()
        self.client.loop_stop()

    def send(self, topic: str, payload: Any, *, retain: bool = False, qos: int = 1) -> None:
        """Publish; JSON unless it is text or bytes. Returns when the broker has it."""
        raw = payload if isinstance(payload, str | bytes) else json.dumps(payload)
        self.client.publish(topic, raw, qos=qos, retain=retain).wait_for_publish(DEADLINE_S)

    def on(self, topic: str) -> list[paho.MQTTMessage]:
        """Return what came on `topic` so far."""
        with self._changed:
            return [m for m in self.messages if m.topic == topic]

    def wait(
        self, topic: str, accept: Callable[[Any], bool] = lambda data: True, after: int = 0
    ) -> Any:
        """Return the first message on `topic` past the first `after` that `accept` takes."""
        deadline_s = time.monotonic() + DEADLINE_S
        with self._changed:
            while True:
                found = [m for m in self.messages if m.topic == topic][after:]
                for message in found:
                    data = _parsed(message.payload)
                    if accept(data):
                        return data
                left_s = deadline_s - time.monotonic()
                assert left_s > 0, f"nothing fitting on {topic}: {[m.payload for m in found]}"
                self._changed.wait(left_s)

    def _on_connect(self, client: paho.Client, *_: Any) -> None:
        client.subscribe("#", qos=1)
        self._connected.set()

    def _on_message(self, client: paho.Client, userdata: Any, message: paho.MQTTMessage) -> None:
        with self._changed:
            self.messages.append(message)
            self._changed.notify_all()


def _parsed(payload: bytes) -> Any:
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode(errors="replace")


def make_certificates(folder: Path) -> tuple[Path, Path, Path]:
    """Write a private certificate authority and a server certificate for 127.0.0.1.

    Returns:
        Paths of the authority's certificate, the server's certificate and its key.
    """
    now = dt.datetime.now(dt.UTC)
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "EMS Dash test authority")])
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])

    def builder(subject: x509.Name, public_key: Any) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(ca_name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=2))
        )

    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    ca = (
        builder(ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    server = (
        builder(name, key.public_key())
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
            critical=False,
        )
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False
        )
        .sign(ca_key, hashes.SHA256())
    )
    folder.mkdir(exist_ok=True)
    ca_path, cert_path, key_path = folder / "ca.pem", folder / "server.pem", folder / "server.key"
    ca_path.write_bytes(ca.public_bytes(serialization.Encoding.PEM))
    cert_path.write_bytes(server.public_bytes(serialization.Encoding.PEM))
    key_path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return ca_path, cert_path, key_path
