"""The history as the configuration wants it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from engine.config.schema import Config
from engine.domain.errors import ConfigError
from engine.history.duckdb_store import DuckDbHistory
from engine.history.file_lock import FileLock
from engine.history.postgres.target import PostgresTarget, require_driver
from engine.history.retention import Retention
from engine.history.roll_up_columns import GAP_SECONDS
from engine.notify.errors import NotifyError
from engine.notify.secrets import SecretSource

if TYPE_CHECKING:
    from engine.history.postgres.store import PostgresHistory

    History: TypeAlias = DuckDbHistory | PostgresHistory

DATABASE_NAME = "hot.duckdb"
"""Name of the history file in the data folder."""

_GAP_STEPS = 3


def open_history(config: Config, path: Path) -> History:
    """Open the history; this process then owns the folder of `path` until it is closed.

    Args:
        config: Configuration.
        path: The history file; of a history in PostgreSQL its lock only.

    Raises:
        ConfigError: The driver or the password of PostgreSQL is missing.
        AlreadyRunningError: Another process owns the folder, or writes the site.
        HistoryError: The database cannot be opened.
    """
    kept = config.history
    retention = Retention(kept.raw_days, kept.minute_days, kept.archive_months)
    gap_seconds = max(GAP_SECONDS, _GAP_STEPS * config.ems.timestep_s)
    if kept.backend == "duckdb":
        return DuckDbHistory(path, retention=retention, gap_seconds=gap_seconds)
    require_driver()
    from engine.history.postgres.store import PostgresHistory

    target = postgres_target(config)
    path.parent.mkdir(parents=True, exist_ok=True)
    # the folder holds more than the history, and the devices belong to whoever owns it
    lock = FileLock(path)
    try:
        return PostgresHistory(
            target,
            site_id=config.site.id,
            retention=retention,
            gap_seconds=gap_seconds,
            on_close=lock.release,
        )
    except BaseException:
        lock.release()
        raise


def postgres_target(config: Config, environment: Mapping[str, str] = os.environ) -> PostgresTarget:
    """Return the database that the configuration names, with its password.

    Raises:
        ConfigError: None is named, or the place of its password is empty or open to others.
    """
    wanted = config.history.postgres
    if wanted is None:
        raise ConfigError(
            "The history in PostgreSQL has no database.",
            field="history.postgres",
            hint="Add history.postgres with host, dbname, user and password_env, or dsn_env.",
        )
    where = "history.postgres.password"
    if wanted.dsn_env is not None:
        dsn = _secret(SecretSource(wanted.dsn_env, None, "history.postgres.dsn", environment))
        return PostgresTarget(_parsed(dsn or "", wanted.dsn_env), wanted.db_schema, wanted.dsn_env)
    parameters: dict[str, str | int] = {
        "host": wanted.host or "",
        "port": wanted.port,
        "dbname": wanted.dbname,
        "user": wanted.user,
        "sslmode": wanted.sslmode,
    }
    password = _secret(SecretSource(wanted.password_env, wanted.password_file, where, environment))
    if password is not None:
        parameters["password"] = password
    if wanted.ca_file is not None:
        parameters["sslrootcert"] = wanted.ca_file
    shown = f"{wanted.dbname} on {wanted.host}:{wanted.port}"
    return PostgresTarget(parameters, wanted.db_schema, shown)


def _parsed(dsn: str, variable: str) -> dict[str, str | int]:
    from psycopg import ProgrammingError
    from psycopg.conninfo import conninfo_to_dict

    try:
        found = conninfo_to_dict(dsn)
    except ProgrammingError:
        # what the driver says would repeat the text, and with it the password
        raise ConfigError(
            f"The environment variable {variable} holds no connection string.",
            field="history.postgres.dsn_env",
            value=variable,
            hint="Write it like postgresql://user:password@host:5432/dbname.",
        ) from None
    return {name: value for name, value in found.items() if value is not None}


def _secret(source: SecretSource) -> str | None:
    try:
        return source.read()
    except NotifyError as error:
        raise ConfigError(
            error.message, field=error.field, value=error.value, hint=error.hint
        ) from error
