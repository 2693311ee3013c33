from __future__ import annotations

import dataclasses
import pickle
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from engine.analytics.backtest.accounts import account
from engine.analytics.backtest.case import BacktestCase
from engine.analytics.backtest.evaluate import Comparison, compare, evaluate
from engine.analytics.backtest.plans import Planner
from engine.analytics.backtest.policy import AUTO, STRATEGIES, Forecaster, Policy
from engine.analytics.backtest.prepared import prepare
from engine.analytics.backtest.problems import Problems
from engine.analytics.backtest.views import Views
from engine.analytics.baselines import ACTUAL, OPENING
from engine.analytics.savings import Carry, account_day, add_up
from engine.config.tariff import TariffConfig
from engine.domain.errors import BacktestCancelledError, BacktestError, MarketError
from engine.domain.local_days import local_midnight
from engine.domain.records import LedgerRow, SavingsRow
from engine.domain.strategy import StrategyKey
from engine.market.tariff import TariffBook
from engine.optimization.routed import RoutedOptimizer
from engine.strategies.candidates import plan_candidates
from engine.strategies.evaluation import evaluate as evaluate_plan
from engine.strategies.parameters import StrategyContext, StrategyParameters
from tests.support.backtest_cases import SITE, TARIFF, case

HOURLY = {"plan_minutes": 60}
CAUSAL = Policy("co_optimised", Forecaster.DAY_TYPE, reserve=1.0, **HOURLY)


@pytest.fixture(scope="module")
def week() -> BacktestCase:
    return case()


@pytest.fixture(scope="module")
def compared(week: BacktestCase) -> Comparison:
    policies = [
        Policy("none"),
        Policy("self_consumption_rule"),
        Policy("timer"),
        Policy("co_optimised", Forecaster.PERFECT),
        Policy("co_optimised", Forecaster.PERFECT_36H, **HOURLY),
        CAUSAL,
    ]
    return compare(week, policies, keep_traces=True)


def test_no_battery_saves_nothing_and_perfect_foresight_most(compared: Comparison) -> None:
    none, *_, perfect, horizon, causal = compared.results
    assert none.saving_eur == 0.0
    assert none.full_cycles == 0.0
    assert none.total_eur == pytest.approx(compared.without_eur)
    assert perfect.capture == 1.0
    assert all(r.saving_eur <= perfect.saving_eur + 1e-6 for r in compared.results)
    assert horizon.capture is not None
    assert causal.capture is not None
    assert 0.3 < causal.capture <= horizon.capture <= 1.0


def test_the_parts_of_a_saving_add_up(compared: Comparison) -> None:
    for result in compared.results:
        parts = result.energy_eur + result.demand_eur + result.wear_eur - result.stored_eur
        assert result.saving_eur == pytest.approx(compared.without_eur - parts, abs=1e-6)
        assert sum(m.saving_eur for m in result.months) == pytest.approx(
            result.saving_eur, abs=1e-5
        )
        assert result.monthly_peaks_kw == tuple(m.peak_kw for m in result.months)


def test_the_battery_never_leaves_its_limits(week: BacktestCase, compared: Comparison) -> None:
    battery = week.battery
    for result in compared.results[1:]:
        traces = result.traces
        assert traces is not None
        assert traces.energy_kwh.min() >= battery.energy_min_kwh - 1e-6
        assert traces.energy_kwh.max() <= battery.energy_max_kwh + 1e-6
        assert np.abs(traces.battery_kw).max() <= 50.0 + 1e-9
        net = (week.series.load_kw - week.series.pv_kw)[week.first : week.stop]
        assert np.allclose(traces.grid_kw, net + traces.curtailed_kw - traces.battery_kw)


