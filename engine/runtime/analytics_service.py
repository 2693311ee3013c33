"""Savings, key figures and data quality: kept by a thread of its own, read by pages and the API.

Nothing here is in the control path. The thread does one small piece after the other: late
bookings and baselines first, then the days that are over. What it keeps is stored, so reads are
mostly queries; the running day is computed when somebody asks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from engine.analytics.attribution import CAUSES, Attribution
from engine.analytics.books import Books
from engine.analytics.day_books import DayBooks, gap_parts
from engine.analytics.day_presence import day_minutes, presence
from engine.analytics.kpis import KpiSettings, kpis
from engine.analytics.ledger import QuoteAt
from engine.analytics.money import total
from engine.analytics.quality import QualityReport, quality_of
from engine.analytics.savings import DayAccount, SavingsQuarter, months_between
from engine.analytics.savings_books import SavingsBooks
from engine.analytics.totals import added, day_totals
from engine.domain.clock import Clock
from engine.domain.errors import EmsError
from engine.domain.local_days import day_after, day_period, days_between, local_day, month_start
from engine.domain.quarter_hour import quarter_start
from engine.domain.records import RunRow
from engine.history.columns import ColumnKey, Columns, Resolution

LONGEST_QUARTERS = timedelta(days=35)
"""Longest period that is answered quarter-hour by quarter-hour."""

KEPT_ACCOUNTS = 70
"""Accounts of so many days are kept for the next question."""

WARM = timedelta(days=366)
"""Figures of so many days are read before anybody asks."""

BUSY_S, IDLE_S = 0.02, 5.0
"""Real seconds between two pieces of work, and until the next look when there was none."""

STATE_COLUMNS: tuple[ColumnKey, ...] = tuple(
    ColumnKey(name)
    for name in ("soc_percent", "battery_kw", "grid_kw", "pv_kw", "load_kw", "setpoint_kw")
)
"""Series of `AnalyticsService.state_history`."""

MINUTES_UP_TO = timedelta(hours=48)
"""Longer periods are answered in quarter-hours."""


@dataclass(frozen=True, slots=True)
class DayFigures:
    """Totals and key figures of one local day.

    Attributes:
        day: The local day.
        closed: False for the day that runs, whose figures still change.
        values: Key (`TOTALS`, `MAXIMA`, `KPIS`) to value, None when unknown.
    """

    day: date
    closed: bool
    values: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class PeriodFigures:
    """Totals and key figures of a range of local days.

    Attributes:
        since: First day.
        until: Day after the last.
        days: Days with any figures.
        totals: Sums and largest values of the days.
        kpis: Key figures of the whole range, from the totals.
    """

    since: date
    until: date
    days: int
    totals: Mapping[str, float | None]
    kpis: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class PeriodAttribution:
    """Where the gap to perfect foresight comes from over a range of local days.

    Attributes:
        since: First day.
        until: Day after the last.
        days: Days of the range for which it is known; the others are not counted at all.
        total: The parts of those days, added; None when it is known for none.
        by_day: Day to its parts.
    """

    since: date
    until: date
    days: int
    total: Attribution | None
    by_day: Mapping[date, Attribution]


class AnalyticsService:
    """Keeps and answers. Reads may come from any thread.

    Args:
        books: Site and history.
        quote_at: Prices at an instant, for what is booked afterwards; None while unknown.
        max_power_kw: Largest power any register can see.
        clock: The engine's time.
        configured: Signals some device is meant to supply.
    """

    def __init__(
        self,
        books: Books,
        quote_at: QuoteAt,
        max_power_kw: float,
        clock: Clock,
        configured: Callable[[], frozenset[str]] = frozenset,
    ) -> None:
        self._books = books
        self._clock = clock
        self._configured = configured
        self._savings = SavingsBooks(books, quote_at, max_power_kw)
        self._days = DayBooks(books)
        self._lock = threading.Lock()
        self._warm = False
        self._months: dict[date, tuple[int, list[DayFigures]]] = {}
        self._accounts: dict[date, tuple[int, DayAccount | None]] = {}
        self._open_figures: tuple[date, datetime, DayFigures | None] | None = None

    def step(self) -> bool:
        """Do one piece of work; False when there is none. Called by one thread.

        Raises:
            EmsError: The history could not be read, or there is no tariff for the time.
        """
        now = self._clock.now()
        if self._savings.step(now) or self._days.step(self._savings.kept_until):
            return True
        if not self._warm:
            # The first page that asks for a year should not wait for all of it.
            today = local_day(now, self._books.zone)
            self.days(today - WARM, today)
            self._warm = True
        return False

    def catch_up(self, pieces: int = 100_000) -> int:
        """Work until nothing is left, for tests and commands; return the pieces done."""
        self._books.settle()
        done = 0
        while done < pieces and self.step():
            done += 1
        return done

    @property
    def kept_until(self) -> datetime | None:
        """End of the last quarter-hour baselines are booked for."""
        return self._savings.kept_until

    def savings(self, since: datetime, until: datetime) -> list[SavingsQuarter]:
        """Return the savings ledger of every booked quarter-hour in ``[since, until)``.

        Args:
            since: First instant, aware.
            until: End, aware; at most `LONGEST_QUARTERS` later.

        Raises:
            EmsError: The period is too long, or the history could not be read.
        """
        if until - since > LONGEST_QUARTERS:
            raise EmsError(
                f"{(until - since).days} days are too many for quarter-hours.",
                field="until",
                value=until.isoformat(),
                hint=f"Ask for at most {LONGEST_QUARTERS.days} days at once.",
            )
        zone, now = self._books.zone, self._clock.now()
        out: list[SavingsQuarter] = []
        for day in days_between(local_day(since, zone), day_after(local_day(until, zone))):
            account = self._account(day, now)
            if account is not None:
                out += [q for q in account.quarters if since <= q.ts < until]
        return out

    def daily(self, days: int) -> list[DayFigures]:
        """Return the figures of the last `days` local days, today included, ascending.

        Days without anything are absent.

        Raises:
            HistoryError: The history could not be read.
        """
        today = local_day(self._clock.now(), self._books.zone)
        return self.days(today - timedelta(days=days - 1), day_after(today))

    def days(self, since: date, until: date) -> list[DayFigures]:
        """Return the figures of the local days from `since` to before `until`, ascending.

        Raises:
            HistoryError: The history could not be read.
        """
        out: list[DayFigures] = []
        for month in months_between(since, until):
            out += [one for one in self._month(month) if since <= one.day < until]
        opened = self._days.open_day
        if opened is not None and since <= opened < until and all(d.day != opened for d in out):
            running = self._running(opened)
            if running is not None:
                out.append(running)
        return out

    def summary(self, since: date, until: date) -> PeriodFigures:
        """Return the figures of the local days from `since` to before `until` as one period.

        Raises:
            HistoryError: The history could not be read.
        """
        days = self.days(since, until)
        totals = added(day.values for day in days)
        return PeriodFigures(since, until, len(days), totals, kpis(totals, self._settings))

    def attribution(self, since: date, until: date) -> PeriodAttribution:
        """Return where the gap to perfect foresight comes from, day by day and together.

        Raises:
            HistoryError: The history could not be read.
        """
        by_day: dict[date, Attribution] = {}
        for day in self.days(since, until):
            parts = gap_parts(day.values)
            if parts is not None:
                unknown = tuple(c for c in CAUSES[1:] if day.values.get(f"gap.{c}") is None)
                by_day[day.day] = Attribution(total(parts.values()), parts, unknown)
        whole = None
        if by_day:
            found = by_day.values()
            whole = Attribution(
                total(day.gap_eur for day in found),
                {cause: total(day.causes[cause] for day in found) for cause in CAUSES},
                tuple(c for c in CAUSES if all(c in day.unknown for day in found)),
            )
        return PeriodAttribution(since, until, len(by_day), whole, by_day)

    def quality(self, day: date) -> QualityReport:
        """Return the data quality report of a local day, of today as far as it has come.

        Raises:
            HistoryError: The history could not be read.
        """
        return quality_of(self._books, day, self._clock.now(), self._configured())

    def state_history(self, hours: int) -> Columns:
        """Return state and powers of the last hours: minutes, beyond two days quarter-hours.

        Raises:
            HistoryError: The history could not be read.
        """
        now, span = self._clock.now(), timedelta(hours=hours)
        fine = span <= MINUTES_UP_TO
        return self._books.store.columns(
            self._books.site.site_id,
            STATE_COLUMNS,
            now - span,
            now,
            Resolution.MINUTE if fine else Resolution.QUARTER_HOUR,
            texts=("state",),
        )

    def runs(self, days: int) -> Sequence[RunRow]:
        """Return the runs of the optimiser of the last days, also failed ones, ascending.

        Raises:
            HistoryError: The history could not be read.
        """
        now = self._clock.now()
        return self._books.store.runs(
            self._books.site.site_id, now - timedelta(days=days), now + timedelta(seconds=1)
        )

    @property
    def _settings(self) -> KpiSettings:
        return KpiSettings(self._books.site.battery, self._books.co2_g_per_kwh)

    def _month(self, month: date) -> list[DayFigures]:
        """Return the closed days of a month; kept until one of them is closed again."""
        version = self._days.version(month)
        kept = self._months.get(month)
        if kept is not None and kept[0] == version:
            return kept[1]
        by_day: dict[date, dict[str, float | None]] = {}
        for row in self._books.store.metrics(
            self._books.site.site_id, month, month_start(month, 1)
        ):
            by_day.setdefault(row.day, {})[row.metric] = row.value
        days = [DayFigures(day, True, values) for day, values in sorted(by_day.items())]
        self._months[month] = (version, days)
        return days

    def _account(self, day: date, now: datetime) -> DayAccount | None:
        """Return the account of a day; those of closed days are kept."""
        if day == self._days.open_day:
            return self._days.account(day, now)
        version = self._days.version(month_start(day))
        kept = self._accounts.get(day)
        if kept is not None and kept[0] == version:
            return kept[1]
        account = self._days.account(day, now)
        if len(self._accounts) >= KEPT_ACCOUNTS:
            self._accounts.clear()
        self._accounts[day] = (version, account)
        return account

    def _running(self, day: date) -> DayFigures | None:
        """Return the figures of the open day; kept for a quarter-hour of it."""
        books, now = self._books, self._clock.now()
        kept_until = self._savings.kept_until or now
        with self._lock:
            cached = self._open_figures
            if cached is not None and cached[:2] == (day, kept_until):
                return cached[2]
            start, end = day_period(day, books.zone)
            until = min(end, quarter_start(now))
            account = self._days.account(day, kept_until)
            figures = None
            if account is not None and account.quarters:
                minutes = day_minutes(books, start, until)
                values = day_totals(
                    account,
                    [q for q in books.quarters(start, until) if q.ts < kept_until],
                    books.site.battery,
                    presence=presence(minutes, start, until) if len(minutes) else None,
                )
                figures = DayFigures(day, False, values | kpis(values, self._settings))
            self._open_figures = (day, kept_until, figures)
            return figures
