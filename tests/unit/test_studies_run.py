from __future__ import annotations

import dataclasses
import logging
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pytest

from engine.analytics.backtest.case import BacktestCase
from engine.analytics.backtest.evaluate import compare, evaluate
from engine.analytics.backtest.policy import Forecaster, Policy
from engine.analytics.backtest.result import BacktestResult
from engine.analytics.studies.finance import Investment
from engine.analytics.studies.forecast_quality import quality_points, quality_units
from engine.analytics.studies.limits import cycle_values, grid_units, grid_values
from engine.analytics.studies.monte_carlo import monte_carlo, monte_carlo_units
from engine.analytics.studies.run import StudyProgress, run_units
from engine.analytics.studies.side_by_side import side_by_side, side_by_side_units
from engine.analytics.studies.sizing import sizing_map, sizing_units
from engine.analytics.studies.store import UnitStore
from engine.analytics.studies.units import Failure, Unit
from engine.analytics.studies.year_samples import PriceSeries, sample_years
from engine.config.tariff import TariffConfig
from engine.domain.errors import BacktestCancelledError, BacktestError
from tests.support.backtest_cases import TARIFF, case, series

PERFECT = Policy("co_optimised", Forecaster.PERFECT)
CAUSAL = Policy("co_optimised", Forecaster.NAIVE, plan_minutes=60)


@pytest.fixture(scope="module")
def week() -> BacktestCase:
    return case(days=7)


@pytest.fixture(scope="module")
def units(week: BacktestCase) -> list[Unit]:
    return sizing_units(week, PERFECT, [50.0, 100.0], [20.0, 50.0])


def same(one: object, two: object) -> bool:
    assert isinstance(one, BacktestResult)
    assert isinstance(two, BacktestResult)
    return dataclasses.replace(one, seconds=0.0, traces=None).as_dict() == (
        dataclasses.replace(two, seconds=0.0, traces=None).as_dict()
    )


def test_a_study_goes_on_where_it_stopped(tmp_path: Path, units: list[Unit]) -> None:
    store = UnitStore.of_study(tmp_path, [unit.key() for unit in units])
    told: list[StudyProgress] = []
    with pytest.raises(BacktestCancelledError, match="2 of 4"):
        run_units(
            units,
            store=store,
            progress=told.append,
            cancelled=lambda: told[-1].done == 2,
        )
    assert len(list(store.folder.glob("*.json"))) == 2
    run = run_units(units, store=store, progress=told.append)
    assert run.kept == 2
    assert told[-1] == StudyProgress(4, 4, 2)
    assert run_units(units, store=store).kept == 4
    direct = run_units(units)
    assert all(map(same, run.results(), direct.results()))


