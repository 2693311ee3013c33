"""The recorded year serves any date by weekday and season."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engine.domain.errors import EmsError
from engine.recorded.recording import DEMO_FILE, Recording, quarter_mean, season_distance_days
from engine.recorded.within_quarter import with_ripple


@pytest.mark.parametrize("day", [date(2026, 11, 23) + timedelta(days=37 * i) for i in range(30)])
def test_weekday_matches_and_season_is_near(recording: Recording, day: date) -> None:
    source = recording.source_date(day)
    assert source.weekday() == day.weekday()
    # The recording lacks the last days of August and all of September.
    assert season_distance_days(source, day) <= (4 if day.month not in (8, 9) else 30)


def test_a_recorded_day_serves_itself(recording: Recording) -> None:
    table = pq.read_table(DEMO_FILE)
    i = 5000
    ts, price = table["ts_utc"][i].as_py(), table["price_at_eur_mwh"][i].as_py()
    assert recording.source_date(ts.astimezone(recording.timezone).date()).year == ts.year
    assert recording.values("price_at_eur_mwh", [ts])[0] == pytest.approx(price)


@pytest.mark.parametrize(("day", "quarters"), [(date(2026, 10, 25), 100), (date(2027, 3, 28), 92)])
def test_clock_changes_have_a_value_for_every_quarter_hour(
    recording: Recording, day: date, quarters: int
) -> None:
    zone = recording.timezone
    start = datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)
    after = day + timedelta(days=1)
    end = datetime(after.year, after.month, after.day, tzinfo=zone).astimezone(UTC)
    assert (end - start) / timedelta(minutes=15) == quarters
    values = recording.quarter_hours("load_kw", start, quarters)
    assert values.shape == (quarters,)
    assert np.isfinite(values).all()
    if quarters == 100:
        # The hour that the clock shows twice (02:00-03:00) repeats itself.
        assert (values[8:12] == values[12:16]).all()


def test_ripple_keeps_every_recorded_mean(recording: Recording) -> None:
    mean = quarter_mean(recording, "load_kw")
    rippled = with_ripple(mean, 0.12, seed=1)
    start = datetime(2026, 11, 23, 7, 0, tzinfo=UTC)
    for quarter in range(8):
        at = start + timedelta(minutes=15 * quarter)
        seconds = [rippled(at + timedelta(seconds=s)) for s in range(900)]
        assert np.mean(seconds) == pytest.approx(mean(at), rel=1e-9)
        assert max(seconds) > min(seconds) > 0


def test_unknown_series_names_the_known_ones(recording: Recording) -> None:
    with pytest.raises(EmsError, match="load_kw"):
        recording.values("wind_kw", [datetime(2026, 1, 1, tzinfo=UTC)])


def test_missing_and_gappy_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(EmsError, match="missing"):
        Recording(tmp_path / "nothing.parquet")
    start = datetime(2026, 1, 1, tzinfo=UTC)
    stamps = [start + timedelta(minutes=15 * i) for i in range(200) if i != 77]
    table = pa.table({"load_kw": [1.0] * len(stamps), "ts_utc": pa.array(stamps)})
    pq.write_table(table, tmp_path / "gap.parquet")
    with pytest.raises(EmsError, match="gap-free"):
        Recording(tmp_path / "gap.parquet")


@pytest.mark.parametrize(
    "timezone", ["Europe/Vienna", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]
)
def test_a_row_of_quarter_hours_equals_asking_one_by_one(timezone: str) -> None:
    recording = Recording(timezone=timezone)
    for start in (
        datetime(2026, 3, 28, tzinfo=UTC),
        datetime(2026, 10, 24, 3, 7, 30, tzinfo=UTC),
        datetime(2027, 4, 2, 11, 45, tzinfo=UTC),
    ):
        times = [start + timedelta(minutes=15 * i) for i in range(400)]
        row = recording.quarter_hours("load_kw", start, 400)
        assert (row == recording.values("load_kw", times)).all()
    assert recording.quarter_hours("load_kw", start, 0).shape == (0,)
