"""Demand charge and fixed fees: local months and years, versions, billed times."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from engine.config.tariff import TariffConfig
from engine.domain.errors import MarketError
from engine.domain.quarter_hour import STEP
from engine.market.tariff import TariffBook
from engine.market.tariff_billing import BillingPeriod
from engine.market.tariff_terms import DemandCharge

VIENNA = ZoneInfo("Europe/Vienna")


def book(*versions: dict[str, Any]) -> TariffBook:
    return TariffBook(TariffConfig.model_validate({"versions": list(versions)}), VIENNA)


def day(year: int, month: int, of_month: int) -> datetime:
    return datetime(year, month, of_month, tzinfo=VIENNA).astimezone(UTC)


def demand(eur_per_kw: float, period: str = "month", **more: Any) -> dict[str, Any]:
    return {"demand_charge": {"eur_per_kw": eur_per_kw, "period": period, **more}}


def test_months_meet_at_local_midnight() -> None:
    last_hour = datetime(2026, 3, 31, 21, 45, tzinfo=UTC)
    assert book(demand(8)).billing_periods(last_hour, last_hour + 2 * STEP) == (
        BillingPeriod(day(2026, 3, 1), day(2026, 4, 1), 8.0, "month"),
        BillingPeriod(day(2026, 4, 1), day(2026, 5, 1), 8.0, "month"),
    )
    assert day(2026, 4, 1) == last_hour + STEP
    assert len(book(demand(8)).billing_periods(last_hour, last_hour + STEP)) == 1


def test_a_year_is_one_period() -> None:
    tariff = book(demand(96, "year"))
    assert tariff.billing_periods(day(2026, 12, 31), day(2027, 1, 1)) == (
        BillingPeriod(day(2026, 1, 1), day(2027, 1, 1), 96.0, "year"),
    )
    assert len(tariff.billing_periods(day(2026, 12, 31), day(2027, 1, 2))) == 2
    assert tariff.demand_charge(day(2026, 5, 5)) == DemandCharge(96.0, "year")


def test_value_added_tax_is_on_the_demand_charge_too() -> None:
    tariff = book({"vat_percent": 20, **demand(10)})
    charge = tariff.demand_charge(day(2026, 5, 5))
    assert charge is not None
    assert charge.eur_per_kw == pytest.approx(12)
    (period,) = tariff.billing_periods(day(2026, 5, 5), day(2026, 5, 6))
    assert period.eur_per_kw == pytest.approx(12)


def test_without_a_demand_charge_there_are_no_periods() -> None:
    tariff = book({})
    assert tariff.billing_periods(day(2026, 1, 1), day(2027, 1, 1)) == ()
    assert tariff.demand_charge(day(2026, 1, 1)) is None
    assert not tariff.billed_mask(day(2026, 1, 1), 96).any()


def test_a_new_demand_charge_cuts_the_month_by_days() -> None:
    tariff = book(demand(9), {"valid_from": "2026-06-11", **demand(12)})
    assert tariff.billing_periods(day(2026, 6, 10), day(2026, 6, 12)) == (
        BillingPeriod(day(2026, 6, 1), day(2026, 6, 11), pytest.approx(3.0), "month"),
        BillingPeriod(day(2026, 6, 11), day(2026, 7, 1), pytest.approx(8.0), "month"),
    )


def test_a_new_energy_price_cuts_no_peak_in_two() -> None:
    windows = {"windows": [{"from": "17:00", "to": "20:00"}]}
    renamed = {"windows": [{"name": "peak", "from": "17:00", "to": "20:00"}]}
    tariff = book(
        demand(9, **windows),
        {"valid_from": "2026-06-11", "levies_eur_per_kwh": 0.02, **demand(9, **renamed)},
        {"valid_from": "2026-06-21", **demand(9)},
    )
    spans = [(p.start, p.end) for p in tariff.billing_periods(day(2026, 6, 1), day(2026, 7, 1))]
    assert spans == [(day(2026, 6, 1), day(2026, 6, 21)), (day(2026, 6, 21), day(2026, 7, 1))]


def test_from_year_to_month_and_from_nothing_to_something() -> None:
    tariff = book(
        {"valid_from": "2026-02-10"},
        {"valid_from": "2026-03-01", **demand(73, "year")},
        {"valid_from": "2026-12-01", **demand(8)},
    )
    first, second, third = tariff.billing_periods(day(2026, 2, 10), day(2027, 1, 15))
    assert (first.start, first.end, first.kind) == (day(2026, 3, 1), day(2026, 12, 1), "year")
    assert first.eur_per_kw == pytest.approx(73 * 275 / 365)
    assert (second.start, second.eur_per_kw) == (day(2026, 12, 1), 8.0)
    assert third.end == day(2027, 2, 1)
    with pytest.raises(MarketError, match="2026-02-10"):
        tariff.billing_periods(day(2026, 2, 9), day(2026, 4, 1))
    assert tariff.billing_periods(day(2026, 5, 1), day(2026, 5, 1)) == ()


def test_only_import_in_the_billed_windows_counts() -> None:
    winter_evenings = {"from": "17:00", "to": "20:00", "weekdays": ["mon"], "months": [1, 12]}
    tariff = book(demand(8, windows=[winter_evenings]))
    monday = tariff.billed_mask(day(2026, 1, 5), 96)
    assert monday.nonzero()[0].tolist() == list(range(68, 80))
    assert not tariff.billed_mask(day(2026, 1, 6), 96).any()
    assert not tariff.billed_mask(day(2026, 6, 1), 96).any()
    assert book(demand(8)).billed_mask(day(2026, 6, 1), 96).all()


def test_the_fixed_fee_of_a_month() -> None:
    tariff = book(
        {"valid_from": "2026-01-11", "fixed_fee_eur_per_month": 31},
        {"valid_from": "2026-06-16", "fixed_fee_eur_per_month": 60, "vat_percent": 20},
    )
    assert tariff.fixed_fee(date(2026, 1, 5)) == pytest.approx(21), "21 of 31 days have a tariff"
    assert tariff.fixed_fee(date(2026, 2, 1)) == pytest.approx(31)
    assert tariff.fixed_fee(date(2026, 6, 30)) == pytest.approx(31 / 2 + 72 / 2)
    assert tariff.fixed_fee(date(2026, 12, 1)) == pytest.approx(72)
    with pytest.raises(MarketError, match="2025-12"):
        tariff.fixed_fee(date(2025, 12, 31))


def test_leap_years_share_by_their_own_days() -> None:
    tariff = book({}, {"valid_from": "2028-02-29", **demand(29)})
    (period,) = tariff.billing_periods(day(2028, 2, 1), day(2028, 3, 1))
    assert period.eur_per_kw == pytest.approx(1.0)
    assert period.end - period.start == timedelta(days=1)
