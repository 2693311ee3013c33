"""How the samples of several devices become one sample of the site.

Whatever is missing in a part is missing in the whole; only a missing limit
counts as 0, so that the limits of the other parts still hold.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from engine.domain.sample import Quality, Sample
from engine.domain.signals import STATUS_NO_CHARGE, STATUS_NO_DISCHARGE

NEGATIVE_PV_TOLERANCE_KW: Final = 1.0
"""Draw of inverters at night; a PV meter showing more import than this is wired the wrong way."""

_INITIALISING, _CHARGING, _DISCHARGING, _READY = 0, 1, 2, 3
_NO_CHARGE, _NO_DISCHARGE, _NEITHER, _FAULT = 5, 6, 7, 8


@dataclass(frozen=True, slots=True)
class Part:
    """What one device contributes.

    Attributes:
        sample: Its newest sample.
        weight_kwh: Energy capacity behind it, for energy-weighted means.
    """

    sample: Sample
    weight_kwh: float = 1.0


Combine = Callable[[Sequence[Part]], Sample]
"""Makes one sample of at least one part."""


def total(parts: Sequence[Part]) -> Sample:
    """Return the sum; BAD as soon as one part is not usable."""
    return _of_all(parts, sum)


def mean_by_energy(parts: Sequence[Part]) -> Sample:
    """Return the mean weighted by energy capacity; BAD as soon as one part is not usable."""
    weight_kwh = sum(part.weight_kwh for part in parts)

    def mean(values: Sequence[float]) -> float:
        return sum(p.weight_kwh * v for p, v in zip(parts, values, strict=True)) / weight_kwh

    return _of_all(parts, mean)


def lowest(parts: Sequence[Part]) -> Sample:
    """Return the smallest value; BAD as soon as one part is not usable."""
    return _of_all(parts, min)


def highest(parts: Sequence[Part]) -> Sample:
    """Return the largest value; BAD as soon as one part is not usable."""
    return _of_all(parts, max)


def any_bit(parts: Sequence[Part]) -> Sample:
    """Return all bits that are set anywhere; BAD as soon as one part is not usable."""

    def union(values: Sequence[float]) -> float:
        bits = 0
        for value in values:
            bits |= int(value)
        return float(bits)

    return _of_all(parts, union)


def strictest_status(parts: Sequence[Part]) -> Sample:
    """Return the canonical status code that forbids what any part forbids."""

    def combine(values: Sequence[float]) -> float:
        codes = {int(value) for value in values}
        for code in (_FAULT, _INITIALISING):
            if code in codes:
                return float(code)
        no_charge = bool(codes & STATUS_NO_CHARGE)
        no_discharge = bool(codes & STATUS_NO_DISCHARGE)
        if no_charge or no_discharge:
            both = no_charge and no_discharge
            return float(_NEITHER if both else _NO_CHARGE if no_charge else _NO_DISCHARGE)
        moving = codes & {_CHARGING, _DISCHARGING}
        return float(moving.pop() if len(moving) == 1 else _READY)

    return _of_all(parts, combine)


def sum_of_limits(parts: Sequence[Part]) -> Sample:
    """Return the sum of limits (>= 0 each); a missing one counts 0, all missing is BAD."""
    usable = [part for part in parts if part.sample.usable]
    if len(parts) == 1 or not usable:
        return _of_all(parts, sum)
    value = sum(max(0.0, part.sample.value or 0.0) for part in usable)
    whole = _made_of(usable, value)
    missing = [_why(part.sample) for part in parts if not part.sample.usable]
    if missing:
        reason = "counts as 0: " + "; ".join(missing)
        return replace(whole, quality=Quality.UNCERTAIN, reason=reason)
    return whole


def as_pv(sample: Sample) -> Sample:
    """Return PV power (>= 0) from a meter that shows import as positive."""
    if sample.value is None or not sample.usable:
        return sample
    if sample.value > NEGATIVE_PV_TOLERANCE_KW:
        return Sample(
            None,
            sample.ts,
            sample.source,
            Quality.BAD,
            f"the PV meter shows {sample.value:g} kW of consumption: its direction is wrong",
        )
    return replace(sample, value=max(0.0, -sample.value))


def missing(like: Sample, reason: str) -> Sample:
    """Return a BAD sample with the time and source of `like`."""
    return Sample(None, like.ts, like.source, Quality.BAD, reason)


def _of_all(parts: Sequence[Part], combine: Callable[[Sequence[float]], float]) -> Sample:
    if len(parts) == 1:
        return parts[0].sample
    values = [part.sample.value for part in parts if part.sample.usable]
    known = [value for value in values if value is not None]
    if len(known) < len(parts):
        reason = "; ".join(_why(part.sample) for part in parts if not part.sample.usable)
        return replace(_made_of(parts, 0.0), value=None, quality=Quality.BAD, reason=reason)
    return _made_of(parts, combine(known))


def _made_of(parts: Sequence[Part], value: float) -> Sample:
    samples = [part.sample for part in parts]
    uncertain = [s for s in samples if s.quality is not Quality.GOOD]
    return Sample(
        value,
        min(s.ts for s in samples),
        "+".join(dict.fromkeys(s.source for s in samples)),
        Quality.UNCERTAIN if uncertain else Quality.GOOD,
        "; ".join(_why(s) for s in uncertain) or None,
    )


def _why(sample: Sample) -> str:
    return f"{sample.source}: {sample.reason or sample.quality.value}"
