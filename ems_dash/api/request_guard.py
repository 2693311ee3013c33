"""Pacing of routes that keep a device, a broker or the solver busy."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from engine.domain.errors import EmsError


class RateLimitedError(EmsError):
    """Too many requests; try again later."""

    code = "rate_limited"


class OneAtATime:
    """Lets one caller in at a time, and at most one per `interval_s`.

    Args:
        what: What is limited, for the message.
        interval_s: Least time between two beginnings.
        monotonic: Seconds that never run backwards.
    """

    def __init__(self, what: str, interval_s: float, monotonic: Callable[[], float]) -> None:
        self._what = what
        self._interval_s = interval_s
        self._monotonic = monotonic
        self._busy = threading.Lock()
        self._last_s = float("-inf")

    @contextmanager
    def turn(self) -> Iterator[None]:
        """Hold the turn while the block runs.

        Raises:
            RateLimitedError: Another caller has it, or had it too short a time ago.
        """
        if not self._busy.acquire(blocking=False):
            raise RateLimitedError(
                f"A {self._what} is running.", hint="Wait until it has ended (at most 20 s)."
            )
        try:
            now = self._monotonic()
            if now - self._last_s < self._interval_s:
                raise RateLimitedError(
                    f"The last {self._what} was less than {self._interval_s:g} s ago.",
                    hint="Try again in a second.",
                )
            self._last_s = now
            yield
        finally:
            self._busy.release()
