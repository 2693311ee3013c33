"""Studies as the page, the report, the API and the exports read them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence

import pytest

from engine.analytics.backtest.case import BacktestCase
from engine.analytics.backtest.policy import Forecaster, Policy
from engine.analytics.studies.asked import (
    FORECAST,
    MONTE_CARLO,
    ForecastAsked,
    StudiesAsked,
    YearsAsked,
    limits_asked,
)
from engine.analytics.studies.documents import study_document
from engine.analytics.studies.finance import Investment
from engine.analytics.studies.units import Outcome, Unit, carry_out
from engine.domain.errors import BacktestCancelledError, BacktestError
from engine.runtime.backtests.request import parse_request
from engine.runtime.backtests.result_document import studies_table
from tests.support.backtest_cases import case

RULE = Policy("self_consumption_rule")
DAILY = Policy("co_optimised", Forecaster.NAIVE, plan_minutes=1440, sub_steps=1)


@pytest.fixture(scope="module")
def week() -> BacktestCase:
    """A week from Monday on after five of past."""
    return case(past_days=35, days=7)


def run(units: Sequence[Unit]) -> list[Outcome]:
    return [carry_out(unit) for unit in units]


def test_made_up_years_have_a_spread_and_need_no_strategy_for_foresight(
    week: BacktestCase,
) -> None:
    asked = StudiesAsked(years=YearsAsked(n=3, seed=4, investment=Investment()))
    found = study_document(MONTE_CARLO, week, [RULE], asked, run=run)
    assert found["failure"] is None
    savings = [row["saving_eur_per_year"] for row in found["rows"]]
    assert savings == sorted(savings)
    assert savings[0] <= found["saving"]["p50"] <= savings[-1]
    assert found["npv"] is not None
    assert found == study_document(MONTE_CARLO, week, [RULE], asked, run=run)
    json.dumps(found, allow_nan=False)


def test_a_study_that_cannot_be_done_says_so_and_does_not_end_the_backtest(
    week: BacktestCase,
) -> None:
    asked = StudiesAsked(forecast=ForecastAsked(), years=YearsAsked())
    found = study_document(FORECAST, week, [RULE], asked, run=run)
    assert "needs a strategy" in found["failure"]
    short = week.between(week.start, week.start + (week.end - week.start) / 2)
    assert "no whole week" in study_document(MONTE_CARLO, short, [], asked, run=run)["failure"]

    def stopped(_units: Sequence[Unit]) -> list[Outcome]:
        raise BacktestCancelledError("stopped", field="study")

    with pytest.raises(BacktestCancelledError):
        study_document(MONTE_CARLO, week, [RULE], asked, run=stopped)


def test_better_forecasts_are_compared_with_the_real_ones(week: BacktestCase) -> None:
    few = ForecastAsked(scales=(0.0, 1.0), forecasters=(Forecaster.NAIVE,))
    found = study_document(FORECAST, week, [RULE, DAILY], StudiesAsked(forecast=few), run=run)
    rows = found["rows"]
    assert [(row["forecaster"], row["error_scale"]) for row in rows] == [
        ("perfect", 1.0), ("naive", 0.0), ("naive", 1.0)
    ]  # fmt: skip
    assert rows[0]["capture"] == pytest.approx(1.0)
    assert all(row["saving_eur"] <= rows[0]["saving_eur"] + 1e-6 for row in rows)
    table = studies_table({"sizing": None, "studies": {FORECAST: found}})
    assert table.column_names[:2] == ["study", "forecaster"]
    assert table.num_rows == 3


def test_limits_are_looked_for_where_the_site_meets_them(week: BacktestCase) -> None:
    chosen = limits_asked(week)
    net = week.series.load_kw - week.series.pv_kw
    most = float(net[week.first : week.stop].max())
    assert chosen.imports_kw[-1] is None
    assert 0.4 * most < chosen.imports_kw[0] < most <= chosen.imports_kw[-2] < 1.2 * most
    assert chosen.exports_kw[0] == 0.0
    alone = dataclasses.replace(
        week, series=dataclasses.replace(week.series, load_kw=0.0 * net, pv_kw=0.0 * net)
    )
    assert limits_asked(alone).imports_kw[-2] == pytest.approx(50.0)
    given = limits_asked(week, imports_kw=[40.0], exports_kw=[], cycles_per_year=[300.0, 100.0])
    assert (given.imports_kw, given.exports_kw) == ((40.0,), ())
    assert given.cycles_per_year == (100.0, 300.0)


@pytest.mark.parametrize(
    ("studies", "field", "said"),
    [
        ({"tariffs": []}, "studies.tariffs", "no other tariff"),
        (
            {"tariffs": [{"name": "a", "tariff": {}}, {"name": "a", "tariff": {}}]},
            "studies.tariffs",
            "same name",
        ),
        ({"montecarlo": {"years": 100_000}}, "studies.montecarlo.years", "less than or equal"),
        ({"luck": {}}, "studies.luck", "not permitted"),
    ],
)
def test_a_mistake_in_a_study_names_its_field(
    studies: dict[str, object], field: str, said: str
) -> None:
    with pytest.raises(BacktestError, match=said) as caught:
        parse_request({"studies": studies})
    assert caught.value.field == field
