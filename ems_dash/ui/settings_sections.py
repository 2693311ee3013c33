"""What the settings page offers, section by section: groups of fields, lists, optional parts."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ems_dash.ui.settings_fields import ABSENT, Field, field_of, get, put


@dataclass(frozen=True, slots=True)
class Entry:
    """One field of a group, its key relative to the group."""

    key: str
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Fields that belong together.

    Attributes:
        name: Key of its title in the catalogues.
        path: What the keys are relative to; may end in a list, then the group is repeated.
        entries: Its fields.
        is_list: True when `path` is a list.
        is_optional: True when the whole part may be absent.
        template: What a new item, or the part when it is added, begins with.
        groups: Groups inside each item.
        state_too: Field that is stated as it is in force when the first item is added.
    """

    name: str
    path: str
    entries: tuple[Entry, ...]
    is_list: bool = False
    is_optional: bool = False
    template: Mapping[str, Any] = field(default_factory=dict)
    groups: tuple[Group, ...] = ()
    state_too: str = ""

    def fields(self, base: str) -> tuple[Field, ...]:
        """Return the fields below `base`, the path of the group or of one of its items."""
        return tuple(field_of(f"{base}.{e.key}" if base else e.key, e.unit) for e in self.entries)


@dataclass(frozen=True, slots=True)
class Section:
    """One page of the settings."""

    key: str
    groups: tuple[Group, ...] = ()


def entries(*keys: str, unit: str = "") -> tuple[Entry, ...]:
    """Return entries that share a unit; a key may carry its own after a blank."""
    out = []
    for key in keys:
        name, _, own = key.partition(" ")
        out.append(Entry(name, own or unit))
    return tuple(out)


def cents(*keys: str) -> tuple[Entry, ...]:
    """Return entries in EUR/kWh that are shown in ct/kWh."""
    return entries(*keys, unit="ct/kWh")


def shares(*keys: str) -> tuple[Entry, ...]:
    """Return entries between 0 and 1 that are shown in percent."""
    return entries(*keys, unit="%")


WINDOW = entries("name", "from", "to", "weekdays", "months")
NEW_WINDOW = {"from": "00:00", "to": "24:00"}

_BAND = entries("stop_below_c", "full_from_c", "full_to_c", "stop_above_c", unit="°C")

SITE = Section(
    "site",
    (
        Group("site", "site", entries("name", "id", "timezone", "latitude °", "longitude °")),
        Group(
            "bess",
            "bess",
            (
                *entries("energy_capacity_kwh", unit="kWh"),
                *entries("power_charge_max_kw", "power_discharge_max_kw", unit="kW"),
                *shares("efficiency_charge", "efficiency_discharge"),
                *entries("soc_min_percent", "soc_max_percent", unit="%"),
                *entries("standby_loss_kw", unit="kW"),
                *cents("wear_cost_eur_per_kwh"),
            ),
        ),
        Group("grid", "grid", entries("import_limit_kw", "export_limit_kw", unit="kW")),
        Group(
            "demo_plant",
            "demo_plant",
            entries("enabled", "speed ×", "soc_start_percent %", "pv_peak_kw kW"),
        ),
    ),
)

CONTROL = Section(
    "control",
    (
        Group(
            "limits",
            "limits",
            entries("soc_release_percent %", "rise_percent_per_s %/s", "grid_margin_kw kW"),
        ),
        Group(
            "control",
            "control",
            entries(
                *("mode", "peak_guard", "peak_reserve", "guard_margin_percent %"),
                *("net_load_gain", "calm_filter_s s", "deadband_kw kW"),
                *("ramp_percent_per_s %/s", "min_hold_s s", "reserve_band_percent %"),
                "without_plan",
            ),
        ),
        Group("temperature", "limits.temperature", entries("required", "hysteresis_c K")),
        Group("temperature_charge", "limits.temperature.charge", _BAND),
        Group("temperature_discharge", "limits.temperature.discharge", _BAND),
        Group("feed_in", "limits.feed_in", entries("limit_kw kW", "percent_of_pv %")),
        Group(
            "feed_in_windows",
            "limits.feed_in.windows",
            (*WINDOW, *entries("limit_kw kW", "percent_of_pv %")),
            is_list=True,
            template={**NEW_WINDOW, "limit_kw": 0.0},
        ),
        Group(
            "external",
            "limits.external",
            (
                *entries("source", "contact_from", "after_validity", "heartbeat_s s"),
                *entries(
                    *("reduced.import_kw", "reduced.export_kw"),
                    *("reduced.charge_kw", "reduced.discharge_kw"),
                    unit="kW",
                ),
            ),
            is_list=True,
            template={"source": "dso"},
        ),
    ),
)

