"""Entries of several sites mean what a file of each site alone means, and are written as such."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.config.load import config_from
from engine.config.site_entry import site_values, with_site
from engine.config.sites import INSTALLATION_KEYS, installation_from, merged

_numbers = st.floats(1, 90).map(lambda x: round(x, 1))


def _some(**values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=values)


_register = st.fixed_dictionaries({"address": st.integers(0, 99), "scale": _numbers})
_device = st.fixed_dictionaries(
    {"name": st.just("meter"), "profile": st.just("p"), "host": st.sampled_from(["a", "b"])}
)
_sections = {
    "bess": _some(
        energy_capacity_kwh=_numbers, power_charge_max_kw=_numbers, soc_max_percent=st.just(95.0)
    ),
    "grid": _some(import_limit_kw=_numbers, export_limit_kw=_numbers),
    "ems": _some(mode=st.sampled_from(["auto", "monitor"]), horizon_hours=st.integers(24, 48)),
    "modbus": _some(
        host=st.sampled_from(["x", "y"]),
        port=st.integers(1, 999),
        registers=st.dictionaries(st.sampled_from(["u", "v"]), _register | st.none(), max_size=2),
    ),
    "devices": st.lists(_device, max_size=1),
    "branding": _some(product_name=st.sampled_from(["One", "Two"])),
}
_whole = _some(**_sections)
_entry = _some(**{key: value for key, value in _sections.items() if key not in INSTALLATION_KEYS})


def _named(entry: dict[str, Any], number: int) -> dict[str, Any]:
    return entry | {"site": {"id": f"s{number}"}}


@settings(max_examples=40)
@given(_whole)
def test_one_entry_means_what_the_file_alone_means(values: dict[str, Any]) -> None:
    top = {key: values[key] for key in INSTALLATION_KEYS if key in values}
    entry = {key: value for key, value in values.items() if key not in INSTALLATION_KEYS}
    assert installation_from(top | {"sites": [entry]}).sites == (config_from(values),)


@settings(max_examples=40)
@given(_whole, st.lists(_entry, min_size=2, max_size=3))
def test_each_entry_means_what_its_values_mean(
    shared: dict[str, Any], entries: list[dict[str, Any]]
) -> None:
    data = shared | {"sites": [_named(entry, i) for i, entry in enumerate(entries)]}
    for index, config in enumerate(installation_from(data).sites):
        assert config == config_from(site_values(data, index))


@settings(max_examples=40)
@given(_whole, st.lists(_entry, min_size=2, max_size=2), _entry, st.integers(0, 1))
def test_what_is_written_for_one_site_is_read_again_and_leaves_the_other(
    shared: dict[str, Any], entries: list[dict[str, Any]], change: dict[str, Any], index: int
) -> None:
    data = shared | {"sites": [_named(entry, i) for i, entry in enumerate(entries)]}
    wanted = merged(site_values(data, index), change)
    written = with_site(data, index, wanted)
    assert site_values(written, index) == wanted
    assert written["sites"][1 - index] == data["sites"][1 - index]
    assert with_site(written, index, wanted) == written
