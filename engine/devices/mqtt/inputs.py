"""Telemetry in: topics mapped to canonical signals."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from engine.config.mqtt import MqttConfig, MqttInputConfig
from engine.devices.encoding import PositiveMeans
from engine.devices.mqtt.payload import (
    PathStep,
    PayloadError,
    look_up,
    parse_json,
    parse_path,
    to_number,
)
from engine.domain.errors import ConfigError
from engine.domain.sample import Quality, Sample
from engine.domain.signals import ALARMS, EXTERNAL_CONTACT, SIGNALS, Kind
from engine.telemetry.merge import SignalSource

_BATTERY: Final = (PositiveMeans.DISCHARGE, PositiveMeans.CHARGE)
_GRID: Final = (PositiveMeans.IMPORT, PositiveMeans.EXPORT)
_PV: Final = (PositiveMeans.GENERATION, PositiveMeans.CONSUMPTION)
_LOAD: Final = (PositiveMeans.CONSUMPTION, PositiveMeans.GENERATION)

_DIRECTIONS: Final[Mapping[str, tuple[PositiveMeans, PositiveMeans]]] = {
    "battery_kw": _BATTERY,
    "battery_setpoint_kw": _BATTERY,
    "current_a": _BATTERY,
    "grid_kw": _GRID,
    "grid_l1_kw": _GRID,
    "grid_l2_kw": _GRID,
    "grid_l3_kw": _GRID,
    "pv_kw": _PV,
    "load_kw": _LOAD,
}
"""Signals with a direction: first our positive direction, then the opposite."""

_TO_CANONICAL: Final[Mapping[str, Mapping[str, float]]] = {
    "kW": {"kW": 1.0, "W": 1e-3, "MW": 1e3},
    "kWh": {"kWh": 1.0, "Wh": 1e-3, "MWh": 1e3},
    "V": {"V": 1.0, "mV": 1e-3, "kV": 1e3},
    "A": {"A": 1.0, "mA": 1e-3, "kA": 1e3},
    "%": {"%": 1.0, "1": 100.0},
    "kΩ": {"kΩ": 1.0, "Ω": 1e-3, "MΩ": 1e3},
    "Hz": {"Hz": 1.0, "mHz": 1e-3},
}
"""Unit of a signal to the units that can be turned into it; others take only their own."""

_STANDBY_KW: Final = 1.0
"""Inverters draw a little at night: down to this, negative PV power counts as 0."""

_RANGES: Final[Mapping[str, tuple[float, float]]] = {
    "soc_percent": (0.0, 100.0),
    "soh_percent": (0.0, 110.0),
    EXTERNAL_CONTACT: (0.0, 1.0),
    "alarm_bits": (0.0, 2.0 ** len(ALARMS) - 1),
    "pv_kw": (-_STANDBY_KW, 1e6),
    "load_kw": (-_STANDBY_KW, 1e6),
}
_NEVER_NEGATIVE: Final = frozenset(
    {
        "voltage_v",
        "grid_voltage_l1_v",
        "grid_voltage_l2_v",
        "grid_voltage_l3_v",
        "grid_frequency_hz",
        "insulation_resistance_kohm",
        "max_charge_power_kw",
        "max_discharge_power_kw",
        "max_charge_current_a",
        "max_discharge_current_a",
        "status_code",
    }
) | {name for name, signal in SIGNALS.items() if signal.kind is Kind.COUNTER}


@dataclass(frozen=True, slots=True)
class MqttInput:
    """One compiled mapping: canonical value = (number * scale + offset) * factor.

    Attributes:
        topic: Topic, without wildcards.
        signal: Canonical signal.
        source: Name of the source in the merge.
        path: Where in the JSON the number stands.
        scale: Factor from the message to `unit`.
        offset: Added after scaling.
        factor: From `unit` and the direction of the message to the canonical value.
        low: Smallest plausible canonical value.
        high: Largest plausible canonical value.
        max_age_s: Age beyond which a sample is stale.
        priority: Smaller is preferred.
    """

    topic: str
    signal: str
    source: str
    path: tuple[PathStep, ...]
    scale: float
    offset: float
    factor: float
    low: float
    high: float
    max_age_s: float
    priority: int

    def decode(self, payload: bytes, now: datetime, *, retained: bool = False) -> Sample:
        """Return the sample a message stands for; never raises on any payload.

        What is not a plausible finite number is BAD, with the reason. A retained message is
        STALE: nobody knows how old it is.

        Args:
            payload: The message.
            now: Time of arrival, UTC.
            retained: True when the broker had stored it.
        """
        try:
            number = to_number(look_up(parse_json(payload), self.path))
            value = (number * self.scale + self.offset) * self.factor
            self._check(value)
        except PayloadError as exc:
            return Sample(None, now, self.source, Quality.BAD, exc.message)
        if self.signal in ("pv_kw", "load_kw"):
            value = max(0.0, value)
        if retained:
            reason = "retained by the broker, age unknown"
            return Sample(value, now, self.source, Quality.STALE, reason)
        return Sample(value, now, self.source)

    def _check(self, value: float) -> None:
        # Written so that NaN and infinity from the scaling fail it too.
        if not self.low <= value <= self.high:
            raise PayloadError(f"{value:g} is outside {self.low:g} to {self.high:g}")
        if SIGNALS[self.signal].kind is Kind.CODE and value != int(value):
            raise PayloadError(f"{value:g} is not a whole number")


def compile_inputs(config: MqttConfig) -> tuple[MqttInput, ...]:
    """Check the mapping table of a configuration and return it compiled.

    Raises:
        ConfigError: Naming key, value and remedy of the first mistake.
    """
    compiled: list[MqttInput] = []
    seen: set[tuple[str, str]] = set()
    for i, entry in enumerate(config.inputs):
        where = f"mqtt.inputs.{i}"
        compiled.append(_compile(entry, where))
        key = (entry.source, entry.signal)
        if key in seen:
            raise ConfigError(
                f"{entry.signal} comes from {entry.source} twice.",
                field=f"{where}.signal",
                value=entry.signal,
                hint="Remove one, or give one of them a `source` name of its own.",
            )
        seen.add(key)
    return tuple(compiled)


def _compile(entry: MqttInputConfig, where: str) -> MqttInput:
    signal = SIGNALS.get(entry.signal)
    if signal is None:
        raise ConfigError(
            f"'{entry.signal}' is not a signal.",
            field=f"{where}.signal",
            value=entry.signal,
            hint=f"Known signals: {', '.join(SIGNALS)}.",
        )
    if any(c in entry.topic for c in "+#\0") or entry.topic.startswith("$"):
        raise ConfigError(
            f"'{entry.topic}' is not the topic of one value.",
            field=f"{where}.topic",
            value=entry.topic,
            hint="Give a full topic without + and #.",
        )
    if entry.scale == 0:
        raise ConfigError(
            "A scale of 0 makes every value 0.",
            field=f"{where}.scale",
            value=entry.scale,
            hint="Give the factor, for example 0.1.",
        )
    try:
        path = parse_path(entry.path)
    except PayloadError as exc:
        raise ConfigError(
            exc.message, field=f"{where}.path", value=entry.path, hint=exc.hint
        ) from exc
    low, high = _range(entry, where)
    return MqttInput(
        topic=entry.topic,
        signal=entry.signal,
        source=entry.source,
        path=path,
        scale=entry.scale,
        offset=entry.offset,
        factor=_unit_factor(entry, signal.unit, where) * _direction(entry, where),
        low=low,
        high=high,
        max_age_s=entry.max_age_s,
        priority=entry.priority,
    )


def _unit_factor(entry: MqttInputConfig, canonical: str, where: str) -> float:
    known = _TO_CANONICAL.get(canonical, {canonical: 1.0})
    unit = canonical if entry.unit is None else entry.unit
    if unit not in known:
        raise ConfigError(
            f"{entry.signal} cannot be made of '{unit}'.",
            field=f"{where}.unit",
            value=unit,
            hint=f"Possible are {', '.join(repr(u) for u in known)}; use scale for others.",
        )
    return known[unit]


def _direction(entry: MqttInputConfig, where: str) -> float:
    directions = _DIRECTIONS.get(entry.signal)
    given = entry.positive_means
    if directions is None:
        if given is None:
            return 1.0
        raise ConfigError(
            f"{entry.signal} has no direction.",
            field=f"{where}.positive_means",
            value=given,
            hint="Remove positive_means.",
        )
    ours, opposite = directions
    if given == ours:
        return 1.0
    if given == opposite:
        return -1.0
    raise ConfigError(
        f"The direction of a positive {entry.signal} must be stated.",
        field=f"{where}.positive_means",
        value=given,
        hint=f"Write {ours.value} or {opposite.value}.",
    )


def _range(entry: MqttInputConfig, where: str) -> tuple[float, float]:
    low, high = _RANGES.get(entry.signal, (-1e12, 1e12))
    if entry.signal in _NEVER_NEGATIVE:
        low = 0.0
    low = low if entry.min is None else max(low, entry.min)
    high = high if entry.max is None else min(high, entry.max)
    if low >= high:
        raise ConfigError(
            f"No value can lie between {low:g} and {high:g}.",
            field=f"{where}.min",
            value=entry.min,
            hint="min must be smaller than max, both in the unit of the signal.",
        )
    return low, high


class InputSamples:
    """Newest sample of every mapped value; fed by one thread, read by any.

    Args:
        inputs: Compiled mapping table.
    """

    def __init__(self, inputs: Sequence[MqttInput]) -> None:
        self._inputs = tuple(inputs)
        self._by_topic: dict[str, list[MqttInput]] = {}
        for entry in self._inputs:
            self._by_topic.setdefault(entry.topic, []).append(entry)
        self._samples: dict[tuple[str, str], Sample] = {}
        self._bad_messages = 0
        self._lock = threading.Lock()

    @property
    def entries(self) -> tuple[MqttInput, ...]:
        """The mapping table."""
        return self._inputs

    @property
    def topics(self) -> tuple[str, ...]:
        """Topics to subscribe to."""
        return tuple(self._by_topic)

    @property
    def bad_messages(self) -> int:
        """Messages of which at least one value was BAD."""
        return self._bad_messages

    def silent_topics(self) -> tuple[str, ...]:
        """Return the topics nothing has come from yet."""
        with self._lock:
            heard = {e.topic for e in self._inputs if (e.source, e.signal) in self._samples}
        return tuple(topic for topic in self._by_topic if topic not in heard)

    def receive(self, topic: str, payload: bytes, now: datetime, *, retained: bool = False) -> bool:
        """Take in a message; True when its topic is mapped."""
        entries = self._by_topic.get(topic)
        if entries is None:
            return False
        decoded = [(entry, entry.decode(payload, now, retained=retained)) for entry in entries]
        with self._lock:
            self._bad_messages += any(s.quality is Quality.BAD for _, s in decoded)
            for entry, sample in decoded:
                key = (entry.source, entry.signal)
                # A retained message comes again with every connection; it never replaces a
                # value that arrived live.
                if not retained or key not in self._samples:
                    self._samples[key] = sample
        return True

    def by_source(self, now: datetime) -> dict[str, dict[str, Sample]]:
        """Return source to signal to newest sample; what never came is BAD."""
        with self._lock:
            samples = dict(self._samples)
        found: dict[str, dict[str, Sample]] = {}
        for entry in self._inputs:
            sample = samples.get((entry.source, entry.signal))
            if sample is None:
                reason = f"no message on {entry.topic} yet"
                sample = Sample(None, now, entry.source, Quality.BAD, reason)
            found.setdefault(entry.source, {})[entry.signal] = sample
        return found

    def sources(self) -> tuple[SignalSource, ...]:
        """Return what the merge must know: who supplies what, in which order."""
        return tuple(
            SignalSource(e.signal, e.source, e.priority, e.max_age_s) for e in self._inputs
        )