EMS = Section(
    "ems",
    (
        Group(
            "ems",
            "ems",
            entries("mode", "optimization_interval_minutes min", "timestep_s s", "horizon_hours h"),
        ),
        Group(
            "strategies",
            "strategies",
            (
                *entries("selection_mode", "manual_strategy"),
                *shares("switch_threshold"),
                *entries("min_dwell_minutes min", "peak_target_kw kW", "balancing_window_hours h"),
            ),
        ),
        Group(
            "planning",
            "planning",
            (
                *entries("uncertainty", "peak_reserve"),
                *shares("reserve_share", "reserve_pv_quantile", "peak_target_share"),
            ),
        ),
    ),
)


def tariff_groups(base: str) -> tuple[Group, ...]:
    """Return the groups of one tariff, which stands at `base`: ``tariff`` or one version of it."""
    dated = () if base == "tariff" else (Group("version", base, entries("valid_from")),)
    return (
        *dated,
        Group(
            "tariff_energy",
            base,
            (
                *cents("spot_markup_eur_per_kwh"),
                *entries("spot_markup_percent", "loss_percent", unit="%"),
                *cents("energy_price_eur_per_kwh"),
                *entries("settlement_minutes min"),
            ),
            groups=(
                Group(
                    "energy_price_windows",
                    f"{base}.energy_price_windows",
                    (*cents("eur_per_kwh"), *WINDOW),
                    is_list=True,
                    template={**NEW_WINDOW, "eur_per_kwh": 0.1},
                ),
            ),
        ),
        Group(
            "tariff_grid",
            base,
            (
                *cents("grid_fee_eur_per_kwh", "levies_eur_per_kwh"),
                *entries("vat_percent %", "fixed_fee_eur_per_month €"),
            ),
            groups=(
                Group(
                    "grid_fee_windows",
                    f"{base}.grid_fee_windows",
                    (*cents("eur_per_kwh"), *WINDOW),
                    is_list=True,
                    template={"from": "17:00", "to": "22:00", "eur_per_kwh": 0.1},
                    state_too=f"{base}.grid_fee_eur_per_kwh",
                ),
            ),
        ),
        Group(
            "tariff_sell",
            base,
            (
                *entries("export_allowed"),
                *cents("sell_fee_eur_per_kwh"),
                *entries("sell_fee_percent %"),
                *cents("feed_in_eur_per_kwh"),
                *entries("feed_in_zero_when_spot_negative"),
            ),
            groups=(
                Group(
                    "feed_in_price_windows",
                    f"{base}.feed_in_windows",
                    (*cents("eur_per_kwh"), *WINDOW),
                    is_list=True,
                    template={**NEW_WINDOW, "eur_per_kwh": 0.08},
                ),
            ),
        ),
        Group(
            "demand_charge",
            f"{base}.demand_charge",
            entries("eur_per_kw €/kW", "period"),
            is_optional=True,
            template={"eur_per_kw": 8.0, "period": "month"},
            groups=(
                Group(
                    "demand_windows",
                    f"{base}.demand_charge.windows",
                    WINDOW,
                    is_list=True,
                    template={"from": "17:00", "to": "20:00"},
                ),
            ),
        ),
    )


TARIFF = Section("tariff")
"""Its groups depend on the versions, see `groups_of`."""

PRICES = Section(
    "prices",
    (
        Group(
            "prices",
            "prices",
            entries("demo_mode", "provider", "region", "fallbacks", "entsoe_token_env", "file"),
        ),
        Group("urls", "prices.urls", entries("awattar", "energy_charts", "entsoe")),
        Group("weather", "weather", entries("provider", "api_key_env", "url")),
        Group("pv", "pv", entries("losses_percent %", "throttles_itself")),
        Group(
            "planes",
            "pv.planes",
            entries("peak_kw kW", "tilt_deg °", "azimuth_deg °", "inverter_limit_kw kW"),
            is_list=True,
            template={"peak_kw": 100.0, "tilt_deg": 30.0, "azimuth_deg": 180.0},
        ),
        Group(
            "forecasts",
            "forecasts",
            entries("price", "load", "pv", "holidays_country", "holidays_subdivision"),
        ),
    ),
)

