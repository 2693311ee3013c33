"""Two sites in a real browser: switching keeps the page, and two tabs never mix their numbers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest
from fakes_monitoring import MonitoredPlant
from fakes_ui import SITE
from selenium.webdriver.common.keys import Keys

from ems_dash.app import create_app
from ems_dash.services import WholeServices
from ems_dash.site_router import routed
from engine.domain.snapshot import EngineSnapshot
from tests.support.access import OPEN
from tests.support.browser import wait_until

pytestmark = pytest.mark.browser

DEADLINE_S = 60
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": False}


class Works(MonitoredPlant):
    """A made-up site whose state of charge is told apart at a glance."""

    def __init__(self, site_id: str, name: str, soc_percent: float) -> None:
        super().__init__()
        self._site = replace(SITE, site_id=site_id, name=name)
        self.soc_percent = soc_percent

    def snapshot(self) -> EngineSnapshot:
        snapshot = super().snapshot()
        soc = replace(snapshot.image.samples["soc_percent"], value=self.soc_percent)
        image = replace(snapshot.image, samples={**snapshot.image.samples, "soc_percent": soc})
        return replace(snapshot, site=self._site, image=image, shown=image)


def _text(browser: Any, selector: str) -> str:
    found = browser.driver.find_elements("css selector", selector)
    return str(found[0].text) if found else ""


def _until(browser: Any, selector: str, text: str) -> None:
    wait_until(browser.driver, lambda: text in _text(browser, selector), DEADLINE_S)


def test_switching_the_site_keeps_the_page_and_two_tabs_show_two_sites(dash_duo: Any) -> None:
    north, south = Works("north", "North hall", 31.0), Works("south", "South works", 74.0)
    sites = {"north": north, "south": south}
    app = create_app(routed(cast(dict[str, WholeServices], sites)), access=OPEN)
    dash_duo.start_server(app, navigate=False)
    dash_duo.server_url = f"{dash_duo.server.url}/?site=south"
    driver = dash_duo.driver
    _until(dash_duo, "#soc-v", "74")
    assert _text(dash_duo, ".site-menu-name") == "South works"

    # Every way to another page of ours stays at the site.
    driver.find_element("css selector", "a.nav-item[href*='monitoring']").click()
    _until(dash_duo, "#m-soc-v", "74")
    assert "site=south" in driver.current_url

    first = driver.current_window_handle
    driver.switch_to.new_window("tab")
    try:
        driver.get(f"{dash_duo.server.url}/monitoring?range=6h&site=south")
        _until(dash_duo, "#m-soc-v", "74")
        # By keyboard: the picker opens, and leads to the other site.
        driver.find_element("css selector", ".site-menu > summary").send_keys(Keys.ENTER)
        driver.find_element("css selector", "a[data-site-link='north']").send_keys(Keys.ENTER)
        _until(dash_duo, ".site-menu-name", "North hall")
        _until(dash_duo, "#m-soc-v", "31")
        assert "/monitoring?" in driver.current_url
        assert "range=6h" in driver.current_url

        # What is asked for again is of the page's own site in both tabs.
        north.soc_percent, south.soc_percent = 32.0, 75.0
        for plant in (north, south):
            plant.advance(2.0)
        _until(dash_duo, "#m-soc-v", "32")
        driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
        assert driver.find_element("css selector", ".site-menu > summary").rect["height"] >= 44
        # Charts take a moment to follow a window that shrinks.
        fits = "return document.documentElement.scrollWidth <= innerWidth"
        wait_until(driver, lambda: driver.execute_script(fits), DEADLINE_S)
        driver.close()
    finally:
        driver.switch_to.window(first)
    _until(dash_duo, "#m-soc-v", "75")
    assert _text(dash_duo, ".site-menu-name") == "South works"
    assert dash_duo.get_logs() == []


def test_a_page_of_the_only_site_is_as_ever() -> None:
    app = create_app(Works("north", "North hall", 31.0), access=OPEN)
    client = app.server.test_client()
    assert "data-site" not in client.get("/").text
    assert "site-menu" not in client.get("/_dash-layout").text


def test_a_page_of_an_unknown_site_names_the_known_ones() -> None:
    sites = {name: Works(name, name.title(), 50.0) for name in ("north", "south")}
    app = create_app(routed(cast(dict[str, WholeServices], sites)), access=OPEN)
    answer = app.server.test_client().get("/monitoring?site=east")
    assert answer.status_code == 404
    assert answer.mimetype == "text/html"
    assert "east" in answer.text
    assert "/?site=south" in answer.text
