"""The site picker: a page shows one site, stays at it with its links, and meets no other."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from fakes_ui import SITE, FakeServices
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from ems_dash.app import create_app
from ems_dash.site_router import routed
from engine.domain.snapshot import EngineSnapshot
from tests.support.access import OPEN
from tests.support.browser import wait_until

pytestmark = pytest.mark.browser

DEADLINE_S = 120
PHONE = {"width": 390, "height": 844, "deviceScaleFactor": 1, "mobile": False}


class OneSite(FakeServices):
    """A made-up plant with an id, a name and a state of charge of its own."""

    def __init__(self, site_id: str, name: str, soc_percent: float) -> None:
        def change(snapshot: EngineSnapshot) -> EngineSnapshot:
            assert snapshot.image is not None
            site = replace(SITE, site_id=site_id, name=name)
            samples = {
                signal: replace(sample, value=soc_percent) if signal == "soc_percent" else sample
                for signal, sample in snapshot.image.samples.items()
            }
            return replace(snapshot, site=site, image=replace(snapshot.image, samples=samples))

        super().__init__(change=change)


def test_a_page_shows_one_site_and_every_link_stays_there(dash_duo: Any) -> None:
    sites = {"north": OneSite("north", "Nord", 31.0), "south": OneSite("south", "Süd", 77.0)}
    dash_duo.start_server(create_app(routed(sites), access=OPEN), navigate=False)
    driver = dash_duo.driver

    def until(condition: Any) -> Any:
        return wait_until(driver, condition, DEADLINE_S)

    def shown(name: str, soc: str) -> bool:
        return (
            dash_duo.find_element(".site-menu-name").text == name
            and soc in dash_duo.find_element("#soc-v").text
        )

    driver.get(dash_duo.server.url)
    until(lambda: shown("Nord", "31"))
    # By keyboard: the picker opens, and leads to the other site.
    dash_duo.find_element("#site-menu > summary").send_keys(Keys.ENTER)
    dash_duo.find_element('[data-site-link="south"]').send_keys(Keys.ENTER)
    until(lambda: shown("Süd", "77"))
    # What the page asks for from now on is about its site as well.
    for site in sites.values():
        site.advance(16.0)
    until(lambda: dash_duo.find_element(".clock-time").text.endswith("24"))
    assert shown("Süd", "77")

    dash_duo.find_element('a.nav-item[href^="/forecasts"]').click()
    until(lambda: "/forecasts" in driver.current_url)
    assert "site=south" in driver.current_url
    until(lambda: dash_duo.find_element(".site-menu-name").text == "Süd")

    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", PHONE)
    picker = dash_duo.find_element("#site-menu > summary")
    assert picker.rect["height"] >= 44
    assert driver.execute_script("return document.documentElement.scrollWidth") <= 390

    driver.get(f"{dash_duo.server.url}/?site=east")
    assert "east" in driver.find_element(By.TAG_NAME, "h1").text
