"""Tables of the history file and their versioned migrations.

`samples` is one wide table without key or index: measured, a narrow table is 8-13
times larger, a primary key 5.3 times, and indexes are where DuckDB's known
WAL-replay bugs live. Signal columns are not listed here; they follow
`engine.domain.signals.SIGNALS`.

`forecasts` keeps one row per forecast with lists of FLOAT: measured with three series
of 144 steps every 15 min, 0.57 MB a day, against 1.16 MB (FLOAT) and 1.63 MB (DOUBLE)
with one row per step.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import duckdb

from engine.domain.errors import HistoryError
from engine.domain.signals import SIGNALS, Kind, Signal
from engine.history.roll_up_columns import roll_up_columns
from engine.history.roll_up_sql import roll_up_table, sql_type

CATALOG = "h"
"""Name under which the history file is attached."""

TABLES: tuple[str, ...] = (
    "samples",
    "prices",
    "plans",
    "plan_steps",
    "forecasts",
    "selections",
    "selection_candidates",
    "ledger",
    "events",
    "runs",
    "tariffs",
    "devices",
    "savings",
    "metrics",
)
"""Tables that hold what was written, in the order they are reported.

Beside them stand the roll-ups (`ROLL_UPS`), the minutes they still lack
(``roll_up_pending``), the days in the archive (``archived_days``) and, per site, the time
before which roll-ups cannot be made again because their samples are gone (``kept_from``).
"""

MINUTES, QUARTER_HOURS = ROLL_UPS = ("r1m", "r15m")
"""Roll-up tables."""

SQL_TYPE: dict[Kind, str] = {
    Kind.GAUGE: "FLOAT",
    Kind.COUNTER: "DOUBLE",
    Kind.CODE: "INTEGER",
}
"""Column type per kind of signal; an energy counter needs more digits than a FLOAT has."""


@dataclass(frozen=True, slots=True)
class Migration:
    """Statements that lead from the version before to `version`."""

    version: int
    statements: tuple[str, ...]


MIGRATIONS: tuple[Migration, ...] = (
    Migration(
        1,
        (
            """CREATE TABLE h.samples(
                 ts TIMESTAMP NOT NULL, site_id VARCHAR NOT NULL,
                 setpoint_kw FLOAT, charge_limit_kw FLOAT, discharge_limit_kw FLOAT,
                 binding VARCHAR, unusable INTEGER NOT NULL, simulated BOOLEAN NOT NULL)""",
            """CREATE TABLE h.prices(
                 ts TIMESTAMP NOT NULL, site_id VARCHAR NOT NULL, minutes INTEGER NOT NULL,
                 spot_eur_per_kwh DOUBLE NOT NULL, buy_eur_per_kwh DOUBLE NOT NULL,
                 sell_eur_per_kwh DOUBLE NOT NULL, source VARCHAR NOT NULL,
                 fetched_at TIMESTAMP NOT NULL)""",
            """CREATE TABLE h.plans(
                 plan_id VARCHAR NOT NULL, site_id VARCHAR NOT NULL,
                 created_at TIMESTAMP NOT NULL, start_at TIMESTAMP NOT NULL,
                 step_minutes INTEGER NOT NULL, n_steps INTEGER NOT NULL,
                 soc_start_kwh DOUBLE NOT NULL, strategy VARCHAR NOT NULL,
                 cost_eur DOUBLE NOT NULL, baseline_cost_eur DOUBLE NOT NULL,
                 profit_24h_eur DOUBLE NOT NULL, status VARCHAR NOT NULL,
                 solver VARCHAR NOT NULL, gap DOUBLE NOT NULL, solve_ms DOUBLE NOT NULL,
                 check_passed BOOLEAN NOT NULL, check_violation_kw DOUBLE NOT NULL,
                 check_violation_kwh DOUBLE NOT NULL, check_cost_difference_eur DOUBLE NOT NULL,
                 check_messages VARCHAR NOT NULL, triggered_by VARCHAR NOT NULL,
                 gave_way VARCHAR NOT NULL, forecast_sources VARCHAR NOT NULL)""",
            """CREATE TABLE h.plan_steps(
                 plan_id VARCHAR NOT NULL, step INTEGER NOT NULL, ts TIMESTAMP NOT NULL,
                 battery_kw DOUBLE NOT NULL, grid_kw DOUBLE NOT NULL, load_kw DOUBLE NOT NULL,
                 pv_kw DOUBLE NOT NULL, curtailed_kw DOUBLE NOT NULL, soc_kwh DOUBLE NOT NULL,
                 buy_eur_per_kwh DOUBLE NOT NULL, sell_eur_per_kwh DOUBLE NOT NULL,
                 spot_eur_per_kwh DOUBLE NOT NULL, price_is_forecast BOOLEAN NOT NULL,
                 stored_value_eur_per_kwh DOUBLE NOT NULL)""",
            """CREATE TABLE h.ledger(
                 ts TIMESTAMP NOT NULL, site_id VARCHAR NOT NULL, seconds DOUBLE NOT NULL,
                 import_kwh DOUBLE NOT NULL, export_kwh DOUBLE NOT NULL,
                 battery_charged_kwh DOUBLE, battery_discharged_kwh DOUBLE, pv_kwh DOUBLE,
                 buy_eur_per_kwh DOUBLE NOT NULL, sell_eur_per_kwh DOUBLE NOT NULL,
                 cost_eur DOUBLE NOT NULL, price_source VARCHAR NOT NULL,
                 method VARCHAR NOT NULL)""",
            """CREATE TABLE h.events(
                 ts TIMESTAMP NOT NULL, site_id VARCHAR NOT NULL, severity VARCHAR NOT NULL,
                 code VARCHAR NOT NULL, message VARCHAR NOT NULL)""",
        ),
    ),
    Migration(
        2,
        (
            """CREATE TABLE h.forecasts(
                 site_id VARCHAR NOT NULL, signal VARCHAR NOT NULL,
                 issued_at TIMESTAMP NOT NULL, start_at TIMESTAMP NOT NULL,
                 n_steps INTEGER NOT NULL, model VARCHAR NOT NULL, method VARCHAR NOT NULL,
                 p10 FLOAT[] NOT NULL, p50 FLOAT[] NOT NULL, p90 FLOAT[] NOT NULL,
                 known BOOLEAN[] NOT NULL)""",
            """CREATE TABLE h.selections(
                 ts TIMESTAMP NOT NULL, site_id VARCHAR NOT NULL, plan_id VARCHAR NOT NULL,
                 active VARCHAR NOT NULL, previous VARCHAR, best VARCHAR NOT NULL,
                 mode VARCHAR NOT NULL, reason VARCHAR NOT NULL, gain_eur DOUBLE NOT NULL,
                 needed_eur DOUBLE NOT NULL, manual_until TIMESTAMP)""",
            """CREATE TABLE h.selection_candidates(
                 ts TIMESTAMP NOT NULL, site_id VARCHAR NOT NULL, plan_id VARCHAR NOT NULL,
                 position INTEGER NOT NULL, strategy VARCHAR NOT NULL, cost_eur DOUBLE,
                 saving_eur DOUBLE, energy_eur DOUBLE, wear_eur DOUBLE, demand_eur DOUBLE,
                 peak_kw DOUBLE, self_consumption DOUBLE, full_cycles DOUBLE, reason VARCHAR)""",
            *(
                f"ALTER TABLE h.plans ADD COLUMN {column}"
                for column in (
                    "billed_peak_kw DOUBLE",
                    "smoothing_eur_per_kwh DOUBLE",
                    "peak_price_eur_per_kwh DOUBLE",
                    "grid_charge_allowed BOOLEAN",
                    "battery_export_allowed BOOLEAN",
                )
            ),
            *(
                f"ALTER TABLE h.plan_steps ADD COLUMN {column} DOUBLE"
                for column in (
                    "site_price_eur_per_kwh",
                    "peak_share_eur_per_kwh",
                    "steering_buy_eur_per_kwh",
                    "steering_sell_eur_per_kwh",
                    "smoothing_reference_kw",
                    "peak_cap_kw",
                    "reserve_kwh",
                )
            ),
        ),
    ),
    Migration(
        3,
        (
            "ALTER TABLE h.samples ADD COLUMN decided_by VARCHAR",
            "ALTER TABLE h.samples ADD COLUMN state VARCHAR",
            """CREATE TABLE h.runs(
                 ts TIMESTAMP NOT NULL, site_id VARCHAR NOT NULL, triggered_by VARCHAR NOT NULL,
                 status VARCHAR NOT NULL, duration_ms DOUBLE NOT NULL, strategy VARCHAR,
                 plan_id VARCHAR, expected_profit_eur DOUBLE, solver VARCHAR, gap DOUBLE,
                 solve_ms DOUBLE, message VARCHAR NOT NULL)""",
            """CREATE TABLE h.tariffs(
                 recorded_at TIMESTAMP NOT NULL, site_id VARCHAR NOT NULL,
                 valid_from TIMESTAMP, document VARCHAR NOT NULL)""",
            """CREATE TABLE h.devices(
                 ts TIMESTAMP NOT NULL, site_id VARCHAR NOT NULL, device VARCHAR NOT NULL,
                 document VARCHAR NOT NULL)""",
            """CREATE TABLE h.savings(
                 ts TIMESTAMP NOT NULL, site_id VARCHAR NOT NULL, baseline VARCHAR NOT NULL,
                 import_kwh DOUBLE NOT NULL, export_kwh DOUBLE NOT NULL,
                 charged_kwh DOUBLE NOT NULL, discharged_kwh DOUBLE NOT NULL,
                 soc_kwh DOUBLE NOT NULL, cost_eur DOUBLE NOT NULL)""",
            """CREATE TABLE h.metrics(
                 day DATE NOT NULL, site_id VARCHAR NOT NULL, metric VARCHAR NOT NULL,
                 value DOUBLE)""",
        ),
    ),
    Migration(
        4,
        (
            *(roll_up_table(name) for name in ROLL_UPS),
            """CREATE TABLE h.roll_up_pending(
                 site_id VARCHAR NOT NULL, start_at TIMESTAMP NOT NULL,
                 end_at TIMESTAMP NOT NULL)""",
            """INSERT INTO h.roll_up_pending
                 SELECT site_id, time_bucket(INTERVAL 1 MINUTE, min(ts)),
                        time_bucket(INTERVAL 1 MINUTE, max(ts)) + INTERVAL 1 MINUTE
                 FROM h.samples GROUP BY site_id""",
            """CREATE TABLE h.archived_days(
                 site_id VARCHAR NOT NULL, day DATE NOT NULL, file VARCHAR NOT NULL,
                 sample_rows BIGINT NOT NULL, sha256 VARCHAR NOT NULL)""",
            """CREATE TABLE h.kept_from(
                 site_id VARCHAR NOT NULL, ts TIMESTAMP NOT NULL)""",
        ),
    ),
)

SCHEMA_VERSION = MIGRATIONS[-1].version
"""The schema this program writes."""


def migrate(
    connection: duckdb.DuckDBPyConnection,
    now: datetime,
    *,
    migrations: tuple[Migration, ...] = MIGRATIONS,
    signals: Mapping[str, Signal] = SIGNALS,
) -> bool:
    """Bring the attached file to the newest schema, in one transaction.

    Args:
        connection: A connection with the file attached as `CATALOG`.
        now: Time recorded with each migration.
        migrations: All known migrations, ascending.
        signals: Signals that need a column in `samples`; missing columns are added.

    Returns:
        True when something was changed.

    Raises:
        HistoryError: The file was written by a newer program, or a column has another
            type than its signal needs.
    """
    known = migrations[-1].version
    found = schema_version(connection)
    if found > known:
        raise HistoryError(
            f"The history file has schema version {found}, this program knows up to {known}.",
            field="data",
            value=found,
            hint="Install the EMS Dash version that wrote the file, or a newer one.",
        )
    connection.execute("BEGIN")
    try:
        changed = _run_migrations(connection, now, found, migrations)
        changed = _add_signal_columns(connection, signals) or changed
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
    return changed


def schema_version(connection: duckdb.DuckDBPyConnection) -> int:
    """Return the schema version of the attached file, 0 for an empty one."""
    tables = connection.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE database_name = ? "
        "AND table_name = 'schema_version'",
        [CATALOG],
    ).fetchall()
    if not tables[0][0]:
        return 0
    rows = connection.execute("SELECT max(version) FROM h.schema_version").fetchall()
    return int(rows[0][0] or 0)


def _run_migrations(
    connection: duckdb.DuckDBPyConnection,
    now: datetime,
    found: int,
    migrations: tuple[Migration, ...],
) -> bool:
    if found == 0:
        connection.execute(
            "CREATE TABLE h.schema_version(version INTEGER NOT NULL, applied_at TIMESTAMP NOT NULL)"
        )
    pending = [m for m in migrations if m.version > found]
    for migration in pending:
        for statement in migration.statements:
            connection.execute(statement)
        connection.execute(
            "INSERT INTO h.schema_version VALUES (?, ?)",
            [migration.version, now.astimezone(UTC).replace(tzinfo=None)],
        )
    return bool(pending)


def _add_signal_columns(
    connection: duckdb.DuckDBPyConnection, signals: Mapping[str, Signal]
) -> bool:
    changed = _add_columns(
        connection, "samples", {s.name: SQL_TYPE[s.kind] for s in signals.values()}
    )
    roll_ups = {column.name: sql_type(column) for column in roll_up_columns().values()}
    for table in ROLL_UPS:
        changed = _add_columns(connection, table, roll_ups) or changed
    return changed


def _add_columns(
    connection: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, str]
) -> bool:
    present = dict(
        connection.execute(
            "SELECT column_name, data_type FROM duckdb_columns() "
            "WHERE database_name = ? AND table_name = ?",
            [CATALOG, table],
        ).fetchall()
    )
    if not present:
        return False
    changed = False
    for name, wanted in columns.items():
        existing = present.get(name)
        if existing is None:
            connection.execute(f'ALTER TABLE h.{table} ADD COLUMN "{name}" {wanted}')
            changed = True
        elif existing != wanted:
            raise HistoryError(
                f"The history column {name} has type {existing}, the signal needs {wanted}.",
                field=name,
                value=existing,
                hint="Start the EMS Dash version that wrote this file, or use a new data folder.",
            )
    return changed
