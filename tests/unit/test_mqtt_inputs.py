"""A message becomes the right signal with the right sign, or a BAD sample with a reason."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.config.load import ConfigProblems, parse_config
from engine.config.mqtt import MqttConfig
from engine.devices.mqtt.inputs import InputSamples, MqttInput, compile_inputs
from engine.devices.mqtt.payload import PayloadError, look_up, parse_path
from engine.domain.errors import ConfigError
from engine.domain.sample import Quality
from tests.support.build import NOW


def mapped(**changes: Any) -> MqttInput:
    entry = {"topic": "t", "signal": "voltage_v"} | changes
    return compile_inputs(MqttConfig.model_validate({"inputs": [entry]}))[0]


@pytest.mark.parametrize(
    ("entry", "payload", "value"),
    [
        ({}, "801.5", 801.5),
        ({"path": "u"}, '{"u": 801.5}', 801.5),
        ({"path": "u"}, '{"u": "801.5"}', 801.5),
        ({"path": 'a["x.y"][1].v'}, '{"a": {"x.y": [0, {"v": 3}]}}', 3.0),
        ({"scale": 0.1, "offset": 2}, "10", 3.0),
        ({"unit": "mV"}, "1500", 1.5),
        ({"signal": "soc_percent", "unit": "1"}, "0.42", 42.0),
        ({"signal": "grid_kw", "positive_means": "import", "unit": "W"}, "-4200", -4.2),
        ({"signal": "grid_kw", "positive_means": "export", "unit": "W"}, "-4200", 4.2),
        ({"signal": "battery_kw", "positive_means": "charge"}, "30", -30.0),
        ({"signal": "battery_kw", "positive_means": "discharge"}, "30", 30.0),
        ({"signal": "pv_kw", "positive_means": "consumption"}, "-12", 12.0),
        ({"signal": "pv_kw", "positive_means": "generation"}, "-0.02", 0.0),
        ({"signal": "load_kw", "positive_means": "consumption"}, "8", 8.0),
        ({"signal": "status_code"}, "3", 3.0),
    ],
)
def test_values_units_and_signs(entry: dict[str, Any], payload: str, value: float) -> None:
    sample = mapped(**entry).decode(payload.encode(), NOW)
    assert sample.value == pytest.approx(value)
    assert (sample.quality, sample.source, sample.ts) == (Quality.GOOD, "mqtt", NOW)


@pytest.mark.parametrize(
    ("entry", "payload", "reason"),
    [
        ({}, "NaN", "not valid JSON"),
        ({}, "1e999", "out of range"),
        ({}, "9" * 400, "out of range"),
        ({}, "true", "not a number"),
        ({}, "null", "not a number"),
        ({}, '"12,5"', "not a number"),
        ({}, '"nan"', "not a number"),
        ({}, "-3", "outside 0"),
        ({}, '{"u": 1}', "not a number"),
        ({"path": "u"}, "{}", "no 'u'"),
        ({"path": "u"}, "[1]", "no 'u'"),
        ({"path": "[3]"}, "[1]", "no 3"),
        ({"path": "[0]"}, '{"0": 1}', "no 0"),
        ({}, "[" * 100_000, "not valid JSON"),
        ({"signal": "soc_percent"}, "101", "outside 0 to 100"),
        ({"signal": "status_code"}, "3.5", "whole number"),
        ({"signal": "alarm_bits"}, "4096", "outside"),
        ({"max": 900}, "950", "outside 0 to 900"),
    ],
)
def test_what_is_no_plausible_number_is_bad(
    entry: dict[str, Any], payload: str, reason: str
) -> None:
    sample = mapped(**entry).decode(payload.encode(), NOW)
    assert (sample.value, sample.quality) == (None, Quality.BAD)
    assert reason in str(sample.reason)


def test_an_oversized_message_is_not_parsed() -> None:
    sample = mapped().decode(b" " * 300_000 + b"1", NOW)
    assert "too long" in str(sample.reason)


@given(st.binary(max_size=200) | st.text(max_size=80).map(str.encode))
def test_no_message_raises_or_gives_a_non_finite_number(payload: bytes) -> None:
    for entry in (mapped(), mapped(path="a[0].b", scale=1e308)):
        value = entry.decode(payload, NOW).value
        assert value is None or math.isfinite(value)


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=True) | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.just("a"), inner, max_size=1),
    max_leaves=6,
)


@given(json_values)
def test_any_json_is_a_number_or_bad(data: Any) -> None:
    sample = mapped(path="a").decode(json.dumps(data).encode(), NOW)
    assert (sample.value is None) == (sample.quality is Quality.BAD)


@pytest.mark.parametrize(
    ("entry", "field", "fragment"),
    [
        ({"signal": "soc"}, "signal", "not a signal"),
        ({"topic": "a/#"}, "topic", "full topic"),
        ({"topic": "a/+/b"}, "topic", "full topic"),
        ({"scale": 0.0}, "scale", "every value 0"),
        ({"unit": "kWh"}, "unit", "'kV'"),
        ({"positive_means": "import"}, "positive_means", "no direction"),
        ({"signal": "grid_kw"}, "positive_means", "import or export"),
        ({"signal": "battery_kw", "positive_means": "import"}, "positive_means", "discharge"),
        ({"path": "a..b"}, "path", "not a path"),
        ({"path": "a["}, "path", "not a path"),
        ({"min": 10, "max": 5}, "min", "No value"),
    ],
)
def test_mistakes_in_the_table_are_named(entry: dict[str, Any], field: str, fragment: str) -> None:
    with pytest.raises(ConfigError) as caught:
        mapped(**entry)
    assert caught.value.field == f"mqtt.inputs.0.{field}"
    assert fragment in str(caught.value)


def test_one_source_supplies_a_signal_once() -> None:
    entry = {"topic": "a", "signal": "voltage_v"}
    with pytest.raises(ConfigError, match="twice"):
        compile_inputs(MqttConfig.model_validate({"inputs": [entry, entry | {"topic": "b"}]}))
    two = [entry, entry | {"topic": "b", "source": "gateway"}]
    assert len(compile_inputs(MqttConfig.model_validate({"inputs": two}))) == 2


def test_paths_and_lookup() -> None:
    assert parse_path("") == ()
    assert parse_path('phases[0]["a.b"].p') == ("phases", 0, "a.b", "p")
    with pytest.raises(PayloadError):
        parse_path(".a")
    with pytest.raises(PayloadError):
        look_up([1], (-1, "x"))


def test_a_stored_message_never_replaces_a_live_one() -> None:
    samples = InputSamples([mapped()])
    assert samples.silent_topics() == ("t",)
    assert samples.by_source(NOW)["mqtt"]["voltage_v"].quality is Quality.BAD
    samples.receive("t", b"700", NOW, retained=True)
    assert samples.by_source(NOW)["mqtt"]["voltage_v"].quality is Quality.STALE
    samples.receive("t", b"800", NOW)
    samples.receive("t", b"700", NOW, retained=True)
    assert samples.by_source(NOW)["mqtt"]["voltage_v"].value == 800.0
    assert not samples.receive("other", b"1", NOW)


def test_the_mapping_is_read_from_the_configuration_file() -> None:
    config = parse_config(
        "modbus: {enabled: true}\n"
        "mqtt:\n  enabled: true\n  inputs:\n"
        "    - {topic: meter/1, signal: grid_kw, path: p, unit: W, positive_means: export}\n"
    )
    (entry,) = compile_inputs(config.mqtt)
    assert entry.decode(b'{"p": 500}', NOW).value == -0.5
    assert entry.priority == 50


def test_unknown_keys_and_a_mix_with_the_demo_are_refused() -> None:
    with pytest.raises(ConfigProblems, match="Did you mean 'positive_means'"):
        parse_config("mqtt: {inputs: [{topic: a, signal: grid_kw, positiv_means: import}]}")
    with pytest.raises(ConfigProblems, match="demo plant"):
        parse_config("mqtt: {enabled: true, inputs: [{topic: a, signal: soc_percent}]}")
