"""Control by hand: one battery power until a time or a state of charge, never without an end."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta

from engine.domain.control import ManualOrder
from engine.domain.errors import ControlError
from engine.domain.site import Battery

CLOCK_SET_S = 2.0
"""Wall and monotonic time further apart than this: the clock was set."""

LONGEST_H = 24.0
"""An order by hand ends after at most a day, however it was given."""

IDLE_KW = 0.05
"""An order below this power means that the battery stands still."""


class ManualControl:
    """Holds the order in force. Any thread may give or end it; the control thread asks for it.

    Not kept over a restart: a program that starts anew controls automatically.

    Args:
        battery: Bounds what may be asked for.
    """

    def __init__(self, battery: Battery) -> None:
        self._battery = battery
        self._lock = threading.Lock()
        self._order: ManualOrder | None = None
        self._ends_s = 0.0
        self._ended: str | None = None

    def give(self, order: ManualOrder, *, monotonic_s: float) -> None:
        """Put an order in force instead of the one before.

        Its end is counted in monotonic time, so setting the clock neither shortens nor extends it.

        Args:
            order: The order.
            monotonic_s: Monotonic time of now.

        Raises:
            ControlError: The power is beyond the nameplate, the end is not within a day, or the
                state of charge does not fit the direction.
        """
        battery = self._battery
        low, high = -battery.power_charge_max_kw, battery.power_discharge_max_kw
        if not low <= order.power_kw <= high:
            raise ControlError(
                f"{order.power_kw:g} kW is beyond the battery's {low:g} to {high:g} kW.",
                field="power_kw",
                value=order.power_kw,
                hint="Give a power within its nameplate; + discharges, - charges.",
            )
        lasts_s = (order.until - order.given_at).total_seconds()
        if not 0.0 < lasts_s <= LONGEST_H * 3600.0 + 1.0:
            raise ControlError(
                f"The order would end at {order.until.isoformat(timespec='seconds')}.",
                field="until",
                value=order.until.isoformat(),
                hint=f"Let it end in the future, within {LONGEST_H:g} hours.",
            )
        soc = order.soc_percent
        if soc is not None and not battery.soc_min_percent <= soc <= battery.soc_max_percent:
            raise ControlError(
                f"{soc:g} % is outside the battery's window of {battery.soc_min_percent:g} to "
                f"{battery.soc_max_percent:g} %.",
                field="soc_percent",
                value=soc,
                hint="Give a state of charge inside the window, or none.",
            )
        if soc is not None and abs(order.power_kw) < IDLE_KW:
            raise ControlError(
                "An idle battery reaches no state of charge.",
                field="soc_percent",
                value=soc,
                hint="Leave it out, or give a power.",
            )
        with self._lock:
            self._order = order
            self._ends_s = monotonic_s + lasts_s
            self._ended = None

    def end(self) -> bool:
        """End the order in force; False when there is none."""
        with self._lock:
            there_was = self._order is not None
            self._order = None
            return there_was

    def active(
        self, *, monotonic_s: float, soc_percent: float | None, now: datetime | None = None
    ) -> ManualOrder | None:
        """Return the order in force, None when there is none or it has just ended.

        Args:
            monotonic_s: Monotonic time of now.
            soc_percent: Measured state of charge; without one an order to a state of charge goes
                on, within limits that allow nothing then.
            now: Wall time, UTC; where the clock was set since, the order's times follow it, so
                that the end shown is the end that comes.
        """
        with self._lock:
            order = self._order
            if order is None:
                return None
            if monotonic_s >= self._ends_s:
                self._ended = "time"
            elif soc_percent is not None and order.reached(soc_percent):
                self._ended = "soc"
            else:
                if now is not None:
                    order = self._order = _redated(order, now, self._ends_s - monotonic_s)
                return order
            self._order = None
            return None

    def take_ended(self) -> str | None:
        """Return once why the last order ended by itself: ``"time"`` or ``"soc"``; else None."""
        with self._lock:
            ended, self._ended = self._ended, None
            return ended

    @property
    def order(self) -> ManualOrder | None:
        """The order in force, for showing it."""
        with self._lock:
            return self._order


def _redated(order: ManualOrder, now: datetime, left_s: float) -> ManualOrder:
    shift = now + timedelta(seconds=left_s) - order.until
    if abs(shift.total_seconds()) <= CLOCK_SET_S:
        return order
    return replace(order, until=order.until + shift, given_at=order.given_at + shift)
