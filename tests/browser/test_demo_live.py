"""The demo as a newcomer sees it: the whole program, a real Chromium, moving numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from selenium.webdriver.support.ui import WebDriverWait

from tests.support.login import log_in
from tests.support.process import running

pytestmark = pytest.mark.browser

DEADLINE_S = 180


def test_state_of_charge_and_power_move_and_the_console_is_clean(
    dash_br: Any, tmp_path: Path
) -> None:
    # Sixty times real time: a tick of 2 s is two minutes of the plant.
    with running(tmp_path, "demo_plant: {speed: 60}\n") as program:
        program.wait_for_plan()
        driver = dash_br.driver
        url = f"http://127.0.0.1:{program.port}/"
        driver.get(url)
        driver.add_cookie({"name": "ems_lang", "value": "de"})
        log_in(driver, url)
        wait = WebDriverWait(driver, DEADLINE_S)

        def text(selector: str) -> str:
            return str(driver.find_element("css selector", selector).text)

        dash_br.wait_for_element("#soc-v", timeout=DEADLINE_S)
        wait.until(lambda _: len(driver.find_elements("css selector", ".main-svg")) >= 2)
        first_load, first_time = text("#load-v"), text("#hdr-time")
        wait.until(lambda _: text("#hdr-time") != first_time)
        wait.until(lambda _: text("#load-v") != first_load)
        # At some hours the best plan rests for long, so the battery is set going by hand.
        first_soc = text("#soc-v")
        driver.execute_script("document.querySelector('#ov-hand-power').scrollIntoView()")
        dash_br.find_element("#ov-hand-power").send_keys("47.3")
        driver.execute_script("document.querySelector('#ov-hand-start').click()")
        wait.until(lambda _: text("#pow-v") == "\u221247,3")
        wait.until(lambda _: "Laden mit" in text("#hand-now"))
        wait.until(lambda _: text("#soc-v") != first_soc)
        page = text("body")
        assert "simuliert" in page
        assert "Aufzeichnung" in page
        log = driver.get_log("browser")
        assert [entry for entry in log if entry["level"] != "INFO"] == []
        assert "Traceback" not in program.log_text()
