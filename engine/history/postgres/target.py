"""Which PostgreSQL database holds the history, and who enters it; nothing here needs a driver."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module

from engine.domain.errors import ConfigError


@dataclass(frozen=True, slots=True)
class PostgresTarget:
    """A database and a schema in it.

    Attributes:
        parameters: Connection parameters of libpq; the password is never shown.
        schema: Schema that holds the tables; several installations may share it.
        shown: The database in words for messages, without user secrets.
    """

    parameters: Mapping[str, str | int] = field(repr=False)
    schema: str
    shown: str


def require_driver() -> None:
    """Make sure the driver is installed.

    Raises:
        ConfigError: It is not, or cannot be used.
    """
    try:
        import_module("psycopg")
    except ImportError as error:
        raise ConfigError(
            f"history.backend is postgres, but its driver cannot be used: {error}.",
            field="history.backend",
            value="postgres",
            hint="Install it into the environment of EMS Dash with: "
            "python -m pip install 'psycopg[binary]>=3.3'.",
        ) from error
