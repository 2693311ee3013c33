"""Times of the week and year at which a part of the tariff applies.

Every quarter-hour of local time belongs to one cell of a table of month, weekday and
quarter-hour of the day. Windows fill cells, so overlaps and gaps are plain counts, and a price
at an instant is one look-up.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, ConfigDict, Field, ValidationInfo, field_validator

from engine.config.section import Section

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
SLOTS_PER_DAY = 96
TABLE_SHAPE = (12, 7, SLOTS_PER_DAY)
"""Month (January = 0), weekday (Monday = 0), quarter-hour of the local day."""

BASE = -1
"""Marks a cell that no window covers."""

CENTS_BEYOND_EUR_PER_KWH = 2.0
"""No tariff component costs this much in EUR/kWh; a larger number was meant in cents."""


def not_in_cents(value: float) -> float:
    """Refuse a price per kWh that must have been meant in cents.

    Raises:
        ValueError: Above 2 EUR/kWh.
    """
    if value > CENTS_BEYOND_EUR_PER_KWH:
        raise ValueError(
            f"{value:g} EUR/kWh looks like ct/kWh. "
            f"Prices stand in EUR/kWh: write {value / 100:g} for {value:g} ct."
        )
    return value


EurPerKwh = Annotated[float, Field(ge=-1), AfterValidator(not_in_cents)]
FeePerKwh = Annotated[float, Field(ge=0), AfterValidator(not_in_cents)]


class TimeWindow(Section):
    """A span of local wall-clock time on some weekdays and in some months.

    Weekday and month are those of the quarter-hour itself: 22:00 to 06:00 on ``fri`` means
    Friday before 06:00 and Friday from 22:00, not Saturday morning. ``to`` is not included.

    Attributes:
        name: What it is called.
        from: Local time at which it begins.
        to: Local time at which it ends, not included; `24:00` is the end of the day.
        weekdays: Days on which it applies; None: all.
        months: Months in which it applies; None: all.
    """

    model_config = ConfigDict(serialize_by_alias=True)

    name: Annotated[str, Field(min_length=1, max_length=40)] | None = None
    from_: str = Field(default="00:00", alias="from")
    to: str = "24:00"
    weekdays: list[Weekday] | None = None
    months: list[Annotated[int, Field(ge=1, le=12)]] | None = None

    @field_validator("from_", "to")
    @classmethod
    def _a_quarter_hour(cls, value: str, info: ValidationInfo) -> str:
        match = re.fullmatch(r"(\d{2}):(\d{2})", value)
        minutes = int(match[1]) * 60 + int(match[2]) if match and int(match[2]) < 60 else -1
        latest = 24 * 60 if info.field_name == "to" else 24 * 60 - 1
        if not 0 <= minutes <= latest:
            raise ValueError(
                f"{value!r} is not a time of day here. Write hours and minutes like 06:00 or 22:00"
                + ("; 24:00 is the end of the day." if info.field_name == "to" else ".")
            )
        if minutes % 15:
            raise ValueError(
                f"{value!r} is not on a quarter-hour. "
                "Prices change only at :00, :15, :30 and :45; choose one of them."
            )
        return value

    @field_validator("to")
    @classmethod
    def _lasts(cls, value: str, info: ValidationInfo) -> str:
        if value == info.data.get("from_"):
            raise ValueError(
                f"The window begins and ends at {value}, so it never applies. "
                "Change one of them, or leave out from and to for the whole day."
            )
        return value

    @field_validator("weekdays", "months")
    @classmethod
    def _not_empty(
        cls, value: list[Weekday] | list[int] | None, info: ValidationInfo
    ) -> list[Weekday] | list[int] | None:
        if value is not None and not value:
            raise ValueError(
                "An empty list ([]) means never. "
                f"List some, or leave {info.field_name} out for all."
            )
        return value

    def cells(self) -> NDArray[np.bool_]:
        """Return the cells of local time that this window covers, shape (12, 7, 96)."""
        first, last = _slot(self.from_), _slot(self.to)
        slots = np.arange(SLOTS_PER_DAY)
        of_day = (
            (slots >= first) & (slots < last) if first < last else (slots >= first) | (slots < last)
        )
        weekdays = [name in (self.weekdays or WEEKDAYS) for name in WEEKDAYS]
        months = [month in (self.months or range(1, 13)) for month in range(1, 13)]
        covered: NDArray[np.bool_] = (
            np.array(months)[:, None, None] & np.array(weekdays)[:, None] & of_day
        )
        return covered

    def label(self, index: int) -> str:
        """Return what messages call this window, for example ``0 (HT, 17:00-22:00)``."""
        span = f"{self.from_}-{self.to}"
        return f"{index} ({self.name}, {span})" if self.name else f"{index} ({span})"


class PriceWindow(TimeWindow):
    """A price per kWh that applies in a window.

    Attributes:
        eur_per_kwh: Price inside the window.
    """

    eur_per_kwh: EurPerKwh


class FeeWindow(TimeWindow):
    """A fee per kWh that applies in a window.

    Attributes:
        eur_per_kwh: Fee inside the window.
    """

    eur_per_kwh: FeePerKwh


def window_table(windows: Sequence[TimeWindow]) -> NDArray[np.int64]:
    """Return which window covers each cell, `BASE` where none does; shape (12, 7, 96)."""
    table = np.full(TABLE_SHAPE, BASE, dtype=np.int64)
    for index, window in enumerate(windows):
        table[window.cells()] = index
    return table


def check_no_overlap(windows: Sequence[TimeWindow]) -> None:
    """Check that at most one window applies at any time.

    Raises:
        ValueError: Naming the two windows and the first time they share.
    """
    owner = np.full(TABLE_SHAPE, BASE, dtype=np.int64)
    for index, window in enumerate(windows):
        cells = window.cells()
        shared = cells & (owner != BASE)
        if shared.any():
            cell = _first(shared)
            other = int(owner[cell])
            raise ValueError(
                f"Windows {windows[other].label(other)} and {window.label(index)} overlap on "
                f"{_cell_name(cell)}. Change the times, weekdays or months of one of them."
            )
        owner[cells] = index


def check_no_gap(windows: Sequence[TimeWindow], base_key: str) -> None:
    """Check that some window applies at every time, as it must where there is no base price.

    Args:
        windows: The windows.
        base_key: Key of the base price that would fill the gap.

    Raises:
        ValueError: Naming the first time without a price.
    """
    free = window_table(windows) == BASE
    if free.any():
        raise ValueError(
            f"The windows leave {_cell_name(_first(free))} without a price. "
            f"State {base_key} for the time outside the windows, or add a window."
        )


def _slot(text: str) -> int:
    return (int(text[:2]) * 60 + int(text[3:])) // 15


def _first(cells: NDArray[np.bool_]) -> tuple[int, int, int]:
    month, weekday, slot = (int(axis) for axis in np.argwhere(cells)[0])
    return month, weekday, slot


def _cell_name(cell: tuple[int, int, int]) -> str:
    month, weekday, slot = cell
    return f"{WEEKDAYS[weekday]} {slot // 4:02d}:{slot % 4 * 15:02d} in {MONTHS[month]}"
