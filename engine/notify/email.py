"""Messages as e-mail over SMTP."""

from __future__ import annotations

import smtplib
import socket
import ssl
from dataclasses import dataclass
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime, formataddr
from typing import Any, Literal

from engine.fetching.connection_watch import ConnectionWatch
from engine.notify.deadline import Deadlines
from engine.notify.errors import NotifyError
from engine.notify.message import Message
from engine.notify.network import network_failure
from engine.notify.plain import one_line
from engine.notify.secrets import SecretSource

_MESSAGE_TOO_LARGE = 552
_AUTH_CODES = frozenset({530, 534, 535, 538})


@dataclass(frozen=True, slots=True)
class SmtpLimits:
    """What one delivery may cost.

    Attributes:
        read_s: Longest time to connect, and longest silence.
        total_s: Longest time for everything.
        max_lines: Most lines of one answer.
    """

    read_s: float = 10.0
    total_s: float = 25.0
    max_lines: int = 200


@dataclass(frozen=True, slots=True)
class MailServer:
    """Who takes the mail.

    Attributes:
        host: Host name or address.
        port: TCP port.
        security: ``"starttls"`` (refused where the server does not offer it), ``"smtps"`` or
            ``"plain"`` for a relay nearby.
        username: Login, or None.
        ca_file: Certificates to trust instead of the system's, or None.
    """

    host: str
    port: int
    security: Literal["starttls", "smtps", "plain"] = "starttls"
    username: str | None = None
    ca_file: str | None = None


