"""Rules that hold for a field of any part, and how a profile complains."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.devices.encoding import Encoding
from engine.domain.errors import DeviceError

if TYPE_CHECKING:
    from engine.devices.profile_def import DeviceProfile


def problem_of(
    profile: DeviceProfile, field: str, value: object, problem: str, hint: str
) -> DeviceError:
    """Return the error of a profile that breaks a rule.

    Args:
        profile: The profile.
        field: Dotted place in the profile.
        value: What stands there.
        problem: What is wrong, without a full stop.
        hint: What to do.
    """
    return DeviceError(
        f"profile {profile.key}: {problem} (got {value!r}).", field=field, value=value, hint=hint
    )


def check_encoding(profile: DeviceProfile, field: str, coding: Encoding) -> None:
    """Check that a number of the device can be told from its registers.

    Raises:
        DeviceError: Names the field, the value and the remedy.
    """
    if coding.scale == 0:
        raise problem_of(
            profile,
            f"{field}.scale",
            coding.scale,
            "a scale of 0 erases the value",
            "Give the factor.",
        )
    if coding.sentinel is not None:
        low, high = -(1 << (coding.type.bits - 1)), (1 << coding.type.bits) - 1
        if not low <= coding.sentinel <= high:
            raise problem_of(
                profile,
                f"{field}.sentinel",
                coding.sentinel,
                f"the sentinel does not fit into {coding.type}",
                f"Give a bit pattern between 0 and {high}.",
            )


def check_span(profile: DeviceProfile, field: str, address: int, width: int) -> None:
    """Check that `width` registers from `address` on lie in the address space of the device.

    Raises:
        DeviceError: Names the field, the value and the remedy.
    """
    first = profile.wire_address(address)
    if first < 0 or first + width > 65536:
        raise problem_of(
            profile,
            f"{field}.address",
            address,
            "the address lies outside the device's address space",
            f"With address base {profile.address_base} give "
            f"{profile.address_base} to {65536 - width + profile.address_base}.",
        )
