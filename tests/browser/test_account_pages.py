"""The pages outside Dash in a real browser: login, account, users, audit: no barrier, no error."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import dash
import pytest
from fakes_ui import FakeServices
from selenium.webdriver.support.ui import WebDriverWait
from test_every_page import AXE, RUN_AXE, VISIBLE_TEXT, is_english

from ems_dash.api.alarm_routes import register_alarm_api
from ems_dash.app import create_app
from ems_dash.audit_page import register_audit_page
from engine.audit.opening import open_audit
from engine.domain.alarms import AlarmView
from tests.support.accounts import World
from tests.support.login import log_in

pytestmark = pytest.mark.browser

PAGES = ("/login", "/account", "/settings/users", "/settings/audit")


@pytest.fixture(scope="module")
def services() -> FakeServices:
    """The plant behind the pages."""
    return FakeServices()


@pytest.fixture(scope="module")
def site(
    services: FakeServices, tmp_path_factory: Any, one_address: Any, one_browser: Any
) -> Iterator[str]:
    """The address of an installation with accounts, for all pages."""
    folder = tmp_path_factory.mktemp("accounts")
    access = World.make(folder).access()
    app = create_app(services, access=access)
    register_alarm_api(app.server, services)
    audit = open_audit(folder / "config", folder / "data")
    audit.note("tests.begin", "plant", before=1, after=2)
    register_audit_page(app.server, audit, access)
    one_address(app)
    yield str(one_address.url)
    one_browser.forget_pages(one_address)
    dash.page_registry.clear()


@pytest.fixture
def clear_page_registry() -> None:
    """The pages of one app serve the whole module."""


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_no_barrier_in_either_theme_and_no_error(
    path: str, site: str, one_browser: Any
) -> None:
    driver = one_browser.driver
    driver.set_window_size(1300, 1000)
    driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
    driver.get(site + "/assets/logo.svg")
    driver.add_cookie({"name": "ems_lang", "value": "de"})
    if path != "/login":
        log_in(driver, site)
    found = {}
    one_browser.get_logs()
    for theme in ("light", "dark"):
        driver.execute_script("localStorage.setItem('ems_theme', arguments[0])", theme)
        driver.get(site + path)
        driver.execute_script(AXE)
        shown = driver.execute_script("return document.documentElement.dataset.bsTheme")
        found[shown] = driver.execute_async_script(RUN_AXE)
    assert found == {"light": [], "dark": []}
    assert driver.current_url == site + path
    assert driver.find_elements("id", "react-entry-point") == [], "Dash answered instead"

    english = [text for text in driver.execute_script(VISIBLE_TEXT) if is_english(text)]
    assert english == []
    driver.set_window_size(500, 900)
    assert driver.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    assert [entry["message"] for entry in one_browser.get_logs()] == []


def test_the_number_of_alarms_stands_in_the_top_bar_and_follows_the_plant(
    site: str, services: FakeServices, one_browser: Any
) -> None:
    def ill(*names: str) -> Any:
        return lambda now: replace(now, alarms=tuple(AlarmView(n, True, now.ts) for n in names))

    def shown() -> str:
        return str(driver.execute_script("return document.getElementById('hdr-alarm').textContent"))

    def looked_at_again(expected: str) -> None:
        # As when somebody comes back to the tab; else it asks every ten seconds.
        driver.execute_script("document.dispatchEvent(new Event('visibilitychange'))")
        WebDriverWait(driver, 30).until(lambda _driver: shown() == expected)

    driver = one_browser.driver
    driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
    driver.get(site + "/assets/logo.svg")
    driver.add_cookie({"name": "ems_lang", "value": "de"})
    log_in(driver, site)
    services.change = ill("system_fault")
    driver.get(site + "/settings/audit")
    assert shown() == "1 Alarm"
    services.change = ill("system_fault", "door_open")
    looked_at_again("2 Alarme")
    services.change = None
    looked_at_again("")
    assert not driver.find_element("id", "hdr-alarm").is_displayed()
    one_browser.get_logs()
