"""The configuration loads, or says in one sentence each what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.config.default import DEFAULT_EMS_YAML
from engine.config.load import ConfigProblems, load_config, parse_config, write_atomically
from engine.config.schema import Config
from engine.domain.errors import ConfigError
from engine.runtime.assembly import check_buildable
from tests.support.design_yaml import DESIGN_YAML


def test_design_yaml_loads_unchanged() -> None:
    config = parse_config(DESIGN_YAML)
    assert config.bess.energy_capacity_kwh == 200.0
    assert config.ems.timestep_s == 2.0
    assert config.modbus.status_codes[7] == "Lade- & Entladesperre"
    assert config.modbus.registers["max_charge_power_kw"].address == 33
    assert config.demo, "without a real device the demo plant runs"
    check_buildable(config)


def test_default_file_says_what_the_schema_defaults_to() -> None:
    assert parse_config(DEFAULT_EMS_YAML) == Config()


def test_empty_file_and_empty_section_mean_defaults() -> None:
    assert parse_config("") == Config()
    assert parse_config("bess:\n") == Config()


@pytest.mark.parametrize(
    ("text", "field", "fragments"),
    [
        ("bess: {soc_min_percent: 95}", "bess.soc_min_percent", ["95", "90", "Lower"]),
        ("bess: {soc_min_percent: 90}", "bess.soc_min_percent", ["smaller"]),
        ("bess: {efficiency_charge: 1.2}", "bess.efficiency_charge", ["1.2", "at most 1"]),
        ("bess: {efficiency_charge: 0}", "bess.efficiency_charge", ["greater than 0"]),
        ("bess: {power_charge_max_kw: -5}", "bess.power_charge_max_kw", ["-5", "at least 0"]),
        ("bess: {soc_min_percent: '10'}", "bess.soc_min_percent", ["'10'", "without quotes"]),
        ("bess: {soc_min_percent: .nan}", "bess.soc_min_percent", ["nan", "finite"]),
        ("bess: {soc_mn_percent: 5}", "bess.soc_mn_percent", ["Unknown", "soc_min_percent"]),
        ("bes: {}", "bes", ["Unknown", "'bess'"]),
        ("bess: 3", "bess", ["3", "Indent"]),
        ("ems: {mode: fast}", "ems.mode", ["'fast'", "'auto'"]),
        ("ems: {timestep_s: true}", "ems.timestep_s", ["True", "number"]),
        ("ems: {optimization_interval_minutes: 7}", "ems.optimization_interval_minutes", ["15"]),
        ("mqtt: {broker_port: 99999}", "mqtt.broker_port", ["99999", "at most 65535"]),
        ("mqtt: {enabled: maybe}", "mqtt.enabled", ["'maybe'", "true or false"]),
        ("site: {timezone: Mars/Base}", "site.timezone", ["Mars/Base", "Europe/Vienna"]),
        (
            "modbus: {registers: {soc_percent: {adress: 4, address: 4}}}",
            "modbus.registers.soc_percent.adress",
            ["Unknown", "'address'"],
        ),
        (
            "modbus: {registers: {soc_percent: {scale: 1}}}",
            "modbus.registers.soc_percent.address",
            ["missing"],
        ),
        ("modbus: {status_codes: {x: a}}", "modbus.status_codes.x", ["whole number"]),
        (
            "demo_plant: {enabled: true}\nmodbus: {enabled: true}",
            "demo_plant.enabled",
            ["never reach real dispatch"],
        ),
    ],
)
def test_mistakes_name_key_value_and_remedy(text: str, field: str, fragments: list[str]) -> None:
    with pytest.raises(ConfigProblems) as caught:
        parse_config(text)
    assert len(caught.value.problems) == 1
    problem = caught.value.problems[0]
    assert problem.field == field
    assert problem.hint
    for fragment in fragments:
        assert fragment in str(problem)


@pytest.mark.parametrize(
    ("text", "fragment"),
    [("bess: [", "line 1"), ("- 1\n- 2", "keys and values"), ("a: 1\na: 2", "duplicate key")],
)
def test_broken_yaml_is_one_clear_message(text: str, fragment: str) -> None:
    with pytest.raises(ConfigProblems, match=fragment):
        parse_config(text)


def test_all_mistakes_are_told_at_once() -> None:
    with pytest.raises(ConfigProblems) as caught:
        parse_config("bess: {power_charge_max_kw: -1, efficiency_charge: 2}\nfoo: 1")
    assert len(caught.value.problems) == 3


def test_yaml_cannot_run_code() -> None:
    with pytest.raises(ConfigProblems):
        parse_config("bess: !!python/object/apply:os.system ['true']")


def test_first_start_creates_a_commented_file(tmp_path: Path) -> None:
    config = load_config(tmp_path / "config")
    text = (tmp_path / "config" / "ems.yaml").read_text(encoding="utf-8")
    assert config == Config()
    assert "# The battery storage system." in text


def test_unreadable_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "ems.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_config(tmp_path)


def test_failed_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "ems.yaml"
    path.write_text("old", encoding="utf-8")
    with pytest.raises(UnicodeEncodeError):
        write_atomically(path, "new \udcff")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("prices: {demo_mode: false}\ndemo_plant: {speed: 60}", "demo_plant.speed"),
        ("modbus: {enabled: true, connection_type: rtu}", "modbus.connection_type"),
        ("modbus: {enabled: true, profile: nobody}", "modbus.profile"),
    ],
)
def test_what_this_version_cannot_run_is_refused_at_start(text: str, field: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_buildable(parse_config(text))
    assert caught.value.field == field
    assert caught.value.hint


@pytest.mark.parametrize(
    ("text", "field", "hint"),
    [
        ("prices: {provider: file}", "prices.file", "ts_utc"),
        ("prices: {entsoe_token_env: my-token}", "prices.entsoe_token_env", "environment variable"),
        ("prices: {urls: {awattar: 'ftp://a'}}", "prices.urls.awattar", "https://"),
        ("prices: {urls: {awattar: 'https://me:secret@a'}}", "prices.urls.awattar", "https://"),
        ("site: {latitude: 48.2}", "site.longitude", "site.longitude"),
        (
            "weather: {provider: open_meteo}\ndemo_plant: {enabled: false}",
            "weather.provider",
            "site.latitude",
        ),
        (
            "site: {latitude: 48.2, longitude: 16.4}\nweather: {provider: open_meteo}",
            "weather.provider",
            "provider: none",
        ),
        ("forecasts: {pv: weather_pv}", "forecasts.pv", "pv.planes"),
        ("forecasts: {holidays_country: XX}", "forecasts.holidays_country", "AT or DE"),
        ("forecasts: {holidays_country: Austria}", "forecasts.holidays_country", "two capital"),
        ("pv: {planes: [{peak_kw: 10, tilt_deg: 100}]}", "pv.planes.0.tilt_deg", "at most 90"),
        ("strategies: {manual_strategy: greed}", "strategies.manual_strategy", "co_optimised"),
    ],
)
def test_mistakes_about_planning_are_named(text: str, field: str, hint: str) -> None:
    with pytest.raises(ConfigProblems) as caught:
        parse_config(text)
    (problem,) = caught.value.problems
    assert problem.field == field
    assert hint in str(problem.hint)
    assert "secret" not in str(problem.message)


def test_sources_are_asked_once_each_in_their_order() -> None:
    prices = parse_config("prices: {provider: entsoe, fallbacks: [awattar, entsoe]}").prices
    assert prices.sources == ("entsoe", "awattar")
