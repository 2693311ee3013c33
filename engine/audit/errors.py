"""Errors of the audit log."""

from __future__ import annotations

from engine.domain.errors import EmsError


class AuditError(EmsError):
    """The audit log cannot be opened or read."""

    code = "audit_error"
