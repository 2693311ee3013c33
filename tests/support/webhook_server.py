"""A receiver of webhooks on loopback that answers as told and keeps what was posted."""

from __future__ import annotations

import json
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.support.http_server import Answer, WebServer


@dataclass(frozen=True, slots=True)
class Post:
    """One request that came in."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """Return the body as JSON."""
        return json.loads(self.body)


class WebhookServer(WebServer):
    """Takes POST requests; paths without an answer of their own get 404.

    Attributes:
        posts: What came in so far.
    """

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.posts: list[Post] = []
        super().__init__()
        if tls is not None:
            self._server.socket = tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
            self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
            self.url = self.url.replace("http://", "https://")

    def take(self, path: str, answer: Answer | None = None) -> str:
        """Answer on `path` (204 when nothing else is said); return its whole address."""
        self.answers[path] = answer or Answer(status=204)
        return self.url + path

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        base, owner = super()._handler(), self

        class Handler(base):  # type: ignore[misc,valid-type]
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                body = self.rfile.read(length)
                owner.posts.append(Post(self.path, dict(self.headers.items()), body))
                found = owner.answers.get(self.path, Answer(b"not here", 404))
                try:
                    self._send(found({}) if callable(found) else found)
                except OSError:
                    self.close_connection = True

        return Handler
