"""What every way of telling people has in common."""

from __future__ import annotations

from typing import Protocol

from engine.notify.message import Message


class Channel(Protocol):
    """One way to tell people. `send` may be called by one thread while another closes."""

    @property
    def name(self) -> str:
        """Unique name from the configuration."""
        ...

    @property
    def type(self) -> str:
        """``"webhook"``, ``"email"`` or ``"mqtt"``."""
        ...

    @property
    def target(self) -> str:
        """Where messages go, in words that hold no secret, for example a host."""
        ...

    def send(self, message: Message) -> None:
        """Deliver a message; returns when the other side has taken it.

        Raises:
            NotifyError: It did not.
        """
        ...

    def close(self) -> None:
        """End what is under way at once; further messages are refused."""
        ...
