"""Every page in a real browser: no barrier (axe-core), no error, nothing against its policy,
no English on a German page, nothing wider than a phone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dash
import pytest
from whole_plant import WholePlant

from ems_dash.app import create_app
from engine.devices.profile import MODBUS_PROFILES
from tests.support.access import OPEN
from tests.support.browser import wait_until

pytestmark = pytest.mark.browser

DEADLINE_S = 120

AXE = (Path(__file__).parents[1] / "support/vendor/axe.min.js").read_text(encoding="utf-8")

RUN_AXE = """
const done = arguments[arguments.length - 1];
axe.run(document, {runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]}).then(
  result => done(result.violations.flatMap(violation => violation.nodes.map(
    node => violation.id + " at " + node.target.join(" ") + ": " + node.html.slice(0, 160)))),
  error => done(["axe failed: " + error]));
"""

PAGES = {
    "/": "#soc-v",
    "/monitoring": "#m-soc-v",
    "/monitoring?tab=connections": "#mon-panel .row-item, #mon-panel tr",
    "/monitoring?tab=registers": "#reg-0-w",
    "/monitoring?tab=events": "#mon-panel li, #mon-panel tr",
    "/forecasts": "#fc-accuracy .js-plotly-plot .main-svg",
    "/analytics": "#an-body-results .js-plotly-plot .main-svg",
    "/analytics/explorer?signals=load_kw,soc_percent&range=7d": ".ex-table tbody td",
    "/analytics/runs": "#an-body-runs td",
    "/analytics/sql": ".sq-schema tbody td",
    "/analytics/import": "#im-file",
    "/backtest": "#bt-new-title",
    "/settings": "#set-form .card",
    "/settings?section=devices": "#set-form .card",
    "/settings?section=tariff": "#set-form .card",
    "/nowhere": ".not-found",
}
"""Path and what has come when the page is whole."""

ENGLISH = re.compile(
    r"\b(the|and|with|from|not|were|is|are|has|have|this|that|for|until|since|which|cannot|"
    r"failed|missing|answer|answers|unit|value|values|price|prices|battery|power|energy|load|grid|"
    r"charge|charging|discharge|forecast|started|stopped|error|unknown|read|write|waiting|yet|"
    r"minutes|hours|days|step|steps|run|runs|best|worst|median|mean|models?)\b"
)
"""Words that no German sentence has."""

VISIBLE_TEXT = """
const skipped = "code, pre, script, style, [lang=en], .icon, .brand-name, .raw, input, textarea";
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
const out = [];
while (walker.nextNode()) {
  const text = walker.currentNode, element = text.parentElement;
  if (text.textContent.trim() && !element.closest(skipped)) out.push(text.textContent.trim());
}
document.querySelectorAll("[title], [aria-label], [placeholder]").forEach(element => {
  if (!element.closest(skipped))
    for (const name of ["title", "aria-label", "placeholder"])
      if (element.getAttribute(name)) out.push(element.getAttribute(name));
});
return out;
"""

FADING = "return document.getAnimations().filter(a => a instanceof CSSTransition).length"


def is_english(text: str) -> bool:
    """Return True when English words are left once words of device profiles are taken away."""
    for words in PROFILE_WORDS:
        text = text.replace(words, "")
    # A table of the history goes by its name.
    return ENGLISH.search(re.sub(r"^\w+ – ", "", text)) is not None


def _profile_words() -> tuple[str, ...]:
    words = set()
    for profile in MODBUS_PROFILES.values():
        words |= {profile.model, profile.manufacturer, profile.label}
    return tuple(sorted(filter(None, words), key=len, reverse=True))


PROFILE_WORDS = _profile_words()
"""Profiles are data of their devices and speak the language of the manual."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: Any, one_address: Any, one_browser: Any) -> Iterator[str]:
    """The address of one plant for all pages, with an alarm and a device that is silent."""
    plant = WholePlant(tmp_path_factory.mktemp("plant"))
    plant.raise_alarm("system_fault")
    one_address(create_app(plant, access=OPEN))
    # Cookies need a page of the address.
    one_browser.driver.get(f"{one_address.url}/assets/logo.svg")
    one_browser.driver.add_cookie({"name": "ems_lang", "value": "de"})
    yield str(one_address.url)
    one_browser.forget_pages(one_address)
    dash.page_registry.clear()


@pytest.fixture
def clear_page_registry() -> None:
    """The pages of one app serve the whole module."""


def open_page(browser: Any, url: str, selector: str) -> None:
    browser.driver.get(url)
    found = "return document.querySelectorAll(arguments[0]).length > 0"
    until(browser, lambda: browser.driver.execute_script(found, selector))


def until(browser: Any, condition: Any) -> None:
    wait_until(browser.driver, condition, DEADLINE_S)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_no_barrier_in_either_theme_and_no_error(
    path: str, site: str, one_browser: Any
) -> None:
    driver = one_browser.driver
    driver.get("about:blank")
    driver.set_window_size(1300, 1000)
    one_browser.get_logs()
    open_page(one_browser, site + path, PAGES[path])
    driver.execute_script(AXE)
    first = driver.execute_script("return document.documentElement.dataset.bsTheme")
    found = {first: driver.execute_async_script(RUN_AXE)}
    driver.execute_script("document.getElementById('theme-toggle').click()")
    theme = "return document.documentElement.dataset.bsTheme"
    until(one_browser, lambda: driver.execute_script(theme) != first)
    # Colours half-way from one theme to the other belong to neither.
    until(one_browser, lambda: not driver.execute_script(FADING))
    found[driver.execute_script(theme)] = driver.execute_async_script(RUN_AXE)
    assert found == {"light": [], "dark": []}

    english = [text for text in driver.execute_script(VISIBLE_TEXT) if is_english(text)]
    assert english == []

    driver.set_window_size(500, 900)
    # Charts follow the width of the window a moment later.
    fits = "return document.documentElement.scrollWidth <= innerWidth"
    until(one_browser, lambda: driver.execute_script(fits))
    assert [entry["message"] for entry in one_browser.get_logs()] == []
