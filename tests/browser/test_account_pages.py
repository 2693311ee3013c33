"""The pages outside Dash in a real browser: login, account, users, audit: no barrier, no error."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import dash
import pytest
from fakes_ui import FakeServices
from test_every_page import AXE, RUN_AXE, VISIBLE_TEXT, is_english

from ems_dash.app import create_app
from tests.support.accounts import World
from tests.support.login import log_in

pytestmark = pytest.mark.browser

PAGES = ("/login", "/account", "/settings/users", "/settings/audit")


@pytest.fixture(scope="module")
def site(tmp_path_factory: Any, one_address: Any, one_browser: Any) -> Iterator[str]:
    """The address of an installation with accounts, for all pages."""
    world = World.make(tmp_path_factory.mktemp("accounts"))
    one_address(create_app(FakeServices(), access=world.access()))
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

    english = [text for text in driver.execute_script(VISIBLE_TEXT) if is_english(text)]
    assert english == []
    driver.set_window_size(500, 900)
    assert driver.execute_script("return document.documentElement.scrollWidth <= innerWidth")
    assert [entry["message"] for entry in one_browser.get_logs()] == []
