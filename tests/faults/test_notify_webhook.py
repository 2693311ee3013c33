"""Webhooks against a real server that misbehaves."""

from __future__ import annotations

import hashlib
import hmac
import logging
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.domain.clock import ManualClock
from engine.notify.errors import NotifyError
from engine.notify.secrets import SecretSource
from engine.notify.webhook import WebhookChannel, WebhookLimits
from tests.faults.mqtt_broker import make_certificates
from tests.support.http_server import Answer
from tests.support.process import free_port
from tests.support.webhook_server import WebhookServer
from tests.unit.notify_builders import NOW, cleared, message, raised

FAST = WebhookLimits(connect_s=1.0, read_s=0.4, total_s=1.0)
"""Only where a server keeps one waiting; elsewhere a busy machine must not look like one."""

PATIENT = WebhookLimits(connect_s=20.0, read_s=20.0, total_s=60.0)
SECRET_PATH = "/services/T0/hunter2-hunter2"


@pytest.fixture
def server() -> Iterator[WebhookServer]:
    with WebhookServer() as running:
        yield running


def channel(url: str, secret: str | None = None, **more: Any) -> WebhookChannel:
    environment = {} if secret is None else {"EMS_SECRET": secret}
    source = SecretSource(
        None if secret is None else "EMS_SECRET",
        None,
        "notifications.channels.ops.secret",
        environment,
    )
    more.setdefault("limits", PATIENT)
    return WebhookChannel("ops", lambda: url, source, ManualClock(NOW), **more)


def failure(url: str, **more: Any) -> NotifyError:
    """Send one message that must fail."""
    with pytest.raises(NotifyError) as caught:
        channel(url, **more).send(message(raised()))
    assert "hunter2" not in f"{caught.value}{caught.value.value}{caught.value.__cause__}"
    return caught.value


def test_a_message_arrives_whole_in_both_languages(server: WebhookServer) -> None:
    url = server.take(SECRET_PATH)
    channel(url).send(message(raised(), cleared("fault", None), link="https://ems.example/"))
    channel(url).send(message(raised(), language="en", suppressed=3))
    german, english = (post.json() for post in server.posts)
    assert german["site_id"] == "site-1"
    assert german["kind"] == "several"
    assert german["severity"] == "alarm"
    assert german["link"] == "https://ems.example/"
    first, second = german["alarms"]
    assert first["alarm_id"] == "link_offline:meter"
    assert first["raised_at"] == "2026-11-25T19:00:00.000Z"
    assert first["raised_at_local"] == "2026-11-25T20:00:00+01:00"
    assert first["title"] == "Verbindung getrennt"
    assert (second["active"], second["lasted_s"]) == (False, 3900.0)
    assert "25.11.2026 20:00:00 CET (2026-11-25 19:00:00 UTC)" in german["text"]
    assert "Dauer: 1 h 5 min" in german["text"]
    assert english["subject"] == "[Standort Wien] Alarm: Connection lost (meter) – raised"
    assert english["suppressed"] == 3
    assert server.posts[0].headers["Content-Type"].startswith("application/json")
    assert server.posts[0].headers["X-EMS-Delivery"] == "00ff"
    assert "X-EMS-Signature" not in server.posts[0].headers


def test_the_signature_covers_time_and_body(server: WebhookServer) -> None:
    channel(server.take("/in"), secret="käse").send(message(raised()))
    (post,) = server.posts
    stamp = post.headers["X-EMS-Timestamp"]
    assert int(stamp) == int(NOW.timestamp())
    digest = hmac.new("käse".encode(), f"{stamp}.".encode() + post.body, hashlib.sha256)
    assert post.headers["X-EMS-Signature"] == f"sha256={digest.hexdigest()}"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (500, "busy"),
        (503, "busy"),
        (429, "busy"),
        (401, "auth"),
        (403, "auth"),
        (404, "refused"),
        (410, "refused"),
        (400, "message"),
        (413, "message"),
    ],
)
def test_statuses_mean_what_they_say(server: WebhookServer, status: int, kind: str) -> None:
    error = failure(server.take(SECRET_PATH, Answer(b"x" * 100, status)))
    assert (error.kind, error.value) == (kind, status)


def test_a_server_that_asks_for_time_is_heard(server: WebhookServer) -> None:
    answer = Answer(status=429, headers={"Retry-After": "120"})
    assert failure(server.take("/in", answer)).retry_after_s == 120.0
    date = {"Retry-After": "Wed, 25 Nov 2026 19:05:00 GMT"}
    error = failure(server.take("/in", Answer(status=503, headers=date)))
    assert error.retry_after_s == 300.0


def test_nothing_is_carried_to_another_host(server: WebhookServer) -> None:
    with WebhookServer() as other:
        target = other.take("/stolen")
        for status in (301, 302, 307, 308):
            error = failure(server.take("/in", Answer(status=status, headers={"Location": target})))
            assert error.kind == "refused"
            assert "not followed" in str(error)
            assert "stolen" not in str(error)
        assert other.posts == []
        assert other.requests == []


