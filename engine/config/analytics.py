"""Section ``analytics`` of ``ems.yaml``: what savings are measured against."""

from __future__ import annotations

from datetime import time
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from engine.config.section import Section


def _time_of_day(text: str) -> str:
    try:
        time.fromisoformat(text)
    except ValueError as exc:
        raise ValueError(f"{text!r} is no local time of day. Write it like 17:30.") from exc
    return text


TimeOfDay = Annotated[str, Field(pattern=r"^\d\d:\d\d$"), AfterValidator(_time_of_day)]


class TimerConfig(Section):
    """Local times of the baseline "static timer"; an end before its start is on the next day.

    Attributes:
        charge_from: Local time at which it begins to charge.
        charge_until: Local time at which charging ends.
        discharge_from: Local time at which it begins to serve the site.
        discharge_until: Local time at which that ends.
    """

    charge_from: TimeOfDay = "01:00"
    charge_until: TimeOfDay = "05:00"
    discharge_from: TimeOfDay = "17:00"
    discharge_until: TimeOfDay = "22:00"

    @model_validator(mode="after")
    def _windows_are_open(self) -> TimerConfig:
        for what in ("charge", "discharge"):
            begin, end = getattr(self, f"{what}_from"), getattr(self, f"{what}_until")
            if begin == end:
                raise ValueError(
                    f"analytics.timer.{what}_until|The window from {begin} to {end} is empty.|"
                    "Let it end at another time than it begins."
                )
        return self


class AnalyticsConfig(Section):
    """Baselines and key figures.

    `co2_g_per_kwh` is the emission factor of imported energy; without it no CO2 is shown.

    Attributes:
        timer: Windows of the baseline "static timer".
        co2_g_per_kwh: Emission factor of imported energy in g/kWh; None: no CO2 is shown.
    """

    timer: TimerConfig = Field(default_factory=TimerConfig)
    co2_g_per_kwh: Annotated[float, Field(ge=0, le=2000)] | None = None
