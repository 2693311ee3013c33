"""Merge device samples into the process image of one control cycle."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from engine.domain.sample import ProcessImage, Quality, Sample, aged

BALANCE = "balance"
"""Source of a load that is derived and not measured."""

LOAD_SOURCES = ("grid_kw", "pv_kw", "battery_kw")

NEGATIVE_LOAD_TOLERANCE_KW = 1.0
"""Meters of different class and moment disagree a little; more than this is a wiring mistake."""


def build_image(
    site_id: str,
    ts: datetime,
    samples: Mapping[str, Sample],
    *,
    max_age_s: float,
    configured: frozenset[str],
    simulated: bool,
) -> ProcessImage:
    """Freeze the newest samples for one control cycle.

    Samples older than `max_age_s`, or dated that far ahead, become STALE (the value is kept for
    display, control does not use it). A configured signal without any sample is BAD. The load is
    derived by the balance at the grid connection, ``load = grid + pv + battery``, when no device
    measures it and every configured part is usable.

    Args:
        site_id: The site.
        ts: Start of the cycle, UTC.
        samples: Newest sample per canonical signal.
        max_age_s: Age beyond which a sample is stale.
        configured: Signals that some device is meant to supply.
        simulated: True when the devices are simulated.
    """
    frozen: dict[str, Sample] = {}
    for name in sorted(configured | samples.keys()):
        sample = samples.get(name)
        if sample is None:
            frozen[name] = Sample(None, ts, "none", Quality.BAD, "no answer yet")
        else:
            frozen[name] = aged(sample, ts, max_age_s)
    if "load_kw" not in frozen and "grid_kw" in configured:
        frozen["load_kw"] = _derived_load(ts, frozen, configured)
    return ProcessImage(site_id=site_id, ts=ts, samples=frozen, simulated=simulated)


def _derived_load(
    ts: datetime, samples: Mapping[str, Sample], configured: frozenset[str]
) -> Sample:
    load_kw = 0.0
    oldest = ts
    for name in LOAD_SOURCES:
        if name not in configured:
            continue
        part = samples[name]
        if part.value is None or not part.usable:
            reason = f"{name}: {part.reason or part.quality.value}"
            return Sample(None, ts, BALANCE, Quality.BAD, reason)
        load_kw += part.value
        oldest = min(oldest, part.ts)
    if load_kw < -NEGATIVE_LOAD_TOLERANCE_KW:
        reason = "negative load: check the direction of meter, PV and battery"
        return Sample(load_kw, oldest, BALANCE, Quality.UNCERTAIN, reason)
    return Sample(max(0.0, load_kw), oldest, BALANCE)
