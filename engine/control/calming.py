"""Keeps the setpoint from hunting: rest between directions, ramp, deadband.

None of it holds back what a limit or the grid demands; the caller applies limits last.
"""

from __future__ import annotations

from dataclasses import dataclass

HOLD_TIME = "hold_time"
RAMP = "ramp"


@dataclass(frozen=True, slots=True)
class CalmingSettings:
    """How calm it is to be.

    Attributes:
        deadband_kw: Smaller powers are none, smaller changes are not made.
        ramp_kw_per_s: Fastest change of the setpoint.
        min_hold_s: Rest between charging and discharging.
    """

    deadband_kw: float
    ramp_kw_per_s: float
    min_hold_s: float


class Calming:
    """Remembers the last setpoint and when each direction was last in use.

    Args:
        settings: How calm it is to be.
    """

    def __init__(self, settings: CalmingSettings) -> None:
        self._settings = settings
        self._last_kw = 0.0
        self._last_monotonic_s: float | None = None
        self._direction = 0
        self._direction_left_s = 0.0
        self._under_way = False

    def adopt(self, settings: CalmingSettings) -> None:
        """Be as calm as `settings` say from now on; what was done so far stays known."""
        self._settings = settings

    @property
    def deadband_kw(self) -> float:
        """Power below which the battery stands still."""
        return self._settings.deadband_kw

    @property
    def direction(self) -> int:
        """Sign of the last setpoint that was not 0."""
        return self._direction

    def rested(self, wanted_kw: float, monotonic_s: float) -> float:
        """Return `wanted_kw`, or 0 while the battery has not rested from the other direction."""
        opposite = wanted_kw * self._direction < 0.0
        waiting = monotonic_s - self._direction_left_s < self._settings.min_hold_s
        return 0.0 if opposite and waiting else wanted_kw

    def ramped(self, wanted_kw: float, monotonic_s: float) -> float:
        """Return `wanted_kw` as far as the ramp allows since the last setpoint."""
        if self._last_monotonic_s is None:
            return wanted_kw
        dt_s = max(0.0, monotonic_s - self._last_monotonic_s)
        step_kw = self._settings.ramp_kw_per_s * dt_s
        return min(max(wanted_kw, self._last_kw - step_kw), self._last_kw + step_kw)

    def settled(self, wanted_kw: float, low_kw: float, high_kw: float) -> float:
        """Return 0 for less than the deadband, and the last setpoint for a smaller change.

        A setpoint the ramp is still changing is no resting place: kept, the rest of the way
        would never be gone.

        Args:
            wanted_kw: Power wanted, before the ramp.
            low_kw: The last setpoint is kept only within this and
            high_kw: this.
        """
        deadband_kw = self._settings.deadband_kw
        if abs(wanted_kw) < deadband_kw:
            return 0.0
        kept = self._last_kw
        near = abs(wanted_kw - kept) < deadband_kw and kept * wanted_kw > 0.0
        return kept if near and not self._under_way and low_kw <= kept <= high_kw else wanted_kw

    def done(self, power_kw: float, monotonic_s: float, *, under_way: bool = False) -> None:
        """Note the setpoint of this cycle.

        Args:
            power_kw: What it is.
            monotonic_s: When.
            under_way: The ramp cut it, so it is not yet what is wanted.
        """
        if power_kw != 0.0:
            self._direction = 1 if power_kw > 0.0 else -1
            self._direction_left_s = monotonic_s
        self._last_kw, self._last_monotonic_s = power_kw, monotonic_s
        self._under_way = under_way
