"""Studies of a backtest as the page and the report show them."""

from __future__ import annotations

from typing import Any

import pytest

from ems_dash.ui.backtest import studies_figures as fig
from ems_dash.ui.backtest import studies_words as sw
from ems_dash.ui.backtest.form_model import STUDIES, initial, request_from
from ems_dash.ui.backtest.studies_view import cards
from ems_dash.ui.forecasts.figures import Look
from engine.domain.errors import BacktestError
from engine.runtime.backtests.request import parse_request
from tests.support.backtest_desk import SmallCases

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


def paid(
    tariff: str, strategy: str, total: float | None, forecaster: str | None = None
) -> dict[str, Any]:
    return {
        "tariff": tariff,
        "strategy": strategy,
        "forecaster": forecaster,
        "total_eur": total,
        "saving_eur": 1.0,
        "capture": None,
        "demand_eur": 2.0,
        "full_cycles": 3.0,
        "failure": None,
    }


def tariffs(fixed_eur: float) -> dict[str, Any]:
    rows = [
        paid("in force", "none", 5000.0),
        paid("in force", "timer", 4900.0),
        paid("in force", "co_optimised", 4000.0, "blend"),
        paid("in force", "co_optimised", 3000.0, "perfect"),
        paid("Fixed", "none", 4800.0),
        paid("Fixed", "co_optimised", fixed_eur, "blend"),
        paid("Broken", "co_optimised", None, "blend"),
    ]
    return ABOUT | {"policy": None, "rows": rows}


@pytest.mark.parametrize("lang", ["de", "en"])
def test_the_cheapest_tariff_is_named_with_what_it_is_cheaper_by(lang: str) -> None:
    said = sw.claim("tariffs", tariffs(3500.0), lang)
    assert said is not None
    assert "Fixed" in said
    assert "500" in said
    assert "3000" not in said.replace(",", "").replace("\u202f", ""), "nobody can have foresight"
    stays = sw.claim("tariffs", tariffs(4500.0), lang)
    assert stays is not None
    assert "Fixed" not in stays
    assert cards({"studies": {"tariffs": tariffs(3500.0)}}, "1", Look("dark", lang, narrow=True))


def test_tariffs_are_drawn_without_a_battery_at_best_and_with_foresight() -> None:
    figure = fig.tariffs_figure(tariffs(3500.0), Look("light", "en"))
    assert [trace["x"] for trace in figure["data"]] == [
        [5000.0, 4800.0],
        [4000.0, 3500.0],
        [3000.0, None],
    ]
    assert figure["layout"]["yaxis"]["ticktext"] == ["In force", "Fixed"]


def test_the_form_asks_for_the_tariffs_that_have_a_name() -> None:
    start = initial(SmallCases().defaults())
    values = start | {
        "source": "recorded", "recorded_site": "demo", "recorded_prices": "at_2024",
        "forecaster": "naive", "plan_minutes": "60", "strategies": ["co_optimised"],
        "study_tariffs": True,
    }  # fmt: skip
    with pytest.raises(BacktestError) as nameless:
        request_from(values, start)
    assert nameless.value.field == "studies.tariffs"
    values |= {
        "other2.name": " Fixed ",
        "other2.energy_price_eur_per_kwh": 12.0,
        "other2.eur_per_kw": 0.0,
    }
    asked = parse_request(request_from(values, start))
    assert asked.studies is not None
    assert asked.studies.tariffs is not None
    (one,) = asked.studies.tariffs
    assert one.name == "Fixed"
    assert one.tariff.energy_price_eur_per_kwh == 0.12
    assert one.tariff.grid_fee_eur_per_kwh == 0.06
    assert one.tariff.demand_charge is None
