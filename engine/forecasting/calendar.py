"""Kinds of day and public holidays, in the site's local time."""

from __future__ import annotations

from collections.abc import Container
from datetime import date
from enum import StrEnum
from functools import lru_cache

from engine.domain.errors import ForecastError


class DayType(StrEnum):
    """Kinds of day that repeat."""

    WORKDAY = "workday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"
    ANY = "any"


class HolidayCalendar:
    """Public holidays of a country or one of its subdivisions.

    Args:
        country: ISO 3166-1 alpha-2 code, for example ``"AT"``; None when it is not known, and
            then no day is a holiday.
        subdivision: ISO 3166-2 code without the country, for example ``"BY"``; None for the
            holidays of the whole country.

    Raises:
        ForecastError: When the holidays package does not know the country or subdivision.
    """

    def __init__(self, country: str | None = None, subdivision: str | None = None) -> None:
        self.country = country
        self.subdivision = subdivision
        self._days = _public_holidays(country, subdivision) if country else ()

    @property
    def label(self) -> str:
        """Name for the operator."""
        if self.country is None:
            return "no holiday calendar"
        part = f"-{self.subdivision}" if self.subdivision else ""
        return f"holidays of {self.country}{part}"

    def is_holiday(self, day: date) -> bool:
        """Tell whether the local calendar day is a public holiday."""
        return day in self._days

    def kind(self, day: date, *, by_weekday: bool = True) -> DayType:
        """Return the kind of a local calendar day; a public holiday is a Sunday."""
        if not by_weekday:
            return DayType.ANY
        if day.weekday() == 6 or self.is_holiday(day):
            return DayType.SUNDAY
        return DayType.SATURDAY if day.weekday() == 5 else DayType.WORKDAY


@lru_cache(maxsize=32)
def _public_holidays(country: str, subdivision: str | None) -> Container[date]:
    import holidays

    try:
        # Years are added by the package as they are asked for.
        found: Container[date] = holidays.country_holidays(country, subdiv=subdivision)
    except NotImplementedError as exc:
        raise ForecastError(
            "The public holidays of this country or subdivision are not known.",
            field="site.country",
            value=country if subdivision is None else f"{country}-{subdivision}",
            hint="Use ISO codes, for example AT, or DE with subdivision BY; or leave it out.",
        ) from exc
    return found
