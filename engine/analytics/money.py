"""Exact sums of money: micro-euros inside, cents only where people look.

Every amount of a quarter-hour is rounded once, to a millionth of a euro (half to even).
From there on sums are exact in any grouping: `total` of quarter-hours, of days and of months
give the same number to the last digit. Cents appear only at the edge, and `shown_cents` hands
them out by the largest remainder, so that the days a page shows add up to the month it shows.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from decimal import ROUND_HALF_EVEN, Decimal

MICRO_DIGITS = 6
_MICROS_PER_CENT = 10_000


def micro(eur: float) -> float:
    """Return `eur` rounded to a millionth of a euro."""
    # The sum drops the sign of a negative zero.
    return round(eur, MICRO_DIGITS) + 0.0


def total(amounts: Iterable[float]) -> float:
    """Return the sum of micro-euro amounts, exact below a billion euros."""
    return micro(math.fsum(amounts))


def cents(eur: float) -> Decimal:
    """Return one amount in euros and cents, half to even on its micro-euros."""
    return Decimal(repr(micro(eur))).quantize(Decimal("0.01"), rounding=ROUND_HALF_EVEN)


def shown_cents(parts: Sequence[float]) -> tuple[Decimal, ...]:
    """Return what to show of `parts` so that they add up to ``cents(total(parts))``.

    Each part is cut to the cent below, and the cents that are then missing go to the parts
    with the largest remainders; of equal ones to the earlier.

    Args:
        parts: Amounts in EUR, each a whole number of micro-euros.
    """
    exact = [round(part * 10**MICRO_DIGITS) for part in parts]
    whole = [value // _MICROS_PER_CENT for value in exact]
    missing = int(cents(total(parts)) * 100) - sum(whole)
    by_remainder = sorted(range(len(exact)), key=lambda i: (-(exact[i] % _MICROS_PER_CENT), i))
    for i in by_remainder[:missing]:
        whole[i] += 1
    return tuple(Decimal(value).scaleb(-2).quantize(Decimal("0.01")) for value in whole)
