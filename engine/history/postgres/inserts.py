"""A batch into PostgreSQL: one transaction, each kind of row by one COPY."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

from engine.domain.plan import Plan
from engine.domain.strategy import Selection
from engine.history import rows as to_arrow
from engine.history.forecast_rows import forecasts_table
from engine.history.inserts import first_of, last_of
from engine.history.plan_rows import headers_table, steps_table
from engine.history.postgres.session import Session
from engine.history.postgres.transfer import store
from engine.history.roll_ups import mark_pending
from engine.history.selection_rows import candidates_table, selections_table
from engine.history.store import INSTALLATION_SITE_ID, Batch


def insert_batch(session: Session, batch: Batch, gap_seconds: float, own_site: str | None) -> None:
    """Store `batch` in one transaction; rows stored before stay single.

    Args:
        session: A connection.
        batch: The rows.
        gap_seconds: See `GAP_SECONDS`.
        own_site: Site under which events of the whole installation are kept; None for
            `INSTALLATION_SITE_ID` itself.

    Raises:
        psycopg.Error: Nothing is certain to be stored; the same batch may be sent again.
    """
    with session.transaction():
        _insert_samples(session, batch, gap_seconds)
        for table, rows in _new_rows(batch, own_site).items():
            store(session, table, rows, replace=False)
        for table, rows in _replacing_rows(batch).items():
            store(session, table, rows, replace=True)
        if batch.plans:
            _insert_plans(session, first_of(batch.plans, lambda p: p.plan_id))
        if batch.selections:
            key = first_of(batch.selections, lambda r: (r.site_id, r.ts, r.plan_id))
            _insert_selections(session, key)


def insert_measured(session: Session, site_id: str, samples: Any, gap_seconds: float) -> None:
    """Store an Arrow table of samples of one site in one transaction.

    Raises:
        psycopg.Error: Nothing is certain to be stored; the same table may be sent again.
    """
    with session.transaction():
        store(session, "samples", samples, replace=False)
        mark_pending(session, {site_id: samples.column("ts").to_pylist()}, gap_seconds)


def _insert_samples(session: Session, batch: Batch, gap_seconds: float) -> None:
    if not batch.samples:
        return
    samples = first_of(batch.samples, lambda r: (r.site_id, r.ts))
    store(session, "samples", to_arrow.samples_table(samples), replace=False)
    stamps: dict[str, list[datetime]] = {}
    for row in samples:
        stamps.setdefault(row.site_id, []).append(to_arrow.naive_utc(row.ts))
    mark_pending(session, stamps, gap_seconds)


def _new_rows(batch: Batch, own_site: str | None) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if batch.events:
        events = list(batch.events)
        if own_site is not None:
            # the database is shared: what concerns this installation concerns no other
            events = [
                replace(r, site_id=own_site) if r.site_id == INSTALLATION_SITE_ID else r
                for r in events
            ]
        kept = first_of(events, lambda r: (r.site_id, r.ts, r.code, r.message))
        out["events"] = to_arrow.events_table(kept)
    if batch.forecasts:
        out["forecasts"] = forecasts_table(
            first_of(
                batch.forecasts,
                lambda r: (r.site_id, r.forecast.signal, r.forecast.issued_at, r.forecast.model),
            )
        )
    if batch.runs:
        out["runs"] = to_arrow.runs_table(first_of(batch.runs, lambda r: (r.site_id, r.ts)))
    if batch.tariffs:
        out["tariffs"] = to_arrow.tariffs_table(
            first_of(batch.tariffs, lambda r: (r.site_id, r.valid_from, r.document))
        )
    if batch.devices:
        out["devices"] = to_arrow.devices_table(
            first_of(batch.devices, lambda r: (r.site_id, r.ts, r.device))
        )
    return out


def _replacing_rows(batch: Batch) -> dict[str, Any]:
    out: dict[str, Any] = {}
    if batch.prices:
        out["prices"] = to_arrow.prices_table(last_of(batch.prices, lambda r: (r.site_id, r.ts)))
    if batch.ledger:
        out["ledger"] = to_arrow.ledger_table(last_of(batch.ledger, lambda r: (r.site_id, r.ts)))
    if batch.savings:
        out["savings"] = to_arrow.savings_table(
            last_of(batch.savings, lambda r: (r.site_id, r.baseline, r.ts))
        )
    if batch.metrics:
        out["metrics"] = to_arrow.metrics_table(
            last_of(batch.metrics, lambda r: (r.site_id, r.day, r.metric))
        )
    return out


def _insert_plans(session: Session, plans: Sequence[Plan]) -> None:
    stored = session.execute(
        "SELECT plan_id FROM h.plans WHERE plan_id = ANY(?)", [[p.plan_id for p in plans]]
    ).fetchall()
    known = {plan_id for (plan_id,) in stored}
    new = [p for p in plans if p.plan_id not in known]
    if new:
        store(session, "plans", headers_table(new), replace=False)
        store(session, "plan_steps", steps_table(new), replace=False)


def _insert_selections(session: Session, rows: Sequence[Selection]) -> None:
    new = [
        row
        for row in rows
        if not session.execute(
            "SELECT 1 FROM h.selections WHERE site_id = ? AND ts = ? AND plan_id = ?",
            [row.site_id, row.ts, row.plan_id],
        ).fetchall()
    ]
    if new:
        store(session, "selections", selections_table(new), replace=False)
        store(session, "selection_candidates", candidates_table(new), replace=False)