@pytest.mark.parametrize("damage", ["torn", "altered", "foreign"])
def test_a_corrupt_unit_is_done_again(
    tmp_path: Path, units: list[Unit], damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = UnitStore(tmp_path)
    before = run_units(units[:2], store=store)
    path = store.folder / f"{units[1].key()}.json"
    text = path.read_text()
    bad = {
        "torn": text[: len(text) // 2],
        "altered": text.replace('"saving_eur": ', '"saving_eur": 9'),
        "foreign": '{"format": 99}',
    }
    path.write_text(bad[damage])
    with caplog.at_level(logging.WARNING):
        after = run_units(units[:2], store=store)
    assert after.kept == 1
    assert "done again" in caplog.text
    assert all(map(same, before.results(), after.results()))
    assert run_units(units[:2], store=store).kept == 2


def test_units_are_named_by_their_content(week: BacktestCase, units: list[Unit]) -> None:
    assert len({unit.key() for unit in units}) == 4
    assert Unit(case(days=7), PERFECT).key() == Unit(week, PERFECT).key()
    assert Unit(week, PERFECT).key() != Unit(week, CAUSAL).key()
    dearer = TariffConfig(**{**TARIFF.model_dump(), "levies_eur_per_kwh": 0.001})
    assert Unit(week.with_tariff(dearer), PERFECT).key() != Unit(week, PERFECT).key()
    assert UnitStore.of_study(Path(), ["a", "b"]).folder == (
        UnitStore.of_study(Path(), ["b", "a", "a"]).folder
    )


def test_one_impossible_site_does_not_end_the_study(week: BacktestCase) -> None:
    late = TariffConfig(
        versions=[{**TARIFF.model_dump(exclude={"versions"}), "valid_from": "2030-01-01"}]
    )  # type: ignore[list-item]
    run = run_units([Unit(week.with_tariff(late), PERFECT), Unit(week, PERFECT)])
    assert isinstance(run.outcomes[0], Failure)
    assert isinstance(run.outcomes[1], BacktestResult)
    assert "No tariff" in run.failures[0].message
    with pytest.raises(BacktestError, match="1 of 2 backtests failed"):
        run.results()


def test_several_processes_and_a_cluster_give_the_same_answers(
    units: list[Unit], tmp_path: Path
) -> None:
    distributed = pytest.importorskip("distributed")
    here = run_units(units)
    processes = run_units(units, workers=2)
    assert all(map(same, here.results(), processes.results()))
    with distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        # Workers of this process are there at once; all still goes over the network.
        processes=False,
        protocol="tcp://",
        host="127.0.0.1",
        dashboard_address=None,
        local_directory=str(tmp_path / "dask"),
    ) as cluster:
        store = UnitStore(tmp_path / "kept")
        away = run_units(units, cluster=cluster.scheduler_address, store=store)
        assert all(map(same, here.results(), away.results()))
        assert run_units(units, cluster=cluster.scheduler_address, store=store).kept == 4


def test_a_cluster_that_is_not_there_is_said(units: list[Unit]) -> None:
    with pytest.raises(BacktestError, match="cluster does not answer") as caught:
        run_units(units, cluster="no://where")
    assert caught.value.field == "cluster"


def test_a_sizing_map_names_the_best_and_what_is_missing(units: list[Unit]) -> None:
    outcomes = list(run_units(units).outcomes)
    cheap = Investment(eur_per_kwh=10.0, eur_per_kw=1.0, fixed_eur=0.0)
    found = sizing_map(units, outcomes, cheap)
    assert found.energies_kwh == (50.0, 100.0)
    assert found.powers_kw == (20.0, 50.0)
    savings = [point.result.saving_eur for point in found.points if point.result]
    assert savings[3] == max(savings)
    assert found.at(1, 1).energy_kwh == 100.0
    assert found.at(1, 1).power_kw == 50.0
    best = found.best
    assert best is not None
    assert best.appraisal is not None
    assert best.appraisal.npv_eur == max(p.appraisal.npv_eur for p in found.points if p.appraisal)
    dear = sizing_map(units, [*outcomes[:3], None], Investment(eur_per_kwh=99_999.0))
    assert dear.fastest is None
    assert dear.at(1, 1).appraisal is None
    with pytest.raises(BacktestError, match="no size"):
        sizing_units(units[0].case, PERFECT, [0.0], [1.0])


def test_strategies_under_tariffs(week: BacktestCase) -> None:
    flat = TariffConfig(
        energy_price_eur_per_kwh=0.2,
        spot_markup_eur_per_kwh=0.0,
        feed_in_eur_per_kwh=0.05,
        sell_fee_eur_per_kwh=0.0,
    )
    tariffs = {"spot": TARIFF, "flat": flat}
    policies = [Policy("self_consumption_rule"), PERFECT]
    units = side_by_side_units(week, policies, tariffs)
    table = side_by_side(units, run_units(units).outcomes, tariffs)
    assert [(e.tariff, e.policy.strategy) for e in table.entries] == [
        ("spot", "self_consumption_rule"),
        ("spot", "co_optimised"),
        ("flat", "self_consumption_rule"),
        ("flat", "co_optimised"),
    ]
    direct = compare(week, policies)
    first = table.entries[0]
    assert first.result is not None
    assert first.result.saving_eur == pytest.approx(direct.results[0].saving_eur)
    assert first.result.capture == pytest.approx(direct.results[0].capture)
    assert first.without_eur == pytest.approx(direct.without_eur)
    assert table.entries[1].result is not None
    assert table.entries[1].result.capture == pytest.approx(1.0)
    cheapest = table.cheapest()
    assert cheapest is not None
    assert cheapest.total_eur == min(e.total_eur or 0.0 for e in table.entries)


def test_a_tighter_limit_costs_and_a_wider_one_gains(week: BacktestCase) -> None:
    small = dataclasses.replace(
        week, site=dataclasses.replace(week.site, grid=dataclasses.replace(week.site.grid))
    )
    asked = {"imports_kw": [None], "exports_kw": [5.0, None]}
    units = grid_units(small, **asked)  # type: ignore[arg-type]
    found = grid_values(units, run_units(units).outcomes, **asked)  # type: ignore[arg-type]
    unlimited_import, no_export, unlimited_export = found
    assert unlimited_import.gain_eur is not None
    assert unlimited_import.gain_eur >= -1e-6
    assert unlimited_export.gain_eur is not None
    assert unlimited_export.gain_eur >= -1e-6
    assert no_export.price_eur is None or no_export.price_eur >= -1e-6


def test_fewer_cycles_save_less_and_have_a_price(week: BacktestCase) -> None:
    free, half, loose = cycle_values(week, [100.0, 5_000.0])
    assert free.at is None
    assert half.gain_eur is not None
    assert half.gain_eur < 0.0
    assert half.price_eur is not None
    assert half.price_eur > 0.0
    assert loose.gain_eur == 0.0
    with pytest.raises(BacktestCancelledError):
        cycle_values(week, [100.0], cancelled=lambda: True)


def test_better_forecasts_are_worth_more(week: BacktestCase) -> None:
    units = quality_units(week, CAUSAL, scales=(0.0, 1.0), forecasters=[Forecaster.DAY_TYPE])
    points = quality_points(units, run_units(units).outcomes)
    assert [(p.forecaster, p.error_scale) for p in points] == [
        (Forecaster.PERFECT, 1.0),
        (Forecaster.NAIVE, 0.0),
        (Forecaster.NAIVE, 1.0),
        (Forecaster.DAY_TYPE, 1.0),
    ]
    perfect, none, own, _ = (point.capture for point in points)
    assert perfect == 1.0
    assert none is not None
    assert own is not None
    assert own < none <= 1.0
    exact = evaluate(week, dataclasses.replace(CAUSAL, forecaster=Forecaster.PERFECT_36H))
    assert points[1].saving_eur == pytest.approx(exact.saving_eur, abs=1e-6)


def test_made_up_years_keep_whole_weeks_of_the_season() -> None:
    recorded = series(date_of(2024, 1, 1), 7 * 52)
    prices = [PriceSeries(recorded.start, recorded.spot_eur_per_kwh)]
    options = {"timezone": "Europe/Vienna", "first_monday": date(2025, 3, 17), "weeks": 3}
    first = sample_years([recorded], prices, n=3, seed=5, **options)  # type: ignore[arg-type]
    again = sample_years([recorded], prices, n=3, seed=5, **options)  # type: ignore[arg-type]
    other = sample_years([recorded], prices, n=3, seed=6, **options)  # type: ignore[arg-type]
    assert all(np.array_equal(a.load_kw, b.load_kw) for a, b in zip(first, again, strict=True))
    assert not all(np.array_equal(a.load_kw, b.load_kw) for a, b in zip(first, other, strict=True))
    # The week with the change to summer time has 4 quarter-hours less.
    assert first[0].n == 3 * 672 - 4
    whole = first[0].load_kw[:672]
    starts = [
        i
        for i in range(0, recorded.n - 672, 4)
        if np.array_equal(recorded.load_kw[i : i + 672], whole)
    ]
    assert len(starts) == 1
    paired = sample_years([recorded], (), n=1, seed=1, paired=True, **options)[0]  # type: ignore[arg-type]
    i = next(i for i in range(recorded.n - 672) if recorded.load_kw[i] == paired.load_kw[0])
    assert np.array_equal(paired.spot_eur_per_kwh[:672], recorded.spot_eur_per_kwh[i : i + 672])
    with pytest.raises(BacktestError, match="No week of load"):
        sample_years([series(date_of(2024, 6, 3), 21)], prices, n=1, seed=1, **options)  # type: ignore[arg-type]
    with pytest.raises(BacktestError, match="no Monday"):
        sample_years(
            [recorded], prices, n=1, seed=1, **{**options, "first_monday": date(2025, 3, 18)}
        )  # type: ignore[arg-type]


def test_a_saving_has_a_spread_over_made_up_years(week: BacktestCase) -> None:
    recorded = series(date_of(2024, 1, 29), 7 * 20)
    units = monte_carlo_units(
        week,
        PERFECT,
        sites=[recorded],
        prices=[PriceSeries(recorded.start, recorded.spot_eur_per_kwh)],
        n=6,
        seed=1,
        first_monday=date(2025, 4, 14),
        weeks=2,
    )
    assert units[0].case.end - units[0].case.start == timedelta(weeks=2)
    found = monte_carlo(units, run_units(units).outcomes, Investment())
    assert found.failed == 0
    assert len(found.savings_eur) == 6
    assert found.saving.p10 < found.saving.p50 < found.saving.p90
    assert found.npv is not None
    assert found.npv.p10 < found.npv.p90
    with pytest.raises(BacktestError, match="None of the 1"):
        monte_carlo(units[:1], [Failure("no", "no")])


def date_of(year: int, month: int, day: int):  # type: ignore[no-untyped-def]
    from datetime import datetime

    return datetime(year, month, day)  # noqa: DTZ001 (a local day)
