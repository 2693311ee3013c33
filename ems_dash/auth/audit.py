"""What is written down of everything that changes something."""

from __future__ import annotations

from typing import Any, Literal, Protocol


class Audit(Protocol):
    """Keeps who did what, when, from where, and what it was before and after.

    `engine.audit.log.AuditLog` is one.
    """

    def record(
        self,
        actor: str,
        action: str,
        target: str,
        *,
        before: Any = None,
        after: Any = None,
        address: str | None = None,
        outcome: Literal["done", "refused", "failed"] = "done",
    ) -> None:
        """Write one entry.

        Args:
            actor: Name of the user, ``"cli"``, or what was typed as a name.
            action: What was done, for example ``"user.role"``.
            target: To whom or what.
            before: What it was, never a secret.
            after: What it is now, never a secret.
            address: Where the request came from; None for commands.
            outcome: Whether it came to pass.
        """
        ...