MQTT = Section(
    "mqtt",
    (
        Group(
            "mqtt",
            "mqtt",
            entries("enabled", "broker_host", "broker_port", "keepalive_s s", "tls", "ca_file"),
        ),
        Group("mqtt_login", "mqtt", entries("username", "password_env", "password_file")),
        Group(
            "mqtt_topics", "mqtt", entries("base_topic", "home_assistant", "home_assistant_prefix")
        ),
        Group(
            "inputs",
            "mqtt.inputs",
            entries(
                *("topic", "signal", "path", "source", "scale", "offset", "unit"),
                *("positive_means", "min", "max", "max_age_s s", "priority"),
            ),
            is_list=True,
            template={"topic": "meter/1/status", "signal": "grid_kw"},
        ),
    ),
)

MODBUS_ENTRIES = entries(
    *("enabled", "profile", "connection_type", "host", "port", "slave_id"),
    *("poll_interval_s s", "timeout s", "retries", "address_base", "write_enabled"),
    "status_codes",
)
DEVICE_ENTRIES = entries(
    *("name", "enabled", "profile", "connection", "host", "port", "unit_id"),
    *("poll_interval_s s", "timeout_s s", "address_base", "write_enabled"),
    *("roles", "storage", "energy_capacity_kwh kWh", "status_codes"),
)
SERIAL_ENTRIES = entries("device", "baudrate Bd", "parity", "stop_bits")
REGISTER_ENTRIES = entries(
    *("address", "function", "type", "scale", "offset", "unit", "positive_means"),
    *("word_order", "bit", "inverted", "sentinel", "min", "max", "description"),
)

DEVICES = Section("devices")
"""Its groups depend on the devices, see `ems_dash.ui.settings_devices`."""

NOTIFICATIONS = Section(
    "notifications",
    (
        Group("notifications", "notifications", entries("language", "base_url")),
        Group(
            "channels",
            "notifications.channels",
            entries(
                *("type", "name", "enabled", "min_severity", "all_clear", "max_per_hour"),
                *("only", "never", "url_env", "url_file", "secret_env", "secret_file"),
                *("host", "port", "security", "username", "password_env", "password_file"),
                *("sender", "recipients", "topic", "ca_file"),
            ),
            is_list=True,
            template={"type": "email", "name": "operators"},
            groups=(
                Group(
                    "quiet_hours",
                    "quiet_hours",
                    entries("start", "end"),
                    is_optional=True,
                    template={"start": "22:00", "end": "06:00"},
                ),
            ),
        ),
    ),
)

BRANDING = Section(
    "branding",
    (Group("branding", "branding", entries("product_name", "logo_text", "copyright")),),
)

ACCESS = Section(
    "access",
    (
        Group(
            "access",
            "access",
            entries("anonymous_role", "session_idle_minutes min", "session_hours h"),
        ),
        Group("server", "server", entries("allowed_hosts", "proxy_hops")),
    ),
)

BACKUPS = Section("backups")

HISTORY = Section(
    "history",
    (
        Group(
            "history",
            "history",
            entries(
                *("raw_days d", "minute_days d", "archive_months", "batch_seconds s"),
                "backup_folder",
            ),
        ),
        Group("analytics", "analytics", entries("co2_g_per_kwh g/kWh")),
        Group(
            "timer",
            "analytics.timer",
            entries("charge_from", "charge_until", "discharge_from", "discharge_until"),
        ),
    ),
)

SITES = Section("sites")
"""Its list stands beside the values of the site, see `ems_dash.ui.settings_sites`."""

SECTIONS: tuple[Section, ...] = (
    *(SITE, SITES, CONTROL, EMS, TARIFF, PRICES, DEVICES, MQTT, NOTIFICATIONS),
    *(HISTORY, BRANDING, ACCESS, BACKUPS),
)


def section_of(key: str | None) -> Section:
    """Return the section of that key, the first one for an unknown key."""
    return next((section for section in SECTIONS if section.key == key), SECTIONS[0])


def versions_of(values: Mapping[str, Any]) -> int:
    """Return the number of stated versions of the tariff; 0 for a tariff without versions."""
    found = get(values, "tariff.versions")
    return len(found) if isinstance(found, list) else 0


def tariff_base(values: Mapping[str, Any], version: int) -> str:
    """Return where the terms of a version stand; the newest for a number that is too large."""
    count = versions_of(values)
    return f"tariff.versions.{min(version, count - 1)}" if count else "tariff"


def items(values: Mapping[str, Any], path: str) -> list[Any]:
    """Return the items of a stated list."""
    found = get(values, path)
    return found if isinstance(found, list) else []


# Fields that are there for some choices only.

