"""A mail server on loopback that answers as told, well or badly, and keeps what it was given."""

from __future__ import annotations

import base64
import socket
import ssl
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default as default_policy

from tests.support.socket_server import SocketServer


@dataclass
class Mail:
    """One mail as it was handed over."""

    sender: str
    recipients: list[str]
    data: bytes
    encrypted: bool
    user: str | None

    @property
    def message(self) -> EmailMessage:
        """The mail, parsed."""
        parsed = message_from_bytes(self.data, policy=default_policy)
        assert isinstance(parsed, EmailMessage)
        return parsed


@dataclass
class _Session:
    connection: socket.socket
    encrypted: bool = False
    user: str | None = None
    sender: str = ""
    recipients: list[str] = field(default_factory=list)
    buffer: bytes = b""


class SmtpServer(SocketServer):
    """Speaks as much SMTP as a client of mails needs.

    Attributes:
        mails: What was taken.
        commands: Every command line that came in.
        replies: Verb (also ``"greeting"``, ``"data_end"`` and ``"rcpt <address>"``) to a reply
            that replaces the usual one; several lines are sent as they are.
        silent_at: Verb that is never answered, or None.
        trickle_at: Verb whose answer comes one byte at a time without end, or None.
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        implicit: bool = False,
        users: Mapping[str, str] | None = None,
    ) -> None:
        self.mails: list[Mail] = []
        self.commands: list[str] = []
        self.replies: dict[str, str] = {}
        self.silent_at: str | None = None
        self.trickle_at: str | None = None
        self.closing = threading.Event()
        self._tls = tls
        self._implicit = implicit
        self._users = dict(users or {})
        super().__init__()

    def close(self) -> None:
        """Stop; clients that are kept waiting are let go."""
        self.closing.set()
        super().close()

    def serve(self, connection: socket.socket) -> None:
        """Answer on one connection until it ends."""
        session = _Session(connection)
        if self._implicit:
            assert self._tls is not None
            session.connection = self._tls.wrap_socket(connection, server_side=True)
            session.encrypted = True
        try:
            self._reply(session, "greeting", "220 mail.test ESMTP")
            while (line := self._line(session)) is not None:
                text = line.decode("utf-8", "replace")
                self.commands.append(text)
                if not self._command(session, text):
                    return
        finally:
            if session.connection is not connection:
                session.connection.close()

    def _command(self, session: _Session, line: str) -> bool:
        verb, _, rest = line.partition(" ")
        verb = verb.lower()
        if verb == "ehlo":
            lines = ["mail.test", "8BITMIME", "SIZE 1000000"]
            if self._tls is not None and not session.encrypted:
                lines.append("STARTTLS")
            if self._users:
                lines.append("AUTH PLAIN")
            text = "\r\n".join([*(f"250-{x}" for x in lines[:-1]), f"250 {lines[-1]}"])
            self._reply(session, verb, text)
        elif verb == "starttls":
            self._reply(session, verb, "220 go ahead")
            assert self._tls is not None
            session.connection = self._tls.wrap_socket(session.connection, server_side=True)
            session.encrypted, session.buffer = True, b""
        elif verb == "auth":
            self._login(session, rest)
        elif verb == "mail":
            session.sender, session.recipients = rest[5:].split(" ")[0].strip("<>"), []
            self._reply(session, verb, "250 ok")
        elif verb == "rcpt":
            address = rest[3:].split(" ")[0].strip("<>")
            text = self.replies.get(f"rcpt {address}", "250 ok")
            if text.startswith("250"):
                session.recipients.append(address)
            self._reply(session, verb, text)
        elif verb == "data":
            self._data(session)
        elif verb == "quit":
            self._reply(session, verb, "221 bye")
            return False
        else:
            self._reply(session, verb, "250 ok")
        return True

    def _login(self, session: _Session, rest: str) -> None:
        _, _, given = rest.partition(" ")
        _, user, password = base64.b64decode(given).decode().split("\0")
        if self._users.get(user) == password:
            session.user = user
            self._reply(session, "auth", "235 welcome")
        else:
            self._reply(session, "auth", f"535 no such login {user}/{password}")

    def _data(self, session: _Session) -> None:
        self._reply(session, "data", "354 go on")
        if "data" in self.replies and not self.replies["data"].startswith("354"):
            return
        lines: list[bytes] = []
        while (line := self._line(session)) is not None and line != b".":
            lines.append(line[1:] if line.startswith(b".") else line)
        verdict = self.replies.get("data_end", "250 taken")
        if verdict.startswith("250"):
            self.mails.append(
                Mail(
                    session.sender,
                    list(session.recipients),
                    b"\r\n".join(lines) + b"\r\n",
                    session.encrypted,
                    session.user,
                )
            )
        self._reply(session, "data_end", verdict)

    def _reply(self, session: _Session, verb: str, text: str) -> None:
        if self.silent_at == verb:
            self.closing.wait(30)
            raise OSError("let go")
        if self.trickle_at == verb:
            while not self.closing.wait(0.02):
                session.connection.sendall(b"2")
            raise OSError("let go")
        session.connection.sendall(self.replies.get(verb, text).encode() + b"\r\n")

    def _line(self, session: _Session) -> bytes | None:
        while b"\r\n" not in session.buffer:
            data = session.connection.recv(65_536)
            if not data:
                return None
            session.buffer += data
        line, _, session.buffer = session.buffer.partition(b"\r\n")
        return line
