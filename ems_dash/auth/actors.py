"""Who changes something, and who is logged in."""

from __future__ import annotations

from dataclasses import dataclass

from ems_dash.auth.audit import Audit
from ems_dash.auth.sessions import Session
from ems_dash.auth.users import User


@dataclass(frozen=True, slots=True)
class Actor:
    """Who changes something, and from where."""

    name: str
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Login:
    """A session with its user as he is now."""

    name: str
    user: User
    session: Session


def record_by(
    audit: Audit,
    actor: Actor,
    action: str,
    target: str,
    *,
    before: object = None,
    after: object = None,
) -> None:
    """Write down that `actor` did something; see `Audit.record`."""
    audit.record(actor.name, action, target, before=before, after=after, address=actor.address)
