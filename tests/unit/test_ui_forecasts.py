"""The forecasts page: charts tell forecast from fact, and words say how good it was."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import plotly.graph_objects as go
import pytest

from ems_dash.ui.chart_window import ChartWindow
from ems_dash.ui.forecasts import vintages as vin
from ems_dash.ui.forecasts import words
from ems_dash.ui.forecasts.accuracy_figures import daily_figure, lead_figure
from ems_dash.ui.forecasts.figures import Look, empty_figure, expected_figure, vintage_figure
from ems_dash.ui.forecasts.series import LOAD, PRICE, PV, series_of
from ems_dash.ui.forecasts.weather_figure import weather_figure
from engine.domain.forecast import LOAD_SIGNAL, PRICE_SIGNAL, PV_SIGNAL, Forecast
from engine.domain.quarter_hour import STEP
from engine.forecasting.accuracy import DayError, LeadScore
from engine.history.store import ForecastHeader
from engine.runtime.accuracy_service import ModelAccuracy
from engine.runtime.forecast_archive import Came
from engine.weather.weather import WeatherForecast
from tests.support.build import forecast

VIENNA = ZoneInfo("Europe/Vienna")
NOW = datetime(2026, 11, 23, 12, 4, tzinfo=UTC)
QUARTER = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
WINDOW = ChartWindow(QUARTER - timedelta(hours=24), QUARTER + timedelta(hours=36), NOW, VIENNA)
LOOK = Look("light", "en")


def price_forecast(published: int = 48, n: int = 144) -> Forecast:
    known = np.arange(n) < published
    p50 = np.linspace(0.05, 0.15, n)
    width = np.where(known, 0.0, 0.02)
    return forecast(
        PRICE_SIGNAL,
        n,
        p10=p50 - width,
        p50=p50,
        p90=p50 + width,
        model="ridge",
        known=known,
    )


def came(n: int = 96, value: float = 22.0) -> np.ndarray:
    return np.full(n, value)


def score(n: int = 500, **changes: Any) -> LeadScore:
    values: dict[str, Any] = {
        "lead_from_steps": 0,
        "lead_to_steps": None,
        "n": n,
        "mae": 3.0,
        "rmse": 4.0,
        "bias": 1.6,
        "rmae": 0.7,
        "pinball_p10": 0.5,
        "pinball_p50": 1.5,
        "pinball_p90": 0.5,
        "coverage": 0.78,
    }
    return LeadScore(**(values | changes))


def scored(model: str = "ensemble", signal: str = LOAD_SIGNAL, **changes: Any) -> ModelAccuracy:
    leads = (score(lead_to_steps=4), score(lead_from_steps=4, lead_to_steps=8, mae=4.0))
    days = (DayError(date(2026, 11, 22), 96, 2.5, 4.0), DayError(date(2026, 11, 23), 48, 3.5, None))
    fields: dict[str, Any] = {"overall": score(), "by_lead": leads, "mean_actual": 20.0}
    return ModelAccuracy(signal, model, 28, by_day=days, **(fields | changes))


def headers(*times: datetime) -> list[ForecastHeader]:
    return [ForecastHeader("site-1", LOAD_SIGNAL, ts, ts, 144, "ensemble", "m") for ts in times]


WEATHER = WeatherForecast(
    QUARTER,
    *(np.full(96, v) for v in (300.0, 200.0, 80.0, 40.0, 8.0, 3.0)),
    source="open_meteo",
    fetched_at=NOW,
)

FIGURES = [
    expected_figure(WINDOW, PRICE, price_forecast(), came(240, 0.08), LOOK),
    expected_figure(WINDOW, PV, None, came(), LOOK),
    expected_figure(WINDOW, LOAD, forecast(n=144), came(), LOOK),
    vintage_figure(WINDOW, LOAD, forecast(n=144), came(240), LOOK),
    lead_figure([scored(), scored("prophet")], LOAD, LOOK),
    daily_figure([scored(), scored("prophet")], LOAD, LOOK),
    daily_figure([], LOAD, LOOK),
    weather_figure(WINDOW, WEATHER, LOOK),
    empty_figure(WINDOW, "nothing", LOOK),
]


@pytest.mark.parametrize("figure", FIGURES)
def test_figures_are_valid_plain_and_stand_still(figure: dict[str, Any]) -> None:
    go.Figure(figure)
    assert "scattergl" not in json.dumps(figure, allow_nan=False)
    for axis in ("xaxis", "yaxis"):
        assert figure["layout"][axis]["autorange"] is False
    assert all("role" in trace["meta"] for trace in figure["data"])


def test_published_prices_are_solid_and_forecast_ones_hatched_with_a_band() -> None:
    figure = expected_figure(WINDOW, PRICE, price_forecast(), came(144, 0.08), LOOK)
    past, known, hatched, low, high, band = figure["data"]
    assert len(past["x"]) + len(known["x"]) == 144
    assert len(hatched["x"]) == 96
    assert hatched["marker"]["pattern"]["shape"] == "/"
    assert min(low["x"]) == WINDOW.x(QUARTER + 48 * STEP), "the band begins with the forecast"
    assert high["fill"] == "tonexty"
    assert low["y"][0] == pytest.approx(band["y"][0] - 2.0), "in ct/kWh"


def test_power_is_a_solid_line_up_to_now_and_a_dashed_one_in_a_band_after() -> None:
    actual, _low, high, median = FIGURES[2]["data"]
    assert max(actual["x"]) < WINDOW.x(NOW)
    assert min(median["x"]) > WINDOW.x(QUARTER)
    assert median["line"]["dash"] == "dash"
    assert "dash" not in actual["line"]
    assert median["customdata"][0] == [20.0, 45.0]
    assert set(high["y"]) == {45.0}


def test_without_a_forecast_the_chart_says_so() -> None:
    notes = [note["text"] for note in FIGURES[1]["layout"]["annotations"]]
    assert "No forecast" in notes


def test_a_past_forecast_is_marked_where_it_was_made_and_where_now_is() -> None:
    made = forecast(n=144, start=QUARTER - timedelta(hours=12), issued_at=NOW - timedelta(hours=12))
    figure = vintage_figure(WINDOW, LOAD, made, came(240), LOOK)
    marks = {note["text"]: note["x"] for note in figure["layout"]["annotations"]}
    assert marks == {"made": WINDOW.x(made.issued_at), "now": WINDOW.x(NOW)}


def test_models_differ_without_colour() -> None:
    first, second = FIGURES[4]["data"]
    assert "pattern" not in first["marker"]
    assert second["marker"]["pattern"]["shape"]
    one, two, naive = FIGURES[5]["data"]
    assert len({one["marker"]["symbol"], two["marker"]["symbol"], naive["marker"]["symbol"]}) == 3


def test_long_windows_have_fewer_ticks() -> None:
    hours = WINDOW.x_axis("en")["dtick"] / 3_600_000
    assert hours == 6
    assert WINDOW.x_axis("en", narrow=True)["dtick"] / 3_600_000 == 12


# --- words --------------------------------------------------------------------------------------


def test_facts_name_the_model_the_published_end_and_the_cheapest_price() -> None:
    listed = {f.what: f.text for f in words.facts(PRICE, price_forecast(), NOW, VIENNA, "en")}
    assert listed["Model"] == "Ridge regression"
    assert listed["Published until"] == "Tue, 24 Nov 01:00"
    assert "5.0" in listed["Cheapest quarter-hour in 24\u00a0h"]
    assert words.published_until(forecast()) is None


def test_facts_of_the_load_hold_energy_and_the_highest_p90() -> None:
    listed = {f.what: f.text for f in words.facts(LOAD, forecast(n=144), NOW, VIENNA, "de")}
    assert listed["Energie in 24 h"] == "720\u00a0kWh"
    assert listed["Höchstes P90"] == "45,0\u00a0kW"


@pytest.mark.parametrize(
    ("bias", "said"),
    [(1.6, "8\u202f% too high"), (-1.6, "8\u202f% too low"), (0.1, "right on average")],
)
def test_bias_is_said_in_words(bias: float, said: str) -> None:
    assert said in words.bias_note(LOAD, scored(overall=score(bias=bias)), 7, "en")


def test_few_pairs_are_no_judgement() -> None:
    few = scored(overall=score(n=12))
    assert words.bias_note(LOAD, few, 7, "en").endswith("12 of 96 pairs.")
    assert words.bias_note(LOAD, None, 7, "en").endswith("0 of 96 pairs.")
    assert words.naive_note(few, "en") == ""
    assert words.score_row("x", few.overall, LOAD, "en").few


def test_the_bias_of_a_price_is_money_not_a_share() -> None:
    entry = scored("ridge", PRICE_SIGNAL, overall=score(bias=0.012), mean_actual=-0.01)
    assert "1.2\u00a0ct/kWh too high" in words.bias_note(PRICE, entry, 7, "en")


def test_the_naive_is_named_when_it_would_have_been_better() -> None:
    assert "30\u202f% smaller" in words.naive_note(scored(), "en")
    assert "rMAE 1.20" in words.naive_note(scored(overall=score(rmae=1.2)), "en")


def test_prophet_is_compared_once_both_are_scored() -> None:
    worse = scored("prophet", overall=score(mae=5.0))
    assert "Prophet errs more: 5.0\u00a0kW against 3.0\u00a0kW" in words.prophet_note(
        LOAD, [scored(), worse], 28, "en"
    )
    assert "has not been scored" in words.prophet_note(LOAD, [scored()], 28, "en")
    assert "Only Prophet" in words.prophet_note(LOAD, [worse], 28, "en")
    few = replace(worse, overall=score(n=5))
    assert "has not been scored" in words.prophet_note(LOAD, [scored(), few], 28, "en")


def test_a_past_forecast_is_judged_by_what_has_come() -> None:
    made = forecast(n=8)
    actual = np.array([25.0, 25.0, 50.0, 25.0, *[np.nan] * 4])
    note = words.vintage_note(LOAD, made, actual, "en")
    assert note.startswith(
        "The true value of 4 of 8 quarter-hours is known: mean error 8.8\u00a0kW"
    )
    assert "75\u202f% were between" in note
    assert "Nothing" in words.vintage_note(LOAD, made, np.full(8, np.nan), "en")
    known = replace(made, p10=made.p50, p90=made.p50, known=np.ones(8, bool))
    assert "published already" in words.vintage_note(PRICE, known, actual, "en")


def test_rows_by_the_hour_leave_out_what_has_not_come() -> None:
    rows = words.hourly_rows(LOAD, forecast(n=8), np.array([10.0] * 4 + [np.nan] * 4), VIENNA, "en")
    assert [row[2] for row in rows] == ["30.0", "30.0"]
    assert [row[4] for row in rows] == ["10.0", "–"]
    assert rows[0][0] == "Mon, 23 Nov 13:00"


def test_without_a_forecast_published_prices_are_still_told() -> None:
    came = np.concatenate((np.full(40, 0.1), np.full(20, np.nan)))
    start = NOW - timedelta(hours=2)
    assert words.known_ahead(came, start, NOW) == start + timedelta(hours=10)
    assert words.known_ahead(came[:8], start, NOW) is None
    assert words.known_ahead(np.full(4, np.nan), start, NOW) is None


def test_missing_series_say_why() -> None:
    assert words.why_none(LOAD, {}, "Wait an hour.", "en")[1] == "Wait an hour."
    assert "no PV is measured" in words.why_none(PV, {LOAD_SIGNAL: forecast()}, "", "en")[0]
    assert "no forecast" in words.expected_summary(PV, None, NOW, VIENNA, "en")


def test_an_old_forecast_is_stale() -> None:
    assert not words.is_stale(forecast(issued_at=NOW - timedelta(minutes=16)), NOW)
    assert words.is_stale(forecast(issued_at=NOW - timedelta(minutes=40)), NOW)


def test_the_model_in_use_is_the_one_that_speaks() -> None:
    scores = [scored("prophet"), scored(), scored("pv_auto", PV_SIGNAL)]
    found = words.in_use(scores, LOAD, forecast())
    assert found is not None
    assert found.model == "ensemble"
    assert words.in_use(scores, LOAD, None) is None
    assert series_of("nonsense") is PRICE


# --- vintages -----------------------------------------------------------------------------------

HOURS = [QUARTER - timedelta(hours=h) for h in range(60, 0, -1)]


def test_a_choice_knows_its_day_and_neighbours() -> None:
    stored = headers(*HOURS)
    newest = vin.choose(stored, 999, VIENNA)
    assert newest.header is stored[-1]
    assert (newest.earlier, newest.later) == (True, False)
    assert newest.days == (date(2026, 11, 23), date(2026, 11, 22), date(2026, 11, 21))
    oldest = vin.choose(stored, -1, VIENNA)
    assert (oldest.index, oldest.earlier) == (0, False)


def test_another_day_keeps_the_time_of_day() -> None:
    stored = headers(*HOURS)
    at = vin.on_day(stored, date(2026, 11, 22), QUARTER - timedelta(hours=3), VIENNA)
    assert stored[at].issued_at == QUARTER - timedelta(hours=27)


def test_addresses_keep_the_instant_and_refuse_nonsense() -> None:
    ts = datetime(2026, 11, 23, 12, 0, 7, 946220, tzinfo=UTC)
    assert vin.from_stamp(vin.stamp(ts)) == ts
    for text in (None, "", "yesterday", "2026-11-23T12:00:00"):
        assert vin.from_stamp(text) is None
    assert vin.nearest([], ts) is None


def test_what_came_is_read_at_any_place() -> None:
    series = Came(QUARTER, np.array([1.0, 2.0, 3.0]))
    shown = series.at(QUARTER - STEP, 3)
    assert np.isnan(shown[0])
    assert list(shown[1:]) == [1.0, 2.0]
    assert np.isnan(series.at(QUARTER + 10 * STEP, 2)).all()
