"""Closing local days: perfect foresight, the day's account, its figures, its attribution.

A day is closed when the savings books are kept beyond its end. With each closed day perfect
foresight of the running month is made anew up to it, so the days of the month before it are
closed again as far as it concerns them. Everything is stored as metrics of the day, among them
what the next day starts from (``carry.*``), so that a restart goes on where the last run ended.
Each `step` is one small piece of work.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache

from engine.analytics.attribution import CAUSES, KNOWN_BY, DayCase, attribute_day
from engine.analytics.baselines import ACTUAL, PERFECT_FORESIGHT
from engine.analytics.books import Books
from engine.analytics.day_presence import (
    day_minutes,
    forecast_errors,
    operation_of,
    presence,
)
from engine.analytics.facts import Quarter
from engine.analytics.kpis import KpiSettings, kpis
from engine.analytics.money import micro, total
from engine.analytics.perfect_foresight import DemandTerms, inside, perfect_foresight
from engine.analytics.savings import BILL, SIDES, Carry, DayAccount, account_day
from engine.analytics.stored_value import stored_value_eur_per_kwh
from engine.analytics.totals import day_totals
from engine.domain.errors import OptimizationError
from engine.domain.forecast import MODEL_RUN, Forecast
from engine.domain.local_days import (
    day_after,
    day_period,
    days_between,
    local_day,
    local_midnight,
    month_start,
)
from engine.domain.plan import Plan
from engine.domain.quarter_hour import STEP
from engine.domain.records import MetricRow
from engine.history.store import ForecastHeader

log = logging.getLogger(__name__)

CARRY = "carry."
GAP = "gap."
"""Prefixes of metrics: what the next day starts from, and parts of the gap to perfect foresight."""

STORED_VALUE = "stored_value_eur_per_kwh"

_LOOK_BACK = timedelta(days=400)
_PLAN_AGE = timedelta(hours=6)


class DayBooks:
    """Closes local days. Called by one thread.

    Args:
        books: Site and history.
    """

    def __init__(self, books: Books) -> None:
        self._books = books
        self._next: date | None = None
        self._carry = Carry()
        self._month_carry = Carry()
        self._pending: deque[date] = deque()
        self._new_from: date | None = None
        self._open: tuple[date, Carry] | None = None
        self._values: dict[date, float] = {}
        self._versions: dict[date, int] = {}

    def version(self, month: date) -> int:
        """Return a number that changes whenever a day of the month is closed (again)."""
        return self._versions.get(month, 0)

    @property
    def open_day(self) -> date | None:
        """First day that is not closed; None before anything was looked at."""
        return None if self._open is None else self._open[0]

    def step(self, kept_until: datetime | None) -> bool:
        """Do one piece of work; False when no day is to be closed.

        Args:
            kept_until: End of the savings books (`SavingsBooks.kept_until`).

        Raises:
            EmsError: The history could not be read, or there is no tariff for the day.
        """
        if self._pending:
            self._close(self._pending[0])
            self._pending.popleft()
            return True
        if kept_until is None:
            return False
        if self._next is None:
            self._resume(kept_until)
        assert self._next is not None
        end = local_day(kept_until, self._books.zone)
        if self._next >= end:
            return False
        begin = month_start(self._next)
        last = min(end, month_start(begin, 1)) - timedelta(days=1)
        first = max(begin, self._first_day_of_month(begin))
        self._foresee(first, last)
        self._new_from = self._next
        self._carry = self._month_carry
        self._pending.extend(days_between(first, day_after(last)))
        return True

    def account(self, day: date, now: datetime) -> DayAccount | None:
        """Return the account of a day, of the open day as far as it has come; from any thread.

        None for a day that is neither closed nor the open one.
        """
        opened = self._open
        if opened is not None and day == opened[0]:
            return self._account(day, opened[1], now)
        if opened is None or day > opened[0]:
            return None
        return self._account(day, self._stored_carry(day - timedelta(days=1)))

    def _resume(self, kept_until: datetime) -> None:
        books, zone = self._books, self._books.zone
        today = local_day(kept_until, zone)
        newest = self._newest_closed(today)
        if newest is None:
            rows = books.ledger(kept_until - _LOOK_BACK, kept_until)
            self._next = local_day(rows[0].ts, zone) if rows else today
            self._open = (self._next, self._carry)
            return
        self._next = day_after(newest)
        self._versions[month_start(newest)] = 1
        self._carry = self._stored_carry(newest)
        before = month_start(self._next) - timedelta(days=1)
        self._month_carry = self._carry if before == newest else self._stored_carry(before)
        self._open = (self._next, self._carry)

    def _newest_closed(self, today: date) -> date | None:
        for days in (3, 40, 400):
            rows = self._books.store.metrics(
                self._books.site.site_id, today - timedelta(days=days), day_after(today)
            )
            if rows:
                return max(row.day for row in rows)
        return None

    def _stored_carry(self, day: date) -> Carry:
        rows = self._books.store.metrics(self._books.site.site_id, day, day_after(day))
        return carry_from({row.metric: row.value for row in rows})

    def _first_day_of_month(self, begin: date) -> date:
        """Return the first day of the month with anything booked, or the one to close next."""
        assert self._next is not None
        zone = self._books.zone
        rows = self._books.ledger(local_midnight(begin, zone), local_midnight(self._next, zone))
        return local_day(rows[0].ts, zone) if rows else self._next

    def _foresee(self, first: date, last: date) -> None:
        """Store perfect foresight of the days from `first` to `last` of one month."""
        books = self._books
        since = local_midnight(first, books.zone)
        until = local_midnight(day_after(last), books.zone)
        quarters = books.quarters(since, until)
        value = self._value(first)
        if not quarters or value is None:
            return
        carry = self._month_carry
        start_kwh = carry.stored_kwh.get(PERFECT_FORESIGHT, quarters[0].stored_start_kwh)
        try:
            rows = perfect_foresight(
                quarters,
                site=books.site,
                start_kwh=max(0.0, start_kwh),
                may_export=self._may_export(quarters),
                demand=self._demand(quarters, carry.peak_kw.get(PERFECT_FORESIGHT, 0.0)),
                stored_value_eur_per_kwh=value,
                optimizer=books.solver(),
            )
        except OptimizationError as exc:
            log.warning("no perfect foresight from %s to %s: %s", first, last, exc)
            return
        books.sink.add_savings(rows)
        books.settle()

    def _close(self, day: date) -> None:
        books = self._books
        account = self._account(day, self._carry)
        carry = account.closing
        since, until = day_period(day, books.zone)
        new = self._new_from is not None and day >= self._new_from
        figures: dict[str, float | None]
        if new:
            quarters = books.quarters(since, until)
            minutes = day_minutes(books, since, until)
            figures = day_totals(
                account,
                quarters,
                books.site.battery,
                presence=presence(minutes, since, until) if len(minutes) else None,
                errors=forecast_errors(books, since, until),
            )
            figures |= self._gap(account, quarters, day)
        else:
            # Only perfect foresight is another one; the rest of the day has not changed.
            rows = books.store.metrics(books.site.site_id, day, day_after(day))
            figures = {row.metric: row.value for row in rows}
            fresh = day_totals(account, (), books.site.battery)
            figures |= {key: fresh[key] for key in fresh if key.startswith("perfect_")}
            figures["captured_profit_eur"] = fresh["captured_profit_eur"]
        figures = {key: value for key, value in figures.items() if not key.startswith(CARRY)}
        figures |= kpis(figures, KpiSettings(books.site.battery, books.co2_g_per_kwh))
        figures[STORED_VALUE] = self._value(day)
        figures |= metrics_from(carry)
        books.sink.add_metrics(
            [MetricRow(day, books.site.site_id, key, value) for key, value in figures.items()]
        )
        if len(self._pending) == 1:
            books.settle()
        self._versions[month_start(day)] = self.version(month_start(day)) + 1
        self._carry = carry
        following = day_after(day)
        if self._next is None or following > self._next:
            self._next = following
        if following == self._next:
            self._open = (following, carry)
        if following == month_start(following):
            self._month_carry = carry

    def _account(self, day: date, carry: Carry, now: datetime | None = None) -> DayAccount:
        books = self._books
        since, until = day_period(day, books.zone)
        return account_day(
            day,
            booked=[
                row for row in books.ledger(since, until) if now is None or row.ts + STEP <= now
            ],
            savings=books.store.savings(books.site.site_id, since - STEP, until),
            tariff=books.tariff,
            battery=books.site.battery,
            zone=books.zone,
            stored_value_eur_per_kwh=self._value(day),
            before=carry,
            now=now,
        )

    def _value(self, day: date) -> float | None:
        books, month = self._books, month_start(day)
        if month in self._values:
            return self._values[month]
        value = stored_value_eur_per_kwh(day, books.ledger, books.site.battery, books.zone)
        # Once a day of the month is closed, so is what its price is made of.
        over = self._next is not None and month < month_start(self._next)
        if value is not None and (over or self.version(month) > 0):
            self._values[month] = value
        return value

    def _may_export(self, quarters: Sequence[Quarter]) -> list[bool]:
        first = quarters[0].ts
        mask = self._books.tariff.export_mask(first, (quarters[-1].ts - first) // STEP + 1)
        return [bool(mask[(quarter.ts - first) // STEP]) for quarter in quarters]

    def _demand(self, quarters: Sequence[Quarter], incurred_kw: float) -> list[DemandTerms]:
        """Return the demand charges; a period that began before them has `incurred_kw` already."""
        times = [quarter.ts for quarter in quarters]
        tariff, first = self._books.tariff, times[0]
        mask = tariff.billed_mask(first, (times[-1] - first) // STEP + 1)
        billed = mask[[(ts - first) // STEP for ts in times]]
        day_start = local_midnight(local_day(first, self._books.zone), self._books.zone)
        return [
            DemandTerms(
                billed & inside(times, period.start, period.end),
                period.eur_per_kw,
                incurred_kw if period.start < day_start else 0.0,
            )
            for period in tariff.billing_periods(first, times[-1] + STEP)
        ]

    def _gap(
        self, account: DayAccount, quarters: Sequence[Quarter], day: date
    ) -> dict[str, float | None]:
        """Return the parts of the gap but ``horizon``, which changes with perfect foresight."""
        books = self._books
        actual = account.sides.get(ACTUAL)
        value = self._value(day)
        if actual is None or value is None or not quarters:
            return {}
        since, until = day_period(day, books.zone)
        case = DayCase(
            quarters=quarters,
            operation=operation_of(day_minutes(books, since, until), quarters),
            site=books.site,
            may_export=self._may_export(quarters),
            demand=self._demand(quarters, self._carry.peak_kw.get(ACTUAL, 0.0)),
            stored_value_eur_per_kwh=value,
            tariff=books.tariff,
            vintage_of=Vintages(books, since, until),
            plan_of=Plans(books, since, until),
        )
        try:
            found = attribute_day(
                case, perfect_eur=0.0, actual_eur=actual.total_eur, optimizer=books.solver()
            )
        except OptimizationError as exc:
            log.warning("the gap of %s was not explained: %s", day, exc)
            return {}
        parts: dict[str, float | None] = {
            GAP + cause: found.causes[cause]
            for cause in CAUSES
            if cause != "horizon" and cause not in found.unknown
        }
        # What could not be told is 0 in the chain and stays unsaid.
        return parts | {GAP + cause: None for cause in found.unknown}


class Vintages:
    """Forecasts as they were known at a time of one day (`VintageOf`)."""

    def __init__(self, books: Books, since: datetime, until: datetime) -> None:
        self._books = books
        self._period = (since - _PLAN_AGE, until)
        self._headers = lru_cache(maxsize=None)(self._listed)

    def __call__(self, signal: str, at: datetime) -> Forecast | None:
        """Return the newest forecast issued before or just after `at`."""
        known = [header for header in self._headers(signal) if header.issued_at < at + KNOWN_BY]
        if not known:
            return None
        newest = max(known, key=lambda header: header.issued_at)
        return self._books.store.forecast(
            self._books.site.site_id, signal, newest.issued_at, newest.model
        )

    def _listed(self, signal: str) -> list[ForecastHeader]:
        headers = self._books.store.forecasts(self._books.site.site_id, signal, *self._period)
        return [header for header in headers if header.model != MODEL_RUN]


class Plans:
    """Plans as they were in force at a time of one day (`PlanOf`)."""

    def __init__(self, books: Books, since: datetime, until: datetime) -> None:
        self._store = books.store
        self._headers = books.store.plans(books.site.site_id, since - _PLAN_AGE, until)
        self._plan = lru_cache(maxsize=4)(books.store.plan)

    def __call__(self, at: datetime) -> Plan | None:
        """Return the newest plan made before or just after `at`."""
        known = [header for header in self._headers if header.created_at < at + KNOWN_BY]
        return self._plan(known[-1].plan_id) if known else None


def metrics_from(carry: Carry) -> dict[str, float | None]:
    """Return what a day hands on as metrics."""
    out: dict[str, float | None] = {}
    if carry.last is not None:
        out[CARRY + "last"] = carry.last.timestamp()
    out |= {f"{CARRY}stored_kwh.{side}": value for side, value in carry.stored_kwh.items()}
    out |= {f"{CARRY}peak_kw.{side}": value for side, value in carry.peak_kw.items()}
    return out


def carry_from(metrics: Mapping[str, float | None]) -> Carry:
    """Return what a day handed on; the inverse of `metrics_from`."""
    last = metrics.get(CARRY + "last")

    def by_side(kind: str, sides: Iterable[str]) -> dict[str, float]:
        found = {side: metrics.get(f"{CARRY}{kind}.{side}") for side in sides}
        return {side: value for side, value in found.items() if value is not None}

    return Carry(
        None if last is None else datetime.fromtimestamp(last, UTC),
        by_side("stored_kwh", SIDES),
        by_side("peak_kw", (*SIDES, BILL)),
    )


def gap_parts(metrics: Mapping[str, float | None]) -> dict[str, float] | None:
    """Return every part of a day's gap, adding up exactly, from its metrics.

    None where perfect foresight or the chain is not known.
    """
    best, mine = metrics.get("perfect_profit_eur"), metrics.get("captured_profit_eur")
    if best is None or mine is None or metrics.get(GAP + "rest") is None:
        return None
    parts = {cause: micro(metrics.get(GAP + cause) or 0.0) for cause in CAUSES[1:]}
    horizon = total((best, -mine, *(-value for value in parts.values())))
    return {CAUSES[0]: horizon, **parts}
