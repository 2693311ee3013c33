"""Slows down who guesses passwords: each pair of address and user, and all together."""

from __future__ import annotations

import ipaddress
import threading
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Protocol

from ems_dash.auth.sender import plain_address
from engine.domain.clock import Clock
from engine.domain.errors import EmsError

FREE_FAILURES: Final = 5
FIRST_DELAY_S: Final = 10.0
LONGEST_DELAY_S: Final = 900.0
FORGOTTEN_AFTER_S: Final = 3600.0
CAP_PER_MINUTE: Final = 60
"""Passwords checked per minute, whoever sends them."""

MOST_PAIRS: Final = 10_000


class TooManyAttemptsError(EmsError):
    """Too many wrong passwords; try again later."""

    code = "too_many_attempts"

    def __init__(self, wait_s: float) -> None:
        super().__init__(
            "Too many attempts to log in.", hint=f"Try again in {round(wait_s + 0.5)} s."
        )
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Lockout:
    """A pair of address and user that has to wait."""

    address: str
    user: str
    failures: int
    until: datetime


@dataclass(frozen=True, slots=True)
class KeptFailures:
    """The wrong passwords of one pair, as they outlive a restart.

    Attributes:
        network: What counts as one sender; see `network`.
        user: Whom the passwords were for.
        failures: How many.
        last: When the last one came, UTC.
        blocked_until: Until when the pair has to wait, UTC; not after `last` for not at all.
    """

    network: str
    user: str
    failures: int
    last: datetime
    blocked_until: datetime


class FailureKeeper(Protocol):
    """Keeps wrong passwords over a restart."""

    def kept_failures(self) -> tuple[KeptFailures, ...]:
        """Return those that still count, the oldest first."""
        ...

    def keep_failures(self, kept: KeptFailures) -> None:
        """Keep those of a pair in place of what was kept of it."""
        ...

    def forget_failures(self, network: str, user: str) -> None:
        """Forget those of a pair."""
        ...


@dataclass(slots=True)
class _Pair:
    failures: int = 0
    last_s: float = 0.0
    blocked_until_s: float = field(default=float("-inf"))


class Throttle:
    """Counts wrong passwords; safe for several threads.

    After `FREE_FAILURES` wrong ones a pair waits `FIRST_DELAY_S`, twice as long after each
    further one, `LONGEST_DELAY_S` at most. A right one clears its pair.

    Args:
        clock: Current time.
        keeper: Keeps the counts over a restart; None to begin anew.
    """

    def __init__(self, clock: Clock, keeper: FailureKeeper | None = None) -> None:
        self._clock = clock
        self._keeper = keeper
        self._lock = threading.Lock()
        self._pairs: OrderedDict[tuple[str, str], _Pair] = OrderedDict()
        self._checked: deque[float] = deque()
        if keeper is not None:
            self._take_over(keeper.kept_failures())

    def check(self, address: str, user: str) -> None:
        """Refuse an attempt that comes too soon; count it otherwise.

        Raises:
            TooManyAttemptsError: The pair has to wait, or all together have tried too often.
        """
        now_s = self._clock.monotonic()
        with self._lock:
            pair = self._pairs.get((network(address), user))
            if pair is not None and now_s < pair.blocked_until_s:
                raise TooManyAttemptsError(pair.blocked_until_s - now_s)
            while self._checked and now_s - self._checked[0] >= 60.0:
                self._checked.popleft()
            if len(self._checked) >= CAP_PER_MINUTE:
                raise TooManyAttemptsError(60.0 - (now_s - self._checked[0]))
            self._checked.append(now_s)

    def failed(self, address: str, user: str, *, keep: bool = True) -> float:
        """Count a wrong password and return how long (s) the pair has to wait now; 0 for not.

        Args:
            address: Where it came from.
            user: Whom it was for.
            keep: Over a restart. Not for names nobody has: there is nothing to guess, and some
                type their password into the wrong field.
        """
        now_s = self._clock.monotonic()
        with self._lock:
            key = (network(address), user)
            pair = self._pairs.pop(key, None)
            if pair is None or now_s - pair.last_s >= FORGOTTEN_AFTER_S:
                pair = _Pair()
            self._pairs[key] = pair
            while len(self._pairs) > MOST_PAIRS:
                oldest, _ = self._pairs.popitem(last=False)
                if self._keeper is not None:
                    self._keeper.forget_failures(*oldest)
            pair.failures += 1
            pair.last_s = now_s
            wait_s = _wait_s(pair.failures)
            if wait_s:
                pair.blocked_until_s = now_s + wait_s
            if keep and self._keeper is not None:
                now = self._clock.now()
                until = now + timedelta(seconds=wait_s)
                self._keeper.keep_failures(KeptFailures(*key, pair.failures, now, until))
            return wait_s

    def succeeded(self, address: str, user: str) -> None:
        """Forget the wrong passwords of a pair."""
        with self._lock:
            key = (network(address), user)
            if self._pairs.pop(key, None) is not None and self._keeper is not None:
                self._keeper.forget_failures(*key)

    def _take_over(self, kept: tuple[KeptFailures, ...]) -> None:
        now, now_s = self._clock.now(), self._clock.monotonic()
        for one in kept:
            # A clock that was set back meanwhile must lock nobody out for longer than ever.
            age_s = max(0.0, (now - one.last).total_seconds())
            left_s = min(LONGEST_DELAY_S, (one.blocked_until - now).total_seconds())
            self._pairs[one.network, one.user] = _Pair(one.failures, now_s - age_s, now_s + left_s)

    def lockouts(self) -> tuple[Lockout, ...]:
        """Return who has to wait now."""
        now_s, now = self._clock.monotonic(), self._clock.now()
        with self._lock:
            waiting = [(k, p) for k, p in self._pairs.items() if p.blocked_until_s > now_s]
        return tuple(
            Lockout(address, user, p.failures, now + timedelta(seconds=p.blocked_until_s - now_s))
            for (address, user), p in waiting
        )


def _wait_s(failures: int) -> float:
    if failures < FREE_FAILURES:
        return 0.0
    # Capped before it is raised: a float has no 2 to the power of 1024.
    doublings = min(failures - FREE_FAILURES, 16)
    return min(LONGEST_DELAY_S, FIRST_DELAY_S * 2.0**doublings)


def network(address: str) -> str:
    """Return what counts as one sender: an IPv4 address, or the /64 of an IPv6 address."""
    try:
        found = plain_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(ipaddress.ip_network((found, 64), strict=False))
