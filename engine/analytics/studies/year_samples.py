"""Years that could have been: weeks of recorded years drawn with replacement.

A block bootstrap (Künsch 1989, Annals of Statistics 17, 1217-1241) with blocks of a calendar
week: what happens within a week stays together, and each week of the made-up year comes from a
recorded week of about the same season. Load and PV are drawn together, because both follow the
weather; prices come from another year unless they are to be `paired`. Drawing them apart breaks
how weather moves prices within a week, pairing keeps it and varies less.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from engine.analytics.backtest.case import SiteSeries
from engine.domain.errors import BacktestError
from engine.domain.local_days import local_midnight
from engine.domain.plan import FloatArray
from engine.domain.quarter_hour import STEP
from engine.forecasting.day_table import QUARTERS, locate
from engine.recorded.recording import season_distance_days

SEASON_WEEKS = 3.0
"""A week may come from as many weeks earlier or later in the season."""

DAYS = 7


@dataclass(frozen=True, slots=True, eq=False)
class PriceSeries:
    """Recorded day-ahead prices without a gap.

    Attributes:
        start: Start of the first quarter-hour, UTC.
        spot_eur_per_kwh: Shape (n,).
    """

    start: datetime
    spot_eur_per_kwh: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class _Week:
    """A recorded calendar week whose days all have 24 hours.

    Attributes:
        monday: Its first local day.
        values: By series, shape (7 * 96,).
    """

    monday: date
    values: tuple[FloatArray, ...]


def sample_years(
    sites: Sequence[SiteSeries],
    prices: Sequence[PriceSeries],
    *,
    timezone: str,
    first_monday: date,
    weeks: int,
    n: int,
    seed: int,
    paired: bool = False,
    season_weeks: float = SEASON_WEEKS,
) -> list[SiteSeries]:
    """Return `n` made-up series of `weeks` weeks; the same seed gives the same ones.

    Args:
        sites: Recorded load and PV, of one or several years.
        prices: Recorded prices, of one or several years.
        timezone: IANA name of the site's zone, whose weeks count.
        first_monday: Local day the series begin on.
        weeks: Their length.
        n: How many.
        seed: Seeds the generator.
        paired: Take the prices of the very weeks that load and PV come from.
        season_weeks: How far from its own season a week may come.

    Raises:
        BacktestError: It begins on no Monday, or no week of a season was recorded.
    """
    if first_monday.weekday():
        raise BacktestError(
            f"{first_monday} is no Monday.",
            field="first_monday",
            value=first_monday.isoformat(),
            hint="Give the local Monday on which the made-up year begins.",
        )
    zone = ZoneInfo(timezone)
    start = local_midnight(first_monday, zone)
    end = local_midnight(first_monday + timedelta(weeks=weeks), zone)
    rows, slots = locate(start, (end - start) // STEP, zone, first_monday)
    site_weeks = _weeks_of(
        [(s.start, (s.load_kw, s.pv_kw, s.spot_eur_per_kwh)) for s in sites], zone
    )
    price_weeks = site_weeks
    if not paired:
        price_weeks = _weeks_of([(p.start, (p.spot_eur_per_kwh,)) for p in prices], zone)
    mondays = [first_monday + timedelta(weeks=week) for week in range(weeks)]
    near_sites = [_near(monday, site_weeks, season_weeks, "load and PV") for monday in mondays]
    near_prices = [_near(monday, price_weeks, season_weeks, "prices") for monday in mondays]
    random = np.random.default_rng(seed)
    out = []
    for _ in range(n):
        load, pv, spot = [], [], []
        for own, priced in zip(near_sites, near_prices, strict=True):
            site = own[random.integers(len(own))]
            price = site if paired else priced[random.integers(len(priced))]
            load.append(site.values[0])
            pv.append(site.values[1])
            spot.append(price.values[-1])
        at = rows * QUARTERS + slots
        made = (np.concatenate(parts)[at] for parts in (spot, load, pv))
        out.append(SiteSeries(start, *made))
    return out


def _weeks_of(
    recorded: Sequence[tuple[datetime, tuple[FloatArray, ...]]], zone: ZoneInfo
) -> list[_Week]:
    """Return every complete local week without a change of the clock."""
    out = []
    for start, series in recorded:
        n = series[0].size
        day = start.astimezone(zone).date()
        day += timedelta(days=-day.weekday() % DAYS)
        while True:
            begin = (local_midnight(day, zone) - start) // STEP
            end = (local_midnight(day + timedelta(days=DAYS), zone) - start) // STEP
            if end > n:
                break
            if begin >= 0 and end - begin == DAYS * QUARTERS:
                out.append(_Week(day, tuple(values[begin:end] for values in series)))
            day += timedelta(days=DAYS)
    return out


def _near(monday: date, weeks: Sequence[_Week], season_weeks: float, what: str) -> list[_Week]:
    near = [
        week
        for week in weeks
        if season_distance_days(week.monday, monday) <= season_weeks * DAYS + DAYS / 2
    ]
    if not near:
        raise BacktestError(
            f"No week of {what} near {monday:%d %B} was recorded.",
            field="season_weeks",
            value=season_weeks,
            hint="Give whole years of recordings, or allow weeks from further away.",
        )
    return near
