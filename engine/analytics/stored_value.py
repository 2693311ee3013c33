"""What a kWh in the store is worth in the accounts: one stated price per local month.

A battery that ends a period fuller than it began has earned nothing yet, and one that ends
emptier has not lost what it sold: the change of stored energy is valued. The price is what a
stored kWh saves when it replaces a bought one:

    value = max(0, efficiency_discharge x mean buy price - wear per kWh drawn)

with the mean of the buy prices booked in the `LOOK_BACK` before the month. Where less than a day
of them is known (the first month of a site), the mean of the first local day of the month that
has any is taken instead; until that day is over, of what is booked of it.

The price stays the same for the whole month, so that within it only the energy at its two ends
counts; every baseline is valued alike. Where a month meets the next, energy that is carried over
leaves at the old price and enters at the new one; neither month books a gain on it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from engine.analytics.money import micro
from engine.domain.local_days import day_after, local_midnight, month_start
from engine.domain.records import LedgerRow
from engine.domain.site import Battery

LOOK_BACK = timedelta(days=28)

FEWEST_ROWS = 92
"""So many booked quarter-hours make a day, even the shortest."""

LedgerRows = Callable[[datetime, datetime], list[LedgerRow]]


def stored_value_eur_per_kwh(
    month: date, ledger: LedgerRows, battery: Battery, zone: ZoneInfo
) -> float | None:
    """Return the value of a stored kWh in the local month of the day `month`.

    Args:
        month: Any day of the month.
        ledger: Returns booked quarter-hours that start in a period, ascending.
        battery: Its efficiency and wear.
        zone: Local time zone.

    Returns:
        EUR/kWh, rounded to a micro-euro; None while nothing is booked.
    """
    first = month_start(month)
    begin, end = local_midnight(first, zone), local_midnight(month_start(first, 1), zone)
    rows = ledger(begin - LOOK_BACK, begin)
    if len(rows) < FEWEST_ROWS:
        rows = _first_day(ledger(begin, end), zone)
    if not rows:
        return None
    mean = sum(row.buy_eur_per_kwh for row in rows) / len(rows)
    return value_at(mean, battery)


def value_at(mean_buy_eur_per_kwh: float, battery: Battery) -> float:
    """Return what a stored kWh saves when it replaces a bought one, EUR/kWh, to a micro-euro."""
    saved = battery.efficiency_discharge * mean_buy_eur_per_kwh
    return micro(max(0.0, saved - battery.wear_cost_eur_per_kwh))


def _first_day(rows: list[LedgerRow], zone: ZoneInfo) -> list[LedgerRow]:
    if not rows:
        return []
    day = rows[0].ts.astimezone(zone).date()
    end = local_midnight(day_after(day), zone)
    return [row for row in rows if row.ts < end]
