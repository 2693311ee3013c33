"""Fields of the settings: every key can be set, is called something, and loses nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from ems_dash.i18n import LANGS, catalogue
from ems_dash.ui import settings_sections as sections
from ems_dash.ui.settings_content import group_at
from ems_dash.ui.settings_fields import (
    Field,
    field_of,
    get,
    in_force,
    number_text,
    parse_number,
    put,
    shown,
    take,
)
from ems_dash.ui.settings_sections import Group
from ems_dash.ui.settings_state import judge, merged
from ems_dash.ui.settings_words import general
from engine.config.history import PostgresConfig
from engine.config.load import config_from
from engine.config.schema import Config


def all_groups(found: tuple[Group, ...]) -> Iterator[tuple[Group, str]]:
    for group in found:
        base = f"{group.path}.0" if group.is_list else group.path
        yield group, base
        for inner in group.groups:
            path = inner.path if "." in inner.path else f"{base}.{inner.path}"
            yield inner, f"{path}.0" if inner.is_list else path


def every_field() -> list[Field]:
    found = [
        field
        for section in sections.SECTIONS
        for group, base in all_groups(section.groups)
        for field in group.fields(base)
    ]
    for group, base in all_groups(sections.tariff_groups("tariff.versions.0")):
        found += group.fields(base)
    for path, entries in (
        ("modbus", sections.MODBUS_ENTRIES),
        ("devices.0", sections.DEVICE_ENTRIES),
        ("modbus.serial", sections.SERIAL_ENTRIES),
        ("devices.0.serial", sections.SERIAL_ENTRIES),
        ("modbus.registers.soc_percent", sections.REGISTER_ENTRIES),
        ("devices.0.registers.soc_percent", sections.REGISTER_ENTRIES),
    ):
        found += Group("x", path, entries).fields(path)
    return found


def leaves(model: type[BaseModel], path: str = "") -> Iterator[str]:
    for key, info in model.model_fields.items():
        name = f"{path}.{info.alias or key}" if path else info.alias or key
        inner = _section_in(info.annotation)
        if inner is None or name in WHOLE:
            yield name
        elif name != "tariff.versions":
            yield from leaves(inner, name)


WHOLE = {"prices.urls"}
HIDDEN = {
    "notifications.channels.url",
    "history.backend",
    *(f"history.postgres.{key}" for key in PostgresConfig.model_fields),
}
"""Set by hand only: the address is a secret, and the page never has it; another database means
a history that begins anew, which is a decision at installation."""


def _section_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for argument in getattr(annotation, "__args__", ()):
        if (found := _section_in(argument)) is not None:
            return found
    return None


def test_every_key_of_the_schema_can_be_set_on_the_page() -> None:
    offered = {general(field.path) for field in every_field()}
    offered |= {path.rpartition(".")[0] for path in offered if path.startswith("prices.urls")}
    missing = {leaf for leaf in leaves(Config) if leaf not in offered} - HIDDEN
    assert missing == set()


@pytest.mark.parametrize("lang", LANGS)
def test_every_field_group_and_choice_has_a_name(lang: str) -> None:
    known = catalogue(lang)
    for field in every_field():
        key = general(field.path)
        assert f"set.f.{key}" in known or f"set.f.*.{field.leaf}" in known, key
    for section in sections.SECTIONS:
        assert f"set.s.{section.key}" in known
    tariff = sections.tariff_groups("tariff.versions.0")
    for found in (*(s.groups for s in sections.SECTIONS), tariff):
        for group, _ in all_groups(found):
            assert f"set.g.{group.name}" in known
            if group.is_list:
                assert f"set.add.{group.name}" in known
                assert f"set.item.{group.name}" in known
            if group.is_optional:
                assert f"set.add.{group.name}" in known
                assert f"set.drop.{group.name}" in known


def test_every_list_and_optional_part_is_found_by_its_path() -> None:
    for section in sections.SECTIONS:
        for group, base in all_groups(section.groups):
            path = base.removesuffix(".0") if group.is_list else base
            if group.is_list or group.is_optional:
                found = group_at(path)
                assert found is not None, path
                assert (found.name, found.path) == (group.name, path)
    assert (
        group_at("tariff.versions.1.grid_fee_windows").path == "tariff.versions.1.grid_fee_windows"
    )


@pytest.mark.parametrize(
    ("text", "lang", "number"),
    [
        ("0,07", "de", "0.07"),
        ("0.07", "de", "0.07"),
        ("0,07", "en", "0.07"),
        ("\u22125", "de", "-5"),
        ("1e-3", "en", "0.001"),
        (" 12 ", "en", "12"),
        ("1.500", "en", "1.5"),
        ("1,500", "de", "1.5"),
    ],
)
def test_numbers_are_read_in_both_notations(text: str, lang: str, number: str) -> None:
    assert float(parse_number(text, lang)) == float(number)


@pytest.mark.parametrize(
    ("text", "lang"),
    [("1.500", "de"), ("1,500", "en"), ("1.234,5", "de"), ("abc", "de"), ("", "en"), ("1 2", "en")],
)
def test_what_can_be_read_in_two_ways_is_no_number(text: str, lang: str) -> None:
    assert parse_number(text, lang) is None


def test_prices_are_shown_in_cents_without_loss() -> None:
    field = field_of("tariff.grid_fee_eur_per_kwh")
    values: dict[str, Any] = {"tariff": {"grid_fee_eur_per_kwh": 0.0562}}
    assert shown(field, values, "de") == "5,62"
    assert take(field, values, "7,005", "de")
    assert values["tariff"]["grid_fee_eur_per_kwh"] == 0.07005
    assert number_text(1e-7, 2, "en") == "0.00001"


def test_what_is_not_touched_is_not_written() -> None:
    values: dict[str, Any] = {"bess": {"soc_min_percent": 10}}
    for field in every_field():
        if get(Config().model_dump(by_alias=True), field.path.partition(".0")[0]) is not None:
            take(field, values, shown(field, values, "de"), "de")
    assert values == {"bess": {"soc_min_percent": 10}}


def test_wrong_text_stays_as_it_was_typed_and_is_complained_about() -> None:
    values, _ = merged({}, [("bess.soc_min_percent", "viel")], "de")
    assert values == {"bess": {"soc_min_percent": "viel"}}
    assert shown(field_of("bess.soc_min_percent"), values, "de") == "viel"


def test_one_mark_of_a_temperature_band_states_the_others_as_they_are() -> None:
    values, _ = merged({}, [("limits.temperature.charge.full_from_c", "12")], "en")
    band = config_from(values).limits.temperature.charge
    assert (band.stop_below_c, band.full_from_c, band.full_to_c) == (0.0, 12.0, 45.0)


def test_emptying_an_optional_value_removes_its_key() -> None:
    values: dict[str, Any] = {"site": {"latitude": 48.2}, "tariff": {}}
    assert take(field_of("site.latitude"), values, "", "de")
    assert "site" not in values
    base = field_of("tariff.grid_fee_eur_per_kwh")
    assert take(base, values, "", "de")
    assert values["tariff"] == {"grid_fee_eur_per_kwh": None}


def test_the_first_grid_fee_window_keeps_the_fee_outside_of_it() -> None:
    values: dict[str, Any] = {}
    sections.add_item(values, group_at("tariff.grid_fee_windows"))
    tariff = config_from(values).tariff
    assert tariff.grid_fee_eur_per_kwh == 0.07
    assert len(tariff.grid_fee_windows) == 1


def test_stated_windows_without_a_base_show_no_base() -> None:
    window = {"eur_per_kwh": 0.1}
    values = {"tariff": {"grid_fee_windows": [window]}}
    assert in_force(field_of("tariff.grid_fee_eur_per_kwh"), values) is None


def test_versions_begin_as_a_copy_and_the_last_one_left_stands_alone() -> None:
    values: dict[str, Any] = {"tariff": {"vat_percent": 20.0}}
    sections.add_version(values, "2027-01-01")
    dated = config_from(values).tariff.dated
    assert [str(v.valid_from) for v in dated] == ["None", "2027-01-01"]
    assert [v.vat_percent for v in dated] == [20.0, 20.0]
    sections.remove_version(values, 1)
    assert values == {"tariff": {"vat_percent": 20.0}}


def test_another_kind_of_channel_drops_what_does_not_fit() -> None:
    channel = {"type": "email", "name": "ops", "host": "mail.lan", "sender": "a@b.example"}
    values, reshaped = merged(
        {"notifications": {"channels": [channel]}},
        [("notifications.channels.0.type", "webhook")],
        "en",
    )
    assert reshaped
    assert values["notifications"]["channels"] == [{"type": "webhook", "name": "ops"}]


def test_a_serial_connection_has_a_line_in_place_of_a_host() -> None:
    device = {"name": "meter", "profile": "janitza_umg96", "host": "10.0.0.1", "port": 502}
    values, _ = merged({"devices": [device]}, [("devices.0.connection", "rtu")], "en")
    assert config_from(values).devices[0].serial is not None
    back, _ = merged(values, [("devices.0.connection", "tcp")], "en")
    assert config_from(back).devices[0].host is not None


def test_names_of_new_items_are_free() -> None:
    values: dict[str, Any] = {}
    group = group_at("notifications.channels")
    for _ in range(2):
        sections.add_item(values, group)
    names = [channel["name"] for channel in values["notifications"]["channels"]]
    assert names == ["operators", "operators-2"]


def test_messages_are_in_the_language_of_the_page(tmp_path: Any) -> None:
    from engine.config.desk import ConfigDesk

    (tmp_path / "ems.yaml").write_text("")
    desk = ConfigDesk(tmp_path, now=lambda: None)  # type: ignore[arg-type, return-value]
    judged = judge(desk, {"grid": {"import_limit_kw": -5.0}}, "de")
    assert judged.errors == {"grid.import_limit_kw": "−5 ist zu klein. Mindestens 0."}


def test_put_removes_sections_that_become_empty() -> None:
    values: dict[str, Any] = {"prices": {"urls": {"awattar": "https://a.example"}}}
    assert take(field_of("prices.urls.awattar"), values, "", "en")
    assert values == {}
    put(values, "a.b.c", 1)
    assert values == {"a": {"b": {"c": 1}}}


def test_a_share_with_the_unit_of_percent_is_shown_in_percent() -> None:
    for section in sections.SECTIONS:
        for group, base in all_groups(section.groups):
            for spec in group.fields(base):
                percent_already = "percent" in spec.leaf
                if spec.unit == "%" and not percent_already:
                    assert spec.shift == 2, spec.path
    assert shown(field_of("planning.reserve_share", "%"), {}, "de") == "70"
