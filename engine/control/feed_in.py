"""Most that may be fed into the grid at an instant."""

from __future__ import annotations

import math
from datetime import datetime
from zoneinfo import ZoneInfo

from engine.config.control import FeedInConfig


class FeedInLimit:
    """The feed-in limit over time.

    Args:
        config: Fixed limit, share of the PV power, windows of local time.
        pv_peak_kw: Installed PV power, or None when it is unknown; a share of an unknown
            power counts as 0.
        timezone: Zone of the windows.
    """

    def __init__(self, config: FeedInConfig, pv_peak_kw: float | None, timezone: str) -> None:
        self._pv_peak_kw = pv_peak_kw
        self._zone = ZoneInfo(timezone)
        self._always_kw = self._kw(config.limit_kw, config.percent_of_pv)
        self._windows = [
            (window.cells(), self._kw(window.limit_kw, window.percent_of_pv))
            for window in config.windows
        ]

    def _kw(self, limit_kw: float | None, percent_of_pv: float | None) -> float:
        fixed = math.inf if limit_kw is None else limit_kw
        if percent_of_pv is None:
            return fixed
        return min(fixed, (self._pv_peak_kw or 0.0) * percent_of_pv / 100.0)

    def at(self, ts: datetime) -> float:
        """Return the limit in kW at the aware instant `ts`, infinite without one."""
        if not self._windows:
            return self._always_kw
        local = ts.astimezone(self._zone)
        cell = (local.month - 1, local.weekday(), local.hour * 4 + local.minute // 15)
        return min(self._always_kw, *(kw for cells, kw in self._windows if cells[cell]), math.inf)
