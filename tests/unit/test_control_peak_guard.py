"""The running quarter-hour at the meter, and what the guard lets in."""

from __future__ import annotations

import math
from datetime import datetime, timedelta

import pytest

from engine.control.peak_guard import PeakGuard, ceiling_kw
from engine.control.quarter_import import QuarterImport, QuarterSoFar
from tests.support.build import NOW


def run(
    meter: QuarterImport, first_s: float, last_s: float, grid_kw: float | None, shift_s: float = 0.0
) -> QuarterSoFar:
    """Feed 2-s readings from `first_s` to `last_s`; the wall clock is off by `shift_s`."""
    seconds = first_s
    while True:
        wall: datetime = NOW + timedelta(seconds=seconds + shift_s)
        quarter = meter.update(wall, seconds, grid_kw)
        if seconds >= last_s:
            return quarter
        seconds += 2.0


def test_the_mean_counts_imports_only() -> None:
    meter = QuarterImport()
    run(meter, 0.0, 300.0, 60.0)
    quarter = run(meter, 302.0, 600.0, -90.0)
    assert quarter.mean_import_kw == pytest.approx(30.0)
    assert (quarter.remaining_s, quarter.unknown_s) == (300.0, 0.0)


def test_each_quarter_hour_starts_anew() -> None:
    meter = QuarterImport()
    run(meter, 0.0, 898.0, 60.0)
    quarter = run(meter, 900.0, 1000.0, 20.0)
    assert quarter.known_kws == pytest.approx(20.0 * 100.0)
    assert quarter.unknown_s == 0.0


def test_a_start_inside_the_quarter_hour_assumes_the_cap_or_what_is_drawn_now() -> None:
    low = run(QuarterImport(), 600.0, 600.0, 30.0)
    assert low.imported_kws(50.0, ceiling_kw(50.0)) == pytest.approx(600.0 * 50.0)
    high = run(QuarterImport(), 600.0, 600.0, 80.0)
    assert high.imported_kws(50.0, ceiling_kw(50.0)) == pytest.approx(600.0 * 80.0)
    spike = run(QuarterImport(), 600.0, 600.0, 1e6)
    assert spike.imported_kws(50.0, ceiling_kw(50.0)) == pytest.approx(600.0 * 100.0)


def test_missing_readings_count_like_the_first_one_after_them() -> None:
    meter = QuarterImport()
    run(meter, 0.0, 300.0, 20.0)
    run(meter, 302.0, 400.0, None)
    quarter = run(meter, 402.0, 450.0, 70.0)
    assert quarter.unknown_s == pytest.approx(100.0)
    assert quarter.imported_kws(50.0, 100.0) == pytest.approx(300 * 20 + 100 * 70 + 50 * 70)


@pytest.mark.parametrize("jump_s", [3600.0, -3600.0, 200.0, -200.0, 400.0])
def test_a_clock_that_is_set_causes_no_spike(jump_s: float) -> None:
    meter, guard = QuarterImport(), PeakGuard(margin_percent=0.0)
    run(meter, 0.0, 450.0, 90.0)
    quarter = run(meter, 452.0, 452.0, 45.0, shift_s=jump_s)
    # What went on before is assumed at the cap: neither a licence nor a debt.
    assert guard.allowed_kw(quarter, 60.0) == pytest.approx(60.0)
    assert quarter.unknown_s + quarter.known_s == pytest.approx(quarter.elapsed_s)
    later = run(meter, 454.0, 480.0, 60.0, shift_s=jump_s)
    assert later.known_s == pytest.approx(28.0)


def test_a_monotonic_clock_that_stands_still_while_asleep_counts_as_unknown() -> None:
    meter = QuarterImport()
    run(meter, 0.0, 100.0, 40.0)
    quarter = meter.update(NOW + timedelta(seconds=400.0), 102.0, 40.0)
    assert (quarter.known_s, quarter.unknown_s) == (0.0, 400.0)


def quarter_after(elapsed_s: float, mean_kw: float) -> QuarterSoFar:
    return QuarterSoFar(NOW, elapsed_s, mean_kw * elapsed_s, elapsed_s, 0.0, 0.0)


def test_what_is_left_of_the_cap_is_spread_over_the_rest() -> None:
    guard = PeakGuard(margin_percent=0.0)
    assert guard.allowed_kw(quarter_after(0.0, 0.0), 50.0) == pytest.approx(50.0)
    assert guard.allowed_kw(quarter_after(450.0, 40.0), 50.0) == pytest.approx(60.0)
    assert guard.allowed_kw(quarter_after(450.0, 70.0), 50.0) == pytest.approx(30.0)
    assert guard.allowed_kw(quarter_after(450.0, 300.0), 50.0) == 0.0
    assert guard.allowed_kw(quarter_after(880.0, 0.0), 50.0) == 100.0
    assert guard.allowed_kw(quarter_after(10.0, 40.0), math.inf) == math.inf


def test_the_end_of_the_quarter_hour_is_frozen() -> None:
    guard = PeakGuard(margin_percent=0.0)
    before = guard.allowed_kw(quarter_after(880.0, 49.0), 50.0)
    assert guard.allowed_kw(quarter_after(890.0, 52.0), 50.0) == before
    assert guard.allowed_kw(quarter_after(898.0, 40.0), 50.0) == before
    next_quarter = QuarterSoFar(NOW + timedelta(minutes=15), 0.0, 0.0, 0.0, 0.0, 0.0)
    assert guard.allowed_kw(next_quarter, 50.0) == pytest.approx(50.0)


def test_the_margin_stays_below_the_cap() -> None:
    allowed = PeakGuard(margin_percent=2.0).allowed_kw(quarter_after(0.0, 0.0), 50.0)
    assert allowed == pytest.approx(49.0)
