"""The savings ledger: who paid what in every quarter-hour, and what the battery saved.

For every quarter-hour that counts (`engine.analytics.facts`) and for every side, the real
battery and each baseline alike:

    total = energy + demand + wear - stored

* **energy**: import x buy price - export x sell price, at the prices that were booked then.
* **demand**: the demand charge, booked where it arises: a quarter-hour whose import exceeds
  everything billed before it in its billing period pays the price of a kW for the excess. So
  the quarter-hours of a period add up to its charge, and each euro of it has a time.
* **wear**: ageing, per kWh through the cells. No bill has it; it is stated apart.
* **stored**: change of the stored energy at the price of the month
  (`engine.analytics.stored_value`).

``saving = total of the baseline - total of the real battery``. The **bill** beside it is what the
meter really costs: every booked quarter-hour, also those that do not count in a comparison, and
the fixed fees, which are the same with and without a battery. Energy and demand of the bill are
those of the real battery plus what does not count (`Bill.uncounted_eur`), to the last digit.

All amounts are whole micro-euros (`engine.analytics.money`), so quarter-hours, days and months
add up exactly. The tariff is that of the configuration, in all its dated versions.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

from engine.analytics.baselines import ACTUAL, BASELINES, NO_BATTERY, OPENING
from engine.analytics.money import micro, total
from engine.domain.local_days import day_after, day_period, month_start
from engine.domain.quarter_hour import STEP, STEP_S
from engine.domain.records import LedgerRow, SavingsRow
from engine.domain.site import Battery
from engine.history.store import COVERED_SECONDS
from engine.market.tariff import TariffBook

SIDES: tuple[str, ...] = (ACTUAL, *BASELINES)

BILL = "bill"
"""Key of the running peak of everything that was metered."""

KW_PER_KWH = 3600.0 / STEP_S


@dataclass(frozen=True, slots=True)
class Amounts:
    """Costs of one side, in EUR; all are sums of whole micro-euros.

    Attributes:
        energy_eur: Imports less exports at the booked prices.
        demand_eur: Demand charge.
        wear_eur: Ageing of the battery.
        stored_eur: Value by which the stored energy grew; negative when it fell.
    """

    energy_eur: float = 0.0
    demand_eur: float = 0.0
    wear_eur: float = 0.0
    stored_eur: float = 0.0

    @property
    def total_eur(self) -> float:
        """What the side paid in all: energy, demand and wear, less what it stored."""
        return total((self.energy_eur, self.demand_eur, self.wear_eur, -self.stored_eur))


def add_up(parts: Iterable[Amounts]) -> Amounts:
    """Return the exact sum of amounts."""
    listed = list(parts)
    return Amounts(
        total(part.energy_eur for part in listed),
        total(part.demand_eur for part in listed),
        total(part.wear_eur for part in listed),
        total(part.stored_eur for part in listed),
    )


@dataclass(frozen=True, slots=True)
class SavingsQuarter:
    """One quarter-hour of the ledger.

    Attributes:
        booked: What the meter counted and cost.
        demand_eur: Part of the billed demand charge that arose in it.
        sides: Costs by side; empty when the quarter-hour does not count.
    """

    booked: LedgerRow
    demand_eur: float
    sides: Mapping[str, Amounts] = field(default_factory=dict)

    @property
    def ts(self) -> datetime:
        """Start, UTC."""
        return self.booked.ts

    @property
    def counted(self) -> bool:
        """True when it counts in comparisons."""
        return ACTUAL in self.sides

    @property
    def energy_eur(self) -> float:
        """What the energy through the meter cost."""
        return energy_cost_eur(self.booked)

    def saving_eur(self, baseline: str) -> float | None:
        """Return what was saved against `baseline`; None when it is not known."""
        return saving_eur(self.sides, baseline)


@dataclass(frozen=True, slots=True)
class Bill:
    """What the meter cost, in EUR.

    Attributes:
        energy_eur: All booked energy.
        demand_eur: Demand charge of all fully metered quarter-hours.
        fixed_eur: Fixed fees, by days of the month.
        uncounted_eur: Part of energy and demand that no comparison counts.
    """

    energy_eur: float
    demand_eur: float
    fixed_eur: float
    uncounted_eur: float

    @property
    def total_eur(self) -> float:
        """The whole bill."""
        return total((self.energy_eur, self.demand_eur, self.fixed_eur))


@dataclass(frozen=True, slots=True)
class Carry:
    """What one day hands to the next.

    Attributes:
        last: Start of the last quarter-hour that counted; None before the first.
        stored_kwh: Side to its stored energy after that quarter-hour.
        peak_kw: Side, or `BILL`, to the highest billed import of the running billing period.
    """

    last: datetime | None = None
    stored_kwh: Mapping[str, float] = field(default_factory=dict)
    peak_kw: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DayAccount:
    """One local day of the ledger.

    Attributes:
        day: The local day.
        steps: Its quarter-hours that have passed: 92, 96 or 100 when it is over.
        bill: What the meter cost.
        sides: Costs by side over the quarter-hours that count; a baseline that was not simulated
            for every one of them is absent.
        quarters: Every booked quarter-hour, ascending.
        closing: What the next day starts from.
    """

    day: date
    steps: int
    bill: Bill
    sides: Mapping[str, Amounts]
    quarters: tuple[SavingsQuarter, ...]
    closing: Carry

    @property
    def counted(self) -> int:
        """Quarter-hours that count."""
        return sum(quarter.counted for quarter in self.quarters)

    @property
    def coverage(self) -> float | None:
        """Share of the day's quarter-hours that count, 0..1; None before the first has passed."""
        return self.counted / self.steps if self.steps else None

    def saving_eur(self, baseline: str) -> float | None:
        """Return what was saved against `baseline`; None when nothing counts or it is unknown."""
        return saving_eur(self.sides, baseline) if self.counted else None


