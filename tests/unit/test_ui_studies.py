"""Studies of a backtest as the page and the report show them."""

from __future__ import annotations

from typing import Any

import pytest

from ems_dash.ui.backtest import studies_figures as fig
from ems_dash.ui.backtest import studies_words as sw
from ems_dash.ui.backtest.form_model import STUDIES
from ems_dash.ui.backtest.studies_view import cards
from ems_dash.ui.forecasts.figures import Look

ABOUT: dict[str, Any] = {"failure": None, "policy": "co_optimised", "assumptions": ["Perfect."]}


def limit(at: float | None, gain: float | None, failure: str | None = None) -> dict[str, Any]:
    price = None if at is None or gain is None else 1.5
    return {
        "limit": "grid_import",
        "at": at,
        "total_eur": 1.0,
        "gain_eur": gain,
        "price_eur": price,
        "failure": failure,
    }


def quality(forecaster: str, scale: float, capture: float) -> dict[str, Any]:
    return {
        "forecaster": forecaster,
        "error_scale": scale,
        "saving_eur": 1000.0 * capture,
        "capture": capture,
        "failure": None,
    }


RESULT: dict[str, Any] = {
    "studies": {
        "montecarlo": ABOUT
        | {
            "n": 20,
            "saving": {"p10": 800.0, "p50": 1000.0, "p90": 1200.0, "mean": 1000.0},
            "rows": [{"year": 1, "saving_eur_per_year": 800.0}],
        },
        "limits": ABOUT | {"rows": [limit(40.0, -60.0), limit(None, 0.0), limit(9.0, None, "No")]},
        "forecast": ABOUT
        | {
            "rows": [
                quality("perfect", 1.0, 1.0),
                *(quality("blend", s, c) for s, c in ((0.0, 0.8), (1.0, 0.6), (2.0, 0.5))),
            ]
        },
    }
}


def test_studies_come_in_one_order_and_results_of_old_have_none() -> None:
    assert [name for name, _ in sw.shown(RESULT)] == ["limits", "forecast", "montecarlo"]
    assert sw.shown({}) == []
    assert cards({}, "1", Look("light", "en")) == []


@pytest.mark.parametrize("lang", ["de", "en"])
def test_every_study_has_as_many_cells_as_heads(lang: str) -> None:
    for name, study in sw.shown(RESULT):
        rows = sw.rows(name, study, lang)
        assert rows
        assert {len(row) for row in rows} == {len(sw.heads(name, lang))}


def test_a_limit_that_cannot_be_kept_has_no_price() -> None:
    kept, free, not_kept = sw.rows("limits", RESULT["studies"]["limits"], "en")
    assert kept == ["Import limit", "40\u00a0kW", "−€60", "1.50"]
    assert free[1:] == ["no limit", "€0", "–"]
    assert not_kept[2:] == ["cannot be kept", "–"]


def test_what_forecasts_are_worth_is_said_of_the_forecaster_in_use() -> None:
    said = sw.claim("forecast", RESULT["studies"]["forecast"], "en")
    assert "80" in said
    assert "60" in said
    bars = fig.forecast_figure(RESULT["studies"]["forecast"], Look("light", "de"))["data"][0]
    assert bars["x"] == [100.0, 80.0, 60.0, 50.0]
    colours = bars["marker"]["color"]
    assert len({colours[0], colours[1], colours[3]}) == 1
    assert colours[2] != colours[1], "the forecaster as it is stands out"


def test_a_study_that_failed_says_why_and_shows_no_numbers() -> None:
    failed = {"failure": "No whole week.", "policy": None, "rows": [], "assumptions": []}
    for name in STUDIES:
        assert sw.rows(name, failed, "en") == []
        assert "No whole week." in sw.claim(name, failed, "en")
        assert cards({"studies": {name: failed}}, "1", Look("dark", "de", narrow=True))
