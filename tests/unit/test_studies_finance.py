from __future__ import annotations

import dataclasses

import pytest

from engine.analytics.studies.finance import (
    Flow,
    Investment,
    Missing,
    appraise_saving,
    irr,
    npv_eur,
    payback_years,
)
from engine.domain.errors import BacktestError
from engine.domain.site import Battery

BATTERY = Battery(100.0, 50.0, 40.0, 0.95, 0.95, 10.0, 90.0)
AGELESS = {"cycle_life": 1e6, "calendar_life_years": 100.0, "end_of_life_percent": 99.0}


def flows(*eur: float) -> list[Flow]:
    return [Flow(float(year), amount) for year, amount in enumerate(eur)]


def test_closed_forms() -> None:
    # An annuity of 100 over 10 years at 5 %: 100 (1 - 1.05^-10) / 0.05 = 772.1735.
    assert npv_eur(flows(-700.0, *[100.0] * 10), 0.05) == pytest.approx(72.1735, abs=1e-4)
    # 100 today for 110 in a year: 10 %; for 121 in two: 10 % as well.
    assert irr(flows(-100.0, 110.0))[0] == pytest.approx(0.10, abs=1e-12)
    assert irr(flows(-100.0, 0.0, 121.0))[0] == pytest.approx(0.10, abs=1e-12)
    # The example in the documentation of numpy-financial: 0.28095.
    assert irr(flows(-100.0, 39.0, 59.0, 55.0, 20.0))[0] == pytest.approx(0.2809484, abs=1e-7)
    # Less comes back than was paid: a negative rate, 50 of 100 after a year.
    assert irr(flows(-100.0, 50.0))[0] == pytest.approx(-0.5, abs=1e-12)


def test_no_rate_of_return_is_said_with_its_reason() -> None:
    assert irr(flows(-100.0, -5.0, -5.0)) == (None, Missing.NEVER_EARNS)
    assert irr(flows(0.0, 5.0)) == (None, Missing.NOTHING_PAID)
    # -100 + 230/q - 132/q^2 has the roots 10 % and 20 %.
    assert irr(flows(-100.0, 230.0, -132.0)) == (None, Missing.NOT_UNIQUE)
    assert irr(flows(-1.0, 100.0)) == (None, Missing.BEYOND_SEARCH)


def test_payback() -> None:
    assert payback_years(flows(-100.0, 40.0, 40.0, 40.0)) == pytest.approx(2.5)
    assert payback_years(flows(-100.0, 40.0, 40.0)) is None
    # 100 (1 + r) after a year pays back the discounted 100 exactly then.
    assert payback_years(flows(-100.0, 110.0), 0.10) == pytest.approx(1.0)
    # A payment at the end that undoes it: never, in the end.
    assert payback_years(flows(-100.0, 120.0, -30.0)) is None


def test_a_battery_that_does_not_age_is_an_annuity() -> None:
    investment = Investment(
        eur_per_kwh=300.0,
        eur_per_kw=100.0,
        fixed_eur=5_000.0,
        om_percent_per_year=1.0,
        om_eur_per_year=150.0,
        lifetime_years=10.0,
        discount_rate_percent=5.0,
        **AGELESS,
    )
    found = appraise_saving(investment, BATTERY, 6_000.0, 0.0)
    assert found.investment_eur == 40_000.0
    # 400 + 150 EUR a year are spent, 6,000 saved; ageing takes 0.1 % of the capacity in 10 years.
    annuity = (1.0 - 1.05**-10) / 0.05
    assert found.npv_eur == pytest.approx(5_450.0 * annuity - 40_000.0, abs=60.0)
    assert found.payback_years == pytest.approx(40_000.0 / 5_450.0, abs=0.02)
    assert found.life_years == 10.0
    assert npv_eur(found.flows, found.irr or 0.0) == pytest.approx(0.0, abs=1e-6)


def test_cycles_shorten_the_life_and_take_capacity() -> None:
    investment = Investment(cycle_life=3_000.0, calendar_life_years=20.0, lifetime_years=15.0)
    calm = appraise_saving(investment, BATTERY, 8_000.0, 0.0)
    worn = appraise_saving(investment, BATTERY, 8_000.0, 300.0)
    assert calm.life_years == 15.0
    assert worn.life_years == pytest.approx(1.0 / (1 / 20 + 300 / 3000))
    # The last, partial year is paid for its part only.
    assert worn.flows[-1].years == pytest.approx(20.0 / 3.0)
    assert worn.flows[-1].eur < 0.7 * worn.flows[1].eur
    assert worn.npv_eur < calm.npv_eur
    # In the middle of its life a battery has lost half of what it may lose: 15 of 30 %.
    halfway = next(f for f in calm.flows if f.years == 10.0)
    upkeep = 0.01 * calm.investment_eur
    assert halfway.eur == pytest.approx(8_000.0 * (1.0 - 0.3 * 9.5 / 20.0) - upkeep)


def test_a_saving_that_does_not_cover_its_upkeep_never_pays_back() -> None:
    found = appraise_saving(Investment(), BATTERY, 100.0, 100.0)
    assert found.payback_years is None
    assert found.discounted_payback_years is None
    assert found.irr is None
    assert found.irr_missing is Missing.NEVER_EARNS
    assert found.npv_eur < -found.investment_eur * 0.9


def test_impossible_assumptions_name_themselves() -> None:
    with pytest.raises(BacktestError, match="cycle_life") as caught:
        Investment(cycle_life=0.0)
    assert caught.value.field == "investment.cycle_life"
    with pytest.raises(BacktestError):
        dataclasses.replace(Investment(), discount_rate_percent=float("nan"))
