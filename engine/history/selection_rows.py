"""Choices of strategy as rows: one per choice and one per candidate, and back again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from engine.domain.errors import HistoryError
from engine.domain.strategy import CandidateValue, ChoiceReason, Selection, StrategyKey
from engine.history.rows import doubles, texts, times, utc

SELECTION_COLUMNS: tuple[str, ...] = (
    "ts",
    "site_id",
    "plan_id",
    "active",
    "previous",
    "best",
    "mode",
    "reason",
    "gain_eur",
    "needed_eur",
    "manual_until",
)
"""Columns of `selections`, in the order `selection_from_rows` expects them."""

CANDIDATE_NUMBERS: tuple[str, ...] = (
    "cost_eur",
    "saving_eur",
    "energy_eur",
    "wear_eur",
    "demand_eur",
    "peak_kw",
    "self_consumption",
    "full_cycles",
)
"""Numbers of a `CandidateValue`; each may be None."""

CANDIDATE_COLUMNS: tuple[str, ...] = ("strategy", *CANDIDATE_NUMBERS, "reason")
"""Columns of `selection_candidates` with values, in the order `selection_from_rows` expects."""


def selections_table(rows: Sequence[Selection]) -> Any:
    """Return `rows` as an Arrow table without their candidates."""
    return pa.table(
        {
            "ts": times(r.ts for r in rows),
            "site_id": texts(r.site_id for r in rows),
            "plan_id": texts(r.plan_id for r in rows),
            "active": texts(r.active for r in rows),
            "previous": texts(r.previous for r in rows),
            "best": texts(r.best for r in rows),
            "mode": texts(r.mode for r in rows),
            "reason": texts(r.reason for r in rows),
            "gain_eur": doubles(r.gain_eur for r in rows),
            "needed_eur": doubles(r.needed_eur for r in rows),
            "manual_until": times(r.manual_until for r in rows),
        }
    )


def candidates_table(rows: Sequence[Selection]) -> Any:
    """Return every candidate of `rows` as an Arrow table."""
    all_of = [(r, i, c) for r in rows for i, c in enumerate(r.candidates)]
    return pa.table(
        {
            "ts": times(r.ts for r, _, _ in all_of),
            "site_id": texts(r.site_id for r, _, _ in all_of),
            "plan_id": texts(r.plan_id for r, _, _ in all_of),
            "position": pa.array([i for _, i, _ in all_of], pa.int32()),
            "strategy": texts(c.strategy for _, _, c in all_of),
            **{name: doubles(getattr(c, name) for _, _, c in all_of) for name in CANDIDATE_NUMBERS},
            "reason": texts(c.reason for _, _, c in all_of),
        }
    )


def selection_from_rows(row: Sequence[Any], candidates: Sequence[Sequence[Any]]) -> Selection:
    """Return the choice behind a row of `SELECTION_COLUMNS` and rows of `CANDIDATE_COLUMNS`.

    Raises:
        HistoryError: A strategy or reason is stored that this program does not know.
    """
    r = dict(zip(SELECTION_COLUMNS, row, strict=True))
    try:
        return Selection(
            ts=utc(r["ts"]),
            site_id=r["site_id"],
            plan_id=r["plan_id"],
            active=StrategyKey(r["active"]),
            previous=None if r["previous"] is None else StrategyKey(r["previous"]),
            best=StrategyKey(r["best"]),
            mode=r["mode"],
            reason=ChoiceReason(r["reason"]),
            gain_eur=r["gain_eur"],
            needed_eur=r["needed_eur"],
            candidates=tuple(
                _candidate(dict(zip(CANDIDATE_COLUMNS, values, strict=True)))
                for values in candidates
            ),
            manual_until=None if r["manual_until"] is None else utc(r["manual_until"]),
        )
    except ValueError as error:
        raise HistoryError(
            f"The history holds a choice of strategy this program does not know: {error}.",
            field="selection",
            value=r["plan_id"],
            hint="Install the EMS Dash version that wrote it, or a newer one.",
        ) from error


def _candidate(values: dict[str, Any]) -> CandidateValue:
    return CandidateValue(strategy=StrategyKey(values.pop("strategy")), **values)
