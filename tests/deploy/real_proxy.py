"""The proxies of ``deploy/reverse-proxy``, real nginx and real Caddy, with TLS.

Part of ``make deploy-test``.
"""

from __future__ import annotations

import datetime as dt
import http.client
import json
import os
import re
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.cookiejar import CookieJar
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import HTTPCookieProcessor, HTTPSHandler, Request, build_opener

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.build import SIMPLE_MODELS
from tests.support.deploy_files import DEPLOY
from tests.support.login import PASSWORD
from tests.support.process import free_port, running, wait_for

PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"
DEADLINE_S = 20.0
HOST = "localhost"


class Upstream(BaseHTTPRequestHandler):
    """Says what reached it, and streams two events with a wait between them."""

    protocol_version = "HTTP/1.1"
    go_on = threading.Event()

    def do_GET(self) -> None:
        self.send_response(200)
        if self.path == "/api/events":
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self._chunk(b"data: first\n\n")
            self.go_on.wait(DEADLINE_S)
            self._chunk(b"data: second\n\n")
            self._chunk(b"")
            return
        body = json.dumps([[k.lower(), v] for k, v in self.headers.items()]).encode()
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Proxy:
    """A running proxy.

    Attributes:
        port: Where it speaks TLS.
        plain_port: Where it speaks HTTP and sends on to TLS; None where it does not.
        authority: Certificate to trust.
    """

    port: int
    plain_port: int | None
    authority: Path

    def ask(self, path: str, **headers: str) -> http.client.HTTPResponse:
        """Return the answer to a GET over TLS, with its body not read yet."""
        context = ssl.create_default_context(cafile=str(self.authority))
        connection = http.client.HTTPSConnection(
            HOST, self.port, context=context, timeout=DEADLINE_S
        )
        connection.request(
            "GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()}
        )
        return connection.getresponse()


