"""The data dictionary: every table an analyst may read, its columns, units and meanings.

SQL for analysts, exports, series and ``docs/analysis/schema.md`` all come from here; a test
holds it against the real schema.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from engine.domain.signals import SIGNALS, Kind
from engine.history.query_errors import QueryError
from engine.history.roll_up_columns import How, RollUpColumn, roll_up_columns
from engine.history.roll_up_sql import sql_type

LOCAL_TIME_COLUMN = "ts_local"
"""Wall-clock time of the site, beside the time of every table."""


@dataclass(frozen=True, slots=True)
class ColumnInfo:
    """One column.

    Attributes:
        name: Its name.
        unit: Its unit; empty for words, codes and counts.
        meaning: What it says, with its sign.
        sql_type: Its type: TIMESTAMP (UTC), DATE, DOUBLE, FLOAT, INTEGER, BOOLEAN, VARCHAR, or
            a list of one of them.
    """

    name: str
    unit: str
    meaning: str
    sql_type: str


@dataclass(frozen=True, slots=True)
class TableInfo:
    """One table.

    Attributes:
        name: Its name.
        meaning: What one row is.
        time_column: The column periods are chosen by; a DATE is the local day.
        order: Columns that order its rows.
        columns: Its columns; ``site_id`` is the second one of all.
    """

    name: str
    meaning: str
    time_column: str
    order: tuple[str, ...]
    columns: tuple[ColumnInfo, ...]

    def column(self, name: str) -> ColumnInfo:
        """Return the column `name`.

        Raises:
            QueryError: There is none.
        """
        for column in self.columns:
            if column.name == name:
                return column
        raise QueryError(
            f"The table {self.name} has no column '{name[:60]}'.",
            field="signals",
            value=name,
            hint=f"It has {', '.join(c.name for c in self.columns)}.",
        )

    @property
    def is_daily(self) -> bool:
        """True when a row belongs to a local day."""
        return self.column(self.time_column).sql_type == "DATE"


def _c(name: str, unit: str, meaning: str, sql_type: str = "DOUBLE") -> ColumnInfo:
    return ColumnInfo(name, unit, meaning, sql_type)


def _time(name: str, meaning: str) -> ColumnInfo:
    return ColumnInfo(name, "", f"{meaning}, UTC", "TIMESTAMP")


def _word(name: str, meaning: str) -> ColumnInfo:
    return ColumnInfo(name, "", meaning, "VARCHAR")


def _flag(name: str, meaning: str) -> ColumnInfo:
    return ColumnInfo(name, "", meaning, "BOOLEAN")


def _count(name: str, meaning: str) -> ColumnInfo:
    return ColumnInfo(name, "", meaning, "INTEGER")


SITE = _word("site_id", "The site")

_TYPE = {Kind.GAUGE: "FLOAT", Kind.COUNTER: "DOUBLE", Kind.CODE: "INTEGER"}

DECISIONS: tuple[ColumnInfo, ...] = (
    _c("setpoint_kw", "kW", "Power asked of the battery, + discharge, - charge", "FLOAT"),
    _c("charge_limit_kw", "kW", "Charge power allowed, >= 0", "FLOAT"),
    _c("discharge_limit_kw", "kW", "Discharge power allowed, >= 0", "FLOAT"),
)
"""Numeric columns of samples that are decisions of the control law."""

WORDS: tuple[ColumnInfo, ...] = (
    _word("binding", "Limit that changed the setpoint; empty when none did"),
    _word("decided_by", "Layer that decided the setpoint; see docs/control"),
    _word("state", "Operating state of the engine; 'imported' for rows read from a file"),
)
"""Columns of words of samples."""


def _signals() -> tuple[ColumnInfo, ...]:
    return tuple(ColumnInfo(s.name, s.unit, s.description, _TYPE[s.kind]) for s in SIGNALS.values())


def _prices() -> tuple[ColumnInfo, ...]:
    return (
        _c("spot_eur_per_kwh", "EUR/kWh", "Day-ahead price of the exchange"),
        _c("buy_eur_per_kwh", "EUR/kWh", "Purchase price under the tariff valid then"),
        _c("sell_eur_per_kwh", "EUR/kWh", "Feed-in price under the tariff valid then"),
    )


_TALLIES: dict[str, tuple[str, str]] = {
    "samples": ("", "Number of samples"),
    "covered_s": ("s", "Seconds that samples cover; longer gaps are not counted"),
    "limited_s": ("s", "Seconds in which a limit changed the setpoint"),
    "unusable": ("", "Most unusable signals in one sample"),
}

_HOW: dict[How, str] = {
    How.MEAN: "mean",
    How.MIN: "lowest value",
    How.MAX: "highest value",
    How.COUNT: "number of usable samples",
    How.FIRST: "first usable value",
    How.LAST: "last usable value",
    How.OR: "every bit that was set at least once",
    How.POSITIVE_KWH: "energy above zero, >= 0",
    How.NEGATIVE_KWH: "energy below zero, >= 0",
}


def _rolled(column: RollUpColumn) -> ColumnInfo:
    if column.how is How.TALLY:
        unit, meaning = _TALLIES[column.name]
    else:
        units = {s.name: s.unit for s in SIGNALS.values()} | {d.name: d.unit for d in DECISIONS}
        unit = units[column.source]
        meaning = f"{column.source}: {_HOW[column.how]}"
        if column.how in (How.POSITIVE_KWH, How.NEGATIVE_KWH):
            unit = "kWh"
        elif column.how is How.COUNT:
            unit = ""
    return ColumnInfo(column.name, unit, meaning, sql_type(column))


def _roll_up(name: str, meaning: str) -> TableInfo:
    return TableInfo(
        name,
        meaning,
        "ts",
        ("ts",),
        (
            _time("ts", "Start of the interval"),
            SITE,
            *(_rolled(column) for column in roll_up_columns().values()),
            *(ColumnInfo(w.name, "", f"{w.name} that held longest", "VARCHAR") for w in WORDS),
            _flag("simulated", "Simulated devices supplied some of the values"),
        ),
    )


@cache
def tables() -> dict[str, TableInfo]:
    """Return every table by name."""
    found = (
        TableInfo(
            "samples",
            "One control cycle, about every 2 s; raw, as it was decided and measured",
            "ts",
            ("ts",),
            (
                _time("ts", "Start of the control cycle"),
                SITE,
                *_signals(),
                *DECISIONS,
                *WORDS,
                _count("unusable", "Configured signals that were not usable in this cycle"),
                _flag("simulated", "Simulated devices supplied the values"),
            ),
        ),
        _roll_up(
            "minutes",
            "One minute of samples; minutes that are over, the newest five may still be missing",
        ),
        _roll_up("quarter_hours", "One quarter-hour of samples, likewise"),
        TableInfo(
            "prices",
            "One published price",
            "ts",
            ("ts",),
            (
                _time("ts", "Start of the interval"),
                SITE,
                _c("minutes", "min", "Length of the interval", "INTEGER"),
                *_prices(),
                _word("source", "Where it came from; 'import:...' for prices read from a file"),
                _time("fetched_at", "When it was obtained"),
            ),
        ),
        TableInfo(
            "plans",
            "One published plan",
            "created_at",
            ("created_at", "plan_id"),
            (
                _word("plan_id", "Name of the plan"),
                SITE,
                _time("created_at", "When it was made"),
                _time("start_at", "Start of its first step"),
                _c("step_minutes", "min", "Length of a step", "INTEGER"),
                _count("n_steps", "Number of steps"),
                _c("soc_start_kwh", "kWh", "Energy in the battery it starts with"),
                _word("strategy", "Strategy it was made with"),
                _c("cost_eur", "EUR", "Expected cost, less the value of the energy left"),
                _c("baseline_cost_eur", "EUR", "Expected cost without a battery"),
                _c("profit_24h_eur", "EUR", "Expected profit of its first 24 h"),
                _word("status", "What the solver said"),
                _word("solver", "The solver"),
                _c("gap", "", "Proven relative distance to the optimum"),
                _c("solve_ms", "ms", "Time inside the solver"),
                _flag("check_passed", "The independent check found it within all limits"),
                _c("check_violation_kw", "kW", "Largest violation of a power limit"),
                _c("check_violation_kwh", "kWh", "Largest violation of an energy limit"),
                _c("check_cost_difference_eur", "EUR", "Cost of the check less cost of the plan"),
                _word("check_messages", "What the check found, JSON list"),
                _word("triggered_by", "Why it was made"),
                _word("gave_way", "What could not be met and by how much (kW or kWh), JSON"),
                _word("forecast_sources", "Series to model and data behind it, JSON"),
                _c("billed_peak_kw", "kW", "Peak already incurred in the billing period"),
                _c("smoothing_eur_per_kwh", "EUR/kWh", "Price put on changes of the load"),
                _c("peak_price_eur_per_kwh", "EUR/kWh", "Price of energy above the peak"),
                _flag("grid_charge_allowed", "The battery may charge from the grid"),
                _flag("battery_export_allowed", "The battery may feed the grid"),
            ),
        ),
        TableInfo(
            "plan_steps",
            "One step of a published plan",
            "ts",
            ("plan_created_at", "plan_id", "step"),
            (
                _time("ts", "Start of the step"),
                SITE,
                _word("plan_id", "Name of the plan"),
                _time("plan_created_at", "When the plan was made"),
                _count("step", "Number of the step, from 0"),
                _c("battery_kw", "kW", "Planned battery power, + discharge, - charge"),
                _c("grid_kw", "kW", "Expected power at the grid meter, + import, - export"),
                _c("load_kw", "kW", "Expected load, >= 0"),
                _c("pv_kw", "kW", "Expected PV power, >= 0"),
                _c("curtailed_kw", "kW", "PV power that is given up, >= 0"),
                _c("soc_kwh", "kWh", "Energy in the battery at the end of the step"),
                *_prices(),
                _flag("price_is_forecast", "The price was not published yet"),
                _c("stored_value_eur_per_kwh", "EUR/kWh", "What one more stored kWh is worth"),
                _c("site_price_eur_per_kwh", "EUR/kWh", "What one more kWh on site is worth"),
                _c("peak_share_eur_per_kwh", "EUR/kWh", "Share of the demand charge in it"),
                _c("steering_buy_eur_per_kwh", "EUR/kWh", "Purchase price it was steered by"),
                _c("steering_sell_eur_per_kwh", "EUR/kWh", "Feed-in price it was steered by"),
                _c("smoothing_reference_kw", "kW", "Grid power it was smoothed towards"),
                _c("peak_cap_kw", "kW", "Import the plan keeps below"),
                _c("reserve_kwh", "kWh", "Energy kept for unexpected peaks"),
            ),
        ),
        TableInfo(
            "forecasts",
            "One forecast with all its steps of 15 minutes as lists",
            "issued_at",
            ("issued_at", "signal", "model"),
            (
                _time("issued_at", "When it was made (its vintage)"),
                SITE,
                _word("signal", "Series: load_kw, pv_kw (kW) or spot_eur_per_kwh (EUR/kWh)"),
                _time("start_at", "Start of its first step"),
                _count("n_steps", "Number of steps"),
                _word("model", "Key of the model"),
                _word("method", "Model and data behind it, in words"),
                _c(
                    "p10", "as signal", "Value the truth falls below in one of ten cases", "FLOAT[]"
                ),
                _c("p50", "as signal", "Median", "FLOAT[]"),
                _c("p90", "as signal", "Value the truth exceeds in one of ten cases", "FLOAT[]"),
                _c("known", "", "The value was published or measured already", "BOOLEAN[]"),
            ),
        ),
        TableInfo(
            "forecast_steps",
            "One step of 15 minutes of a forecast",
            "ts",
            ("ts", "signal", "model", "issued_at"),
            (
                _time("ts", "Start of the quarter-hour that was forecast"),
                SITE,
                _word("signal", "Series: load_kw, pv_kw (kW) or spot_eur_per_kwh (EUR/kWh)"),
                _word("model", "Key of the model"),
                _time("issued_at", "When it was forecast (its vintage)"),
                _count("step", "Number of the step, from 0"),
                _c("p10", "as signal", "Value the truth falls below in one of ten cases", "FLOAT"),
                _c("p50", "as signal", "Median", "FLOAT"),
                _c("p90", "as signal", "Value the truth exceeds in one of ten cases", "FLOAT"),
                _flag("known", "The value was published or measured already"),
            ),
        ),
        TableInfo(
            "selections",
            "One choice of strategy",
            "ts",
            ("ts", "plan_id"),
            (
                _time("ts", "When it was chosen"),
                SITE,
                _word("plan_id", "The plan that was made with it"),
                _word("active", "Strategy in force"),
                _word("previous", "Strategy before"),
                _word("best", "Strategy with the lowest expected cost"),
                _word("mode", "'auto' or 'manual'"),
                _word("reason", "Why it was chosen"),
                _c("gain_eur", "EUR", "Expected gain of the best over the previous one"),
                _c("needed_eur", "EUR", "Gain that a change needs"),
                _time("manual_until", "End of a choice by hand"),
            ),
        ),
        TableInfo(
            "selection_candidates",
            "One strategy that could have been chosen, with its value",
            "ts",
            ("ts", "plan_id", "position"),
            (
                _time("ts", "When it was chosen among them"),
                SITE,
                _word("plan_id", "The plan that was made"),
                _count("position", "Place in the list, from 0"),
                _word("strategy", "The strategy"),
                _c("cost_eur", "EUR", "Expected cost"),
                _c("saving_eur", "EUR", "Expected saving against no battery"),
                _c("energy_eur", "EUR", "Part of the cost: energy"),
                _c("wear_eur", "EUR", "Part of the cost: wear of the battery"),
                _c("demand_eur", "EUR", "Part of the cost: demand charge"),
                _c("peak_kw", "kW", "Highest expected import"),
                _c("self_consumption", "", "Share of PV used on site, 0 to 1"),
                _c("full_cycles", "", "Full equivalent cycles"),
                _word("reason", "Why it has no plan"),
            ),
        ),
        TableInfo(
            "ledger",
            "Money booked for one quarter-hour, from measured energy",
            "ts",
            ("ts",),
            (
                _time("ts", "Start of the quarter-hour"),
                SITE,
                _c("seconds", "s", "Measured part of it; 900 when nothing is missing"),
                _c("import_kwh", "kWh", "Energy bought, >= 0"),
                _c("export_kwh", "kWh", "Energy sold, >= 0"),
                _c("battery_charged_kwh", "kWh", "AC energy charged, >= 0"),
                _c("battery_discharged_kwh", "kWh", "AC energy discharged, >= 0"),
                _c("pv_kwh", "kWh", "PV energy, >= 0"),
                *_prices()[1:],
                _c("cost_eur", "EUR", "import x buy - export x sell; negative is income"),
                _word("price_source", "Where the price came from"),
                _word("method", "'counters' (meter registers) or 'integrated' (from power)"),
            ),
        ),
        TableInfo(
            "savings",
            "What a simulated baseline would have done and cost in one quarter-hour",
            "ts",
            ("ts", "baseline"),
            (
                _time("ts", "Start of the quarter-hour"),
                SITE,
                _word("baseline", "The baseline, for example no_battery"),
                _c("import_kwh", "kWh", "Energy it would have bought, >= 0"),
                _c("export_kwh", "kWh", "Energy it would have sold, >= 0"),
                _c("charged_kwh", "kWh", "AC energy its battery would have taken, >= 0"),
                _c("discharged_kwh", "kWh", "AC energy its battery would have given, >= 0"),
                _c("soc_kwh", "kWh", "Energy in its battery at the end of the quarter-hour"),
                _c("cost_eur", "EUR", "import x buy - export x sell; negative is income"),
            ),
        ),
        TableInfo(
            "metrics",
            "One key figure of one local day",
            "day",
            ("day", "metric"),
            (
                ColumnInfo("day", "", "Local day of the site", "DATE"),
                SITE,
                _word("metric", "The figure; its name ends with its unit"),
                _c("value", "as metric", "Its value; empty when it cannot be known"),
            ),
        ),
        TableInfo(
            "events",
            "Something worth remembering",
            "ts",
            ("ts",),
            (
                _time("ts", "When"),
                _word("site_id", "The site; '*' for the whole installation"),
                _word("severity", "'info', 'warning' or 'alarm'"),
                _word("code", "Kind of event"),
                _word("message", "What happened"),
            ),
        ),
        TableInfo(
            "runs",
            "One run of the optimiser, also one that led to no plan",
            "ts",
            ("ts",),
            (
                _time("ts", "When it began"),
                SITE,
                _word("triggered_by", "Why it was made"),
                _word("status", "'published', 'rejected' or 'failed'"),
                _c("duration_ms", "ms", "Duration, forecasts included"),
                _word("strategy", "Strategy chosen"),
                _word("plan_id", "The published plan"),
                _c("expected_profit_eur", "EUR", "Expected profit of the first 24 h"),
                _word("solver", "The solver"),
                _c("gap", "", "Proven relative distance to the optimum"),
                _c("solve_ms", "ms", "Time inside the solver"),
                _word("message", "Why there is no plan"),
            ),
        ),
        TableInfo(
            "tariffs",
            "A tariff that was in force",
            "recorded_at",
            ("recorded_at",),
            (
                _time("recorded_at", "When the program first worked with it"),
                SITE,
                _time("valid_from", "From when it applies; empty for ever"),
                _word("document", "Its terms as JSON, as in ems.yaml"),
            ),
        ),
        TableInfo(
            "devices",
            "A device of the site as it was found, once per change",
            "ts",
            ("ts", "device"),
            (
                _time("ts", "When it was found so"),
                SITE,
                _word("device", "Its name in the configuration"),
                _word("document", "Profile, roles, endpoint and identity as JSON"),
            ),
        ),
    )
    return {table.name: table for table in found}


def table_info(name: str) -> TableInfo:
    """Return the table `name`.

    Raises:
        QueryError: There is none.
    """
    found = tables().get(name)
    if found is None:
        raise QueryError(
            f"There is no table '{name[:60]}'.",
            field="dataset",
            value=name,
            hint=f"Known: {', '.join(tables())}.",
        )
    return found


_UNITS: tuple[tuple[str, str], ...] = (
    ("_eur_per_kwh", "EUR/kWh"),
    ("_eur", "EUR"),
    ("_kwh", "kWh"),
    ("_kw", "kW"),
    ("_percent", "%"),
    ("_hours", "h"),
    ("_kg", "kg"),
    ("_s", "s"),
)


def unit_from_name(name: str) -> str:
    """Return the unit that the name of a key figure ends with; empty for a ratio or count."""
    return next((unit for ending, unit in _UNITS if name.endswith(ending)), "")


def select_list(columns: Iterable[str]) -> str:
    """Return `columns` as SQL."""
    return ", ".join(f'"{name}"' for name in columns)
