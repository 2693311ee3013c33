"""Importing a file of history: read, check everything, then write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np

from engine.config.schema import Config
from engine.domain.quarter_hour import STEP
from engine.domain.records import PriceRow
from engine.history.import_file import read_table
from engine.history.import_mapping import PRICE, Stated, guess_map, parse_map, stated_map
from engine.history.import_series import ImportedSeries, ImportOptions, read_series
from engine.history.import_write import (
    ImportStore,
    Written,
    minutes_of,
    write_prices,
    write_samples,
)
from engine.history.query_errors import QueryError
from engine.market.price_rows import price_rows
from engine.market.prices import DayAheadPrices
from engine.market.tariff import TariffBook

SOURCE_PREFIX = "import:"
"""Beginning of the source of imported prices; the name of the file follows."""


@dataclass(frozen=True, slots=True)
class ImportAsked:
    """One file and how it is to be read; see `read_table`, `ImportOptions` and `parse_map`."""

    path: Path
    options: ImportOptions
    mapping: str | tuple[Stated, ...] | None = None
    separator: str | None = None
    decimal: str | None = None
    encoding: str = "utf-8"


@dataclass(frozen=True, slots=True)
class ImportReport:
    """What an import found and did; `dry_run`: nothing was written."""

    file: str
    series: ImportedSeries
    samples: Written
    prices: Written
    dry_run: bool

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        stamps = list(self.series.values)
        return {
            "file": self.file,
            "columns": [
                {
                    "column": m.column,
                    "target": m.target,
                    "unit": m.unit,
                    "recognised": m.guessed,
                }
                for m in self.series.mapping
            ],
            "from": stamps[0].isoformat() if stamps else None,
            "to": (stamps[-1] + self.series.step).isoformat() if stamps else None,
            "step_minutes": int(self.series.step.total_seconds() // 60),
            "rows": self.series.rows,
            "rows_without_values": self.series.empty_rows,
            "repeated_rows": self.series.duplicates,
            "missing_intervals": self.series.missing,
            "sorted": self.series.sorted_rows,
            "samples_written": self.samples.rows,
            "samples_left_out": self.samples.left_out,
            "prices_written": self.prices.rows,
            "prices_left_out": self.prices.left_out,
            "dry_run": self.dry_run,
        }


@dataclass(frozen=True, slots=True)
class ImportProgress:
    """How far an import is.

    Attributes:
        step: ``"reading"``, ``"samples"``, ``"prices"`` or ``"roll_ups"``, in this order.
        done: Minutes done in this step.
        total: Minutes in all, 0 where a step is not counted.
    """

    step: str
    done: int = 0
    total: int = 0


TellImport = Callable[[ImportProgress], None]
"""Told of progress; may raise to end the import."""


def read_import(asked: ImportAsked) -> ImportedSeries:
    """Return what a file holds, all of it checked; nothing is written.

    Raises:
        ImportRefusedError: Rows are wrong; the first 20 are named.
        QueryError: The file, its columns or its units cannot be understood.
    """
    table = read_table(
        asked.path, separator=asked.separator, decimal=asked.decimal, encoding=asked.encoding
    )
    if asked.mapping is None:
        mapping = guess_map(table.columns)
    elif not isinstance(asked.mapping, str):
        mapping = stated_map(asked.mapping, table.columns)
    else:
        mapping = parse_map(asked.mapping, table.columns)
    return read_series(table, mapping, asked.options)


def write_import(
    store: ImportStore,
    config: Config,
    series: ImportedSeries,
    name: str,
    now: datetime,
    *,
    tell: TellImport,
    dry_run: bool,
) -> ImportReport:
    """Write what a file holds as samples and prices that say where they came from.

    Their roll-ups are made as well; without them every question would read the samples.

    Args:
        store: The history.
        config: Site and tariff; the tariff gives buy and sell prices.
        series: What the file holds.
        name: Name of the file.
        now: The time, UTC.
        tell: Told of progress.
        dry_run: Only count.

    Raises:
        QueryError: Prices have another step than 15 or 60 minutes.
        HistoryError: The store cannot take them; importing again completes it.
    """
    site_id = config.site.id
    rows = imported_prices(series, config, name, now) if PRICE in series.targets else []
    total = minutes_of(series)
    samples = write_samples(
        store,
        series,
        site_id,
        lambda done: tell(ImportProgress("samples", done, total)),
        dry_run=dry_run,
    )
    tell(ImportProgress("prices"))
    prices = write_prices(store, rows, site_id, dry_run=dry_run)
    made = 0
    # each call takes a few seconds, so that the program's own rows can be stored in between
    while not dry_run and (more := store.roll_up(now)):
        made += more
        tell(ImportProgress("roll_ups", min(made, total), total))
    return ImportReport(name, series, samples, prices, dry_run)


def imported_prices(
    series: ImportedSeries, config: Config, name: str, now: datetime
) -> list[PriceRow]:
    """Return imported day-ahead prices under the site's tariff, in quarter-hours, ascending.

    Raises:
        QueryError: They have another step than 15 or 60 minutes.
    """
    quarters = series.step // STEP
    if series.step % STEP or quarters not in (1, 4):
        raise QueryError(
            f"Prices every {series.step} are not possible.",
            field="file",
            value=name,
            hint="Give prices every 15 or 60 minutes.",
        )
    stamps = [ts for ts, values in series.values.items() if PRICE in values]
    if not stamps:
        return []
    start, end = stamps[0], stamps[-1] + series.step
    spot = np.full((end - start) // STEP, np.nan)
    for ts in stamps:
        at = (ts - start) // STEP
        spot[at : at + quarters] = series.values[ts][PRICE]
    prices = DayAheadPrices(start, spot, f"{SOURCE_PREFIX}{name}", now)
    tariff = TariffBook(config.tariff, ZoneInfo(config.site.timezone))
    return price_rows(prices, tariff, config.site.id, start, end)
