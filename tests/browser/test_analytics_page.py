"""The results of a period in a real browser, as an analyst reads them."""

from __future__ import annotations

from typing import Any
from urllib.request import Request, urlopen

import pytest
from fakes_ui import FakeServices
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from ems_dash.app import create_app
from tests.support.access import OPEN
from tests.support.browser import wait_until

pytestmark = pytest.mark.browser

DEADLINE_S = 120


def until(dash_duo: Any, condition: Any) -> None:
    wait_until(dash_duo.driver, condition, DEADLINE_S)


def text(dash_duo: Any, selector: str) -> str:
    """Return what is shown there now; parts of the page are replaced while one looks."""
    script = "var e = document.querySelector(arguments[0]); return e ? e.innerText : '';"
    shown = str(dash_duo.driver.execute_script(script, selector))
    return shown.replace("\u202f", " ").replace("\u00a0", " ")


def query(dash_duo: Any) -> str:
    return str(dash_duo.driver.execute_script("return window.location.search"))


def choose(dash_duo: Any, name: str, value: str) -> None:
    Select(dash_duo.driver.find_element(By.ID, name)).select_by_value(value)


def test_an_analyst_picks_a_period_and_follows_the_money(dash_duo: Any) -> None:
    services = FakeServices()
    dash_duo.start_server(create_app(services, access=OPEN))
    dash_duo.driver.get(f"{dash_duo.server_url}/assets/logo.svg")
    dash_duo.driver.add_cookie({"name": "ems_lang", "value": "en"})
    dash_duo.driver.get(f"{dash_duo.server_url}/analytics?period=7d")

    # The key figures are in the document already; everything else comes when Dash has started.
    address = f"{dash_duo.server_url}/analytics?period=7d"
    with urlopen(Request(address, headers={"Cookie": "ems_lang=en"}), timeout=60) as answer:
        assert "+€49.36" in answer.read().decode()

    # Four days of 12.34 EUR, in big and in the ledger's last row.
    until(dash_duo, lambda: text(dash_duo, "#an-kpi-profit-v") == "+€49.36")
    assert text(dash_duo, ".an-sum td:last-child") == "€49.36"
    assert len(dash_duo.find_elements(".an-ledger tbody tr")) == 5
    until(dash_duo, lambda: dash_duo.find_elements("#an-body-results .js-plotly-plot .barlayer"))
    link = dash_duo.find_element(".an-links a").get_attribute("href")
    assert "from=2026-06-15T22%3A00%3A00Z&to=2026-06-22T22%3A00%3A00Z" in link
    assert "stood still for 42 min" in text(dash_duo, ".an-findings")
    assert "Co-optimised 50 %" in " ".join(text(dash_duo, ".an-list").split())

    # Against another baseline, another period, another picture: the address follows.
    choose(dash_duo, "an-baseline", "timer")
    until(dash_duo, lambda: text(dash_duo, "#an-kpi-profit-v") == "+€20.00")
    dash_duo.driver.find_element(By.CSS_SELECTOR, "label[for$='yesterday']").click()
    until(dash_duo, lambda: text(dash_duo, "#an-kpi-profit-v") == "+€5.00")
    choose(dash_duo, "an-heat-choice", "soc")
    until(dash_duo, lambda: "heat=soc" in query(dash_duo))
    assert "period=yesterday" in query(dash_duo)

    # The link leads to the same results; a part that cannot be read leaves the rest standing.
    services.history.broken = "The history is being reopened."
    dash_duo.driver.get(f"{dash_duo.server_url}/analytics{query(dash_duo)}")
    until(dash_duo, lambda: text(dash_duo, "#an-kpi-profit-v") == "+€5.00")
    assert "being reopened" in text(dash_duo, "#an-body-results .notices")

    # Days of one's own choice, where nothing is stored.
    dash_duo.driver.get(
        f"{dash_duo.server_url}/analytics?period=custom&from=2020-01-01&to=2020-01-03"
    )
    until(dash_duo, lambda: text(dash_duo, "#an-kpi-profit-v") == "–")
    assert "Nothing is stored for this period." in text(dash_duo, "#an-body-results")
    assert dash_duo.find_element("#an-from").is_displayed()

    # The optimiser's runs stand behind the next tab; the main navigation stays on the analytics.
    dash_duo.find_element(".an-tabs a[href='/analytics/runs']").click()
    until(dash_duo, lambda: "2 runs · 0 without a plan" in text(dash_duo, "#an-body-runs"))
    assert "Analytics" in text(dash_duo, ".nav-item[aria-current]")
    dash_duo.driver.find_element(By.CSS_SELECTOR, "label[for$='failed']").click()
    until(dash_duo, lambda: "No run of this kind" in text(dash_duo, "#an-body-runs"))
    until(dash_duo, lambda: "show=failed" in query(dash_duo))
    severe = [entry for entry in dash_duo.get_logs() or [] if entry["level"] == "SEVERE"]
    assert severe == [], severe[0]["message"]
