"""Names of series: what a chart, an export or a statistic may ask for.

==========================================  ===================================================
``load_kw``                                 a signal, a decision, or a tally of roll-ups
``price:buy_eur_per_kwh``                   published prices
``ledger:cost_eur``                         booked quarter-hours
``savings:no_battery:cost_eur``             a simulated baseline
``plan:battery_kw``                         at each step the plan that was in force then
``forecast:load_kw:p50``                    the newest forecast of each quarter-hour
``forecast:load_kw:p50@6h``                 the newest one that was issued 6 h before or earlier
``forecast:load_kw:p50:ensemble``           forecasts of one model; may end with ``@6h`` as well
``metric:energy_cost_eur``                  a key figure per local day
==========================================  ===================================================
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from engine.domain.forecast import FORECAST_SIGNALS, PRICE_SIGNAL
from engine.domain.signals import SIGNALS, Kind
from engine.history.columns import TALLIES
from engine.history.dictionary import DECISIONS, table_info, unit_from_name
from engine.history.query_errors import QueryError
from engine.history.roll_up_columns import POWER_SIGNALS

LONGEST_LEAD_HOURS = 240

_QUANTILES = ("p10", "p50", "p90")
_WORD = re.compile(r"[A-Za-z0-9_.\-]{1,64}")
_TALLY_UNITS = {"covered_s": "s", "limited_s": "s"}


class Family(StrEnum):
    """Where a series comes from."""

    MEASURED = "measured"
    PRICE = "price"
    LEDGER = "ledger"
    SAVINGS = "savings"
    PLAN = "plan"
    FORECAST = "forecast"
    METRIC = "metric"


_TABLE = {Family.PRICE: "prices", Family.LEDGER: "ledger", Family.SAVINGS: "savings"}


@dataclass(frozen=True, slots=True)
class SeriesName:
    """One series.

    Attributes:
        text: The name as it was asked for.
        family: Where it comes from.
        column: Signal, column or metric.
        unit: Unit of its values.
        additive: Its values are amounts per interval: longer intervals add them up.
        baseline: Baseline of a saving.
        signal: Series that was forecast.
        model: Model of a forecast; None for whichever is newest.
        lead_hours: Least age of a forecast.
    """

    text: str
    family: Family
    column: str
    unit: str
    additive: bool = False
    baseline: str | None = None
    signal: str | None = None
    model: str | None = None
    lead_hours: float = 0.0

    @property
    def is_power(self) -> bool:
        """True for a measured power, which can be integrated to energy."""
        return self.family is Family.MEASURED and self.column in POWER_SIGNALS

    @property
    def kind(self) -> Kind:
        """How it behaves in time."""
        signal = SIGNALS.get(self.column) if self.family is Family.MEASURED else None
        return signal.kind if signal is not None else Kind.GAUGE

    @property
    def is_tally(self) -> bool:
        """True for a tally, which only roll-ups have."""
        return self.family is Family.MEASURED and self.column in TALLIES


def series_name(text: str) -> SeriesName:
    """Return what `text` names.

    Raises:
        QueryError: It names nothing.
    """
    head, colon, rest = text.partition(":")
    if not colon:
        return _measured(text)
    try:
        family = Family(head)
    except ValueError:
        raise _unknown(text) from None
    match family:
        case Family.PRICE | Family.LEDGER:
            return _of_table(text, family, rest)
        case Family.SAVINGS:
            baseline, _, column = rest.partition(":")
            _check_word(baseline, text)
            return _of_table(text, family, column, baseline)
        case Family.PLAN:
            info = table_info("plan_steps").column(rest)
            if info.sql_type != "DOUBLE":
                raise _unknown(text)
            return SeriesName(text, family, rest, info.unit)
        case Family.FORECAST:
            return _forecast(text, rest)
        case Family.METRIC:
            _check_word(rest, text)
            return SeriesName(text, family, rest, unit_from_name(rest))
        case _:
            raise _unknown(text)


def _measured(text: str) -> SeriesName:
    signal = SIGNALS.get(text)
    if signal is not None:
        return SeriesName(text, Family.MEASURED, text, signal.unit)
    for decision in DECISIONS:
        if decision.name == text:
            return SeriesName(text, Family.MEASURED, text, decision.unit)
    if text in TALLIES:
        return SeriesName(
            text, Family.MEASURED, text, _TALLY_UNITS.get(text, ""), additive=text != "unusable"
        )
    raise _unknown(text)


def _of_table(text: str, family: Family, column: str, baseline: str | None = None) -> SeriesName:
    info = table_info(_TABLE[family]).column(column)
    if info.sql_type != "DOUBLE":
        raise _unknown(text)
    additive = info.unit in ("kWh", "EUR", "s") and column != "soc_kwh"
    return SeriesName(text, family, column, info.unit, additive=additive, baseline=baseline)


def _forecast(text: str, rest: str) -> SeriesName:
    rest, _, lead = rest.partition("@")
    parts = rest.split(":")
    hours = 0.0
    if lead:
        if not re.fullmatch(r"\d{1,3}(\.\d{1,2})?h", lead):
            raise _unknown(text)
        hours = float(lead[:-1])
    known = (
        len(parts) in (2, 3)
        and parts[0] in FORECAST_SIGNALS
        and parts[1] in _QUANTILES
        and hours <= LONGEST_LEAD_HOURS
    )
    if not known:
        raise _unknown(text)
    model = parts[2] if len(parts) == 3 else None
    if model is not None:
        _check_word(model, text)
    unit = "EUR/kWh" if parts[0] == PRICE_SIGNAL else SIGNALS[parts[0]].unit
    return SeriesName(
        text,
        Family.FORECAST,
        parts[1],
        unit,
        signal=parts[0],
        model=model,
        lead_hours=hours,
    )


def _check_word(word: str, text: str) -> None:
    if not _WORD.fullmatch(word):
        raise _unknown(text)


def _unknown(text: str) -> QueryError:
    return QueryError(
        f"There is no series '{text[:80]}'.",
        field="signals",
        value=text,
        hint="Name a signal such as load_kw, or price:buy_eur_per_kwh, ledger:cost_eur, "
        "savings:no_battery:cost_eur, plan:battery_kw, forecast:load_kw:p50@6h, "
        "metric:energy_cost_eur.",
    )
