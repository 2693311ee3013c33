"""The charts draw what was measured and planned, and stand still between updates."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import plotly.graph_objects as go
import pytest
from ui_builders import NOW, SITE, VALUES, minutes, plan

from ems_dash.ui.chart_window import chart_window
from ems_dash.ui.figure_parts import MAX_POINTS, Figure, nice_range
from ems_dash.ui.measured_past import FINE
from ems_dash.ui.plan_chart import plan_figure
from ems_dash.ui.price_bars import PriceBar, price_bars
from ems_dash.ui.price_soc_chart import price_soc_figure
from ems_dash.ui.theme import DATA_ROLES
from engine.domain.quarter_hour import quarter_start
from engine.domain.series import MeasuredPoint
from engine.runtime.planned_past import PlannedStep

VIENNA = ZoneInfo("Europe/Vienna")
WINDOW = chart_window(NOW, VIENNA, NOW - timedelta(days=1))


def power(points: list[MeasuredPoint] | None = None, the_plan: Any = "default") -> Figure:
    points = minutes(120) if points is None else points
    the_plan = plan() if the_plan == "default" else the_plan
    return plan_figure(WINDOW, points, the_plan, theme="light", lang="de")


def price_soc(theme: str = "light", the_plan: Any = "default") -> Figure:
    the_plan = plan() if the_plan == "default" else the_plan
    bars = price_bars(the_plan, [])
    return price_soc_figure(WINDOW, minutes(120), the_plan, bars, SITE, theme=theme, lang="de")


@pytest.mark.parametrize("figure", [power(), power(the_plan=None), price_soc(), power([])])
def test_figures_are_valid_without_webgl_and_with_fixed_axes(figure: Figure) -> None:
    go.Figure(figure)
    json.dumps(figure)  # plain lists only: extendData fails on encoded arrays
    assert "scattergl" not in json.dumps(figure)
    layout = figure["layout"]
    for axis in ("xaxis", "yaxis"):
        assert layout[axis]["autorange"] is False
        assert len(layout[axis]["range"]) == 2
    assert layout["uirevision"]
    assert layout["transition"]["duration"] == 0
    assert all(trace["meta"]["role"] in DATA_ROLES for trace in figure["data"])


def test_window_stands_still_for_a_quarter_hour() -> None:
    later = chart_window(NOW + timedelta(minutes=3), VIENNA, NOW - timedelta(days=1))
    assert (later.start, later.end) == (WINDOW.start, WINDOW.end)
    assert WINDOW.start == datetime(2026, 11, 22, 12, 15, tzinfo=UTC)
    assert WINDOW.end == datetime(2026, 11, 25, 0, 15, tzinfo=UTC)


def test_axis_reads_local_time() -> None:
    shown = datetime.fromtimestamp(WINDOW.x(NOW) / 1000, UTC)
    assert (shown.hour, shown.minute) == (13, 24)


def test_clock_change_writes_true_local_ticks() -> None:
    before_change = datetime(2026, 10, 24, 20, 0, tzinfo=UTC)  # 25-hour day begins
    window = chart_window(before_change, VIENNA)
    axis = window.x_axis("de")
    assert axis["tickmode"] == "array"
    midnight = axis["ticktext"].index("00:00<br>So, 25.10.")
    assert axis["ticktext"][midnight + 1] == "06:00"
    # 00:00 is still summer time, 06:00 winter time: seven hours apart.
    assert axis["tickvals"][midnight + 1] - axis["tickvals"][midnight] == 7 * 3_600_000
    assert "UTC+2" in axis["hoverformat"]


def drawn(figure: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the traces but the areas below lines, which come last."""
    return [trace for trace in figure["data"] if "below" not in trace["meta"]]


