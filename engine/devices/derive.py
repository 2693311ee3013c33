"""Derived signals: worked out from the samples of one poll of one device."""

from __future__ import annotations

import math
from collections.abc import Mapping, MutableMapping

from engine.devices.codec import bad_sample, implausible
from engine.devices.derived_def import DerivedDef
from engine.domain.sample import Quality, Sample


def add_derived(
    rules: Mapping[str, DerivedDef], samples: MutableMapping[str, Sample], source: str
) -> None:
    """Add the sample of every derived signal, in the order of `rules`.

    Args:
        rules: Derived signal to rule; a rule may use what stands before it.
        samples: Samples of one poll; every input of every rule is there.
        source: Device name.
    """
    for signal, rule in rules.items():
        samples[signal] = derive(signal, rule, samples, source)


def derive(signal: str, rule: DerivedDef, samples: Mapping[str, Sample], source: str) -> Sample:
    """Return the sample of `signal`: as old as its oldest input, as good as its worst."""
    inputs = {name: samples[name] for name in rule.inputs}
    if rule.first:
        usable = [name for name in rule.first if inputs[name].usable]
        inputs = {name: inputs[name] for name in (usable or rule.first)[:1]}
    ts = min(sample.ts for sample in inputs.values())
    values: dict[str, float] = {}
    doubt: str | None = None
    for name, sample in inputs.items():
        if sample.value is None or not sample.usable:
            return bad_sample(ts, source, f"{signal}: needs {name} ({sample.reason})")
        values[name] = sample.value
        if sample.quality is Quality.UNCERTAIN:
            doubt = f"{signal}: {sample.reason}"
    value = rule.combine(values)
    low, high = rule.min, rule.max
    if not math.isfinite(value):
        return bad_sample(ts, source, f"{signal}: the result is not finite")
    if (low is not None and value < low) or (high is not None and value > high):
        return bad_sample(ts, source, implausible(signal, value, low, high))
    quality = Quality.GOOD if doubt is None else Quality.UNCERTAIN
    return Sample(rule.clipped(value), ts, source, quality, doubt)
