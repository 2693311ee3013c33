"""One moment as a page shows it, and how far each of its values may be believed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from ems_dash.i18n import said, t
from ems_dash.ui import format as fmt
from engine.domain.sample import Quality, Sample
from engine.domain.snapshot import EngineSnapshot

_NEXT_ATTEMPT = re.compile(r", next attempt in [\d.]+ s")

STALE_AFTER_CYCLES = 3
"""So many control cycles without one completed: what the page shows is no longer now."""

STALE_AFTER_S = 6.0
"""Never sooner than this, however fast the cycles: a browser asks every two seconds."""


@dataclass(frozen=True, slots=True)
class LastSoc:
    """State of charge that was measured until some time ago.

    Attributes:
        percent: Mean of the last minute in which it was measured.
        at: Start of that minute, UTC.
    """

    percent: float
    at: datetime


@dataclass(frozen=True, slots=True)
class Moment:
    """Everything the texts are made from.

    Attributes:
        snapshot: State of the engine after its newest cycle.
        now: The engine's time, UTC.
        heartbeat_age_s: Seconds since the control loop last completed a cycle.
        lang: ``"de"`` or ``"en"``.
        last_soc: The state of charge as last measured, where the page tells it while there is
            no present one.
    """

    snapshot: EngineSnapshot
    now: datetime
    heartbeat_age_s: float
    lang: str
    last_soc: LastSoc | None = None

    @property
    def tz(self) -> ZoneInfo:
        """Time zone of the site."""
        return ZoneInfo(self.snapshot.site.timezone)

    @property
    def engine_is_late(self) -> bool:
        """True when the control loop has missed its cycles."""
        cycle_s = self.snapshot.timestep_s / self.snapshot.time_factor
        return self.heartbeat_age_s > max(STALE_AFTER_S, STALE_AFTER_CYCLES * cycle_s)


@dataclass(frozen=True, slots=True)
class Reading:
    """One signal as shown: its number if there is one, and what to say about its trust.

    Attributes:
        value: The newest number, or None.
        muted: True when it must not be read as a current measurement.
        mark: Text of the pill, empty when the value is good.
        reason: Why, for the pill's tooltip.
    """

    value: float | None
    muted: bool
    mark: str
    reason: str


def calm_reason(reason: str | None, lang: str) -> str:
    """Return why something is wrong, without the seconds until the next attempt.

    They tick where a text follows the link, and are long over where it stands still.
    """
    return said(_NEXT_ATTEMPT.sub("", reason or ""), lang)


def reading(sample: Sample | None, now: datetime, lang: str) -> Reading:
    """Return how to show `sample` at `now` (the time of the cycle, UTC)."""
    if sample is None:
        return Reading(None, True, "", "")
    reason = calm_reason(sample.reason, lang)
    if sample.value is None:
        return Reading(None, True, t("mark.no_value", lang), reason)
    if sample.quality is Quality.STALE:
        age = fmt.age((now - sample.ts).total_seconds())
        return Reading(sample.value, True, t("mark.stale", lang, age=age), reason)
    if sample.quality is Quality.GOOD:
        return Reading(sample.value, False, "", "")
    if sample.quality is Quality.BAD:
        return Reading(None, True, t("mark.no_value", lang), reason)
    return Reading(
        sample.value,
        sample.quality is Quality.SUBSTITUTED,
        t(f"mark.{sample.quality.value}", lang),
        reason,
    )
