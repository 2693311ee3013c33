"""The settings as an admin uses them: a real browser, a real file, a real simulated device."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes_ui import FakeServices
from selenium.common.exceptions import StaleElementReferenceException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

from ems_dash.app import create_app
from engine.config.default import DEFAULT_EMS_YAML
from engine.config.desk import ConfigDesk
from engine.config.devices import DeviceConfig
from engine.config.load import load_config
from engine.config.mqtt import MqttConfig
from engine.config.schema import Config
from engine.config.secret_files import store_secret
from engine.config.sites import load_installation
from engine.devices.connection_test import ConnectionReport, run_connection_test
from engine.devices.mqtt.broker_check import BrokerCheck, CheckStep
from engine.devices.profile import MODBUS_PROFILES
from engine.devices.simulator.profile_server import ProfileServer
from engine.devices.spec import DeviceSpec
from engine.domain.clock import SystemClock
from engine.notify.notifier import NotifyTest
from engine.notify.outbox import ChannelStatus
from engine.runtime.site_setup import spec_of
from tests.support.access import OPEN

pytestmark = pytest.mark.browser

DEADLINE_S = 120


class TestBench:
    """Devices of a site that has none; what is tested is tested for real."""

    __test__ = False

    def devices(self) -> tuple[DeviceSpec, ...]:
        return ()

    def new_device(self, config: DeviceConfig) -> DeviceSpec:
        return spec_of(config, may_write=False)

    def test(self, spec: DeviceSpec, address: str | None) -> ConnectionReport:
        return run_connection_test(spec, None, SystemClock(), address=address, observe_s=0.02)


class Settings:
    """The settings of a site over a real file."""

    def __init__(self, folder: Path) -> None:
        self.desk = ConfigDesk(folder, now=SystemClock().now)
        self.running: Config = load_config(folder)
        self.folder = folder
        self.devices = TestBench()
        self.brokers: list[MqttConfig] = []

    def store_secret(self, name: str, secret: str) -> str:
        return str(store_secret(self.folder, name, secret, SystemClock().now()))

    def test_broker(self, config: MqttConfig, site_id: str) -> BrokerCheck:
        self.brokers.append(config)
        return BrokerCheck(False, (CheckStep("connect", False, "connection refused"),))


class Channels:
    """One channel that takes every message."""

    def status(self) -> tuple[ChannelStatus, ...]:
        return (ChannelStatus("operators", "email", "anna@site.example", True, "unused"),)

    def test(self, channel: str) -> NotifyTest:
        return NotifyTest(channel, True, "Taken by mail.site.example.")


class SettingsPlant(FakeServices):
    """The made-up day with a file behind it."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.settings = Settings(folder)
        self.notifications = Channels()


class Page:
    """What a person does on the page."""

    def __init__(self, dash_duo: Any, plant: SettingsPlant, lang: str, section: str) -> None:
        self.duo, self.driver = dash_duo, dash_duo.driver
        dash_duo.start_server(create_app(plant, access=OPEN), navigate=False)
        self.driver.get(f"{dash_duo.server.url}/assets/logo.svg")
        self.driver.delete_all_cookies()
        self.driver.add_cookie({"name": "ems_lang", "value": lang})
        dash_duo._url = dash_duo.server.url
        self.open(section)

    def open(self, section: str) -> None:
        self.driver.get(f"{self.duo.server.url}/settings?section={section}")
        self.until(lambda: self.driver.find_elements(By.CSS_SELECTOR, "#set-form .card"))
        self.driver.execute_script("document.documentElement.style.scrollBehavior = 'auto'")

    def until(self, condition: Any) -> Any:
        # Parts of the page are replaced by what a callback returns, also while they are looked at.
        wait = WebDriverWait(
            self.driver, DEADLINE_S, ignored_exceptions=[StaleElementReferenceException]
        )
        return wait.until(lambda _: condition())

    def text(self, selector: str) -> str:
        return str(self.driver.find_element(By.CSS_SELECTOR, selector).text)

    def says(self, selector: str, words: str) -> None:
        self.until(lambda: words in self.text(selector))

    def named(self, kind: str, **parts: str) -> Any:
        ids = ",".join(f'"{k}":"{v}"' for k, v in sorted({**parts, "type": kind}.items()))
        script = "return document.getElementById(arguments[0])"
        return self.until(lambda: self.driver.execute_script(script, "{" + ids + "}"))

    def field(self, path: str) -> Any:
        return self.named("set-field", path=path)

    def type(self, path: str, text: str) -> None:
        def enter() -> bool:
            entry = self.field(path)
            entry.send_keys(Keys.CONTROL, "a")
            entry.send_keys(text)
            return True

        self.until(enter)

    def press(self, kind: str, **parts: str) -> None:
        self.until(lambda: self.click(self.named(kind, **parts)))

    def click(self, element: Any) -> bool:
        self.driver.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()
        return True

    def save(self) -> None:
        button = self.driver.find_element(By.ID, "set-save")
        self.until(button.is_enabled)
        self.click(button)

    def curve(self) -> list[float]:
        return list(
            self.driver.execute_script(
                "return document.querySelector('#set-preview .js-plotly-plot').data.slice(-1)[0].y"
            )
        )

    def clean(self) -> bool:
        return [e for e in self.driver.get_log("browser") if e["level"] == "SEVERE"] == []


