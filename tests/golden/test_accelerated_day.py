"""A day of the demo, run fast over real Modbus TCP: energy closes and money reconciles.

The plant keeps its own books, which nothing in the engine can see. Every kWh and cent that
the engine stored is held against them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from engine.analytics.baselines import CAUSAL_BASELINES, NO_BATTERY
from engine.analytics.money import total
from engine.analytics.quality import QualityReport
from engine.analytics.savings import SavingsQuarter, energy_cost_eur
from engine.config.load import parse_config
from engine.config.schema import Config
from engine.devices.simulator.accounting import PlantTruth
from engine.domain.clock import ManualClock
from engine.domain.records import LedgerRow, RunRow, SampleRow
from engine.history.duckdb_store import DuckDbHistory
from engine.market.tariff import TariffBook
from engine.recorded.recording import Recording
from engine.runtime.analytics_service import DayFigures, PeriodAttribution
from engine.runtime.assembly import build_engine
from engine.runtime.device_setup import make_demo_plant
from engine.runtime.history_setup import DATABASE_NAME
from tests.support.build import SIMPLE_MODELS

# A sunny Monday in June: the battery cycles, the site imports and exports.
START = datetime(2026, 6, 15, 0, 0, tzinfo=UTC)
STEP_S = 10.0
STEPS = int(24 * 3600 / STEP_S)

# A whole day takes minutes where several workers share two cores.
pytestmark = pytest.mark.timeout(900)

CONFIG = SIMPLE_MODELS + "bess: {standby_loss_kw: 0.2}\nems: {timestep_s: 10}\n"


@dataclass
class Day:
    """What a day left behind."""

    config: Config
    truth: PlantTruth
    samples: list[SampleRow]
    ledger: list[LedgerRow]
    counts: dict[str, int]
    plans: int
    cost_today_eur: float
    savings: list[SavingsQuarter]
    figures: DayFigures
    attribution: PeriodAttribution
    quality: QualityReport
    runs: list[RunRow]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Day:
    folder: Path = tmp_path_factory.mktemp("day")
    config = parse_config(CONFIG)
    recording, clock = Recording(), ManualClock(START)
    plant = make_demo_plant(config, recording, clock)
    engine = build_engine(config, folder, clock, plant)
    samples: list[SampleRow] = []
    plans = set()
    for _ in range(STEPS):
        engine.run_once()
        snapshot = engine.snapshot()
        samples.append(
            SampleRow(
                snapshot.ts,
                "site-1",
                {name: snapshot.image.value(name) for name in snapshot.image.samples},
            )
        )
        if snapshot.plan is not None:
            assert snapshot.plan.check.passed
            plans.add(snapshot.plan.plan_id)
        clock.advance(STEP_S)
    engine.run_once()
    engine.analytics.catch_up()
    local_day = date(2026, 6, 15)
    savings = engine.analytics.savings(START, START + timedelta(days=1))
    (figures,) = engine.analytics.days(local_day, local_day + timedelta(days=1))
    attribution = engine.analytics.attribution(local_day, local_day + timedelta(days=1))
    quality = engine.analytics.quality(local_day)
    runs = list(engine.analytics.runs(2))
    truth = plant.truth
    cost = engine.snapshot().energy_cost_today_eur
    engine.stop()
    store = DuckDbHistory(folder / DATABASE_NAME)
    ledger = store.ledger("site-1", START, START + timedelta(days=1))
    counts = store.counts()
    store.close()
    assert cost is not None
    return Day(
        config,
        truth,
        samples,
        ledger,
        counts,
        len(plans),
        cost,
        savings,
        figures,
        attribution,
        quality,
        runs,
    )


def test_every_sample_and_plan_is_stored(day: Day) -> None:
    assert day.counts["samples"] == STEPS + 1
    assert day.plans >= 96
    assert day.counts["plans"] >= day.plans
    assert day.counts["ledger"] >= 96


def test_the_battery_worked(day: Day) -> None:
    assert day.truth.total.charged_kwh > 50
    assert day.truth.total.discharged_kwh > 50
    socs = [s.values["soc_percent"] for s in day.samples]
    assert all(soc is not None and 9.5 <= soc <= 90.5 for soc in socs)


def test_stored_energy_closes_against_what_was_measured(day: Day) -> None:
    """In minus out minus losses equals the change of stored energy, within 0.5 %."""
    bess = day.config.bess
    first, last = day.samples[0].values, day.samples[-1].values

    def grown(name: str) -> float:
        return float(last[name]) - float(first[name])  # type: ignore[arg-type]

    charged, discharged = grown("battery_charged_kwh"), grown("battery_discharged_kwh")
    stored = grown("soc_percent") / 100 * bess.energy_capacity_kwh
    losses = charged * (1 - bess.efficiency_charge) + discharged * (
        1 / bess.efficiency_discharge - 1
    )
    standby = bess.standby_loss_kw * (STEPS - 1) * STEP_S / 3600
    residual = charged - discharged - losses - standby - stored
    assert abs(residual) <= 0.005 * (charged + discharged)


def test_the_plant_itself_closes(day: Day) -> None:
    total = day.truth.total
    change = total.stored_end_kwh - total.stored_start_kwh
    flows = (
        total.charged_kwh
        - total.discharged_kwh
        - total.conversion_loss_kwh
        - total.standby_loss_kwh
    )
    assert flows == pytest.approx(change, abs=1e-6)
    grid = total.grid_import_kwh - total.grid_export_kwh
    site = total.load_kwh - total.pv_kwh + total.charged_kwh - total.discharged_kwh
    assert grid == pytest.approx(site, abs=1e-6)


def tariff_of(day: Day) -> TariffBook:
    return TariffBook(day.config.tariff, ZoneInfo(day.config.site.timezone))


def test_booked_money_is_grid_energy_times_price_to_the_cent(day: Day) -> None:
    """Booked from stored meter registers; expected from the plant's own books."""
    recording, tariff = Recording(), tariff_of(day)
    quarters = day.truth.quarters[:96]
    assert len(quarters) == 96
    expected = 0.0
    for quarter in quarters:
        spot = float(recording.values("price_at_eur_mwh", [quarter.start])[0]) / 1000
        buy, sell = tariff.at(quarter.start, spot)
        expected += quarter.grid_import_kwh * buy - quarter.grid_export_kwh * sell
    booked = sum(row.cost_eur for row in day.ledger)
    assert len(day.ledger) == 96
    assert booked == pytest.approx(expected, abs=0.005)
    for row in day.ledger:
        assert row.price_source == "recorded"
        assert row.method == "counters"


