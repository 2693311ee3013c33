"""Commands find the site they are about, and its data."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from ems_dash.cli.main import main
from ems_dash.cli.site_choice import chosen_data, chosen_site
from ems_dash.doctor import Doctor
from engine.config.sites import UnknownSiteError

TWO = "sites: [{site: {id: north}}, {site: {id: south, timezone: Europe/Lisbon}}]\n"


@pytest.fixture
def two(tmp_path: Path) -> Path:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "ems.yaml").write_text(TWO, encoding="utf-8")
    (tmp_path / "data" / "sites" / "south").mkdir(parents=True)
    return tmp_path


def _asked(folder: Path, site: str | None) -> argparse.Namespace:
    return argparse.Namespace(config=folder / "config", data=folder / "data", site=site)


def test_the_site_is_named_where_there_are_several(two: Path) -> None:
    found = chosen_site(_asked(two, "south"))
    assert (found.config.site.id, found.data) == ("south", two / "data" / "sites" / "south")
    assert chosen_data(_asked(two, "north")) == two / "data"
    for choose in (chosen_site, chosen_data):
        with pytest.raises(UnknownSiteError, match="Known: north, south"):
            choose(_asked(two, None))


def test_one_site_needs_no_name_and_a_backup_no_configuration(tmp_path: Path) -> None:
    assert chosen_site(_asked(tmp_path, None)).data == tmp_path / "data"
    (tmp_path / "config" / "ems.yaml").write_text("bess: 3", encoding="utf-8")
    assert chosen_data(_asked(tmp_path, None)) == tmp_path / "data"


def test_a_command_without_the_site_says_which_there_are(
    two: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    places = ["--config", str(two / "config"), "--data", str(two / "data")]
    assert main(["export", "--out", str(two / "a.csv"), *places]) != 0
    assert "north, south" in capsys.readouterr().err


def test_the_doctor_looks_at_every_site(two: Path) -> None:
    found = Doctor(two / "config", two / "data", 0, offline=True).look()
    by_name = {name: [f.detail for f in found if f.name == name] for name in ("config", "database")}
    assert "describes 2 sites with the demo plant" in by_name["config"][0]
    assert by_name["database"] == [
        "north: There is no history yet.",
        "south: There is no history yet.",
    ]
    assert any("(Europe/Lisbon)" in f.detail for f in found if f.name == "time zone")