@pytest.fixture
def plant(tmp_path: Path) -> SettingsPlant:
    (tmp_path / "ems.yaml").write_text(DEFAULT_EMS_YAML, encoding="utf-8")
    return SettingsPlant(tmp_path)


def test_a_tariff_is_built_with_its_preview_saved_and_undone(
    dash_duo: Any, plant: SettingsPlant, tmp_path: Path
) -> None:
    page = Page(dash_duo, plant, "en", "tariff")
    page.until(lambda: page.driver.find_elements(By.CSS_SELECTOR, "#set-preview .main-svg"))
    before = page.curve()
    page.type("tariff.levies_eur_per_kwh", "4.5")
    page.until(lambda: page.curve()[0] == pytest.approx(before[0] + 3.0))
    page.says("#set-changes", "Taxes and levies")
    # A time of day with a fee of its own.
    page.press("set-act", op="add", path="tariff.grid_fee_windows")
    focused = "return document.activeElement.id"
    page.until(lambda: "grid_fee_windows.0.eur_per_kwh" in page.driver.execute_script(focused))
    page.type("tariff.grid_fee_windows.0.eur_per_kwh", "27")
    page.until(lambda: max(page.curve()) > max(before) + 20)
    # Something wrong is said beside its field, and cannot be saved.
    text = (tmp_path / "ems.yaml").read_text()
    page.type("tariff.grid_fee_windows.0.from", "17:05")
    error = page.named("set-error", path="tariff.grid_fee_windows.0.from")
    page.until(lambda: "quarter-hour" in error.text)
    entry = page.field("tariff.grid_fee_windows.0.from")
    page.until(lambda: entry.get_attribute("aria-invalid") == "true")
    assert error.get_attribute("id") in entry.get_attribute("aria-describedby")
    assert not page.driver.find_element(By.ID, "set-save").is_enabled()
    assert "mistakes" in page.text("#set-preview")
    assert (tmp_path / "ems.yaml").read_text() == text
    page.type("tariff.grid_fee_windows.0.from", "17:00")
    page.save()
    page.says("#set-said", "next start")
    page.says("#set-notice", "not yet in force")
    saved = load_config(tmp_path).tariff
    assert saved.levies_eur_per_kwh == 0.045
    assert saved.grid_fee_windows[0].eur_per_kwh == 0.27
    assert saved.grid_fee_eur_per_kwh == 0.07
    lines = (tmp_path / "ems.yaml").read_text().splitlines()
    assert set(DEFAULT_EMS_YAML.splitlines()) - set(lines) == {"  levies_eur_per_kwh: 0.015"}
    page.press("set-undo", name=plant.settings.desk.backups()[0].name)
    page.says("#set-said", "Put back")
    assert (tmp_path / "ems.yaml").read_text() == DEFAULT_EMS_YAML
    page.until(lambda: page.field("tariff.levies_eur_per_kwh").get_attribute("value") == "1.5")
    # A second site, and back to one.
    page.press("set-nav", section="sites")
    page.press("set-act", op="add", path="sites")
    page.type("sites.1.id", "site-1")
    page.until(lambda: "already" in page.named("set-error", path="sites.1.id").text)
    page.type("sites.1.id", "west")
    page.says("#set-changes", "Site 2")
    page.save()
    page.says("#set-notice", "west")
    assert load_installation(tmp_path).ids == ("site-1", "west")
    page.press("set-undo", name=plant.settings.desk.backups()[0].name)
    page.until(lambda: (tmp_path / "ems.yaml").read_text() == DEFAULT_EMS_YAML)
    assert page.clean()


