"""The tariff's preview and the register editor: pure functions of a draft."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ems_dash.ui import settings_registers as registers
from ems_dash.ui import settings_sites
from ems_dash.ui.settings_devices import device_config
from ems_dash.ui.settings_fields import field_of, shown
from ems_dash.ui.settings_form import FormState
from ems_dash.ui.settings_profiles import profile_named
from ems_dash.ui.settings_state import merged
from ems_dash.ui.settings_tariff import day_line, day_prices, draft_tariff, figure, preview, rows
from ems_dash.ui.settings_words import change_name, problem_text, value_text
from engine.config.changes import Change
from engine.config.load import ConfigProblems, config_from
from engine.domain.records import PriceRow

VIENNA = ZoneInfo("Europe/Vienna")
NOW = datetime(2026, 6, 22, 11, 24, tzinfo=UTC)
STEP = timedelta(minutes=15)


def published(first: datetime, count: int) -> list[PriceRow]:
    return [
        PriceRow(first + i * STEP, "s", 15, 0.08 + 0.0005 * (i % 96), 0.0, 0.0, "recorded", first)
        for i in range(count)
    ]


MIDNIGHT = datetime(2026, 6, 21, 22, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("known", "which", "day"),
    [
        (192, "tomorrow", date(2026, 6, 23)),
        (150, "today", date(2026, 6, 22)),
        (96, "today", date(2026, 6, 22)),
    ],
)
def test_preview_takes_the_newest_day_that_is_whole(known: int, which: str, day: date) -> None:
    prices = day_prices(published(MIDNIGHT, known), NOW, VIENNA)
    assert (prices.which, prices.day) == (which, day)
    assert len(prices.spot_eur_per_kwh) == 96


def test_without_prices_there_is_no_preview() -> None:
    assert day_prices([], NOW, VIENNA) is None


@pytest.mark.parametrize(
    ("local_day", "steps"), [(date(2026, 3, 29), 92), (date(2026, 10, 25), 100)]
)
def test_days_of_a_clock_change_have_their_quarter_hours(local_day: date, steps: int) -> None:
    noon = datetime(local_day.year, local_day.month, local_day.day, 11, tzinfo=UTC)
    prices = day_prices(published(noon - timedelta(hours=20), 300), noon, VIENNA)
    today = day_prices(published(noon - timedelta(hours=20), 135), noon, VIENNA)
    assert prices.which == "tomorrow"
    assert len(today.spot_eur_per_kwh) == steps


def test_preview_follows_the_draft_by_the_tariffs_own_rules() -> None:
    prices = day_prices(published(MIDNIGHT, 192), NOW, VIENNA)
    draft: dict[str, Any] = {
        "tariff": {
            "grid_fee_eur_per_kwh": 0.05,
            "grid_fee_windows": [{"from": "17:00", "to": "22:00", "eur_per_kwh": 0.2}],
            "feed_in_eur_per_kwh": 0.08,
            "demand_charge": {"eur_per_kw": 8.0},
            "vat_percent": 20.0,
        }
    }
    made = preview(draft_tariff(draft, None), prices, VIENNA)
    noon, evening = made.buy[48], made.buy[17 * 4]
    assert noon == pytest.approx((prices.spot_eur_per_kwh[48] + 0.015 + 0.05 + 0.015) * 1.2)
    assert evening - made.buy[16 * 4 + 3] == pytest.approx((0.15 + 0.0005) * 1.2)
    assert np.all(made.sell == 0.08)
    assert made.demand == (pytest.approx(9.6), "month")
    words = dict(rows(made, VIENNA, "de"))
    assert words["Leistungspreis"].startswith("9,60\u00a0€")
    assert "23.06.2026" in day_line(prices, "de")


def test_a_draft_with_mistakes_or_out_of_time_has_no_preview() -> None:
    assert draft_tariff({"tariff": {"vat_percent": "viel"}}, None) is None
    prices = day_prices(published(MIDNIGHT, 192), NOW, VIENNA)
    later = draft_tariff({"tariff": {"versions": [{"valid_from": "2030-01-01"}]}}, None)
    assert preview(later, prices, VIENNA) is None


def test_a_version_of_the_future_can_be_looked_at() -> None:
    prices = day_prices(published(MIDNIGHT, 192), NOW, VIENNA)
    versions = [{}, {"valid_from": "2030-01-01", "levies_eur_per_kwh": 0.5}]
    draft = {"tariff": {"versions": versions}}
    now = preview(draft_tariff(draft, None), prices, VIENNA)
    then = preview(draft_tariff(draft, 1), prices, VIENNA)
    assert np.allclose(then.buy - now.buy, 0.485)


def test_the_saved_tariff_is_drawn_only_where_the_draft_differs() -> None:
    prices = day_prices(published(MIDNIGHT, 192), NOW, VIENNA)
    saved = preview(draft_tariff({}, None), prices, VIENNA)
    dearer = preview(draft_tariff({"tariff": {"levies_eur_per_kwh": 0.1}}, None), prices, VIENNA)
    same = figure(saved, saved, VIENNA, theme="light", lang="en")
    other = figure(dearer, saved, VIENNA, theme="light", lang="en")
    assert len(same["data"]) == 3
    assert [t["name"] for t in other["data"] if t["line"]["dash"] == "dot"] == ["Buy, as saved"]


DEVICE = {"profile": "janitza_umg96", "host": "10.0.0.1"}


def test_a_changed_register_states_the_difference_and_can_be_reset() -> None:
    values: dict[str, Any] = {"modbus": dict(DEVICE)}
    profile = profile_named("janitza_umg96")
    signal = next(iter(profile.registers))
    registers.begin_override(values, "modbus", signal)
    path = f"modbus.registers.{signal}"
    assert shown(field_of(f"{path}.scale"), values, "en") == shown(
        field_of(f"{path}.scale"), {"modbus": DEVICE}, "en"
    )
    values, _ = merged(values, [(f"{path}.scale", "2,5")], "de")
    stated = values["modbus"]["registers"][signal]
    assert stated == {"address": profile.registers[signal].address, "scale": 2.5}
    row = registers.register_rows(profile, values["modbus"]["registers"], None)[0]
    assert (row.origin, row.scale, row.different) == ("changed", 2.5, frozenset({"scale"}))
    registers.reset_register(values, "modbus", signal)
    assert values == {"modbus": DEVICE}


def test_an_opened_register_that_was_not_changed_leaves_no_trace() -> None:
    values: dict[str, Any] = {"modbus": dict(DEVICE)}
    signal = next(iter(profile_named("janitza_umg96").registers))
    registers.begin_override(values, "modbus", signal)
    registers.tidy_overrides(values)
    assert values == {"modbus": DEVICE}


def test_registers_are_removed_and_added() -> None:
    values: dict[str, Any] = {"modbus": {"enabled": True, **DEVICE}}
    profile = profile_named("janitza_umg96")
    signal = next(iter(profile.registers))
    registers.drop_register(values, "modbus", signal)
    assert registers.add_register(values, "modbus", "soh_percent")
    assert not registers.add_register(values, "modbus", "soh_percent")
    config = config_from(values)
    assert config.modbus.registers[signal] is None
    found = registers.register_rows(profile, values["modbus"]["registers"], None)
    assert {row.signal: row.origin for row in found if row.origin in ("removed", "added")} == {
        signal: "removed",
        "soh_percent": "added",
    }


def test_the_battery_block_is_tested_like_any_device() -> None:
    values = {"modbus": {**DEVICE, "slave_id": 7, "timeout": 1.0, "retries": 2, "port": 1502}}
    device = device_config(values, "modbus")
    assert (device.unit_id, device.timeout_s, device.port) == (7, 1.0, 1502)
    assert device_config({}, "modbus").profile == "hithium_ess_5016"
    assert device_config({"modbus": {"port": "x"}}, "modbus") is None


MISTAKES: list[dict[str, Any]] = [
    {"bess": {"soc_min_percent": 95.0}},
    {"site": {"timezone": "Wien"}},
    {"site": {"latitude": 48.0}},
    {"limits": {"external": [{"source": "dso"}, {"source": "dso"}]}},
    {"limits": {"feed_in": {"windows": [{"from": "10:00", "to": "14:00"}]}}},
    {"tariff": {"levies_eur_per_kwh": 7.0}},
    {"tariff": {"grid_fee_windows": [{"eur_per_kwh": 0.1, "from": "17:05"}]}},
    {"tariff": {"grid_fee_windows": [{"eur_per_kwh": 0.1, "from": "17:00", "to": "22:00"}]}},
    {"tariff": {"energy_price_eur_per_kwh": 0.1, "spot_markup_percent": 3.0}},
    {"tariff": {"feed_in_eur_per_kwh": 0.1, "export_allowed": False}},
    {"tariff": {"versions": [{}, {}]}},
    {"prices": {"provider": "file"}},
    {"weather": {"provider": "open_meteo"}},
    {"history": {"minute_days": 30, "raw_days": 60}},
    {"devices": [{"name": "a", "profile": "x"}]},
    {"devices": [{"name": "meter", "profile": "x", "host": "h"}] * 2},
    {"mqtt": {"enabled": True, "inputs": [{"topic": "a", "signal": "grid_kw"}]}},
    {"notifications": {"channels": [{"type": "email", "name": "ops"}]}},
    {"notifications": {"channels": [{"type": "webhook", "name": "ops"}]}},
    {"grid": {"import_limit_kw": "viel"}},
    {"mqtt": {"broker_port": 70000}},
    {"ems": {"mode": "x"}},
]


@pytest.mark.parametrize("values", MISTAKES)
def test_every_rule_is_said_in_german_with_its_place(values: dict[str, Any]) -> None:
    with pytest.raises(ConfigProblems) as caught:
        config_from(values)
    for problem in caught.value.problems:
        german, english = problem_text(problem, "de"), problem_text(problem, "en")
        assert german != english
        assert not {"the", "is", "must", "a", "needs"} & set(german.split())


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("bess.soc_min_percent", "SoC at least"),
        ("devices.meter.port", "Port · meter"),
        ("devices.meter", "Devices · meter"),
        ("modbus.registers.grid_kw", "Registers · grid_kw"),
        ("modbus.registers.grid_kw.scale", "Factor · grid_kw"),
        ("tariff.grid_fee_windows.HT.eur_per_kwh", "Price · HT"),
        ("tariff.versions.0.levies_eur_per_kwh", "Taxes and levies"),
        ("notifications.channels.ops.url", "Address (hidden) · ops"),
    ],
)
def test_a_change_is_named_with_the_item_it_belongs_to(path: str, name: str) -> None:
    assert change_name(Change(path, None, 1), "en") == name


def test_values_of_changes_are_in_the_units_of_the_form() -> None:
    assert value_text(0.0562, "de", "tariff.grid_fee_eur_per_kwh") == "5,62 ct/kWh"
    assert value_text(0.95, "en", "bess.efficiency_charge") == "95 %"
    assert value_text(True, "de", "control.peak_guard") == "ja"


@pytest.mark.parametrize(
    ("values", "lang", "said"),
    [
        ({"bess": {"energy_capacity_kwh": -5}}, "de", "−5 ist zu klein. Mehr als 0."),
        ({"bess": {"energy_capacity_kwh": -5.5}}, "de", "−5,5 ist"),
        ({"bess": {"efficiency_charge": 1.5}}, "de", "150 ist zu groß. Höchstens 100."),
        ({"bess": {"efficiency_charge": 1.505}}, "en", "150.5 "),
    ],
)
def test_a_number_beyond_its_bounds_is_repeated_as_the_field_shows_it(
    values: dict[str, Any], lang: str, said: str
) -> None:
    with pytest.raises(ConfigProblems) as found:
        config_from(values)
    assert problem_text(found.value.problems[0], lang).startswith(said)


@pytest.mark.parametrize(("lang", "day"), [("de", "Fr, 01.01.2027"), ("en", "Fri, 1 Jan 2027")])
def test_a_day_of_the_file_is_shown_as_people_write_it(lang: str, day: str) -> None:
    assert value_text("2027-01-01", lang, "tariff.versions.0.valid_from") == day
    assert value_text("2027-13-01", lang, "tariff.versions.0.valid_from") == "2027-13-01"


@pytest.mark.parametrize(
    ("stated", "said"), [({}, "Standort Wien"), ({"name": "Halle 7"}, "Halle 7")]
)
def test_the_own_site_has_the_name_in_force_where_the_file_states_none(
    stated: dict[str, str], said: str
) -> None:
    rows = [{"index": None, "id": "site-1", "name": None, settings_sites.OWN: True}]
    form = FormState({"site": stated, "sites": rows}, {}, "de", False)
    text = str(settings_sites.content(form, {}))
    assert f"children='{said}'" in text
    assert "absent" not in text
