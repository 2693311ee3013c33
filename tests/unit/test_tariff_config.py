"""The section ``tariff`` loads in all its forms, or says in one sentence each what is wrong."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path

import pytest
from pydantic import Field

from engine.config.load import ConfigProblems, parse_config
from engine.config.section import Section
from engine.config.tariff import TariffConfig, TariffTermsConfig

PAGE = Path(__file__).resolve().parents[2] / "docs" / "planning" / "tariffs.md"


class Root(Section):
    """A configuration that is nothing but a tariff."""

    tariff: TariffConfig = Field(default_factory=TariffConfig)


@pytest.fixture(autouse=True)
def _only_the_tariff(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.config.load.Config", Root)


def tariff(text: str) -> TariffConfig:
    config = parse_config(text).tariff
    assert isinstance(config, TariffConfig)
    return config


def test_the_flat_keys_keep_their_meaning_and_defaults() -> None:
    config = tariff("")
    assert (
        config.spot_markup_eur_per_kwh,
        config.grid_fee_eur_per_kwh,
        config.levies_eur_per_kwh,
        config.vat_percent,
        config.sell_fee_eur_per_kwh,
    ) == (0.015, 0.07, 0.015, 0.0, 0.005)
    assert (config.settlement_minutes, config.export_allowed) == (15, True)
    assert config.demand_charge is None
    assert tariff("tariff:\n") == config
    assert tariff("tariff: {vat_percent: 20, grid_fee_eur_per_kwh: 0.05}").vat_percent == 20


def test_a_single_tariff_is_one_version_that_always_applies() -> None:
    config = tariff("tariff: {vat_percent: 20}")
    (only,) = config.dated
    assert only.valid_from is None
    assert only.vat_percent == 20
    assert only.grid_fee_eur_per_kwh == 0.07


def test_versions_are_read_with_their_days() -> None:
    config = tariff(
        """
tariff:
  versions:
    - {grid_fee_eur_per_kwh: 0.06}
    - {valid_from: 2026-01-01, grid_fee_eur_per_kwh: 0.07}
    - {valid_from: "2027-01-01", grid_fee_eur_per_kwh: 0.08}
"""
    )
    assert [v.valid_from for v in config.dated] == [None, date(2026, 1, 1), date(2027, 1, 1)]
    assert [v.grid_fee_eur_per_kwh for v in config.dated] == [0.06, 0.07, 0.08]


def test_windows_that_cover_everything_need_no_base() -> None:
    config = tariff(
        """
tariff:
  grid_fee_windows:
    - {name: HT, from: 06:00, to: 22:00, eur_per_kwh: 0.08}
    - {name: NT, from: 22:00, to: 06:00, eur_per_kwh: 0.04}
  energy_price_windows:
    - {months: [4, 5, 6, 7, 8, 9], eur_per_kwh: 0.10}
    - {months: [1, 2, 3, 10, 11, 12], eur_per_kwh: 0.14}
