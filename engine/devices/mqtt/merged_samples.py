"""The devices of a site together with values from other sources, such as MQTT."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from engine.domain.clock import Clock
from engine.domain.sample import Sample
from engine.telemetry.merge import HOLD_S, SignalSource, TelemetryMerge

DEVICES_SOURCE = "modbus"
DEVICES_PRIORITY = 20
"""Devices are preferred to mapped topics (default priority 50) unless these say otherwise."""

SamplesBySource = Callable[[], Mapping[str, Mapping[str, Sample]]]


class MergedSamples:
    """One sample per signal out of the devices and further sources.

    To be asked once per control cycle, by the thread that runs the cycle: the hold time before a
    better source is taken back is counted between calls. The samples are already aged, each by
    its own source's limit.

    Args:
        device_samples: Returns the newest sample per signal of the devices.
        device_signals: Signals the devices are meant to supply.
        device_max_age_s: Age beyond which a device's sample is stale.
        others: What further sources are meant to supply.
        other_samples: Returns source name to the newest samples of the further sources.
        clock: Time.
        simulated: True when the devices are simulated.
        hold_s: Time a better source must be well before it is taken back.

    Raises:
        ConfigError: The devices are simulated and there are further sources, or a source
            supplies a signal twice.
    """

    def __init__(
        self,
        device_samples: Callable[[], Mapping[str, Sample]],
        device_signals: frozenset[str],
        *,
        device_max_age_s: float,
        others: tuple[SignalSource, ...],
        other_samples: SamplesBySource,
        clock: Clock,
        simulated: bool,
        hold_s: float = HOLD_S,
    ) -> None:
        own = tuple(
            SignalSource(signal, DEVICES_SOURCE, DEVICES_PRIORITY, device_max_age_s, simulated)
            for signal in sorted(device_signals)
        )
        self._merge = TelemetryMerge((*own, *others), hold_s=hold_s)
        self._device_samples = device_samples
        self._other_samples = other_samples
        self._clock = clock

    @property
    def configured_signals(self) -> frozenset[str]:
        """Signals that some source is meant to supply."""
        return self._merge.configured_signals

    @property
    def remarks(self) -> tuple[str, ...]:
        """Sentences on sources whose priority cannot take effect."""
        return self._merge.remarks

    def samples(self) -> dict[str, Sample]:
        """Return one sample per configured signal."""
        by_source = {**self._other_samples(), DEVICES_SOURCE: self._device_samples()}
        return self._merge.merge(self._clock.now(), self._clock.monotonic(), by_source)
