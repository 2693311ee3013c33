"""Why a message was not delivered."""

from __future__ import annotations

from typing import Any, Literal

from engine.domain.errors import EmsError

NotifyKind = Literal[
    "unreachable", "timeout", "busy", "tls", "auth", "refused", "config", "message", "stopped"
]
"""How sending can fail.

``unreachable``, ``timeout`` and ``busy`` pass by themselves; ``tls``, ``auth``, ``refused`` and
``config`` until somebody changes something; ``message`` is about this one message only.
"""


class NotifyError(EmsError):
    """A message could not be delivered.

    Args:
        message: What is wrong; never holds a password, a secret or a whole address.
        kind: How it failed.
        retry_after_s: Seconds the other side asked to wait, when it did.
    """

    code = "notify_failed"

    def __init__(
        self,
        message: str,
        *,
        kind: NotifyKind,
        retry_after_s: float | None = None,
        field: str | None = None,
        value: Any = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, field=field, value=value, hint=hint)
        self.kind = kind
        self.retry_after_s = retry_after_s

    @property
    def passes(self) -> bool:
        """True when trying again soon may help."""
        return self.kind in ("unreachable", "timeout", "busy", "stopped")