def saving_eur(sides: Mapping[str, Amounts], baseline: str) -> float | None:
    """Return the total of `baseline` less that of the real battery, None when one is missing."""
    if ACTUAL not in sides or baseline not in sides:
        return None
    return total((sides[baseline].total_eur, -sides[ACTUAL].total_eur))


def energy_cost_eur(row: LedgerRow) -> float:
    """Return import x buy - export x sell of a booked quarter-hour, in whole micro-euros."""
    return micro(row.import_kwh * row.buy_eur_per_kwh - row.export_kwh * row.sell_eur_per_kwh)


def account_day(
    day: date,
    *,
    booked: Sequence[LedgerRow],
    savings: Iterable[SavingsRow],
    tariff: TariffBook,
    battery: Battery,
    zone: ZoneInfo,
    stored_value_eur_per_kwh: float | None,
    before: Carry,
    now: datetime | None = None,
) -> DayAccount:
    """Return the ledger of one local day.

    Args:
        day: The local day.
        booked: Its booked quarter-hours, ascending.
        savings: Rows of the real battery and of the baselines; from the quarter-hour before the
            day on, because an `OPENING` may stand there. Others are not looked at.
        tariff: Demand charges and fixed fees.
        battery: For wear.
        zone: Local time zone.
        stored_value_eur_per_kwh: Value of a stored kWh this month; None while unknown (then
            nothing is booked either).
        before: What the day before hands over.
        now: Nothing later has passed; None for a day that is over.

    Raises:
        MarketError: No tariff is known for the day.
    """
    start, end = day_period(day, zone)
    meter = _DemandMeter(tariff, start, end, before.peak_kw)
    by_time: dict[datetime, dict[str, SavingsRow]] = {}
    for simulated in savings:
        by_time.setdefault(simulated.ts, {})[simulated.baseline] = simulated

    stored, last = dict(before.stored_kwh), before.last
    quarters = []
    for row in booked:
        whole = row.seconds >= COVERED_SECONDS
        bill_demand_eur = meter.charge_eur(BILL, row) if whole else 0.0
        rows = by_time.get(row.ts, {})
        sides: dict[str, Amounts] = {}
        if ACTUAL in rows and stored_value_eur_per_kwh is not None:
            opening = by_time.get(row.ts - STEP, {}).get(OPENING)
            if opening is not None:
                stored[ACTUAL] = opening.soc_kwh
            for side in SIDES:
                if (at := rows.get(side)) is None:
                    continue
                begin_kwh = stored.get(side, _first_energy(side, opening, at))
                sides[side] = Amounts(
                    energy_eur=at.cost_eur,
                    demand_eur=meter.charge_eur(side, at),
                    wear_eur=wear_eur(battery, at.charged_kwh, at.discharged_kwh),
                    stored_eur=total(
                        (
                            micro(at.soc_kwh * stored_value_eur_per_kwh),
                            -micro(begin_kwh * stored_value_eur_per_kwh),
                        )
                    ),
                )
                stored[side] = at.soc_kwh
            last = row.ts
        quarters.append(SavingsQuarter(row, bill_demand_eur, sides))

    sides_of_day = _day_sides(quarters)
    energy_eur = total(quarter.energy_eur for quarter in quarters)
    billed_eur = total(quarter.demand_eur for quarter in quarters)
    counted = sides_of_day.get(ACTUAL, Amounts())
    return DayAccount(
        day=day,
        steps=_passed(start, end, now),
        bill=Bill(
            energy_eur=energy_eur,
            demand_eur=billed_eur,
            fixed_eur=fixed_fee_eur(tariff, day),
            uncounted_eur=total((energy_eur, billed_eur, -counted.energy_eur, -counted.demand_eur)),
        ),
        sides=sides_of_day,
        quarters=tuple(quarters),
        closing=Carry(last, stored, meter.peak_kw),
    )