def test_the_same_host_may_move_the_path(server: WebhookServer) -> None:
    server.take("/new")
    channel(server.take("/old", Answer(status=308, headers={"Location": "/new"}))).send(
        message(raised())
    )
    assert [post.path for post in server.posts] == ["/old", "/new"]
    assert server.posts[0].body == server.posts[1].body
    error = failure(server.take("/old", Answer(status=302, headers={"Location": "/new"})))
    assert "another path" in str(error)
    error = failure(server.take("/loop", Answer(status=307, headers={"Location": "/loop"})))
    assert "more than 3 times" in str(error)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(silent=True), "timeout"),
        (Answer(b"x" * 100, trickle_s=0.05), "timeout"),
        (Answer(drop=True), "unreachable"),
    ],
    ids=["silent", "trickling", "dropped"],
)
def test_a_bad_server_holds_nothing_up(server: WebhookServer, answer: Answer, kind: str) -> None:
    assert failure(server.take(SECRET_PATH, answer), limits=FAST).kind == kind


def test_an_endless_answer_is_not_read(server: WebhookServer) -> None:
    body = b"x" * 3_000_000
    channel(server.take("/in", Answer(body, 200))).send(message(raised()))


def test_nobody_listens() -> None:
    error = failure(f"http://127.0.0.1:{free_port()}{SECRET_PATH}")
    assert error.kind == "unreachable"
    assert "refuses the connection" in str(error)


@pytest.mark.parametrize(
    "url",
    ["ftp://x/hunter2", "hunter2", "http://", "https://x:99999/hunter2", "http://a b/hunter2"],
)
def test_an_unusable_address_is_said_without_repeating_it(url: str) -> None:
    error = failure(url)
    assert error.kind == "config"
    assert error.field == "notifications.channels.ops.url"
    assert channel(url).target == "?"


def test_certificates_are_checked(tmp_path: Path) -> None:
    ca, cert, key = make_certificates(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    with WebhookServer(context) as server:
        url = server.take("/in")
        assert failure(url).kind == "tls"
        wrong_name = url.replace("127.0.0.1", "localhost")
        assert failure(wrong_name, ca_file=str(ca)).kind == "tls"
        assert failure(url, ca_file=str(tmp_path / "none.pem")).kind == "config"
        assert server.posts == []
        channel(url, ca_file=str(ca)).send(message(raised()))
        assert len(server.posts) == 1


def test_no_log_holds_the_path_or_the_secret(
    server: WebhookServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    url = server.take(f"{SECRET_PATH}?key=hunter2-hunter2")
    it = channel(url, secret="hunter2-signing")
    it.send(message(raised()))
    assert len(server.posts) == 1
    assert "POST" in caplog.text
    assert "hunter2" not in caplog.text + repr(it) + it.target


def test_a_netrc_file_adds_nothing(
    server: WebhookServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    channel(server.take("/in")).send(message(raised()))
    assert "Authorization" not in server.posts[0].headers


def test_a_missing_secret_sends_nothing_unsigned(server: WebhookServer) -> None:
    source = SecretSource("EMS_SECRET", None, "notifications.channels.ops.secret", {})
    url = server.take("/in")
    it = WebhookChannel("ops", lambda: url, source, ManualClock(NOW), limits=FAST)
    with pytest.raises(NotifyError, match="EMS_SECRET is empty") as caught:
        it.send(message(raised()))
    assert caught.value.field == "notifications.channels.ops.secret_env"
    assert server.posts == []


def test_a_stop_ends_what_is_under_way(server: WebhookServer) -> None:
    url = server.take("/in", Answer(silent=True))
    it = channel(url, limits=WebhookLimits(read_s=60.0, total_s=60.0))
    errors: list[NotifyError] = []

    def send() -> None:
        try:
            it.send(message(raised()))
        except NotifyError as error:
            errors.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.posts and time.monotonic() < deadline:
        time.sleep(0.01)
    it.close()
    thread.join(20)
    assert [error.kind for error in errors] == ["stopped"]
    with pytest.raises(NotifyError, match="program stops"):
        it.send(message(raised()))


def test_secrets_come_from_a_file_only_its_owner_reads(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    path.write_text("hunter2\n")
    path.chmod(0o600)
    source = SecretSource(None, str(path), "x.secret")
    assert source.read() == "hunter2"
    assert "hunter2" not in repr(source)
    path.chmod(0o640)
    with pytest.raises(NotifyError, match="0640"):
        source.read()
    path.chmod(0o600)
    for text, words in (("", "empty"), ("a\nb", "one line"), ("a" * 5000, "one line")):
        path.write_text(text)
        with pytest.raises(NotifyError, match=words):
            source.read()
    path.unlink()
    with pytest.raises(NotifyError, match="cannot be read"):
        source.read()
    assert SecretSource(None, None, "x").read() is None
