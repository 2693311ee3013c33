"""Which setpoints were in force lately, to judge a device that follows with some delay."""

from __future__ import annotations

from collections import deque


class InForce:
    """Setpoints in force lately; a device may show and do any of them, and nothing else."""

    def __init__(self) -> None:
        self._since: deque[tuple[float, float]] = deque()

    def clear(self) -> None:
        """Forget everything: nobody knows what is in force."""
        self._since.clear()

    def add(self, now_s: float, power_kw: float, keep_s: float) -> None:
        """Note that `power_kw` is in force from now on; forget what ended `keep_s` ago."""
        if not self._since or self._since[-1][1] != power_kw:
            self._since.append((now_s, power_kw))
        while len(self._since) > 1 and self._since[1][0] <= now_s - keep_s:
            self._since.popleft()

    def contradicts(
        self, power_kw: float, now_s: float, within_s: float, tolerance_kw: float
    ) -> bool:
        """True when `power_kw` lies outside of all that was in force in the last `within_s`.

        Args:
            power_kw: What the device shows or does, + discharge.
            now_s: Monotonic time of that.
            within_s: Time the device may take to follow.
            tolerance_kw: Largest difference that counts as following.
        """
        if not self._since or self._since[0][0] > now_s - within_s:
            return False
        entries = list(self._since)
        while len(entries) > 1 and entries[1][0] <= now_s - within_s:
            entries.pop(0)
        low = min(power for _, power in entries) - tolerance_kw
        high = max(power for _, power in entries) + tolerance_kw
        return not low <= power_kw <= high
