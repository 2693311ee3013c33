"""A thread that fetches in the background, so that nobody who needs data waits for a host."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random

from engine.domain.clock import Clock
from engine.domain.control import StepHealth
from engine.domain.errors import EmsError, FetchError
from engine.domain.site_context import SiteThread
from engine.fetching.redaction import redact

log = logging.getLogger(__name__)

_LONGEST_WAIT_S = 60.0
"""The machine may have slept or its clock been set: look again at least this often."""


@dataclass(frozen=True, slots=True)
class Job:
    """Something to do again and again.

    Attributes:
        name: Unique name, for example ``"prices"``.
        run: Does it once; raises when it failed.
        next_wait_s: Seconds to the next run after one that succeeded at the given time.
    """

    name: str
    run: Callable[[], None]
    next_wait_s: Callable[[datetime], float]


@dataclass(frozen=True, slots=True)
class JobHealth:
    """How a job is doing.

    Attributes:
        name: The job.
        last_success: End of the last run that succeeded, UTC.
        failures: Failures in a row.
        total_failures: Failures since start.
        last_error: Text of the last failure while not ok, else None.
        next_try: When it runs next, UTC; None while it runs or before the first look.
    """

    name: str
    last_success: datetime | None
    failures: int
    total_failures: int
    last_error: str | None
    next_try: datetime | None

    @property
    def ok(self) -> bool:
        """True when the last run succeeded."""
        return self.failures == 0 and self.last_success is not None

    def as_step(self) -> StepHealth:
        """Return the same as a supervision record of the engine."""
        return StepHealth(
            name=self.name,
            ok=self.ok,
            last_success=self.last_success,
            failures=self.failures,
            restarts=self.total_failures,
            last_error=self.last_error,
        )


@dataclass(frozen=True, slots=True)
class Backoff:
    """Waiting after failures: doubling, capped, with jitter so that sites do not call together.

    Attributes:
        first_s: Wait after the first failure.
        cap_s: Longest wait.
    """

    first_s: float = 15.0
    cap_s: float = 900.0

    def wait_s(self, failures: int, random: Random) -> float:
        """Return the wait after `failures` (>= 1) in a row: 75 to 125 % of the doubled wait."""
        doubled = self.first_s * 2.0 ** min(failures - 1, 30)
        return min(self.cap_s, doubled) * random.uniform(0.75, 1.25)


class _State:
    def __init__(self, job: Job) -> None:
        self.job = job
        self.due_s: float | None = None
        self.last_success: datetime | None = None
        self.failures = 0
        self.total_failures = 0
        self.last_error: str | None = None
        self.running = False
        self.asked_again = False


class BackgroundRefresher:
    """Runs jobs when they are due; a failing job never stops the others.

    Args:
        jobs: What to run; every job is due at once.
        clock: Time and waiting.
        random: For jitter.
        backoff: Waits after failures.
        cancel: Called by `stop`, to end a request that is under way.
    """

    def __init__(
        self,
        jobs: Iterable[Job],
        clock: Clock,
        random: Random,
        *,
        backoff: Backoff | None = None,
        cancel: Callable[[], None] | None = None,
    ) -> None:
        self._states = {job.name: _State(job) for job in jobs}
        self._clock = clock
        self._random = random
        self._backoff = backoff or Backoff()
        self._cancel = cancel
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._stopped = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the thread; may be called once."""
        if self._thread is not None:
            raise RuntimeError("the refresher was started before")
        self._thread = SiteThread(target=self._loop, name="fetching", daemon=True)
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> bool:
        """End the thread; return False when it did not end in time (it is a daemon)."""
        self._stopped = True
        self._wake.set()
        if self._cancel is not None:
            self._cancel()
        if self._thread is None:
            return True
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            log.warning("a background request did not end within %.0f s", timeout_s)
            return False
        return True

    def trigger(self, name: str) -> None:
        """Make the job `name` due now.

        Raises:
            KeyError: When there is no such job.
        """
        with self._lock:
            self._states[name].due_s = None
            self._states[name].asked_again = True
        self._wake.set()

    def health(self) -> tuple[JobHealth, ...]:
        """Return the state of every job."""
        now, mono = self._clock.now(), self._clock.monotonic()
        with self._lock:
            return tuple(_health(s, now, mono) for s in self._states.values())

    def run_due(self) -> float:
        """Run every job that is due, one after the other; return seconds until the next is."""
        for state in self._states.values():
            if self._stopped:
                break
            with self._lock:
                due = state.due_s is None or state.due_s <= self._clock.monotonic()
                state.running = due
                state.asked_again = state.asked_again and not due
            if due:
                self._run(state)
        mono = self._clock.monotonic()
        with self._lock:
            waits = [max(0.0, (s.due_s or 0.0) - mono) for s in self._states.values()]
        return min(waits, default=_LONGEST_WAIT_S)

    def _loop(self) -> None:
        while not self._stopped:
            wait_s = self.run_due()
            self._clock.wait(self._wake, min(wait_s, _LONGEST_WAIT_S))
            self._wake.clear()

    def _run(self, state: _State) -> None:
        try:
            state.job.run()
        except EmsError as error:
            if str(error) != state.last_error:
                log.warning("%s failed: %s", state.job.name, error)
            self._failed(state, str(error), error)
        except Exception as error:
            log.exception("%s failed unexpectedly", state.job.name)
            self._failed(state, redact(f"{type(error).__name__}: {error}"), error)
        else:
            self._succeeded(state)

    def _succeeded(self, state: _State) -> None:
        now = self._clock.now()
        try:
            wait_s = max(1.0, state.job.next_wait_s(now))
        except Exception as error:
            log.exception("the schedule of %s failed", state.job.name)
            self._failed(state, redact(f"{type(error).__name__}: {error}"), error)
            return
        with self._lock:
            state.running = False
            state.last_success, state.last_error, state.failures = now, None, 0
            state.due_s = self._due_in(state, wait_s)

    def _failed(self, state: _State, text: str, error: Exception) -> None:
        with self._lock:
            state.running = False
            state.failures += 1
            state.total_failures += 1
            state.last_error = text
            wait_s = self._backoff.wait_s(state.failures, self._random)
            if isinstance(error, FetchError):
                if not error.retryable:
                    # Asking again will give the same answer; something must change first.
                    wait_s = max(wait_s, self._backoff.cap_s)
                wait_s = max(wait_s, error.retry_after_s or 0.0)
            state.due_s = self._due_in(state, wait_s)

    def _due_in(self, state: _State, wait_s: float) -> float | None:
        # Who asked while the job was running wants what is newer than that run.
        return None if state.asked_again else self._clock.monotonic() + wait_s


def _health(state: _State, now: datetime, mono: float) -> JobHealth:
    waits = not state.running and state.due_s is not None
    return JobHealth(
        name=state.job.name,
        last_success=state.last_success,
        failures=state.failures,
        total_failures=state.total_failures,
        last_error=state.last_error,
        next_try=now + timedelta(seconds=max(0.0, (state.due_s or 0.0) - mono)) if waits else None,
    )
