"""The settings page as the server answers it: who may change, what is told, what is hidden."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dash
import pytest
from test_ui_app import StandingServices, open_page, post

from ems_dash.app import create_app
from ems_dash.auth.access import OpenAccess
from ems_dash.auth.roles import Role
from ems_dash.ui import settings_force
from engine.config.branding import BrandingConfig
from engine.config.changes import Change
from engine.config.load import load_config
from engine.config.schema import Config
from engine.domain.errors import ConfigError
from engine.runtime.reload import ConfigReload
from engine.runtime.settings_service import SettingsService
from tests.support.access import OPEN


@pytest.fixture(autouse=True)
def clear_page_registry() -> Iterator[None]:
    dash.page_registry.clear()
    yield
    dash.page_registry.clear()


TEXT = """\
notifications:
  channels:
    - {type: webhook, name: ops, url: "https://hooks.example/canary"}
"""


class Plant(StandingServices):
    """A plant with a file behind it."""

    def __init__(self, folder: Path, text: str = TEXT) -> None:
        super().__init__()
        (folder / "ems.yaml").write_text(text)
        self.events: list[tuple[str, str, str]] = []
        self.refusal: ConfigError | None = None
        self.settings = SettingsService(
            folder,
            load_config(folder),
            SimpleNamespace(),  # type: ignore[arg-type]
            self.check,
            tell=lambda *event: self.events.append(event),
        )
        self.notifications = SimpleNamespace(status=lambda: ())

    def check(self, _config: Config) -> None:
        if self.refusal is not None:
            raise self.refusal


def open_section(client: Any, section: str) -> str:
    client.get("/_dash-layout")
    answer = post(
        client,
        ["_pages_content.children", "_pages_store.data"],
        {"_pages_location.pathname": "/settings", "_pages_location.search": f"?section={section}"},
        {},
    )
    assert answer.status_code == 200
    return str(answer.get_data(as_text=True))


def test_an_operator_reads_and_has_nothing_to_press(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    here = open_section(create_app(plant, access=OPEN).server.test_client(), "site")
    operator = create_app(plant, access=OpenAccess(Role.OPERATOR))
    elsewhere = open_section(operator.server.test_client(), "site")
    controls = ('"type":"set-field"', '"set-save"', '"type":"set-act"')
    for control in controls[:2]:
        assert control in here
    assert "Nur Lesezugriff" in elsewhere
    assert "Standort Wien" in elsewhere
    for control in controls:
        assert control not in elsewhere


@pytest.mark.parametrize("section", ["notifications", "backups", "site"])
def test_no_page_holds_a_secret_of_the_file(tmp_path: Path, section: str) -> None:
    client = create_app(Plant(tmp_path), access=OPEN).server.test_client()
    assert "canary" not in open_section(client, section)


def test_a_change_is_an_event_that_names_keys_and_never_values(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    desk = plant.settings.desk
    values = desk.read().values
    values["notifications"]["channels"][0]["url"] = "https://hooks.example/other-canary"
    values["grid"] = {"import_limit_kw": 50.0}
    desk.save(values, desk.read().revision, "page")
    assert plant.events == [
        (
            "info",
            "config_changed",
            "page changed ems.yaml: grid.import_limit_kw, notifications.channels.ops.url.",
        )
    ]
    path = plant.settings.store_secret("mqtt-password", "canary")
    assert Path(path).read_text() == "canary"
    assert "canary" not in str(plant.events)


class Adopting:
    """A site that runs, and takes over what it is told to."""

    def __init__(self) -> None:
        self.adopted: list[Config] = []

    def adopt(self, config: Config) -> None:
        self.adopted.append(config)

    def record(self, severity: str, code: str, message: str) -> None:
        pass


def press_apply(client: Any, lang: str = "en") -> str:
    """Press the button that applies, and return what the page then shows."""
    callbacks = client.get("/_dash-dependencies").get_json()
    output = next(
        entry["output"] for entry in callbacks if {"id": "set-apply", "property": "n_clicks"}
        in entry["inputs"]
    )  # fmt: skip
    outputs = output.strip(".").split("...")
    answer = post(client, outputs, {"set-apply.n_clicks": 1}, {"lang.data": lang})
    assert answer.status_code == 200, answer.get_data(as_text=True)
    return str(answer.get_data(as_text=True))


def test_what_needs_no_restart_is_applied_by_a_button_and_the_rest_is_said(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    site = Adopting()
    plant.settings.reloading = ConfigReload(tmp_path, [(site, plant.settings)])
    client = create_app(plant, access=OPEN).server.test_client()
    assert "set-apply" not in open_section(client, "site"), "there is nothing to apply"
    file = plant.settings.desk.read()
    values = {**file.values, "control": {"deadband_kw": 2.5}, "grid": {"export_limit_kw": 9.0}}
    plant.settings.desk.save(values, file.revision, "page")
    page = open_section(client, "site")
    assert "set-apply" in page
    assert "Jetzt anwenden" in page
    operator = create_app(plant, access=OpenAccess(Role.OPERATOR)).server.test_client()
    assert "set-apply" not in open_section(operator, "site")

    said = press_apply(client)
    assert "Taken over at" in said
    assert "Waits for the next start: " in said
    (config,) = site.adopted
    assert config.control.deadband_kw == 2.5
    assert config.grid.export_limit_kw != 9.0
    page = open_section(client, "site")
    assert "set-apply" not in page
    assert "nicht in Kraft" in page, "the rest still waits"

    (tmp_path / "ems.yaml").write_text("control: {deadband_kw: much}\n")
    assert "Nothing was taken over" in press_apply(client)
    assert len(site.adopted) == 1


def test_after_saving_it_is_said_what_can_be_applied_and_what_waits() -> None:
    found = [Change("control.deadband_kw", 1.0, 2.0), Change("grid.export_limit_kw", 200.0, 9.0)]
    said = settings_force.when(found, "en")
    now, later = said.split(" Waits for the next start: ")
    assert now.startswith("Can be applied now: ")
    assert "ead band" in now
    assert "xport" in later
    assert settings_force.when(found[:1], "de").startswith("Jetzt anwendbar: ")
    assert "Start" not in settings_force.when(found[:1], "de")


def test_what_the_program_could_not_run_with_is_refused(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    values = {"mqtt": {"enabled": True, "inputs": [{"topic": "a", "signal": "grid_kwh"}]}}
    enabled = {"enabled": True, "profile": "hithium_ess_5016"}
    draft = plant.settings.desk.check({**values, "modbus": enabled})
    assert draft.config is None
    assert "grid_kwh" in str(draft.problems[0])


def test_a_broken_file_is_said_instead_of_a_form(tmp_path: Path) -> None:
    plant = Plant(tmp_path)
    (tmp_path / "ems.yaml").write_text("bess: {")
    page = open_section(create_app(plant, access=OPEN).server.test_client(), "site")
    assert "Not valid YAML at line 1" in page
    assert "sst sich nicht anzeigen" in page


def test_name_and_marks_of_the_installation_are_in_the_frame() -> None:
    branding = BrandingConfig(product_name="Netzwerk", logo_text="NW", copyright="© Beispiel AG")
    client = create_app(StandingServices(), branding, access=OPEN).server.test_client()
    layout = client.get("/_dash-layout").get_data(as_text=True)
    assert "Netzwerk" in layout
    assert '"NW"' in layout
    assert "© Beispiel AG" in layout or "\\u00a9 Beispiel AG" in layout
    assert "EMS Dash 0" in open_page(client) + layout
