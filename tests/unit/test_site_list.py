"""The sites of a file as a list: named, added, removed, and all of it taken back."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from ems_dash.ui import settings_sites
from ems_dash.ui.settings_state import judge, merged, stored
from ems_dash.ui.settings_words import change_name
from engine.config.changes import Change
from engine.config.default import DEFAULT_EMS_YAML
from engine.config.desk import ConfigDesk
from engine.config.file_states import ConfigChangedError
from engine.config.load import read_yaml
from engine.config.schema import Config
from engine.config.site_list import SiteRow, row_changes, row_place, site_rows, with_rows
from engine.config.sites import UnknownSiteError, load_installation
from engine.domain.errors import ConfigError

TWO = """\
# What holds for both.
bess: {energy_capacity_kwh: 300.0}

sites:
  # The northern hall.
  - site: {id: north, name: Halle Nord}  # since May
  - site: {id: south, name: Halle Süd}
    grid: {import_limit_kw: 90.0}
"""

PLANT = """\
site: {id: north, name: Halle Nord, latitude: 48.2, longitude: 16.4}
demo_plant: {enabled: false}
weather: {provider: open_meteo}
pv: {planes: [{peak_kw: 100.0, tilt_deg: 30.0, azimuth_deg: 180.0}]}
forecasts: {pv: weather_pv}
modbus: {enabled: true, host: 192.0.2.7, write_enabled: true}
devices: [{name: m, profile: eastron_sdm630, host: 192.0.2.8}]
mqtt: {enabled: true, inputs: [{topic: meter/1, signal: grid_kw}]}
"""


def _desk(folder: Path, text: str, site: str) -> ConfigDesk:
    (folder / "ems.yaml").write_text(text, encoding="utf-8")
    return ConfigDesk(folder, now=lambda: datetime(2026, 11, 26, 9, tzinfo=UTC), site=site)


def _text(folder: Path) -> str:
    return (folder / "ems.yaml").read_text(encoding="utf-8")


def test_a_file_without_entries_is_a_list_of_one() -> None:
    assert site_rows(read_yaml(PLANT)) == (SiteRow(0, "north", "Halle Nord"),)
    assert site_rows({}) == (SiteRow(0, "site-1", "Standort Wien"),)


def test_adding_the_first_further_site_leaves_the_file_and_its_remarks(tmp_path: Path) -> None:
    desk = _desk(tmp_path, DEFAULT_EMS_YAML, "site-1")
    file = desk.read()
    sites = (*file.sites, SiteRow(None, "west", "Halle West"))
    assert desk.check(file.values, sites).changes == (Change("sites.west", None, "Halle West"),)
    saved = desk.save(file.values, file.revision, "admin", sites)
    installation = load_installation(tmp_path)
    assert installation.ids == ("site-1", "west")
    assert installation.site("west").site.name == "Halle West"
    assert _text(tmp_path).startswith(DEFAULT_EMS_YAML.rstrip("\n"))
    assert [row.id for row in saved.file.sites] == ["site-1", "west"]
    desk.undo(saved.backup, saved.file.revision, "admin")
    assert _text(tmp_path) == DEFAULT_EMS_YAML


def test_a_new_site_gets_no_device_and_no_measurement_of_another(tmp_path: Path) -> None:
    desk = _desk(tmp_path, PLANT, "north")
    file = desk.read()
    assert file.config is not None
    desk.save(file.values, file.revision, "a", (*file.sites, SiteRow(None, "west", "West")))
    north, west = load_installation(tmp_path).sites
    assert north == file.config
    assert west.demo
    assert west.devices == []
    assert west.mqtt.inputs == []


def test_an_entry_is_removed_and_named_where_it_stands(tmp_path: Path) -> None:
    desk = _desk(tmp_path, TWO, "south")
    file = desk.read()
    assert file.own == 1
    renamed = (SiteRow(0, "north", "Werk Nord"), SiteRow(1, "south", None))
    saved = desk.save(file.values, file.revision, "a", renamed)
    assert saved.changes == (Change("sites.north.name", "Halle Nord", "Werk Nord"),)
    assert _text(tmp_path) == TWO.replace("Halle Nord", "Werk Nord")
    gone = desk.save(file.values, saved.file.revision, "a", (SiteRow(1, "south", None),))
    assert gone.changes == (Change("sites.north", "Werk Nord", None),)
    assert load_installation(tmp_path).ids == ("south",)
    assert [backup.changes for backup in desk.backups()] == [gone.changes, saved.changes]
    desk.undo(gone.backup, gone.file.revision, "a")
    assert _text(tmp_path) == TWO.replace("Halle Nord", "Werk Nord")


def test_values_of_the_site_and_the_list_are_one_change(tmp_path: Path) -> None:
    desk = _desk(tmp_path, TWO, "south")
    file = desk.read()
    values = file.values | {"site": {"id": "south", "name": "Süd"}}
    made = desk.save(values, file.revision, "a", (file.sites[1],)).changes
    assert made == (
        Change("site.name", "Halle Süd", "Süd"),
        Change("sites.north", "Halle Nord", None),
    )
    assert [config.site.name for config in load_installation(tmp_path).sites] == ["Süd"]


def test_what_is_wrong_is_said_at_its_row(tmp_path: Path) -> None:
    desk = _desk(tmp_path, TWO, "north")
    file = desk.read()
    # The entry before the new one is removed: the number in the file is not that of the row.
    for new, place in (
        (SiteRow(None, "north", "x"), "sites.1.id"),
        (SiteRow(None, "Big", "x"), "sites.1.id"),
        (SiteRow(None, "west", ""), "sites.1.name"),
    ):
        draft = desk.check(file.values, (file.sites[0], new))
        assert [problem.field for problem in draft.problems] == [place]
    draft = desk.check(file.values, (file.sites[1],))
    assert "cannot be removed here" in draft.problems[0].message
    wrong = file.values | {"bess": {"energy_capacity_kwh": -1.0}}
    draft = desk.check(wrong, file.sites)
    assert [problem.field for problem in draft.problems] == ["bess.energy_capacity_kwh"]


def test_a_new_site_that_could_not_run_is_refused(tmp_path: Path) -> None:
    def check(config: Config) -> None:
        if config.site.id == "west":
            raise ConfigError("Nothing to read.", field="demo_plant.enabled")

    (tmp_path / "ems.yaml").write_text(TWO, encoding="utf-8")
    now = datetime(2026, 11, 26, 9, tzinfo=UTC)
    desk = ConfigDesk(tmp_path, now=lambda: now, check=check, site="north")
    file = desk.read()
    draft = desk.check(file.values, (*file.sites, SiteRow(None, "west", "West")))
    assert [(p.field, p.message) for p in draft.problems] == [("sites.2", "Nothing to read.")]


def test_a_list_made_from_another_file_is_refused() -> None:
    data = read_yaml(TWO)
    with pytest.raises(UnknownSiteError, match="'west' is not in the file any more"):
        with_rows(data, (SiteRow(0, "west", None),))
    with pytest.raises(ConfigError, match="at least one site"):
        with_rows(data, ())


def test_only_the_newest_change_is_undone(tmp_path: Path) -> None:
    desk = _desk(tmp_path, TWO, "north")
    file = desk.read()
    first = desk.save(file.values, file.revision, "a", (file.sites[0],))
    grid = first.file.values | {"grid": {"import_limit_kw": 50.0}}
    second = desk.save(grid, first.file.revision, "a")
    with pytest.raises(ConfigChangedError, match="changed again"):
        desk.undo(first.backup, second.file.revision, "a")
    with pytest.raises(ConfigChangedError):
        desk.undo(second.backup, first.file.revision, "a")


def test_changes_do_not_repeat_what_a_site_tells_itself() -> None:
    before = (SiteRow(0, "a", "A"), SiteRow(1, "b", "B"))
    after = (SiteRow(0, "x", "X"), SiteRow(1, "b", "B"))
    assert row_changes(before, after, ("a", "x")) == ()
    assert row_place(after, "sites.1.bess.soc_min_percent") is None
    assert row_place(after, "bess.soc_min_percent") is None


def test_the_draft_of_the_page_carries_the_list(tmp_path: Path) -> None:
    desk = _desk(tmp_path, TWO, "south")
    draft = stored(desk.read())["values"]
    settings_sites.add(draft, "de")
    assert draft["sites"][2] == {"index": None, "id": "site-3", "name": "Standort 3"}
    entered = [("sites.2.id", " north "), ("sites.0.name", "Werk Nord"), ("site.name", "Süd")]
    values, reshaped = merged(draft, entered, "de")
    assert not reshaped
    judged = judge(desk, values, "de")
    assert judged.errors == {"sites.2.id": "Die Kennung „north“ hat schon ein anderer Standort."}
    assert judged.named[0][0] == "Kennung"
    values["sites"][2]["id"] = "west"
    made = judge(desk, values, "de").draft.changes
    assert [change_name(change, "de") for change in made] == [
        "Name",
        "Name · north",
        "Standort · west",
    ]
    assert "sites" not in judge(desk, values, "de").values


def test_what_does_not_run_yet_is_told(tmp_path: Path) -> None:
    file = _desk(tmp_path, TWO, "south").read()
    running = {"south": "another name of this site", "east": "Halle Ost"}
    assert settings_sites.pending(running, file) == (
        Change("sites.east", "Halle Ost", None),
        Change("sites.north", None, "Halle Nord"),
    )
    assert settings_sites.pending({}, file) == ()