def test_the_money_is_that_of_the_savings_ledger(week: BacktestCase, compared: Comparison) -> None:
    """The vectorised sums and the ledger, booked quarter-hour by quarter-hour, agree."""
    result, prepared, zone = compared.results[-1], prepare(week), ZoneInfo("Europe/Vienna")
    traces, book = result.traces, TariffBook(week.tariff, zone)
    assert traces is not None
    days: dict[object, list[tuple[LedgerRow, SavingsRow]]] = {}
    for k in range(week.n):
        ts = week.start + k * timedelta(minutes=15)
        i = week.first + k
        imported, exported = max(0.0, traces.grid_kw[k]) / 4, max(0.0, -traces.grid_kw[k]) / 4
        cost = round(imported * prepared.buy[i] - exported * prepared.sell[i], 6)
        booked = _ledger_row(ts, imported, exported, prepared.buy[i], prepared.sell[i])
        moved = traces.battery_kw[k] / 4
        row = SavingsRow(
            ts,
            "bt",
            ACTUAL,
            imported,
            exported,
            max(0.0, -moved),
            max(0.0, moved),
            float(traces.energy_kwh[k]),
            cost,
        )
        days.setdefault(ts.astimezone(zone).date(), []).append((booked, row))
    carry, accounts = Carry(), []
    opening = SavingsRow(
        week.start - timedelta(minutes=15), "bt", OPENING, 0, 0, 0, 0, week.energy_start_kwh, 0
    )
    for day, rows in days.items():
        found = account_day(
            day,  # type: ignore[arg-type]
            booked=[b for b, _ in rows],
            savings=[opening, *(s for _, s in rows)],
            tariff=book,
            battery=week.battery,
            zone=zone,
            stored_value_eur_per_kwh=prepared.stored_value_eur_per_kwh,
            before=carry,
        )
        carry = found.closing
        accounts.append(found.sides[ACTUAL])
    ledger = add_up(accounts)
    ours = account(prepared, traces)
    assert ledger.energy_eur == pytest.approx(result.energy_eur, abs=1e-4)
    assert ledger.demand_eur == pytest.approx(result.demand_eur, abs=1e-4)
    assert ledger.wear_eur == pytest.approx(result.wear_eur, abs=1e-4)
    assert ledger.total_eur == pytest.approx(ours.total_eur, abs=1e-3)


def _ledger_row(
    ts: datetime, imported: float, exported: float, buy: float, sell: float
) -> LedgerRow:
    values = {
        "ts": ts,
        "site_id": "bt",
        "import_kwh": imported,
        "export_kwh": exported,
        "buy_eur_per_kwh": buy,
        "sell_eur_per_kwh": sell,
    }
    rest = {
        f.name: (900.0 if f.name == "seconds" else 0.0)
        for f in dataclasses.fields(LedgerRow)
        if f.name not in values and f.default is dataclasses.MISSING
    }
    return LedgerRow(**{**rest, **values})  # type: ignore[arg-type]


def test_the_future_changes_nothing_before_it_is_known(week: BacktestCase) -> None:
    noon = local_midnight(week.start.date() + timedelta(days=3), ZoneInfo("Europe/Vienna"))
    noon += timedelta(hours=12)
    at = (noon - week.series.start) // timedelta(minutes=15)
    k = at - week.first
    load, pv = week.series.load_kw.copy(), week.series.pv_kw.copy()
    load[at:], pv[at:] = load[at:] * 1.7 + 5.0, pv[at:] * 0.3
    # Prices of the running day are published; those of the next from 13:00.
    spot = week.series.spot_eur_per_kwh.copy()
    spot[at + 48 :] += 0.2
    other = dataclasses.replace(
        week,
        series=dataclasses.replace(week.series, load_kw=load, pv_kw=pv, spot_eur_per_kwh=spot),
    )
    for forecaster in (Forecaster.BLEND, Forecaster.NAIVE):
        policy = Policy("co_optimised", forecaster, scenarios=3, reserve=1.0, **HOURLY)
        one, two = evaluate(week, policy).traces, evaluate(other, policy).traces
        assert one is not None
        assert two is not None
        assert np.array_equal(one.battery_kw[:k], two.battery_kw[:k])
        assert not np.allclose(one.battery_kw[k:], two.battery_kw[k:])


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_runs_with_and_without_foresight(strategy: str) -> None:
    short = case(days=2)
    for policy in (
        Policy(strategy, Forecaster.PERFECT),
        Policy(strategy, Forecaster.DAY_TYPE, **HOURLY),
    ):
        result = evaluate(short, policy)
        assert np.isfinite(result.saving_eur)
        assert result.plans_failed == 0
        assert result.solves >= 1
    if strategy == AUTO:
        assert any(note.startswith("Chosen:") for note in result.notes)


