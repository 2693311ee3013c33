"""Which columns a roll-up has, and which of them answers a `ColumnKey`; for every backend.

Signals decide: a new entry of `SIGNALS` gets its columns by itself. Names are the signal's
name and how it was aggregated, for example ``battery_kw_mean`` or ``grid_import_kwh_last``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cache

from engine.domain.errors import HistoryError
from engine.domain.signals import SIGNALS, Kind
from engine.history.columns import TALLIES, TEXT_COLUMNS, Aggregate, ColumnKey, Resolution

DECISION_COLUMNS: tuple[str, ...] = ("setpoint_kw", "charge_limit_kw", "discharge_limit_kw")
"""Numeric columns of samples that are decisions of the control law; they behave like a GAUGE."""

POWER_SIGNALS: tuple[str, ...] = ("battery_kw", "grid_kw", "pv_kw", "load_kw")
"""Signals that are integrated to energy, apart for either sign."""

BITS_SIGNAL = "alarm_bits"
"""The CODE of which a roll-up also keeps every bit that was set."""

GAP_SECONDS = 10.0
"""A sample stands for the time until the next one, but for nothing when that is longer away."""

IMPORTED_STATE = "imported"
"""`state` of samples that were read from a file, not measured by this program."""

IMPORTED_SECONDS = 60.0
"""Imported samples are written a minute apart; each stands for its whole minute."""

MINUTE_S, QUARTER_HOUR_S = 60, 900


class How(StrEnum):
    """How a roll-up column comes from the samples of its interval."""

    MEAN = "mean"
    MIN = "min"
    MAX = "max"
    COUNT = "count"
    FIRST = "first"
    LAST = "last"
    OR = "or"
    POSITIVE_KWH = "positive_kwh"
    NEGATIVE_KWH = "negative_kwh"
    TALLY = "tally"


@dataclass(frozen=True, slots=True)
class RollUpColumn:
    """One numeric column of a roll-up.

    Attributes:
        name: Its name in the table.
        source: The column of samples it comes from; of a tally its own name.
        how: How it is made.
        kind: Kind of the source; decides the column type.
    """

    name: str
    source: str
    how: How
    kind: Kind


_GAUGE_HOWS = (How.MEAN, How.MIN, How.MAX, How.COUNT)
_HOWS: dict[Kind, tuple[How, ...]] = {
    Kind.GAUGE: _GAUGE_HOWS,
    Kind.COUNTER: (How.FIRST, How.LAST, How.COUNT),
    Kind.CODE: (How.LAST, How.COUNT),
}
_HOW_OF: dict[Aggregate, How] = {
    Aggregate.MIN: How.MIN,
    Aggregate.MAX: How.MAX,
    Aggregate.FIRST: How.FIRST,
    Aggregate.COUNT: How.COUNT,
    Aggregate.POSITIVE_KWH: How.POSITIVE_KWH,
    Aggregate.NEGATIVE_KWH: How.NEGATIVE_KWH,
    Aggregate.ANY_BIT: How.OR,
}


@cache
def roll_up_columns() -> dict[str, RollUpColumn]:
    """Return every numeric column of a roll-up by name, in the order of the table."""
    found = [RollUpColumn(name, name, How.TALLY, Kind.GAUGE) for name in TALLIES]
    kinds = dict.fromkeys(DECISION_COLUMNS, Kind.GAUGE) | {s.name: s.kind for s in SIGNALS.values()}
    for source, kind in kinds.items():
        hows: tuple[How, ...] = _HOWS[kind]
        if source in POWER_SIGNALS:
            hows += (How.POSITIVE_KWH, How.NEGATIVE_KWH)
        if source == BITS_SIGNAL:
            hows += (How.OR,)
        found += [RollUpColumn(f"{source}_{how}", source, how, kind) for how in hows]
    return {column.name: column for column in found}


def roll_up_column(key: ColumnKey) -> RollUpColumn:
    """Return the roll-up column that answers `key`.

    Raises:
        HistoryError: There is no such signal, or it has no such aggregate.
    """
    if key.name in TALLIES:
        if key.aggregate is not Aggregate.MEAN:
            raise _no_aggregate(key)
        return roll_up_columns()[key.name]
    kind = _kind(key.name)
    if key.aggregate is Aggregate.MEAN:
        how = How.MEAN if kind is Kind.GAUGE else How.LAST
    else:
        how = _HOW_OF[key.aggregate]
    column = roll_up_columns().get(f"{key.name}_{how}")
    if column is None:
        raise _no_aggregate(key)
    return column


def raw_column(key: ColumnKey) -> str:
    """Return the column of samples that answers `key`.

    Raises:
        HistoryError: There is no such column, or an aggregate was asked of single samples.
    """
    if key.name in TALLIES:
        raise HistoryError(
            f"{key.name} exists in roll-ups only.",
            field="keys",
            value=key.name,
            hint=f"Ask for the resolution {Resolution.MINUTE} or {Resolution.QUARTER_HOUR}.",
        )
    _kind(key.name)
    if key.aggregate is not Aggregate.MEAN:
        raise HistoryError(
            f"Samples have no {key.aggregate} of {key.name}; they are the values themselves.",
            field="keys",
            value=key.aggregate,
            hint=f"Ask for {Aggregate.MEAN}, or for a resolution of a minute or more.",
        )
    return key.name


def check_texts(texts: Iterable[str]) -> None:
    """Raise HistoryError unless every name is one of `TEXT_COLUMNS`."""
    for name in texts:
        if name not in TEXT_COLUMNS:
            raise HistoryError(
                f"{name} is no text column of the history.",
                field="texts",
                value=name,
                hint=f"Use some of {', '.join(TEXT_COLUMNS)}.",
            )


def _kind(name: str) -> Kind:
    if name in DECISION_COLUMNS:
        return Kind.GAUGE
    signal = SIGNALS.get(name)
    if signal is None:
        raise HistoryError(
            f"{name} is no signal of the history.",
            field="keys",
            value=name,
            hint="Use a name of engine.domain.signals.SIGNALS.",
        )
    return signal.kind


def _no_aggregate(key: ColumnKey) -> HistoryError:
    return HistoryError(
        f"{key.name} has no {key.aggregate}.",
        field="keys",
        value=key.aggregate,
        hint="See engine.history.columns.Aggregate for what each kind of signal has.",
    )