def test_live_traces_come_first_in_the_order_the_browser_extends() -> None:
    live = power()["data"][:6]
    last = [trace["y"][-1] for trace in live]
    assert last == [
        0.0,
        VALUES["battery_kw"],
        VALUES["pv_kw"],
        VALUES["grid_kw"],
        VALUES["load_kw"],
        VALUES["battery_kw"],
    ]
    assert {len(trace["x"]) for trace in live} == {120}


def test_missing_minutes_stay_a_hole() -> None:
    points = minutes(30)
    figure = power(points[:10] + points[15:])
    assert figure["data"][2]["y"].count(None) == 1
    assert figure["data"][2]["connectgaps"] is False


def test_no_area_reaches_over_a_hole() -> None:
    points = minutes(30)
    figure = power(points[:10] + points[15:])
    begin, end = (WINDOW.x(p.ts) for p in (points[9], points[15]))
    discharge, charge = figure["data"][:2]
    below = figure["data"][-1]
    assert below["meta"]["below"] == 2
    for area in (discharge, charge, below):
        assert None not in area["y"]
        hole = [y for x, y in zip(area["x"], area["y"], strict=True) if begin < x < end]
        assert hole == [0.0]
    # Straight from 0 to the first value after the hole, not along a ramp through it.
    after = [y for x, y in zip(below["x"], below["y"], strict=True) if x == end]
    assert after == [0.0, VALUES["pv_kw"]]


def test_live_traces_hold_at_most_720_points() -> None:
    figure = plan_figure(
        replace(WINDOW, start=WINDOW.start - timedelta(days=2)),
        minutes(1500),
        plan(),
        theme="light",
        lang="de",
    )
    assert max(len(trace["x"]) for trace in figure["data"][:6]) <= MAX_POINTS


def test_plan_is_drawn_from_now_on_only() -> None:
    planned_load = drawn(power())[-1]
    assert min(planned_load["x"]) > WINDOW.x(NOW)
    assert max(planned_load["x"]) < WINDOW.x(WINDOW.end)
    bars = power()["data"][6]
    assert bars["type"] == "bar"
    assert bars["width"][0] < bars["width"][1] == 900_000
    assert bars["customdata"][0] == -40.0


def test_curtailed_pv_is_not_drawn_as_used() -> None:
    given_away = plan(curtailed_kw=np.full(144, 10.0))
    with_curtailment = power(the_plan=given_away)["data"][8]["y"][0]
    without = power()["data"][8]["y"][0]
    assert without - with_curtailment == 10.0


def test_without_a_plan_the_chart_says_so() -> None:
    notes = [note["text"] for note in power(the_plan=None)["layout"]["annotations"]]
    assert "Noch kein Plan" in notes


def test_planned_soc_starts_at_the_measured_one() -> None:
    planned = price_soc()["data"][1]
    assert planned["y"][0] == VALUES["soc_percent"]
    assert planned["x"][0] == WINDOW.x(NOW)


def test_forecast_prices_look_different_and_past_ones_paler() -> None:
    early = [PriceBar(NOW - timedelta(hours=2), 15, 0.05, False)]
    figure = price_soc_figure(
        WINDOW,
        [],
        plan(),
        price_bars(plan(), early),
        SITE,
        theme="light",
        lang="de",
    )
    past, known, forecast = drawn(figure)[2:]
    assert len(past["x"]) == 1
    assert past["meta"]["marker"] < known["meta"]["marker"]
    assert "pattern" not in known["marker"]
    assert forecast["marker"]["pattern"]["shape"] == "/"
    assert len(known["x"]) + len(forecast["x"]) == 144


def test_prices_published_after_the_plan_replace_its_forecast() -> None:
    made = plan()
    first = made.times()[int(np.argmax(made.price_is_forecast))]
    news = [PriceBar(first + i * timedelta(minutes=15), 15, 0.4, False) for i in range(8)]
    bars = price_bars(made, news)
    assert [b.spot_eur_per_kwh for b in bars if first <= b.ts < first + timedelta(hours=2)] == (
        [0.4] * 8
    )
    assert [b.ts for b in bars] == list(made.times())
    assert bars[-1].is_forecast


