"""The form of a backtest: its fields, what they begin with, and what they ask for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.domain.errors import BacktestError
from engine.recorded import library
from engine.runtime.backtests.desk import BacktestDefaults
from engine.runtime.backtests.request import InvestmentConfig

Values = Mapping[str, Any]

STRATEGIES: tuple[str, ...] = (
    *("co_optimised", "auto", "arbitrage", "peak_shaving"),
    *("self_consumption", "load_balancing", "self_consumption_rule", "timer"),
)
CHOSEN: tuple[str, ...] = ("co_optimised", "self_consumption_rule", "timer")
FORECASTERS: tuple[str, ...] = (
    *("day_type", "blend", "ridge", "naive"),
    *("perfect_36h", "perfect"),
)
STUDIES: tuple[str, ...] = ("limits", "forecast", "montecarlo")
"""Studies that ask for nothing more than to be done."""

OTHER_TARIFFS: tuple[str, ...] = ("other1", "other2")
"""Sections of the other tariffs that are compared with the one in force."""

SOURCES: tuple[str, ...] = ("recorded", "history", "upload")
SITES: tuple[str, ...] = tuple(library.SITES)
PRICE_YEARS: tuple[str, ...] = tuple(library.PRICE_YEARS)


@dataclass(frozen=True, slots=True)
class NumberField:
    """A number of the form.

    Attributes:
        key: Its name; the part before the dot is the section of the request.
        unit: Unit shown.
        factor: Shown value over value asked for.
        optional: It may be left empty.
        named: Key whose name it bears; its own when empty.
    """

    key: str
    unit: str
    factor: float = 1.0
    optional: bool = False
    named: str = ""

    @property
    def name(self) -> str:
        """The key whose name it bears."""
        return self.named or self.key


BATTERY: tuple[NumberField, ...] = (
    NumberField("bess.energy_capacity_kwh", "kWh"),
    NumberField("bess.power_charge_max_kw", "kW"),
    NumberField("bess.power_discharge_max_kw", "kW"),
    NumberField("bess.efficiency_charge", "%", 100.0),
    NumberField("bess.efficiency_discharge", "%", 100.0),
    NumberField("bess.soc_min_percent", "%"),
    NumberField("bess.soc_max_percent", "%"),
    NumberField("bess.wear_cost_eur_per_kwh", "ct/kWh", 100.0),
    NumberField("bess.standby_loss_kw", "kW"),
    NumberField("grid.import_limit_kw", "kW"),
    NumberField("grid.export_limit_kw", "kW"),
)
TARIFF: tuple[NumberField, ...] = (
    NumberField("tariff.spot_markup_eur_per_kwh", "ct/kWh", 100.0),
    NumberField("tariff.grid_fee_eur_per_kwh", "ct/kWh", 100.0),
    NumberField("tariff.levies_eur_per_kwh", "ct/kWh", 100.0),
    NumberField("tariff.vat_percent", "%"),
    NumberField("tariff.feed_in_eur_per_kwh", "ct/kWh", 100.0, optional=True),
    NumberField("tariff.sell_fee_eur_per_kwh", "ct/kWh", 100.0),
    NumberField("demand.eur_per_kw", "€/kW"),
)
INVESTMENT: tuple[NumberField, ...] = (
    NumberField("investment.eur_per_kwh", "€/kWh"),
    NumberField("investment.eur_per_kw", "€/kW"),
    NumberField("investment.fixed_eur", "€"),
    NumberField("investment.om_percent_per_year", "%/a"),
    NumberField("investment.lifetime_years", "a"),
    NumberField("investment.discount_rate_percent", "%/a"),
    NumberField("investment.cycle_life", "1"),
    NumberField("investment.calendar_life_years", "a"),
    NumberField("investment.end_of_life_percent", "%"),
)
ENERGY_PRICE = NumberField("tariff.energy_price_eur_per_kwh", "ct/kWh", 100.0, optional=True)


def other_tariff(section: str) -> tuple[NumberField, ...]:
    """Return the fields of another tariff."""
    return tuple(
        NumberField(
            f"{section}.{field.key.split('.')[1]}",
            field.unit,
            field.factor,
            field.optional,
            named=field.key,
        )
        for field in (ENERGY_PRICE, *TARIFF)
    )


NUMBERS = {
    field.key: field
    for field in (
        *BATTERY,
        *TARIFF,
        *INVESTMENT,
        *(field for section in OTHER_TARIFFS for field in other_tariff(section)),
    )
}

_MOST_DIGITS = 6


def initial(defaults: BacktestDefaults) -> dict[str, Any]:
    """Return what the fields begin with: the site as it runs."""
    battery, grid = defaults.site.battery, defaults.site.grid
    terms = defaults.tariff.dated[-1]
    demand = terms.demand_charge
    investment = InvestmentConfig().model_dump()
    raw: dict[str, float | None] = {}
    for field in BATTERY:
        section, name = field.key.split(".")
        raw[field.key] = getattr(battery if section == "bess" else grid, name)
    for field in TARIFF[:-1]:
        raw[field.key] = getattr(terms, field.key.split(".")[1])
    raw["demand.eur_per_kw"] = 0.0 if demand is None else demand.eur_per_kw
    for field in INVESTMENT:
        raw[field.key] = investment[field.key.split(".")[1]]
    for section in OTHER_TARIFFS:
        for field in other_tariff(section):
            raw[field.key] = (
                raw["demand.eur_per_kw"]
                if field.name == "demand.eur_per_kw"
                else getattr(terms, field.key.split(".")[1])
            )
    capacity = battery.energy_capacity_kwh
    power = max(battery.power_charge_max_kw, battery.power_discharge_max_kw)
    return {
        **{key: _shown(value, NUMBERS[key].factor) for key, value in raw.items()},
        "energies": ", ".join(f"{capacity * f:g}" for f in (0.5, 0.75, 1.0, 1.5, 2.0)),
        "powers": ", ".join(f"{power * f:g}" for f in (0.5, 0.75, 1.0, 1.5)),
        "demand_period": "month" if demand is None else demand.period,
        **{
            f"{section}.demand_period": "month" if demand is None else demand.period
            for section in OTHER_TARIFFS
        },
    }


def _shown(value: float | None, factor: float) -> float | None:
    return None if value is None else round(value * factor, _MOST_DIGITS)


def request_from(values: Values, start: Values) -> dict[str, Any]:
    """Return what the form asks for.

    Args:
        values: Field to value, as the browser sends them.
        start: What the fields began with: sections left as they were are not sent, so that
            the site's own are taken.

    Raises:
        BacktestError: A field is empty or no number.
    """
    out: dict[str, Any] = {
        "name": (values.get("name") or "").strip(),
        "strategies": list(values.get("strategies") or ()),
        "forecaster": values["forecaster"],
        "plan_minutes": int(values["plan_minutes"]),
        "insured": bool(values.get("insured")),
        "data": _data(values),
    }
    if _changed(values, start, BATTERY):
        out["bess"] = _section(values, "bess", BATTERY)
        out["grid"] = _section(values, "grid", BATTERY)
    if values.get("tariff_own"):
        out["tariff"] = _tariff(values, "tariff", TARIFF, "demand_period")
    if values.get("sizing"):
        out["sizing"] = {
            "energies_kwh": _numbers(values, "energies"),
            "powers_kw": _numbers(values, "powers"),
            "foresight": values.get("sizing_foresight") != "causal",
            "investment": _section(values, "investment", INVESTMENT),
        }
    studies: dict[str, Any] = {name: {} for name in STUDIES if values.get(f"study_{name}")}
    if values.get("study_tariffs"):
        studies["tariffs"] = _other_tariffs(values)
    if studies:
        out["studies"] = studies
    return out


def _data(values: Values) -> dict[str, Any]:
    source = values["source"]
    data: dict[str, Any] = {"source": source}
    for key in ("start", "end"):
        if values.get(key):
            data[key] = values[key]
    if source == "recorded":
        data |= {"site": values["recorded_site"], "prices": values["recorded_prices"]}
    if source == "upload":
        files = values.get("files") or ()
        if not files:
            raise BacktestError(
                "No file has been chosen.", field="data.files", hint="Choose a CSV or Parquet file."
            )
        data["files"] = [{"name": name, "content_base64": content} for name, content in files]
    return data


def _other_tariffs(values: Values) -> list[dict[str, Any]]:
    """Return the other tariffs that have a name."""
    named = {section: (values.get(f"{section}.name") or "").strip() for section in OTHER_TARIFFS}
    found = [
        {
            "name": name,
            "tariff": _tariff(values, section, other_tariff(section), f"{section}.demand_period"),
        }
        for section, name in named.items()
        if name
    ]
    if not found:
        raise BacktestError(
            "The other tariff has no name.",
            field="studies.tariffs",
            hint="Give a tariff to compare with a name; one without a name is left out.",
        )
    return found


def _tariff(
    values: Values, section: str, fields: Sequence[NumberField], period_key: str
) -> dict[str, Any]:
    tariff = {
        name: number
        for name, number in _section(values, section, fields).items()
        if name != "eur_per_kw"
    }
    if tariff.get("feed_in_eur_per_kwh") is not None:
        # A fixed price takes the place of the spot price with its fee.
        tariff["sell_fee_eur_per_kwh"] = 0.0
    if tariff.get("energy_price_eur_per_kwh") is not None:
        tariff["spot_markup_eur_per_kwh"] = 0.0
    demand = _number(values, next(f for f in fields if f.name == "demand.eur_per_kw"))
    if demand:
        tariff["demand_charge"] = {"eur_per_kw": demand, "period": values[period_key]}
    return tariff


def _section(values: Values, section: str, fields: Sequence[NumberField]) -> dict[str, Any]:
    found = {}
    for field in fields:
        head, name = field.key.split(".")
        if head != section:
            continue
        number = _number(values, field)
        if number is not None:
            found[name] = number
    return found


def _number(values: Values, field: NumberField) -> float | None:
    value = values.get(field.key)
    if value is None or value == "":
        if field.optional:
            return None
        raise BacktestError(
            "A number is missing.",
            field=field.key,
            hint="Fill in the field; 0 where there is none.",
        )
    return round(float(value) / field.factor, 12)


def _numbers(values: Values, key: str) -> list[float]:
    text = str(values.get(key) or "")
    out = []
    for part in text.replace(";", ",").split(","):
        if not part.strip():
            continue
        try:
            out.append(float(part))
        except ValueError:
            raise BacktestError(
                f"'{part.strip()[:20]}' is no number.",
                field=f"sizing.{key}",
                value=part,
                hint="Write sizes like 50, 100, 200.",
            ) from None
    return out


def _changed(values: Values, start: Values, fields: Sequence[NumberField]) -> bool:
    return any(values.get(field.key) != start.get(field.key) for field in fields)
