"""What a battery is worth as an investment: net present value, rate of return, payback.

Definitions as in any textbook of investment appraisal (Brealey, Myers, Allen: Principles of
Corporate Finance, chapters 2 and 5). Amounts are before taxes on income and without financing.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from itertools import pairwise

import numpy as np
from scipy.optimize import brentq

from engine.analytics.backtest.result import BacktestResult
from engine.domain.errors import BacktestError
from engine.domain.site import Battery

DAYS_PER_YEAR = 365.25

LOWEST_RATE, HIGHEST_RATE = -0.99, 10.0
"""A rate of return is looked for between a near total loss and elevenfold money in a year."""

_GRID = 600

HALF_A_CENT_EUR = 0.005
"""What rounding may leave of a balance that is even."""


@dataclass(frozen=True, slots=True)
class Investment:
    """What a battery costs and how it ages. Every default is an assumption, to be replaced.

    Attributes:
        eur_per_kwh: Price per kWh of nameplate capacity.
        eur_per_kw: Price per kW of the larger of charge and discharge power.
        fixed_eur: Price that does not depend on size: planning, connection, building.
        om_percent_per_year: Operation and maintenance per year, percent of the investment.
        om_eur_per_year: Operation and maintenance per year that does not depend on the size.
        lifetime_years: Years the battery is to be used at most.
        discount_rate_percent: Interest that the money would earn elsewhere, per year.
        cycle_life: Full cycles until the capacity has fallen to `end_of_life_percent`.
        calendar_life_years: Years until it has fallen as far by time alone.
        end_of_life_percent: Capacity at which the battery is given up, percent of the new one.
        saving_growth_percent: By how much the saving grows per year with prices; 0 for the
            prices of the period that was replayed.
        residual_percent: What is got for the battery at its end, percent of the investment.

    Raises:
        BacktestError: A value is not possible.
    """

    eur_per_kwh: float = 350.0
    eur_per_kw: float = 120.0
    fixed_eur: float = 8_000.0
    om_percent_per_year: float = 1.0
    om_eur_per_year: float = 0.0
    lifetime_years: float = 15.0
    discount_rate_percent: float = 5.0
    cycle_life: float = 6_000.0
    calendar_life_years: float = 20.0
    end_of_life_percent: float = 70.0
    saving_growth_percent: float = 0.0
    residual_percent: float = 0.0

    def __post_init__(self) -> None:
        bounds = {
            "eur_per_kwh": (0.0, 100_000.0),
            "eur_per_kw": (0.0, 100_000.0),
            "fixed_eur": (0.0, 1e9),
            "om_percent_per_year": (0.0, 100.0),
            "om_eur_per_year": (0.0, 1e9),
            "lifetime_years": (1.0, 60.0),
            "discount_rate_percent": (-50.0, 100.0),
            "cycle_life": (1.0, 1e6),
            "calendar_life_years": (1.0, 100.0),
            "end_of_life_percent": (1.0, 99.0),
            "saving_growth_percent": (-50.0, 50.0),
            "residual_percent": (0.0, 100.0),
        }
        for name, (least, most) in bounds.items():
            value = getattr(self, name)
            if not (math.isfinite(value) and least <= value <= most):
                raise BacktestError(
                    f"{value!r} is not possible for {name}.",
                    field=f"investment.{name}",
                    value=value,
                    hint=f"Give a number from {least:g} to {most:g}.",
                )

    def cost_eur(self, battery: Battery) -> float:
        """Return what `battery` costs to buy and install."""
        power_kw = max(battery.power_charge_max_kw, battery.power_discharge_max_kw)
        return (
            self.fixed_eur
            + self.eur_per_kwh * battery.energy_capacity_kwh
            + self.eur_per_kw * power_kw
        )

    def fade_per_year(self, cycles_per_year: float) -> float:
        """Return the share of the life that a year takes: by time, and by cycles, added."""
        return 1.0 / self.calendar_life_years + cycles_per_year / self.cycle_life

    def as_dict(self) -> dict[str, float]:
        """Return the values by name."""
        return asdict(self)


class Missing(StrEnum):
    """Why there is no rate of return or payback."""

    NEVER_EARNS = "never_earns"
    NOT_UNIQUE = "not_unique"
    NOTHING_PAID = "nothing_paid"
    BEYOND_SEARCH = "beyond_search"


@dataclass(frozen=True, slots=True)
class Flow:
    """Money that flows at one time.

    Attributes:
        years: After the purchase.
        eur: Positive when received.
    """

    years: float
    eur: float


@dataclass(frozen=True, slots=True)
class Appraisal:
    """An investment in figures.

    Attributes:
        investment_eur: Paid at the beginning.
        first_year_eur: Received in the first year after operation and maintenance.
        life_years: Years until the battery is given up.
        npv_eur: Net present value.
        irr: Internal rate of return per year, 0.08 for 8 %; None when there is none.
        irr_missing: Why there is none; None when there is one.
        payback_years: Until the receipts have paid the investment back, not discounted; None
            when they never do within its life.
        discounted_payback_years: The same of discounted receipts.
        flows: All payments.
    """

    investment_eur: float
    first_year_eur: float
    life_years: float
    npv_eur: float
    irr: float | None
    irr_missing: Missing | None
    payback_years: float | None
    discounted_payback_years: float | None
    flows: tuple[Flow, ...]

    def as_dict(self) -> dict[str, object]:
        """Return the figures by name, without the flows."""
        return {
            "investment_eur": self.investment_eur,
            "first_year_eur": self.first_year_eur,
            "life_years": self.life_years,
            "npv_eur": self.npv_eur,
            "irr": self.irr,
            "irr_missing": None if self.irr_missing is None else self.irr_missing.value,
            "payback_years": self.payback_years,
            "discounted_payback_years": self.discounted_payback_years,
        }


def npv_eur(flows: Sequence[Flow], rate: float) -> float:
    """Return the sum of `flows` discounted at `rate` per year (0.05 for 5 %), > -1."""
    return math.fsum(flow.eur / (1.0 + rate) ** flow.years for flow in flows)


def irr(flows: Sequence[Flow]) -> tuple[float | None, Missing | None]:
    """Return the rate at which `flows` are worth nothing, or why there is none.

    The range of rates is scanned for changes of sign and each is bisected (Brent), which finds
    the root where Newton's method diverges, and notices when there are several.
    """
    ordered = sorted(flows, key=lambda flow: flow.years)
    if not any(flow.eur < 0.0 for flow in ordered):
        return None, Missing.NOTHING_PAID
    if not any(flow.eur > 0.0 for flow in ordered):
        return None, Missing.NEVER_EARNS
    # Even steps in log(1 + rate): fine where rates are ordinary, wide where they are absurd.
    grid = np.linspace(math.log1p(LOWEST_RATE), math.log1p(HIGHEST_RATE), _GRID)

    def worth(log_rate: float) -> float:
        return math.fsum(flow.eur * math.exp(-log_rate * flow.years) for flow in ordered)

    values = [worth(float(x)) for x in grid]
    roots: list[float] = []
    for (low, at_low), (high, at_high) in pairwise(zip(grid, values, strict=True)):
        if at_low == 0.0:
            roots.append(float(low))
        elif at_low * at_high < 0.0:
            roots.append(float(brentq(worth, float(low), float(high), xtol=1e-13)))
    if len(roots) > 1:
        return None, Missing.NOT_UNIQUE
    if not roots:
        return None, Missing.BEYOND_SEARCH
    return math.expm1(roots[0]), None


def payback_years(flows: Sequence[Flow], rate: float = 0.0) -> float | None:
    """Return when the receipts have paid back what was spent, None when they never do.

    Receipts come evenly over the time since the flow before them. Where the balance falls
    below zero again later, the last crossing counts.

    Args:
        flows: Payments.
        rate: Discounts them per year; 0 for the plain payback.
    """
    ordered = sorted(flows, key=lambda flow: flow.years)
    balance, before, paid_back = 0.0, 0.0, None
    for flow in ordered:
        amount = flow.eur / (1.0 + rate) ** flow.years
        after = balance + amount
        if balance < -HALF_A_CENT_EUR <= after:
            share = min(1.0, -balance / amount)
            paid_back = before + (flow.years - before) * share
        elif after < -HALF_A_CENT_EUR:
            paid_back = None
        balance, before = after, flow.years
    return paid_back


def appraise(
    investment: Investment, battery: Battery, result: BacktestResult, *, days: float
) -> Appraisal:
    """Return what buying `battery` is worth if every year were like the replayed period.

    The yearly receipt is the saving of the replay without the cost of ageing, which is on no
    bill and enters as lost capacity and a shorter life instead. It falls in proportion to the
    capacity, which falls in a straight line to `end_of_life_percent`.

    Args:
        investment: What it costs.
        battery: What is bought.
        result: What it earned.
        days: Length of the replayed period.

    Raises:
        BacktestError: The period has no length.
    """
    if days <= 0.0:
        raise BacktestError("The period has no length.", field="days", value=days)
    years = days / DAYS_PER_YEAR
    saving = (result.saving_eur + result.wear_eur) / years
    return appraise_saving(investment, battery, saving, result.full_cycles / years)


def appraise_saving(
    investment: Investment, battery: Battery, saving_eur_per_year: float, cycles_per_year: float
) -> Appraisal:
    """Return what buying `battery` is worth at a saving on the bill and cycles per year."""
    paid = investment.cost_eur(battery)
    fade = investment.fade_per_year(cycles_per_year)
    life = min(investment.lifetime_years, 1.0 / fade)
    lost = 1.0 - investment.end_of_life_percent / 100.0
    growth = 1.0 + investment.saving_growth_percent / 100.0
    upkeep = investment.om_eur_per_year + investment.om_percent_per_year / 100.0 * paid
    flows = [Flow(0.0, -paid)]
    begin = 0.0
    while begin < life - 1e-9:
        end = min(math.floor(begin + 1e-9) + 1.0, life)
        left = 1.0 - lost * fade * (begin + end) / 2.0
        grown = growth ** math.floor(begin + 1e-9)
        flows.append(Flow(end, (end - begin) * (saving_eur_per_year * left * grown - upkeep)))
        begin = end
    first_year = flows[1].eur / min(1.0, life)
    if investment.residual_percent:
        flows.append(Flow(life, investment.residual_percent / 100.0 * paid))
    rate = investment.discount_rate_percent / 100.0
    found, missing = irr(flows)
    return Appraisal(
        investment_eur=paid,
        first_year_eur=first_year,
        life_years=life,
        npv_eur=npv_eur(flows, rate),
        irr=found,
        irr_missing=missing,
        payback_years=payback_years(flows),
        discounted_payback_years=payback_years(flows, rate),
        flows=tuple(flows),
    )


def assumptions(investment: Investment) -> tuple[str, ...]:
    """Return what every appraisal rests on, in words."""
    lost = 100.0 - investment.end_of_life_percent
    return (
        f"The battery costs {investment.eur_per_kwh:g} EUR/kWh + {investment.eur_per_kw:g} EUR/kW "
        f"+ {investment.fixed_eur:g} EUR, and {investment.om_percent_per_year:g} % of that "
        f"+ {investment.om_eur_per_year:g} EUR a year to run.",
        f"It loses {lost:g} % of its capacity in a straight line: a year takes 1/"
        f"{investment.calendar_life_years:g} of that, a full cycle 1/{investment.cycle_life:g}; "
        "both are added. It is given up then, after "
        f"{investment.lifetime_years:g} years at the latest. The yearly saving falls with the "
        "capacity; its cost of ageing is not counted a second time.",
        f"Every year is like the replayed period, with savings growing by "
        f"{investment.saving_growth_percent:g} % a year; payments come at the end of each year "
        f"and are discounted at {investment.discount_rate_percent:g} %. Before taxes, without "
        "financing or subsidies.",
    )
