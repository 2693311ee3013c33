"""Numbers, units, times and ages as the operator reads them, in German and English.

A missing value is always ``–``, never 0. Minus is U+2212, so that columns of figures keep
their width and a hyphen is never mistaken for a sign.
"""

from __future__ import annotations

import datetime as calendar
import math
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import lru_cache

from babel.dates import format_date
from babel.numbers import format_decimal

NO_VALUE = "–"
MINUS = "\u2212"
NBSP = "\u00a0"
NARROW_NBSP = "\u202f"


@dataclass(frozen=True, slots=True)
class Quantity:
    """A formatted figure and its unit, kept apart because the page sets them apart."""

    text: str
    unit: str

    def __str__(self) -> str:
        space = NARROW_NBSP if self.unit == "%" else NBSP
        return f"{self.text}{space}{self.unit}" if self.unit else self.text


def number(value: float | None, decimals: int, lang: str, *, signed: bool = False) -> str:
    """Return `value` with a fixed number of decimals in the notation of `lang`.

    Args:
        value: The figure; None and non-finite give ``–``.
        decimals: Digits after the separator, >= 0.
        lang: ``"de"`` or ``"en"``.
        signed: True to write + before positive figures.
    """
    if value is None or not math.isfinite(value):
        return NO_VALUE
    rounded = round(value, decimals)
    digits = _digits(abs(rounded), decimals, lang)
    if rounded < 0:
        return MINUS + digits
    return f"+{digits}" if signed and rounded > 0 else digits


@lru_cache(maxsize=8192)
def _digits(size: float, decimals: int, lang: str) -> str:
    # Every open page asks for the same figures every two seconds, and most have not changed.
    pattern = "#,##0" + ("." + "0" * decimals if decimals else "")
    return str(format_decimal(size, pattern, locale=lang))


def power(value_kw: float | None, lang: str, *, signed: bool = False) -> Quantity:
    """Return a power in kW with one decimal."""
    return Quantity(number(value_kw, 1, lang, signed=signed), "kW")


def rating(value_kw: float | None, lang: str) -> Quantity:
    """Return a nameplate power or a limit in kW, without decimals where there are none."""
    decimals = 0 if value_kw is None or abs(value_kw - round(value_kw)) < 0.05 else 1
    return Quantity(number(value_kw, decimals, lang), "kW")


def energy(value_kwh: float | None, lang: str) -> Quantity:
    """Return an energy: one decimal below 100 kWh, none above, MWh from 1,000 kWh."""
    if value_kwh is None:
        return Quantity(NO_VALUE, "kWh")
    if abs(value_kwh) >= 999.5:
        return Quantity(number(value_kwh / 1000.0, 2, lang), "MWh")
    return Quantity(number(value_kwh, 1 if abs(value_kwh) < 99.95 else 0, lang), "kWh")


def capacity(value_kwh: float, lang: str) -> Quantity:
    """Return a nameplate energy, without decimals where there are none."""
    whole = abs(value_kwh - round(value_kwh)) < 0.05
    return (
        Quantity(number(value_kwh, 0, lang), "kWh")
        if whole and abs(value_kwh) < 1000
        else energy(value_kwh, lang)
    )


def percent(value_percent: float | None, lang: str) -> Quantity:
    """Return a share in percent without decimals."""
    return Quantity(number(value_percent, 0, lang), "%")


def some_percent(value_percent: float | None, lang: str) -> str:
    """Return a share in percent; one that is small and not nothing is no "0 %"."""
    if value_percent is not None and 0.0 < value_percent < 0.5:
        return f"<{NBSP}{percent(1.0, lang)}"
    return str(percent(value_percent, lang))


def price(value_eur_per_kwh: float | None, lang: str) -> Quantity:
    """Return a price given in EUR/kWh as ct/kWh with one decimal."""
    cents = None if value_eur_per_kwh is None else value_eur_per_kwh * 100.0
    return Quantity(number(cents, 1, lang), "ct/kWh")


