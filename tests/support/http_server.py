"""A web server on loopback that answers as told, well or badly, and remembers what was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit


@dataclass(frozen=True, slots=True)
class Answer:
    """What the server does with a request.

    Attributes:
        body: Bytes sent.
        status: HTTP status.
        headers: Further headers.
        trickle_s: When above 0, the pause between single bytes of status line, headers and body.
        silent: Take the request and never answer.
        drop: Hang up without an answer.
    """

    body: bytes = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    trickle_s: float = 0.0
    silent: bool = False
    drop: bool = False


def as_json(value: Any, status: int = 200, **headers: str) -> Answer:
    """Return an answer that holds `value` as JSON; underscores in header names become hyphens."""
    named = {k.replace("_", "-"): v for k, v in headers.items()}
    return Answer(json.dumps(value).encode(), status, {"Content-Type": "application/json", **named})


Query = dict[str, str]
Responder = Callable[[Query], Answer]


class WebServer:
    """Serves `answers` by path until closed.

    Attributes:
        answers: Path to an answer or to a function of the query.
        requests: Path and query of every request so far.
        url: Address without a path.
    """

    def __init__(self) -> None:
        self.answers: dict[str, Answer | Responder] = {}
        self.requests: list[tuple[str, Query]] = []
        self.closing = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def __enter__(self) -> WebServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop; requests that are kept waiting end."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(10)
        assert not self._thread.is_alive()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.0"

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                query = {k: v[-1] for k, v in parse_qs(parts.query).items()}
                owner.requests.append((parts.path, query))
                found = owner.answers.get(parts.path, Answer(b"not here", 404))
                answer = found(query) if callable(found) else found
                try:
                    self._send(answer)
                except OSError:
                    # The client may hang up at any time; that is what the tests are about.
                    self.close_connection = True

            def _send(self, answer: Answer) -> None:
                if answer.silent:
                    owner.closing.wait(30)
                    return
                if answer.drop:
                    return
                head = [f"HTTP/1.0 {answer.status} Any"]
                named = {"Content-Length": str(len(answer.body)), **answer.headers}
                head += [f"{k}: {v}" for k, v in named.items()]
                data = "\r\n".join(head).encode() + b"\r\n\r\n" + answer.body
                if not answer.trickle_s:
                    self.wfile.write(data)
                    return
                for i in range(len(data)):
                    self.wfile.write(data[i : i + 1])
                    self.wfile.flush()
                    if owner.closing.wait(answer.trickle_s):
                        return

            def log_message(self, *_: Any) -> None:
                return

        return Handler
