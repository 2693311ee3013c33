"""The data explorer: what is asked for, its address, and the chart."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from ems_dash.i18n import LANGS
from ems_dash.ui.analytics import explorer_model as model
from ems_dash.ui.analytics.explorer_figure import explorer_figure, local_ms
from ems_dash.ui.forecasts.figures import Look
from engine.history.series_names import series_name
from engine.history.series_query import Earlier, Series, SeriesAnswer, SeriesQuery, Step

VIENNA = ZoneInfo("Europe/Vienna")
NOW = datetime(2026, 6, 22, 11, 24, tzinfo=UTC)


def series(name: str, values: list[float], *, banded: bool = False) -> Series:
    found = series_name(name)
    ts = np.datetime64("2026-06-22T00:00", "us") + np.arange(len(values)) * np.timedelta64(1, "m")
    numbers = np.array(values)
    low, high = (numbers - 1, numbers + 1) if banded else (None, None)
    return Series(
        name,
        found.unit,
        found.family,
        False,
        ts,
        numbers,
        low,
        high,
        len(values),
        False,
        False,
        None,
    )


def answer(*found: Series) -> SeriesAnswer:
    names = tuple(one.name for one in found)
    query = SeriesQuery("s", names, NOW - timedelta(hours=1), NOW)
    return SeriesAnswer(query, Step.MINUTE, "Europe/Vienna", {one.name: one for one in found})


def test_the_address_brings_back_what_was_looked_at() -> None:
    asked = model.Asked(
        ("load_kw", "forecast:load_kw:p50@6h"),
        NOW - timedelta(hours=3),
        NOW,
        "",
        Step.MINUTE,
        Earlier.WEEK,
    )
    assert model.asked_of(asked.address(), NOW + timedelta(days=9)) == asked


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"range": "never", "step": "fortnight", "compare": "moon"},
        {"from": "yesterday", "to": "2026-06-22T00:00:00Z"},
        {"from": "2026-06-22T00:00:00Z", "to": "2026-06-21T00:00:00Z"},
        {"from": "2026-06-22T00:00:00", "to": "2026-06-23T00:00:00"},
    ],
)
def test_an_address_that_is_not_understood_shows_the_last_day(values: dict[str, str]) -> None:
    asked = model.asked_of(values, NOW)
    assert (asked.since, asked.until) == (NOW - timedelta(days=1), NOW)
    assert (asked.signals, asked.step, asked.compare) == (model.FIRST_SIGNALS, Step.AUTO, None)


def test_unknown_and_repeated_series_are_left_out() -> None:
    assert model.known_signals(["load_kw", "nonsense", " load_kw", "price:x"]) == ("load_kw",)
    assert model.asked_of({"signals": ""}, NOW).signals == ()


def test_a_zoom_is_read_as_local_time_and_never_shorter_than_a_minute() -> None:
    event = {"xaxis.range[0]": "2026-06-22 13:00:00.5", "xaxis.range[1]": "2026-06-22 13:00:02.5"}
    zoom = model.zoom_of(event, VIENNA)
    middle = datetime(2026, 6, 22, 11, 0, 1, 500_000, tzinfo=UTC)
    assert zoom == (middle - timedelta(seconds=30), middle + timedelta(seconds=30))
    assert model.zoom_of({"autosize": True}, VIENNA) is None


def test_zooming_out_stops_where_the_history_may_be_asked() -> None:
    asked = model.asked_of({"range": "365d"}, NOW)
    for _ in range(6):
        asked = model.zoomed_out(asked)
    assert asked.until - asked.since == model.LONGEST


@pytest.mark.parametrize("lang", LANGS)
def test_every_series_on_offer_exists_and_has_a_name_of_its_own(lang: str) -> None:
    for names in model.GROUPS.values():
        texts = [model.series_text(name, lang) for name in names]
        assert len(set(texts)) == len(names)
        assert not [text for text in texts if "_" in text or " kw" in text]


def test_each_unit_has_a_panel_and_no_two_lines_of_one_look_alike() -> None:
    found = answer(
        *(series(n, [1.0, 2.0]) for n in ("load_kw", "plan:load_kw", "soc_percent", "setpoint_kw"))
    )
    figure = explorer_figure(found, NOW - timedelta(hours=1), NOW, VIENNA, Look("light", "en"))
    layout = figure["layout"]
    assert layout["yaxis"]["domain"][0] > layout["yaxis2"]["domain"][1]
    assert [note["text"] for note in layout["annotations"]] == ["kW", "%"]
    pens = {(line["line"]["color"], line["line"]["dash"]) for line in figure["data"]}
    assert len(pens) == 4


def test_a_gap_splits_line_and_band() -> None:
    found = answer(series("load_kw", [1.0, 2.0, float("nan"), 4.0, 5.0], banded=True))
    figure = explorer_figure(found, NOW - timedelta(hours=1), NOW, VIENNA, Look("dark", "de"))
    band, line = figure["data"]
    assert line["y"][2] is None
    assert band["y"] == [2.0, 3.0, 1.0, 0.0, None, 5.0, 6.0, 4.0, 3.0, None]


def test_instants_are_drawn_at_the_local_time_of_each() -> None:
    ts = np.array(["2026-01-01T00:00", "2026-07-01T00:00"], dtype="datetime64[us]")
    hours = [ms / 3_600_000 % 24 for ms in local_ms(ts, VIENNA)]
    assert hours == [1.0, 2.0]
