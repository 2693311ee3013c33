"""The overview in a real browser over a fake plant that moves."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from fakes_ui import FakeServices, without_plan
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from ems_dash.app import create_app
from engine.domain.alarms import AlarmView
from engine.domain.strategy import StrategyKey
from tests.support.access import OPEN
from tests.support.browser import Pace, wait_until

pytestmark = pytest.mark.browser

DEADLINE_S = 120
# Each step of the plant brings a minute to draw, and a quarter-hour after fifteen.
MINUTE_S = 60.0


AT_ONCE = "document.documentElement.style.scrollBehavior = 'auto'"
"""Bootstrap scrolls smoothly; the driver clicks where an element was when it began to."""


def open_page(dash_duo: Any, services: FakeServices, lang: str = "de") -> None:
    dash_duo.start_server(create_app(services, access=OPEN), navigate=False)
    # Cookies need a page of the address; the overview would be drawn twice for it.
    dash_duo.driver.get(f"{dash_duo.server.url}/assets/logo.svg")
    dash_duo.driver.delete_all_cookies()
    dash_duo.driver.add_cookie({"name": "ems_lang", "value": lang})
    dash_duo.server_url = dash_duo.server.url
    dash_duo.wait_for_element("#soc-v", timeout=DEADLINE_S)
    wait_for_charts(dash_duo)
    js(dash_duo, AT_ONCE)


def wait_for_charts(dash_duo: Any, least: int = 2) -> None:
    until(dash_duo, lambda: len(dash_duo.find_elements(".js-plotly-plot .main-svg")) >= least)


def until(dash_duo: Any, condition: Any) -> Any:
    return wait_until(dash_duo.driver, condition, DEADLINE_S)


def text(dash_duo: Any, selector: str) -> str:
    return str(dash_duo.find_element(selector).text)


def js(dash_duo: Any, script: str, *arguments: Any) -> Any:
    return dash_duo.driver.execute_script(script, *arguments)


TRACE = """
const host = document.getElementById('{"id":"plan","type":"chart"}');
const plot = host.querySelector('.js-plotly-plot');
return {points: plot.data[2].x.length, last: plot.data[2].x.slice(-1)[0],
        now: plot.layout.shapes[1].x0, colour: plot.data[2].line.color,
        below: plot.data.filter(t => t.meta.below === 2).map(t => t.x.slice(-1)[0]),
        lengths: plot.data.slice(0, 6).map(t => t.x.length + ' ' + t.y.length),
        made: plot.layout.meta.made, range: plot._fullLayout.yaxis.range.slice()};
"""


NOW_MARKS = """
const plot = document.querySelector('.area-plan .js-plotly-plot');
const marks = () => [0, 1].map(i => plot.querySelector(
    `.shape-group[data-index="${i}"] path`).getAttribute("d"))
  .concat(Math.round(plot.querySelector('.annotation[data-index="0"]').getBoundingClientRect().x));
