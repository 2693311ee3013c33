"""Messages as JSON by an HTTP POST, signed where a secret is given."""

from __future__ import annotations

import hashlib
import hmac
import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

import requests

from engine.domain.clock import Clock
from engine.fetching.connection_watch import ConnectionWatch, WatchedAdapter
from engine.fetching.http import USER_AGENT, retry_after_s
from engine.fetching.redaction import MASK, guard_library_logs
from engine.notify.deadline import Deadlines
from engine.notify.errors import NotifyError, NotifyKind
from engine.notify.message import Message
from engine.notify.network import network_failure
from engine.notify.secrets import SecretSource

SIGNATURE_HEADER = "X-EMS-Signature"
TIMESTAMP_HEADER = "X-EMS-Timestamp"
DELIVERY_HEADER = "X-EMS-Delivery"

MAX_BODY_BYTES = 256_000

_SAME_REQUEST_AGAIN = frozenset({307, 308})
_ELSEWHERE = frozenset({301, 302, 303, 307, 308})
_BUSY = frozenset({408, 425, 429, 500, 502, 503, 504})
_THIS_MESSAGE = frozenset({400, 413, 415, 422})
_MAX_REDIRECTS = 3


@dataclass(frozen=True, slots=True)
class WebhookLimits:
    """What one delivery may cost.

    Attributes:
        connect_s: Longest time to connect.
        read_s: Longest silence while waiting for the answer.
        total_s: Longest time for everything.
    """

    connect_s: float = 5.0
    read_s: float = 10.0
    total_s: float = 15.0


class WebhookChannel:
    """Posts every message to one address.

    The body is `Message.as_json`. With a secret, ``X-EMS-Signature`` is ``sha256=`` and the hex
    HMAC-SHA256 of ``<X-EMS-Timestamp>.<body>``; the timestamp, in seconds since 1970, lets a
    receiver refuse old copies. Delivered means a status of 2xx; the answer is not read.

    Args:
        name: Name of the channel.
        url: Returns the address; may raise NotifyError. It may hold a secret in its path, so
            only its host is ever shown.
        secret: Secret of the signature.
        clock: Time of the signature, and for the date of a ``Retry-After`` header.
        limits: What a delivery may cost; network time is real time whatever the clock does.
        ca_file: Certificates to trust instead of the system's, or None.
    """

    type = "webhook"

    def __init__(
        self,
        name: str,
        url: Callable[[], str],
        secret: SecretSource,
        clock: Clock,
        *,
        limits: WebhookLimits | None = None,
        ca_file: str | None = None,
    ) -> None:
        self.name = name
        self._url = url
        self._secret = secret
        self._clock = clock
        self._limits = limits or WebhookLimits()
        self._ca_file = ca_file
        self._deadlines = Deadlines(self._limits.total_s)
        guard_library_logs()
        _HIDDEN.install()

    def __repr__(self) -> str:
        return f"WebhookChannel({self.name})"

    @property
    def target(self) -> str:
        """Host of the address; a remark when it cannot be had."""
        try:
            return _checked(self._url(), self.name).netloc.rpartition("@")[2]
        except NotifyError:
            return "?"

    def close(self) -> None:
        """End what is under way at once."""
        self._deadlines.close()

    def send(self, message: Message) -> None:
        """Deliver a message; see `engine.notify.channel.Channel`."""
        url = self._url()
        parts = _checked(url, self.name)
        host = parts.netloc.rpartition("@")[2]
        body = message.as_json()
        if len(body) > MAX_BODY_BYTES:
            raise NotifyError(
                f"The message is larger than {MAX_BODY_BYTES:,} bytes.", kind="message"
            )
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            "User-Agent": USER_AGENT,
            DELIVERY_HEADER: message.id,
            **self._signature(body),
        }
        _HIDDEN.add(parts)
        with self._deadlines.watch() as watch:
            try:
                with requests.Session() as session:
                    session.mount("http://", WatchedAdapter(watch))
                    session.mount("https://", WatchedAdapter(watch))
                    self._post(session, url, body, headers, host)
                if watch.expired or watch.aborted:
                    # A shut-down connection looks like the end of the headers.
                    raise self._failure(None, host, watch)
            except (requests.RequestException, OSError, ValueError) as error:
                # The library's own text holds the address: it is not passed on.
                raise self._failure(error, host, watch) from None

    def _signature(self, body: bytes) -> dict[str, str]:
        secret = self._secret.read()
        if secret is None:
            return {}
        stamp = str(int(self._clock.now().timestamp()))
        digest = hmac.new(secret.encode(), stamp.encode() + b"." + body, hashlib.sha256)
        return {TIMESTAMP_HEADER: stamp, SIGNATURE_HEADER: f"sha256={digest.hexdigest()}"}

    def _post(
        self, session: requests.Session, url: str, body: bytes, headers: dict[str, str], host: str
    ) -> None:
        for _ in range(_MAX_REDIRECTS + 1):
            with session.post(
                url,
                data=body,
                headers=headers,
                timeout=(self._limits.connect_s, self._limits.read_s),
                allow_redirects=False,
                stream=True,
                verify=self._ca_file or True,
                auth=_no_netrc,
            ) as response:
                status, location = response.status_code, response.headers.get("Location", "")
                if 200 <= status < 300:
                    return
                if status not in _ELSEWHERE:
                    raise self._refusal(status, response.headers.get("Retry-After"), host)
            url = _same_place(url, location, status, host)
            _HIDDEN.add(urlsplit(url))
        raise NotifyError(f"{host} redirects more than {_MAX_REDIRECTS} times.", kind="refused")

    def _refusal(self, status: int, header: str | None, host: str) -> NotifyError:
        kind: NotifyKind = "refused"
        hint = "Check the address of this channel."
        if status in (401, 403, 407):
            kind, hint = "auth", "Check the address and the secret of this channel."
        elif status in _BUSY or status >= 500:
            kind, hint = "busy", "It is tried again."
        elif status in _THIS_MESSAGE:
            kind, hint = "message", "Check what the receiver expects; see the documentation."
        wait_s = retry_after_s(header, self._clock.now())
        return NotifyError(
            f"{host} answers with status {status}.",
            kind=kind,
            retry_after_s=wait_s,
            value=status,
            hint=hint,
        )

    def _failure(self, error: Exception | None, host: str, watch: ConnectionWatch) -> NotifyError:
        limits = self._limits
        if isinstance(error, requests.ConnectTimeout):
            return NotifyError(
                f"{host} could not be reached within {limits.connect_s:g} s.", kind="timeout"
            )
        if isinstance(error, OSError) and self._ca_file and "CA certificate" in str(error):
            return NotifyError(
                "The file with certificates cannot be read.",
                kind="config",
                field=f"notifications.channels.{self.name}.ca_file",
                value=self._ca_file,
                hint="Give a readable PEM file.",
            )
        return network_failure(error, host, watch, total_s=limits.total_s, read_s=limits.read_s)


