"""Tables of the history in PostgreSQL, and their versioned migrations.

The same tables and columns as in the DuckDB file (`engine.history.schema`), with unique indexes
that make writing a batch again harmless. Signal and roll-up columns follow `SIGNALS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from psycopg import sql

from engine.domain.errors import HistoryError
from engine.domain.signals import SIGNALS
from engine.history.columns import TEXT_COLUMNS
from engine.history.postgres.session import Session, lock_key
from engine.history.roll_up_columns import IMPORTED_STATE, roll_up_columns
from engine.history.roll_up_sql import sql_type
from engine.history.schema import QUARTER_HOURS, ROLL_UPS, SQL_TYPE, Migration

TYPES: dict[str, str] = {
    "TIMESTAMP": "timestamp with time zone",
    "VARCHAR": "text",
    "DOUBLE": "double precision",
    "FLOAT": "real",
    "INTEGER": "integer",
    "BOOLEAN": "boolean",
    "DATE": "date",
    "FLOAT[]": "real[]",
    "BOOLEAN[]": "boolean[]",
}
"""Type of the DuckDB file to type in PostgreSQL."""

KEYS: dict[str, tuple[str, ...]] = {
    "samples": ("site_id", "ts"),
    "prices": ("site_id", "ts"),
    "plans": ("plan_id",),
    "plan_steps": ("plan_id", "step"),
    "forecasts": ("site_id", "signal", "issued_at", "model"),
    "selections": ("site_id", "ts", "plan_id"),
    "selection_candidates": ("site_id", "ts", "plan_id", "position"),
    "ledger": ("site_id", "ts"),
    # an index entry holds less than 3 kB, a message or a document may be longer
    "events": ("site_id", "ts", "code", "md5(message)"),
    "runs": ("site_id", "ts"),
    "tariffs": ("site_id", "md5(document)", "coalesce(valid_from, '-infinity'::timestamptz)"),
    "devices": ("site_id", "ts", "device"),
    "savings": ("site_id", "ts", "baseline"),
    "metrics": ("site_id", "day", "metric"),
    **dict.fromkeys(ROLL_UPS, ("site_id", "ts")),
}
"""What makes a row of a table the same as another."""


def _roll_up_table(name: str) -> str:
    columns = "".join(f", {text} text" for text in TEXT_COLUMNS)
    return (
        f"CREATE TABLE h.{name}(ts timestamptz NOT NULL, site_id text NOT NULL, "
        f"simulated boolean NOT NULL{columns})"
    )


def _unique_index(table: str) -> str:
    return f"CREATE UNIQUE INDEX {table}_key ON h.{table} ({', '.join(KEYS[table])})"


MIGRATIONS: tuple[Migration, ...] = (
    Migration(
        1,
        (
            """CREATE TABLE h.samples(
                 ts timestamptz NOT NULL, site_id text NOT NULL, setpoint_kw real,
                 charge_limit_kw real, discharge_limit_kw real, binding text, unusable integer
                 NOT NULL, simulated boolean NOT NULL, decided_by text, state text)""",
            """CREATE TABLE h.prices(
                 ts timestamptz NOT NULL, site_id text NOT NULL, minutes integer NOT NULL,
                 spot_eur_per_kwh double precision NOT NULL, buy_eur_per_kwh double precision
                 NOT NULL, sell_eur_per_kwh double precision NOT NULL, source text NOT NULL,
                 fetched_at timestamptz NOT NULL)""",
            """CREATE TABLE h.plans(
                 plan_id text NOT NULL, site_id text NOT NULL, created_at timestamptz NOT NULL,
                 start_at timestamptz NOT NULL, step_minutes integer NOT NULL, n_steps integer
                 NOT NULL, soc_start_kwh double precision NOT NULL, strategy text NOT NULL,
                 cost_eur double precision NOT NULL, baseline_cost_eur double precision NOT
                 NULL, profit_24h_eur double precision NOT NULL, status text NOT NULL, solver
                 text NOT NULL, gap double precision NOT NULL, solve_ms double precision NOT
                 NULL, check_passed boolean NOT NULL, check_violation_kw double precision NOT
                 NULL, check_violation_kwh double precision NOT NULL, check_cost_difference_eur
                 double precision NOT NULL, check_messages text NOT NULL, triggered_by text NOT
                 NULL, gave_way text NOT NULL, forecast_sources text NOT NULL, billed_peak_kw
                 double precision, smoothing_eur_per_kwh double precision,
                 peak_price_eur_per_kwh double precision, grid_charge_allowed boolean,
                 battery_export_allowed boolean)""",
            """CREATE TABLE h.plan_steps(
                 plan_id text NOT NULL, step integer NOT NULL, ts timestamptz NOT NULL,
                 battery_kw double precision NOT NULL, grid_kw double precision NOT NULL,
                 load_kw double precision NOT NULL, pv_kw double precision NOT NULL,
                 curtailed_kw double precision NOT NULL, soc_kwh double precision NOT NULL,
                 buy_eur_per_kwh double precision NOT NULL, sell_eur_per_kwh double precision
                 NOT NULL, spot_eur_per_kwh double precision NOT NULL, price_is_forecast
                 boolean NOT NULL, stored_value_eur_per_kwh double precision NOT NULL,
                 site_price_eur_per_kwh double precision, peak_share_eur_per_kwh double
                 precision, steering_buy_eur_per_kwh double precision,
                 steering_sell_eur_per_kwh double precision, smoothing_reference_kw double
                 precision, peak_cap_kw double precision, reserve_kwh double precision)""",
            """CREATE TABLE h.forecasts(
                 site_id text NOT NULL, signal text NOT NULL, issued_at timestamptz NOT NULL,
                 start_at timestamptz NOT NULL, n_steps integer NOT NULL, model text NOT NULL,
                 method text NOT NULL, p10 real[] NOT NULL, p50 real[] NOT NULL, p90 real[] NOT
                 NULL, known boolean[] NOT NULL)""",
            """CREATE TABLE h.selections(
                 ts timestamptz NOT NULL, site_id text NOT NULL, plan_id text NOT NULL, active
                 text NOT NULL, previous text, best text NOT NULL, mode text NOT NULL, reason
                 text NOT NULL, gain_eur double precision NOT NULL, needed_eur double precision
                 NOT NULL, manual_until timestamptz)""",
            """CREATE TABLE h.selection_candidates(
                 ts timestamptz NOT NULL, site_id text NOT NULL, plan_id text NOT NULL,
                 position integer NOT NULL, strategy text NOT NULL, cost_eur double precision,
                 saving_eur double precision, energy_eur double precision, wear_eur double
                 precision, demand_eur double precision, peak_kw double precision,
                 self_consumption double precision, full_cycles double precision, reason text)""",
            """CREATE TABLE h.ledger(
                 ts timestamptz NOT NULL, site_id text NOT NULL, seconds double precision NOT
                 NULL, import_kwh double precision NOT NULL, export_kwh double precision NOT
                 NULL, battery_charged_kwh double precision, battery_discharged_kwh double
                 precision, pv_kwh double precision, buy_eur_per_kwh double precision NOT NULL,
                 sell_eur_per_kwh double precision NOT NULL, cost_eur double precision NOT
                 NULL, price_source text NOT NULL, method text NOT NULL)""",
            """CREATE TABLE h.events(
                 rowid bigint GENERATED ALWAYS AS IDENTITY, ts timestamptz NOT NULL, site_id
                 text NOT NULL, severity text NOT NULL, code text NOT NULL, message text NOT
                 NULL)""",
            """CREATE TABLE h.runs(
                 ts timestamptz NOT NULL, site_id text NOT NULL, triggered_by text NOT NULL,
                 status text NOT NULL, duration_ms double precision NOT NULL, strategy text,
                 plan_id text, expected_profit_eur double precision, solver text, gap double
                 precision, solve_ms double precision, message text NOT NULL)""",
            """CREATE TABLE h.tariffs(
                 recorded_at timestamptz NOT NULL, site_id text NOT NULL, valid_from
                 timestamptz, document text NOT NULL)""",
            """CREATE TABLE h.devices(
                 ts timestamptz NOT NULL, site_id text NOT NULL, device text NOT NULL, document
                 text NOT NULL)""",
            """CREATE TABLE h.savings(
                 ts timestamptz NOT NULL, site_id text NOT NULL, baseline text NOT NULL,
                 import_kwh double precision NOT NULL, export_kwh double precision NOT NULL,
                 charged_kwh double precision NOT NULL, discharged_kwh double precision NOT
                 NULL, soc_kwh double precision NOT NULL, cost_eur double precision NOT NULL)""",
            """CREATE TABLE h.metrics(
                 day date NOT NULL, site_id text NOT NULL, metric text NOT NULL, value double
                 precision)""",
            """CREATE TABLE h.roll_up_pending(
                 site_id text NOT NULL, start_at timestamptz NOT NULL, end_at timestamptz NOT
                 NULL)""",
            """CREATE TABLE h.kept_from(
                 site_id text NOT NULL, ts timestamptz NOT NULL)""",
            *(_roll_up_table(name) for name in ROLL_UPS),
            *(_unique_index(table) for table in KEYS),
            "CREATE INDEX plans_created ON h.plans (site_id, created_at)",
            "CREATE INDEX plan_steps_ts ON h.plan_steps (ts)",
            *(
                f"CREATE INDEX {table}_imported ON h.{table} (site_id, ts) "
                f"WHERE state = '{IMPORTED_STATE}'"
                for table in ("samples", QUARTER_HOURS)
            ),
            "CREATE INDEX roll_up_pending_site ON h.roll_up_pending (site_id)",
        ),
    ),
)


def migrate(
    session: Session, now: datetime, *, migrations: tuple[Migration, ...] = MIGRATIONS
) -> bool:
    """Bring the schema to its newest version in one transaction, one program at a time.

    Args:
        session: A connection whose user may create tables in the schema, or the schema.
        now: Time recorded with each migration.
        migrations: All known migrations, ascending.

    Returns:
        True when something was changed.

    Raises:
        HistoryError: A newer program made the schema, or a column has another type.
        psycopg.Error: The database refused.
    """
    with session.transaction():
        session.execute("SELECT pg_advisory_xact_lock(?)", [lock_key(session.schema, "migrate")])
        found = _version(session)
        known = migrations[-1].version
        if found > known:
            raise HistoryError(
                f"The schema {session.schema} in PostgreSQL has version {found}, this program "
                f"knows up to {known}.",
                field="history.postgres.db_schema",
                value=found,
                hint="Install the EMS Dash version that made it, or a newer one.",
            )
        pending = [m for m in migrations if m.version > found]
        for migration in pending:
            for statement in migration.statements:
                session.execute(statement)
            session.execute("INSERT INTO h.schema_version VALUES (?, ?)", [migration.version, now])
        changed = _add_columns(
            session, "samples", {s.name: SQL_TYPE[s.kind] for s in SIGNALS.values()}
        )
        roll_ups = {column.name: sql_type(column) for column in roll_up_columns().values()}
        for table in ROLL_UPS:
            changed = _add_columns(session, table, roll_ups) or changed
    return bool(pending) or changed


def column_types(session: Session, table: str) -> dict[str, str]:
    """Return column to type of a table, in PostgreSQL's words."""
    rows = session.execute(
        "SELECT a.attname, format_type(a.atttypid, NULL) FROM pg_attribute a "
        "JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = ? AND c.relname = ? AND a.attnum > 0 AND NOT a.attisdropped",
        [session.schema, table],
    ).fetchall()
    return dict(rows)


