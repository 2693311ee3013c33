"""Power limits: what can be one, and who gets how much of a common one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from engine.domain.errors import DeviceError


def checked_limit(limit_kw: float) -> float:
    """Return `limit_kw` when it can be one.

    Raises:
        DeviceError: Negative or not a finite number.
    """
    if math.isfinite(limit_kw) and limit_kw >= 0:
        return limit_kw
    raise DeviceError(
        f"a power limit must be a finite number of at least 0 kW (got {limit_kw!r}).",
        field="limit_kw",
        value=limit_kw,
        hint="Give 0 to stop the device, or None for no limit.",
    )


@dataclass(frozen=True, slots=True)
class LimitPart:
    """One device under a common limit.

    Attributes:
        name: Name of the device.
        limitable: False for a device whose power cannot be limited.
        nameplate_kw: Nameplate power, > 0; None when it is not known.
        measured_kw: Power at present, >= 0; None when it is not known.
    """

    name: str
    limitable: bool
    nameplate_kw: float | None
    measured_kw: float | None


def share_limit(limit_kw: float, parts: Sequence[LimitPart]) -> dict[str, float]:
    """Return the limit of each device that can be limited, so that all keep `limit_kw` together.

    Shares are in proportion to the nameplates, or to the measured power where a nameplate is not
    known; a device of which neither is known counts as an average one. What the devices that
    cannot be limited generate or draw now comes first; when that is not known their nameplate
    is, and without a nameplate nothing is left for the others.

    Args:
        limit_kw: The common limit, >= 0.
        parts: All devices under it.
    """
    rest_kw = max(0.0, limit_kw - math.fsum(_expected_kw(p) for p in parts if not p.limitable))
    limited = [part for part in parts if part.limitable]
    found = [_weight(part) for part in limited]
    known = [weight for weight in found if weight is not None]
    average = math.fsum(known) / len(known) if known else 1.0
    weights = [average if weight is None else weight for weight in found]
    total = math.fsum(weights)
    return {
        part.name: rest_kw * weight / total for part, weight in zip(limited, weights, strict=True)
    }


def _expected_kw(part: LimitPart) -> float:
    if part.measured_kw is not None:
        return part.measured_kw
    return math.inf if part.nameplate_kw is None else part.nameplate_kw


def _weight(part: LimitPart) -> float | None:
    if part.nameplate_kw is not None:
        return part.nameplate_kw
    # A share of 0 would keep a device at 0 that could do more.
    return part.measured_kw or None
