"""The forecasts page in a real browser, as an analyst uses it."""

from __future__ import annotations

from typing import Any

import pytest
from fakes_ui import FakeServices
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from ems_dash.app import create_app
from tests.support.access import OPEN
from tests.support.browser import wait_until

pytestmark = pytest.mark.browser

DEADLINE_S = 120


def until(dash_duo: Any, condition: Any) -> None:
    wait_until(dash_duo.driver, condition, DEADLINE_S)


def text(dash_duo: Any, selector: str) -> str:
    return str(dash_duo.find_element(selector).text).replace("\u202f", " ").replace("\u00a0", " ")


def click(dash_duo: Any, selector: str) -> None:
    """Click where the sticky top bar is not in the way."""
    element = dash_duo.find_element(selector)
    script = "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})"
    dash_duo.driver.execute_script(script, element)
    element.click()


def query(dash_duo: Any) -> str:
    return str(dash_duo.driver.execute_script("return window.location.search"))


def test_a_past_forecast_is_chosen_and_kept_in_the_address(dash_duo: Any) -> None:
    services = FakeServices()
    dash_duo.start_server(create_app(services, access=OPEN))
    dash_duo.driver.get(f"{dash_duo.server_url}/assets/logo.svg")
    dash_duo.driver.add_cookie({"name": "ems_lang", "value": "en"})
    dash_duo.driver.get(f"{dash_duo.server_url}/forecasts?signal=pv")

    # What is expected, how good that was, and by which model, without a click.
    until(dash_duo, lambda: "PV generation" in text(dash_duo, "#fc-pv-note"))
    assert "10 % too high" in text(dash_duo, "#fc-pv-note")
    assert "Published until" in text(dash_duo, "#fc-price-facts")
    until(dash_duo, lambda: "Best PV method" in text(dash_duo, "#fc-accuracy"))
    first = text(dash_duo, "#fc-issued")
    assert "(24 h ago)" in first
    assert "quarter-hours is known" in text(dash_duo, "#fc-back-note")

    # An hour earlier by the arrow, then another by the keyboard on the slider.
    click(dash_duo, "#fc-earlier")
    until(dash_duo, lambda: "(25 h ago)" in text(dash_duo, "#fc-issued"))
    dash_duo.find_element("#fc-issue").send_keys(Keys.ARROW_LEFT)
    until(dash_duo, lambda: "(26 h ago)" in text(dash_duo, "#fc-issued"))
    until(dash_duo, lambda: "vintage=2026-06-21T09" in query(dash_duo))

    # Its values as a table.
    click(dash_duo, "#fc-back-values summary")
    until(dash_duo, lambda: "means by the hour" in text(dash_duo, "#fc-back-values"))

    # Another series; its two models are compared.
    click(dash_duo, "label[for$='load']")
    until(dash_duo, lambda: "Prophet errs more" in text(dash_duo, "#fc-accuracy"))
    until(dash_duo, lambda: "signal=load" in query(dash_duo))
    assert "Median of several models" in text(dash_duo, "#fc-issued")

    # A deep link leads to the same forecast again; a quarter-hour later the page follows.
    dash_duo.driver.get(f"{dash_duo.server_url}/forecasts{query(dash_duo)}")
    until(dash_duo, lambda: "(26 h ago)" in text(dash_duo, "#fc-issued"))
    assert "Median of several models" in text(dash_duo, "#fc-issued")
    before = text(dash_duo, "#fc-load-facts")
    services.advance(900)
    until(dash_duo, lambda: text(dash_duo, "#fc-load-facts") != before)
    assert dash_duo.driver.find_element(By.ID, "fc-weather-card").is_displayed()
    assert dash_duo.get_logs() == []
