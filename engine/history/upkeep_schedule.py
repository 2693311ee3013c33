"""When the storage thread makes roll-ups and tidies up; a failure there stops nothing else."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime, timedelta

from engine.domain.clock import Clock
from engine.domain.errors import HistoryError
from engine.domain.records import EventRow
from engine.history.store import INSTALLATION_SITE_ID, HistoryStore

_logger = logging.getLogger(__name__)

ROLL_UP_SECONDS = 300.0
"""One roll-up costs about 0.15 s of a processor however few minutes it makes, nearly all of it to
plan 130 columns; a question makes the few columns it wants of the newest minutes itself."""

SETTLED = timedelta(seconds=20)
"""Minutes that ended so long ago are rolled up: by then the sample after them is stored, and
they need not be made twice."""

FIRST_TIDY_SECONDS = 120.0
TIDY_SECONDS = 86_400.0
RETRY_SECONDS = 3_600.0
"""After a failure; what is due does not grow quickly."""


class Upkeep:
    """Calls `roll_up` and `tidy` of a store when they are due, from the thread that writes.

    Args:
        store: The store.
        clock: Schedule.
        site_clock: Time of the samples; of a demo it may run ahead or faster.
        add_event: Takes an event when something fails, and when it works again.
    """

    def __init__(
        self,
        store: HistoryStore,
        clock: Clock,
        site_clock: Clock,
        add_event: Callable[[EventRow], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._site_clock = site_clock
        self._add_event = add_event
        now_s = clock.monotonic()
        self._due_s = {"roll_up": now_s + ROLL_UP_SECONDS, "tidy": now_s + FIRST_TIDY_SECONDS}
        self._errors: dict[str, str] = {}
        self.rolled_up_at: datetime | None = None
        self.tidied_at: datetime | None = None

    @property
    def error(self) -> str | None:
        """What failed the last time it was tried, None when all is well."""
        return next(iter(self._errors.values()), None)

    def do_what_is_due(self) -> None:
        """Do it; never raises."""
        if self._is_due("roll_up"):
            self._guarded("roll_up", ROLL_UP_SECONDS, self._roll_up)
        if self._is_due("tidy"):
            self._guarded("tidy", TIDY_SECONDS, self._tidy)

    def _is_due(self, what: str) -> bool:
        return self._clock.monotonic() >= self._due_s[what]

    def _roll_up(self) -> None:
        self._store.roll_up(self._site_clock.now() - SETTLED)
        self.rolled_up_at = self._clock.now()

    def _tidy(self) -> None:
        if self._store.tidy(self._site_clock.now()):
            self.tidied_at = self._clock.now()
        else:
            self._due_s["tidy"] = self._clock.monotonic()

    def _guarded(self, what: str, seconds: float, action: Callable[[], None]) -> None:
        self._due_s[what] = self._clock.monotonic() + seconds
        try:
            action()
        except Exception as error:
            self._due_s[what] = self._clock.monotonic() + min(seconds, RETRY_SECONDS)
            message = str(error) or type(error).__name__
            # once per outage, not once per attempt
            if what not in self._errors:
                if not isinstance(error, HistoryError):
                    _logger.exception("history %s failed", what)
                self._tell("warning", f"history_{what}_failed", message)
            self._errors[what] = message
        else:
            if self._errors.pop(what, None) is not None:
                self._tell("info", f"history_{what}_works_again", "It works again.")

    def _tell(self, severity: str, code: str, message: str) -> None:
        self._add_event(EventRow(self._clock.now(), INSTALLATION_SITE_ID, severity, code, message))