@pytest.mark.parametrize("feed_in", [None, 0.12])
def test_no_strategy_beats_the_co_optimised_plan_that_the_automatic_choice_takes(
    feed_in: float | None,
) -> None:
    # With feed-in above the purchase price the steps are not convex.
    tariff = TariffConfig(
        spot_markup_eur_per_kwh=0.0,
        grid_fee_eur_per_kwh=0.0,
        feed_in_eur_per_kwh=feed_in,
        demand_charge={"eur_per_kw": 8.0},
    )
    prepared = prepare(case(days=2, tariff=tariff))
    policy = Policy(AUTO, Forecaster.DAY_TYPE, reserve=1.0)
    problems = Problems(prepared, policy, Views(prepared, policy.forecaster))
    for i in range(prepared.case.first, prepared.case.first + 60, 20):
        state = {"energy_kwh": 30.0 + i % 40, "metered_kw": 20.0}
        taken = Planner(problems, policy).make(i, **state)
        true = problems.instance(problems.outlook(i, **state, last_value=None))
        context = StrategyContext(recent_net_load_kw=problems.recent_net_kw(i))
        rivals = plan_candidates(
            true,
            context,
            StrategyParameters(),
            RoutedOptimizer(),
            [key for key in StrategyKey if key is not StrategyKey.CO_OPTIMISED],
        )
        chosen = evaluate_plan(true, taken.battery_kw, taken.curtailed_kw)
        assert taken.strategy == StrategyKey.CO_OPTIMISED
        for rival in rivals.values():
            assert rival.value.cost_eur is not None
            assert (
                chosen.cost_eur + chosen.preference_eur
                <= rival.value.cost_eur + rival.preference_eur + 1e-6
            )


def test_arbitrage_blind_to_the_demand_charge_pays_for_it(week: BacktestCase) -> None:
    blind = evaluate(week, Policy("arbitrage", Forecaster.PERFECT))
    whole = evaluate(week, Policy("co_optimised", Forecaster.PERFECT))
    assert blind.demand_eur > whole.demand_eur
    assert blind.saving_eur < whole.saving_eur


def test_feed_in_above_the_purchase_price_is_planned_too() -> None:
    tariff = TariffConfig(
        feed_in_eur_per_kwh=0.07, spot_markup_eur_per_kwh=0.0, grid_fee_eur_per_kwh=0.0
    )
    result = compare(
        case(days=1, tariff=tariff), [Policy("co_optimised", Forecaster.NAIVE, **HOURLY)]
    )
    assert result.results[0].plans_failed == 0
    assert result.results[0].saving_eur <= result.perfect.saving_eur + 1e-6


def test_without_pv_there_is_no_self_consumption_to_speak_of() -> None:
    result = evaluate(case(days=1, pv_peak_kw=0.0), Policy("none"))
    assert result.self_consumption is None
    assert result.self_sufficiency == 0.0


def test_progress_is_told_and_a_cancelled_run_leaves_nothing(week: BacktestCase) -> None:
    seen: list[float] = []
    evaluate(week, CAUSAL, progress=lambda _label, share: seen.append(share))
    assert seen[0] == 0.0
    assert seen[-1] == 1.0
    assert seen == sorted(seen)
    with pytest.raises(BacktestCancelledError, match="stopped"):
        evaluate(week, CAUSAL, cancelled=lambda: len(seen) > 0)


def test_cases_and_policies_are_named_by_their_content(week: BacktestCase) -> None:
    again = pickle.loads(pickle.dumps(week))
    assert again.key() == week.key()
    assert week.with_battery(dataclasses.replace(week.battery, energy_capacity_kwh=50.0)).key() != (
        week.key()
    )
    assert Policy("none").key() == Policy("none").key()
    assert pickle.loads(pickle.dumps(CAUSAL)).key() == CAUSAL.key()
    bigger = week.with_battery(
        dataclasses.replace(week.battery, energy_capacity_kwh=200.0, power_charge_max_kw=100.0)
    )
    perfect = Policy("co_optimised", Forecaster.PERFECT)
    assert evaluate(bigger, perfect).saving_eur > evaluate(week, perfect).saving_eur


def test_impossible_cases_and_policies_say_what_is_wrong(week: BacktestCase) -> None:
    with pytest.raises(BacktestError, match="reach from"):
        week.between(week.start, week.end + timedelta(days=30))
    with pytest.raises(BacktestError, match="too short"):
        week.between(week.start, week.start)
    with pytest.raises(BacktestError, match="time zone"):
        week.between(datetime(2025, 3, 17), week.end)  # noqa: DTZ001
    with pytest.raises(BacktestError, match="not possible for forecaster"):
        Policy("co_optimised", "crystal_ball")  # type: ignore[arg-type]
    with pytest.raises(BacktestError, match="not possible for strategy"):
        Policy("gambling")
    late = TariffConfig(
        versions=[{**TARIFF.model_dump(exclude={"versions"}), "valid_from": "2030-01-01"}]
    )  # type: ignore[list-item]
    with pytest.raises(MarketError, match="No tariff"):
        evaluate(week.with_tariff(late), Policy("none"))


def test_a_billing_period_cut_by_the_edges_is_said(compared: Comparison) -> None:
    assert any("only partly" in text for text in compared.assumptions)
    assert compared.case.site is SITE
    assert compared.case.start.tzinfo is UTC
