"""Every kilowatt-hour through the meter is booked once, at the price of its quarter-hour."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.analytics.ledger import Ledger, TariffQuote
from engine.domain.quarter_hour import quarter_start
from engine.domain.records import LedgerRow
from tests.support.build import NOW, image


def quote(ts: datetime) -> TariffQuote:
    """A different price in every quarter-hour."""
    number = ts.hour * 4 + ts.minute // 15
    return TariffQuote(0.20 + number / 1000, 0.08 - number / 1000, "recorded")


def ledger() -> Ledger:
    return Ledger("site-1", quote, max_power_kw=400.0)


def feed(book: Ledger, readings: list[tuple[float, dict]]) -> list[LedgerRow]:
    rows: list[LedgerRow] = []
    for seconds, values in readings:
        rows += book.add(image(NOW + timedelta(seconds=seconds), **values))
    return rows


def test_registers_are_booked_to_the_watt_hour() -> None:
    book = ledger()
    rows = feed(
        book,
        [
            (30.0 * i, {"grid_import_kwh": 1000 + 0.1 * i, "grid_export_kwh": 50.0})
            for i in range(61)
        ],
    )
    assert [r.ts for r in rows] == [NOW, NOW + timedelta(minutes=15)]
    assert rows[0].import_kwh == pytest.approx(3.0)
    assert rows[0].cost_eur == pytest.approx(3.0 * quote(NOW).buy_eur_per_kwh)
    assert rows[0].seconds == pytest.approx(900)
    assert (rows[0].method, rows[0].price_source) == ("counters", "recorded")


def test_feed_in_is_income() -> None:
    rows = feed(
        ledger(),
        [
            (30.0 * i, {"grid_import_kwh": 0.0, "grid_export_kwh": 0.2 * i, "grid_kw": -24.0})
            for i in range(31)
        ],
    )
    assert rows[0].export_kwh == pytest.approx(6.0)
    assert rows[0].cost_eur == pytest.approx(-6.0 * quote(NOW).sell_eur_per_kwh)


def test_a_gap_loses_no_energy_and_is_visible() -> None:
    rows = feed(
        ledger(),
        [
            (0, {"grid_import_kwh": 0.0, "grid_export_kwh": 0.0}),
            (10, {"grid_import_kwh": 0.1, "grid_export_kwh": 0.0}),
            # Nothing heard for 45 minutes; the register went on counting.
            (2710, {"grid_import_kwh": 27.1, "grid_export_kwh": 0.0}),
        ],
    )
    assert len(rows) == 3
    assert sum(r.import_kwh for r in rows) == pytest.approx(27.1 - 27.0 * 10 / 2700)
    assert [r.seconds for r in rows] == pytest.approx([10, 0, 0])


@pytest.mark.parametrize("jump", [-500.0, +500.0])
def test_a_reset_or_jumping_register_is_replaced_by_power(jump: float) -> None:
    readings = []
    for i in range(31):
        shift = jump if i >= 15 else 0.0
        readings.append(
            (
                30.0 * i,
                {
                    "grid_import_kwh": 1000 + 0.1 * i + shift,
                    "grid_export_kwh": 0.0,
                    "grid_kw": 12.0,
                },
            )
        )
    row = feed(ledger(), readings)[0]
    assert row.import_kwh == pytest.approx(3.0)
    assert row.method == "integrated"


def test_a_clock_that_was_years_ahead_books_nothing_on_its_future() -> None:
    book = ledger()
    wrong = 400 * 86_400.0
    counted = [(30.0 * i, {"grid_import_kwh": 0.1 * i, "grid_export_kwh": 0.0}) for i in range(62)]
    rows = feed(book, [(wrong + at, values) for at, values in counted[:15]])
    rows += feed(book, counted[15:])
    ahead, *right = rows
    assert ahead.ts == NOW + timedelta(days=400)
    assert ahead.import_kwh == pytest.approx(1.4)
    assert [row.ts for row in right] == [NOW, NOW + timedelta(minutes=15)]
    assert right[0].import_kwh == pytest.approx(1.5)
    assert right[1].import_kwh == pytest.approx(3.0)


def test_without_any_measurement_nothing_is_booked() -> None:
    rows = feed(ledger(), [(30.0 * i, {"bad": ("grid_kw",)}) for i in range(40)])
    assert rows == []


def test_what_has_no_price_yet_is_booked_when_it_is_published() -> None:
    published: list[datetime] = []
    book = Ledger("site-1", lambda ts: quote(ts) if ts in published else None, 400.0)
    meter = [(30.0 * i, {"grid_import_kwh": 0.05 * i, "grid_export_kwh": 0.0}) for i in range(181)]
    assert feed(book, meter[:91]) == []
    published += [NOW + i * timedelta(minutes=15) for i in (0, 2, 3)]
    late = feed(book, meter[91:121])
    assert [r.ts for r in late] == [NOW + i * timedelta(minutes=15) for i in (0, 2, 3)]
    published += [NOW + i * timedelta(minutes=15) for i in (1, 4)]
    later = feed(book, meter[121:])
    assert [r.ts for r in later] == [NOW + i * timedelta(minutes=15) for i in (1, 4)]
    assert sum(r.import_kwh for r in late + later) == pytest.approx(7.5)
    assert all(r.seconds == pytest.approx(900.0) for r in late + later)


def test_a_restart_continues_the_quarter_hour() -> None:
    first = ledger()
    feed(first, [(0, _meter(0.0)), (30, _meter(0.5))])
    before = first.running()
    assert before is not None
    second = ledger()
    second.resume(before)
    feed(second, [(60, _meter(0.5)), (90, _meter(1.25))])
    after = second.running()
    assert after is not None
    assert after.import_kwh == pytest.approx(1.25)


def test_what_the_meter_counted_while_the_program_was_down_is_booked() -> None:
    first = ledger()
    feed(first, [(0, _meter(100.0)), (30, _meter(100.5)), (60, _meter(101.0))])
    before = first.running()
    assert before is not None
    second = ledger()
    second.resume(before)
    second.follow(image(NOW + timedelta(seconds=60), **_meter(101.0)))
    # Two hours and a minute later; the register went on.
    rows = feed(second, [(7260, _meter(125.0)), (7290, _meter(125.1))])
    running = second.running()
    assert running is not None
    assert [r.ts for r in rows] == [NOW + i * timedelta(minutes=15) for i in range(8)]
    assert sum(r.import_kwh for r in (*rows, running)) == pytest.approx(25.1)
    assert [r.seconds for r in rows] == pytest.approx([60.0, *[0.0] * 7])


def _meter(kwh: float) -> dict:
    return {"grid_import_kwh": kwh, "grid_export_kwh": 0.0}


@given(
    st.lists(
        st.tuples(
            st.floats(min_value=0.5, max_value=2000),
            st.floats(min_value=0, max_value=400),
            st.floats(min_value=0, max_value=400),
        ),
        min_size=1,
        max_size=60,
    )
)
def test_booked_energy_equals_the_registers_whatever_the_timing(
    steps: list[tuple[float, float, float]],
) -> None:
    book, rows, t, imported, exported = ledger(), [], 0.0, 0.0, 0.0
    book.add(image(NOW, **_meter(0.0)))
    for seconds, import_kw, export_kw in steps:
        t += seconds
        imported += import_kw * seconds / 3600
        exported += export_kw * seconds / 3600
        rows += book.add(
            image(NOW + timedelta(seconds=t), grid_import_kwh=imported, grid_export_kwh=exported)
        )
    running = book.running()
    rows += [running] if running else []
    assert sum(r.import_kwh for r in rows) == pytest.approx(imported, abs=1e-6)
    assert sum(r.export_kwh for r in rows) == pytest.approx(exported, abs=1e-6)
    assert len({r.ts for r in rows}) == len(rows)
    for row in rows:
        assert row.ts == quarter_start(row.ts)
        assert row.cost_eur == pytest.approx(
            row.import_kwh * row.buy_eur_per_kwh - row.export_kwh * row.sell_eur_per_kwh
        )
