"""Where a device keeps its clock, as data of its profile."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import Field

from engine.devices.encoding import Address, Finite, ProfileData

RTC_REGISTERS: Final = 6
"""Year, month, day, hour, minute, second: one register each, in this order."""


class RtcDef(ProfileData):
    """A clock of six registers: year, month, day, hour, minute, second, in UTC.

    Attributes:
        address: Address of the year as the manufacturer writes it; the others follow it.
        function: 16; all six are written at once, so that the clock never shows a mixed time.
        read_function: Function code that reads it back, 3 or 4.
        year_offset: The register holds the year minus this.
        tolerance_s: Largest difference between the clock read back and ours.
    """

    address: Address
    function: Literal[16] = 16
    read_function: Literal[3, 4] = 3
    year_offset: Annotated[int, Field(ge=0, le=2000)] = 2000
    tolerance_s: Annotated[Finite, Field(gt=0)] = 2.0
