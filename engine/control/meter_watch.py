"""Notices a meter whose readings stand still although battery or PV move.

A meter that freezes behind a living connection is worse than a dead one: the law adds the
battery's power to a reading that no longer contains it, takes the sum for the load and raises
the power further, up to the limits. A reading cannot stay the same to the last digit while
battery and PV together change by a twentieth of the battery's nameplate, unless the load changes
by just as much in just that moment. So it counts as missing from then until it changes. Only
fresh samples count: one reading that is merely used for several cycles has not been repeated.

It takes `STUCK_AFTER_S` because many meters renew their registers only every few seconds, some
every 5 s or more, whatever they are polled with: such a meter repeats itself two or three times
beside a battery that ramps, and is well. Until then a frozen meter misleads the battery, up to
what the battery's own limits and a limit on its power from outside allow.
"""

from __future__ import annotations

from collections import deque
from dataclasses import replace
from datetime import datetime

from engine.domain.sample import ProcessImage, Quality
from engine.telemetry.image import BALANCE

STUCK_AFTER_S = 10.0
"""So long the reading may stay the same beside a moving battery or PV plant."""

FEWEST_READINGS = 3
"""A slow meter must repeat itself so often."""

MOVED_SHARE = 0.05
"""Change of power that a meter must notice, as a share of the battery's nameplate."""


class MeterWatch:
    """Watches the reading of one meter, cycle by cycle.

    Args:
        nameplate_kw: Greatest power of the battery.
        stuck_after_s: So long the reading may stay the same beside a moving battery.
    """

    def __init__(self, nameplate_kw: float, stuck_after_s: float = STUCK_AFTER_S) -> None:
        self._moved_kw = MOVED_SHARE * nameplate_kw
        self._stuck_after_s = stuck_after_s
        self._reading_kw: float | None = None
        self._since_s = 0.0
        self._sample_ts: datetime | None = None
        # Power behind the meter at each of its repeated readings.
        self._behind: deque[tuple[float, float]] = deque()
        self._has_pv = False
        self._stuck = False

    def checked(self, image: ProcessImage, monotonic_s: float) -> ProcessImage:
        """Return the image, with the meter's power and what rests on it STALE while it is stuck.

        Args:
            image: Process image of the cycle.
            monotonic_s: Monotonic time of the cycle.
        """
        reading_kw, battery_kw = image.value("grid_kw"), image.value("battery_kw")
        pv_kw = image.value("pv_kw")
        if reading_kw is None or reading_kw != self._reading_kw:
            self._reading_kw, self._since_s = reading_kw, monotonic_s
            self._behind.clear()
            self._stuck = False
        if reading_kw is None:
            return image
        if (pv_kw is not None) is not self._has_pv:
            # A PV plant that appears or vanishes in the readings has not moved.
            self._has_pv = pv_kw is not None
            self._behind.clear()
        ts = image.samples["grid_kw"].ts
        if battery_kw is not None and ts != self._sample_ts:
            self._behind.append((monotonic_s, battery_kw + (pv_kw or 0.0)))
            self._sample_ts = ts
            self._prune(monotonic_s)
            self._stuck = self._stuck or self._stands_still()
        if not self._stuck:
            return image
        standing_s = monotonic_s - self._since_s
        reason = (
            f"the meter has shown the same for {standing_s:.0f} s while the battery or PV moved"
        )
        stale = {
            name: replace(sample, quality=Quality.STALE, reason=reason)
            for name, sample in image.samples.items()
            if name == "grid_kw" or (name == "load_kw" and sample.source == BALANCE)
            if sample.usable
        }
        return replace(image, samples={**image.samples, **stale})

    def _prune(self, monotonic_s: float) -> None:
        # The reading at the beginning of the window still counts: the move may follow it.
        behind = self._behind
        while len(behind) > FEWEST_READINGS and monotonic_s - behind[1][0] >= self._stuck_after_s:
            behind.popleft()

    def _stands_still(self) -> bool:
        behind = self._behind
        if len(behind) < FEWEST_READINGS or behind[-1][0] - behind[0][0] < self._stuck_after_s:
            return False
        powers = [power_kw for _, power_kw in behind]
        return max(powers) - min(powers) >= self._moved_kw
