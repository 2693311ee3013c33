"""State of the connection to the broker, as people see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from engine.domain.control import LinkStatus


@dataclass(frozen=True, slots=True)
class MqttStatus:
    """State of the connection to the broker.

    Attributes:
        state: ``"connecting"``, ``"online"``, ``"degraded"`` (connected, but not everything
            works), ``"offline"`` or ``"stopped"``.
        reason: Why it is not online, in words; None when online.
        endpoint: Host and port.
        client_id: How the broker knows this program.
        tls: True when the connection is encrypted.
        retrying: False when it will not connect again by itself.
        connected_at: Start of the present connection, UTC; None while there is none.
        connects: Connections since start.
        failures: Attempts to connect that failed since start.
        published: Messages handed to the broker since start.
        dropped: Messages given up because the queue was full.
        queued: Messages waiting for the broker.
        received: Messages of mapped topics since start.
        bad_messages: Messages of mapped topics that held no usable value.
        commands_accepted: Commands that took effect.
        commands_refused: Commands that were refused.
        restarts: Times the network thread had to be started again.
        silent_topics: Mapped topics nothing has come from yet.
    """

    state: str
    reason: str | None
    endpoint: str
    client_id: str
    tls: bool
    retrying: bool
    connected_at: datetime | None = None
    connects: int = 0
    failures: int = 0
    published: int = 0
    dropped: int = 0
    queued: int = 0
    received: int = 0
    bad_messages: int = 0
    commands_accepted: int = 0
    commands_refused: int = 0
    restarts: int = 0
    silent_topics: tuple[str, ...] = ()

    def link(self) -> LinkStatus:
        """Return the same as a row beside the devices' connections."""
        return LinkStatus(
            name="mqtt",
            state="offline" if self.state == "stopped" else self.state,
            reason=self.reason,
            endpoint=self.endpoint,
            requests=self.published + self.received,
            errors=self.failures + self.dropped + self.bad_messages,
            latency_ms=None,
            simulated=False,
            writable=False,
        )
