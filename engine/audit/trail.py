"""How the engine says that something was changed: what, and through the origin, by whom.

Who asks is known where a request, a message or a command enters the program. It is kept in a
context variable, so that what carries out the change need not pass it on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Final, Literal, Protocol

from engine.domain.errors import EmsError

Outcome = Literal["done", "failed", "refused"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asks for a change.

    Attributes:
        actor: Name of a user, or what asks: ``"mqtt"``, ``"cli"``, ``"system"``.
        via: By which way: ``"session"``, ``"token"``, ``"mqtt"``, ``"cli"``, ``"system"``.
        address: Network address of the sender; None when there is none.
    """

    actor: str
    via: str
    address: str | None = None


SYSTEM: Final = Origin("system", "system")
"""The program itself."""

_asking: ContextVar[Callable[[], Origin] | None] = ContextVar("ems_origin", default=None)


def current_origin() -> Origin:
    """Return who asks in this thread or task; `SYSTEM` when nobody does."""
    ask = _asking.get()
    return SYSTEM if ask is None else ask()


@contextmanager
def acting(origin: Origin | Callable[[], Origin]) -> Iterator[None]:
    """Let everything the block changes be written down as done by `origin`.

    Args:
        origin: Who asks, or a function that finds out when it is needed.
    """
    token = _asking.set(origin if callable(origin) else lambda: origin)
    try:
        yield
    finally:
        _asking.reset(token)


class Trail(Protocol):
    """Takes down what was changed, with the origin of the moment. Never raises, never waits long.

    Values are cleaned of secrets by what keeps them.
    """

    def note(
        self,
        action: str,
        target: str,
        *,
        before: Any = None,
        after: Any = None,
        outcome: Outcome = "done",
    ) -> None:
        """Take down one change.

        Args:
            action: What was done, for example ``"strategy.manual"``.
            target: To what, for example a site, a device or a file.
            before: What it was.
            after: What it is now.
            outcome: Whether it came to pass.
        """
        ...


class _NoTrail:
    def note(
        self,
        action: str,
        target: str,
        *,
        before: Any = None,
        after: Any = None,
        outcome: Outcome = "done",
    ) -> None:
        """Forget it."""


NO_TRAIL: Final[Trail] = _NoTrail()
"""Takes nothing down: for looks at the past and for parts under test."""


@contextmanager
def noting(
    trail: Trail, action: str, target: str, *, before: Any = None, after: Any = None
) -> Iterator[None]:
    """Take down what the block does: as done, or as failed with the code of its error.

    Raises:
        EmsError: As the block raised it.
    """
    try:
        yield
    except EmsError as exc:
        failed = {"asked": after, "error": exc.code}
        trail.note(action, target, before=before, after=failed, outcome="failed")
        raise
    trail.note(action, target, before=before, after=after)
