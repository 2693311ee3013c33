"""One GET over HTTP that can neither hang nor fill the memory nor leak a key."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Protocol
from urllib.parse import urlsplit

import requests

from engine.domain.clock import Clock
from engine.domain.error_chain import error_chain
from engine.domain.errors import FetchError
from engine.fetching.connection_watch import ConnectionWatch, WatchedAdapter
from engine.fetching.redaction import guard_library_logs, is_secret_parameter, redact

USER_AGENT = "EMS-Dash (energy management; one installation)"

_CHUNK_BYTES = 16_384
_REASON_BYTES = 4_096
_REASON_LENGTH = 200
_RETRYABLE_STATUS = frozenset({408, 425, 429})


@dataclass(frozen=True, slots=True)
class HttpLimits:
    """What a request may cost.

    Attributes:
        connect_s: Longest time to connect.
        read_s: Longest silence while waiting for data.
        total_s: Longest time for everything, so that a trickling server holds no thread.
        max_bytes: Largest body, after decompression.
        max_redirects: Redirects followed.
    """

    connect_s: float = 5.0
    read_s: float = 10.0
    total_s: float = 30.0
    max_bytes: int = 5_000_000
    max_redirects: int = 3


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer with status 200.

    Attributes:
        body: The bytes, decompressed.
        host: Who answered, for messages.
        request: Address and parameters without keys, for the cache.
        secrets: Values that must never be shown.
    """

    body: bytes
    host: str
    request: str
    secrets: tuple[str, ...] = field(default=(), repr=False)

    def json(self) -> Any:
        """Return the body as JSON; NaN and Infinity are no JSON.

        Raises:
            FetchError: When it is not JSON.
        """
        try:
            return json.loads(self.body, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as error:
            start = self.body[:60].lstrip().decode("utf-8", "replace")
            what = "an HTML page" if start.lower().startswith(("<!doctype", "<html")) else "no JSON"
            raise invalid(
                f"The reply of {self.host} is {what}: {redact(start, self.secrets)!r}."
                if self.body
                else f"The reply of {self.host} is empty."
            ) from error


class HttpGetter(Protocol):
    """Something that gets an address."""

    def get(self, url: str, params: Mapping[str, str]) -> Reply:
        """Return the answer of a GET with status 200.

        Raises:
            FetchError: Whatever went wrong.
        """
        ...


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a number")


def invalid(message: str, hint: str | None = None) -> FetchError:
    """Return the error for an answer that cannot be used."""
    return FetchError(message, kind="invalid", retryable=False, hint=hint)


class RequestsGetter:
    """`HttpGetter` over the library requests; safe to use from several threads.

    Network limits run in real time whatever the engine's clock does; the clock only reads the
    date of a ``Retry-After`` header.
    """

    def __init__(
        self, clock: Clock, limits: HttpLimits | None = None, *, verify_tls: bool = True
    ) -> None:
        self._clock = clock
        self._limits = limits or HttpLimits()
        self._verify_tls = verify_tls
        self._lock = threading.Lock()
        self._running: set[ConnectionWatch] = set()
        self._closed = False
        guard_library_logs()

    def close(self) -> None:
        """Abort what is under way and refuse further requests, so that a stop is prompt."""
        with self._lock:
            self._closed = True
            running = tuple(self._running)
        for watch in running:
            watch.abort()

    def get(self, url: str, params: Mapping[str, str]) -> Reply:
        """Return the answer of a GET with status 200; see `HttpGetter`."""
        secrets = tuple(v for k, v in params.items() if is_secret_parameter(k))
        query = "&".join(f"{k}={v}" for k, v in params.items() if not is_secret_parameter(k))
        request = redact(f"{url}?{query}" if query else url, secrets)
        host = _host(url)
        watch = ConnectionWatch(self._limits.total_s)
        with self._lock:
            if self._closed:
                raise FetchError("The program stops.", kind="unreachable", retryable=True)
            self._running.add(watch)
        try:
            with watch:
                body = self._get(url, params, host, secrets, watch)
        finally:
            with self._lock:
                self._running.discard(watch)
        return Reply(body=body, host=host, request=request, secrets=secrets)

    def _get(
        self,
        url: str,
        params: Mapping[str, str],
        host: str,
        secrets: tuple[str, ...],
        watch: ConnectionWatch,
    ) -> bytes:
        limits = self._limits
        try:
            with requests.Session() as session:
                session.max_redirects = limits.max_redirects
                session.mount("http://", WatchedAdapter(watch))
                session.mount("https://", WatchedAdapter(watch))
                with session.get(
                    url,
                    params=dict(params),
                    timeout=(limits.connect_s, limits.read_s),
                    stream=True,
                    verify=self._verify_tls,
                    headers={"User-Agent": USER_AGENT},
                ) as response:
                    if response.status_code != 200:
                        raise self._status_error(response, host, secrets)
                    body = self._body(response, host)
        except (requests.RequestException, OSError, ValueError) as error:
            # The library's own text holds the address with its key: it is not passed on.
            raise _failure(error, host, watch, limits) from None
        if watch.expired or watch.aborted:
            # A shut-down connection looks like the end of a body without a length.
            raise _failure(None, host, watch, limits)
        return body

    def _body(self, response: Any, host: str) -> bytes:
        parts, size = [], 0
        for chunk in response.iter_content(_CHUNK_BYTES):
            size += len(chunk)
            if size > self._limits.max_bytes:
                raise FetchError(
                    f"The reply of {host} is larger than {self._limits.max_bytes:,} bytes.",
                    kind="too_large",
                    retryable=False,
                )
            parts.append(chunk)
        return b"".join(parts)

    def _status_error(self, response: Any, host: str, secrets: tuple[str, ...]) -> FetchError:
        status = int(response.status_code)
        retryable = status in _RETRYABLE_STATUS or status >= 500
        hint = None
        if status in (401, 403):
            hint = "Check the key or token of this source."
        elif status == 429:
            hint = "Too many requests; the source is left alone for a while."
        reason = _reason(response)
        words = f"{host} answers with status {status}"
        if reason:
            words += f": {redact(reason, secrets)}"
        return FetchError(
            f"{words.rstrip('.')}.",
            kind="status",
            retryable=retryable,
            retry_after_s=retry_after_s(response.headers.get("Retry-After"), self._clock.now()),
            value=status,
            hint=hint,
        )


def retry_after_s(header: str | None, now: datetime) -> float | None:
    """Return the seconds a ``Retry-After`` header asks for (number or date), or None."""
    if header is None:
        return None
    text = header.strip()
    if text.isdecimal():
        return float(text)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return max(0.0, (at - now).total_seconds())


def _reason(response: Any) -> str | None:
    """Return what a JSON error body says, shortened."""
    try:
        body = json.loads(next(response.iter_content(_REASON_BYTES), b""))
    except ValueError:
        return None
    if isinstance(body, dict):
        for key in ("reason", "message", "detail", "error"):
            if isinstance(body.get(key), str):
                return str(body[key])[:_REASON_LENGTH]
    return None


def _failure(
    error: Exception | None, host: str, watch: ConnectionWatch, limits: HttpLimits
) -> FetchError:
    if watch.aborted:
        return FetchError(
            f"The request to {host} was ended because the program stops.",
            kind="unreachable",
            retryable=True,
        )
    if watch.expired:
        return FetchError(
            f"{host} did not finish its answer within {limits.total_s:g} s.",
            kind="timeout",
            retryable=True,
        )
    if isinstance(error, requests.ConnectTimeout):
        return FetchError(
            f"{host} could not be reached within {limits.connect_s:g} s.",
            kind="timeout",
            retryable=True,
        )
    if isinstance(error, requests.Timeout) or _caused_by(error, TimeoutError):
        return FetchError(
            f"{host} was silent for {limits.read_s:g} s.", kind="timeout", retryable=True
        )
    if isinstance(error, requests.TooManyRedirects):
        return invalid(f"{host} redirects more than {limits.max_redirects} times.")
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return invalid(f"The compression of the reply of {host} is broken.")
    if isinstance(error, ValueError) and not isinstance(error, requests.ConnectionError):
        return FetchError(
            f"{host} is no usable address.",
            kind="unreachable",
            retryable=False,
            hint="Check the address of this source.",
        )
    return FetchError(
        f"{host} cannot be reached: {_network_words(error)}.",
        kind="unreachable",
        retryable=True,
        hint="Check the internet connection of this machine.",
    )


def _host(url: str) -> str:
    """Return host and port of an address; without a possible login in front of it."""
    try:
        return urlsplit(url).netloc.rpartition("@")[2] or url
    except ValueError:
        return url


def _caused_by(error: Exception | None, kind: type[BaseException]) -> bool:
    return any(isinstance(e, kind) for e in error_chain(error))


def _network_words(error: Exception | None) -> str:
    if _caused_by(error, ssl.SSLError):
        return "its certificate or encryption is not accepted"
    if _caused_by(error, socket.gaierror):
        return "its name cannot be resolved"
    if _caused_by(error, ConnectionRefusedError):
        return "it refuses the connection"
    if _caused_by(error, ConnectionResetError):
        return "it reset the connection"
    with suppress(StopIteration):
        known = next(e for e in error_chain(error) if isinstance(e, OSError) and e.strerror)
        assert isinstance(known, OSError)
        return str(known.strerror).lower()
    return "the connection broke off"