def test_the_cost_of_the_day_on_the_page_is_the_ledgers(day: Day) -> None:
    # The local day began at 22:00 UTC, so at midnight UTC its first two hours were over.
    today = [r for r in day.ledger if r.ts >= START + timedelta(hours=22)]
    assert day.cost_today_eur == pytest.approx(sum(r.cost_eur for r in today), abs=1e-6)


def test_the_battery_earned_money_against_the_same_day_without_it(day: Day) -> None:
    recording, tariff = Recording(), tariff_of(day)
    without = 0.0
    for quarter in day.truth.quarters[:96]:
        spot = float(recording.values("price_at_eur_mwh", [quarter.start])[0]) / 1000
        net_kwh = quarter.load_kwh - quarter.pv_kwh
        buy, sell = tariff.at(quarter.start, spot)
        without += net_kwh * (buy if net_kwh > 0 else sell)
    total = day.truth.total
    stored = total.stored_end_kwh - total.stored_start_kwh
    # What is left in the store is valued at the cheapest a kWh could be sold for that day.
    prices = recording.quarter_hours("price_at_eur_mwh", START, 96) / 1000
    booked = sum(row.cost_eur for row in day.ledger) - stored * float(prices.min())
    assert booked < without


def test_savings_of_the_demo_add_up_to_the_meter(day: Day) -> None:
    assert [q.ts for q in day.savings] == [row.ts for row in day.ledger]
    assert total(q.energy_eur for q in day.savings) == total(
        energy_cost_eur(row) for row in day.ledger
    )
    # The last quarter-hour is taken two minutes after its end.
    assert all(q.counted for q in day.savings[1:-1])
    # The local day began two hours before the demo did, and ended two hours before it.
    local = [q for q in day.savings if q.ts < START + timedelta(hours=22)]
    values = day.figures.values
    assert day.figures.closed
    assert values["bill_energy_eur"] == total(q.energy_eur for q in local)
    for baseline in CAUSAL_BASELINES:
        saved = [q.saving_eur(baseline) for q in local if q.counted]
        assert values[f"{baseline}_saving_eur"] == total(s for s in saved if s is not None)


def test_the_day_without_a_battery_is_the_plants_own(day: Day) -> None:
    """What no battery would have cost, from the plant's own books of load and PV."""
    recording, tariff = Recording(), tariff_of(day)
    expected = 0.0
    counted = {q.ts: q for q in day.savings if q.counted}
    for quarter in day.truth.quarters[:96]:
        if quarter.start not in counted:
            continue
        spot = float(recording.values("price_at_eur_mwh", [quarter.start])[0]) / 1000
        net_kwh = quarter.load_kwh - quarter.pv_kwh
        buy, sell = tariff.at(quarter.start, spot)
        expected += net_kwh * (buy if net_kwh > 0 else sell)
    simulated = total(q.sides[NO_BATTERY].energy_eur for q in counted.values())
    # Minutes are not netted within the quarter-hour, which a meter does not do either.
    assert expected - 0.01 <= simulated <= expected + 0.02 * abs(expected)


def test_the_gap_to_perfect_foresight_is_explained(day: Day) -> None:
    found = day.attribution.total
    assert found is not None
    assert total(found.causes.values()) == found.gap_eur
    assert found.gap_eur >= 0.0
    assert not {"load_forecast", "pv_forecast", "planning", "limits", "control"} & set(
        found.unknown
    )
    capture = day.figures.values["capture"]
    assert capture is not None
    assert 0.3 < capture <= 1.0


def test_the_demos_data_are_good_and_every_plan_is_a_run(day: Day) -> None:
    # The first two hours of the local day were before the demo began.
    assert {f.code for f in day.quality.findings} <= {"gaps"}
    assert day.quality.covered_minutes == 22 * 60
    assert [run.status for run in day.runs].count("published") == day.counts["plans"]
