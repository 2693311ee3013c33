"""Any value that goes through an input of the settings comes back as it was."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from ems_dash.ui.settings_fields import ABSENT, field_of, get, put, shown, take

LANG = st.sampled_from(["de", "en"])
WORDS = st.text("abcdefgh_-.0123456789", min_size=1, max_size=12)
NUMBERS = st.floats(-1e12, 1e12, allow_subnormal=False).map(lambda x: x + 0.0)

CASES: list[tuple[str, st.SearchStrategy[Any]]] = [
    ("grid.import_limit_kw", NUMBERS),
    ("tariff.levies_eur_per_kwh", NUMBERS),
    ("bess.efficiency_charge", NUMBERS),
    ("mqtt.broker_port", st.integers(-(10**9), 10**9)),
    ("site.name", WORDS),
    ("site.latitude", st.none() | NUMBERS),
    ("ems.optimization_interval_minutes", st.sampled_from([5, 15, 30, 60])),
    ("demo_plant.enabled", st.sampled_from([None, True, False])),
    ("control.peak_guard", st.booleans()),
    ("prices.fallbacks", st.permutations(["awattar", "entsoe", "file"])),
    (
        "tariff.grid_fee_windows.0.months",
        st.none() | st.sets(st.integers(1, 12), min_size=1).map(sorted),
    ),
    ("notifications.channels.0.only", st.lists(WORDS, max_size=4)),
    ("modbus.status_codes", st.dictionaries(st.integers(0, 99).map(str), WORDS, max_size=4)),
    ("tariff.versions.0.valid_from", st.none() | st.dates().map(str)),
]


def values_with(path: str, value: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "tariff": {"grid_fee_windows": [{}], "versions": [{}]},
        "notifications": {"channels": [{}]},
    }
    if value is not None:
        put(values, path, value)
    return values


@given(st.sampled_from(CASES).flatmap(lambda c: st.tuples(st.just(c[0]), c[1], c[1])), LANG)
def test_what_is_shown_and_typed_again_is_the_same_value(
    case: tuple[str, Any, Any], lang: str
) -> None:
    path, value, other = case
    field = field_of(path)
    typed = shown(field, values_with(path, value), lang)
    values = values_with(path, other)
    changed = take(field, values, typed, lang)
    found = get(values, path)
    meant = field.default if isinstance(found, str) and found == ABSENT else found
    wanted = field.default if value is None else value
    assert meant == wanted or (not meant and not wanted)
    assert changed or value == other or shown(field, values_with(path, other), lang) == typed