def certificate(folder: Path) -> None:
    """Write a self-signed certificate for `HOST`: ``fullchain.pem`` and ``privkey.pem``."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = dt.datetime.now(dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    (folder / "fullchain.pem").write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    (folder / "privkey.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def nginx(folder: Path, upstream_port: int) -> tuple[list[str], Proxy]:
    """Return the command of an nginx with our file, tested by ``nginx -t``, and what it will be."""
    certificate(folder)
    port, plain = free_port(), free_port()
    text = (DEPLOY / "reverse-proxy/nginx.conf").read_text(encoding="utf-8")
    for old, new in (
        ("    listen [::]:80;\n", ""),
        ("    listen [::]:443 ssl http2;\n", ""),
        ("listen 80;", f"listen 127.0.0.1:{plain};"),
        ("listen 443 ssl http2;", f"listen 127.0.0.1:{port} ssl http2;"),
        ("ems.site.example", HOST),
        ("/etc/ssl/ems-dash", str(folder)),
        ("127.0.0.1:5050", f"127.0.0.1:{upstream_port}"),
    ):
        assert old in text, old
        text = text.replace(old, new)
    (folder / "ems-dash.conf").write_text(text, encoding="utf-8")
    temporary = "".join(
        f"{kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ access_log off; {temporary} include {folder}/ems-dash.conf; }}\n",
        encoding="utf-8",
    )
    program = shutil.which("nginx", path=PATH)
    assert program is not None
    command = [
        program,
        "-p",
        str(folder),
        "-e",
        f"{folder}/error.log",
        "-c",
        f"{folder}/nginx.conf",
    ]
    subprocess.run([*command, "-t", "-q"], check=True)
    return command, Proxy(port, plain, folder / "fullchain.pem")


def caddy(folder: Path, upstream_port: int) -> tuple[list[str], Proxy]:
    """Return the command of a Caddy with our file and an authority of its own."""
    port = free_port()
    text = (DEPLOY / "reverse-proxy/Caddyfile").read_text(encoding="utf-8")
    for old, new in (
        ("ems.site.example {", f"{HOST}:{port} {{"),
        ("# tls internal", "tls internal"),
        ("127.0.0.1:5050", f"127.0.0.1:{upstream_port}"),
    ):
        assert old in text, old
        text = text.replace(old, new)
    options = "{\n\tadmin off\n\tskip_install_trust\n\tauto_https disable_redirects\n}\n"
    file = folder / "Caddyfile"
    file.write_text(options + text, encoding="utf-8")
    program = shutil.which("caddy", path=PATH)
    assert program is not None
    authority = folder / "data/caddy/pki/authorities/local/root.crt"
    return [program, "run", "--config", str(file)], Proxy(port, None, authority)


@contextmanager
def standing(kind: str, folder: Path, upstream_port: int) -> Iterator[Proxy]:
    """Run a proxy in front of a port."""
    folder.mkdir(exist_ok=True)
    command, proxy = {"nginx": nginx, "caddy": caddy}[kind](folder, upstream_port)
    home = {"XDG_DATA_HOME": f"{folder}/data", "XDG_CONFIG_HOME": f"{folder}/config"}
    with (folder / "log.txt").open("wb") as log:
        process = subprocess.Popen(
            command, stdout=log, stderr=log, env=os.environ | home | {"HOME": str(folder)}
        )
    try:
        wait_for(
            lambda: process.poll() is None and _greets(proxy),
            f"{kind}: {(folder / 'log.txt').read_text()}",
            DEADLINE_S,
        )
        yield proxy
    finally:
        process.terminate()
        process.wait(timeout=DEADLINE_S)


def _greets(proxy: Proxy) -> bool:
    """Return True once TLS works; Caddy issues its certificate a moment after it listens."""
    if not proxy.authority.exists():
        return False
    context = ssl.create_default_context(cafile=str(proxy.authority))
    try:
        with (
            socket.create_connection((HOST, proxy.port), timeout=DEADLINE_S) as raw,
            context.wrap_socket(raw, server_hostname=HOST),
        ):
            return True
    except OSError:
        return False


@pytest.fixture(params=["nginx", "caddy"])
def proxy(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Proxy]:
    Upstream.go_on.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Upstream)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        with standing(request.param, tmp_path / "proxy", server.server_port) as found:
            yield found
    finally:
        Upstream.go_on.set()
        server.shutdown()
        server.server_close()


def test_one_hop_is_told_and_what_a_client_claims_is_not(proxy: Proxy) -> None:
    answer = proxy.ask(
        "/api/state",
        X_Forwarded_For="203.0.113.9",
        X_Forwarded_Proto="http",
        X_Forwarded_Host="evil.example",
        Forwarded="for=203.0.113.9",
    )
    told = json.loads(answer.read())
    values = {key: [v for k, v in told if k == key] for key, _ in told}
    assert values["x-forwarded-for"] == ["127.0.0.1"]
    assert values["x-forwarded-proto"] == ["https"]
    assert values["x-forwarded-host"][0].partition(":")[0] == HOST
    assert values["host"][0].partition(":")[0] == HOST
    assert not [v for v in values.get("forwarded", []) if v]
    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000"


def test_an_event_passes_before_the_next_one_is_there(proxy: Proxy) -> None:
    answer = proxy.ask("/api/events", Accept_Encoding="gzip")
    assert answer.readline() == b"data: first\n"
    Upstream.go_on.set()
    assert b"data: second" in answer.read()


def test_nginx_sends_plain_http_on_to_tls(tmp_path: Path) -> None:
    # Caddy does so by itself wherever it may take port 80.
    with standing("nginx", tmp_path / "proxy", free_port()) as proxy:
        assert proxy.plain_port is not None
        connection = http.client.HTTPConnection(HOST, proxy.plain_port, timeout=DEADLINE_S)
        connection.request("GET", "/settings?x=1")
        answer = connection.getresponse()
        target = f"https://{HOST}/settings?x=1"
        assert (answer.status, answer.headers["Location"]) == (308, target)


@pytest.mark.parametrize("kind", ["nginx", "caddy"])
def test_somebody_logs_in_through_the_proxy(kind: str, tmp_path: Path) -> None:
    site = f"{SIMPLE_MODELS}server: {{proxy_hops: 1}}\n"
    with (
        running(tmp_path / "ems", site) as program,
        standing(kind, tmp_path / kind, program.port) as front,
    ):
        wait_for(lambda: program.get("/healthz"), "the program", 60)
        address = f"https://{HOST}:{front.port}"
        jar = CookieJar()
        context = ssl.create_default_context(cafile=str(front.authority))
        browser = build_opener(HTTPSHandler(context=context), HTTPCookieProcessor(jar))
        page = browser.open(f"{address}/login", timeout=DEADLINE_S).read().decode()
        token = re.search(r'name="csrf_token" value="([^"]+)"', page)
        assert token is not None
        form = {"name": "admin", "password": PASSWORD, "csrf_token": token[1]}
        headers = {"Origin": address, "Sec-Fetch-Site": "same-origin"}
        request = Request(f"{address}/login", urlencode(form).encode(), headers)
        assert browser.open(request, timeout=DEADLINE_S).status == 200
        assert all(cookie.secure for cookie in jar if "session" in cookie.name)
        state = json.load(browser.open(f"{address}/api/state", timeout=DEADLINE_S))
        assert state["site"]
        account = json.load(browser.open(f"{address}/api/account", timeout=DEADLINE_S))
        assert account["name"] == "admin"
        with browser.open(f"{address}/api/events", timeout=DEADLINE_S) as events:
            assert events.headers["Content-Type"].startswith("text/event-stream")
            assert wait_for(lambda: events.readline().startswith(b"data:"), "an event", DEADLINE_S)
        assert program.stop() == 0
