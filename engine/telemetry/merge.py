"""Merge samples of several sources into one sample per signal.

Each signal has a list of sources ordered by priority. A source that fails is
left at once; a better one is taken back only after it was well for a hold time
without a break. Signals that only make sense together come from one source.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from engine.domain.errors import ConfigError
from engine.domain.sample import Quality, Sample, aged

COHERENT_GROUPS: tuple[frozenset[str], ...] = (
    frozenset({"battery_kw", "voltage_v", "current_a"}),
    frozenset(
        {
            "soc_percent",
            "max_charge_power_kw",
            "max_discharge_power_kw",
            "max_charge_current_a",
            "max_discharge_current_a",
        }
    ),
    frozenset({"grid_l1_kw", "grid_l2_kw", "grid_l3_kw"}),
)
"""Signals that must come from one source where more than one source could supply them."""

HOLD_S = 10.0
"""A better source must be well this long before it is taken back."""


@dataclass(frozen=True, slots=True)
class SignalSource:
    """One source that is meant to supply one signal.

    Attributes:
        signal: Canonical signal.
        source: Name of the source, for example ``"modbus"`` or ``"mqtt"``.
        priority: Smaller is preferred.
        max_age_s: Age beyond which a sample of this source is stale.
        simulated: True when the source is simulated.
    """

    signal: str
    source: str
    priority: int
    max_age_s: float
    simulated: bool = False


@dataclass(slots=True)
class _Unit:
    """Signals that are chosen together, and where they come from now."""

    signals: tuple[str, ...]
    sources: dict[str, dict[str, SignalSource]]
    current: str | None = None
    candidate: str | None = None
    well_since_s: float = 0.0

    def priority(self, source: str) -> tuple[int, str]:
        return min(spec.priority for spec in self.sources[source].values()), source


class TelemetryMerge:
    """Chooses a source per signal and cycle. Called by one thread only.

    Within a coherent group the source with the most usable signals of the group wins, then
    priority decides; a source that supplies only part of a group never displaces one that
    supplies all of it and is well (`remarks` names such sources). Signals of the group that the
    chosen source does not supply are BAD rather than mixed in from another one.

    Args:
        sources: Who supplies what.
        hold_s: Time a better source must be well before it is taken back.
        groups: Signals that must come from one source.

    Raises:
        ConfigError: Simulated and real sources are mixed, or a source supplies a signal twice.
    """

    def __init__(
        self,
        sources: Sequence[SignalSource],
        *,
        hold_s: float = HOLD_S,
        groups: Sequence[frozenset[str]] = COHERENT_GROUPS,
    ) -> None:
        _check_sources(sources)
        self._hold_s = hold_s
        by_signal: dict[str, dict[str, SignalSource]] = {}
        for spec in sources:
            by_signal.setdefault(spec.signal, {})[spec.source] = spec
        self._units = _units(by_signal, groups)
        self._signals = frozenset(by_signal)

    @property
    def configured_signals(self) -> frozenset[str]:
        """Signals that some source is meant to supply."""
        return self._signals

    @property
    def remarks(self) -> tuple[str, ...]:
        """One sentence per source whose priority cannot take effect, for the log and the test."""
        found = []
        for unit in self._units:
            first = min(unit.sources, key=unit.priority)
            widest = max(unit.sources, key=lambda name: len(unit.sources[name]))
            if len(unit.sources[first]) < len(unit.sources[widest]):
                missing = sorted(unit.sources[widest].keys() - unit.sources[first].keys())
                found.append(
                    f"{first} is preferred for {', '.join(sorted(unit.sources[first]))} but does "
                    f"not supply {', '.join(missing)}; {widest} is used while it is well, because "
                    "these values must come from one source."
                )
        return tuple(found)

    def chosen(self) -> Mapping[str, str]:
        """Return signal to the source it came from in the newest merge."""
        return {
            signal: unit.current
            for unit in self._units
            if unit.current is not None
            for signal in unit.signals
        }

    def merge(
        self,
        now: datetime,
        monotonic_s: float,
        samples: Mapping[str, Mapping[str, Sample]],
    ) -> dict[str, Sample]:
        """Return one sample per configured signal.

        Samples older than their source's `max_age_s` are STALE and keep their value for
        display. A signal without any sample is BAD.

        Args:
            now: Start of the cycle, UTC.
            monotonic_s: Monotonic time of the cycle, which paces the hold time.
            samples: Source name to its newest samples by signal.
        """
        merged: dict[str, Sample] = {}
        for unit in self._units:
            aged = {
                source: {
                    signal: _aged(samples.get(source, {}).get(signal), spec, now)
                    for signal, spec in specs.items()
                }
                for source, specs in unit.sources.items()
            }
            self._choose(unit, aged, monotonic_s)
            chosen = unit.current or min(unit.sources, key=unit.priority)
            for signal in unit.signals:
                sample = aged[chosen].get(signal)
                if sample is None:
                    reason = f"{chosen} serves this group of values and does not supply it"
                    sample = Sample(None, now, chosen, Quality.BAD, reason)
                merged[signal] = sample
        return merged

    def _choose(
        self, unit: _Unit, aged: Mapping[str, Mapping[str, Sample]], monotonic_s: float
    ) -> None:
        usable = {name: sum(s.usable for s in found.values()) for name, found in aged.items()}
        best = min(unit.sources, key=lambda name: (-usable[name], *unit.priority(name)))
        if not usable[best]:
            # Nobody has anything: stay where we were, so that the last value stays on display.
            unit.candidate = None
            return
        current = unit.current
        if current is None or usable[best] > usable[current]:
            unit.current, unit.candidate = best, None
            return
        if best == current:
            unit.candidate = None
            return
        if unit.candidate != best:
            unit.candidate, unit.well_since_s = best, monotonic_s
        if monotonic_s - unit.well_since_s >= self._hold_s:
            unit.current, unit.candidate = best, None


def _units(
    by_signal: Mapping[str, Mapping[str, SignalSource]], groups: Sequence[frozenset[str]]
) -> list[_Unit]:
    units: list[_Unit] = []
    grouped: set[str] = set()
    for group in groups:
        members = {signal for signal in group if signal in by_signal}
        rivals = {source for m in members if len(by_signal[m]) > 1 for source in by_signal[m]}
        # Signals only a bystander supplies leave no choice, so there is nothing to keep together.
        tied = {m for m in members if rivals & by_signal[m].keys()}
        if rivals:
            units.append(_unit(tied, by_signal))
            grouped |= tied
    units.extend(_unit({signal}, by_signal) for signal in sorted(by_signal.keys() - grouped))
    return units


def _unit(signals: set[str], by_signal: Mapping[str, Mapping[str, SignalSource]]) -> _Unit:
    sources: dict[str, dict[str, SignalSource]] = {}
    for signal in sorted(signals):
        for source, spec in by_signal[signal].items():
            sources.setdefault(source, {})[signal] = spec
    return _Unit(tuple(sorted(signals)), sources)


def _aged(sample: Sample | None, spec: SignalSource, now: datetime) -> Sample:
    if sample is None:
        return Sample(None, now, spec.source, Quality.BAD, "no answer yet")
    return aged(sample, now, spec.max_age_s)


def _check_sources(sources: Sequence[SignalSource]) -> None:
    if len({spec.simulated for spec in sources}) > 1:
        simulated = sorted({spec.source for spec in sources if spec.simulated})
        raise ConfigError(
            "Simulated and real sources must not be mixed: simulated values must never reach "
            "real dispatch.",
            field="telemetry.sources",
            value=simulated,
            hint="Turn the demo plant off, or remove the real sources.",
        )
    seen: set[tuple[str, str]] = set()
    for spec in sources:
        key = (spec.source, spec.signal)
        if key in seen:
            raise ConfigError(
                f"{spec.source} supplies {spec.signal} twice.",
                field="telemetry.sources",
                value=spec.signal,
                hint="Remove one, or give it a source name of its own.",
            )
        seen.add(key)
