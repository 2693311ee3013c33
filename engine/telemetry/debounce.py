"""Calm analog values for displays and messages; control always uses the raw samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from engine.domain.sample import ProcessImage, Sample
from engine.domain.signals import SIGNALS

DEADBAND_BY_UNIT: Mapping[str, float] = {
    "kW": 0.1,
    "%": 0.1,
    "V": 0.5,
    "A": 0.5,
    "°C": 0.2,
    "kΩ": 5.0,
    "kWh": 0.1,
}
"""Changes smaller than this are noise on a display."""


class AnalogDebounce:
    """Holds a shown value until it has changed enough and long enough ago.

    A change of quality, and a value that appears or vanishes, always passes at once: nobody may
    look at a value that is no longer one.

    Args:
        min_interval_s: Shortest time between two changes of the same value, in seconds.
        deadbands: Signal name to smallest change that counts; others go by the signal's unit,
            and codes pass unchanged.
    """

    def __init__(
        self, min_interval_s: float = 1.0, deadbands: Mapping[str, float] | None = None
    ) -> None:
        self._min_interval_s = min_interval_s
        self._deadbands = dict(deadbands or {})
        self._shown: dict[str, tuple[Sample, float]] = {}

    def update(self, name: str, sample: Sample, monotonic_s: float) -> Sample:
        """Return what to show for signal `name` after the raw `sample` of this cycle."""
        previous = self._shown.get(name)
        if previous is None or self._passes(name, previous[0], sample, monotonic_s - previous[1]):
            self._shown[name] = (sample, monotonic_s)
            return sample
        return previous[0]

    def calm(self, image: ProcessImage, monotonic_s: float) -> ProcessImage:
        """Return the image to show after the raw `image` of this cycle."""
        samples = {n: self.update(n, s, monotonic_s) for n, s in image.samples.items()}
        return replace(image, samples=samples)

    def _passes(self, name: str, shown: Sample, sample: Sample, age_s: float) -> bool:
        if shown.quality is not sample.quality or shown.source != sample.source:
            return True
        if shown.value is None or sample.value is None:
            return True
        change = abs(sample.value - shown.value)
        return change >= self._deadband(name) and age_s >= self._min_interval_s

    def _deadband(self, name: str) -> float:
        if name in self._deadbands:
            return self._deadbands[name]
        signal = SIGNALS.get(name)
        return DEADBAND_BY_UNIT.get(signal.unit, 0.0) if signal else 0.0
