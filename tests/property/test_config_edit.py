"""Whatever is changed in a configuration's text: the values are right, the remarks are kept."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from engine.config.default import DEFAULT_EMS_YAML
from engine.config.edit import edited, plain
from engine.config.load import read_yaml

KEYS = st.text("abcdefgh_", min_size=1, max_size=5)
TEXTS = st.text(st.characters(exclude_categories=["Cc", "Cs", "Co", "Cn", "Zl", "Zp"]), max_size=12)
SCALARS = st.none() | st.booleans() | st.integers(-99, 99) | st.floats(-1e6, 1e6) | TEXTS
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=12,
)
DOCUMENTS = st.dictionaries(KEYS, VALUES, max_size=5)


@given(old=DOCUMENTS, new=DOCUMENTS, flow=st.sampled_from([None, False, True]))
@settings(max_examples=60)
def test_any_text_becomes_any_values(old: Any, new: Any, flow: bool | None) -> None:
    out = io.StringIO()
    yaml = YAML(typ="safe", pure=True)
    yaml.default_flow_style = flow
    yaml.dump(old, out)
    # ruamel.yaml does not read all that it writes ("{a: ?0}"); a file must be one to begin with.
    assume(_is_readable(out.getvalue()))
    assert plain(read_yaml(edited(out.getvalue(), new))) == plain(new)


def _is_readable(text: str) -> bool:
    try:
        YAML(typ="safe", pure=True).load(text)
    except YAMLError:
        return False
    return True


@pytest.mark.parametrize("text", ["?0", "? 0", "?", ":x", ":", "?'x", "::", "?:"])
@pytest.mark.parametrize("old", ["{_: 1}", "_: 1\n", "{_: [1]}"])
def test_texts_that_look_like_marks_of_yaml_are_kept(text: str, old: str) -> None:
    for new in ({"_": text}, {"_": [text]}, {text: 1, "_": {text: text}}):
        assert plain(read_yaml(edited(old, new))) == new


def test_a_long_list_at_the_end_stays_with_its_key_when_a_key_is_added_below() -> None:
    new = {"a": {"z": ["x" * 60, "y" * 60]}, "b": {"c": ["u" * 60, "v" * 60]}}
    assert plain(read_yaml(edited("a:\n  z: 1\n", new))) == new


# The first sections are enough, and reading the whole file takes long.
TEXT = DEFAULT_EMS_YAML.partition("# Day-ahead prices.")[0]
DEFAULTS = plain(read_yaml(TEXT))
LEAVES = [
    (section, key)
    for section, values in DEFAULTS.items()
    if isinstance(values, dict)
    for key in values
]


@given(
    changed=st.lists(st.tuples(st.sampled_from(LEAVES), VALUES), min_size=1, max_size=6),
    removed=st.lists(st.sampled_from(LEAVES), max_size=3),
    devices=st.lists(st.dictionaries(KEYS, VALUES, max_size=4), max_size=3),
)
@settings(max_examples=12)
def test_every_remark_of_the_default_file_stays_but_those_of_removed_keys(
    changed: Any, removed: Any, devices: Any
) -> None:
    values = {k: dict(v) if isinstance(v, dict) else v for k, v in DEFAULTS.items()}
    for (section, key), value in changed:
        values[section][key] = value
    for section, key in removed:
        values[section].pop(key, None)
    values["devices"] = devices
    text = edited(TEXT, values)
    assert plain(read_yaml(text)) == values
    gone = {key for _, key in removed}
    for line in TEXT.splitlines():
        words, _, remark = line.partition("#")
        if remark and words.partition(":")[0].strip() not in gone:
            assert f"#{remark}" in text