class EmailChannel:
    """Sends every message to the same people.

    Args:
        name: Name of the channel.
        server: Who takes the mail.
        password: Password of the login.
        sender: Address the mail comes from.
        recipients: Addresses it goes to.
        limits: What a delivery may cost.
    """

    type = "email"

    def __init__(
        self,
        name: str,
        server: MailServer,
        password: SecretSource,
        sender: str,
        recipients: tuple[str, ...],
        *,
        limits: SmtpLimits | None = None,
    ) -> None:
        self.name = name
        self._server = server
        self._password = password
        self._sender = sender
        self._recipients = recipients
        self._limits = limits or SmtpLimits()
        self._deadlines = Deadlines(self._limits.total_s)

    def __repr__(self) -> str:
        return f"EmailChannel({self.name})"

    @property
    def target(self) -> str:
        """Server and number of recipients."""
        return f"{self._server.host}:{self._server.port} ({len(self._recipients)})"

    def close(self) -> None:
        """End what is under way at once."""
        self._deadlines.close()

    def send(self, message: Message) -> None:
        """Deliver a message; see `engine.notify.channel.Channel`."""
        password = self._password.read() if self._server.username is not None else None
        mail = compose(message, self._sender, self._recipients)
        context = self._context()
        with self._deadlines.watch() as watch:
            try:
                self._deliver(mail, password, context, watch)
            except smtplib.SMTPException as error:
                raise self._refusal(error, watch) from None
            except (OSError, ValueError) as error:
                raise self._network_failure(error, watch) from None

    @property
    def _where(self) -> str:
        return f"{self._server.host}:{self._server.port}"

    def _deliver(
        self,
        mail: EmailMessage,
        password: str | None,
        context: ssl.SSLContext | None,
        watch: ConnectionWatch,
    ) -> None:
        server = self._server
        implicit = context if server.security == "smtps" else None
        smtp = _WatchedSmtp(server.host, server.port, self._limits, watch, implicit)
        try:
            if server.security == "starttls":
                smtp.starttls(context=context)
            if server.username is not None and password is not None:
                smtp.login(server.username, password)
            refused = smtp.send_message(mail, self._sender, list(self._recipients))
        finally:
            # The mail is taken or it is not; a farewell could only wait or fail.
            smtp.close()
        if refused:
            raise NotifyError(
                f"{self._where} took the mail, but not for {', '.join(sorted(refused))}.",
                kind="message",
                field=f"notifications.channels.{self.name}.recipients",
                hint="Correct these addresses.",
            )

    def _context(self) -> ssl.SSLContext | None:
        if self._server.security == "plain":
            return None
        try:
            return ssl.create_default_context(cafile=self._server.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise NotifyError(
                "The file with certificates cannot be used "
                f"({error.strerror or type(error).__name__}).",
                kind="config",
                field=f"notifications.channels.{self.name}.ca_file",
                value=self._server.ca_file,
                hint="Give a readable PEM file.",
            ) from None

    def _refusal(self, error: smtplib.SMTPException, watch: ConnectionWatch) -> NotifyError:
        where = self._where
        if watch.expired or watch.aborted:
            return self._network_failure(error, watch)
        if isinstance(error, smtplib.SMTPNotSupportedError):
            if self._server.security == "starttls" and "AUTH" not in str(error):
                return NotifyError(
                    f"{where} offers no encryption (STARTTLS); nothing was sent.",
                    kind="tls",
                    hint="Use security: smtps, or another port of the server.",
                )
            return NotifyError(
                f"{where} takes no login.",
                kind="auth",
                hint="Remove username, or use another port of the server.",
            )
        if isinstance(error, smtplib.SMTPRecipientsRefused):
            code, text = next(iter(error.recipients.values()))
            named = ", ".join(sorted(error.recipients))
            return NotifyError(
                f"{where} refuses every recipient ({named}): {_said(code, text)}.",
                kind="busy" if 400 <= code < 500 else "refused",
                value=code,
                hint="Check recipients and sender." if code >= 500 else "It is tried again.",
            )
        if isinstance(error, smtplib.SMTPResponseException) and error.smtp_code > 0:
            return self._answered(error)
        # What is left is a connection that ended, or an answer that is no SMTP.
        return self._network_failure(error, watch)

    def _network_failure(self, error: Exception, watch: ConnectionWatch) -> NotifyError:
        limits = self._limits
        return network_failure(
            error, self._where, watch, total_s=limits.total_s, read_s=limits.read_s
        )

    def _answered(self, error: smtplib.SMTPResponseException) -> NotifyError:
        code = error.smtp_code
        said = f"{self._where} answers {_said(code, error.smtp_error)}."
        if 400 <= code < 500:
            return NotifyError(said, kind="busy", value=code, hint="It is tried again.")
        if code in _AUTH_CODES or isinstance(error, smtplib.SMTPAuthenticationError):
            # Not what it says: some servers repeat what they were sent.
            return NotifyError(
                f"{self._where} does not accept the login (status {code}).",
                kind="auth",
                value=code,
                hint="Check username and password of this channel.",
            )
        if isinstance(error, smtplib.SMTPDataError) or code == _MESSAGE_TOO_LARGE:
            return NotifyError(said, kind="message", value=code)
        return NotifyError(
            said, kind="refused", value=code, hint="Check sender and server of this channel."
        )


def compose(message: Message, sender: str, recipients: tuple[str, ...]) -> EmailMessage:
    """Return the mail; what comes from outside can neither add headers nor end the body early."""
    mail = EmailMessage(policy=SMTP_POLICY)
    name = one_line(f"EMS Dash {message.site_name}", 60)
    mail["From"] = formataddr((name, sender))
    mail["To"] = ", ".join(recipients)
    mail["Subject"] = message.subject()
    mail["Date"] = format_datetime(message.created_at)
    mail["Message-ID"] = f"<{message.id}@{sender.rpartition('@')[2]}>"
    mail["Auto-Submitted"] = "auto-generated"
    if message.severity == "alarm":
        mail["Importance"] = "high"
    text = message.text().encode("utf-8", "replace").decode("utf-8")
    mail.set_content(text, subtype="plain", charset="utf-8")
    return mail


def _said(code: int, text: bytes | str) -> str:
    words = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    return f"{code} {one_line(words, 200)}".rstrip(". ")


class _WatchedSmtp(smtplib.SMTP):
    """A session whose connection reports to the watch before any handshake."""

    def __init__(
        self,
        host: str,
        port: int,
        limits: SmtpLimits,
        watch: ConnectionWatch,
        implicit: ssl.SSLContext | None,
    ) -> None:
        self._watch = watch
        self._implicit = implicit
        self._max_lines = limits.max_lines
        # The library would ask the name service for a name; the address is as good (RFC 5321
        # section 4.1.3) and is known once there is a connection.
        super().__init__(local_hostname="[127.0.0.1]", timeout=limits.read_s)
        # What the library checks certificates against.
        self._host = host
        try:
            code, text = self.connect(host, port)
            if code != 220:
                raise smtplib.SMTPConnectError(code, text)
        except BaseException:
            self.close()
            raise

    def _get_socket(self, host: str, port: int, timeout: float) -> Any:
        raw = socket.create_connection((host, port), timeout)
        self._watch.add(raw)
        address = str(raw.getsockname()[0])
        self.local_hostname = f"[IPv6:{address}]" if ":" in address else f"[{address}]"
        if self._implicit is None:
            return raw
        try:
            return self._implicit.wrap_socket(raw, server_hostname=host)
        except BaseException:
            raw.close()
            raise

    def getreply(self) -> tuple[int, bytes]:
        """Return one answer; one without an end is an end of the session."""
        if self.file is None:
            self.file = _Bounded(self.sock.makefile("rb"), self._max_lines)  # type: ignore[union-attr]
        if isinstance(self.file, _Bounded):
            self.file.lines = 0
        return super().getreply()


class _Bounded:
    """Lines of a connection; too many in one answer look like its end."""

    def __init__(self, file: Any, most: int) -> None:
        self._file = file
        self._most = most
        self.lines = 0

    def readline(self, limit: int = -1) -> bytes:
        """Return the next whole line, or ``b""`` at the end.

        What a broken connection leaves of a line is no answer, even if it begins with 250.
        """
        self.lines += 1
        if self.lines > self._most:
            return b""
        line = bytes(self._file.readline(limit))
        return line if line.endswith(b"\n") or len(line) == limit else b""

    def close(self) -> None:
        """Close what is below."""
        self._file.close()
