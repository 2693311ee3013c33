"""Checking a profile file: valid ones are described, broken ones list every mistake."""

import json
from pathlib import Path

import pytest

from ems_dash.cli.main import main
from engine.devices.profile import MODBUS_PROFILES
from engine.devices.profile_check import check_profile_file, check_profile_text
from engine.domain.errors import DeviceError

HEAD = "key: p\nlabel: P\nmanufacturer: M\nkinds: [meter]\nsource: test\n"
FOLDER = Path(__file__).parents[2] / "engine" / "devices" / "profiles"


@pytest.mark.parametrize("key", sorted(MODBUS_PROFILES))
def test_every_shipped_file_passes(key: str) -> None:
    result = check_profile_file(FOLDER / f"{key}.yaml")
    assert result.mistakes == ()
    assert result.profile is not None
    assert result.profile.key == key


def test_every_mistake_of_a_file_is_told_once() -> None:
    result = check_profile_text(
        HEAD
        + """
registers:
  grid_kw: {address: 1, function: 3, unit: W}
  pv_kw: {address: 9, function: 3, positive_means: generation}
  other_kw: {address: 9, function: 3}
  state: {address: 20, function: 3, bit: 16}
derived:
  battery_kw: {sum: [grid_kw, nothing_kw]}
alarms:
  fire: {address: 1, function: 2, severity: fault}
""",
        "p",
    )
    assert result.profile is None
    fields = sorted(mistake.split(":")[0] for mistake in result.mistakes)
    assert fields == [
        "alarms.fire",
        "derived.battery_kw",
        "registers.grid_kw.positive_means",
        "registers.grid_kw.unit",
        "registers.pv_kw.address",
        "registers.state.bit",
    ]
    assert any("nothing_kw" in mistake for mistake in result.mistakes)


def test_every_field_the_schema_does_not_know_is_told() -> None:
    result = check_profile_text(HEAD + "registers: {grid_kw: {adress: 1, function: 9}}\n", "p")
    assert [mistake.split(":")[0] for mistake in result.mistakes] == [
        "registers.grid_kw.address",
        "registers.grid_kw.function",
        "registers.grid_kw.adress",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("key: [", "not valid YAML in line"),
        ("words", "not a table"),
        (HEAD + "registers: {x: {address: 1, function: 3}}", "no signal"),
        (HEAD.replace("key: p", "key: q") + "registers: {}", "rename"),
    ],
)
def test_files_that_are_no_profile_say_why(text: str, problem: str) -> None:
    result = check_profile_text(text, "p")
    assert any(problem in mistake for mistake in result.mistakes)


def test_a_file_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match="cannot be read"):
        check_profile_file(tmp_path / "none.yaml")


def test_the_command_succeeds_only_for_a_valid_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = tmp_path / "p.yaml"
    bad.write_text(HEAD + "registers: {grid_kw: {address: 1, function: 3}}", encoding="utf-8")
    assert main(["profile", "check", str(bad)]) == 1
    told = capsys.readouterr().out
    assert "registers.grid_kw.positive_means" in told
    assert "import" in told
    assert main(["profile", "check", str(FOLDER / "sma_storage.yaml")]) == 0
    assert "verified on hardware: no" in capsys.readouterr().out
    assert main(["profile", "check", str(tmp_path / "none.yaml")]) == 2


def test_the_list_names_every_profile_with_its_facts(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "list", "--json"]) == 0
    rows = {row["key"]: row for row in json.loads(capsys.readouterr().out)}
    assert set(rows) == set(MODBUS_PROFILES)
    assert not rows["hithium_ess_5016"]["commandable"]
    assert not rows["hithium_ess_5016"]["address_base_stated"]
    assert not any(row["verified_on_hardware"] for row in rows.values())
