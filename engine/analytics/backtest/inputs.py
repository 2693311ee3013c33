"""From files to the series of a backtest: one grid of quarter-hours, every doubt an error."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np

from engine.analytics.backtest.case import SiteSeries
from engine.analytics.backtest.read_files import (
    EPOCH,
    LOAD,
    PRICE,
    PV,
    FileSeries,
    read_file,
)
from engine.domain.errors import BacktestError
from engine.domain.plan import FloatArray
from engine.domain.quarter_hour import STEP_S
from engine.domain.site import Site

STEPS_MINUTES = (1, 3, 5, 15, 30, 60)
"""Lengths of intervals that go evenly into or out of a quarter-hour."""

_RUN = 6
"""So many equal longer distances in a row are the step there; fewer are a gap."""

_AFTER_STEPS = 2 * 96

_TOO_LARGE = 10.0
_TOO_SMALL = 1000.0
_SMALLEST_MEDIAN_EUR_PER_MWH = 1.0
_DAY_ROWS = 24


Quarters = tuple[int, FloatArray, list[tuple[int, FileSeries]]]
"""First quarter-hour (number since 1970), its values, and where each file's part begins."""


@dataclass(frozen=True, slots=True)
class InputFiles:
    """The files of a backtest.

    Attributes:
        prices: Day-ahead prices; one or several.
        load: Load; may be none.
        pv: PV power; may be none.
        data: Files with several of the series.
    """

    prices: tuple[Path, ...] = ()
    load: tuple[Path, ...] = ()
    pv: tuple[Path, ...] = ()
    data: tuple[Path, ...] = ()


@dataclass(slots=True)
class _Grid:
    """Quarter-hours from the earliest to the latest known one."""

    first: int
    n: int
    values: dict[str, FloatArray] = field(default_factory=dict)


def read_inputs(
    files: InputFiles, site: Site, start: datetime | None, end: datetime | None
) -> tuple[SiteSeries, datetime, datetime]:
    """Return the series and the period they are asked for.

    What lies before the period is kept as its past as far back as there is no gap.

    Args:
        files: Where the series are.
        site: Its grid connection tells kilowatts from watts.
        start: Start of the period, aware; None for the start of the data.
        end: Its end; None for the end of the data.

    Raises:
        EmsError: A file cannot be used (`read_files`), the period is not covered, or a unit is
            implausible. Nothing is calculated from a part of the data.
    """
    found = _read_all(files)
    if PRICE not in found:
        raise BacktestError(
            "There are no prices.",
            field="--prices",
            hint="Give a file with ts_utc and price_eur_per_mwh by --prices or --data.",
        )
    for parts in found.values():
        _check_units(parts, site)
    parts = [part for series in found.values() for part in series]
    grids = {name: _quarters(series) for name, series in found.items()}
    first = max(grid[0] for grid in grids.values())
    stop = min(grid[0] + grid[1].size for grid in grids.values())
    if stop - first < 4:
        raise BacktestError(
            "The files have no common time: "
            + "; ".join(
                f"{name} {_time(at):%Y-%m-%d %H:%M} to {_time(at + values.size):%Y-%m-%d %H:%M} UTC"
                for name, (at, values, _) in grids.items()
            )
            + ".",
            field="period",
            hint="Give files that cover the same period.",
        )
    since = first if start is None else _number(start, "--from")
    until = stop if end is None else _number(end, "--to")
    for name, (at, values, places) in grids.items():
        _check_cover(name, (at, values, places), since, until)
    series, notes = _assembled(grids, since, until)
    notes = [*_said(parts), *notes, *_missing(found)]
    return (
        SiteSeries(
            start=_time(series.first),
            spot_eur_per_kwh=series.values[PRICE],
            load_kw=series.values[LOAD],
            pv_kw=series.values[PV],
            notes=tuple(notes),
        ),
        _time(since),
        _time(until),
    )


def _read_all(files: InputFiles) -> dict[str, list[FileSeries]]:
    """Return series to the parts it comes from, ascending in time and not overlapping."""
    found: dict[str, list[FileSeries]] = {}
    asked = (
        (files.prices, (PRICE,)),
        (files.load, (LOAD,)),
        (files.pv, (PV,)),
        (files.data, (PRICE, LOAD, PV)),
    )
    for paths, wanted in asked:
        for path in paths:
            if not path.is_file():
                raise BacktestError(
                    f"There is no file {path}.", field="file", value=str(path),
                    hint="Check the path.",
                )  # fmt: skip
            for part in read_file(path, wanted):
                found.setdefault(part.series, []).append(part)
    for name, parts in found.items():
        parts.sort(key=lambda part: int(part.seconds[0]))
        for one, two in pairwise(parts):
            if two.seconds[0] <= one.seconds[-1]:
                raise BacktestError(
                    f"{name} at {_at(int(two.seconds[0])):%Y-%m-%d %H:%M} UTC stands in "
                    f"{one.file} and in {two.file}.",
                    field=two.file,
                    hint="Give files that do not overlap, or each series only once.",
                )
    if files.data and LOAD not in found:
        raise BacktestError(
            f"{', '.join(path.name for path in files.data)} has no column load_kw.",
            field="--data",
            hint="Name the load load_kw, or give it by --load.",
        )
    return found


