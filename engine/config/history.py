"""Section of ``ems.yaml`` on how long what is kept."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from engine.config.planning import EnvName
from engine.config.section import Port, Section

Text = Annotated[str, Field(min_length=1)]


class PostgresConfig(Section):
    """Where the PostgreSQL database of the history is; its password never stands here.

    Attributes:
        dsn_env: Environment variable with a whole connection string, instead of all others.
        host: Host name, address, or folder of the Unix socket.
        port: TCP port.
        dbname: Database.
        user: Database user.
        password_env: Environment variable that holds the password.
        password_file: File that holds it, readable by its owner only.
        sslmode: How the connection is encrypted, in the words of libpq.
        ca_file: Certificate authority for ``verify-ca`` and ``verify-full``.
        db_schema: Schema of the tables.
    """

    dsn_env: EnvName | None = None
    host: Text | None = None
    port: Port = 5432
    dbname: Text = "ems_dash"
    user: Text = "ems_dash"
    password_env: EnvName | None = None
    password_file: Text | None = None
    sslmode: Literal["disable", "prefer", "require", "verify-ca", "verify-full"] = "prefer"
    ca_file: Text | None = None
    db_schema: Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$")] = "ems_dash"

    @model_validator(mode="after")
    def _one_way_to_connect(self) -> PostgresConfig:
        others = sorted(self.model_fields_set - {"dsn_env", "db_schema"})
        if self.dsn_env is not None and others:
            raise ValueError(
                f"history.postgres.{others[0]}|"
                "dsn_env names a whole connection string, nothing can stand beside it.|"
                f"Remove {', '.join(others)}, or remove dsn_env."
            )
        if self.dsn_env is None and self.host is None:
            raise ValueError(
                "history.postgres.host|No database is named.|"
                "Give host (or dsn_env, a variable with a connection string)."
            )
        if self.password_env is not None and self.password_file is not None:
            raise ValueError(
                "history.postgres.password_file|The password has two places.|"
                "Keep password_env or password_file, not both."
            )
        return self


class HistoryConfig(Section):
    """How long samples and roll-ups are kept; quarter-hours are kept for ever.

    Attributes:
        raw_days: Days of samples in quick storage; older ones move to the archive.
        minute_days: Days for which minutes are kept.
        archive_months: Months of samples in the archive; None keeps them for ever.
        batch_seconds: Time between two commits: at most this much is lost in a power cut.
        backup_folder: Folder that a backup may be written to while the program runs; None: only
            ``backup`` inside the data folder.
        backend: Where the history is kept.
        postgres: The database, for ``postgres`` only.
    """

    raw_days: Annotated[int, Field(ge=2, le=3660)] = 14
    minute_days: Annotated[int, Field(ge=30, le=36_600)] = 1825
    archive_months: Annotated[int, Field(ge=1, le=1200)] | None = 24
    batch_seconds: Annotated[float, Field(ge=2, le=30)] = 10.0
    backup_folder: Annotated[str, Field(min_length=1)] | None = None
    backend: Literal["duckdb", "postgres"] = "duckdb"
    postgres: PostgresConfig | None = None

    @model_validator(mode="after")
    def _backend_is_described(self) -> HistoryConfig:
        if self.backend == "postgres" and self.postgres is None:
            raise ValueError(
                "history.postgres|The backend postgres needs to know its database.|"
                "Add history.postgres with host, dbname, user and password_env, or dsn_env."
            )
        if self.backend == "postgres" and self.backup_folder is not None:
            raise ValueError(
                "history.backup_folder|A history in PostgreSQL is not backed up by EMS Dash.|"
                "Remove backup_folder and use pg_dump (docs/operation/postgres.md)."
            )
        return self

    @model_validator(mode="after")
    def _archive_outlives_the_hot_file(self) -> HistoryConfig:
        if self.archive_months is not None and self.archive_months * 28 < self.raw_days:
            raise ValueError(
                "history.archive_months|"
                f"An archive of {self.archive_months} months is shorter than raw_days "
                f"({self.raw_days}).|Raise archive_months, or lower raw_days."
            )
        if self.minute_days < self.raw_days:
            raise ValueError(
                "history.minute_days|"
                f"Minutes ({self.minute_days} days) must be kept at least as long as samples "
                f"(raw_days: {self.raw_days}).|Raise minute_days, or lower raw_days."
            )
        return self
