"""Periods of the demand charge and fixed fees: local months and years, cut by versions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal
from zoneinfo import ZoneInfo

from engine.domain.local_days import local_midnight
from engine.market.tariff_terms import TariffTerms

Kind = Literal["month", "year"]


@dataclass(frozen=True, slots=True)
class DatedTerms:
    """Terms and the local day from whose start they apply; None for always."""

    valid_from: date | None
    terms: TariffTerms


@dataclass(frozen=True, slots=True)
class BillingPeriod:
    """A span whose highest billed 15-min mean import is charged once.

    Attributes:
        start: First instant, UTC.
        end: End, UTC.
        eur_per_kw: Price of a kW of that import for this very span, VAT included.
        kind: The calendar period it is, or is a part of.
    """

    start: datetime
    end: datetime
    eur_per_kw: float
    kind: Kind


def demand_periods(
    versions: Sequence[DatedTerms], start: datetime, end: datetime, zone: ZoneInfo
) -> tuple[BillingPeriod, ...]:
    """Return the whole billing periods that meet ``[start, end)``, ascending.

    Args:
        versions: Versions of the tariff, ascending.
        start: First instant, aware.
        end: End, aware.
        zone: Local time zone.
    """
    first_day, last_day = start.astimezone(zone).date(), end.astimezone(zone).date()
    periods = []
    for terms, valid_from, valid_until in _same_demand(versions):
        charge = terms.demand_charge
        if charge is None:
            continue
        begin = first_day if valid_from is None else max(first_day, valid_from)
        stop = last_day if valid_until is None else min(last_day, valid_until)
        for calendar_from, calendar_until in _calendar(charge.period, begin, stop):
            since = calendar_from if valid_from is None else max(calendar_from, valid_from)
            until = calendar_until if valid_until is None else min(calendar_until, valid_until)
            if until <= since:
                continue
            share = (until - since).days / (calendar_until - calendar_from).days
            period = BillingPeriod(
                local_midnight(since, zone),
                local_midnight(until, zone),
                charge.eur_per_kw * share,
                charge.period,
            )
            if period.start < end and period.end > start:
                periods.append(period)
    return tuple(periods)


def monthly_fee(versions: Sequence[DatedTerms], day: date) -> float | None:
    """Return the fixed fee of the month of `day` in EUR, None when it is before all versions."""
    first, after = _month(day)
    days = (after - first).days
    fee, covered = 0.0, 0
    for index, version in enumerate(versions):
        following = versions[index + 1].valid_from if index + 1 < len(versions) else None
        since = first if version.valid_from is None else max(first, version.valid_from)
        until = after if following is None else min(after, following)
        if until > since:
            covered += (until - since).days
            fee += version.terms.fixed_fee_eur_per_month * ((until - since).days / days)
    return fee if covered else None


def _same_demand(
    versions: Sequence[DatedTerms],
) -> Iterator[tuple[TariffTerms, date | None, date | None]]:
    """Yield terms and validity of the runs of versions that bill demand alike."""
    run = versions[0]
    for version in versions[1:]:
        if not version.terms.bills_demand_like(run.terms):
            yield run.terms, run.valid_from, version.valid_from
            run = version
    yield run.terms, run.valid_from, None


def _calendar(kind: Kind, first: date, last: date) -> Iterator[tuple[date, date]]:
    """Yield first day and day after the end of the periods that meet the days first..last."""
    span = _month if kind == "month" else _year
    day = first
    while day <= last:
        begin, after = span(day)
        yield begin, after
        day = after


def _month(day: date) -> tuple[date, date]:
    first = day.replace(day=1)
    return first, date(day.year + day.month // 12, day.month % 12 + 1, 1)


def _year(day: date) -> tuple[date, date]:
    return date(day.year, 1, 1), date(day.year + 1, 1, 1)
