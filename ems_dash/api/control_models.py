"""What the control routes take and answer with: orders by hand, limits from outside."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field

from ems_dash.api.models import ApiModel, ApiRequest, UtcTime

Number = Annotated[float, Field(strict=True)]
"""A JSON number; true or "50" is none."""


def _utc(instant: datetime) -> datetime:
    try:
        return instant.astimezone(UTC)
    except OverflowError as exc:
        raise ValueError("the time is beyond the calendar") from exc


Instant = Annotated[AwareDatetime, AfterValidator(_utc)]

LimitSource = Literal["dso", "api", "digital_input", "manual"]


class ManualRequest(ApiRequest):
    """``POST /api/control/manual``: one power until a time, or for some minutes; exactly one."""

    power_kw: Number
    until: Instant | None = None
    minutes: Annotated[Number, Field(ge=-1e6, le=1e6)] | None = None
    soc_percent: Number | None = None


class ManualInfo(ApiModel):
    """The order by hand in force."""

    power_kw: float
    given_at: UtcTime
    until: UtcTime
    soc_percent: float | None
    source: str


class ManualAnswer(ApiModel):
    """``GET`` and ``POST /api/control/manual``: the order in force, or null."""

    manual: ManualInfo | None


class LimitRequest(ApiRequest):
    """``POST /api/control/limits``: what a source allows; what is left out is not limited.

    For the digital input only `closed` is given. `release` takes back what the source asked for.
    """

    source: LimitSource = "api"
    import_kw: Number | None = None
    export_kw: Number | None = None
    charge_kw: Number | None = None
    discharge_kw: Number | None = None
    soc_min_percent: Number | None = None
    soc_max_percent: Number | None = None
    valid_until: Instant | None = None
    closed: bool | None = None
    release: bool = False


class LimitInfo(ApiModel):
    """A limit from outside that applies now; null means that it says nothing.

    `cause` says why: `asked`, or the reduced values because of a `contact`, `contact_missing`,
    `silent` or `ended`.
    """

    source: str
    cause: str
    import_kw: float | None
    export_kw: float | None
    charge_kw: float | None
    discharge_kw: float | None
    soc_min_percent: float | None
    soc_max_percent: float | None
    valid_until: UtcTime | None


class LimitsInForceAnswer(ApiModel):
    """``GET`` and ``POST /api/control/limits``: every limit from outside that applies now."""

    limits: list[LimitInfo]