def price_of_one(value_eur_per_kwh: float | None, lang: str) -> Quantity:
    """Return a price given in EUR/kWh as the ct of one kWh, for sentences that name the kWh."""
    return Quantity(price(value_eur_per_kwh, lang).text, "ct")


def price_per_mwh(value_eur_per_kwh: float | None, lang: str) -> str:
    """Return a price given in EUR/kWh as EUR/MWh with two decimals."""
    euros = None if value_eur_per_kwh is None else value_eur_per_kwh * 1000.0
    return f"{number(euros, 2, lang)}{NBSP}€/MWh"


def temperature(value_c: float | None, lang: str) -> str:
    """Return a temperature in °C with one decimal."""
    return f"{number(value_c, 1, lang)}{NBSP}°C"


def money(value_eur: float | None, lang: str, *, signed: bool = False) -> str:
    """Return an amount in euros with cents: ``18,42 €`` in German, ``€18.42`` in English."""
    digits = number(value_eur, 2, lang, signed=signed)
    if digits == NO_VALUE:
        return NO_VALUE
    if lang == "de":
        return f"{digits}{NBSP}€"
    sign = digits[0] if digits[0] in (MINUS, "+") else ""
    return f"{sign}€{digits[len(sign) :]}"


def clock_time(ts: datetime, tz: tzinfo, *, seconds: bool = False) -> str:
    """Return the time of day of an aware `ts` in zone `tz`, 24 h."""
    return ts.astimezone(tz).strftime("%H:%M:%S" if seconds else "%H:%M")


def time_range(start: datetime, end: datetime, tz: tzinfo) -> str:
    """Return two times of day joined by an en dash."""
    return f"{clock_time(start, tz)}{NBSP}– {clock_time(end, tz)}"


def date(ts: datetime, tz: tzinfo, lang: str) -> str:
    """Return weekday and date of `ts` in zone `tz`: ``Mo, 23.11.2026`` or ``Mon, 23 Nov 2026``."""
    return date_of_day(ts.astimezone(tz).date(), lang)


def date_of_day(day: calendar.date, lang: str) -> str:
    """Return weekday and date of a local day, as `date` does."""
    pattern = "ccc, dd.MM.yyyy" if lang == "de" else "EEE, d MMM yyyy"
    return str(format_date(day, pattern, locale=lang))


def day_label(ts: datetime, tz: tzinfo, lang: str) -> str:
    """Return a short weekday and date for an axis: ``Di, 24.11.`` or ``Tue, 24 Nov``."""
    pattern = "ccc, dd.MM." if lang == "de" else "EEE, d MMM"
    return str(format_date(ts.astimezone(tz).date(), pattern, locale=lang))


def when(ts: datetime, now: datetime, tz: tzinfo, lang: str) -> str:
    """Return the time of day of `ts`, with seconds when it is today, with the day when not."""
    if ts.astimezone(tz).date() == now.astimezone(tz).date():
        return clock_time(ts, tz, seconds=True)
    return f"{day_label(ts, tz, lang)} {clock_time(ts, tz)}"


def duration(minutes: float) -> str:
    """Return how long something took: ``14 min``, ``14 h 31 min``."""
    hours, rest = divmod(max(0, round(minutes)), 60)
    parts = [f"{hours}{NBSP}h"] if hours else []
    if rest or not hours:
        parts.append(f"{rest}{NBSP}min")
    return " ".join(parts)


def age(seconds: float) -> str:
    """Return how long ago something was: ``14 s``, ``3 min``, ``2 h``, ``5 d``."""
    whole = max(0, round(seconds))
    if whole < 90:
        return f"{whole}{NBSP}s"
    if whole < 90 * 60:
        return f"{round(whole / 60)}{NBSP}min"
    if whole < 36 * 3600:
        return f"{round(whole / 3600)}{NBSP}h"
    return f"{round(whole / 86400)}{NBSP}d"
