"""The monitoring page in a real browser over a fake plant that moves."""

from __future__ import annotations

from typing import Any

import pytest
from fakes_monitoring import MonitoredPlant
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from ems_dash.app import create_app
from tests.support.access import OPEN
from tests.support.browser import Pace, wait_until

pytestmark = pytest.mark.browser

DEADLINE_S = 120

CHART = """
const plot = document.getElementById('{"id":"m-power","type":"chart"}')
  .querySelector('.js-plotly-plot');
const x = plot.data[4].x;
return {n: x.length, last: x[x.length - 1], range: plot._fullLayout.xaxis.range.slice(),
        rising: x.every((v, i) => i === 0 || v > x[i - 1]),
        lengths: plot.data.map(t => t.x.length + ' ' + t.y.length)};
"""


def open_page(dash_duo: Any, services: MonitoredPlant, path: str = "/monitoring") -> None:
    dash_duo.start_server(create_app(services, access=OPEN), navigate=False)
    dash_duo.driver.get(f"{dash_duo.server.url}/assets/logo.svg")
    dash_duo.driver.delete_all_cookies()
    dash_duo.driver.add_cookie({"name": "ems_lang", "value": "en"})
    dash_duo.server_url = dash_duo.server.url + path
    dash_duo.wait_for_element("#m-soc-v", timeout=DEADLINE_S)
    until(dash_duo, lambda: len(dash_duo.find_elements(".js-plotly-plot .main-svg")) >= 2)
    js(dash_duo, "document.documentElement.style.scrollBehavior = 'auto'")


def until(dash_duo: Any, condition: Any) -> Any:
    return wait_until(dash_duo.driver, condition, DEADLINE_S)


def text(dash_duo: Any, selector: str) -> str:
    return str(dash_duo.find_element(selector).text).replace("\u00a0", " ")


def js(dash_duo: Any, script: str, *arguments: Any) -> Any:
    return dash_duo.driver.execute_script(script, *arguments)


def test_values_signals_and_charts_follow_the_plant(dash_duo: Any) -> None:
    plant = MonitoredPlant()
    open_page(dash_duo, plant)
    moving = Pace(dash_duo, plant, 2.0, cycles=5)
    power, grid = text(dash_duo, "#m-pow-v"), text(dash_duo, "#sig-grid_kw-v")
    before = js(dash_duo, CHART)

    moving.until(lambda: text(dash_duo, "#m-pow-v") != power)
    moving.until(lambda: text(dash_duo, "#sig-grid_kw-v") != grid)
    moving.until(lambda: js(dash_duo, CHART)["last"] > before["last"])
    moving.until(lambda: js(dash_duo, CHART)["range"] > before["range"])

    after = js(dash_duo, CHART)
    assert after["rising"]
    assert len(set(after["lengths"])) == 1
    assert text(dash_duo, "#m-status-v") == "Charging"
    assert "Code 1 · bms" in text(dash_duo, "#m-status-a")
    assert dash_duo.get_logs() == []


def test_an_alarm_appears_is_acknowledged_and_stays_listed_when_over(dash_duo: Any) -> None:
    services = MonitoredPlant()
    open_page(dash_duo, services)
    assert "No alarm is active" in text(dash_duo, "#mon-alarm-list")
    services.raise_alarm("system_fault")
    services.advance(2.0)
    until(dash_duo, lambda: "Battery system fault" in text(dash_duo, "#mon-alarm-list"))
    assert "1 active · 1 not acknowledged" in text(dash_duo, "#mon-alarm-head")

    dash_duo.find_element(".alarm-table .cell-action button").click()
    until(dash_duo, lambda: "Acknowledged: 1." in text(dash_duo, "#mon-alarm-said"))
    services.advance(2.0)
    until(dash_duo, lambda: "by operator" in text(dash_duo, ".alarm-table"))
    assert dash_duo.find_elements(".alarm-table .cell-action button") == []

    services.end_alarm("system_fault")
    services.advance(2.0)
    until(dash_duo, lambda: "all quiet" in text(dash_duo, "#mon-alarm-head"))
    assert "13:24:10 by operator 13:24:12" in text(dash_duo, ".alarm-table")
    for button in dash_duo.find_elements(".area-alarms .segment-button"):
        if button.text == "Active":
            button.click()
    until(dash_duo, lambda: "No alarm matches" in text(dash_duo, "#mon-alarm-list"))
    assert dash_duo.get_logs() == []


def test_panels_by_keyboard_range_in_the_address_and_a_test_message(dash_duo: Any) -> None:
    services = MonitoredPlant()
    open_page(dash_duo, services, "/monitoring?range=15m&tab=registers")
    assert "0x" in text(dash_duo, "#reg-0-w")
    assert "Registers" in text(dash_duo, "[role=tab][aria-selected=true]")
    first = js(dash_duo, CHART)["range"]

    dash_duo.find_element("[data-choice=mon-span][data-value='6h']").click()
    until(dash_duo, lambda: js(dash_duo, CHART)["range"][0] < first[0])
    assert "range=6h" in dash_duo.driver.current_url

    tab = dash_duo.driver.find_element(By.ID, "mon-tab-registers")
    tab.send_keys(Keys.ARROW_RIGHT)
    until(dash_duo, lambda: "Program started" in text(dash_duo, "#mon-panel"))
    dash_duo.driver.switch_to.active_element.send_keys(Keys.ARROW_RIGHT)
    until(dash_duo, lambda: "control-room" in text(dash_duo, "#mon-panel"))
    dash_duo.find_element("#mon-panel .button-small").click()
    until(dash_duo, lambda: "Taken by hooks.example.org" in text(dash_duo, "#mon-notify-said"))
    assert services.channels.tested == ["control-room"]
    dash_duo.find_element("#mon-tab-raw").click()
    until(dash_duo, lambda: '"insulation_resistance_kohm"' in text(dash_duo, "#mon-raw-text"))
    assert dash_duo.get_logs() == []


def test_no_horizontal_overflow_on_a_phone_in_any_panel(dash_duo: Any) -> None:
    dash_duo.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True},
    )
    services = MonitoredPlant()
    services.raise_alarm("system_fault")
    open_page(dash_duo, services)
    for tab, content in (
        ("connections", "exception"),
        ("registers", "0x"),
        ("events", "Program started"),
        ("notifications", "control-room"),
        ("raw", "soc_percent"),
        ("signals", "Voltage"),
    ):
        js(dash_duo, f"document.getElementById('mon-tab-{tab}').click()")
        words = {"connections": "refusal"}.get(tab, content)
        until(dash_duo, lambda words=words: words in text(dash_duo, "#mon-panel"))
        assert js(dash_duo, "return document.documentElement.scrollWidth;") <= 390, tab
