"""The tables of the data dictionary as SQL over the history file.

One place says where each of them is kept; SQL for analysts, exports and series read through it.
"""

from __future__ import annotations

from engine.history.dictionary import LOCAL_TIME_COLUMN, TableInfo, select_list
from engine.history.schema import MINUTES, QUARTER_HOURS

SAMPLES = "samples"
"""Name of the table of samples."""

_SAMPLES = "h.samples"

_SOURCES: dict[str, str] = {
    "minutes": f"SELECT * FROM h.{MINUTES}",
    "quarter_hours": f"SELECT * FROM h.{QUARTER_HOURS}",
    "plan_steps": (
        "SELECT s.*, p.site_id, p.created_at AS plan_created_at "
        "FROM h.plan_steps s JOIN h.plans p ON s.plan_id = p.plan_id"
    ),
    "forecast_steps": (
        "SELECT site_id, signal, model, issued_at, step, p10[step + 1] AS p10, "
        "p50[step + 1] AS p50, p90[step + 1] AS p90, known[step + 1] AS known, "
        "start_at + step * INTERVAL 15 MINUTE AS ts "
        "FROM (SELECT *, unnest(range(n_steps))::INTEGER AS step FROM h.forecasts)"
    ),
}
"""Where a table comes from when it is no table of the file itself."""


def source_sql(table: TableInfo, samples: str = _SAMPLES) -> str:
    """Return a SELECT of all rows of `table`, every site, with exactly its columns.

    Args:
        table: The table.
        samples: Relation that holds the samples, hot and archived.
    """
    source = _SOURCES.get(table.name, f"SELECT * FROM h.{table.name}")
    if table.name == SAMPLES:
        source = f"SELECT * FROM {samples}"
    return f"SELECT {select_list(c.name for c in table.columns)} FROM ({source})"


def view_sql(table: TableInfo, timezone: str, samples: str = _SAMPLES) -> str:
    """Return the SELECT of `table` as analysts see it: with the site's local time.

    Args:
        table: The table.
        timezone: IANA name of the site's time zone.
        samples: Relation that holds the samples, hot and archived.
    """
    zone = timezone.replace("'", "''")
    if table.is_daily:
        return source_sql(table, samples)
    return (
        f"SELECT *, (({table.time_column} AT TIME ZONE 'UTC') AT TIME ZONE '{zone}') "
        f"AS {LOCAL_TIME_COLUMN} FROM ({source_sql(table, samples)})"
    )
