"""Supervision of recurring steps: a failure is logged, remembered and retried with backoff.

A step that only waits, because a new site has not measured enough yet, has not failed.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from datetime import datetime, timedelta

from engine.domain.clock import Clock
from engine.domain.control import StepHealth
from engine.domain.errors import EmsError, TooLittleMeasuredError

log = logging.getLogger(__name__)

FIRST_RETRY_S = 1.0
LONGEST_RETRY_S = 30.0

LONGEST_WAIT = timedelta(hours=2)
"""A step waits at most so long for what takes an hour to measure; then it counts as failing."""


class SupervisedStep:
    """Runs one step again and again without letting its failures out.

    Args:
        name: Name shown on the page and in the log.
        action: The step; raises on failure. One that returns False had nothing to do, which
            leaves the record as it was.
        clock: For times of success.
        context: Returns what to log beside a failure.
    """

    def __init__(
        self,
        name: str,
        action: Callable[[], bool | None],
        clock: Clock,
        context: Callable[[], str] = lambda: "",
    ) -> None:
        self.name = name
        self._action = action
        self._clock = clock
        self._context = context
        self._lock = threading.Lock()
        self._last_success: datetime | None = None
        self._failures = 0
        self._restarts = 0
        self._error: str | None = None
        self._waits_since: datetime | None = None

    def run(self) -> bool:
        """Run the step once; True when it did something and succeeded."""
        try:
            if self._action() is False:
                return False
        except Exception as exc:
            if isinstance(exc, TooLittleMeasuredError) and self._may_wait(str(exc)):
                return False
            with self._lock:
                self._failures += 1
                self._restarts += 1
                self._error = str(exc) or type(exc).__name__
                first = self._failures == 1
            # Once per outage with the stack; repeats and what is foreseen stay one line.
            log.error(
                "step %s failed (%d in a row): %s [%s]",
                self.name,
                self._failures,
                self._error,
                self._context(),
                exc_info=first and not isinstance(exc, EmsError),
            )
            return False
        with self._lock:
            if self._failures:
                log.info("step %s works again after %d failures", self.name, self._failures)
            self._failures = 0
            self._error = None
            self._waits_since = None
            self._last_success = self._clock.now()
        return True

    def _may_wait(self, reason: str) -> bool:
        """Take down why the step waits; False when it has worked before or waited too long."""
        now = self._clock.now()
        with self._lock:
            if self._failures or self._last_success is not None:
                return False
            since = self._waits_since
            if since is not None and now - since > LONGEST_WAIT:
                return False
            self._waits_since = since or now
            self._error = reason
        if since is None:
            log.info("step %s waits: %s", self.name, reason)
        return True

    def retry_delay_s(self) -> float:
        """Return how long to wait before the next try.

        0 when well, 30 s while the step waits for measurements, else 1, 2, 4 .. 30 s.
        """
        with self._lock:
            if self._failures == 0:
                return 0.0 if self._waits_since is None else LONGEST_RETRY_S
            return float(min(LONGEST_RETRY_S, FIRST_RETRY_S * 2.0 ** min(self._failures - 1, 10)))

    def health(self) -> StepHealth:
        """Return the supervision record."""
        with self._lock:
            return StepHealth(
                name=self.name,
                ok=self._failures == 0 and self._last_success is not None,
                last_success=self._last_success,
                failures=self._failures,
                restarts=self._restarts,
                last_error=self._error,
            )
