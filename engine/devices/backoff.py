"""How long to leave a device or a connection alone after failures."""

from __future__ import annotations

from typing import Final

BACKOFF_FIRST_S: Final = 0.5
BACKOFF_MAX_S: Final = 30.0


class Backoff:
    """Waiting time that doubles with every failure, from 0.5 s to 30 s of a monotonic clock."""

    def __init__(self) -> None:
        self._delay_s = BACKOFF_FIRST_S
        self._until = float("-inf")

    def fail(self, now: float) -> None:
        """Wait from `now` (s) on, twice as long as the last time."""
        self._until = now + self._delay_s
        self._delay_s = min(2 * self._delay_s, BACKOFF_MAX_S)

    def reset(self) -> None:
        """Forget all failures."""
        self._delay_s = BACKOFF_FIRST_S
        self._until = float("-inf")

    def remaining_s(self, now: float) -> float:
        """Return what is left of the wait at `now` (s); 0 when there is none."""
        return max(0.0, self._until - now)