def _check_units(parts: Sequence[FileSeries], site: Site) -> None:
    """Refuse values that are a factor 1000 away from what the site can have."""
    name = parts[0].series
    values = np.concatenate([part.values for part in parts])
    known = np.abs(values[np.isfinite(values)])
    if not known.size:
        raise BacktestError(
            f"{parts[0].file}: the column {parts[0].column} has no value at all.",
            field=parts[0].column,
            hint="Give a file with values.",
        )
    part, column = parts[0], parts[0].column
    if name == PRICE:
        if (
            known.size >= _DAY_ROWS
            and float(np.median(known)) < _SMALLEST_MEDIAN_EUR_PER_MWH
            and float(known.max()) < 5.0
        ):
            raise BacktestError(
                f"{part.where(0)}: half of the prices in {column} are below "
                f"{np.median(known):.3g} EUR/MWh, a thousandth of a price.",
                field=column,
                hint="They look like EUR/kWh: name the column price_eur_per_kwh.",
            )
        return
    limit = site.grid.import_limit_kw
    if name == PV:
        limit = max(limit, site.grid.export_limit_kw, site.pv_peak_kw or 0.0)
    worst = int(np.nanargmax(part.values)) if np.isfinite(part.values).any() else 0
    typical = float(np.percentile(known, 90.0))
    if limit > 0.0 and typical > _TOO_LARGE * limit:
        raise BacktestError(
            f"{part.where(worst)}: {column} reaches {known.max():,.0f} kW at a grid connection "
            f"of {limit:g} kW.",
            field=column,
            value=float(known.max()),
            hint=f"If these are watts, name the column {column.replace('_kw', '_w')}; if they "
            "are kilowatts, state grid.import_limit_kw in the site file.",
        )
    if 0.0 < known.max() < limit / _TOO_SMALL:
        raise BacktestError(
            f"{part.where(worst)}: {column} never exceeds {known.max():.3g} kW at a grid "
            f"connection of {limit:g} kW.",
            field=column,
            value=float(known.max()),
            hint="If these are megawatts, multiply them by 1000; if they are kilowatts, state "
            "grid.import_limit_kw in the site file.",
        )


