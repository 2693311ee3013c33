"""Which column of a file is which series, in which unit."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from engine.history.query_errors import QueryError

TIME = "ts"
PRICE = "spot_eur_per_kwh"
POWERS = ("load_kw", "pv_kw", "grid_kw", "battery_kw")
PERCENT = "soc_percent"
TARGETS = (TIME, *POWERS, PERCENT, PRICE)
"""What a file may hold."""

UNITS: dict[str, tuple[str, ...]] = {
    TIME: (),
    **dict.fromkeys(POWERS, ("kW", "W", "MW", "kWh", "Wh", "MWh")),
    PERCENT: ("%", "fraction"),
    PRICE: ("EUR/kWh", "EUR/MWh", "ct/kWh"),
}
"""Units each target may have in a file; energies are those of an interval."""

_POWER_UNITS = {"w": 0.001, "kw": 1.0, "mw": 1000.0}
_ENERGY_UNITS = {"wh": 0.001, "kwh": 1.0, "mwh": 1000.0}
_PRICE_UNITS = {"eur/kwh": 1.0, "eur/mwh": 0.001, "ct/kwh": 0.01, "cent/kwh": 0.01}
_SHARE_UNITS = {"%": 1.0, "percent": 1.0, "fraction": 100.0}

_NAMES: dict[str, tuple[str, ...]] = {
    TIME: (
        *("ts", "tsutc", "time", "timestamp", "datetime", "date", "datum", "zeit", "zeitstempel"),
        *(
            "uhrzeit",
            "zeitpunkt",
            "datumzeit",
            "datumuhrzeit",
            "utc",
            "datetimeutc",
            "timestamputc",
            "von",
        ),
    ),
    "load_kw": (
        *("load", "consumption", "demand", "last", "verbrauch", "lastgang", "siteload", "house"),
        *("stromverbrauch", "hausverbrauch"),
    ),
    "pv_kw": ("pv", "solar", "photovoltaic", "photovoltaik", "erzeugung", "generation", "pvpower"),
    "grid_kw": ("grid", "meter", "netz", "gridpower", "netzbezug", "bezug"),
    "battery_kw": ("battery", "bess", "batterie", "speicher", "batterypower"),
    PERCENT: ("soc", "stateofcharge", "ladezustand"),
    PRICE: (
        *("price", "spot", "preis", "spotprice", "marketprice", "dayahead", "boersenpreis"),
        *("marktpreis", "spotpreis"),
    ),
}
JOIN = "+"
"""Between a column of days and one of times of day that are one time together."""

_DAYS, _HOURS = ("date", "datum"), ("time", "zeit", "uhrzeit", "von")
_UNIT_IN_NAME = re.compile(r"[\[(]\s*([^\])]+?)\s*[\])]\s*$")
_UNIT_ENDINGS = (
    ("_eur_per_kwh", "EUR/kWh"), ("_eur_per_mwh", "EUR/MWh"), ("_ct_per_kwh", "ct/kWh"),
    ("_percent", "%"), ("_mwh", "MWh"), ("_kwh", "kWh"), ("_wh", "Wh"), ("_mw", "MW"),
    ("_kw", "kW"), ("_w", "W"),
)  # fmt: skip


Stated = tuple[str, str, str]
"""A column, what it is (one of `TARGETS`), its unit; an empty one is looked for in its name."""


@dataclass(frozen=True, slots=True)
class ColumnMap:
    """One column that is taken.

    Attributes:
        column: Its name in the file.
        target: One of `TARGETS`.
        unit: Its unit in the file; empty for times.
        factor: What turns a value into the unit of the target; energies into kWh per interval.
        is_energy: A value is the energy of its interval.
        guessed: It was recognised, not stated.
    """

    column: str
    target: str
    unit: str
    factor: float
    is_energy: bool = False
    guessed: bool = False

    def __str__(self) -> str:
        unit = f" ({self.unit})" if self.unit else ""
        how = ", recognised" if self.guessed else ""
        return f"{self.column} -> {self.target}{unit}{how}"


def parse_map(text: str, columns: Sequence[str]) -> tuple[ColumnMap, ...]:
    """Return the mapping a user stated: ``Zeit=ts,Last=load_kw:kWh,Netz=grid_kw:-kW``.

    A minus before the unit turns the sign around.

    Raises:
        QueryError: A column, target or unit is unknown, or something is named twice.
    """
    stated: list[Stated] = []
    for part in (p.strip() for p in text.split(",") if p.strip()):
        column, equals, rest = part.rpartition("=")
        target, _, unit = rest.partition(":")
        if not equals or target.strip() not in TARGETS:
            raise _wrong(
                f"'{part}' is no mapping",
                f"Write COLUMN=TARGET:UNIT; targets are {', '.join(TARGETS)}.",
            )
        stated.append((column.strip(), target.strip(), unit.strip()))
    return stated_map(stated, columns)


def stated_map(stated: Iterable[Stated], columns: Sequence[str]) -> tuple[ColumnMap, ...]:
    """Return the mapping that is stated column by column.

    Raises:
        QueryError: A column, target or unit is unknown, or something is named twice.
    """
    maps: list[ColumnMap] = []
    for column, target, unit in stated:
        parts = column.split(JOIN) if target == TIME and column not in columns else [column]
        for name in parts:
            if name not in columns:
                raise _wrong(f"There is no column '{name}'", f"There are {', '.join(columns)}.")
        maps.append(_map(column, target, unit or _named_unit(column), guessed=False))
    return _checked(maps, columns)


def guess_map(columns: Sequence[str]) -> tuple[ColumnMap, ...]:
    """Return the mapping that the names of the columns suggest.

    Raises:
        QueryError: No time or no series is recognised, or two columns look alike.
    """
    maps: list[ColumnMap] = []
    for column in columns:
        plain = _plain(column)
        for target, names in _NAMES.items():
            own = re.sub("[^a-z]", "", target.lower())
            if plain in names or plain == own:
                maps.append(_map(column, target, _named_unit(column), guessed=True))
                break
    times = [m for m in maps if m.target == TIME]
    if len(times) == 2 and _plain(times[0].column) in _DAYS and _plain(times[1].column) in _HOURS:
        both = _map(JOIN.join(m.column for m in times), TIME, "", guessed=True)
        maps = [both, *(m for m in maps if m.target != TIME)]
    return _checked(maps, columns)


def _map(column: str, target: str, unit: str, *, guessed: bool) -> ColumnMap:
    if target == TIME:
        return ColumnMap(column, target, "", 1.0, guessed=guessed)
    sign = -1.0 if unit.startswith("-") else 1.0
    word = unit.removeprefix("-").strip().lower().replace("€", "eur").replace(" ", "")
    if target == PRICE:
        known = _PRICE_UNITS
    elif target == PERCENT:
        known = _SHARE_UNITS
        word = word or "%"
    else:
        known = _POWER_UNITS | _ENERGY_UNITS
    if word not in known:
        raise _wrong(
            f"The unit '{unit}' of the column '{column}' is not known"
            if unit
            else f"The unit of the column '{column}' is not stated",
            f"State it: {column}={target}:UNIT with one of {', '.join(known)}.",
        )
    return ColumnMap(
        column,
        target,
        unit or "%",
        sign * known[word],
        is_energy=target in POWERS and word in _ENERGY_UNITS,
        guessed=guessed,
    )


def _checked(maps: Sequence[ColumnMap], columns: Sequence[str]) -> tuple[ColumnMap, ...]:
    targets = [m.target for m in maps]
    for target in targets:
        if targets.count(target) > 1:
            named = ", ".join(m.column for m in maps if m.target == target)
            raise _wrong(
                f"The columns {named} would all be {target}", "State with --map which one is."
            )
    for what, found in (("time", TIME in targets), ("series", len(targets) > 1)):
        if not found:
            raise _wrong(
                f"No column with a {what} is recognised among {', '.join(columns)}",
                f"State the columns, for example --map '{columns[0]}=ts,{columns[-1]}=load_kw:kW'.",
            )
    return tuple(maps)


def _named_unit(column: str) -> str:
    found = _UNIT_IN_NAME.search(column)
    if found:
        return found.group(1)
    lowered = column.lower()
    return next((unit for ending, unit in _UNIT_ENDINGS if lowered.endswith(ending)), "")


def _plain(column: str) -> str:
    name = _UNIT_IN_NAME.sub("", column).lower()
    for ending, _ in _UNIT_ENDINGS:
        if name.endswith(ending):
            name = name.removesuffix(ending)
            break
    return re.sub("[^a-z]", "", name.replace("ö", "oe"))


def _wrong(message: str, hint: str) -> QueryError:
    return QueryError(f"{message}.", field="--map", hint=hint)