def wear_eur(battery: Battery, charged_kwh: float, discharged_kwh: float) -> float:
    """Return the ageing of AC energies: each kWh through the cells costs the same, each way."""
    through_kwh = (
        battery.efficiency_charge * charged_kwh + discharged_kwh / battery.efficiency_discharge
    )
    return micro(battery.wear_cost_eur_per_kwh * through_kwh)


def fixed_fee_eur(tariff: TariffBook, day: date) -> float:
    """Return the day's share of the fixed fee of its month; the shares add up to the fee.

    Raises:
        MarketError: The whole month lies before the first tariff.
    """
    first = month_start(day)
    days = (month_start(day, 1) - first).days
    fee_eur, passed = tariff.fixed_fee(day), (day - first).days
    return total((micro(fee_eur * ((passed + 1) / days)), -micro(fee_eur * (passed / days))))


def months_between(since: date, until: date) -> list[date]:
    """Return the first day of every month that the days from `since` to before `until` meet."""
    months, day = [], month_start(since)
    while day < until:
        months.append(day)
        day = month_start(day_after(day), 1)
    return months


class _DemandMeter:
    """Demand charges of one local day as they arise, side by side."""

    def __init__(
        self, tariff: TariffBook, start: datetime, end: datetime, peak_kw: Mapping[str, float]
    ) -> None:
        # Versions and months begin at local midnight, so a day has one period or none.
        period = next(iter(tariff.billing_periods(start, end)), None)
        running = period is not None and period.start < start
        self.peak_kw = dict(peak_kw) if running else {}
        self._eur_per_kw = period.eur_per_kw if period is not None else 0.0
        self._start = start
        self._billed = tariff.billed_mask(start, (end - start) // STEP)

    def charge_eur(self, side: str, row: LedgerRow | SavingsRow) -> float:
        """Return what the import of a quarter-hour adds to the charge of its period."""
        if self._eur_per_kw <= 0.0 or not self._billed[(row.ts - self._start) // STEP]:
            return 0.0
        before_kw = self.peak_kw.get(side, 0.0)
        peak_kw = max(before_kw, row.import_kwh * KW_PER_KWH)
        self.peak_kw[side] = peak_kw
        # The difference of two rounded charges, so that a period adds up to its own.
        return total((micro(peak_kw * self._eur_per_kw), -micro(before_kw * self._eur_per_kw)))


def _first_energy(side: str, opening: SavingsRow | None, row: SavingsRow) -> float:
    """Everybody starts with what was really stored; who has no battery has nothing stored."""
    if side == NO_BATTERY:
        return 0.0
    return row.soc_kwh if opening is None else opening.soc_kwh


def _day_sides(quarters: Sequence[SavingsQuarter]) -> dict[str, Amounts]:
    counted = [quarter for quarter in quarters if quarter.counted]
    return {
        side: add_up(quarter.sides[side] for quarter in counted)
        for side in SIDES
        if counted and all(side in quarter.sides for quarter in counted)
    }


def _passed(start: datetime, end: datetime, now: datetime | None) -> int:
    until = end if now is None else min(max(now, start), end)
    return (until - start) // STEP
