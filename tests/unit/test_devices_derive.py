"""Derived signals: sums, products, clips, choices, and what makes them unusable."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.devices.derive import add_derived
from engine.devices.derived_def import DerivedDef
from engine.devices.profile import parse_profile
from engine.domain.errors import DeviceError
from engine.domain.sample import Quality, Sample

NOW = datetime(2026, 11, 3, 12, tzinfo=UTC)


def sample(value: float | None, **changes: Any) -> Sample:
    quality = Quality.BAD if value is None else Quality.GOOD
    fields = {"ts": NOW, "source": "d", "quality": quality, "reason": None, **changes}
    return Sample(value, **fields)


def derive(inputs: dict[str, Sample], **rules: Any) -> dict[str, Sample]:
    samples = dict(inputs)
    add_derived({n: DerivedDef.model_validate(r) for n, r in rules.items()}, samples, "d")
    return samples


@pytest.mark.parametrize(
    ("rule", "value"),
    [
        ({"sum": ["a", "b"]}, -3.0),
        ({"sum": {"a": 1, "b": -1}}, 7.0),
        ({"product": ["a", "b"], "scale": 0.001}, -0.01),
        ({"sum": ["b"], "clip_min": 0}, 0.0),
        ({"sum": {"b": -1}, "clip_min": 0}, 5.0),
        ({"sum": ["a"], "clip_max": 1}, 1.0),
        ({"first": ["bad", "a"]}, 2.0),
        ({"first": ["b", "a"]}, -5.0),
    ],
)
def test_operations(rule: dict[str, Any], value: float) -> None:
    inputs = {"a": sample(2.0), "b": sample(-5.0), "bad": sample(None, reason="refused")}
    found = derive(inputs, x=rule)["x"]
    assert found.value == pytest.approx(value)
    assert found.quality is Quality.GOOD


def test_a_clipped_zero_carries_no_minus_sign() -> None:
    found = derive({"a": sample(0.0)}, x={"sum": {"a": -1}, "clip_min": 0})["x"]
    assert str(found.value) == "0.0"


@pytest.mark.parametrize(
    "rule", [{"sum": ["a", "bad"]}, {"product": ["a", "bad"]}, {"first": ["bad", "bad2"]}]
)
def test_one_unusable_input_makes_the_result_bad(rule: dict[str, Any]) -> None:
    bad = sample(None, reason="no answer")
    found = derive({"a": sample(2.0), "bad": bad, "bad2": bad}, x=rule)["x"]
    assert found.quality is Quality.BAD
    assert "bad" in (found.reason or "")
    assert "no answer" in (found.reason or "")


def test_a_stale_input_is_not_used() -> None:
    stale = sample(1.0, quality=Quality.STALE, reason="old")
    assert derive({"a": stale}, x={"sum": ["a"]})["x"].value is None


def test_the_result_is_as_old_and_as_good_as_its_worst_input() -> None:
    old = sample(1.0, ts=NOW - timedelta(seconds=9))
    doubtful = sample(2.0, quality=Quality.UNCERTAIN, reason="asleep")
    found = derive({"a": old, "b": doubtful}, x={"sum": ["a", "b"]})["x"]
    assert found.ts == old.ts
    assert found.quality is Quality.UNCERTAIN
    assert "asleep" in (found.reason or "")


def test_an_implausible_result_is_bad() -> None:
    found = derive({"a": sample(2000.0)}, x={"sum": ["a"], "max": 1000})["x"]
    assert found.quality is Quality.BAD


def test_a_rule_may_use_what_stands_before_it() -> None:
    found = derive({"a": sample(3.0)}, x={"sum": {"a": 2}}, y={"product": ["x", "a"]})
    assert found["y"].value == 18.0


def parsed(derived: dict[str, Any], **register: Any) -> None:
    parse_profile(
        {
            "key": "p",
            "label": "p",
            "manufacturer": "m",
            "kinds": ["hybrid"],
            "source": "test",
            "registers": {"a": {"address": 0, "function": 3, **register}},
            "derived": derived,
        }
    )


@pytest.mark.parametrize(
    ("derived", "field"),
    [
        ({"pv_kw": {"sum": ["b"]}}, "derived.pv_kw"),
        ({"pv_kw": {"sum": ["a"], "unit": "W"}}, "derived.pv_kw.unit"),
        ({"a": {"sum": ["a"]}}, "derived.a"),
        ({"pv_kw": {"sum": ["a"], "product": ["a"]}}, "derived"),
        ({"pv_kw": {}}, "derived"),
        ({"x": {"sum": ["y"]}, "y": {"sum": ["a"]}}, "derived.x"),
    ],
)
def test_rules_that_cannot_work_are_refused(derived: dict[str, Any], field: str) -> None:
    with pytest.raises(DeviceError) as caught:
        parsed(derived)
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("register", "field"),
    [
        ({"bit": 16}, "registers.a.bit"),
        ({"bit": 1, "mask": 2}, "registers.a.mask"),
        ({"type": "float32", "bit": 1}, "registers.a.bit"),
        ({"function": 2, "bit": 1}, "registers.a.bit"),
        ({"scale_factor": {"address": 500}}, "registers.a.scale_factor.address"),
        ({"sentinel_value": 0}, "registers.a.sentinel_value"),
    ],
)
def test_fields_that_cannot_work_are_refused(register: dict[str, Any], field: str) -> None:
    with pytest.raises(DeviceError) as caught:
        parsed({}, **register)
    assert caught.value.field == field