@pytest.fixture
def simulator() -> Iterator[int]:
    server = ProfileServer(MODBUS_PROFILES["janitza_umg96"])
    port = server.start()
    yield port
    server.stop()


def test_a_register_is_changed_and_read_from_the_simulator(
    dash_duo: Any, plant: SettingsPlant, tmp_path: Path, simulator: int
) -> None:
    values = plant.settings.desk.read().values
    values["modbus"] |= {"profile": "janitza_umg96", "host": "127.0.0.1", "port": simulator}
    plant.settings.desk.save(values, plant.settings.desk.read().revision, "test")
    page = Page(dash_duo, plant, "de", "devices")
    page.click(page.driver.find_element(By.ID, "set-test-device"))
    page.until(
        lambda: "Ein simuliertes" in page.text("#set-form") or "kW" in page.text(".set-live")
    )
    row = "//tr[.//div[text()='grid_kw']]"
    page.until(lambda: "gut" in page.driver.find_element(By.XPATH, row).text)
    page.until(lambda: "kW" in page.driver.find_element(By.XPATH, row).text)
    path = "modbus.registers.grid_kw"
    page.press("set-act", op="reg-edit", path=path)
    shown = page.field(f"{path}.scale").get_attribute("value")
    assert shown.count(",") <= 1
    page.type(f"{path}.address", "65500")
    page.says("#set-changes", "Adresse: 65500")
    page.click(page.driver.find_element(By.ID, "set-test-device"))
    page.until(lambda: "geändert" in page.driver.find_element(By.XPATH, row).text)
    page.until(lambda: "gut" not in page.driver.find_element(By.XPATH, row).text)
    page.press("set-act", op="reg-reset", path=path)
    page.until(lambda: "geändert" not in page.driver.find_element(By.XPATH, row).text)
    page.says("#set-changes", "Noch nichts")
    assert "grid_kw: {address" not in (tmp_path / "ems.yaml").read_text()
    assert page.clean()


def test_sections_keep_the_draft_conflicts_keep_what_was_typed(
    dash_duo: Any, plant: SettingsPlant, tmp_path: Path
) -> None:
    page = Page(dash_duo, plant, "en", "site")
    page.type("bess.energy_capacity_kwh", "250")
    page.press("set-nav", section="mqtt")
    page.until(lambda: "section=mqtt" in page.driver.current_url)
    page.type("mqtt.broker_host", "10.20.30.40")
    page.click(page.driver.find_element(By.ID, "set-test-broker"))
    page.says("#set-broker-result", "connection refused")
    assert plant.settings.brokers[0].broker_host == "10.20.30.40"
    # A password that is typed goes into a file and never comes back.
    page.click(page.driver.find_element(By.CSS_SELECTOR, ".set-secret summary"))
    page.named("set-secret", path="mqtt.password_file").send_keys("canary-secret")
    page.press("set-act", op="secret", path="mqtt.password_file")
    page.until(lambda: page.field("mqtt.password_file").get_attribute("value") != "")
    stored = Path(page.field("mqtt.password_file").get_attribute("value"))
    assert stored.read_text() == "canary-secret"
    assert "canary" not in page.driver.page_source
    assert page.named("set-secret", path="mqtt.password_file").get_attribute("value") == ""
    page.says("#set-changes", "Capacity")
    # Somebody edits the file by hand.
    path = tmp_path / "ems.yaml"
    path.write_text(path.read_text().replace("name: Standort Wien", "name: Graz"))
    page.save()
    page.says("#set-said", "changed by somebody else")
    assert page.field("mqtt.broker_host").get_attribute("value") == "10.20.30.40"
    page.click(page.driver.find_element(By.ID, "set-discard"))
    page.says("#set-changes", "Nothing yet")
    # A phone: nothing spills, labels belong to inputs.
    page.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True},
    )
    for section in ("tariff", "devices", "notifications"):
        page.press("set-nav", section=section)
        page.until(lambda s=section: f"section={s}" in page.driver.current_url)
        assert page.driver.execute_script("return document.documentElement.scrollWidth") <= 390
        unnamed = page.driver.execute_script(
            "return Array.from(document.querySelectorAll('#set-form input, #set-form select,"
            " #set-form textarea')).filter(e => !e.labels.length).map(e => e.id)"
        )
        assert unnamed == []
    page.press("set-channel", name="operators")
    page.says("#set-channel-result", "operators: the test message was taken")
    assert page.clean()
