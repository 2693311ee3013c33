"""How much a saving may vary: the same site through many years that could have been."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from engine.analytics.backtest.case import BacktestCase, SiteSeries
from engine.analytics.backtest.policy import Policy
from engine.analytics.studies.finance import DAYS_PER_YEAR, Appraisal, Investment, appraise
from engine.analytics.studies.units import Failure, Outcome, Unit
from engine.analytics.studies.year_samples import PriceSeries, sample_years
from engine.domain.errors import BacktestError
from engine.domain.local_days import local_midnight

WEEKS = 52
PAST_WEEKS = 5
"""Weeks before the replayed ones that forecasts and peak targets learn from."""


@dataclass(frozen=True, slots=True)
class Spread:
    """A figure over all made-up years.

    Attributes:
        p10: One year in ten is below it.
        p50: The median.
        p90: One year in ten is above it.
        mean: The mean.
    """

    p10: float
    p50: float
    p90: float
    mean: float


@dataclass(frozen=True, slots=True, eq=False)
class MonteCarlo:
    """What came of the made-up years.

    Attributes:
        savings_eur: Saving of each, in EUR per year, in the order they were drawn.
        saving: Their spread.
        npv: Spread of the net present value if all years were like one; None without prices
            of the battery.
        failed: Years that could not be replayed; they are left out.
        assumptions: What the numbers rest on, in words.
    """

    savings_eur: tuple[float, ...]
    saving: Spread
    npv: Spread | None
    failed: int
    assumptions: tuple[str, ...]


def monte_carlo_units(
    case: BacktestCase,
    policy: Policy,
    *,
    sites: Sequence[SiteSeries],
    prices: Sequence[PriceSeries],
    n: int,
    seed: int,
    first_monday: date,
    weeks: int = WEEKS,
    paired: bool = False,
) -> list[Unit]:
    """Return the replay of `n` made-up years of the site of `case`.

    Args:
        case: Site, tariff and rules; its own series are not used.
        policy: How the battery is run.
        sites: Recorded load and PV to draw from.
        prices: Recorded prices to draw from.
        n: How many years.
        seed: Seeds the drawing.
        first_monday: Local Monday the replay begins on; `PAST_WEEKS` before it are its past.
        weeks: Weeks replayed.
        paired: Keep prices with the weeks of load and PV they were recorded with.

    Raises:
        BacktestError: There are no years to draw, or too little was recorded.
    """
    if not 1 <= n <= 10_000:
        raise BacktestError(
            f"{n} years cannot be drawn.", field="n", value=n, hint="Give 1 to 10000."
        )
    zone = ZoneInfo(case.site.timezone)
    made = sample_years(
        sites,
        prices,
        timezone=case.site.timezone,
        first_monday=first_monday - timedelta(weeks=PAST_WEEKS),
        weeks=weeks + PAST_WEEKS,
        n=n,
        seed=seed,
        paired=paired,
    )
    start = local_midnight(first_monday, zone)
    end = local_midnight(first_monday + timedelta(weeks=weeks), zone)
    # Weeks are drawn from other dates, so the holidays of the calendar are not theirs.
    return [
        Unit(
            dataclasses.replace(case, series=one, start=start, end=end, holidays_country=None),
            policy,
        )
        for one in made
    ]


def monte_carlo(
    units: Sequence[Unit], outcomes: Sequence[Outcome], investment: Investment | None = None
) -> MonteCarlo:
    """Return the spread of `monte_carlo_units` and what became of them.

    Raises:
        BacktestError: Not a single year could be replayed.
    """
    savings, worths = [], []
    messages = []
    for unit, outcome in zip(units, outcomes, strict=True):
        if isinstance(outcome, Failure):
            messages.append(outcome.message)
            continue
        days = (unit.case.end - unit.case.start) / timedelta(days=1)
        savings.append(outcome.saving_eur * DAYS_PER_YEAR / days)
        if investment is not None:
            found: Appraisal = appraise(investment, unit.case.battery, outcome, days=days)
            worths.append(found.npv_eur)
    if not savings:
        raise BacktestError(
            f"None of the {len(units)} years could be replayed, the first one with: {messages[0]}",
            field="monte_carlo",
        )
    return MonteCarlo(
        savings_eur=tuple(savings),
        saving=spread(savings),
        npv=spread(worths) if worths else None,
        failed=len(messages),
        assumptions=(
            f"{len(savings)} years were put together from recorded weeks of the same season, "
            "drawn with replacement; what was never recorded does not occur.",
            "Every year has the tariff and the site as they are; public holidays are not kept.",
        ),
    )


def spread(values: Sequence[float]) -> Spread:
    """Return the percentiles of at least one value, interpolated between neighbours."""
    p10, p50, p90 = np.percentile(np.asarray(values), [10.0, 50.0, 90.0])
    return Spread(float(p10), float(p50), float(p90), float(np.mean(values)))
