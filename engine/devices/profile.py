"""Device profiles: the ones that come with the program, and how one is read and changed.

A profile is one YAML file in `engine/devices/profiles`, named after its key;
adding a manufacturer is adding a file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any, Final

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from engine.devices.profile_def import DeviceProfile
from engine.domain.errors import DeviceError


def parse_profile(data: Mapping[str, Any]) -> DeviceProfile:
    """Return the validated profile in `data` (the content of a profile file).

    Raises:
        DeviceError: A field is missing, unknown or not plausible; names profile, field, value
            and remedy.
    """
    try:
        return DeviceProfile.model_validate(data)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        missing = first["type"] == "missing"
        given = None if missing else first["input"]
        raise DeviceError(
            f"profile {data.get('key', '(without key)')}: {first['msg']}"
            + ("." if missing else f" (got {given!r})."),
            field=field,
            value=given,
            hint="Add this field." if missing else "Correct this field of the profile.",
        ) from exc


def with_overrides(
    profile: DeviceProfile,
    registers: Mapping[str, Mapping[str, Any] | None],
    *,
    status_codes: Mapping[int | str, str] | None = None,
    address_base: int | None = None,
) -> DeviceProfile:
    """Return a copy of `profile` with registers from the configuration over its own.

    Args:
        profile: The profile to start from.
        registers: Signal to fields of `RegisterDef`. Fields left out keep the profile's value;
            a new signal needs at least address and function; None leaves the signal out
            (`alarm_bits` and derived signals too).
        status_codes: Replaces the profile's table when given.
        address_base: Replaces the profile's base when given, and counts as stated.

    Raises:
        DeviceError: The result is not a valid profile; names field, value and remedy.
    """
    data: dict[str, Any] = {name: getattr(profile, name) for name in DeviceProfile.model_fields}
    merged: dict[str, Any] = {
        name: definition.model_dump(exclude_unset=True, warnings=False)
        for name, definition in profile.registers.items()
    }
    for signal, fields in registers.items():
        if fields is None:
            merged.pop(signal, None)
            if signal == "alarm_bits":
                data["alarms"] = {}
        else:
            merged[signal] = {**merged.get(signal, {}), **fields}
    data["registers"] = merged
    data["derived"] = {n: rule for n, rule in profile.derived.items() if n not in registers}
    if profile.sunspec is not None:
        kept = {n: use for n, use in profile.sunspec.signals.items() if n not in registers}
        changes: dict[str, Any] = {"signals": kept}
        if "alarm_bits" in registers:
            changes["alarms"] = {}
        data["sunspec"] = profile.sunspec.model_copy(update=changes)
    if status_codes is not None:
        data["status_codes"] = dict(status_codes)
    if address_base is not None:
        data["address_base"] = address_base
        data["address_base_stated"] = True
    return parse_profile(data)


def load_profile(text: str, key: str) -> DeviceProfile:
    """Return the profile written as YAML in `text`; `key` must be the key inside.

    Raises:
        DeviceError: Not YAML, not a profile, or of another key.
    """
    try:
        data = YAML(typ="safe", pure=True).load(text)
    except YAMLError as exc:
        raise DeviceError(
            f"profile {key} is not valid YAML: {exc}", field=key, hint="Correct the file."
        ) from exc
    if not isinstance(data, dict):
        raise DeviceError(
            f"profile {key} is not a table of fields.", field=key, hint="Correct the file."
        )
    profile = parse_profile(data)
    if profile.key != key:
        raise DeviceError(
            f"profile {key}: the file carries another key (got {profile.key!r}).",
            field="key",
            value=profile.key,
            hint="Name the file after its key.",
        )
    return profile


class _ProfileRegistry(Mapping[str, DeviceProfile]):
    """Profiles by key, each read and validated when it is first asked for."""

    def __init__(self) -> None:
        folder = resources.files("engine.devices") / "profiles"
        self._files = {
            entry.name.removesuffix(".yaml"): entry
            for entry in sorted(folder.iterdir(), key=lambda item: item.name)
            if entry.name.endswith(".yaml")
        }
        self._loaded: dict[str, DeviceProfile] = {}

    def __getitem__(self, key: str) -> DeviceProfile:
        if key not in self._loaded:
            text = self._files[key].read_text(encoding="utf-8")
            self._loaded[key] = load_profile(text, key)
        return self._loaded[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


MODBUS_PROFILES: Final[Mapping[str, DeviceProfile]] = _ProfileRegistry()
"""Every profile that comes with the program, by key."""


def get_profile(key: str) -> DeviceProfile:
    """Return the profile `key`.

    Raises:
        DeviceError: No such profile; names the known ones.
    """
    if key not in MODBUS_PROFILES:
        raise DeviceError(
            f"unknown device profile (got {key!r}).",
            field="modbus.profile",
            value=key,
            hint=f"Choose one of {', '.join(sorted(MODBUS_PROFILES))}.",
        )
    return MODBUS_PROFILES[key]
