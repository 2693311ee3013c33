"""Failures of a connection in words that hold no address but the host."""

from __future__ import annotations

import socket
import ssl

from engine.domain.error_chain import error_chain
from engine.fetching.connection_watch import ConnectionWatch
from engine.notify.errors import NotifyError

_TLS_NAMES = ("SSLError", "CertificateError")
"""What libraries call it when they check the name in a certificate themselves."""


def network_failure(
    error: BaseException | None,
    host: str,
    watch: ConnectionWatch,
    *,
    total_s: float,
    read_s: float,
) -> NotifyError:
    """Return what went wrong between here and `host`.

    Args:
        error: What the library raised; its text is not used.
        host: Who was asked.
        watch: Watch over the delivery.
        total_s: Deadline of the watch.
        read_s: Longest silence allowed.
    """
    if watch.aborted:
        return NotifyError(f"The delivery to {host} was ended by a stop.", kind="stopped")
    if watch.expired:
        return NotifyError(f"{host} did not finish within {total_s:g} s.", kind="timeout")
    behind = error_chain(error)
    if any(isinstance(e, ssl.SSLError) or type(e).__name__ in _TLS_NAMES for e in behind):
        return NotifyError(
            f"The certificate or encryption of {host} is not accepted.",
            kind="tls",
            hint="Check its certificate, or name its authority in ca_file.",
        )
    if any(isinstance(e, socket.gaierror) for e in behind):
        return NotifyError(f"The name {host} cannot be resolved.", kind="unreachable")
    if any(isinstance(e, ConnectionRefusedError) for e in behind):
        return NotifyError(f"{host} refuses the connection.", kind="unreachable")
    timeouts = ("ReadTimeout", "ReadTimeoutError", "ConnectTimeout")
    if any(isinstance(e, TimeoutError) or type(e).__name__ in timeouts for e in behind):
        return NotifyError(f"{host} was silent for {read_s:g} s.", kind="timeout")
    return NotifyError(f"The connection to {host} broke off.", kind="unreachable")
