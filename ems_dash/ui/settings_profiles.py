"""Device profiles as the forms need them: by key, and a register as the file would state it."""

from __future__ import annotations

from typing import Any, Final

from ems_dash.i18n import catalogue
from engine.devices.profile import MODBUS_PROFILES
from engine.devices.profile_def import DeviceProfile
from engine.devices.register_def import RegisterDef

_PLAIN: Final = {
    "function": 4,
    "type": "uint16",
    "scale": 1.0,
    "offset": 0.0,
    "inverted": False,
    "unit": "",
    "description": "",
}
"""What a register that is not the profile's has unless it is stated."""


_ANY_MAKER: Final = "any"


def profile_named(key: Any) -> DeviceProfile | None:
    """Return the profile of that key, None when there is none."""
    return MODBUS_PROFILES[key] if isinstance(key, str) and key in MODBUS_PROFILES else None


def register_document(register: RegisterDef) -> dict[str, Any]:
    """Return a profile's register as the file would state it."""
    order = register.word_order
    document: dict[str, Any] = {
        "address": register.address,
        "function": register.function,
        "type": register.type.value,
        "scale": register.scale,
        "offset": register.offset,
        "unit": register.unit or "",
        "description": register.description,
        "positive_means": register.positive_means.value if register.positive_means else None,
        "word_order": order.value if order is not None else None,
        "bit": register.bit,
        "inverted": register.inverted,
        "sentinel": register.sentinel,
        "min": register.min,
        "max": register.max,
    }
    return {key: value for key, value in document.items() if value is not None}


def description_of(profile: DeviceProfile, signal: str) -> str:
    """Return what a profile says about a signal that has no register of its own."""
    if signal in profile.derived:
        return profile.derived[signal].description
    found = profile.sunspec.signals if profile.sunspec is not None else {}
    return found[signal].description if signal in found else ""


def register_default(profile_key: Any, signal: str, key: str) -> Any:
    """Return what holds for a key of a register that the file does not state.

    Args:
        profile_key: Key of the device's profile, as stated.
        signal: Signal of the register.
        key: Key of the register, for example ``"scale"``.
    """
    profile = profile_named(profile_key)
    if profile is not None and signal in profile.registers:
        return register_document(profile.registers[signal]).get(key)
    return _PLAIN.get(key)


def profile_label(profile: DeviceProfile, lang: str) -> str:
    """Return what a profile is called; most names are those of products and need no words."""
    return catalogue(lang).get(f"profile.{profile.key}", profile.label)


def profile_options(lang: str) -> list[tuple[str, str]]:
    """Return key and name of every profile, by name; the maker leads where the name does not."""
    return sorted(
        (
            (p.key, _with_maker(p.manufacturer, profile_label(p, lang)))
            for p in MODBUS_PROFILES.values()
        ),
        key=lambda pair: pair[1].lower(),
    )


def _with_maker(maker: str, name: str) -> str:
    known = maker == _ANY_MAKER or name.lower().startswith(maker.lower().split()[0])
    return name if known else f"{maker} · {name}"
