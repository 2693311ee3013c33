"""What people and other systems ask of the battery: orders by hand and limits from outside."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from engine.audit.repeats import WithoutRepeats
from engine.audit.trail import NO_TRAIL, Trail, noting
from engine.config.control import LimitsConfig
from engine.config.load import write_atomically
from engine.control.external_limits import (
    DIGITAL_INPUT,
    MANUAL,
    ContactState,
    ExternalLimit,
    ExternalLimits,
)
from engine.control.manual import ManualControl
from engine.devices.mqtt.commands import Command, CommandOutcome
from engine.domain.clock import Clock
from engine.domain.control import ManualOrder
from engine.domain.errors import ConfigError, EmsError
from engine.domain.sample import ProcessImage
from engine.domain.signals import EXTERNAL_CONTACT
from engine.domain.site import Battery
from engine.domain.strategy import StrategyKey
from engine.runtime.strategy_desk import StrategyDesk

log = logging.getLogger(__name__)

LIMITS_NAME = "external_limits.json"
"""Limits from outside, in the data folder: a grid operator's limit outlives a restart."""

MQTT_COMMANDS = frozenset(
    {
        *("ack", "power_kw", "strategy", "soc_min", "soc_max"),
        *("charge_limit_kw", "discharge_limit_kw", "import_limit_kw", "export_limit_kw"),
    }
)
"""Commands over MQTT that take effect."""

_LIMIT_FIELDS = {
    "charge_limit_kw": "charge_kw",
    "discharge_limit_kw": "discharge_kw",
    "import_limit_kw": "import_kw",
    "export_limit_kw": "export_kw",
}
_WINDOW_FIELDS = {"soc_min": "soc_min_percent", "soc_max": "soc_max_percent"}

_LONGEST_STRATEGY = timedelta(days=7)

Told = Callable[[str, str, str], None]
"""Records an event: severity, code, message."""


