"""The peak import that is already billed: what the next one must exceed to cost anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from engine.analytics.incurred_peak import IncurredPeaks
from engine.config.load import parse_config
from engine.domain.records import LedgerRow
from engine.history.duckdb_store import DuckDbHistory
from engine.history.store import Batch
from engine.market.tariff import TariffBook

VIENNA = ZoneInfo("Europe/Vienna")
# The local November 2026 in UTC.
NOVEMBER = (datetime(2026, 10, 31, 23, tzinfo=UTC), datetime(2026, 11, 30, 23, tzinfo=UTC))
DECEMBER = (NOVEMBER[1], datetime(2026, 12, 31, 23, tzinfo=UTC))
QUARTER = datetime(2026, 11, 25, 12, tzinfo=UTC)
NOW = QUARTER + timedelta(minutes=20)


def booked(ts: datetime, import_kw: float, seconds: float = 900.0) -> LedgerRow:
    return LedgerRow(
        ts=ts,
        site_id="site-1",
        seconds=seconds,
        import_kwh=import_kw / 4.0,
        export_kwh=0.0,
        battery_charged_kwh=None,
        battery_discharged_kwh=None,
        pv_kwh=None,
        buy_eur_per_kwh=0.2,
        sell_eur_per_kwh=0.1,
        cost_eur=import_kw / 20.0,
        price_source="recorded",
        method="counters",
    )


def tariff(windows: str = "[]") -> TariffBook:
    text = f"tariff: {{demand_charge: {{eur_per_kw: 8, windows: {windows}}}}}"
    return TariffBook(parse_config(text).tariff, VIENNA)


def peaks(*rows: LedgerRow, book: TariffBook | None = None) -> IncurredPeaks:
    return IncurredPeaks(stored(rows), book or tariff())


def stored(rows: Iterable[LedgerRow]) -> Callable[[datetime, datetime], list[LedgerRow]]:
    kept = list(rows)
    return lambda start, end: [row for row in kept if start <= row.ts < end]


def test_it_is_the_highest_quarter_hour_metered_in_the_period() -> None:
    found = peaks(
        booked(NOVEMBER[0] - timedelta(minutes=15), 190.0),
        booked(NOVEMBER[0], 60.0),
        booked(QUARTER - timedelta(days=3), 84.0),
        booked(QUARTER - timedelta(days=1), 70.0),
    )
    assert found.kw(*NOVEMBER, NOW) == pytest.approx(84.0)


def test_nothing_metered_is_no_peak() -> None:
    assert peaks().kw(*NOVEMBER, NOW) == 0.0


def test_a_quarter_hour_raises_it_as_soon_as_it_is_booked() -> None:
    found = peaks(booked(QUARTER - timedelta(days=1), 70.0))
    assert found.kw(*NOVEMBER, NOW) == pytest.approx(70.0)
    found.add(booked(QUARTER, 55.0))
    assert found.kw(*NOVEMBER, NOW) == pytest.approx(70.0)
    found.add(booked(QUARTER + timedelta(minutes=15), 91.0))
    assert found.kw(*NOVEMBER, NOW) == pytest.approx(91.0)


def test_what_was_booked_before_anybody_asked_counts_although_it_is_not_stored_yet() -> None:
    found = peaks(booked(QUARTER - timedelta(days=1), 70.0))
    found.add(booked(QUARTER - timedelta(minutes=15), 95.0))
    assert found.kw(*NOVEMBER, NOW) == pytest.approx(95.0)


def test_a_new_month_starts_at_local_midnight_from_nothing() -> None:
    found = peaks(booked(QUARTER, 120.0))
    before_midnight = DECEMBER[0] - timedelta(minutes=5)
    assert found.kw(*NOVEMBER, before_midnight) == pytest.approx(120.0)
    assert found.kw(*DECEMBER, before_midnight) == 0.0, "a period to come has no peak"
    found.add(booked(DECEMBER[0] - timedelta(minutes=15), 130.0))
    after_midnight = DECEMBER[0] + timedelta(minutes=20)
    assert found.kw(*DECEMBER, after_midnight) == 0.0
    found.add(booked(DECEMBER[0], 30.0))
    assert found.kw(*DECEMBER, after_midnight) == pytest.approx(30.0)


@pytest.mark.parametrize(("seconds", "expected"), [(890.0, 100.0), (889.0, 0.0), (60.0, 0.0)])
def test_a_quarter_hour_that_was_hardly_watched_does_not_count(
    seconds: float, expected: float
) -> None:
    found = peaks(booked(QUARTER - timedelta(hours=1), 100.0, seconds))
    assert found.kw(*NOVEMBER, NOW) == pytest.approx(expected)


def test_only_billed_times_count_before_and_after_a_start() -> None:
    evenings = tariff("[{from: 17:00, to: 20:00, weekdays: [mon, tue, wed, thu, fri]}]")
    wednesday = datetime(2026, 11, 25, 0, tzinfo=VIENNA)
    saturday = datetime(2026, 11, 21, 18, tzinfo=VIENNA).astimezone(UTC)

    def at(hour: int, minute: int = 0) -> datetime:
        return wednesday.replace(hour=hour, minute=minute).astimezone(UTC)

    now = at(21)
    found = peaks(
        booked(saturday, 180.0),
        booked(at(16, 45), 150.0),
        booked(at(17), 80.0),
        book=evenings,
    )
    assert found.kw(*NOVEMBER, now) == pytest.approx(80.0)
    found.add(booked(at(19, 45), 90.0))
    found.add(booked(at(20), 140.0))
    assert found.kw(*NOVEMBER, now) == pytest.approx(90.0)


def test_a_look_at_an_earlier_time_knows_nothing_later() -> None:
    earlier = QUARTER - timedelta(days=2)
    found = peaks(booked(earlier - timedelta(hours=1), 40.0), booked(QUARTER, 150.0))
    assert found.kw(*NOVEMBER, earlier) == pytest.approx(40.0)


def test_a_restart_finds_the_peak_in_the_stored_ledger(tmp_path: Path) -> None:
    store = DuckDbHistory(tmp_path / "hot.duckdb")
    store.write(Batch(ledger=(booked(QUARTER - timedelta(days=2), 77.0),)))
    store.close()
    store = DuckDbHistory(tmp_path / "hot.duckdb")
    found = IncurredPeaks(lambda start, end: store.ledger("site-1", start, end), tariff())
    assert found.kw(*NOVEMBER, NOW) == pytest.approx(77.0)
    store.close()
