"""How one of several sources is doing, and when it may be asked again."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from random import Random
from typing import TypeVar

from engine.domain.clock import Clock
from engine.domain.errors import FetchError
from engine.fetching.refresher import Backoff

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

SOURCE_BACKOFF = Backoff(first_s=60.0, cap_s=3600.0)


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """What is shown of a source.

    Attributes:
        name: The source, for example ``"awattar_at"``.
        last_success: When it last gave a usable answer, UTC.
        last_error: Why its last answer was not usable; None after a usable one.
        failures: Failures in a row.
        next_try: Not asked before this time after a failure, UTC; None when it may be asked.
        note: What was odd about its last usable answer, for example missing hours.
    """

    name: str
    last_success: datetime | None
    last_error: str | None
    failures: int
    next_try: datetime | None
    note: str | None

    def age_s(self, now: datetime) -> float | None:
        """Return seconds since the last usable answer, or None before the first."""
        return (now - self.last_success).total_seconds() if self.last_success else None


class SourceRecord:
    """Keeps the record of one source; a failing source is left alone for a while."""

    def __init__(
        self, name: str, clock: Clock, random: Random, backoff: Backoff = SOURCE_BACKOFF
    ) -> None:
        self.name = name
        self._clock = clock
        self._random = random
        self._backoff = backoff
        self._last_success: datetime | None = None
        self._last_error: str | None = None
        self._last_message: str | None = None
        self._failures = 0
        self._not_before_s: float | None = None
        self._note: str | None = None

    @property
    def wait_s(self) -> float:
        """Seconds until the source may be asked, 0 when now."""
        if self._not_before_s is None:
            return 0.0
        return max(0.0, self._not_before_s - self._clock.monotonic())

    @property
    def last_error(self) -> str | None:
        """Why the last answer was not usable."""
        return self._last_error

    def ask(self, fetch: Callable[[], Answer]) -> Answer:
        """Return what `fetch` gives; a failure is recorded, a success is not yet.

        Raises:
            FetchError: When it failed, or while the source is left alone after a failure.
        """
        if self.wait_s > 0:
            raise FetchError(
                self._last_message or f"{self.name} is left alone for a while.",
                kind="unreachable",
                retryable=True,
                retry_after_s=self.wait_s,
            )
        try:
            return fetch()
        except FetchError as error:
            # An outage of days is one line in the log, not thousands.
            if str(error) != self._last_error:
                log.warning("%s: %s", self.name, error)
            self.failed(error)
            raise
        except Exception as error:
            # A source may send what no one thought of; the next source must still be asked.
            log.exception("%s could not be read", self.name)
            wrong = FetchError(
                f"{self.name}: its answer could not be read ({type(error).__name__}).",
                kind="invalid",
                retryable=False,
            )
            self.failed(wrong)
            raise wrong from None

    def succeeded(self, note: str | None = None) -> None:
        """Record a usable answer."""
        self._last_success, self._last_error = self._clock.now(), None
        self._failures, self._not_before_s, self._note = 0, None, note

    def failed(self, error: FetchError) -> None:
        """Record an answer that could not be used."""
        self._failures += 1
        self._last_error, self._last_message = str(error), error.message
        wait_s = self._backoff.wait_s(self._failures, self._random)
        if not error.retryable:
            wait_s = max(wait_s, self._backoff.cap_s / 2.0)
        wait_s = max(wait_s, error.retry_after_s or 0.0)
        self._not_before_s = self._clock.monotonic() + wait_s

    def had_nothing(self, words: str) -> None:
        """Record an answer that was in order but empty; the source may be asked again."""
        self._last_error, self._note = words, None

    def status(self) -> SourceStatus:
        """Return what is shown."""
        waits = self.wait_s
        return SourceStatus(
            name=self.name,
            last_success=self._last_success,
            last_error=self._last_error,
            failures=self._failures,
            next_try=self._clock.now() + timedelta(seconds=waits) if waits > 0 else None,
            note=self._note,
        )


def nobody_answered(what: str, errors: Sequence[FetchError]) -> FetchError:
    """Return the error for a round in which no source gave a usable answer.

    Args:
        what: What the sources are for, for example ``"price"``.
        errors: Why; empty when the answers were in order but held nothing.
    """
    if not errors:
        return FetchError(
            f"The {what} sources answered, but with nothing.", kind="invalid", retryable=True
        )
    waits = [e.retry_after_s or 0.0 for e in errors]
    return FetchError(
        f"No {what} source gave a usable answer. " + " ".join(e.message for e in errors),
        kind=errors[0].kind,
        retryable=any(e.retryable for e in errors),
        retry_after_s=min(waits) or None,
        hint=errors[0].hint,
    )
