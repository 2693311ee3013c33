"""The data explorer in a real browser, as an analyst uses it."""

from __future__ import annotations

from typing import Any

import pytest
from fakes_ui import FakeServices
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from ems_dash.app import create_app
from tests.support.access import OPEN
from tests.support.browser import wait_until

pytestmark = pytest.mark.browser

DEADLINE_S = 120

CLICK_WHILE_DRAWN = """
dash_clientside.set_props({"type": "chart", "id": "ex-chart"}, {relayoutData: {autosize: true}});
document.getElementById("ex-out").click();
"""

EXPORT = "document.querySelector(\".an-links a[href*='series.csv']\").click()"

ANSWER_WITH_FILE = """
const asked = window.fetch;
window.fetch = (resource, ...more) => String(resource).includes("/api/export/")
  ? Promise.resolve(new Response("a,b", {headers: {"Content-Disposition":
      'attachment; filename="site.csv"', "Content-Type": "text/csv"}}))
  : asked.call(window, resource, ...more);
"""

HOLD_LITTLE = """
document.getElementById("toasts").dataset.most = "2";
HTMLAnchorElement.prototype.click = function () { window.left = [this.href, this.download]; };
"""

EXPORT_AGAIN = """
document.querySelector(".an-links a[href*='series.csv']")
  .dispatchEvent(new MouseEvent("click", {bubbles: true, cancelable: true}));
"""


def until(dash_duo: Any, condition: Any) -> None:
    wait_until(dash_duo.driver, condition, DEADLINE_S)


def text(dash_duo: Any, selector: str) -> str:
    """Return what is shown there now; parts of the page are replaced while one looks."""
    script = "var e = document.querySelector(arguments[0]); return e ? e.innerText : '';"
    shown = str(dash_duo.driver.execute_script(script, selector))
    return shown.replace("\u202f", " ").replace("\u00a0", " ")


def query(dash_duo: Any) -> str:
    return str(dash_duo.driver.execute_script("return decodeURIComponent(location.search)"))


def panels(dash_duo: Any) -> int:
    script = """
        var plot = document.querySelector("#ex-plot .js-plotly-plot");
        return plot && plot._fullLayout ? plot._fullLayout._subplots.cartesian.length : 0;
    """
    return int(dash_duo.driver.execute_script(script))


def test_an_analyst_zooms_compares_and_takes_the_link_along(dash_duo: Any) -> None:
    services = FakeServices()
    dash_duo.start_server(create_app(services, access=OPEN))
    dash_duo.driver.get(f"{dash_duo.server_url}/assets/logo.svg")
    dash_duo.driver.add_cookie({"name": "ems_lang", "value": "en"})
    dash_duo.driver.set_window_size(1300, 1300)
    dash_duo.driver.get(
        f"{dash_duo.server_url}/analytics/explorer?signals=load_kw,soc_percent&range=7d"
    )

    # Two series of two units: two panels, minutes, and a row of figures for each.
    until(dash_duo, lambda: panels(dash_duo) == 2)
    assert "minutes" in text(dash_duo, "#ex-caption")
    assert len(dash_duo.find_elements(".ex-table tbody tr")) == 2
    assert "Analytics" in text(dash_duo, ".nav-item[aria-current]")

    # Dragging across a tenth of the chart asks for a finer answer of that part.
    plot = dash_duo.find_element("#ex-plot .nsewdrag")
    width = plot.size["width"]
    drag = ActionChains(dash_duo.driver).move_to_element(plot)
    drag.click_and_hold().move_by_offset(int(width / 20), 0).move_by_offset(int(width / 20), 0)
    drag.release().perform()
    until(dash_duo, lambda: "single samples" in text(dash_duo, "#ex-caption"))
    until(dash_duo, lambda: "from=" in query(dash_duo) and "range=" not in query(dash_duo))
    zoomed = query(dash_duo)

    # Compared with the week before, each series has an earlier one beside it.
    Select(dash_duo.driver.find_element(By.ID, "ex-compare")).select_by_value("week")
    until(dash_duo, lambda: len(dash_duo.find_elements(".ex-table tbody tr")) == 4)

    # The link shows the same part; the export is about it too.
    dash_duo.driver.get(f"{dash_duo.server_url}/analytics/explorer{zoomed}")
    until(dash_duo, lambda: panels(dash_duo) == 2)
    assert query(dash_duo) == zoomed
    since = zoomed.split("from=")[1].split("&")[0].replace(":", "%3A")
    link = dash_duo.find_element(".an-links a[href*='series.csv']").get_attribute("href")
    assert f"from={since}" in link
    assert "signals=load_kw%2Csoc_percent" in link
    # What becomes of it is said where nothing else says it, for the ear too; this plant has no API.
    dash_duo.driver.execute_script(EXPORT)
    until(dash_duo, lambda: "export failed: " in text(dash_duo, ".toast-alarm"))
    assert not dash_duo.find_elements("#toasts [aria-hidden]")
    dash_duo.find_element(".toast-close").click()
    until(dash_duo, lambda: text(dash_duo, "#toasts") == "")
    dash_duo.driver.execute_script(ANSWER_WITH_FILE + EXPORT)
    until(dash_duo, lambda: "Export ready: site.csv, 3 B" in text(dash_duo, "#toasts"))
    # What is more than a page may hold is left to the browser.
    dash_duo.driver.execute_script(HOLD_LITTLE + EXPORT_AGAIN)
    until(dash_duo, lambda: "site.csv is large" in text(dash_duo, "#toasts"))
    assert dash_duo.driver.execute_script("return window.left") == [link, "site.csv"]

    # Every value drawn, for those who do not see the chart.
    dash_duo.driver.execute_script("document.getElementById('ex-values-open').click()")
    until(dash_duo, lambda: len(dash_duo.find_elements("#ex-values tbody tr")) > 100)
    assert "(kW)" in text(dash_duo, "#ex-values thead")

    # Another series by hand; then the history cannot be read, and that is said.
    dash_duo.find_element(".ex-signals summary").click()
    dash_duo.driver.find_element(By.CSS_SELECTOR, ".ex-groups input[value='pv_kw']").click()
    until(dash_duo, lambda: "PV power" in text(dash_duo, ".ex-table"))
    services.history.broken = "The history is being reopened."
    # The click counts although the chart says in the same moment that it was drawn anew.
    dash_duo.driver.execute_script(CLICK_WHILE_DRAWN)
    until(dash_duo, lambda: "being reopened" in text(dash_duo, "#an-body-explorer"))
    severe = [entry for entry in dash_duo.get_logs() or [] if entry["level"] == "SEVERE"]
    assert severe == [], severe[0]["message"]