class OperatorDesk:
    """Takes orders and limits from any thread; the control thread reads what is in force.

    Args:
        battery: Bounds orders by hand.
        config: Which outside sources there are.
        data_dir: Folder of the stored limits.
        clock: Time.
        strategies: Choice of the strategy, for commands over MQTT.
        trail: Takes down orders and limits.
    """

    def __init__(
        self,
        battery: Battery,
        config: LimitsConfig,
        data_dir: Path,
        clock: Clock,
        strategies: StrategyDesk,
        *,
        trail: Trail = NO_TRAIL,
    ) -> None:
        self._clock = clock
        self._trail = WithoutRepeats(trail, clock.monotonic)
        self._path = data_dir / LIMITS_NAME
        self._strategies = strategies
        self._lock = threading.Lock()
        self._limits: dict[tuple[str, str], ExternalLimit] = {}
        self._contact_closed = False
        self._reads_contact = config.reads_contact
        self._contact_read: ContactState | None = None
        # Over building and writing the file, so that the newest state is written last.
        self._storing = threading.Lock()
        self.manual = ManualControl(battery)
        self.external = ExternalLimits(config.external)
        self.tell: Told = lambda _severity, _code, _message: None
        self.problem = self._restore()
        """Why stored limits could not be used, in words; None when all is well."""

    # Orders by hand.

    def give(
        self, power_kw: float, until: datetime, soc_percent: float | None, source: str
    ) -> ManualOrder:
        """Put an order by hand in force and return it.

        Raises:
            ControlError: Power, end or state of charge are not possible.
        """
        order = ManualOrder(power_kw, self._clock.now(), until, soc_percent, source)
        asked = {"power_kw": power_kw, "until": until.isoformat(), "soc_percent": soc_percent}
        with noting(self._trail, "manual.give", "battery", before=self._ordered(), after=asked):
            self.manual.give(order, monotonic_s=self._clock.monotonic())
        self.tell("info", "manual_started", _order_text(order))
        return order

    def end(self) -> bool:
        """End the order by hand; False when there is none."""
        before = self._ordered()
        ended = self.manual.end()
        self._trail.note("manual.end", "battery", before=before)
        if ended:
            self.tell("info", "manual_ended", "The order by hand was taken back.")
        return ended

    def _ordered(self) -> dict[str, Any] | None:
        """Return the order by hand, as it is taken down; None when there is none."""
        order = self.manual.order
        if order is None:
            return None
        return {"power_kw": order.power_kw, "until": order.until.isoformat()}

    # Limits from outside.

    def put_limit(self, limit: ExternalLimit) -> None:
        """Take over a limit; it is kept over a restart.

        Raises:
            EmsError: Its source is not configured, or it could not be stored (it is in force
                all the same: a limit must not wait for a disk).
        """
        self._put(limit, "")

    def _put(self, limit: ExternalLimit, part: str) -> None:
        asked = {k: v for k, v in _document(limit, part).items() if v is not None}
        with noting(self._trail, "limit.put", limit.source, after=asked):
            self._put_in_force(limit, part)

    def _put_in_force(self, limit: ExternalLimit, part: str) -> None:
        self.external.put(
            limit, now=self._clock.now(), monotonic_s=self._clock.monotonic(), part=part
        )
        with self._lock:
            if not part:
                self._forget(limit.source)
            self._limits[limit.source, part] = limit
        self.tell("info", "external_limit", _limit_text(limit))
        self._store()

    def _forget(self, source: str) -> None:
        for key in [key for key in self._limits if key[0] == source]:
            del self._limits[key]

    def release_limit(self, source: str) -> None:
        """Take back what a source asked for.

        Raises:
            EmsError: The source is not configured, or the release could not be stored.
        """
        with noting(self._trail, "limit.release", source):
            self._release(source)

    def _release(self, source: str) -> None:
        self.external.release(source, monotonic_s=self._clock.monotonic())
        with self._lock:
            self._forget(source)
        self.tell("info", "external_limit", f"{source}: released")
        self._store()

    def contact(self, closed: bool) -> None:
        """Take over the state of the digital input; it is kept over a restart.

        Raises:
            EmsError: There is no digital input, or its state could not be stored (it is in
                force all the same).
        """
        with noting(self._trail, "limit.contact", DIGITAL_INPUT, after={"closed": closed}):
            self._contact(closed)

    def _contact(self, closed: bool) -> None:
        self.external.contact(closed, monotonic_s=self._clock.monotonic())
        with self._lock:
            changed, self._contact_closed = self._contact_closed is not closed, closed
        if changed:
            self.tell("info", "external_limit", f"digital_input: {'closed' if closed else 'open'}")
            self._store()

    def read_contact(self, image: ProcessImage) -> None:
        """Take over the contact as the devices show it; once per cycle, by the control thread."""
        state = self.external.read_contact(image.sample(EXTERNAL_CONTACT))
        before, self._contact_read = self._contact_read, state
        if state is None or (before is None and state != ContactState(True)):
            # An open contact is no event, and one that was never read is an alarm of its own.
            return
        if before is not None and _contact_word(before) == _contact_word(state):
            return
        text = f"{DIGITAL_INPUT}: {_contact_word(state)}"
        if state.missing is not None:
            text += f", counts as closed ({state.missing})"
        self.tell("info" if state.missing is None else "warning", "external_limit", text)

    def limits_in_force(self) -> tuple[ExternalLimit, ...]:
        """Return every limit from outside that applies now."""
        return self.external.active(self._clock.monotonic())

    # Commands over MQTT.

    def command(self, command: Command) -> CommandOutcome:
        """Carry out a command from the broker; never raises."""
        try:
            return self._command(command)
        except EmsError as exc:
            return CommandOutcome(False, None, exc.message)

    def _command(self, command: Command) -> CommandOutcome:
        # The broker's clock is the machine's; the engine's may be the demo's.
        until = self._clock.now() + timedelta(seconds=command.ttl_s)
        if command.name == "strategy":
            return self._choose(str(command.value), until)
        value = float(command.value)
        if command.name == "power_kw":
            self.give(value, until, None, "mqtt")
            return CommandOutcome(True, value, "within the limits of the moment")
        if command.name in _WINDOW_FIELDS:
            self._change(MANUAL, _WINDOW_FIELDS[command.name], value, until)
            return CommandOutcome(True, value)
        if command.name in _LIMIT_FIELDS:
            self._change("mqtt", _LIMIT_FIELDS[command.name], value, until)
            return CommandOutcome(True, value)
        return CommandOutcome(False, None, f"'{command.name}' is not possible yet")

    def _choose(self, word: str, until: datetime) -> CommandOutcome:
        if word == "auto":
            self._strategies.set_auto()
            return CommandOutcome(True, word)
        self._strategies.set_manual(
            StrategyKey(word), min(until, self._clock.now() + _LONGEST_STRATEGY), "mqtt"
        )
        return CommandOutcome(True, word)

    def _change(self, source: str, field: str, value: float, until: datetime) -> None:
        # Every number is a message of its own: none ends or prolongs another.
        stated: dict[str, Any] = {field: value, "valid_until": until}
        self._put(ExternalLimit(source, **stated), field)

    # Over a restart.

    def _store(self) -> None:
        try:
            with self._storing:
                with self._lock:
                    document = [_document(limit, key[1]) for key, limit in self._limits.items()]
                    if self._contact_closed:
                        document.append({"source": DIGITAL_INPUT, "closed": True})
                write_atomically(self._path, json.dumps(document, indent=2))
        except OSError as exc:
            raise ConfigError(
                f"The limit is in force but could not be stored: {exc.strerror or exc}.",
                field="limits",
                hint="Check the data folder and its free space; a restart would forget it.",
            ) from exc

    def _restore(self) -> str | None:
        try:
            text = self._path.read_text(encoding="utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as exc:
            return f"{self._path.name} cannot be read: {exc}"
        try:
            entries = json.loads(text)
        except ValueError as exc:
            return f"{self._path.name} is damaged: {exc}"
        if not isinstance(entries, list):
            return f"{self._path.name} is damaged: it holds no list of limits."
        problems = []
        for entry in entries:
            # One that cannot be used must not cost the others.
            try:
                self._put_back(entry)
            except (ValueError, TypeError, EmsError) as exc:
                told = exc.message if isinstance(exc, EmsError) else str(exc)
                problems.append(f"{self._path.name}: {told} ({entry!r})")
        return " ".join(problems) or None

    def _put_back(self, entry: object) -> None:
        if entry == {"source": DIGITAL_INPUT, "closed": True}:
            if self._reads_contact:
                # Told by a client before; now the device says how it is.
                return
            self.external.contact(True, monotonic_s=self._clock.monotonic(), heard=False)
            self._contact_closed = True
            return
        limit, part = _from_document(entry)
        now, monotonic_s = self._clock.now(), self._clock.monotonic()
        self.external.put(limit, now=now, monotonic_s=monotonic_s, part=part, heard=False)
        self._limits[limit.source, part] = limit


def _document(limit: ExternalLimit, part: str) -> dict[str, Any]:
    until = limit.valid_until
    document = asdict(limit)
    del document["cause"]
    document |= {"valid_until": until.isoformat() if until is not None else None}
    return document | {"part": part} if part else document


def _from_document(entry: object) -> tuple[ExternalLimit, str]:
    if not isinstance(entry, dict):
        raise ValueError("An entry is no limit.")
    for name, value in entry.items():
        wanted = str if name in ("source", "valid_until", "part") else (int, float)
        if value is not None and (isinstance(value, bool) or not isinstance(value, wanted)):
            raise ValueError(f"{name} is not possible.")
    fields = dict(entry)
    part, until = fields.pop("part", None), fields.get("valid_until")
    fields["valid_until"] = datetime.fromisoformat(until) if until else None
    return ExternalLimit(**fields), part or ""


def _contact_word(state: ContactState) -> str:
    if state.missing is not None:
        return "not read"
    return "closed" if state.closed else "open"


def _order_text(order: ManualOrder) -> str:
    end = f"until {order.until:%Y-%m-%d %H:%M} UTC"
    if order.soc_percent is not None:
        end += f" or {order.soc_percent:g} %"
    return f"{order.power_kw:+g} kW {end} ({order.source})"


def _limit_text(limit: ExternalLimit) -> str:
    unsaid = ("source", "valid_until", "cause")
    stated = {k: v for k, v in asdict(limit).items() if k not in unsaid}
    said = ", ".join(f"{name} {value:g}" for name, value in stated.items() if value is not None)
    until = limit.valid_until
    return f"{limit.source}: {said or 'no limit'}" + (
        f" until {until:%Y-%m-%d %H:%M} UTC" if until is not None else ""
    )
