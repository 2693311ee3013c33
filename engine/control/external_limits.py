"""Limits from outside: grid operator (§14a EnWG), API, MQTT, digital input, and a person.

Each source has one limit at a time; the next replaces it. A source that sends every number
for itself, each with a validity of its own, has one per part. What follows at the end of its
validity, and what a silent source means, is configured per source. Validity runs on
monotonic time from the moment the limit arrives, so a clock that jumps neither ends nor
extends it.

The contact of a digital input is told by a client of the API, or read from a device in every
cycle. A contact that is to be read and is not counts as closed.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from engine.config.control import ExternalSourceConfig, ReducedConfig
from engine.domain.errors import EmsError
from engine.domain.sample import Sample

MANUAL = "manual"
"""Source name of limits a person sets; known without configuration, released at their end."""

DIGITAL_INPUT = "digital_input"
"""Source name of the contact."""

Cause = Literal["asked", "contact", "contact_missing", "silent", "ended"]
"""Why a limit applies: it was asked for, or the reduced values for one of the other reasons."""


@dataclass(frozen=True, slots=True)
class ExternalLimit:
    """What one source allows; None means that it says nothing.

    Attributes:
        source: ``"api"``, ``"mqtt"``, ``"digital_input"``, ``"dso"`` or ``"manual"``.
        import_kw: Most the site may draw from the grid, >= 0.
        export_kw: Most the site may feed into the grid, >= 0.
        charge_kw: Most the battery may charge, >= 0.
        discharge_kw: Most the battery may discharge, >= 0.
        soc_min_percent: Lower end of the SoC window, 0..100; it can only narrow it.
        soc_max_percent: Upper end of it, likewise.
        valid_until: When it ends, timezone-aware; None: until the next one.
        cause: Why it applies.

    Raises:
        EmsError: A power is negative or not finite, a share is outside 0..100, or the time
            has no zone.
    """

    source: str
    import_kw: float | None = None
    export_kw: float | None = None
    charge_kw: float | None = None
    discharge_kw: float | None = None
    soc_min_percent: float | None = None
    soc_max_percent: float | None = None
    valid_until: datetime | None = None
    cause: Cause = "asked"

    def __post_init__(self) -> None:
        for name, most in (
            ("import_kw", math.inf),
            ("export_kw", math.inf),
            ("charge_kw", math.inf),
            ("discharge_kw", math.inf),
            ("soc_min_percent", 100.0),
            ("soc_max_percent", 100.0),
        ):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and 0.0 <= value <= most):
                raise EmsError(
                    f"{value} is no possible limit.",
                    field=name,
                    value=value,
                    hint="Give a number of 0 or more, a share of at most 100, or leave it out.",
                )
        if self.valid_until is not None and self.valid_until.tzinfo is None:
            raise EmsError(
                "The end of validity has no time zone.",
                field="valid_until",
                value=self.valid_until,
                hint="Give a time with an offset, for example +00:00 or Z.",
            )


@dataclass(frozen=True, slots=True)
class ContactState:
    """The contact as a device shows it.

    Attributes:
        closed: True when its reduced values apply.
        missing: Why it could not be read, in words; None when it was.
    """

    closed: bool
    missing: str | None = None


@dataclass(slots=True)
class _Source:
    config: ExternalSourceConfig | None
    heard_s: float = -math.inf
    parts: dict[str, tuple[ExternalLimit, float]] = field(default_factory=dict)
    """Part to its limit and the monotonic time at which that ends."""
    contact_closed: bool = False
    contact_missing: str | None = None
    """Why the contact could not be read, of one that is read from a device."""

    @property
    def reads_contact(self) -> bool:
        return self.config is not None and self.config.reads_contact


class ExternalLimits:
    """Holds the newest limit of each source. Any thread may set, the control loop reads.

    A source with a heartbeat that has not been heard since the start counts as silent.

    Args:
        sources: The configured sources.
    """

    def __init__(self, sources: Iterable[ExternalSourceConfig] = ()) -> None:
        self._lock = threading.Lock()
        self._sources = {str(entry.source): _Source(entry) for entry in sources}
        for source in self._sources.values():
            if source.reads_contact:
                source.contact_missing = "not read yet"
        self._sources[MANUAL] = _Source(None)

    def put(
        self,
        limit: ExternalLimit,
        *,
        now: datetime,
        monotonic_s: float,
        part: str = "",
        heard: bool = True,
    ) -> None:
        """Take over a limit instead of what the source asked for before.

        A limit stored before a restart is put again with its own `valid_until`; one that has
        ended meanwhile goes the way its source is configured for.

        Args:
            limit: The limit.
            now: Wall time of arrival, UTC.
            monotonic_s: Monotonic time of arrival.
            part: What of the source it replaces; empty for everything.
            heard: False for a stored one: only what the source itself says is a heartbeat.

        Raises:
            EmsError: The source is not configured.
        """
        until = limit.valid_until
        ends_s = math.inf if until is None else monotonic_s + (until - now).total_seconds()
        with self._lock:
            source = self._find(limit.source)
            if not part:
                source.parts.clear()
            source.parts[part] = (limit, ends_s)
            if heard:
                source.heard_s = monotonic_s

    def release(self, name: str, *, monotonic_s: float) -> None:
        """Take back what a source asked for; it counts as a heartbeat.

        Raises:
            EmsError: The source is not configured.
        """
        with self._lock:
            source = self._find(name)
            source.parts.clear()
            source.heard_s = monotonic_s

    def heartbeat(self, name: str, *, monotonic_s: float) -> None:
        """Note that a source was heard without a change.

        Raises:
            EmsError: The source is not configured.
        """
        with self._lock:
            self._find(name).heard_s = monotonic_s

    def contact(self, closed: bool, *, monotonic_s: float, heard: bool = True) -> None:
        """Take over the state of the digital input: closed means its reduced values apply.

        Args:
            closed: Its state.
            monotonic_s: Monotonic time of arrival.
            heard: False for a stored state.

        Raises:
            EmsError: The digital input is not configured, or is read from a device.
        """
        with self._lock:
            source = self._find(DIGITAL_INPUT)
            if source.reads_contact:
                raise EmsError(
                    "The contact is read from a device; nobody else can close or open it.",
                    field="closed",
                    value=closed,
                    hint="Set contact_from: api under limits.external to take it from a client.",
                )
            source.contact_closed = closed
            if heard:
                source.heard_s = monotonic_s

    def read_contact(self, sample: Sample | None) -> ContactState | None:
        """Take over what a device says of the contact in this cycle.

        Anything but a usable 0 counts as closed.

        Args:
            sample: Sample of `engine.domain.signals.EXTERNAL_CONTACT`; None when there is none.

        Returns:
            The state, or None when the contact is not read from a device.
        """
        with self._lock:
            source = self._sources.get(DIGITAL_INPUT)
            if source is None or not source.reads_contact:
                return None
            usable = sample is not None and sample.usable
            source.contact_closed = not usable or sample is None or sample.value != 0.0
            source.contact_missing = None if usable else _why(sample)
            return ContactState(source.contact_closed, source.contact_missing)

    def active(self, monotonic_s: float) -> tuple[ExternalLimit, ...]:
        """Return every limit that applies now; of one source several may apply together."""
        found: list[ExternalLimit] = []
        with self._lock:
            for name, source in self._sources.items():
                found += _active(name, source, monotonic_s)
        return tuple(found)

    def _find(self, name: str) -> _Source:
        source = self._sources.get(name)
        if source is None:
            raise EmsError(
                f"Limits from {name} are not configured.",
                field="source",
                value=name,
                hint="Add it under limits.external, or use one of: "
                + ", ".join(self._sources)
                + ".",
            )
        return source


def _active(name: str, source: _Source, monotonic_s: float) -> list[ExternalLimit]:
    out: list[ExternalLimit] = []
    config = source.config
    after = "release" if config is None else config.after_validity
    ended_any = False
    for limit, ends_s in source.parts.values():
        ended = monotonic_s >= ends_s
        if not ended or after == "hold":
            out.append(limit)
        ended_any = ended_any or ended
    if config is None:
        return out
    cause: Cause | None = None
    silent_s = monotonic_s - source.heard_s
    if source.contact_missing is not None:
        cause = "contact_missing"
    elif source.contact_closed:
        cause = "contact"
    elif config.heartbeat_s is not None and silent_s > config.heartbeat_s:
        cause = "silent"
    elif ended_any and after == "reduced":
        cause = "ended"
    if cause is not None:
        out.append(_as_limit(name, config.reduced, cause))
    return out


def _as_limit(name: str, reduced: ReducedConfig, cause: Cause) -> ExternalLimit:
    return ExternalLimit(
        name,
        reduced.import_kw,
        reduced.export_kw,
        reduced.charge_kw,
        reduced.discharge_kw,
        cause=cause,
    )


def _why(sample: Sample | None) -> str:
    if sample is None:
        return "no device supplies it"
    return sample.reason or sample.quality.value
