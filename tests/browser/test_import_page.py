"""A file is imported in a real browser: sent, understood, corrected, checked, written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes_ui import FakeServices
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from ems_dash.app import create_app
from engine.config.load import load_config
from engine.history.duckdb_store import DuckDbHistory
from engine.runtime.import_desk import ImportDesk
from tests.support.access import OPEN
from tests.support.browser import wait_until

pytestmark = pytest.mark.browser

DEADLINE_S = 120
ROWS = [f"2026-06-01T{k // 4:02d}:{15 * (k % 4):02d}Z;{k},5;x" for k in range(8)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DuckDbHistory]:
    with DuckDbHistory(tmp_path / "hot.duckdb") as history:
        yield history


def test_a_file_is_sent_corrected_checked_and_imported(
    dash_duo: Any, store: DuckDbHistory, tmp_path: Path
) -> None:
    services = FakeServices()
    desk = ImportDesk(store, load_config(tmp_path / "config"), tmp_path / "imports", services.now)
    services.imports = desk
    dash_duo.start_server(create_app(services, access=OPEN))
    driver = dash_duo.driver
    driver.get(f"{dash_duo.server_url}/assets/logo.svg")
    driver.add_cookie({"name": "ems_lang", "value": "en"})
    driver.get(f"{dash_duo.server_url}/analytics/import")

    def until(condition: Any) -> None:
        wait_until(driver, condition, DEADLINE_S)

    def text(selector: str) -> str:
        script = "var e = document.querySelector(arguments[0]); return e ? e.innerText : '';"
        return str(driver.execute_script(script, selector))

    def press(identifier: str) -> None:
        button = driver.find_element(By.ID, identifier)
        script = "arguments[0].scrollIntoView({block: 'center', behavior: 'instant'});"
        driver.execute_script(script, button)
        button.click()

    until(lambda: "Nothing has been imported" in text("#an-body-import"))
    path = tmp_path / "Lastgang 2026.csv"
    path.write_text("\n".join(["Zeit;Last;Ort", *ROWS]) + "\n", encoding="utf-8")
    driver.find_element(By.CSS_SELECTOR, "#im-file input[type=file]").send_keys(str(path))
    until(lambda: driver.find_elements(By.CSS_SELECTOR, ".im-columns tbody tr"))
    # the unit of the load is stated nowhere, so nothing is taken for granted
    assert "unit" in text("#im-form .im-mistake")
    rows = driver.find_elements(By.CSS_SELECTOR, ".im-columns tbody tr")
    assert [row.find_element(By.TAG_NAME, "th").text for row in rows] == ["Zeit", "Last", "Ort"]
    assert "0,5" in rows[1].text
    for row, target, unit in ((0, "Time", None), (1, "Load", "kW")):
        selects = [Select(e) for e in rows[row].find_elements(By.TAG_NAME, "select")]
        selects[0].select_by_visible_text(target)
        if unit:
            selects[1].select_by_visible_text(unit)
    press("im-check")
    until(lambda: "120 minutes and 0 prices would be written" in text("#an-body-import"))
    assert store.counts()["samples"] == 0
    press("im-go")
    until(lambda: "120 minutes and 0 prices written" in text("#an-body-import"))
    assert store.counts()["samples"] == 120
    assert desk.wait(10.0)

    # a file with mistakes: each is named with row, column and remedy
    bad = tmp_path / "bad.csv"
    bad.write_text(
        "Zeit;Last [kW]\n2026-06-02T00:00Z;1\n2026-06-02T00:15Z;many\n", encoding="utf-8"
    )
    driver.find_element(By.CSS_SELECTOR, "#im-file input[type=file]").send_keys(str(bad))
    until(lambda: "bad.csv" in text("#im-form"))
    press("im-go")
    until(lambda: "one problem" in text("#an-body-import"))
    cells = [e.text for e in driver.find_elements(By.CSS_SELECTOR, "#an-body-import tbody tr > *")]
    assert cells[:3] == ["3", "Last [kW]", "many"]
