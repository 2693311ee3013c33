"""The three roles, each of which may everything the one below it may."""

from __future__ import annotations

from enum import StrEnum


class Role(StrEnum):
    """What a person or program may do, from least to most.

    Viewers read. Operators also choose the strategy, give orders by hand, set limits,
    acknowledge alarms and ask for a plan. Admins also change the configuration, test
    connections, write backups and manage users.
    """

    VIEWER = "viewer"
    OPERATOR = "operator"
    ADMIN = "admin"

    def may(self, needed: Role) -> bool:
        """Return True when this role is `needed` or above it."""
        return _ORDER.index(self) >= _ORDER.index(needed)


_ORDER = tuple(Role)
