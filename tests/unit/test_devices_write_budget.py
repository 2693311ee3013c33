"""The count of flash writes survives restarts, power cuts and clocks that are set back."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from engine.devices.write_budget import JsonWriteCounts, WriteBudget, WriteCount
from engine.domain.clock import ManualClock
from engine.domain.errors import DeviceError

START = datetime(2026, 11, 23, 23, 59, tzinfo=UTC)


def test_counts_are_kept_per_device_and_across_restarts(tmp_path: Path) -> None:
    path = tmp_path / "data" / "writes.json"
    for expected in (1, 2, 3):
        budget = WriteBudget("pcs", 5, JsonWriteCounts(path), ManualClock(START))
        budget.count()
        assert budget.used() == expected
    assert WriteBudget("other", 5, JsonWriteCounts(path), ManualClock(START)).used() == 0
    assert [entry.name for entry in path.parent.iterdir()] == ["writes.json"]


def test_a_new_day_starts_at_midnight_utc(tmp_path: Path) -> None:
    clock = ManualClock(START)
    budget = WriteBudget("pcs", 1, JsonWriteCounts(tmp_path / "writes.json"), clock)
    budget.count()
    assert not budget.allows(1)
    clock.advance(59)
    assert not budget.allows(1)
    clock.advance(1)
    assert budget.allows(1)
    assert not budget.allows(2)


def test_a_clock_that_is_set_back_hands_out_no_second_budget(tmp_path: Path) -> None:
    path = tmp_path / "writes.json"
    WriteBudget("pcs", 1, JsonWriteCounts(path), ManualClock(START)).count()
    earlier = ManualClock(START - timedelta(days=400))
    assert not WriteBudget("pcs", 1, JsonWriteCounts(path), earlier).allows(1)


@pytest.mark.parametrize(
    "text", ["{", "[]", '{"pcs": {"day": "today", "writes": 1}}', '{"pcs": {}}', '{"pcs": 4}']
)
def test_a_damaged_file_is_told_and_grants_nothing(tmp_path: Path, text: str) -> None:
    path = tmp_path / "writes.json"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(DeviceError, match="cannot be read") as caught:
        WriteBudget("pcs", 5, JsonWriteCounts(path), ManualClock(START)).allows(1)
    assert caught.value.hint


def test_a_count_that_cannot_be_stored_is_told(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("", encoding="utf-8")
    store = JsonWriteCounts(blocked / "writes.json")
    with pytest.raises(DeviceError, match=r"cannot be (stored|read)"):
        store.save("pcs", WriteCount(date(2026, 11, 23), 1))