def _version(session: Session) -> int:
    """Return the version of the schema, which is made when there is none yet."""
    name = sql.Identifier(session.schema)
    there = session.execute(
        "SELECT 1 FROM pg_namespace WHERE nspname = ?", [session.schema]
    ).fetchall()
    if not there:
        session.connection.execute(sql.SQL("CREATE SCHEMA {}").format(name))
    if not column_types(session, "schema_version"):
        session.execute(
            "CREATE TABLE h.schema_version(version integer NOT NULL, "
            "applied_at timestamptz NOT NULL)"
        )
        return 0
    rows = session.execute("SELECT max(version) FROM h.schema_version").fetchall()
    return int(rows[0][0] or 0)


def _add_columns(session: Session, table: str, columns: Mapping[str, str]) -> bool:
    present = column_types(session, table)
    missing = []
    for name, kind in columns.items():
        wanted = TYPES[kind]
        existing = present.get(name)
        if existing is None:
            missing.append(f'ADD COLUMN "{name}" {wanted}')
        elif existing != wanted:
            raise HistoryError(
                f"The history column {table}.{name} has type {existing}, {wanted} is needed.",
                field=name,
                value=existing,
                hint="Start the EMS Dash version that made it, or use another schema.",
            )
    if missing:
        session.execute(f"ALTER TABLE h.{table} {', '.join(missing)}")
    return bool(missing)
