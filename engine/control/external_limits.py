"""Limits from outside: grid operator (§14a EnWG), API, MQTT, digital input, and a person.

Each source has one limit at a time; the next replaces it. A source that sends every number
for itself, each with a validity of its own, has one per part. What follows at the end of its
validity, and what a silent source means, is configured per source. Validity runs on
monotonic time from the moment the limit arrives, so a clock that jumps neither ends nor
extends it.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from engine.config.control import ExternalSourceConfig, ReducedConfig
from engine.domain.errors import EmsError

MANUAL = "manual"
"""Source name of limits a person sets; known without configuration, released at their end."""


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


@dataclass(slots=True)
class _Source:
    config: ExternalSourceConfig | None
    heard_s: float = -math.inf
    parts: dict[str, tuple[ExternalLimit, float]] = field(default_factory=dict)
    """Part to its limit and the monotonic time at which that ends."""
    contact_closed: bool = False


class ExternalLimits:
    """Holds the newest limit of each source. Any thread may set, the control loop reads.

    A source with a heartbeat that has not been heard since the start counts as silent.

    Args:
        sources: The configured sources.
    """

    def __init__(self, sources: Iterable[ExternalSourceConfig] = ()) -> None:
        self._lock = threading.Lock()
        self._sources = {str(entry.source): _Source(entry) for entry in sources}
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
            EmsError: The digital input is not configured.
        """
        with self._lock:
            source = self._find("digital_input")
            source.contact_closed = closed
            if heard:
                source.heard_s = monotonic_s

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
    reduced = source.contact_closed
    for limit, ends_s in source.parts.values():
        ended = monotonic_s >= ends_s
        if not ended or after == "hold":
            out.append(limit)
        reduced = reduced or (ended and after == "reduced")
    if config is not None:
        silent_s = monotonic_s - source.heard_s
        reduced = reduced or (config.heartbeat_s is not None and silent_s > config.heartbeat_s)
        if reduced:
            out.append(_as_limit(name, config.reduced))
    return out


def _as_limit(name: str, reduced: ReducedConfig) -> ExternalLimit:
    return ExternalLimit(
        name, reduced.import_kw, reduced.export_kw, reduced.charge_kw, reduced.discharge_kw
    )