def _checked(url: str, name: str) -> SplitResult:
    field = f"notifications.channels.{name}.url"
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname)
        usable = usable and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or any(c.isspace() or ord(c) < 32 for c in url):
        raise NotifyError(
            "The address is not usable.",
            kind="config",
            field=field,
            hint="Give one such as https://host.example/path.",
        )
    return parts


def _same_place(url: str, location: str, status: int, host: str) -> str:
    """Return where a redirect leads, if it is the same server and asks for the same request.

    A message must not be carried to a host nobody has named.
    """
    target = urljoin(url, location)
    try:
        here, there = urlsplit(url), urlsplit(target)
        same = (here.scheme, here.hostname, here.port) == (there.scheme, there.hostname, there.port)
        name = there.hostname or "?"
    except ValueError:
        same, name = False, "?"
    if same and location and status in _SAME_REQUEST_AGAIN:
        return target
    where = "another path" if same else f"another place ({there.scheme or '?'}://{name})"
    raise NotifyError(
        f"{host} redirects to {where} with status {status}; this is not followed.",
        kind="refused",
        value=status,
        hint="Give the final address.",
    )


def _no_netrc(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Stand in for authentication, which the library would else take from a .netrc file."""
    return request


class _HiddenPaths(logging.Filter):
    """Takes paths of addresses out of what urllib3 logs; with many services they are the key."""

    def __init__(self) -> None:
        super().__init__()
        self._paths: set[str] = set()
        self._lock = threading.Lock()

    def install(self) -> None:
        """Watch the loggers that write paths."""
        for name in ("urllib3.connectionpool", "urllib3.util.retry"):
            logger = logging.getLogger(name)
            if self not in logger.filters:
                logger.addFilter(self)

    def add(self, parts: SplitResult) -> None:
        """Hide path and query of an address from now on."""
        shown = f"{parts.path}?{parts.query}" if parts.query else parts.path
        with self._lock:
            if len(shown) > 1 and len(self._paths) < 1000:
                self._paths |= {shown, parts.path} - {"/", ""}

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite the message; every record passes."""
        text = record.getMessage()
        with self._lock:
            paths = sorted(self._paths, key=len, reverse=True)
        for path in paths:
            text = text.replace(path, f"/{MASK}")
        record.msg, record.args = text, ()
        return True


_HIDDEN = _HiddenPaths()
