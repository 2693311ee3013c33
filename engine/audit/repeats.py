"""Leaves out what other systems repeat all the time."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from engine.audit.trail import Outcome, Trail, current_origin

REPEAT_S: Final = 600.0
"""A message that changes nothing is taken down again after so long."""

_ENDS: Final = ("until", "valid_until")


class WithoutRepeats:
    """Hands on what is noted, but not every message of a broker that only prolongs the last.

    A controller may send the same power every few seconds; each of them as an entry would bury
    the changes, and wear out a flash card. What people do is never left out.

    Args:
        trail: Takes down the rest.
        monotonic: Seconds that never run backwards.
    """

    def __init__(self, trail: Trail, monotonic: Callable[[], float]) -> None:
        self._trail = trail
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._newest: dict[str, tuple[object, float]] = {}

    def note(
        self,
        action: str,
        target: str,
        *,
        before: Any = None,
        after: Any = None,
        outcome: Outcome = "done",
    ) -> None:
        """Hand on one change, unless the broker only repeated it."""
        if current_origin().via == "mqtt" and self._is_repeated(action, target, after, outcome):
            return
        self._trail.note(action, target, before=before, after=after, outcome=outcome)

    def _is_repeated(self, action: str, target: str, after: Any, outcome: Outcome) -> bool:
        said = (
            {key: item for key, item in after.items() if key not in _ENDS}
            if isinstance(after, dict)
            else after
        )
        what, now_s = (target, said, outcome), self._monotonic()
        with self._lock:
            known = self._newest.get(action)
            if known is not None and known[0] == what and now_s - known[1] < REPEAT_S:
                return True
            self._newest[action] = (what, now_s)
        return False
