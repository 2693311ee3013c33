"""Statements to begin with; a test runs every one of them against the real tables."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Example:
    """A statement that is shipped.

    Attributes:
        key: Its name is ``sqlpage.example_<key>`` in the catalogue.
        sql: The statement.
    """

    key: str
    sql: str


EXAMPLES: tuple[Example, ...] = (
    Example(
        "days",
        """SELECT ts_local::DATE AS day,
       round(sum(import_kwh), 1) AS import_kwh,
       round(sum(export_kwh), 1) AS export_kwh,
       round(sum(cost_eur), 2) AS cost_eur
FROM ledger
GROUP BY day
ORDER BY day DESC""",
    ),
    Example(
        "saved",
        """SELECT l.ts_local::DATE AS day,
       s.baseline,
       round(sum(s.cost_eur - l.cost_eur), 2) AS saved_eur
FROM ledger l JOIN savings s USING (ts, site_id)
GROUP BY day, s.baseline
ORDER BY day DESC, s.baseline""",
    ),
    Example(
        "peaks",
        """SELECT ts_local, grid_kw_mean, load_kw_mean, battery_kw_mean, binding
FROM quarter_hours
ORDER BY grid_kw_mean DESC NULLS LAST
LIMIT 20""",
    ),
    Example(
        "profile",
        """SELECT isodow(ts_local) AS weekday,
       hour(ts_local) AS hour,
       round(avg(load_kw_mean), 1) AS load_kw,
       round(quantile_cont(load_kw_mean, 0.9), 1) AS load_p90_kw
FROM quarter_hours
GROUP BY weekday, hour
ORDER BY weekday, hour""",
    ),
    Example(
        "plan",
        """-- The plan in force at each quarter-hour beside what was measured.
SELECT q.ts_local,
       p.battery_kw AS planned_kw,
       q.battery_kw_mean AS measured_kw,
       round(q.battery_kw_mean - p.battery_kw, 1) AS difference_kw
FROM quarter_hours q JOIN plan_steps p ON p.ts = q.ts AND p.plan_created_at <= q.ts
QUALIFY row_number() OVER (PARTITION BY q.ts ORDER BY p.plan_created_at DESC) = 1
ORDER BY q.ts DESC
LIMIT 96""",
    ),
    Example(
        "errors",
        """-- Mean error of the load forecast, by how far ahead it looked.
SELECT f.step // 4 AS hours_ahead,
       f.model,
       count(*) AS steps,
       round(avg(abs(f.p50 - q.load_kw_mean)), 2) AS mean_error_kw
FROM forecast_steps f JOIN quarter_hours q USING (ts)
WHERE f.signal = 'load_kw' AND NOT f.known
GROUP BY hours_ahead, f.model
ORDER BY f.model, hours_ahead""",
    ),
    Example(
        "limits",
        """SELECT binding,
       decided_by,
       round(sum(limited_s) / 3600, 2) AS limited_hours,
       count(*) AS minutes
FROM minutes
WHERE limited_s > 0
GROUP BY binding, decided_by
ORDER BY limited_hours DESC""",
    ),
    Example(
        "runs",
        """SELECT ts_local::DATE AS day, status, strategy,
       count(*) AS runs,
       round(avg(duration_ms)) AS mean_ms,
       max(message) AS last_message
FROM runs
GROUP BY day, status, strategy
ORDER BY day DESC, runs DESC""",
    ),
)
"""In the order they are offered."""
