"""SQL for analysts in a real browser, over a real history behind the real guard."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from fakes_ui import FakeServices
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from ems_dash.app import create_app
from engine.history.duckdb_store import DuckDbHistory
from engine.history.sql_sandbox import SqlSandbox
from tests.support.access import OPEN
from tests.support.browser import wait_until
from tests.support.history_data import SITE, START, fill

pytestmark = pytest.mark.browser

DEADLINE_S = 120


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SqlSandbox]:
    with DuckDbHistory(tmp_path / "hot.duckdb") as history:
        fill(history, hours=1)
        history.roll_up(START + timedelta(hours=2))
        yield SqlSandbox(history, SITE, "Europe/Vienna")


def until(dash_duo: Any, condition: Any) -> None:
    wait_until(dash_duo.driver, condition, DEADLINE_S)


def text(dash_duo: Any, selector: str) -> str:
    """Return what is shown there now; parts of the page are replaced while one looks."""
    script = "var e = document.querySelector(arguments[0]); return e ? e.innerText : '';"
    return str(dash_duo.driver.execute_script(script, selector))


def press(dash_duo: Any, selector: str) -> None:
    target = dash_duo.driver.find_element(By.CSS_SELECTOR, selector)
    script = "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'});"
    dash_duo.driver.execute_script(script, target)
    target.click()


def statement(dash_duo: Any) -> str:
    return str(dash_duo.driver.find_element(By.ID, "sq-sql").get_attribute("value"))


def write(dash_duo: Any, sql: str) -> None:
    editor = dash_duo.driver.find_element(By.ID, "sq-sql")
    editor.send_keys(Keys.CONTROL, "a")
    editor.send_keys(sql)


def run_by_key(dash_duo: Any) -> None:
    dash_duo.driver.find_element(By.ID, "sq-sql").send_keys(Keys.CONTROL, Keys.ENTER)


def test_an_analyst_asks_errs_and_keeps_a_query(dash_duo: Any, sandbox: SqlSandbox) -> None:
    services = FakeServices()
    services.history.sql = sandbox.run
    dash_duo.start_server(create_app(services, access=OPEN))
    dash_duo.driver.get(f"{dash_duo.server_url}/assets/logo.svg")
    dash_duo.driver.add_cookie({"name": "ems_lang", "value": "en"})
    dash_duo.driver.get(f"{dash_duo.server_url}/analytics/sql")

    # An example; the main navigation says where one is.
    until(dash_duo, lambda: dash_duo.find_elements(".sq-schema tbody tr"))
    assert text(dash_duo, "#nav [aria-current='page']") == "Analytics"
    press(dash_duo, ".sq-chip[data-sq-sql*='ORDER BY grid_kw_mean']")
    press(dash_duo, "#sq-run")
    until(dash_duo, lambda: "4 rows" in text(dash_duo, "#sq-summary"))
    assert len(dash_duo.find_elements(".sq-table tbody tr")) == 4
    link = dash_duo.find_element(".sq-links a").get_attribute("href")
    assert "/api/export/sql.csv?sql=SELECT+ts_local" in link

    # What is not known is not what is empty.
    write(dash_duo, "SELECT NULL AS a, '' AS b, 1234567.5 AS c")
    run_by_key(dash_duo)
    until(dash_duo, lambda: text(dash_duo, ".sq-table td.sq-number") == "1,234,567.5")
    assert text(dash_duo, ".sq-table tbody .sq-null") == "NULL"
    assert text(dash_duo, ".sq-table tbody td:nth-child(2)") == "empty text"

    # A mistake is shown at its place, and one gets there.
    wrong = "-- days\nSELECT nothing\nFROM ledger"
    write(dash_duo, wrong)
    run_by_key(dash_duo)
    until(dash_duo, lambda: "line 2, column 8" in text(dash_duo, "#sq-message"))
    press(dash_duo, "#sq-go")
    script = "return document.getElementById('sq-sql').selectionStart"
    assert dash_duo.driver.execute_script(script) == wrong.index("nothing")

    # Kept under a name, also after a new visit; then forgotten.
    write(dash_duo, "SELECT 42 AS kept")
    name = dash_duo.driver.find_element(By.ID, "sq-name")
    name.send_keys("The answer", Keys.ENTER)
    until(dash_duo, lambda: text(dash_duo, ".sq-load") == "The answer")
    dash_duo.driver.get(f"{dash_duo.server_url}/analytics/sql?sql=SELECT+1+AS+one")
    until(dash_duo, lambda: text(dash_duo, ".sq-load") == "The answer")
    assert statement(dash_duo) == "SELECT 1 AS one"
    press(dash_duo, ".sq-load")
    until(dash_duo, lambda: statement(dash_duo) == "SELECT 42 AS kept")
    run_by_key(dash_duo)
    until(dash_duo, lambda: text(dash_duo, ".sq-table tbody td") == "42")
    press(dash_duo, ".sq-delete")
    until(dash_duo, lambda: text(dash_duo, "#sq-saved-list") == "None yet.")

    severe = [entry for entry in dash_duo.get_logs() or [] if entry["level"] == "SEVERE"]
    assert severe == []