def test_colours_differ_between_themes_and_roles_do_not() -> None:
    light, dark = price_soc("light"), price_soc("dark")
    for one, other in zip(light["data"], dark["data"], strict=True):
        assert one["meta"] == other["meta"]
    assert light["data"][0]["line"]["color"] != dark["data"][0]["line"]["color"]


@pytest.mark.parametrize(
    "values", [[], [0.0], [-0.1, 20.0], [-68.0, 80.0], [3.0], [1e-4], [12000.0, -9000.0]]
)
def test_nice_range_holds_the_data_on_round_ends(values: list[float]) -> None:
    low, high, step = nice_range(values)
    assert low <= min([0.0, *values])
    assert high >= max([0.0, *values])
    assert low <= 0 <= high
    assert (high - low) / step <= 7
    for end in (low, high):
        assert end / (step / 2) == pytest.approx(round(end / (step / 2)))


def test_small_changes_leave_the_axis_alone() -> None:
    assert nice_range([-67.0, 79.0]) == nice_range([-66.0, 80.5])


@pytest.mark.parametrize(
    ("measured_for", "hours_back"),
    [(None, 1), (timedelta(minutes=4), 1), (timedelta(hours=2, minutes=20), 3), (timedelta(9), 24)],
)
def test_the_window_shows_no_more_past_than_was_measured(
    measured_for: timedelta | None, hours_back: int
) -> None:
    first = None if measured_for is None else NOW - measured_for
    window = chart_window(NOW, VIENNA, first)
    assert quarter_start(NOW) - window.start == timedelta(hours=hours_back)
    assert window.end - quarter_start(NOW) == timedelta(hours=36)


def test_unknown_prices_are_said_and_not_drawn_as_zero() -> None:
    figure = price_soc(the_plan=None)
    assert [len(trace["x"]) for trace in drawn(figure)[2:]] == [0, 0, 0]
    assert "Noch keine Preise bekannt" in [n["text"] for n in figure["layout"]["annotations"]]


def test_the_older_past_is_drawn_by_quarter_hours_and_the_last_hours_by_minutes() -> None:
    points = minutes(24 * 60)
    load = power(points)["data"][4]
    fine_from = quarter_start(NOW - FINE)
    fine = [p for p in points if p.ts >= fine_from]
    assert load["x"][-len(fine) :] == [WINDOW.x(p.ts) for p in fine]
    coarse = load["x"][: -len(fine)]
    assert {b - a for a, b in pairwise(coarse)} == {900_000}
    assert None not in load["y"], "another interval is no hole"
    missing = power([p for p in points if p.ts.hour != 20])["data"][4]
    assert missing["y"].count(None) == 1


def test_what_was_planned_then_is_a_dashed_line_that_leaves_gaps_open() -> None:
    quarter = timedelta(minutes=15)
    times = [quarter_start(NOW) - i * quarter for i in (8, 7, 6, 3, 2)]
    planned = [PlannedStep(ts, ts + quarter, -10.0, 80.0) for ts in times]
    figure = plan_figure(WINDOW, minutes(120), plan(), theme="light", lang="en", planned=planned)
    line = drawn(figure)[-1]
    assert line["name"] == "planned then"
    assert line["line"]["dash"] == "dash"
    assert line["y"] == [-10.0, -10.0, -10.0, None, -10.0, -10.0]
    soc = drawn(
        price_soc_figure(WINDOW, [], plan(), [], SITE, theme="light", lang="en", planned=planned)
    )[-1]
    assert soc["yaxis"] == "y2"
    assert soc["x"][0] == WINDOW.x(times[0] + quarter), "planned for the end of the step"
    assert soc["y"][0] == 40.0
    assert len(drawn(plan_figure(WINDOW, [], plan(), theme="light", lang="en"))) == 11
