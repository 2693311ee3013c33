"""Changing ``ems.yaml`` from a page: nothing is lost, nothing wrong is saved, all can be undone."""

from __future__ import annotations

import copy
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.config.changes import Change, changes
from engine.config.default import DEFAULT_EMS_YAML
from engine.config.desk import ConfigDesk
from engine.config.file_states import ConfigChangedError, UnknownBackupError
from engine.config.load import ConfigProblems, FieldProblem, load_config, parse_config
from engine.config.masking import HIDDEN, masked, unmasked
from engine.config.problem_place import place
from engine.config.schema import Config
from engine.config.secret_files import store_secret
from engine.domain.errors import ConfigError

START = datetime(2026, 11, 25, 21, 30, 5, tzinfo=UTC)


class Office:
    """A desk over a file with its remarks, and who was told of what."""

    def __init__(self, folder: Path, text: str = DEFAULT_EMS_YAML) -> None:
        self.path = folder / "ems.yaml"
        self.path.write_text(text, encoding="utf-8")
        self.now = START
        self.told: list[tuple[str, list[str]]] = []
        self.refusal: ConfigError | None = None
        self.desk = ConfigDesk(folder, now=lambda: self.now, check=self.check, tell=self.tell)

    def check(self, _config: Config) -> None:
        if self.refusal is not None:
            raise self.refusal

    def tell(self, who: str, made: tuple[Change, ...]) -> None:
        self.told.append((who, [change.path for change in made]))

    def values(self, **sections: Any) -> dict[str, Any]:
        values = copy.deepcopy(self.desk.read().values)
        for name, section in sections.items():
            values[name] = {**values.get(name, {}), **section}
        return values


@pytest.fixture
def office(tmp_path: Path) -> Office:
    return Office(tmp_path)


def test_saving_changes_one_value_and_no_remark(office: Office) -> None:
    before = office.path.read_text()
    values = office.values(bess={"soc_min_percent": 15.0})
    saved = office.desk.save(values, office.desk.read().revision, "page")
    assert office.path.read_text() == before.replace(
        "soc_min_percent: 10.0", "soc_min_percent: 15.0"
    )
    assert saved.changes == (Change("bess.soc_min_percent", 10.0, 15.0),)
    backup = office.path.parent / "backups" / saved.backup
    assert saved.backup == "ems-20261125T213005Z.yaml"
    assert backup.read_text() == before
    assert office.told == [("page", ["bess.soc_min_percent"])]
    assert load_config(office.path.parent).bess.soc_min_percent == 15.0


def test_numbers_that_went_through_a_browser_change_nothing(office: Office) -> None:
    # JavaScript knows no difference between 90.0 and 90.
    values = {
        section: {
            key: int(item) if isinstance(item, float) and item.is_integer() else item
            for key, item in content.items()
        }
        if isinstance(content, dict)
        else content
        for section, content in office.values(grid={"import_limit_kw": 150}).items()
    }
    before = office.path.read_text()
    office.desk.save(values, office.desk.read().revision, "page")
    assert office.path.read_text() == before.replace(
        "import_limit_kw: 200.0", "import_limit_kw: 150"
    )


def test_a_mistake_is_named_at_its_place_and_nothing_is_written(office: Office) -> None:
    before = office.path.read_text()
    values = office.values(bess={"soc_min_percent": 95.0})
    draft = office.desk.check(values)
    assert draft.changes == ()
    assert [place(values, p) for p in draft.problems] == ["bess.soc_min_percent"]
    assert "smaller than" in draft.problems[0].message
    with pytest.raises(ConfigProblems):
        office.desk.save(values, office.desk.read().revision, "page")
    assert office.path.read_text() == before
    assert not (office.path.parent / "backups").exists()


def test_a_file_that_changed_meanwhile_is_not_overwritten(office: Office) -> None:
    revision = office.desk.read().revision
    values = office.values(grid={"import_limit_kw": 50.0})
    office.path.write_text(office.path.read_text() + "# by hand\n")
    with pytest.raises(ConfigChangedError):
        office.desk.save(values, revision, "page")
    assert office.path.read_text().endswith("# by hand\n")


def test_what_could_not_run_is_not_saved(office: Office) -> None:
    office.refusal = ConfigError("No such profile.", field="modbus.profile", hint="Choose another.")
    draft = office.desk.check(office.values())
    assert [p.field for p in draft.problems] == ["modbus.profile"]


def test_backups_say_what_was_changed_and_can_be_put_back(office: Office) -> None:
    first = office.path.read_text()
    for kw in (50.0, 60.0):
        values = office.values(grid={"import_limit_kw": kw})
        office.desk.save(values, office.desk.read().revision, "page")
        office.now += timedelta(minutes=1)
    newest, oldest = office.desk.backups()
    assert newest.changes == (Change("grid.import_limit_kw", 50.0, 60.0),)
    assert oldest.changes == (Change("grid.import_limit_kw", 200.0, 50.0),)
    restored = office.desk.restore(oldest.name, office.desk.read().revision, "page")
    assert office.path.read_text() == first
    assert restored.changes == (Change("grid.import_limit_kw", 60.0, 200.0),)
    # That was a change too, so it can be undone.
    office.desk.restore(restored.backup, office.desk.read().revision, "page")
    assert load_config(office.path.parent).grid.import_limit_kw == 60.0