def _quarters(parts: Sequence[FileSeries]) -> Quarters:
    """Return the first quarter-hour (number since 1970), values, and where each part begins.

    Longer intervals hold for each of their quarter-hours, shorter ones are averaged. NaN where
    a row is missing or empty.
    """
    lengths = [_lengths(part) for part in parts]
    first = min(int(part.seconds[0] // STEP_S) for part in parts)
    last = max(
        int(-(-(part.seconds[-1] + minutes[-1] * 60) // STEP_S))
        for part, minutes in zip(parts, lengths, strict=True)
    )
    total, covered = np.zeros(last - first), np.zeros(last - first)
    for part, minutes in zip(parts, lengths, strict=True):
        for length in np.unique(minutes):
            here = minutes == length
            at = part.seconds[here] // STEP_S - first
            values = part.values[here]
            at = at.astype(np.int64)
            if length <= 15:
                np.add.at(total, at, values * length)
                np.add.at(covered, at, np.where(np.isfinite(values), length, 0))
            else:
                for quarter in range(int(length) // 15):
                    total[at + quarter] = values * 15
                    covered[at + quarter] = np.where(np.isfinite(values), 15, 0)
    out = np.where(covered == 15, total / 15.0, np.nan)
    begins = [(int(part.seconds[0] // STEP_S), part) for part in parts]
    return first, out, begins


def _lengths(part: FileSeries) -> np.ndarray:
    """Return the minutes that each row stands for: its distance to the next, gaps left out."""
    gaps = np.diff(part.seconds) // 60
    base = int(gaps.min())
    if base not in STEPS_MINUTES:
        raise BacktestError(
            f"{part.where(int(gaps.argmin()))}: the next row of {part.file} follows after "
            f"{base} min.",
            field=part.file,
            value=base,
            hint=f"Give values every {', '.join(map(str, STEPS_MINUTES))} minutes.",
        )
    minutes = np.full(part.seconds.size, base, dtype=np.int64)
    begin = 0
    edges = np.flatnonzero(np.diff(gaps)) + 1
    for end in [*edges.tolist(), gaps.size]:
        gap = int(gaps[begin])
        if gap != base and gap in STEPS_MINUTES and end - begin >= _RUN:
            minutes[begin:end] = gap
            if end == gaps.size:
                minutes[end] = gap
        begin = end
    off = np.flatnonzero(part.seconds % (np.minimum(minutes, 60) * 60))
    if off.size:
        raise BacktestError(
            f"{part.where(int(off[0]))}: the time is not on a full step of {minutes[off[0]]} min.",
            field=part.file,
            hint="Stamp each interval with its start, on full quarter-hours or hours.",
        )
    return minutes


def _check_cover(name: str, grid: Quarters, since: int, until: int) -> None:
    """Raise where a series does not cover the whole period."""
    first, values, begins = grid
    if since < first or until > first + values.size:
        raise BacktestError(
            f"{name} is known from {_time(first):%Y-%m-%d %H:%M} to "
            f"{_time(first + values.size):%Y-%m-%d %H:%M} UTC, the period asked for is "
            f"{_time(since):%Y-%m-%d %H:%M} to {_time(until):%Y-%m-%d %H:%M} UTC.",
            field=name,
            hint="Choose --from and --to inside the data, or give more files.",
        )
    missing = np.flatnonzero(~np.isfinite(values[since - first : until - first]))
    if not missing.size:
        return
    at = since + int(missing[0])
    ends = np.flatnonzero(np.diff(missing) > 1)
    run = int(ends[0]) + 1 if ends.size else missing.size
    part = next(p for begin, p in reversed(begins) if begin <= at or begin == begins[0][0])
    row = int(np.searchsorted(part.seconds, at * STEP_S, side="right")) - 1
    empty = row >= 0 and part.seconds[row] <= at * STEP_S and not np.isfinite(part.values[row])
    where = (
        f"{part.where(row)}: the cell of {part.column} is empty"
        if empty
        else f"{part.file}: a gap after row {part.rows[max(row, 0)]}"
    )
    raise BacktestError(
        f"{where}. {name} is missing for {run} quarter-hours from {_time(at):%Y-%m-%d %H:%M} UTC "
        f"({missing.size} in the whole period).",
        field=part.column,
        hint="Fill the gap, or choose --from and --to without it; nothing is invented for it.",
    )


def _assembled(
    grids: dict[str, Quarters],
    since: int,
    until: int,
) -> tuple[_Grid, list[str]]:
    """Return all series on one grid: the period, its unbroken past, and what follows at once.

    Two days after the period are kept where they are known: plans reach over its end.
    """
    notes = []
    known = [np.isfinite(values[: since - at]) for at, values, _ in grids.values()]
    back = min(k.size for k in known)
    whole = np.ones(back, dtype=np.bool_)
    for flags in known:
        whole &= flags[flags.size - back :]
    gaps = np.flatnonzero(~whole)
    past = back if not gaps.size else back - int(gaps[-1]) - 1
    if gaps.size:
        notes.append(
            f"The past before {_time(since - past):%Y-%m-%d %H:%M} UTC has gaps and is not used."
        )
    first = since - past
    after = min(
        int(np.argmin(np.append(np.isfinite(values[until - at :][:_AFTER_STEPS]), False)))
        for at, values, _ in grids.values()
    )
    if not past:
        notes.append("There is no past before the period: forecasts begin with nothing to go by.")
    grid = _Grid(first, until + after - first)
    for name in (PRICE, LOAD, PV):
        if name not in grids:
            grid.values[name] = np.zeros(grid.n)
            continue
        at, values, _ = grids[name]
        grid.values[name] = values[first - at : until + after - at]
        if name != PRICE:
            # Noise of meters around 0 is no generation of a load.
            grid.values[name] = np.maximum(grid.values[name], 0.0)
    grid.values[PRICE] = grid.values[PRICE] / 1000.0
    return grid, notes


def _said(parts: Sequence[FileSeries]) -> list[str]:
    said = [note for part in parts for note in part.notes]
    for part in parts:
        lengths = sorted(set(_lengths(part).tolist()))
        longer = [length for length in lengths if length > 15]
        if longer:
            what = "price" if part.series == PRICE else "mean"
            said.append(
                f"{part.series} of {part.file} comes in steps of {' and '.join(map(str, longer))} "
                f"min: each quarter-hour has the {what} of its interval."
            )
    return list(dict.fromkeys(said))


def _missing(found: dict[str, list[FileSeries]]) -> list[str]:
    said = []
    if LOAD not in found:
        said.append("No load is given: the battery stands alone at its grid connection.")
    if PV not in found:
        said.append("No PV is given (no column pv_kw): the site is taken to have none.")
    return said


def _number(ts: datetime, name: str) -> int:
    seconds = (ts - EPOCH).total_seconds()
    if seconds % STEP_S:
        raise BacktestError(
            f"{ts.isoformat()} is not on a full quarter-hour.",
            field=name,
            value=ts.isoformat(),
            hint="Give a day, or a time on a full quarter-hour.",
        )
    return int(seconds // STEP_S)


def _time(number: int) -> datetime:
    return _at(int(number * STEP_S))


def _at(seconds: int) -> datetime:
    return EPOCH + timedelta(seconds=seconds)