"""
    )
    assert config.grid_fee_eur_per_kwh is None, "the default must not price anything silently"


W = "grid_fee_windows: [{from: 22:00, to: 06:00, eur_per_kwh: 0.03}"


@pytest.mark.parametrize(
    ("inner", "field", "fragments"),
    [
        (W + "]", "grid_fee_windows", ["mon 06:00 in January", "grid_fee_eur_per_kwh"]),
        (
            W + ", {name: X, from: 05:00, to: 07:00, months: [3], eur_per_kwh: 0.1}]",
            "grid_fee_windows",
            ["0 (22:00-06:00)", "1 (X, 05:00-07:00)", "overlap on mon 05:00 in March", "Change"],
        ),
        (
            "grid_fee_windows: [{from: 06:00, to: 06:00, eur_per_kwh: 0.03}]",
            "grid_fee_windows.0.to",
            ["06:00", "never applies", "leave out"],
        ),
        (
            "grid_fee_windows: [{to: 00:00, eur_per_kwh: 0.03}]",
            "grid_fee_windows.0.to",
            ["00:00", "whole day"],
        ),
        (
            "grid_fee_windows: [{weekdays: [mon, moon], eur_per_kwh: 0.03}]",
            "grid_fee_windows.0.weekdays.1",
            ["'moon'", "'sun'"],
        ),
        (
            "grid_fee_windows: [{weekdays: [], eur_per_kwh: 0.03}]",
            "grid_fee_windows.0.weekdays",
            ["[]", "leave weekdays out"],
        ),
        (
            "grid_fee_windows: [{months: [13], eur_per_kwh: 0.03}]",
            "grid_fee_windows.0.months.0",
            ["13", "at most 12"],
        ),
        (
            "grid_fee_windows: [{from: 6, eur_per_kwh: 0.03}]",
            "grid_fee_windows.0.from",
            ["6", "text"],
        ),
        (
            "grid_fee_windows: [{from: 25:00, eur_per_kwh: 0.03}]",
            "grid_fee_windows.0.from",
            ["'25:00'", "06:00"],
        ),
        (
            "grid_fee_windows: [{from: 06:10, eur_per_kwh: 0.03}]",
            "grid_fee_windows.0.from",
            ["'06:10'", ":15"],
        ),
        (
            "grid_fee_windows: [{eur_per_kwh: 5.62}]",
            "grid_fee_windows.0.eur_per_kwh",
            ["5.62", "ct/kWh", "0.0562"],
        ),
        (
            "grid_fee_windows: [{eur_per_kwh: -0.01}]",
            "grid_fee_windows.0.eur_per_kwh",
            ["-0.01", "at least 0"],
        ),
        ("grid_fee_eur_per_kwh: 7", "grid_fee_eur_per_kwh", ["7 EUR/kWh", "0.07"]),
        ("grid_fee_eur_per_kwh: null", "grid_fee_windows", ["null", "0 where there is none"]),
        ("spot_markup_eur_per_kwh: 12", "spot_markup_eur_per_kwh", ["12", "0.12"]),
        ("spot_markup_eur_per_kwh: '1'", "spot_markup_eur_per_kwh", ["'1'", "without quotes"]),
        ("vat_percent: -20", "vat_percent", ["-20", "at least 0"]),
        ("settlement_minutes: 30", "settlement_minutes", ["30", "15 or 60"]),
        (
            "demand_charge: {eur_per_kw: 8, period: week}",
            "demand_charge.period",
            ["'week'", "'month' or 'year'"],
        ),
        ("demand_charge: {period: month}", "demand_charge.eur_per_kw", ["missing"]),
        (
            "spot_markup_percent: 3, energy_price_eur_per_kwh: 0.2",
            "energy_price_eur_per_kwh",
            ["spot_markup_percent is 3", "Remove"],
        ),
        (
            "sell_fee_percent: 19, feed_in_eur_per_kwh: 0.0",
            "feed_in_eur_per_kwh",
            ["sell_fee_percent is 19", "Remove"],
        ),
        (
            "feed_in_windows: [{from: 08:00, to: 12:00, eur_per_kwh: 0.1}]",
            "feed_in_windows",
            ["00:00", "feed_in_eur_per_kwh"],
        ),
        (
            "export_allowed: false, feed_in_eur_per_kwh: 0.08",
            "export_allowed",
            ["feed_in_eur_per_kwh", "export_allowed: true"],
        ),
        ("versions: []", "versions", ["[]"]),
        (
            "vat_percent: 20, versions: [{}]",
            "vat_percent",
            ["20", "versions", "Move it"],
        ),
        (
            "versions: [{valid_from: 2026-07-01}, {valid_from: 2026-01-01}]",
            "versions.1.valid_from",
            ["2026-01-01 is not after", "2026-07-01", "Order"],
        ),
        (
            "versions: [{valid_from: 2026-07-01}, {valid_from: 2026-07-01}]",
            "versions.1.valid_from",
            ["not after"],
        ),
        ("versions: [{}, {}]", "versions.1.valid_from", ["first", "Add valid_from"]),
        (
            "versions: [{valid_from: 1.7.2026}]",
            "versions.0.valid_from",
            ["'1.7.2026'", "2026-01-01"],
        ),
        (
            "versions: [{valid_from: 2026-07-01T12:00:00}]",
            "versions.0.valid_from",
            ["12:00", "without a time"],
        ),
        ("versions: [{vat_percent: -1}]", "versions.0.vat_percent", ["-1"]),
        ("grid_fee_eur_kwh: 0.07", "grid_fee_eur_kwh", ["Unknown", "grid_fee_eur_per_kwh"]),
    ],
)
def test_each_mistake_has_one_clear_message(inner: str, field: str, fragments: list[str]) -> None:
    with pytest.raises(ConfigProblems) as caught:
        tariff("tariff: {" + inner + "}")
    (problem,) = caught.value.problems
    assert problem.field == f"tariff.{field}"
    for fragment in fragments:
        assert fragment in str(problem)


def test_every_mistake_of_a_file_is_named() -> None:
    with pytest.raises(ConfigProblems) as caught:
        tariff(
            """
tariff:
  versions:
    - {vat_percent: -1, levies_eur_per_kwh: 4}
    - {valid_from: 2026-01-01, demand_charge: {eur_per_kw: 8, windows: [{from: "99:99"}]}}
"""
        )
    assert {p.field for p in caught.value.problems} == {
        "tariff.versions.0.vat_percent",
        "tariff.versions.0.levies_eur_per_kwh",
        "tariff.versions.1.demand_charge.windows.0.from",
    }


def test_the_documentation_names_every_key_and_its_examples_load() -> None:
    page = PAGE.read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| .* \| (.+) \|$", page, re.MULTILINE))
    assert set(rows) == set(TariffConfig.model_fields)
    for key, field in TariffTermsConfig.model_fields.items():
        default = field.get_default(call_default_factory=True)
        shown = "none" if default in (None, []) else f"{default:g}"
        assert rows[key] == (str(default).lower() if isinstance(default, bool) else shown)
    examples = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    assert len(examples) == 5
    assert tariff(examples[0]) == TariffConfig()
    for example in examples[1:]:
        assert tariff(example) != TariffConfig()
