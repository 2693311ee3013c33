"""The net load (load minus PV): meter plus battery power of the same instant.

Adding a fresh meter reading to an older battery reading takes the battery's own movement
for load, and the loop hunts (notes/optimisation section 4). So both are read at the newest
instant that both samples reach, interpolated between the samples before and after it.
"""

from __future__ import annotations

import math
from collections import deque
from datetime import datetime, timedelta

from engine.domain.sample import ProcessImage, Sample

ALIGN_MAX = timedelta(seconds=30)
"""Samples further apart (a device clock is wrong) are taken as they are."""

_HISTORY = 32


class NetLoadObserver:
    """Observes the net load of one site, without filter or delay beyond the samples' own."""

    def __init__(self) -> None:
        self._grid: deque[tuple[datetime, float]] = deque(maxlen=_HISTORY)
        self._battery: deque[tuple[datetime, float]] = deque(maxlen=_HISTORY)

    def update(self, image: ProcessImage) -> float | None:
        """Return the net load in kW, or None when meter or battery power is unusable."""
        grid, battery = image.sample("grid_kw"), image.sample("battery_kw")
        if grid is None or battery is None or not (grid.usable and battery.usable):
            self._grid.clear()
            self._battery.clear()
            return None
        _remember(self._grid, grid)
        _remember(self._battery, battery)
        (grid_ts, grid_kw), (battery_ts, battery_kw) = self._grid[-1], self._battery[-1]
        if grid_ts > battery_ts:
            grid_kw = _at(self._grid, battery_ts)
        elif battery_ts > grid_ts:
            battery_kw = _at(self._battery, grid_ts)
        net_load_kw = grid_kw + battery_kw
        return net_load_kw if math.isfinite(net_load_kw) else None


def _remember(history: deque[tuple[datetime, float]], sample: Sample) -> None:
    assert sample.value is not None
    if history and sample.ts <= history[-1][0]:
        if sample.ts == history[-1][0]:
            history[-1] = (sample.ts, sample.value)
            return
        # The clock jumped back: what is stamped later happened before.
        history.clear()
    history.append((sample.ts, sample.value))


def _at(history: deque[tuple[datetime, float]], ts: datetime) -> float:
    """Return the value at `ts`, earlier than the newest sample."""
    later_ts, later_kw = history[-1]
    if later_ts - ts > ALIGN_MAX:
        return later_kw
    for earlier_ts, earlier_kw in list(history)[-2::-1]:
        if earlier_ts <= ts:
            share = (ts - earlier_ts) / (later_ts - earlier_ts)
            return earlier_kw + share * (later_kw - earlier_kw)
        later_ts, later_kw = earlier_ts, earlier_kw
    return later_kw


class Smoothed:
    """Exponential mean that is the same for any cycle length.

    Args:
        time_constant_s: Time after which a step has reached 63 %; 0 for no smoothing.
    """

    def __init__(self, time_constant_s: float) -> None:
        self._time_constant_s = time_constant_s
        self._value: float | None = None

    def update(self, value: float, dt_s: float) -> float:
        """Return the mean after `value` has held for `dt_s` seconds (>= 0)."""
        before = self._value
        if before is None or self._time_constant_s <= 0.0:
            self._value = value
        else:
            self._value = before + (value - before) * -math.expm1(-dt_s / self._time_constant_s)
        return self._value

    def adopt(self, time_constant_s: float) -> None:
        """Smooth with another time constant from now on; the mean so far stays."""
        self._time_constant_s = time_constant_s

    def reset(self) -> None:
        """Forget the past; the next value stands for itself."""
        self._value = None


def time_constant_s(gain: float, cycle_s: float) -> float:
    """Return the time constant of a filter with `gain` (0..1] per cycle of `cycle_s`."""
    return 0.0 if gain >= 1.0 else -cycle_s / math.log1p(-gain)
