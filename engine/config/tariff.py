"""Section ``tariff`` of ``ems.yaml``: what a kWh costs and earns, also over time.

All amounts are net; value-added tax is put on everything the site buys.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationInfo, field_validator, model_validator

from engine.config.section import Percent, Section
from engine.config.tariff_windows import (
    EurPerKwh,
    FeePerKwh,
    FeeWindow,
    PriceWindow,
    TimeWindow,
    check_no_gap,
    check_no_overlap,
)


class DemandChargeConfig(Section):
    """Price of the highest 15-min mean import of each local month or year.

    With `windows` only import inside them counts; they may overlap.

    Attributes:
        eur_per_kw: Price of a kW of the peak.
        period: Span in which one peak is billed.
        windows: Only import inside them counts; empty: always.
    """

    eur_per_kw: Annotated[float, Field(ge=0, le=10_000)]
    period: Literal["month", "year"] = "month"
    windows: list[TimeWindow] = Field(default_factory=list)


class TariffTermsConfig(Section):
    """One tariff.

    buy = ((spot + spot_markup_percent x abs(spot) + spot_markup) x (1 + loss) + grid fee
    + levies) x (1 + VAT), or an energy price in place of everything before the grid fee.
    sell = spot x (1 - sell_fee_percent) - sell_fee, or a feed-in price, or nothing at all.

    Attributes:
        spot_markup_eur_per_kwh: Surcharge on the spot price.
        spot_markup_percent: Surcharge relative to the amount of the spot price.
        loss_percent: Allowance for losses, on spot price and surcharges.
        energy_price_eur_per_kwh: Fixed energy price in place of spot price, surcharges and losses.
        energy_price_windows: Energy price by time.
        grid_fee_eur_per_kwh: Energy part of the grid fee, outside of the windows.
        grid_fee_windows: Grid fee by time.
        levies_eur_per_kwh: Taxes and levies per kWh.
        vat_percent: Value-added tax on everything bought.
        sell_fee_eur_per_kwh: What the marketer keeps per kWh.
        sell_fee_percent: What the marketer keeps of the spot price.
        feed_in_eur_per_kwh: Fixed feed-in price in place of the spot price.
        feed_in_windows: Feed-in price by time.
        feed_in_zero_when_spot_negative: Feed-in earns 0 in quarter-hours with a negative spot
            price.
        export_allowed: False: nothing may be exported, and export earns nothing.
        settlement_minutes: 15, or 60 when the mean spot price of the hour is billed.
        demand_charge: Price of the highest 15-min mean import.
        fixed_fee_eur_per_month: Monthly fee; part of the bill, without influence on plans.
    """

    spot_markup_eur_per_kwh: EurPerKwh = 0.015
    spot_markup_percent: Percent = 0.0
    loss_percent: Percent = 0.0
    energy_price_eur_per_kwh: EurPerKwh | None = None
    energy_price_windows: list[PriceWindow] = Field(default_factory=list)
    grid_fee_eur_per_kwh: FeePerKwh | None = 0.07
    grid_fee_windows: list[FeeWindow] = Field(default_factory=list)
    levies_eur_per_kwh: FeePerKwh = 0.015
    vat_percent: Percent = 0.0
    sell_fee_eur_per_kwh: EurPerKwh = 0.005
    sell_fee_percent: Percent = 0.0
    feed_in_eur_per_kwh: EurPerKwh | None = None
    feed_in_windows: list[PriceWindow] = Field(default_factory=list)
    feed_in_zero_when_spot_negative: bool = False
    export_allowed: bool = True
    settlement_minutes: Literal[15, 60] = 15
    demand_charge: DemandChargeConfig | None = None
    fixed_fee_eur_per_month: Annotated[float, Field(ge=0, le=1_000_000)] = 0.0

    @model_validator(mode="before")
    @classmethod
    def _default_fee_fills_no_gaps(cls, data: Any) -> Any:
        if not isinstance(data, Mapping):
            return data
        # Whoever states windows means them; the default must not silently price the rest.
        if data.get("grid_fee_windows"):
            return {"grid_fee_eur_per_kwh": None, **data}
        # Stated, so that a fee of null without windows is seen below.
        return {**data, "grid_fee_windows": data.get("grid_fee_windows", [])}

    @field_validator("energy_price_windows", "grid_fee_windows", "feed_in_windows")
    @classmethod
    def _windows_fit(cls, value: list[TimeWindow], info: ValidationInfo) -> list[TimeWindow]:
        check_no_overlap(value)
        base_key = str(info.field_name).replace("_windows", "_eur_per_kwh")
        # A base that is wrong itself is missing from the data and has its own message.
        if value and _is_null(info, base_key):
            check_no_gap(value, base_key)
        if not value and info.field_name == "grid_fee_windows" and _is_null(info, base_key):
            raise ValueError(
                "Without windows there must be a grid fee (grid_fee_eur_per_kwh is null). "
                "Set grid_fee_eur_per_kwh; 0 where there is none."
            )
        return value

    @field_validator("energy_price_eur_per_kwh", "energy_price_windows")
    @classmethod
    def _no_markup_on_a_fixed_price(cls, value: Any, info: ValidationInfo) -> Any:
        if _is_first_stated(value, info, "energy_price_eur_per_kwh"):
            cls._exclude(
                info,
                ("spot_markup_eur_per_kwh", "spot_markup_percent", "loss_percent"),
                "An energy price takes the place of the day-ahead price with its surcharges",
            )
        return value

    @field_validator("feed_in_eur_per_kwh", "feed_in_windows")
    @classmethod
    def _no_fee_on_a_fixed_feed_in(cls, value: Any, info: ValidationInfo) -> Any:
        if _is_first_stated(value, info, "feed_in_eur_per_kwh"):
            cls._exclude(
                info,
                ("sell_fee_eur_per_kwh", "sell_fee_percent"),
                "A feed-in price takes the place of the day-ahead price with its fees",
            )
        return value

    @field_validator("export_allowed")
    @classmethod
    def _zero_export_earns_nothing(cls, value: bool, info: ValidationInfo) -> bool:
        keys = ("feed_in_eur_per_kwh", "feed_in_windows")
        if not value and any(info.data.get(key) for key in keys):
            key = next(key for key in keys if info.data.get(key))
            raise ValueError(
                f"Without export (false) nothing is earned, but {key} is set. "
                f"Remove {key}, or set export_allowed: true."
            )
        return value

    @classmethod
    def _exclude(cls, info: ValidationInfo, keys: tuple[str, ...], why: str) -> None:
        for key in keys:
            # 0 and the default change nothing, and a written-out default must still load.
            default = cls.model_fields[key].default
            stated = info.data.get(key, default)
            if stated not in (0, default):
                raise ValueError(
                    f"{why}, but {key} is {stated:g}. Remove {key}, or remove {info.field_name}."
                )


class TariffVersionConfig(TariffTermsConfig):
    """A tariff and the local day from whose start it applies; without a day, from ever.

    Attributes:
        valid_from: Local day from whose start it applies; None: from ever.
    """

    valid_from: date | None = None

    @field_validator("valid_from", mode="before")
    @classmethod
    def _a_day(cls, value: object) -> date | None:
        if value is None or (isinstance(value, date) and not isinstance(value, datetime)):
            return value
        if isinstance(value, str):
            try:
                return date.fromisoformat(value)
            except ValueError:
                pass
        raise ValueError(f"{str(value)!r} is not a day. Write it like 2026-01-01, without a time.")


class TariffConfig(TariffTermsConfig):
    """One tariff, or ``versions``: several, each valid from its day until the next one's.

    Attributes:
        versions: Several tariffs, each valid from its day; no other key may stand beside.
    """

    versions: Annotated[list[TariffVersionConfig], Field(min_length=1)] | None = None

    @model_validator(mode="after")
    def _versions_ascend(self) -> TariffConfig:
        if self.versions is None:
            return self
        fields = TariffTermsConfig.model_fields
        for key in sorted(self.model_fields_set & set(fields)):
            stated = getattr(self, key)
            if stated != fields[key].get_default(call_default_factory=True):
                raise ValueError(
                    f"tariff.{key}|This stands beside versions and would apply to none of them."
                    "|Move it into each version it belongs to."
                )
        previous: date | None = None
        for index, version in enumerate(self.versions):
            where = f"tariff.versions.{index}.valid_from"
            day = version.valid_from
            if index and day is None:
                raise ValueError(
                    f"{where}|Only the first version may do without a day."
                    "|Add valid_from: the local day from which this version applies."
                )
            if day is not None and previous is not None and day <= previous:
                raise ValueError(
                    f"{where}|{day} is not after the day of the version before ({previous})."
                    "|Order the versions by valid_from, each with a day of its own."
                )
            previous = day
        return self

    @property
    def dated(self) -> tuple[TariffVersionConfig, ...]:
        """All versions, ascending; a single tariff is one version that always applies."""
        if self.versions is not None:
            return tuple(self.versions)
        terms = {key: getattr(self, key) for key in TariffTermsConfig.model_fields}
        return (TariffVersionConfig.model_construct(valid_from=None, **terms),)


def _is_null(info: ValidationInfo, key: str) -> bool:
    return key in info.data and info.data[key] is None


def _is_first_stated(value: Any, info: ValidationInfo, base_key: str) -> bool:
    """True when `value` is stated and, being windows, no base price has been checked before."""
    if info.field_name == base_key:
        return value is not None
    return bool(value) and _is_null(info, base_key)
