"""The simulated PV inverter: generates what the sun gives, up to a limit it holds for a while.

The limit acts once it is switched on. Without a write for the watchdog time the
inverter forgets it and is free again. Times are whole microseconds since the
plant's origin.
"""

from __future__ import annotations

import math
from typing import Final

from engine.devices.simulator.pcs import SECOND_US

WATCHDOG_S: Final = 60.0
"""Without a write for this long a limit is forgotten."""


class SimulatedPv:
    """Limit and nameplate of the inverter.

    Args:
        rated_kw: Nameplate power, > 0.
    """

    def __init__(self, rated_kw: float) -> None:
        self.rated_kw = rated_kw
        self.limit_kw = rated_kw
        self.limited = False
        self._expires_at_us: int | None = None

    def accepts(self, limit_kw: float) -> bool:
        """True when `limit_kw` lies within the nameplate."""
        return 0.0 <= limit_kw <= self.rated_kw

    def set_limit_kw(self, limit_kw: float, now_us: int) -> None:
        """Take the value of the limit; it acts once it is switched on."""
        self.limit_kw = limit_kw
        self._expires_at_us = now_us + round(WATCHDOG_S * SECOND_US)

    def switch(self, limited: bool, now_us: int) -> None:
        """Switch the limit on or off; off forgets its value."""
        self.limited = limited
        if limited:
            self._expires_at_us = now_us + round(WATCHDOG_S * SECOND_US)
        else:
            self._forget()

    def expire(self, now_us: int) -> None:
        """Forget the limit when the watchdog has run out by `now_us`."""
        if self._expires_at_us is not None and self._expires_at_us <= now_us:
            self._forget()

    def piece_us(self, now_us: int, dt_us: int) -> int:
        """Return `dt_us`, or less when the watchdog runs out earlier."""
        return dt_us if self._expires_at_us is None else min(dt_us, self._expires_at_us - now_us)

    def generated_kw(self, available_kw: float) -> float:
        """Return the AC power when the sun would give `available_kw`."""
        return min(available_kw, self.limit_kw if self.limited else math.inf)

    def _forget(self) -> None:
        self.limited = False
        self.limit_kw = self.rated_kw
        self._expires_at_us = None
