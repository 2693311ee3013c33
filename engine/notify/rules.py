"""What a channel tells, and when: severity, codes, quiet hours, rate."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

from engine.domain.alarms import AlarmChange, AlarmChangeKind, AlarmSeverity, severity_rank

HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class ChannelRules:
    """What one channel tells.

    Attributes:
        min_severity: Least severity told.
        only: Codes told; empty means all.
        never: Codes not told.
        all_clear: True when the end of an alarm is told too.
        max_per_hour: Most messages in any hour, >= 2.
        quiet: Local times of begin and end of quiet hours, or None.
    """

    min_severity: AlarmSeverity = "warning"
    only: frozenset[str] = frozenset()
    never: frozenset[str] = frozenset()
    all_clear: bool = True
    max_per_hour: int = 20
    quiet: tuple[time, time] | None = None

    def wants(self, change: AlarmChange) -> bool:
        """True when `change` is to be told; that a person has seen an alarm never is."""
        view, kind = change.view, change.kind
        if kind is AlarmChangeKind.ACKNOWLEDGED:
            return False
        if kind is AlarmChangeKind.CLEARED and not self.all_clear:
            return False
        if view.name in self.never or (self.only and view.name not in self.only):
            return False
        return severity_rank(view.severity) >= severity_rank(self.min_severity)

    def quiet_until(self, now: datetime, zone: ZoneInfo) -> datetime | None:
        """Return the end of the quiet hours that `now` lies in, UTC, or None outside of them."""
        if self.quiet is None:
            return None
        start, end = self.quiet
        local = now.astimezone(zone)
        clock = local.time()
        inside = start <= clock < end if start < end else clock >= start or clock < end
        if not inside:
            return None
        day = local.date() + timedelta(days=1 if clock >= end else 0)
        return datetime.combine(day, end, zone).astimezone(UTC)


class RateLimit:
    """Lets at most `max_per_hour` messages pass in any hour.

    Half of them may follow each other at once, the other half is refilled evenly: so the first
    message after a flood comes within minutes, not within an hour.

    Args:
        max_per_hour: Most messages in any hour, >= 2.
    """

    def __init__(self, max_per_hour: int) -> None:
        self._burst = max_per_hour - max_per_hour // 2
        self._per_s = (max_per_hour // 2) / HOUR_S
        self._tokens = float(self._burst)
        self._at_s: float | None = None

    def wait_s(self, now_s: float) -> float:
        """Return seconds until a message may pass; 0 when it may now."""
        self._refill(now_s)
        # Rounding must not leave a wait of nothing that never ends.
        return 0.0 if self._tokens > 1.0 - 1e-9 else (1.0 - self._tokens) / self._per_s

    def take(self, now_s: float) -> None:
        """Count a message that passed."""
        self._refill(now_s)
        self._tokens = max(0.0, self._tokens - 1.0)

    def _refill(self, now_s: float) -> None:
        if self._at_s is not None:
            gained = max(0.0, now_s - self._at_s) * self._per_s
            self._tokens = min(float(self._burst), self._tokens + gained)
        self._at_s = now_s
