"""How fast a commanded power may grow."""

from __future__ import annotations

import math


class PowerRamp:
    """Lets power grow away from 0 no faster than `ramp_kw_per_s`.

    Only growth is slowed down: less power is what limits and stops ask for, and it comes at once.

    Args:
        ramp_kw_per_s: Fastest growth; None for no limit.
        longest_s: A pause longer than this counts as this long, so that nothing is saved up.
    """

    def __init__(self, ramp_kw_per_s: float | None, longest_s: float) -> None:
        self._ramp_kw_per_s = ramp_kw_per_s
        self._longest_s = longest_s
        self._reached: tuple[float, float, int] | None = None

    def forget(self) -> None:
        """Forget how far it got: nobody knows what the device does."""
        self._reached = None

    def towards(self, target_kw: float, now_s: float, session: int, measured_kw: float) -> float:
        """Return how far the power may have come by now.

        Args:
            target_kw: Where it is to go, + discharge.
            now_s: Monotonic time.
            session: Number of the connection; a device that was away may have gone to 0.
            measured_kw: Power to start from on a new connection.
        """
        if self._ramp_kw_per_s is None:
            return target_kw
        if self._reached is None or self._reached[2] != session:
            start_kw, elapsed_s = measured_kw, 0.0
        else:
            start_kw = self._reached[0]
            elapsed_s = min(now_s - self._reached[1], self._longest_s)
        if start_kw * target_kw < 0:
            start_kw = 0.0
        reach_kw = abs(start_kw) + self._ramp_kw_per_s * elapsed_s
        power_kw = math.copysign(min(abs(target_kw), reach_kw), target_kw) + 0.0
        self._reached = (power_kw, now_s, session)
        return power_kw
