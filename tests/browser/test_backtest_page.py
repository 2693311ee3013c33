"""An analyst asks for a backtest, reads it, compares it and deletes it, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes_ui import FakeServices
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from ems_dash.api.backtest_routes import register_backtest_api
from ems_dash.app import create_app
from engine.runtime.backtests.desk import BacktestDesk
from tests.support.access import OPEN
from tests.support.backtest_desk import AWAKE, SmallCases, script
from tests.support.browser import wait_until

pytestmark = pytest.mark.browser

DEADLINE_S = 150


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[BacktestDesk]:
    made = BacktestDesk(tmp_path / "backtests", SmallCases(), command=script(AWAKE))
    yield made
    made.stop()


def until(dash_duo: Any, condition: Any) -> None:
    wait_until(dash_duo.driver, condition, DEADLINE_S)


def text(dash_duo: Any, selector: str) -> str:
    """Return what is shown there now; parts of the page are replaced while one looks."""
    found = "var e = document.querySelector(arguments[0]); return e ? e.innerText : '';"
    return str(dash_duo.driver.execute_script(found, selector))


def press(dash_duo: Any, selector: str) -> None:
    dash_duo.driver.execute_script("document.querySelector(arguments[0]).click();", selector)


def test_ask_read_compare_delete(dash_duo: Any, desk: BacktestDesk) -> None:
    services = FakeServices()
    services.backtests = desk  # type: ignore[attr-defined]
    app = create_app(services, access=OPEN)  # type: ignore[arg-type]
    register_backtest_api(app.server, services)  # type: ignore[arg-type]
    dash_duo.start_server(app)
    driver = dash_duo.driver
    driver.get(f"{dash_duo.server_url}/assets/logo.svg")
    driver.add_cookie({"name": "ems_lang", "value": "en"})
    driver.get(f"{dash_duo.server_url}/backtest")
    until(dash_duo, lambda: "No backtest yet" in text(dash_duo, "#bt-list"))
    assert text(dash_duo, "#nav [aria-current='page']") == "Backtest"

    # A mistake is said where it was made, and nothing is started.
    energies = driver.find_element(By.CSS_SELECTOR, 'input[id*=\'"key":"energies"\']')
    for summary in driver.find_elements(By.CSS_SELECTOR, ".bt-form .bt-more > summary"):
        driver.execute_script("arguments[0].click()", summary)
    press(dash_duo, 'input[id*=\'"key":"sizing"\']')
    energies.clear()
    energies.send_keys("50, many", Keys.TAB)
    name = driver.find_element(By.CSS_SELECTOR, 'input[id*=\'"key":"name"\']')
    name.send_keys("First", Keys.TAB)
    press(dash_duo, "#bt-start")
    until(dash_duo, lambda: "'many' is no number" in text(dash_duo, "#bt-message"))
    assert desk.list() == ()

    # Mended, it runs and its result is read at an address that can be shared.
    energies.clear()
    energies.send_keys("50, 100", Keys.TAB)
    press(dash_duo, "#bt-start")
    until(dash_duo, lambda: "saves" in text(dash_duo, ".bt-headline"))
    until(dash_duo, lambda: "Parquet" in text(dash_duo, ".bt-links"))
    first = desk.list()[0]
    assert first.name == "First"
    assert f"?result={first.id}" in driver.current_url
    assert len(dash_duo.find_elements(".bt-money tbody tr")) >= 5
    until(dash_duo, lambda: len(dash_duo.find_elements("#bt-body .js-plotly-plot")) == 4)
    assert "net present value" in text(dash_duo, "[aria-labelledby='bt-sizing-title']")
    href = dash_duo.find_element(".bt-links a").get_attribute("href")
    assert href.endswith(f"/api/backtests/{first.id}/report.html?lang=en")

    # A second one is laid beside it, from the list.
    desk.start({"name": "Second", "strategies": ["timer"]})
    until(dash_duo, lambda: "Compare" in text(dash_duo, "#bt-list") or _open_list(dash_duo))
    press(dash_duo, "#bt-list li .bt-link[href*='with=']")
    until(dash_duo, lambda: "Second" in text(dash_duo, "[aria-labelledby='bt-compared-title']"))

    # Deleted after a question, it is gone and said to be.
    driver.get(f"{dash_duo.server_url}/backtest?result={first.id}")
    until(dash_duo, lambda: dash_duo.find_elements("#bt-list li"))
    _open_list(dash_duo)
    for row in dash_duo.find_elements("#bt-list li"):
        if "First" in row.text:
            button = row.find_element(By.CSS_SELECTOR, "button.bt-link")
            driver.execute_script("setTimeout(e => e.click(), 0, arguments[0])", button)
    until(dash_duo, lambda: _accepted(driver))
    until(dash_duo, lambda: len(desk.list()) == 1)

    severe = [entry for entry in dash_duo.get_logs() or [] if entry["level"] == "SEVERE"]
    assert severe == []


def _open_list(dash_duo: Any) -> bool:
    dash_duo.driver.execute_script(
        "document.querySelectorAll('.bt-fold').forEach(e => e.open = true)"
    )
    return False


def _accepted(driver: Any) -> bool:
    from selenium.common.exceptions import NoAlertPresentException

    try:
        driver.switch_to.alert.accept()
    except NoAlertPresentException:
        return False
    return True
