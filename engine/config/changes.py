"""What differs between two configurations, key by key."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from engine.config.devices import DeviceConfig, ModbusConfig
from engine.config.masking import HIDDEN, is_secret
from engine.config.schema import Config

KEYS_NAMED: Final = 12
"""Most keys one entry of the event log names."""

NOT_READ: Final = "not read"
"""Stands for a register of the profile that the file takes out of use."""


@dataclass(frozen=True, slots=True)
class Change:
    """One key whose value differs.

    Attributes:
        path: Dotted key; items of a list by their name, else by their number from 0.
        old: Value before; None where there was none.
        new: Value after; None where there is none.
    """

    path: str
    old: Any
    new: Any


def changes(old: Config, new: Config) -> tuple[Change, ...]:
    """Return every key whose value in force differs, in the order of the schema.

    What is stated and what is left to its default count alike: only a different effect is a
    change. A list item that is only on one side is one change.
    """
    return tuple(_differences("", _document(old), _document(new)))


def _document(config: Config) -> dict[str, Any]:
    document = config.model_dump(mode="json", by_alias=True)
    stated: list[ModbusConfig | DeviceConfig] = [config.modbus, *config.devices]
    for section, device in zip((document["modbus"], *document["devices"]), stated, strict=True):
        # What a register leaves out is the profile's, not the schema's default.
        section["registers"] = {
            signal: NOT_READ if register is None else register.model_dump(exclude_unset=True)
            for signal, register in device.registers.items()
        }
    return document


def _differences(path: str, old: Any, new: Any) -> Iterator[Change]:
    if old == new:
        return
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        for key in (*old, *(key for key in new if key not in old)):
            yield from _differences(f"{path}.{key}" if path else key, old.get(key), new.get(key))
        return
    if _is_list_of_sections(old) and _is_list_of_sections(new) and (old or new):
        before, after = _by_name(old), _by_name(new)
        for name in (*before, *(name for name in after if name not in before)):
            yield from _differences(f"{path}.{name}", before.get(name), after.get(name))
        return
    if is_secret(path):
        yield Change(path, None if old is None else HIDDEN, None if new is None else HIDDEN)
        return
    yield Change(path, _short(path, old), _short(path, new))


def keys_named(found: Sequence[Change], otherwise: str) -> str:
    """Return the changed keys for the event log, at most `KEYS_NAMED`; `otherwise` for none.

    Keys only: some values are nobody's business.
    """
    more = f" and {len(found) - KEYS_NAMED} more" if len(found) > KEYS_NAMED else ""
    return (", ".join(change.path for change in found[:KEYS_NAMED]) or otherwise) + more


def _is_list_of_sections(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, Mapping) for item in value)


def _by_name(items: list[Any]) -> dict[str, Any]:
    names = [str(item.get("name") or "") for item in items]
    if all(names) and len(set(names)) == len(names):
        return dict(zip(names, items, strict=True))
    return {str(index): item for index, item in enumerate(items)}


def _short(path: str, value: Any) -> Any:
    """Return a whole section without what it leaves open, and without secrets."""
    if isinstance(value, list):
        return [_short(f"{path}.{index}", item) for index, item in enumerate(value)]
    if not isinstance(value, Mapping):
        return value
    return {
        key: HIDDEN if is_secret(f"{path}.{key}") else _short(f"{path}.{key}", item)
        for key, item in value.items()
        if item is not None and item not in ([], {})
    }
