"""Rules for the bits of alarms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.devices.profile_rules.fields import check_span, problem_of
from engine.devices.register_def import READ_BITS
from engine.domain.signals import ALARMS

if TYPE_CHECKING:
    from engine.devices.profile_def import DeviceProfile


def check_alarms(profile: DeviceProfile) -> None:
    """Check that every alarm is a known one and that its bits can be read.

    Raises:
        DeviceError: Names the field, the value and the remedy.
    """
    for name, alarm in profile.alarms.items():
        if name not in ALARMS:
            raise problem_of(
                profile, f"alarms.{name}", name, "unknown alarm", f"Known are {', '.join(ALARMS)}."
            )
        for place in alarm.places:
            check_span(profile, f"alarms.{name}", place.address, 1)
            if place.function in READ_BITS and (place.bit, place.mask) != (None, None):
                raise problem_of(
                    profile,
                    f"alarms.{name}.bit",
                    place.bit,
                    f"function {place.function} reads a single bit already",
                    "Leave it out.",
                )
