"""E-mail against a real mail server that misbehaves."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable, Iterator
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

import pytest

from engine.notify.email import EmailChannel, MailServer, SmtpLimits
from engine.notify.errors import NotifyError
from engine.notify.secrets import SecretSource
from tests.faults.mqtt_broker import make_certificates
from tests.support.process import free_port
from tests.support.smtp_server import SmtpServer
from tests.unit.notify_builders import message, raised

FAST = SmtpLimits(read_s=0.5, total_s=1.2)
"""Only where a server keeps one waiting; elsewhere a busy machine must not look like one."""

PATIENT = SmtpLimits(read_s=20.0, total_s=60.0)
PEOPLE = ("anna@site.example", "bob@site.example")


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, Path]:
    ca, cert, key = make_certificates(tmp_path_factory.mktemp("tls"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, ca


Start = Callable[..., SmtpServer]


@pytest.fixture
def start() -> Iterator[Start]:
    running: list[SmtpServer] = []

    def begin(**settings: Any) -> SmtpServer:
        running.append(SmtpServer(**settings))
        return running[-1]

    yield begin
    for server in running:
        server.close()


def channel(
    port: int,
    security: Any = "plain",
    ca: Path | None = None,
    password: str | None = None,
    recipients: tuple[str, ...] = PEOPLE,
    limits: SmtpLimits = PATIENT,
) -> EmailChannel:
    server = MailServer(
        "127.0.0.1",
        port,
        security,
        username=None if password is None else "ems",
        ca_file=None if ca is None else str(ca),
    )
    environment = {} if password is None else {"EMS_MAIL": password}
    source = SecretSource(
        None if password is None else "EMS_MAIL",
        None,
        "notifications.channels.mail.password",
        environment,
    )
    return EmailChannel("mail", server, source, "ems@site.example", recipients, limits=limits)


def failure(it: EmailChannel) -> NotifyError:
    """Send one message that must fail."""
    with pytest.raises(NotifyError) as caught:
        it.send(message(raised()))
    assert "hunter2" not in f"{caught.value}{caught.value.value}"
    return caught.value


def test_a_mail_arrives_whole_at_a_plain_relay(start: Start) -> None:
    server = start()
    sent = message(raised(message="Gerät antwortet nicht – 3 ×\n."), link="https://ems.example/")
    channel(server.port).send(sent)
    (mail,) = server.mails
    assert mail.recipients == list(PEOPLE)
    assert mail.sender == "ems@site.example"
    parsed = mail.message
    assert parsed["Subject"] == "[Standort Wien] Alarm: Verbindung getrennt (meter) – aufgetreten"
    assert parsed["From"].addresses[0].addr_spec == "ems@site.example"
    assert [a.addr_spec for a in parsed["To"].addresses] == list(PEOPLE)
    assert parsed["Message-ID"] == "<00ff@site.example>"
    assert parsed["Date"].datetime == sent.created_at
    assert parsed["Auto-Submitted"] == "auto-generated"
    text = parsed.get_content()
    assert "Gerät antwortet nicht – 3 × ." in text
    assert "https://ems.example/" in text
    assert text.replace("\r\n", "\n") == sent.text()


@pytest.mark.parametrize("security", ["starttls", "smtps"])
def test_a_login_travels_encrypted(
    start: Start, tls: tuple[ssl.SSLContext, Path], security: str
) -> None:
    context, ca = tls
    server = start(tls=context, implicit=security == "smtps", users={"ems": "hunter2"})
    channel(server.port, security, ca, "hunter2").send(message(raised()))
    (mail,) = server.mails
    assert (mail.encrypted, mail.user) == (True, "ems")


def test_a_wrong_password_is_said_without_repeating_it(
    start: Start, tls: tuple[ssl.SSLContext, Path], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    context, ca = tls
    server = start(tls=context, users={"ems": "right"})
    it = channel(server.port, "starttls", ca, "hunter2")
    error = failure(it)
    assert (error.kind, error.value) == ("auth", 535)
    assert server.mails == []
    assert "hunter2" not in caplog.text + repr(it) + it.target


def test_a_server_without_login_or_encryption_gets_nothing(
    start: Start, tls: tuple[ssl.SSLContext, Path]
) -> None:
    context, ca = tls
    bare = start()
    error = failure(channel(bare.port, "starttls", ca, "hunter2"))
    assert error.kind == "tls"
    assert "STARTTLS" in str(error)
    assert not any(line.lower().startswith(("auth", "mail")) for line in bare.commands)
    no_login = start(tls=context)
    assert failure(channel(no_login.port, "starttls", ca, "hunter2")).kind == "auth"
    assert no_login.mails == []


def test_certificates_are_checked(start: Start, tls: tuple[ssl.SSLContext, Path]) -> None:
    context, _ = tls
    for security in ("starttls", "smtps"):
        server = start(tls=context, implicit=security == "smtps", users={"ems": "hunter2"})
        assert failure(channel(server.port, security, None, "hunter2")).kind == "tls"
        assert not any(line.lower().startswith("auth") for line in server.commands)


def test_a_missing_file_of_certificates_is_named(start: Start, tmp_path: Path) -> None:
    error = failure(channel(start().port, "starttls", tmp_path / "none.pem"))
    assert (error.kind, error.field) == ("config", "notifications.channels.mail.ca_file")


@pytest.mark.parametrize(
    ("verb", "reply", "kind"),
    [
        ("greeting", "421 too busy", "busy"),
        ("greeting", "554 go away", "refused"),
        ("greeting", "HTTP/1.1 400 Bad Request", "unreachable"),
        ("mail", "451 later", "busy"),
        ("mail", "550 not you", "refused"),
        ("data", "452 no room", "busy"),
        ("data_end", "451 greylisted", "busy"),
        ("data_end", "554 looks like spam", "message"),
    ],
)
def test_answers_mean_what_they_say(start: Start, verb: str, reply: str, kind: str) -> None:
    server = start()
    server.replies[verb] = reply
    assert failure(channel(server.port)).kind == kind
    assert server.mails == []


def test_what_the_server_says_cannot_break_a_line_of_the_log(start: Start) -> None:
    server = start()
    server.replies["mail"] = "550 no\x1b[31m\x07 way"
    assert str(failure(channel(server.port))).isprintable()


def test_refused_recipients_are_named(start: Start) -> None:
    server = start()
    server.replies["rcpt bob@site.example"] = "550 unknown"
    error = failure(channel(server.port))
    # It went to the others: once more would be twice for them.
    assert error.kind == "message"
    assert "bob@site.example" in str(error)
    assert "anna" not in str(error)
    assert server.mails[0].recipients == ["anna@site.example"]
    server.replies["rcpt anna@site.example"] = "450 later"
    server.replies["rcpt bob@site.example"] = "450 later"
    assert failure(channel(server.port)).kind == "busy"


@pytest.mark.parametrize("verb", ["greeting", "ehlo", "mail", "data_end"])
def test_silence_and_trickling_hold_nothing_up(start: Start, verb: str) -> None:
    silent, trickling = start(), start()
    silent.silent_at = trickling.trickle_at = verb
    assert failure(channel(silent.port, limits=FAST)).kind == "timeout"
    assert failure(channel(trickling.port, limits=FAST)).kind == "timeout"


def test_an_answer_without_end_is_cut_off(start: Start) -> None:
    server = start()
    server.replies["ehlo"] = "\r\n".join(["250-again"] * 5000)
    assert failure(channel(server.port)).kind == "unreachable"


def test_a_handshake_that_never_ends_is_cut_off(start: Start) -> None:
    server = start()
    server.silent_at = "greeting"
    assert failure(channel(server.port, "smtps", limits=FAST)).kind in ("timeout", "tls")


def test_nobody_listens() -> None:
    error = failure(channel(free_port()))
    assert error.kind == "unreachable"
    assert "refuses the connection" in str(error)


@pytest.mark.parametrize(
    "text",
    [
        "x\r\nBcc: evil@evil.example",
        "x\nSubject: y",
        "x\r\n\r\nbody",
        "x\r\n.\r\nQUIT\r\n",
        "\u2028y",
    ],
)
def test_no_text_can_add_a_header_a_recipient_or_a_command(start: Start, text: str) -> None:
    server = start()
    sent = message(raised(subject=text, message=text), site_name=text)
    channel(server.port).send(sent)
    (mail,) = server.mails
    assert mail.recipients == list(PEOPLE)
    assert set(mail.message.keys()) == {
        *("From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "Importance"),
        *("MIME-Version", "Content-Type", "Content-Transfer-Encoding"),
    }
    subject = str(make_header(decode_header(mail.message["Subject"])))
    assert subject.isprintable()
    verbs = [line.split(" ")[0].lower() for line in server.commands]
    assert verbs == ["ehlo", "mail", "rcpt", "rcpt", "data"]


def test_a_stop_refuses_further_mails(start: Start) -> None:
    server = start()
    it = channel(server.port)
    it.close()
    assert failure(it).kind == "stopped"
    assert server.connections == 0
