"""The bookkeeping of savings over a real history file: it catches up, resumes and reconciles."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from engine.analytics.attribution import CAUSES
from engine.analytics.baselines import ACTUAL, BASELINES, NO_BATTERY
from engine.analytics.books import Books
from engine.analytics.facts import BATTERY, GRID, SOC
from engine.analytics.kpis import KPIS
from engine.analytics.ledger import TariffQuote
from engine.analytics.money import total
from engine.analytics.savings import energy_cost_eur
from engine.domain.clock import ManualClock, SystemClock
from engine.domain.errors import HistoryError
from engine.domain.local_days import local_midnight
from engine.domain.quarter_hour import STEP
from engine.domain.records import EventRow, SampleRow, SavingsRow
from engine.history.duckdb_store import DuckDbHistory
from engine.history.store import Batch
from engine.history.writer import HistoryWriter
from engine.recorded.recording import Recording
from engine.runtime.analytics_service import AnalyticsService
from tests.support.measured_site import SITE, VIENNA, MeasuredSite, measured_site, tariff_book

FIRST = date(2026, 4, 30)
TARIFF = "{demand_charge: {eur_per_kw: 8}, fixed_fee_eur_per_month: 30}"


@dataclass
class Stored:
    """A measured site in a history file."""

    measured: MeasuredSite
    store: DuckDbHistory
    writer: HistoryWriter
    clock: ManualClock

    def service(self, price_from: datetime | None = None) -> AnalyticsService:
        prices = {row.ts: row for row in self.measured.rows}

        def quote_at(ts: datetime) -> TariffQuote | None:
            row = prices.get(ts)
            if row is None or (price_from is not None and ts >= price_from):
                return None
            return TariffQuote(row.buy_eur_per_kwh, row.sell_eur_per_kwh, row.price_source)

        return AnalyticsService(
            Books(SITE, self.measured.tariff, self.store, self.writer, co2_g_per_kwh=100.0),
            quote_at,
            500.0,
            self.clock,
        )

    def all_savings(self) -> list[SavingsRow]:
        self.writer.flush()
        return self.store.savings("site-1", self.clock.now() - timedelta(days=40), self.clock.now())


def samples_of(measured: MeasuredSite) -> list[SampleRow]:
    """Return a sample every 20 s with the registers as they count on."""
    rows, minutes = [], measured.minutes
    imported = exported = charged = discharged = 0.0
    for i, ts64 in enumerate(minutes.ts):
        ts = ts64.astype("datetime64[us]").astype(datetime).replace(tzinfo=UTC)
        grid, battery = float(minutes.values[GRID][i]), float(minutes.values[BATTERY][i])
        soc = float(minutes.values[SOC][i])
        known = np.isfinite(grid)
        for k in range(3):
            values = {
                "soc_percent": soc,
                "grid_kw": grid if known else None,
                "battery_kw": battery if known else None,
                "grid_import_kwh": imported,
                "grid_export_kwh": exported,
                "battery_charged_kwh": charged,
                "battery_discharged_kwh": discharged,
            }
            rows.append(
                SampleRow(
                    ts + timedelta(seconds=20 * k),
                    "site-1",
                    values,
                    setpoint_kw=battery if known else 0.0,
                    charge_limit_kw=100.0,
                    discharge_limit_kw=100.0,
                    state="automatic",
                    simulated=True,
                )
            )
            if known:
                imported += max(0.0, grid) / 180.0
                exported += max(0.0, -grid) / 180.0
                charged += max(0.0, -battery) / 180.0
                discharged += max(0.0, battery) / 180.0
    return rows


@pytest.fixture(scope="module")
def measured() -> MeasuredSite:
    """Two days over the end of a month, and the first hours of a third."""
    whole = measured_site(FIRST, 3, recording=Recording(), tariff=tariff_book(TARIFF))
    gap = local_midnight(FIRST, VIENNA) + 40 * STEP
    return whole.missing([gap + i * STEP for i in range(4)])


@pytest.fixture(scope="module")
def template(
    measured: MeasuredSite, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[Path], DuckDbHistory]:
    folder = tmp_path_factory.mktemp("template")
    store = DuckDbHistory(folder / "hot.duckdb")
    store.write(Batch(samples=tuple(samples_of(measured)), ledger=tuple(measured.rows)))
    store.close()

    def copied(target: Path) -> DuckDbHistory:
        for file in folder.iterdir():
            if file.suffix != ".lock":
                (target / file.name).write_bytes(file.read_bytes())
        return DuckDbHistory(target / "hot.duckdb")

    return copied


@pytest.fixture
def stored(
    measured: MeasuredSite, template: Callable[[Path], DuckDbHistory], tmp_path: Path
) -> Iterator[Stored]:
    store = template(tmp_path)
    now = local_midnight(FIRST + timedelta(days=2), VIENNA) + timedelta(hours=6, minutes=4)
    yield Stored(measured, store, HistoryWriter(store, SystemClock()), ManualClock(now))
    store.close()


def test_it_catches_up_and_every_sum_reconciles_with_the_meter(stored: Stored) -> None:
    service = stored.service()
    service.catch_up()
    now = stored.clock.now()
    assert service.kept_until == now.replace(minute=0)
    first, second, running = service.daily(3)
    assert [d.closed for d in (first, second, running)] == [True, True, False]
    booked = [row for row in stored.measured.rows if row.ts < service.kept_until]
    days = [first, second, running]
    metered = total(energy_cost_eur(row) for row in booked)
    assert total(d.values["bill_energy_eur"] or 0.0 for d in days) == metered
    summary = service.summary(FIRST, FIRST + timedelta(days=3))
    assert summary.totals["bill_energy_eur"] == metered
    assert summary.days == 3
    quarters = service.savings(local_midnight(FIRST, VIENNA), now)
    assert [q.ts for q in quarters] == [row.ts for row in booked]
    for baseline in (NO_BATTERY, "self_consumption", "timer"):
        by_quarter = total(q.saving_eur(baseline) or 0.0 for q in quarters)
        assert summary.kpis[f"profit_{baseline}_eur"] == by_quarter
    # The gap of an hour on the first day, and nothing else.
    assert first.values["coverage"] == pytest.approx(92 / 96)
    assert second.values["coverage"] == 1.0
    assert summary.totals["steps"] == 96 + 96 + 24
    # The demand charge starts anew in May; in each month the days add up to its peak.
    april = max(r.import_kwh for r in booked if r.ts < local_midnight(date(2026, 5, 1), VIENNA))
    assert first.values["bill_demand_eur"] == pytest.approx(april * 4 * 8, abs=1e-5)


def test_key_figures_are_what_they_are_said_to_be(stored: Stored) -> None:
    service = stored.service()
    service.catch_up()
    day = service.days(FIRST + timedelta(days=1), FIRST + timedelta(days=2))[0].values
    assert set(KPIS) <= set(day)
    rows = [
        r
        for r in stored.measured.rows
        if local_midnight(date(2026, 5, 1), VIENNA)
        <= r.ts
        < local_midnight(date(2026, 5, 2), VIENNA)
    ]
    imported = sum(r.import_kwh for r in rows)
    load = sum(
        r.import_kwh
        - r.export_kwh
        + (r.pv_kwh or 0.0)
        + (r.battery_discharged_kwh or 0.0)
        - (r.battery_charged_kwh or 0.0)
        for r in rows
    )
    assert day["self_sufficiency"] == pytest.approx(1.0 - imported / load)
    assert day["peak_kw"] == pytest.approx(4.0 * max(r.import_kwh for r in rows))
    drawn = sum(r.battery_discharged_kwh or 0.0 for r in rows) / 0.95
    assert day["full_cycles"] == pytest.approx(drawn / 160.0)
    assert day["availability"] == 1.0
    assert day["co2_kg"] == pytest.approx(imported * 0.1)
    rte = day["round_trip_efficiency"]
    assert rte is None or 0.85 < rte < 0.9025
    assert day["load_mae_kw"] is None, "nothing was forecast, and unknown is not 0"
    best, mine = day["profit_perfect_foresight_eur"], day["profit_no_battery_eur"]
    assert best is not None
    assert mine is not None
    assert day["capture"] == pytest.approx(mine / best)


def test_perfect_foresight_is_worth_at_least_what_every_baseline_is(stored: Stored) -> None:
    """Over the whole of what passed, its end energy valued like theirs."""
    service = stored.service()
    service.catch_up()
    totals = service.summary(FIRST, FIRST + timedelta(days=1)).totals

    def paid(side: str) -> float:
        parts = [totals[f"{side}_{part}_eur"] for part in ("energy", "demand", "wear")]
        return sum(p or 0.0 for p in parts) - (totals[f"{side}_stored_eur"] or 0.0)

    for side in (ACTUAL, *BASELINES):
        assert paid("perfect_foresight") <= paid(side) + 1e-4


def test_the_gap_is_explained_to_the_last_digit(stored: Stored) -> None:
    service = stored.service()
    service.catch_up()
    found = service.attribution(FIRST, FIRST + timedelta(days=2))
    assert found.days == 2
    for day, parts in found.by_day.items():
        values = service.days(day, day + timedelta(days=1))[0].values
        assert set(parts.causes) == set(CAUSES)
        assert total(parts.causes.values()) == parts.gap_eur
        assert parts.gap_eur == pytest.approx(values["gap_to_perfect_eur"], abs=1e-9)
        # Nothing was forecast or planned, so that much cannot be told.
        assert {"price_forecast", "load_forecast", "planning"} <= set(parts.unknown)
    assert found.total is not None
    assert total(found.total.causes.values()) == found.total.gap_eur


def test_a_restart_after_every_piece_of_work_gives_the_same_rows(
    stored: Stored, template: Callable[[Path], DuckDbHistory], tmp_path: Path
) -> None:
    service = stored.service()
    service.catch_up()
    whole = stored.all_savings()
    figures = service.daily(3)
    folder = tmp_path / "again"
    folder.mkdir()
    store = template(folder)
    again = Stored(stored.measured, store, HistoryWriter(store, SystemClock()), stored.clock)
    # A program that is stopped and started while the days go by.
    end = stored.clock.now()
    clock = ManualClock(local_midnight(FIRST, VIENNA) + timedelta(hours=1))
    again.clock = clock
    while clock.now() < end:
        again.service().catch_up(1)
        clock.advance(min(13.3 * 3600.0, (end - clock.now()).total_seconds()))
    last = again.service()
    last.catch_up()
    assert again.all_savings() == whole
    assert [d.values for d in last.daily(3)] == [d.values for d in figures]
    store.close()


def test_a_price_that_comes_late_is_booked_from_samples_also_after_a_restart(
    measured: MeasuredSite, tmp_path: Path
) -> None:
    start = local_midnight(FIRST, VIENNA)
    end = start + timedelta(hours=6)
    night = replace(
        measured,
        rows=[r for r in measured.rows if r.ts < end],
        minutes=measured.minutes,
    )
    unpriced = start + 8 * STEP
    rows = [r for r in night.rows if not unpriced <= r.ts < unpriced + 3 * STEP]
    samples = [s for s in samples_of(measured) if s.ts < end + STEP]
    store = DuckDbHistory(tmp_path / "hot.duckdb")
    store.write(Batch(samples=tuple(samples), ledger=tuple(rows)))
    site = Stored(measured, store, HistoryWriter(store, SystemClock()), ManualClock(end + STEP / 5))
    waiting = site.service(price_from=unpriced)
    waiting.catch_up()
    assert waiting.kept_until == unpriced, "later quarter-hours wait for it"
    service = site.service()
    service.catch_up()
    assert service.kept_until == end
    site.writer.flush()
    found = store.ledger("site-1", start, end)
    assert [r.ts for r in found] == [r.ts for r in night.rows]
    for mine, true in zip(found, night.rows, strict=True):
        assert mine.import_kwh == pytest.approx(true.import_kwh, abs=1e-6)
        assert mine.cost_eur == pytest.approx(true.cost_eur, abs=1e-6)
        assert mine.seconds == pytest.approx(900.0)
    store.close()


def rows_by_side(rows: Sequence[SavingsRow], side: str) -> list[SavingsRow]:
    return [row for row in rows if row.baseline == side]


def test_an_hour_that_nobody_watched_has_no_rows_and_a_new_opening(stored: Stored) -> None:
    service = stored.service()
    service.catch_up()
    rows = stored.all_savings()
    openings = rows_by_side(rows, "opening")
    gap_end = local_midnight(FIRST, VIENNA) + 44 * STEP
    assert [row.ts for row in openings] == [local_midnight(FIRST, VIENNA) - STEP, gap_end - STEP]
    counted = {row.ts for row in rows_by_side(rows, ACTUAL)}
    for baseline in BASELINES[:3]:
        assert {row.ts for row in rows_by_side(rows, baseline)} == counted


def test_what_could_not_be_stored_yet_is_no_gap(stored: Stored) -> None:
    """While the store fails the books wait; they are kept when it works again."""
    works = False
    write = stored.store.write

    def failing(batch: Batch) -> None:
        if not works:
            raise HistoryError("the disk is full.")
        write(batch)

    stored.store.write = failing  # type: ignore[method-assign]
    stored.writer.add_event(EventRow(stored.clock.now(), "site-1", "info", "test", "waits"))
    service = stored.service()
    with pytest.raises(HistoryError, match="savings wait"):
        service.step()
    begin = local_midnight(FIRST, VIENNA)
    assert service.kept_until == begin
    works = True
    assert service.step()
    assert service.kept_until == begin + 96 * STEP