_CHANNEL_KEYS: Mapping[str, frozenset[str]] = {
    "webhook": frozenset({"url", "url_env", "url_file", "secret_env", "secret_file", "ca_file"}),
    "email": frozenset(
        {
            *("host", "port", "security", "username", "password_env", "password_file"),
            *("sender", "recipients", "ca_file"),
        }
    ),
    "mqtt": frozenset({"topic"}),
}
_ALL_CHANNEL_KEYS = frozenset().union(*_CHANNEL_KEYS.values())

SHAPING: frozenset[str] = frozenset({"type", "connection", "connection_type", "profile"})
"""Choices after which other fields are there."""


def shapes(path: str) -> bool:
    """True when a change of the field at `path` changes which fields there are."""
    head, _, leaf = path.rpartition(".")
    return leaf in SHAPING and ".registers." not in path and head != ""


def is_visible(field: Field, values: Mapping[str, Any]) -> bool:
    """Return False for a field that has no meaning beside what is chosen."""
    base = field.path.rpartition(".")[0]
    if base.startswith("notifications.channels.") and field.leaf in _ALL_CHANNEL_KEYS:
        kind = get(values, f"{base}.type")
        return field.leaf in _CHANNEL_KEYS.get(str(kind), _ALL_CHANNEL_KEYS)
    if field.leaf in ("host", "port") and base.split(".")[0] in ("modbus", "devices"):
        return connection_of(values, base) != "rtu"
    return True


def connection_of(values: Mapping[str, Any], base: str) -> str:
    """Return how the device at `base` is connected: tcp, rtu or rtu_over_tcp."""
    key = "connection_type" if base == "modbus" else "connection"
    found = get(values, f"{base}.{key}")
    return "tcp" if found == ABSENT else str(found)


def reshape(values: dict[str, Any], path: str) -> None:
    """Remove what a changed choice leaves without meaning, and add what it needs."""
    base = path.rpartition(".")[0]
    if base.startswith("notifications.channels."):
        kept = _CHANNEL_KEYS.get(str(get(values, path)), frozenset())
        for key in _ALL_CHANNEL_KEYS - kept:
            put(values, f"{base}.{key}", ABSENT)
        return
    if path.rpartition(".")[2] == "profile":
        return
    if connection_of(values, base) == "rtu":
        if base != "modbus":
            put(values, f"{base}.host", ABSENT)
            put(values, f"{base}.port", ABSENT)
        if get(values, f"{base}.serial") == ABSENT:
            put(values, f"{base}.serial", {"device": "/dev/ttyUSB0"})
    else:
        put(values, f"{base}.serial", ABSENT)
        if base != "modbus" and get(values, f"{base}.host") == ABSENT:
            put(values, f"{base}.host", "192.168.1.20")


# Changes of structure.


def add_item(values: dict[str, Any], group: Group) -> None:
    """Append an item to the list of a group, with a name that is free."""
    state_in_force(values, group)
    found = list(items(values, group.path))
    new = copy.deepcopy(dict(group.template))
    if isinstance(new.get("name"), str):
        taken = {str(item.get("name")) for item in found if isinstance(item, Mapping)}
        stem, number = new["name"], 2
        while new["name"] in taken:
            new["name"], number = f"{stem}-{number}", number + 1
    put(values, group.path, [*found, new])


def state_in_force(values: dict[str, Any], group: Group) -> None:
    """State a base price that the first window would otherwise replace."""
    if not group.state_too or items(values, group.path):
        return
    if get(values, group.state_too) == ABSENT:
        put(values, group.state_too, field_of(group.state_too).default)


def remove(values: dict[str, Any], path: str) -> None:
    """Remove a list item or an optional part; a list that becomes empty stays an empty list."""
    put(values, path, ABSENT)


def add_version(values: dict[str, Any], valid_from: str) -> None:
    """Append a version of the tariff that begins as a copy of the newest one."""
    tariff = get(values, "tariff")
    terms = dict(tariff) if isinstance(tariff, Mapping) else {}
    stated = terms.pop("versions", None)
    versions = list(stated) if isinstance(stated, list) and stated else [terms]
    newest = copy.deepcopy(dict(versions[-1]))
    newest["valid_from"] = valid_from
    put(values, "tariff", {"versions": [*versions, newest]})


def remove_version(values: dict[str, Any], number: int) -> None:
    """Remove a version; one that is left and has always applied stands without versions again."""
    versions = list(items(values, "tariff.versions"))
    del versions[number]
    if len(versions) == 1 and not versions[0].get("valid_from"):
        put(values, "tariff", dict(versions[0]))
    else:
        put(values, "tariff", {"versions": versions} if versions else {})
