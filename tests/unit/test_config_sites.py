"""Several sites in one file: what an entry inherits, and what is said of mistakes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.config.desk import ConfigDesk
from engine.config.load import ConfigProblems
from engine.config.problem_place import place
from engine.config.schema import Config
from engine.config.sites import UnknownSiteError, load_installation, parse_installation
from engine.domain.errors import ConfigError

TWO = """\
# What holds for both.
bess: {energy_capacity_kwh: 300.0, soc_min_percent: 20.0}
prices: {demo_mode: true, region: DE}
branding: {product_name: Two Halls}

sites:
  # The northern hall.
  - site: {id: north, name: Halle Nord}
    bess:
      soc_min_percent: 15.0  # agreed in June
  - site: {id: south, name: Halle Süd}
    grid: {import_limit_kw: 90.0}
"""


def _desk(folder: Path, site: str, text: str = TWO) -> ConfigDesk:
    (folder / "ems.yaml").write_text(text, encoding="utf-8")
    return ConfigDesk(folder, now=lambda: datetime(2026, 11, 26, 5, tzinfo=UTC), site=site)


def _problems(text: str) -> list[tuple[str | None, str]]:
    with pytest.raises(ConfigProblems) as caught:
        parse_installation(text)
    return [(p.field, f"{p.message} {p.hint}") for p in caught.value.problems]


def test_an_entry_holds_over_what_is_stated_for_all() -> None:
    installation = parse_installation(TWO)
    north, south = installation.sites
    assert installation.ids == ("north", "south")
    assert (north.bess.energy_capacity_kwh, north.bess.soc_min_percent) == (300.0, 15.0)
    assert (south.bess.energy_capacity_kwh, south.bess.soc_min_percent) == (300.0, 20.0)
    assert south.grid.import_limit_kw == 90.0
    assert north.grid.import_limit_kw == 200.0
    assert {c.branding.product_name for c in installation.sites} == {"Two Halls"}


def test_lists_are_replaced_and_empty_sections_change_nothing() -> None:
    text = (
        "devices: [{name: m, profile: eastron_sdm630, host: a}]\n"
        "sites:\n"
        "- {site: {id: a}, devices: [{name: n, profile: eastron_sdm630, host: b}]}\n"
        "- site: {id: b}\n  devices: []\n  grid:\n"
    )
    first, second = parse_installation(text).sites
    assert [device.name for device in first.devices] == ["n"]
    assert second.devices == []
    assert second.grid == Config().grid


def test_a_file_without_sites_is_one_site(tmp_path: Path) -> None:
    assert parse_installation("").sites == (Config(),)
    assert parse_installation("sites:\n").sites == (Config(),)
    assert load_installation(tmp_path).sites == (Config(),)


def test_a_site_is_chosen_by_its_id_or_is_the_only_one() -> None:
    two = parse_installation(TWO)
    assert two.site("south").site.name == "Halle Süd"
    with pytest.raises(UnknownSiteError, match="Known: north, south"):
        two.site()
    with pytest.raises(UnknownSiteError, match="'east'"):
        two.site("east")
    assert parse_installation("").site().site.id == "site-1"


@pytest.mark.parametrize(
    ("text", "field", "words"),
    [
        ("sites: 3", "sites", "one entry for each site"),
        ("sites: []", "sites", "one entry for each site"),
        ("sites: [7]", "sites[0]", "keys of one site"),
        ("sites: [{site: {id: a}}, {site: {id: a}}]", "sites[1].site.id", "sites[0]"),
        ("sites: [{}, {}]", "sites[1].site.id", "'site-1'"),
        ("sites: [{access: {}}]", "sites[0].access", "top level"),
        ("sites: [{sites: []}]", "sites[0].sites", "top level"),
        (
            "sites: [{site: {id: a}}, {site: {id: b}, bess: {soc_mn_percent: 3}}]",
            "sites[1].bess.soc_mn_percent",
            "'soc_min_percent'",
        ),
        ("grid: {import_limit_kw: x}\nsites: [{}, {site: {id: b}}]", "grid.import_limit_kw", "'x'"),
        (
            "bess: {soc_min_percent: 50}\nsites: [{site: {id: a}}, {site: {id: b}, "
            "bess: {soc_max_percent: 40}}]",
            "sites[1].bess.soc_min_percent",
            "smaller",
        ),
        (
            "weather: {provider: open_meteo}\nsites: [{site: {id: a}}, {site: {id: b}}]",
            "weather.provider",
            "place",
        ),
        (
            "modbus: {enabled: true, write_enabled: true}\nsites: [{site: {id: a}}, "
            "{site: {id: b}}]",
            "sites[1].modbus",
            "localhost:502, unit 1, is a device of sites[0].modbus",
        ),
        (
            "sites: [{site: {id: a}, modbus: {enabled: true, connection_type: rtu, "
            "serial: {device: /dev/ttyUSB0}}}, {site: {id: b}, devices: [{name: m, "
            "profile: eastron_sdm630, connection: rtu, serial: {device: /dev/ttyUSB0}, "
            "unit_id: 9}]}]",
            "sites[1].devices.m",
            "serial line /dev/ttyUSB0",
        ),
    ],
)
def test_mistakes_name_the_entry_or_what_holds_for_all(text: str, field: str, words: str) -> None:
    problems = _problems(text)
    assert [f for f, _ in problems] == [field]
    assert words in problems[0][1]


def test_a_meter_may_be_read_by_two_sites() -> None:
    meter = "devices: [{name: m, profile: eastron_sdm630, host: a}]"
    assert len(parse_installation(f"{meter}\nsites: [{{}}, {{site: {{id: b}}}}]").sites) == 2


def test_too_many_sites_are_refused() -> None:
    entries = ", ".join(f"{{site: {{id: s{i}}}}}" for i in range(33))
    assert "33 sites" in _problems(f"sites: [{entries}]")[0][1]


def test_the_desk_shows_one_site_and_writes_its_entry_only(tmp_path: Path) -> None:
    desk = _desk(tmp_path, "south")
    file = desk.read()
    assert file.values["bess"] == {"energy_capacity_kwh": 300.0, "soc_min_percent": 20.0}
    assert file.values["site"] == {"id": "south", "name": "Halle Süd"}
    assert "sites" not in file.values
    assert file.problems == ()

    values = file.values | {"bess": {"energy_capacity_kwh": 500.0, "soc_min_percent": 20.0}}
    saved = desk.save(values, file.revision, "admin")
    text = (tmp_path / "ems.yaml").read_text(encoding="utf-8")
    assert [change.path for change in saved.changes] == ["bess.energy_capacity_kwh"]
    north, south = parse_installation(text).sites
    assert north == parse_installation(TWO).sites[0]
    assert south.bess.energy_capacity_kwh == 500.0
    for kept in ("# What holds for both.", "# agreed in June", "# The northern hall."):
        assert kept in text
    assert text.count("20.0") == 1, "what holds for all is not copied into the entry"

    undone = desk.restore(saved.backup, saved.file.revision, "admin")
    assert undone.file.values == file.values


def test_a_backup_gives_back_one_site_only(tmp_path: Path) -> None:
    north, south = (
        _desk(tmp_path, "north"),
        ConfigDesk(tmp_path, now=lambda: datetime(2026, 11, 26, 6, tzinfo=UTC), site="south"),
    )
    file = north.read()
    first = north.save(file.values | {"grid": {"import_limit_kw": 50.0}}, file.revision, "a")
    file = south.read()
    second = south.save(file.values | {"grid": {"import_limit_kw": 60.0}}, file.revision, "b")
    south.restore(first.backup, second.file.revision, "b")
    sites = load_installation(tmp_path).sites
    assert [config.grid.import_limit_kw for config in sites] == [50.0, 90.0]


def test_what_is_left_out_for_one_site_gets_the_default_there(tmp_path: Path) -> None:
    desk = _desk(tmp_path, "south")
    file = desk.read()
    values = {key: value for key, value in file.values.items() if key != "bess"}
    saved = desk.save(values, file.revision, "admin")
    assert saved.file.config is not None
    assert saved.file.config.bess == Config().bess
    assert load_installation(tmp_path).site("north").bess.energy_capacity_kwh == 300.0


def test_what_holds_for_the_installation_is_saved_at_the_top(tmp_path: Path) -> None:
    desk = _desk(tmp_path, "south")
    file = desk.read()
    desk.save(file.values | {"branding": {"product_name": "Werk"}}, file.revision, "admin")
    assert {c.branding.product_name for c in load_installation(tmp_path).sites} == {"Werk"}


def test_a_site_can_be_renamed_but_not_take_the_id_of_another(tmp_path: Path) -> None:
    desk = _desk(tmp_path, "south")
    file = desk.read()
    taken = file.values | {"site": {"id": "north"}}
    draft = desk.check(taken)
    assert [place(taken, problem) for problem in draft.problems] == ["site.id"]
    with pytest.raises(ConfigProblems):
        desk.save(taken, file.revision, "admin")

    desk.save(file.values | {"site": {"id": "west", "name": "West"}}, file.revision, "admin")
    assert load_installation(tmp_path).ids == ("north", "west")
    assert desk.read().values["site"]["name"] == "West"


def test_a_site_that_is_gone_from_the_file_is_said(tmp_path: Path) -> None:
    desk = _desk(tmp_path, "south")
    (tmp_path / "ems.yaml").write_text("sites: [{site: {id: north}}]", encoding="utf-8")
    with pytest.raises(ConfigError, match="'south' is not in the file any more"):
        desk.read()


def test_what_has_no_default_cannot_be_taken_from_one_site(tmp_path: Path) -> None:
    shared = "modbus: {registers: {soc_percent: {address: 4}}}\n"
    desk = _desk(tmp_path, "a", f"{shared}sites: [{{site: {{id: a}}}}]\n")
    values = desk.read().values | {"modbus": {"registers": {}}}
    draft = desk.check(values)
    assert [problem.field for problem in draft.problems] == ["modbus.registers.soc_percent"]
    assert "all sites" in draft.problems[0].message
