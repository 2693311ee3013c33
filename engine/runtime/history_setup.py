"""The history as the configuration wants it."""

from __future__ import annotations

from pathlib import Path

from engine.config.schema import Config
from engine.history.duckdb_store import DuckDbHistory
from engine.history.retention import Retention
from engine.history.roll_up_columns import GAP_SECONDS

_GAP_STEPS = 3


def open_history(config: Config, path: Path) -> DuckDbHistory:
    """Open the history file `path`, whose folder this process then owns until it is closed.

    Raises:
        AlreadyRunningError: Another process owns the folder.
        HistoryError: The database cannot be opened.
    """
    kept = config.history
    return DuckDbHistory(
        path,
        retention=Retention(kept.raw_days, kept.minute_days, kept.archive_months),
        gap_seconds=max(GAP_SECONDS, _GAP_STEPS * config.ems.timestep_s),
    )