@pytest.mark.parametrize("name", ["ems-20200101T000000Z.yaml", "../ems.yaml", "ems.yaml", ""])
def test_only_backups_can_be_put_back(office: Office, name: str) -> None:
    with pytest.raises(UnknownBackupError):
        office.desk.restore(name, office.desk.read().revision, "page")


def test_two_changes_in_one_second_keep_two_backups(office: Office) -> None:
    for kw in (50.0, 60.0):
        values = office.values(grid={"import_limit_kw": kw})
        office.desk.save(values, office.desk.read().revision, "page")
    assert [b.changes[0].new for b in office.desk.backups()] == [60.0, 50.0]


def test_permissions_of_the_file_stay_and_the_backup_has_them_too(office: Office) -> None:
    os.chmod(office.path, 0o600)
    saved = office.desk.save(
        office.values(grid={"import_limit_kw": 1.0}), office.desk.read().revision, "page"
    )
    assert office.path.stat().st_mode & 0o777 == 0o600
    assert (office.path.parent / "backups" / saved.backup).stat().st_mode & 0o777 == 0o600


def test_a_file_broken_by_hand_is_told_with_its_mistakes(office: Office) -> None:
    office.path.write_text("bess: {soc_min_percent: much}\n")
    file = office.desk.read()
    assert file.config is None
    assert file.problems[0].kind == "number"
    office.path.write_text("bess: {\n")
    with pytest.raises(ConfigProblems, match="Not valid YAML"):
        office.desk.read()


def test_items_are_compared_by_name_and_a_new_one_is_one_change() -> None:
    old = parse_config("devices: [{name: a, profile: p, host: h}, {name: b, profile: p, host: h}]")
    new = parse_config("devices: [{name: b, profile: p, host: h, port: 5020}]")
    found = changes(old, new)
    assert [c.path for c in found] == ["devices.a", "devices.b.port"]
    assert found[0].new is None
    assert found[1] == Change("devices.b.port", None, 5020)


def test_a_register_is_compared_by_what_is_stated() -> None:
    old = parse_config("modbus: {registers: {soc_percent: {address: 4}}}")
    new = parse_config("modbus: {registers: {soc_percent: {address: 4, scale: 0.1}, x: null}}")
    assert changes(old, new) == (
        Change("modbus.registers.soc_percent.scale", None, 0.1),
        Change("modbus.registers.x", None, "not read"),
    )


SECRET = "https://hooks.example/canary-secret"
CHANNEL = {"type": "webhook", "name": "ops", "url": SECRET}


def test_the_address_of_a_webhook_never_leaves_and_comes_back_unseen() -> None:
    values = {"notifications": {"channels": [CHANNEL, {"name": "b", "password": "canary-secret"}]}}
    seen = masked(values)
    assert "canary" not in str(seen)
    seen["notifications"]["channels"].reverse()
    back = unmasked(seen, values)
    assert back["notifications"]["channels"][1]["url"] == SECRET
    other = unmasked({"notifications": {"channels": [{"name": "new", "url": HIDDEN}]}}, {})
    assert "url" not in other["notifications"]["channels"][0]
    assert masked({"mqtt": {"password_env": "EMS_PW"}}) == {"mqtt": {"password_env": "EMS_PW"}}


def test_no_change_and_no_message_shows_a_secret(tmp_path: Path) -> None:
    old = parse_config(
        f"notifications: {{channels: [{{type: webhook, name: ops, url: '{SECRET}'}}]}}"
    )
    found = (*changes(old, Config()), *changes(Config(), old))
    assert "canary" not in str(found)
    office = Office(tmp_path, "mqtt: {password: canary-secret}\n")
    (problem,) = office.desk.read().problems
    assert "canary" not in f"{problem} {problem.params} {problem.value}"


def test_a_rule_that_names_an_item_is_placed_at_its_number() -> None:
    values = {"devices": [{"name": "a"}, {"name": "meter"}]}
    problem = FieldProblem("", field="devices.meter.serial", loc="devices.1")
    assert place(values, problem) == "devices.1.serial"
    quiet = "notifications.channels.quiet_hours.start"
    loc = "notifications.channels.0.quiet_hours.start"
    channels = {"notifications": {"channels": [{"name": "ops"}]}}
    assert place(channels, FieldProblem("", field=quiet, loc=loc)) == loc


def test_a_typed_secret_lies_in_a_file_nobody_else_can_read(tmp_path: Path) -> None:
    from engine.devices.mqtt.credentials import read_password

    path = store_secret(tmp_path, "mqtt-password", "canary", START)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    config = parse_config(f"mqtt: {{username: ems, password_file: '{path}'}}")
    assert read_password(config.mqtt, {}) == "canary"
    assert store_secret(tmp_path, "mqtt-password", "new", START + timedelta(seconds=1)) != path


@pytest.mark.parametrize(("name", "secret"), [("../x", "a"), ("x", ""), ("x", "a\nb")])
def test_a_secret_that_is_none_is_refused_unseen(tmp_path: Path, name: str, secret: str) -> None:
    with pytest.raises(ConfigError):
        store_secret(tmp_path, name, secret, START)
    assert not (tmp_path / "secrets").exists()
