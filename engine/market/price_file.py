"""Day-ahead prices from a file the operator keeps: CSV or Parquet, read again when it changes."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

from engine.domain.clock import Clock
from engine.domain.errors import FetchError
from engine.fetching.http import invalid
from engine.market.intervals import (
    QUARTER_MINUTES,
    FetchedPrices,
    PriceInterval,
    checked_price,
    intervals_from_stamps,
    missing_words,
    within,
)

TIME_COLUMN = "ts_utc"
PRICE_COLUMNS = {"price_eur_per_mwh": 1.0, "price_eur_per_kwh": 1000.0}
"""Accepted price columns and what turns them into EUR/MWh."""

MAX_BYTES = 50_000_000
_MAX_NAMED_ROWS = 5


def parse_price_csv(text: str) -> tuple[PriceInterval, ...]:
    """Return the prices of a CSV text with a header.

    Columns ``ts_utc`` (ISO time with offset, start of the interval) and one of
    ``price_eur_per_mwh``, ``price_eur_per_kwh``; further columns are ignored; comma or semicolon.
    An empty price is a gap.

    Raises:
        FetchError: With the numbers of the bad rows; nothing is taken from the file then.
    """
    text = text.removeprefix("\ufeff")
    first_line = text.partition("\n")[0]
    delimiter = ";" if ";" in first_line else ","
    reader = csv.reader(io.StringIO(text), delimiter=delimiter)
    try:
        header = [name.strip() for name in next(reader, [])]
        time_at, price_at, factor = _columns(header)
        stamps: list[datetime] = []
        values: list[float | None] = []
        bad: list[str] = []
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            where = f"row {reader.line_num}"
            try:
                if len(row) <= max(time_at, price_at):
                    raise invalid(f"{where}: only {len(row)} columns.")
                stamps.append(_stamp(row[time_at].strip(), where, stamps))
                values.append(_csv_price(row[price_at].strip(), factor, where))
            except FetchError as error:
                bad.append(error.message)
    except csv.Error as error:
        raise invalid(f"row {reader.line_num}: {error}.") from error
    _refuse(bad)
    return intervals_from_stamps(stamps, values)


def parse_price_table(table: pa.Table) -> tuple[PriceInterval, ...]:
    """Return the prices of an Arrow table with the columns of `parse_price_csv`.

    Raises:
        FetchError: With the numbers of the bad rows (the first is 1).
    """
    time_at, price_at, factor = _columns(table.column_names)
    stamps: list[datetime] = []
    values: list[float | None] = []
    bad: list[str] = []
    rows = zip(table.column(time_at).to_pylist(), table.column(price_at).to_pylist(), strict=True)
    for number, (ts, price) in enumerate(rows, start=1):
        where = f"row {number}"
        try:
            stamps.append(_stamp(ts, where, stamps))
            values.append(_table_price(price, factor, where))
        except FetchError as error:
            bad.append(error.message)
    _refuse(bad)
    return intervals_from_stamps(stamps, values)


def _columns(names: list[str]) -> tuple[int, int, float]:
    prices = [n for n in names if n in PRICE_COLUMNS]
    if TIME_COLUMN not in names or len(prices) != 1:
        raise FetchError(
            f"The price file has the columns {', '.join(names) or 'none'}.",
            kind="invalid",
            retryable=False,
            hint=f"It needs {TIME_COLUMN} and one of {', '.join(PRICE_COLUMNS)}.",
        )
    return names.index(TIME_COLUMN), names.index(prices[0]), PRICE_COLUMNS[prices[0]]


def _refuse(bad: list[str]) -> None:
    if bad:
        more = f" And {len(bad) - _MAX_NAMED_ROWS} more." if len(bad) > _MAX_NAMED_ROWS else ""
        raise invalid(" ".join(bad[:_MAX_NAMED_ROWS]) + more)


def _stamp(value: Any, where: str, before: list[datetime]) -> datetime:
    if isinstance(value, datetime):
        at = value
    else:
        try:
            at = datetime.fromisoformat(value)
        except (TypeError, ValueError) as error:
            raise invalid(f"{where}: {value!r} is not an ISO time.") from error
    if at.tzinfo is None:
        raise invalid(f"{where}: the time {value} has no offset; write for example {value}+00:00.")
    at = at.astimezone(UTC)
    if at.minute % QUARTER_MINUTES or at.second or at.microsecond:
        raise invalid(f"{where}: {at:%H:%M:%S} UTC is not a full quarter-hour.")
    if before and at == before[-1]:
        raise invalid(f"{where}: the time {at:%Y-%m-%d %H:%M} UTC comes twice.")
    if before and at < before[-1]:
        raise invalid(f"{where}: the time {at:%Y-%m-%d %H:%M} UTC is not in order.")
    return at


def _csv_price(text: str, factor: float, where: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError as error:
        point = "; write a decimal point" if "," in text else ""
        raise invalid(f"{where}: the price {text!r} is not a number{point}.") from error
    return checked_price(value * factor, where) / 1000.0


def _table_price(value: Any, factor: float, where: str) -> float | None:
    # Parquet tools write gaps as null or as NaN.
    if value is None or (isinstance(value, float) and value != value):  # noqa: PLR0124
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise invalid(f"{where}: {value!r} is not a number.")
    return checked_price(value * factor, where) / 1000.0


class PriceFile:
    """`PriceProvider` for a CSV or Parquet file.

    Args:
        path: The file; ``.parquet`` is read as Parquet, anything else as CSV in UTF-8.
        clock: Time of reading.
        zone: Local time, for naming incomplete days.
        minutes: Finest resolution the file is expected to hold.
    """

    attribution = "the operator's price file"

    def __init__(
        self, path: Path, clock: Clock, *, zone: ZoneInfo, minutes: int = QUARTER_MINUTES
    ) -> None:
        self.name = "file"
        self.minutes = minutes
        self._path = path
        self._clock = clock
        self._zone = zone
        self._read: tuple[tuple[int, int], tuple[PriceInterval, ...], datetime] | None = None

    def changed(self) -> bool:
        """Return True when the file is new or differs from what was read."""
        try:
            stat = self._path.stat()
        except OSError:
            return self._read is not None
        return self._read is None or self._read[0] != (stat.st_mtime_ns, stat.st_size)

    def fetch(self, start: datetime, end: datetime) -> FetchedPrices:
        """Return the prices of ``[start, end)``; see `PriceProvider`."""
        try:
            stat = self._path.stat()
            state = (stat.st_mtime_ns, stat.st_size)
            if self._read is None or self._read[0] != state:
                self._read = (state, self._parse(stat.st_size), self._clock.now())
        except OSError as error:
            raise FetchError(
                f"The price file {self._path.name} cannot be read: {error.strerror or error}.",
                kind="unreachable",
                retryable=True,
                field="prices.file",
                hint="Check the path and the rights of the file.",
            ) from error
        _, known, read_at = self._read
        intervals = within(known, start, end)
        return FetchedPrices(
            intervals=intervals,
            source=self.name,
            fetched_at=read_at,
            request=self._path.name,
            problems=missing_words(intervals, start, end, self._zone),
        )

    def _parse(self, size: int) -> tuple[PriceInterval, ...]:
        if size > MAX_BYTES:
            raise FetchError(
                f"The price file {self._path.name} is larger than {MAX_BYTES:,} bytes.",
                kind="too_large",
                retryable=False,
            )
        try:
            if self._path.suffix.lower() == ".parquet":
                return parse_price_table(pq.read_table(self._path))
            return parse_price_csv(self._path.read_text(encoding="utf-8"))
        except UnicodeDecodeError as error:
            raise invalid(f"{self._path.name}: it is not UTF-8 text.") from error
        except pa.ArrowException as error:
            raise invalid(f"{self._path.name}: it is no readable Parquet file.") from error
        except FetchError as error:
            raise FetchError(
                f"{self._path.name}: {error.message}",
                kind="invalid",
                retryable=False,
                hint=error.hint,
            ) from error
