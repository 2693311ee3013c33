"""Commands from outside: what they may be, and their answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from engine.devices.mqtt.payload import PayloadError, parse_json, to_number
from engine.domain.alarms import ENGINE_ALARMS
from engine.domain.errors import DeviceError
from engine.domain.signals import ALARMS
from engine.domain.site import Site

DEFAULT_TTL_S: Final = 60.0
MAX_TTL_S: Final = 86_400.0
MAX_BYTES: Final = 4096

CLOCK_TOLERANCE_S: Final = 30.0
"""A command may be dated this far in the future before the clocks are called inconsistent."""

STRATEGIES: Final = (
    "auto",
    "arbitrage",
    "peak_shaving",
    "self_consumption",
    "load_balancing",
    "co_optimised",
)

_KEYS: Final = frozenset({"value", "ttl_s", "id", "ts"})


@dataclass(frozen=True, slots=True)
class Command:
    """A command that is well-formed, in range and not expired.

    Attributes:
        name: ``"power_kw"``, ``"soc_min"``, ``"soc_max"``, ``"charge_limit_kw"`` and the other
            limits, ``"remote"``, ``"strategy"`` or ``"ack"``.
        value: Power in kW (+ discharge, - charge), a share in %, or a word.
        ttl_s: How long it holds, in seconds.
        command_id: What the sender called it, or None.
        expires_at: When it ends, UTC.
    """

    name: str
    value: float | str
    ttl_s: float
    command_id: str | None
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class CommandOutcome:
    """Answer to a command.

    Attributes:
        accepted: True when it takes effect.
        applied: Value that really applies, after limits; None when nothing does.
        reason: Why it was refused or changed; None when there is nothing to say.
    """

    accepted: bool
    applied: float | str | None = None
    reason: str | None = None


CommandHandler = Callable[[Command], CommandOutcome]


class CommandRejectedError(DeviceError):
    """A command that is not passed on.

    Attributes:
        command_id: What the sender called it, as far as it could be read.
    """

    code = "command_rejected"

    def __init__(self, message: str, command_id: str | None = None) -> None:
        super().__init__(message, field="command")
        self.command_id = command_id


@dataclass(frozen=True, slots=True)
class NumberRange:
    """A command that takes a number."""

    low: float
    high: float
    unit: str


@dataclass(frozen=True, slots=True)
class Words:
    """A command that takes one of some words.

    Attributes:
        words: What may be said.
        with_subject: True when ``:`` and what it is about may follow.
    """

    words: tuple[str, ...]
    with_subject: bool = False

    def takes(self, value: object) -> bool:
        """True when `value` is one of them."""
        if not isinstance(value, str):
            return False
        return value in self.words or (self.with_subject and value.split(":")[0] in self.words)


def command_table(site: Site) -> Mapping[str, NumberRange | Words]:
    """Return the commands a site understands and the values they take."""
    battery = site.battery
    return {
        "power_kw": NumberRange(-battery.power_charge_max_kw, battery.power_discharge_max_kw, "kW"),
        "soc_min": NumberRange(0.0, 100.0, "%"),
        "soc_max": NumberRange(0.0, 100.0, "%"),
        "charge_limit_kw": NumberRange(0.0, battery.power_charge_max_kw, "kW"),
        "discharge_limit_kw": NumberRange(0.0, battery.power_discharge_max_kw, "kW"),
        "import_limit_kw": NumberRange(0.0, site.grid.import_limit_kw, "kW"),
        "export_limit_kw": NumberRange(0.0, site.grid.export_limit_kw, "kW"),
        "remote": Words(("on", "off")),
        "strategy": Words(STRATEGIES),
        "ack": Words(("all", *ALARMS, *ENGINE_ALARMS), with_subject=True),
    }


def parse_command(name: str, payload: bytes, now: datetime, site: Site) -> Command:
    """Read a command.

    The payload is a number, a word, or ``{"value": -25, "ttl_s": 60, "id": "a1", "ts": "..."}``;
    `ttl_s`, `id` and `ts` (ISO 8601 with offset, when it was sent) may be left out.

    Args:
        name: Last part of its topic.
        payload: The message.
        now: Time of arrival, UTC.
        site: Gives the range of the power.

    Raises:
        CommandRejectedError: Unknown, malformed, out of range or expired; says why.
    """
    allowed = command_table(site).get(name)
    data = _read(payload)
    command_id = _command_id(data)
    if allowed is None:
        known = ", ".join(command_table(site))
        raise CommandRejectedError(f"unknown command; known are {known}", command_id)
    try:
        value = _value(data["value"], allowed)
        ttl_s = _ttl(data.get("ttl_s", DEFAULT_TTL_S))
        sent_at = _sent_at(data.get("ts"), now)
    except PayloadError as exc:
        raise CommandRejectedError(exc.message, command_id) from exc
    expires_at = sent_at + timedelta(seconds=ttl_s)
    if expires_at <= now:
        late_s = (now - expires_at).total_seconds()
        raise CommandRejectedError(f"expired {late_s:.0f} s ago", command_id)
    return Command(name, value, ttl_s, command_id, expires_at)


def _read(payload: bytes) -> dict[str, Any]:
    if len(payload) > MAX_BYTES:
        raise CommandRejectedError(f"message of {len(payload)} bytes is too long for a command")
    if not payload.strip():
        raise CommandRejectedError("empty message")
    try:
        data = parse_json(payload)
    except PayloadError as exc:
        # A bare word is no JSON; anything else that fails to parse is a mistake.
        try:
            word = payload.decode("utf-8").strip()
        except UnicodeDecodeError:
            raise CommandRejectedError(exc.message) from exc
        if not word.replace("_", "").isalnum():
            raise CommandRejectedError(exc.message) from exc
        data = word
    if not isinstance(data, dict):
        return {"value": data}
    command_id = _command_id(data)
    if unknown := sorted(data.keys() - _KEYS):
        # A misspelt ttl must not be taken for the default one.
        raise CommandRejectedError(f"unknown key {unknown[0][:40]!r}", command_id)
    if "value" not in data:
        raise CommandRejectedError("'value' is missing", command_id)
    return data


def _command_id(data: dict[str, Any]) -> str | None:
    found = data.get("id")
    if found is None or isinstance(found, bool) or not isinstance(found, str | int):
        return None
    return str(found)[:64]


def _value(value: Any, allowed: NumberRange | Words) -> float | str:
    if isinstance(allowed, NumberRange):
        number = to_number(value)
        if not allowed.low <= number <= allowed.high:
            raise PayloadError(
                f"{number:g} {allowed.unit} is outside {allowed.low:g} to {allowed.high:g}"
            )
        return number
    if not allowed.takes(value):
        raise PayloadError(f"{str(value)[:40]!r} is not one of {', '.join(allowed.words)}")
    return str(value)


def _ttl(value: Any) -> float:
    ttl_s = to_number(value)
    if not 0 < ttl_s <= MAX_TTL_S:
        raise PayloadError(f"ttl_s of {ttl_s:g} is outside 0 to {MAX_TTL_S:g}")
    return ttl_s


def _sent_at(value: Any, now: datetime) -> datetime:
    if value is None:
        return now
    try:
        sent_at = datetime.fromisoformat(value)
    except (TypeError, ValueError) as exc:
        raise PayloadError("'ts' is not an ISO 8601 time") from exc
    if sent_at.tzinfo is None:
        raise PayloadError("'ts' needs an offset, for example +00:00 or Z")
    try:
        ahead_s = (sent_at - now).total_seconds()
    except OverflowError as exc:
        raise PayloadError("'ts' is out of range") from exc
    if ahead_s > CLOCK_TOLERANCE_S:
        raise PayloadError(f"'ts' is {ahead_s:.0f} s in the future; check the clocks")
    # A sender whose clock runs ahead a little must not extend its command.
    return min(sent_at, now)
