"""Alarms, changes, a site and channels that do as told, for tests of notifications."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from engine.domain.alarms import AlarmChange, AlarmChangeKind, AlarmView
from engine.domain.site import Battery, GridConnection, Site
from engine.notify.errors import NotifyError
from engine.notify.message import Message

NOW = datetime(2026, 11, 25, 19, 0, tzinfo=UTC)
SITE = Site(
    "site-1",
    "Standort Wien",
    "Europe/Vienna",
    Battery(200.0, 100.0, 100.0, 0.95, 0.95, 10.0, 90.0),
    GridConnection(200.0, 200.0),
)


def raised(code: str = "link_offline", subject: str | None = "meter", **more: Any) -> AlarmChange:
    """Return an alarm that has just been raised."""
    more = {"severity": "alarm", "message": "it refuses the connection"} | more
    view = AlarmView(code, True, NOW, subject=subject, source="engine", **more)
    return AlarmChange(AlarmChangeKind.RAISED, view, NOW)


def cleared(code: str = "link_offline", subject: str | None = "meter", **more: Any) -> AlarmChange:
    """Return an alarm that has just ended after 65 minutes."""
    end = NOW + timedelta(minutes=65)
    more = {"severity": "alarm"} | more
    view = AlarmView(code, False, NOW, end, subject=subject, source="engine", **more)
    return AlarmChange(AlarmChangeKind.CLEARED, view, end)


def message(*changes: AlarmChange, **more: Any) -> Message:
    """Return a message about `changes`."""
    fields: dict[str, Any] = {
        "id": "00ff",
        "site_id": SITE.site_id,
        "site_name": SITE.name,
        "timezone": SITE.timezone,
        "language": "de",
        "created_at": NOW,
        "changes": changes,
    }
    return Message(**fields | more)


class FakeChannel:
    """Keeps what it was sent, or fails as told.

    Attributes:
        taken: Messages that were taken.
        attempts: Every message that was tried.
        fail: Returns the error for the next attempt, or None.
    """

    type = "webhook"
    target = "host.example"

    def __init__(self, name: str = "ops") -> None:
        self.name = name
        self.taken: list[Message] = []
        self.attempts: list[Message] = []
        self.fail: Callable[[], Exception | None] = lambda: None
        self.closed = False

    def send(self, sent: Message) -> None:
        """Take a message or fail."""
        self.attempts.append(sent)
        error = self.fail()
        if error is not None:
            raise error
        self.taken.append(sent)

    def close(self) -> None:
        """Remember that it was closed."""
        self.closed = True

    def failing(self, kind: Any = "unreachable", **more: Any) -> None:
        """Fail from now on."""
        self.fail = lambda: NotifyError("it fails", kind=kind, **more)

    def working(self) -> None:
        """Work from now on."""
        self.fail = lambda: None
