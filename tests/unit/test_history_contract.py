"""What every history store must do; a new backend adds a subclass with a `store` fixture."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest

from engine.domain.errors import HistoryError
from engine.domain.plan import Plan, PlanCheck, PlanSteering
from engine.domain.records import (
    DeviceRow,
    EventRow,
    LedgerRow,
    MetricRow,
    PriceRow,
    RunRow,
    SampleRow,
    SavingsRow,
    TariffRow,
)
from engine.domain.strategy import CandidateValue, ChoiceReason, Selection, StrategyKey
from engine.history.checks import MAX_BATCH_ROWS
from engine.history.duckdb_store import DuckDbHistory
from engine.history.rows import measured_table
from engine.history.store import INSTALLATION_SITE_ID, Batch, HistoryStore

T0 = datetime(2026, 11, 23, 10, 0, tzinfo=UTC)
DAY = timedelta(days=1)


def sample(second: float, site_id: str = "main", **values: float | None) -> SampleRow:
    return SampleRow(ts=T0 + timedelta(seconds=second), site_id=site_id, values=values)


def price(hour: int, spot: float, site_id: str = "main") -> PriceRow:
    return PriceRow(
        ts=T0 + timedelta(hours=hour),
        site_id=site_id,
        minutes=60,
        spot_eur_per_kwh=spot,
        buy_eur_per_kwh=spot + 0.12,
        sell_eur_per_kwh=spot - 0.01,
        source="recorded",
        fetched_at=T0,
    )


def booking(quarter: int, import_kwh: float, **changes: object) -> LedgerRow:
    row = LedgerRow(
        ts=T0 + timedelta(minutes=15 * quarter),
        site_id="main",
        seconds=900.0,
        import_kwh=import_kwh,
        export_kwh=0.0,
        battery_charged_kwh=None,
        battery_discharged_kwh=1.25,
        pv_kwh=None,
        buy_eur_per_kwh=0.3,
        sell_eur_per_kwh=0.05,
        cost_eur=0.3 * import_kwh,
        price_source="recorded",
        method="counters",
    )
    return replace(row, **changes)  # type: ignore[arg-type]


def event(second: float, message: str, site_id: str = "main") -> EventRow:
    return EventRow(T0 + timedelta(seconds=second), site_id, "info", "state_changed", message)


def run(second: float, **changes: object) -> RunRow:
    row = RunRow(
        ts=T0 + timedelta(seconds=second),
        site_id="main",
        trigger="schedule",
        status="published",
        duration_ms=412.5,
        strategy="co_optimised",
        plan_id="p1",
        expected_profit_eur=7.5,
        solver="HIGHS (LP)",
        gap=0.0,
        solve_ms=18.25,
    )
    return replace(row, **changes)  # type: ignore[arg-type]


def tariff(valid_from: datetime | None, document: str = "{}") -> TariffRow:
    return TariffRow(T0, "main", valid_from, document)


def device(second: float, name: str = "bms", document: str = '{"profile": "x"}') -> DeviceRow:
    return DeviceRow(T0 + timedelta(seconds=second), "main", name, document)


def saving(quarter: int, baseline: str, cost_eur: float, site_id: str = "main") -> SavingsRow:
    ts = T0 + timedelta(minutes=15 * quarter)
    return SavingsRow(ts, site_id, baseline, 2.0, 0.5, 1.25, 0.0, 101.25, cost_eur)


def plan(plan_id: str = "20261123T100000-main", *, n: int = 96, site_id: str = "main") -> Plan:
    rng = np.random.default_rng(7)

    def random() -> np.ndarray:
        return rng.normal(size=n) * 50.0

    return Plan(
        plan_id=plan_id,
        site_id=site_id,
        created_at=T0 + timedelta(microseconds=123456),
        start=T0,
        step_minutes=15,
        battery_kw=random(),
        grid_kw=random(),
        load_kw=random(),
        pv_kw=random(),
        curtailed_kw=random(),
        soc_kwh=random(),
        soc_start_kwh=101.25,
        buy_eur_per_kwh=random(),
        sell_eur_per_kwh=random(),
        spot_eur_per_kwh=random(),
        price_is_forecast=rng.random(n) > 0.5,
        stored_value_eur_per_kwh=random(),
        strategy="co_optimised",
        cost_eur=12.3456789,
        baseline_cost_eur=20.1,
        profit_24h_eur=7.5,
        status="optimal",
        solver="HIGHS (LP)",
        gap=0.0,
        solve_ms=4.2,
        check=PlanCheck(False, 0.01, 0.002, -0.5, ("SoC below 10 %", "Ärger bei Schritt 3")),
        trigger="new_prices",
        gave_way={"soc_final": 3.25},
        forecast_sources={"price": "recorded", "load": "day-type median"},
    )


def steered(base: Plan, *, smoothing: bool = True) -> Plan:
    """Return `base` with everything a plan may know, demand charge in the first half only."""
    rng = np.random.default_rng(8)
    n = base.n_steps
    cap = np.full(n, np.inf)
    cap[: n // 2] = 88.25
    return replace(
        base,
        site_price_eur_per_kwh=rng.normal(size=n),
        peak_share_eur_per_kwh=rng.random(n),
        reserve_kwh=rng.random(n),
        billed_peak_kw=88.25,
        steering=PlanSteering(
            buy_eur_per_kwh=rng.normal(size=n),
            sell_eur_per_kwh=rng.normal(size=n),
            smoothing_eur_per_kwh=0.0123,
            smoothing_reference_kw=rng.normal(size=n) if smoothing else None,
            peak_cap_kw=cap,
            peak_price_eur_per_kwh=400.1,
            grid_charge_allowed=False,
            battery_export_allowed=True,
        ),
    )


def assert_same(got: object, expected: object, kind: type) -> None:
    """Assert that all fields of two values of `kind` are equal, arrays to the last bit."""
    assert type(got) is type(expected) is kind
    for field in fields(kind):
        value, wanted = getattr(got, field.name), getattr(expected, field.name)
        if isinstance(wanted, np.ndarray):
            assert value.dtype == wanted.dtype, field.name
            assert np.array_equal(value, wanted), field.name
        elif isinstance(wanted, PlanSteering):
            assert_same(value, wanted, PlanSteering)
        else:
            assert value == wanted, field.name


def selection(second: float = 0, *, site_id: str = "main", plan_id: str = "p1") -> Selection:
    return Selection(
        ts=T0 + timedelta(seconds=second),
        site_id=site_id,
        plan_id=plan_id,
        active=StrategyKey.CO_OPTIMISED,
        previous=StrategyKey.ARBITRAGE,
        best=StrategyKey.CO_OPTIMISED,
        mode="auto",
        reason=ChoiceReason.SWITCHED,
        gain_eur=3.25,
        needed_eur=1.125,
        candidates=(
            CandidateValue(StrategyKey.CO_OPTIMISED, 10.5, 7.25, 8.0, 1.5, 1.0, 61.5, 0.875, 1.25),
            CandidateValue(StrategyKey.ARBITRAGE, 13.75, 4.0, wear_eur=0.0),
            CandidateValue(StrategyKey.PEAK_SHAVING, None, None, reason="Kein Plan: Ladestand"),
        ),
        manual_until=None,
    )


class HistoryStoreContract:
    """The tests; subclasses provide `store`, empty and open."""

    def test_the_newest_sample_comes_back_with_its_usable_values(self, store: HistoryStore) -> None:
        newest = SampleRow(
            ts=T0 + timedelta(seconds=4),
            site_id="main",
            values={
                "soc_percent": 55.5,
                "battery_kw": None,
                "status_code": 3,
                "alarm_bits": 0b10001,
                "grid_import_kwh": 123456.789,
            },
            unusable=2,
            setpoint_kw=-40.0,
            charge_limit_kw=80.0,
            discharge_limit_kw=0.0,
            binding="bms_discharge",
            decided_by="peak_guard",
            state="automatic",
            simulated=True,
        )
        store.write(Batch(samples=(newest, sample(2, soc_percent=1.0))))
        store.write(Batch(samples=(sample(9, "other", soc_percent=2.0),)))

        found = store.latest_sample("main")

        assert found == replace(
            newest, values={k: v for k, v in newest.values.items() if v is not None}
        )
        assert found is not None
        assert found.ts.utcoffset() == timedelta(0)
        assert store.latest_sample("nowhere") is None

    def test_a_table_of_samples_is_stored_like_single_ones(self, store: HistoryStore) -> None:
        store.write(Batch(samples=(sample(60, pv_kw=9.0),)))
        ts = np.datetime64(T0.replace(tzinfo=None), "us") + np.arange(4) * np.timedelta64(1, "m")
        values = {"pv_kw": np.array([1.0, 2.0, np.nan, 4.0])}
        for _ in range(2):
            store.write_samples("main", measured_table("main", ts, values, "imported"))
        # what was there stays
        found = store.minute_means("main", ["pv_kw"], T0, T0 + DAY)
        assert [p.values["pv_kw"] for p in found] == [1.0, 9.0, None, 4.0]
        assert store.counts()["samples"] == 4
        newest = store.latest_sample("main")
        assert newest is not None
        assert (newest.state, newest.values, newest.setpoint_kw) == (
            "imported", {"pv_kw": 4.0}, None,
        )  # fmt: skip
        assert store.roll_up(T0 + DAY) == 4
        store.write_samples("main", measured_table("main", ts[:0], {"pv_kw": np.zeros(0)}, ""))
        many = ts[0] + np.arange(MAX_BATCH_ROWS + 1) * np.timedelta64(1, "s")
        with pytest.raises(HistoryError, match="one transaction takes"):
            store.write_samples("main", measured_table("main", many, {}, "imported"))

    def test_a_batch_sent_again_changes_nothing(self, store: HistoryStore) -> None:
        batch = Batch(
            samples=(sample(0, pv_kw=1.0), sample(2, pv_kw=2.0)),
            prices=(price(0, 0.1), price(1, 0.2)),
            plans=(plan(),),
            ledger=(booking(0, 3.0),),
            events=(event(0, "started"), event(0, "stopped")),
            selections=(selection(),),
            runs=(run(0),),
            tariffs=(tariff(None),),
            devices=(device(0),),
            savings=(saving(0, "no_battery", 1.0),),
            metrics=(MetricRow(T0.date(), "main", "profit_eur", 1.0),),
        )
        store.write(batch)
        before = store.counts()
        store.write(batch)

        assert store.counts() == before
        assert before == {
            "samples": 2,
            "prices": 2,
            "plans": 1,
            "plan_steps": 96,
            "forecasts": 0,
            "selections": 1,
            "selection_candidates": 3,
            "ledger": 1,
            "events": 2,
            "runs": 1,
            "tariffs": 1,
            "devices": 1,
            "savings": 1,
            "metrics": 1,
        }

    def test_duplicates_inside_one_batch_are_stored_once(self, store: HistoryStore) -> None:
        store.write(
            Batch(
                samples=(sample(0, pv_kw=1.0), sample(0, pv_kw=9.0), sample(0, "b", pv_kw=1.0)),
                prices=(price(0, 0.1), price(0, 0.4)),
                plans=(plan(), plan()),
                ledger=(booking(0, 1.0), booking(0, 2.0)),
                events=(event(0, "x"), event(0, "x"), event(0, "x", "b")),
                selections=(selection(), selection(), selection(plan_id="p2")),
            )
        )
        counts = store.counts()
        assert (counts["samples"], counts["prices"], counts["plans"]) == (2, 1, 1)
        assert (counts["ledger"], counts["events"], counts["plan_steps"]) == (1, 2, 96)
        assert (counts["selections"], counts["selection_candidates"]) == (2, 6)
        first = store.latest_sample("main")
        assert first is not None
        assert first.values == {"pv_kw": 1.0}
        assert store.ledger("main", T0, T0 + DAY)[0].import_kwh == 2.0

    def test_the_first_sample_of_an_instant_stays(self, store: HistoryStore) -> None:
        store.write(Batch(samples=(sample(0, pv_kw=1.0),)))
        store.write(Batch(samples=(sample(-2, pv_kw=5.0), sample(0, pv_kw=9.0))))
        found = store.latest_sample("main")
        assert found is not None
        assert found.values == {"pv_kw": 1.0}
        assert store.counts()["samples"] == 2

    def test_later_prices_and_bookings_replace_earlier_ones(self, store: HistoryStore) -> None:
        store.write(Batch(prices=(price(0, 0.1), price(1, 0.2), price(2, 0.3))))
        store.write(Batch(ledger=(booking(0, 1.0, seconds=300.0), booking(1, 5.0))))
        store.write(Batch(prices=(price(1, 0.9), price(1, 0.7, "other"))))
        store.write(Batch(ledger=(booking(0, 2.0, pv_kwh=4.0),)))

        spots = [p.spot_eur_per_kwh for p in store.prices("main", T0, T0 + DAY)]
        assert spots == [0.1, 0.9, 0.3]
        assert store.prices("other", T0, T0 + DAY) == [price(1, 0.7, "other")]
        assert store.ledger("main", T0, T0 + DAY) == [booking(0, 2.0, pv_kwh=4.0), booking(1, 5.0)]

    def test_a_plan_comes_back_exactly(self, store: HistoryStore) -> None:
        written = plan()
        store.write(Batch(plans=(written, plan("other", n=4, site_id="other"))))
        found = store.plan(written.plan_id)

        assert_same(found, written, Plan)
        assert store.plan("never made") is None

    def test_what_a_plan_was_optimised_for_comes_back_exactly(self, store: HistoryStore) -> None:
        plans = (
            steered(plan("a")),
            plan("b", n=3),
            steered(plan("c", n=5), smoothing=False),
            replace(plan("d", n=2), billed_peak_kw=12.5),
        )
        store.write(Batch(plans=plans))
        for written in plans:
            assert_same(store.plan(written.plan_id), written, Plan)
        peaks = [h.billed_peak_kw for h in store.plans("main", T0, T0 + DAY)]
        assert peaks == [88.25, None, 88.25, 12.5]

    def test_choices_of_strategy_come_back_with_all_candidates(self, store: HistoryStore) -> None:
        manual = replace(
            selection(900, plan_id="p2"),
            previous=None,
            mode="manual",
            reason=ChoiceReason.MANUAL,
            manual_until=T0 + timedelta(hours=6, microseconds=5),
            candidates=(),
        )
        store.write(Batch(selections=(manual, selection(), selection(1, site_id="other"))))
        assert store.selections("main", T0, T0 + DAY) == [selection(), manual]
        assert store.selections("main", T0, T0 + timedelta(seconds=900)) == [selection()]
        assert store.selections("nowhere", T0, T0 + DAY) == []

    def test_the_first_choice_stored_for_a_plan_stays_whole(self, store: HistoryStore) -> None:
        store.write(Batch(selections=(selection(),)))
        store.write(Batch(selections=(replace(selection(), gain_eur=9.0, candidates=()),)))
        store.write(Batch(selections=(selection(-900, plan_id="p0"), selection())))
        assert store.selections("main", T0 - DAY, T0 + DAY) == [
            selection(-900, plan_id="p0"),
            selection(),
        ]
        assert store.counts()["selection_candidates"] == 6

    def test_the_highest_import_is_that_of_a_covered_quarter_hour(
        self, store: HistoryStore
    ) -> None:
        store.write(
            Batch(
                ledger=(
                    booking(0, 10.0),
                    booking(1, 30.0, seconds=890.0),
                    booking(2, 40.0, seconds=889.0),
                    booking(3, 30.0),
                    booking(4, 99.0, site_id="other"),
                    booking(96, 50.0),
                )
            )
        )
        assert store.highest_import("main", T0, T0 + DAY) == (120.0, T0 + timedelta(minutes=15))
        assert store.highest_import("main", T0, T0 + 2 * DAY) == (200.0, T0 + DAY)
        assert store.highest_import("main", T0 + 2 * DAY, T0 + 3 * DAY) is None

    def test_plan_headers_of_a_period(self, store: HistoryStore) -> None:
        early, late = plan("a"), replace(plan("b"), created_at=T0 + timedelta(hours=2))
        store.write(Batch(plans=(late, early, plan("c", site_id="other"))))

        headers = store.plans("main", T0, T0 + DAY)

        assert [h.plan_id for h in headers] == ["a", "b"]
        assert headers[0].check == early.check
        assert headers[0].n_steps == 96
        assert headers[0].forecast_sources == early.forecast_sources
        assert [h.plan_id for h in store.plans("main", T0 + timedelta(hours=1), T0 + DAY)] == ["b"]

    def test_minute_means_use_usable_values_only_and_leave_gaps(self, store: HistoryStore) -> None:
        store.write(
            Batch(
                samples=(
                    sample(0, battery_kw=10.0, pv_kw=None, grid_import_kwh=100.0, status_code=1),
                    sample(2, battery_kw=None, pv_kw=None, grid_import_kwh=100.5, status_code=2),
                    sample(59.999, battery_kw=20.0, pv_kw=None, status_code=None),
                    sample(180, battery_kw=-5.0, pv_kw=3.0),
                    sample(180, "other", battery_kw=999.0),
                )
            )
        )
        signals = ["battery_kw", "pv_kw", "grid_import_kwh", "status_code"]
        points = store.minute_means("main", signals, T0, T0 + timedelta(minutes=10))

        assert [p.ts for p in points] == [T0, T0 + timedelta(minutes=3)]
        assert [p.seconds for p in points] == [60, 60]
        assert points[0].values == {
            "battery_kw": pytest.approx(15.0),
            "pv_kw": None,
            "grid_import_kwh": 100.5,
            "status_code": 2,
        }
        assert points[1].values["battery_kw"] == -5.0

    def test_means_start_with_a_full_interval_and_end_before_until(
        self, store: HistoryStore
    ) -> None:
        store.write(Batch(samples=tuple(sample(60 * i, load_kw=float(i)) for i in range(60))))
        points = store.quarter_hour_means(
            "main", ["load_kw"], T0 + timedelta(minutes=20), T0 + timedelta(minutes=45)
        )
        assert [p.ts for p in points] == [
            T0 + timedelta(minutes=15),
            T0 + timedelta(minutes=30),
        ]
        assert [p.values["load_kw"] for p in points] == [22.0, 37.0]

    def test_means_of_decisions(self, store: HistoryStore) -> None:
        rows = tuple(
            replace(sample(i), setpoint_kw=float(i), charge_limit_kw=80.0) for i in (0, 2, 4)
        )
        store.write(Batch(samples=rows))
        points = store.minute_means(
            "main", ["setpoint_kw", "charge_limit_kw", "discharge_limit_kw"], T0, T0 + DAY
        )
        assert points[0].values == {
            "setpoint_kw": 2.0,
            "charge_limit_kw": 80.0,
            "discharge_limit_kw": None,
        }

    def test_runs_come_back_with_and_without_a_plan(self, store: HistoryStore) -> None:
        failed = run(
            60,
            status="failed",
            strategy=None,
            plan_id=None,
            expected_profit_eur=None,
            solver=None,
            gap=None,
            solve_ms=None,
            message="No prices are known.",
        )
        store.write(Batch(runs=(failed, run(0), run(0, site_id="other"))))
        store.write(Batch(runs=(run(0, status="rejected"),)))
        assert store.runs("main", T0, T0 + DAY) == [run(0), failed]
        assert store.runs("main", T0 + DAY, T0 + 2 * DAY) == []

    def test_a_tariff_is_recorded_once_for_each_change(self, store: HistoryStore) -> None:
        first, second = tariff(None, '{"a": 1}'), tariff(T0 + DAY, '{"a": 2}')
        store.write(Batch(tariffs=(first, second, first)))
        store.write(Batch(tariffs=(replace(second, recorded_at=T0 + DAY),)))
        store.write(Batch(tariffs=(replace(first, site_id="other"),)))
        assert store.tariffs("main") == [first, second]

    def test_the_newest_row_of_each_device(self, store: HistoryStore) -> None:
        store.write(Batch(devices=(device(0), device(5, document="{}"), device(1, "meter"))))
        assert store.devices("main", T0 + DAY) == [device(5, document="{}"), device(1, "meter")]
        assert store.devices("main", T0 + timedelta(seconds=1)) == [device(0)]
        assert store.devices("nowhere", T0 + DAY) == []

    def test_a_later_simulation_of_a_baseline_replaces_the_earlier(
        self, store: HistoryStore
    ) -> None:
        store.write(
            Batch(savings=tuple(saving(q, b, q) for q in range(3) for b in ("rule", "none")))
        )
        store.write(Batch(savings=(saving(1, "rule", 9.0), saving(1, "rule", 7.0, "other"))))
        assert [row.cost_eur for row in store.savings("main", T0, T0 + DAY, "rule")] == [0, 9, 2]
        assert store.savings("main", T0, T0 + timedelta(minutes=15)) == [
            saving(0, "none", 0),
            saving(0, "rule", 0),
        ]

    def test_key_figures_are_kept_by_day(self, store: HistoryStore) -> None:
        day = T0.date()
        rows = [MetricRow(day + i * DAY, "main", "profit_eur", float(i)) for i in range(3)]
        unknown = MetricRow(day, "main", "capture", None)
        store.write(Batch(metrics=(*rows, unknown)))
        store.write(Batch(metrics=(replace(rows[1], value=9.0),)))
        assert store.metrics("main", day, day + 2 * DAY) == [
            unknown,
            rows[0],
            replace(rows[1], value=9.0),
        ]
        assert store.metrics("other", day, day + 2 * DAY) == []

    def test_times_of_other_zones_are_stored_as_the_same_instant(self, store: HistoryStore) -> None:
        vienna = timezone(timedelta(hours=1))
        store.write(Batch(samples=(replace(sample(0, pv_kw=1.0), ts=T0.astimezone(vienna)),)))
        points = store.minute_means(
            "main", ["pv_kw"], T0.astimezone(vienna), (T0 + DAY).astimezone(vienna)
        )
        assert [p.ts for p in points] == [T0]

    def test_events_of_the_site_and_the_installation(self, store: HistoryStore) -> None:
        ours, everyones = event(0, "a"), event(1, "b", INSTALLATION_SITE_ID)
        store.write(Batch(events=(ours, everyones, event(2, "c", "other"), event(90000, "d"))))
        assert store.events("main", T0, T0 + DAY) == [ours, everyones]

    @pytest.mark.parametrize(
        ("batch", "field"),
        [
            (Batch(samples=(replace(sample(0), ts=datetime(2026, 1, 1)),)), "sample.ts"),  # noqa: DTZ001
            (Batch(samples=(sample(0, nonsense_kw=1.0),)), "sample.values.nonsense_kw"),
            (Batch(samples=(sample(0, pv_kw=float("nan")),)), "sample.values.pv_kw"),
            (Batch(samples=(sample(0, status_code=2.5),)), "sample.values.status_code"),
            (Batch(samples=(sample(0, alarm_bits=2.0**40),)), "sample.values.alarm_bits"),
            (Batch(prices=(price(0, float("inf")),)), "price.spot_eur_per_kwh"),
            (Batch(ledger=(booking(0, float("nan")),)), "ledger.import_kwh"),
            (Batch(plans=(replace(plan(), pv_kw=np.zeros(3)),)), "plan.pv_kw"),
            (
                Batch(plans=(replace(plan(), site_price_eur_per_kwh=np.zeros(3)),)),
                "plan.site_price_eur_per_kwh",
            ),
            (
                Batch(plans=(replace(plan(n=9), steering=steered(plan()).steering),)),
                "plan.steering.buy_eur_per_kwh",
            ),
            (
                Batch(selections=(replace(selection(), gain_eur=float("inf")),)),
                "selection.gain_eur",
            ),
            (Batch(runs=(run(0, gap=float("nan")),)), "run.gap"),
            (Batch(savings=(saving(0, "rule", float("inf")),)), "saving.cost_eur"),
            (
                Batch(metrics=(MetricRow(T0.date(), "main", "profit_eur", float("nan")),)),
                "metric.profit_eur",
            ),
            (
                Batch(selections=(replace(selection(), ts=datetime(2026, 1, 1)),)),  # noqa: DTZ001
                "selection.ts",
            ),
            (
                Batch(
                    selections=(
                        replace(
                            selection(),
                            candidates=(CandidateValue(StrategyKey.ARBITRAGE, float("nan"), None),),
                        ),
                    )
                ),
                "selection.candidates.arbitrage.cost_eur",
            ),
            (
                Batch(selections=(replace(selection(), candidates=30 * selection().candidates),)),
                "selection.candidates",
            ),
        ],
    )
    def test_rows_that_mean_nothing_are_refused_by_name(
        self, store: HistoryStore, batch: Batch, field: str
    ) -> None:
        with pytest.raises(HistoryError) as caught:
            store.write(replace(batch, events=(event(0, "with it"),)))
        assert caught.value.field == field
        assert caught.value.hint
        assert sum(store.counts().values()) == 0

    def test_questions_that_mean_nothing_are_refused(self, store: HistoryStore) -> None:
        with pytest.raises(HistoryError, match="nonsense"):
            store.minute_means("main", ["nonsense"], T0, T0 + DAY)
        with pytest.raises(HistoryError, match="time zone"):
            store.ledger("main", datetime(2026, 1, 1), T0)  # noqa: DTZ001

    def test_reads_beside_a_busy_writer_see_whole_batches_only(self, store: HistoryStore) -> None:
        done = threading.Event()
        seen: list[int] = []
        errors: list[Exception] = []

        def read() -> None:
            try:
                while not done.is_set():
                    seen.append(store.counts()["samples"])
                    store.minute_means("main", ["pv_kw"], T0, T0 + DAY)
            except HistoryError as error:
                errors.append(error)

        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        for b in range(25):
            store.write(Batch(samples=tuple(sample(b * 10 + i, pv_kw=1.0) for i in range(10))))
            if b % 10 == 9:
                store.checkpoint()
        done.set()
        for reader in readers:
            reader.join(30)

        assert not errors
        assert all(count % 10 == 0 for count in seen)
        assert store.counts()["samples"] == 250

    def test_a_closed_store_says_so(self, store: HistoryStore) -> None:
        store.close()
        store.close()
        with pytest.raises(HistoryError, match="closed"):
            store.counts()
        with pytest.raises(HistoryError, match="closed"):
            store.write(Batch(samples=(sample(0),)))


class TestDuckDbHistory(HistoryStoreContract):
    @pytest.fixture
    def store(self, tmp_path: Path, empty_history: Path) -> Iterator[HistoryStore]:
        # copying a file is quicker than creating one
        shutil.copytree(empty_history.parent, tmp_path, dirs_exist_ok=True)
        history = DuckDbHistory(tmp_path / empty_history.name)
        yield history
        history.close()
