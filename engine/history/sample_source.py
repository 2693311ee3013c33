"""Where samples are read from: the hot file and the archive, as one relation."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path

import duckdb

from engine.history.roll_up_columns import GAP_SECONDS
from engine.history.spans import Span

_HOT = "h.samples"


@dataclass(frozen=True, slots=True)
class SampleSource:
    """How samples are read.

    Attributes:
        cold: Folder of the archive.
        gap_seconds: A sample that is followed later than this stands for no time.
    """

    cold: Path
    gap_seconds: float = GAP_SECONDS

    def relation(
        self, cursor: duckdb.DuckDBPyConnection, site_id: str, spans: Sequence[Span]
    ) -> str:
        """Return a relation that holds all samples of one site in `spans`, hot and archived.

        The archived days are pruned by name: a filter on the time alone would open every file.
        """
        reach = timedelta(seconds=self.gap_seconds)
        wide = [(start, end + reach) for start, end in spans]
        return self._joined(archived_files(cursor, site_id, wide))

    def newest(
        self, cursor: duckdb.DuckDBPyConnection, site_id: str
    ) -> tuple[str, datetime] | None:
        """Return a relation that holds the newest sample of one site and its time, if any."""
        rows = cursor.execute(
            f"SELECT max(ts), (SELECT max(day) FROM h.archived_days WHERE site_id = ?) "
            f"FROM {_HOT} WHERE site_id = ?",
            [site_id, site_id],
        ).fetchall()
        hot, cold_day = rows[0]
        if cold_day is None or (hot is not None and hot.date() > cold_day):
            return None if hot is None else (_HOT, hot)
        start = datetime(cold_day.year, cold_day.month, cold_day.day)  # noqa: DTZ001
        day = (start, start + timedelta(days=1))
        samples = self._joined(archived_files(cursor, site_id, [day]))
        found = cursor.execute(
            f"SELECT max(ts) FROM {samples} WHERE site_id = ? AND ts >= ? AND ts < ?",
            [site_id, *day],
        ).fetchall()
        return samples, found[0][0]

    def sites_between(
        self, cursor: duckdb.DuckDBPyConnection, sites: Collection[str], window: Span
    ) -> str:
        """Return a relation that holds all samples of `sites` in `window`, ends included."""
        start, end = window
        files = {
            file
            for site_id in sites
            for file in archived_files(cursor, site_id, [(start, end + timedelta(seconds=1))])
        }
        return self._joined(sorted(files))

    def _joined(self, files: Sequence[str]) -> str:
        if not files:
            return _HOT
        paths = ", ".join(text(str(self.cold / name)) for name in files)
        return (
            f"(SELECT * FROM {_HOT} UNION ALL BY NAME SELECT * FROM "
            f"read_parquet([{paths}], union_by_name = true, hive_partitioning = false))"
        )


def archived_files(
    cursor: duckdb.DuckDBPyConnection, site_id: str, spans: Sequence[Span]
) -> list[str]:
    """Return the archive files of the days that `spans` touch, oldest first."""
    if not spans:
        return []
    rows = cursor.execute(
        "SELECT day, file FROM h.archived_days WHERE site_id = ? AND day BETWEEN ? AND ? "
        "ORDER BY day",
        [site_id, min(s for s, _ in spans).date(), max(e for _, e in spans).date()],
    ).fetchall()
    return [file for day, file in rows if any(_on(day, span) for span in spans)]


def text(value: str) -> str:
    """Return `value` as an SQL literal."""
    return "'" + value.replace("'", "''") + "'"


def _on(day: date, span: Span) -> bool:
    start = datetime(day.year, day.month, day.day)  # noqa: DTZ001
    return span[0] < start + timedelta(days=1) and start < span[1]
