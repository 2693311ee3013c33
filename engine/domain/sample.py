"""Measured values with their time, origin and quality."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum


class Quality(StrEnum):
    """How far a value may be trusted; only GOOD and UNCERTAIN carry a number for control."""

    GOOD = "good"
    UNCERTAIN = "uncertain"
    STALE = "stale"
    BAD = "bad"
    SUBSTITUTED = "substituted"


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one signal.

    Attributes:
        value: The value in the unit the signal's name carries; None when BAD.
        ts: Time of measurement, timezone-aware UTC.
        source: Device (and link) it came from, for example ``"bms"``.
        quality: Trust in the value.
        reason: Why the quality is not GOOD, in words; None when GOOD.
    """

    value: float | None
    ts: datetime
    source: str
    quality: Quality = Quality.GOOD
    reason: str | None = None

    def __post_init__(self) -> None:
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError("a sample never carries a non-finite number; make it BAD with None")
        if self.quality is Quality.BAD and self.value is not None:
            raise ValueError("a BAD sample carries no value")

    @property
    def usable(self) -> bool:
        """True when control may act on the value."""
        return self.value is not None and self.quality in (Quality.GOOD, Quality.UNCERTAIN)


def aged(sample: Sample, now: datetime, max_age_s: float) -> Sample:
    """Return `sample`, STALE (the value kept for display) when it is not of about now.

    A sample dated ahead of `now` by more than `max_age_s` was taken before the clock was set
    back: nobody knows how old it is, and its date would keep it fresh for as long as that.

    Args:
        sample: The sample.
        now: Wall time, UTC.
        max_age_s: Age beyond which it is stale, s.
    """
    age_s = (now - sample.ts).total_seconds()
    if not sample.usable or -max_age_s <= age_s <= max_age_s:
        return sample
    reason = (
        f"last value {age_s:.0f} s old"
        if age_s > 0
        else f"last value dated {-age_s:.0f} s ahead: the clock was set back"
    )
    return replace(sample, quality=Quality.STALE, reason=reason)


@dataclass(frozen=True, slots=True)
class ProcessImage:
    """All signals of one site, frozen for one control cycle.

    Attributes:
        site_id: The site.
        ts: Start of the control cycle, UTC.
        samples: Signal name (see `engine.domain.signals`) to sample.
        simulated: True when the devices behind it are simulated.
    """

    site_id: str
    ts: datetime
    samples: Mapping[str, Sample] = field(default_factory=dict)
    simulated: bool = False

    def sample(self, signal: str) -> Sample | None:
        """Return the sample of `signal`, or None when no device supplies it."""
        return self.samples.get(signal)

    def value(self, signal: str) -> float | None:
        """Return the value of `signal` if control may act on it, else None."""
        found = self.samples.get(signal)
        return found.value if found is not None and found.usable else None