const moved = marks();
const done = arguments[arguments.length - 1];
Plotly.redraw(plot).then(() => done([moved, marks()]));
"""
"""Where past, line and word at now stand, and where Plotly itself would draw them."""


def test_a_figure_that_ends_before_points_the_server_took_for_drawn_leaves_no_hole(
    dash_duo: Any,
) -> None:
    # What happens when the charts come late: minutes were added to the old ones meanwhile.
    open_page(dash_duo, FakeServices())
    state, extended, held = js(
        dash_duo,
        """
        const apply = window.dash_clientside.ems.applyDelta;
        const figure = minute => ({layout: {meta: {made: "b|" + minute, minute: minute,
                                                   offset_ms: 0, y: [-100, 100]}}});
        const points = at => at.map(minute => [minute * 60000, 1, 2, 3, 4, 50]);
        const late = figure(100 * 60000);
        const first = apply({seq: 2, token: "t", now: 0, add: points([104, 105])},
                            {seq: 1, minute: 103 * 60000}, late, late);
        const then = apply({seq: 3, token: "t", now: 0, add: points([101, 102, 103, 104, 105])},
                           first[0], late, late);
        // While they are being drawn nothing is added, so that no work piles up.
        window.more = () => apply({seq: 4, token: "t", now: 0, add: points([106])},
                                  then[0], late, late);
        const held = window.more();
        return [[first[0].minute / 60000, then[0].minute / 60000, held[0].minute / 60000],
                then[1][0].x[2].map(x => x / 60000), held[1].x === undefined];
        """,
    )
    assert state == [100, 105, 105]
    assert extended == [101, 102, 103, 104, 105]
    assert held
    js(dash_duo, "document.querySelectorAll('.js-plotly-plot').forEach(p => Plotly.redraw(p))")
    until(dash_duo, lambda: js(dash_duo, "return window.emsLive.mayDraw()"))
    assert js(dash_duo, "return window.more()[1][0].x[2][0] / 60000") == 106


def test_no_horizontal_overflow_on_a_phone(dash_duo: Any) -> None:
    dash_duo.driver.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": 390, "height": 844, "deviceScaleFactor": 2, "mobile": True},
    )
    open_page(dash_duo, FakeServices())
    assert js(dash_duo, "return document.documentElement.scrollWidth;") <= 390
    spilling = js(
        dash_duo,
        """return Array.from(document.querySelectorAll('.card'))
             .filter(c => c.scrollWidth > c.clientWidth).map(c => c.id || c.className);""",
    )
    assert spilling == []
    too_small = js(
        dash_duo,
        """return Array.from(document.querySelectorAll('.topbar button'))
             .filter(b => b.offsetWidth < 36 || b.offsetHeight < 36).length;""",
    )
    assert too_small == 0


def test_missing_plan_says_why(dash_duo: Any) -> None:
    open_page(dash_duo, FakeServices(change=without_plan))
    assert "Preise für 2026-06-23 liegen nicht vor" in text(dash_duo, "#ov-steps")
    assert text(dash_duo, "#profit-v") == "–"
    assert "Optimierung gestört" in text(dash_duo, "#ov-notices")


def test_a_step_says_why_and_alarms_are_on_top(dash_duo: Any) -> None:
    def ill(snapshot: Any) -> Any:
        alarm = AlarmView("system_fault", True, snapshot.ts, subject="bms")
        return replace(snapshot, alarms=(alarm,))

    services = FakeServices(change=ill)
    open_page(dash_duo, services, lang="en")
    assert "Battery system fault: bms" in text(dash_duo, "#ov-alarms")
    assert dash_duo.find_element(".alarm-link").get_attribute("href").endswith("/monitoring")
    # The last hour of the battery, drawn from the points of the charts.
    spark = "return document.getElementById('soc-spark').style.clipPath.split(',').length"
    until(dash_duo, lambda: js(dash_duo, spark) > 30)
    earned = "return document.getElementById('profit-spark').style.clipPath"
    assert js(dash_duo, earned).startswith("polygon(")
    js(dash_duo, "document.getElementById('ov-table-open').click()")
    until(dash_duo, lambda: len(dash_duo.find_elements(".plan-table tbody tr")) == 24)
    js(dash_duo, "document.querySelectorAll('.plan-table .link-button')[20].click()")
    until(dash_duo, lambda: "What would change it" in text(dash_duo, ".modal-content"))
    assert "Worth of a stored kWh" in text(dash_duo, "#ov-why-body")
    assert "ct/kWh" in text(dash_duo, "#ov-why-body")
    dash_duo.find_element(".modal-header .btn-close").click()
    until(dash_duo, lambda: dash_duo.find_elements(".modal-content") == [])
    assert dash_duo.get_logs() == []


def test_a_new_plan_is_drawn_values_change_and_the_measured_curve_grows_minute_by_minute(
    dash_duo: Any,
) -> None:
    plant = FakeServices()
    open_page(dash_duo, plant)
    assert "13:15" in text(dash_duo, "#plan-caption")
    plant.advance(900)
    until(dash_duo, lambda: "13:30" in text(dash_duo, "#plan-caption"))

    moving = Pace(dash_duo, plant, MINUTE_S)
    first_power, first_time = text(dash_duo, "#pow-v"), text(dash_duo, "#hdr-time")
    before = js(dash_duo, TRACE)

    moving.until(lambda: text(dash_duo, "#pow-v") != first_power)
    moving.until(lambda: text(dash_duo, "#hdr-time") != first_time)
    first_soc = text(dash_duo, "#soc-v")
    moving.until(lambda: text(dash_duo, "#soc-v") != first_soc)
    moving.until(lambda: js(dash_duo, TRACE)["last"] > before["last"])
    moving.until(lambda: js(dash_duo, TRACE)["now"] > before["now"])

    after = js(dash_duo, TRACE)
    assert len(set(after["lengths"])) == 1
    assert after["below"] == [after["last"]], "the area grows with its line"
    assert re.fullmatch(r"[+−]?\d+,\d", text(dash_duo, "#pow-v"))
    assert dash_duo.get_logs() == []

    first = js(dash_duo, TRACE)
    moving.until(lambda: js(dash_duo, TRACE)["made"] != first["made"])
    rebuilt = js(dash_duo, TRACE)["last"]
    moving.until(lambda: js(dash_duo, TRACE)["last"] > rebuilt)
    gaps = js(
        dash_duo,
        """const p = document.querySelector('.js-plotly-plot').data[2].x;
           return p.slice(1).map((x, i) => x - p[i]);""",
    )
    # Quarter-hours first, then every minute.
    assert set(gaps) <= {900_000, 60_000}
    assert gaps == sorted(gaps, reverse=True)
    assert gaps[-1] == 60_000


def test_the_theme_button_repaints_without_reload_what_the_server_would_draw(
    dash_duo: Any,
) -> None:
    plant = FakeServices()
    open_page(dash_duo, plant)
    moving = Pace(dash_duo, plant, MINUTE_S)
    js(dash_duo, "window.notReloaded = true;")
    theme = js(dash_duo, "return document.documentElement.dataset.bsTheme;")
    before = js(dash_duo, TRACE)

    dash_duo.find_element("#theme-toggle").click()

    moving.until(
        lambda: js(dash_duo, "return document.documentElement.dataset.bsTheme;") != theme,
    )
    moving.until(lambda: js(dash_duo, TRACE)["colour"] != before["colour"])
    assert js(dash_duo, "return window.notReloaded;") is True
    assert js(dash_duo, TRACE)["last"] >= before["last"]
    # The choice outlives the page, and a new page is drawn in it at once.
    dash_duo.driver.refresh()
    wait_for_charts(dash_duo)
    assert js(dash_duo, "return document.documentElement.dataset.bsTheme;") != theme
    assert js(dash_duo, TRACE)["colour"] != before["colour"]

    wait_for_charts(dash_duo, 4)
    figures = """
      return Array.from(document.querySelectorAll('.js-plotly-plot')).map(p => JSON.stringify(
        {data: p.data.map(t => [t.line && t.line.color, t.fillcolor, t.marker]),
         shapes: p.layout.shapes.map(s => [s.fillcolor, s.line]),
         notes: p.layout.annotations.map(a => a.font.color),
         text: p._fullLayout.font.color, grid: p._fullLayout.yaxis.gridcolor}));
    """
    before = js(dash_duo, figures)
    dash_duo.find_element("#theme-toggle").click()
    until(dash_duo, lambda: js(dash_duo, figures) != before)
    until(dash_duo, lambda: all(a != b for a, b in zip(js(dash_duo, figures), before, strict=True)))
    repainted = js(dash_duo, figures)

    dash_duo.driver.refresh()
    wait_for_charts(dash_duo, 4)
    assert js(dash_duo, figures) == repainted


def test_in_the_other_language_a_strategy_and_an_order_are_given_and_taken_back(
    dash_duo: Any,
) -> None:
    services = FakeServices()
    open_page(dash_duo, services)
    assert text(dash_duo, "h1") == "Übersicht"
    dash_duo.find_element("#lang-toggle").click()
    until(dash_duo, lambda: dash_duo.find_elements("h1") and text(dash_duo, "h1") == "Overview")
    assert js(dash_duo, "return document.documentElement.lang;") == "en"
    assert "." in text(dash_duo, "#pow-v")
    wait_for_charts(dash_duo)
    js(dash_duo, AT_ONCE)
    # The page that was left may have complained of answers that came no more.
    dash_duo.reset_log_timestamp()

    dash_duo.find_element(".behind-plan summary").click()
    until(dash_duo, lambda: "median of three models" in text(dash_duo, ".behind"))
    assert "HIGHS" in text(dash_duo, ".behind")

    assert "No other strategy" in text(dash_duo, "#ov-choice")
    first = dash_duo.find_elements(".candidate")[0]
    assert "Co-optimised" in first.text
    assert "chosen" in first.text
    Select(dash_duo.find_element("#ov-choice-strategy")).select_by_value("self_consumption")
    Select(dash_duo.find_element("#ov-choice-hours")).select_by_value("2")
    dash_duo.find_element("#ov-choice-apply").click()
    until(dash_duo, lambda: "Self-consumption until 15:24" in text(dash_duo, "#ov-choice-said"))
    assert services.strategy_state().manual is StrategyKey.SELF_CONSUMPTION
    assert "by hand until 15:24" in text(dash_duo, ".choice-head")
    dash_duo.find_element("#ov-choice-auto").click()
    until(dash_duo, lambda: "automatic" in text(dash_duo, "#ov-choice-said"))
    assert services.strategy_state().mode == "auto"
    assert dash_duo.get_logs() == []

    assert text(dash_duo, "#hand-now") == "No order in force."
    dash_duo.find_element("#ov-hand-start").click()
    until(dash_duo, lambda: "above 0 kW" in text(dash_duo, "#ov-hand-said"))
    assert services.order is None
    Select(dash_duo.find_element("#ov-hand-action")).select_by_value("charge")
    dash_duo.find_element("#ov-hand-power").send_keys("42.5")
    dash_duo.find_element("#ov-hand-soc").send_keys("80")
    dash_duo.find_element("#ov-hand-start").click()
    until(dash_duo, lambda: "Taken over" in text(dash_duo, "#ov-hand-said"))
    assert services.order is not None
    assert (services.order.power_kw, services.order.soc_percent) == (-42.5, 80)
    services.advance(2.0)
    until(dash_duo, lambda: "Charge at 42.5" in text(dash_duo, "#hand-now"))
    assert "until 13:54 or 80" in text(dash_duo, "#hand-now")
    dash_duo.find_element("#ov-hand-stop").click()
    until(dash_duo, lambda: "automatically" in text(dash_duo, "#ov-hand-said"))
    assert services.order is None
    services.advance(2.0)
    until(dash_duo, lambda: text(dash_duo, "#hand-now") == "No order in force.")
    assert dash_duo.get_logs() == []


def test_a_stalled_loop_a_silent_server_and_a_device_that_goes_are_said_without_reload(
    dash_duo: Any,
) -> None:
    services = FakeServices()
    open_page(dash_duo, services)
    assert text(dash_duo, "#hdr-conn") == "Live"
    services.heartbeat_s = 14.0
    until(dash_duo, lambda: text(dash_duo, "#hdr-conn").replace("\u00a0", " ") == "veraltet, 14 s")
    assert dash_duo.find_element(".late-bar").is_displayed()
    services.heartbeat_s = 0.2
    services.advance(2)
    until(dash_duo, lambda: text(dash_duo, "#hdr-conn") == "Live")
    assert not dash_duo.find_element(".late-bar").is_displayed()

    bar = dash_duo.driver.find_element(By.ID, "offline-bar")
    assert not bar.is_displayed()
    dash_duo.driver.execute_cdp_cmd("Network.enable", {})
    network = {"latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
    dash_duo.driver.execute_cdp_cmd(
        "Network.emulateNetworkConditions", {"offline": True, **network}
    )
    until(dash_duo, bar.is_displayed)
    assert "Keine Verbindung zum Server" in bar.text
    dash_duo.driver.execute_cdp_cmd(
        "Network.emulateNetworkConditions", {"offline": False, **network}
    )
    until(dash_duo, lambda: not bar.is_displayed())

    assert "offline" not in text(dash_duo, "#ov-devices")

    def unplug(snapshot: Any) -> Any:
        bms, *others = snapshot.links
        gone = replace(bms, state="offline", reason="no answer for 12 s")
        return replace(snapshot, links=(gone, *others))

    services.change = unplug
    services.advance(2)
    until(dash_duo, lambda: "seit 12 s keine Antwort" in text(dash_duo, "#ov-devices"))
