"""The strategy chosen by hand survives a restart, ends on time, and a bad file harms nothing."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from engine.domain.errors import ConfigError
from engine.domain.strategy import StrategyKey
from engine.strategies.override import ManualChoice, OverrideStore, choice_in_force

NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
CHOICE = ManualChoice(
    StrategyKey.PEAK_SHAVING, NOW + timedelta(hours=3), chosen_at=NOW, chosen_by="anna"
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "manual_strategy.json"


def test_nothing_chosen_is_no_problem(path: Path) -> None:
    stored = OverrideStore(path).load(NOW)
    assert (stored.choice, stored.problem, stored.expired) == (None, None, False)


def test_a_choice_survives_a_restart(path: Path) -> None:
    OverrideStore(path).save(CHOICE)
    assert OverrideStore(path).load(NOW + timedelta(hours=2)).choice == CHOICE
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_it_ends_on_the_second_also_while_the_program_was_off(path: Path) -> None:
    store = OverrideStore(path)
    store.save(CHOICE)
    assert CHOICE.until is not None
    assert store.load(CHOICE.until - timedelta(seconds=1)).choice == CHOICE
    late = OverrideStore(path).load(CHOICE.until)
    assert (late.choice, late.expired) == (None, True)
    assert not path.exists()


def test_a_new_choice_replaces_the_old_and_clear_forgets_it(path: Path) -> None:
    store = OverrideStore(path)
    store.save(CHOICE)
    other = ManualChoice(StrategyKey.ARBITRAGE, NOW + timedelta(hours=9))
    store.save(other)
    assert store.load(NOW).choice == other
    store.clear()
    store.clear()
    assert store.load(NOW).choice is None


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe\x00",
        b'{"version": 2}',
        b'{"version": 1, "strategy": "fastest", "until": "2026-05-01T15:00:00+00:00"}',
        b'{"version": 1, "strategy": "arbitrage", "until": null}',
        b'{"version": 1, "strategy": "arbitrage", "until": "2026-05-01T15:00:00"}',
        b'{"version": 1, "strategy": "arbitrage", "until": "soon"}',
    ],
)
def test_a_damaged_file_is_reported_and_means_automatic(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    stored = OverrideStore(path).load(NOW)
    assert stored.choice is None
    assert stored.problem is not None
    assert path.name in stored.problem
    # What was found stays for whoever wants to look, until somebody chooses again.
    assert path.read_bytes() == content
    OverrideStore(path).save(CHOICE)
    assert OverrideStore(path).load(NOW).choice == CHOICE


def test_a_write_that_fails_leaves_the_old_choice(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = OverrideStore(path)
    store.save(CHOICE)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(json, "dump", full)
    with pytest.raises(OSError, match="No space"):
        store.save(ManualChoice(StrategyKey.ARBITRAGE, NOW + timedelta(hours=9)))
    assert OverrideStore(path).load(NOW).choice == CHOICE
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


def test_a_choice_needs_an_end_in_the_future_with_a_zone(path: Path) -> None:
    with pytest.raises(ConfigError, match="needs an end"):
        OverrideStore(path).save(ManualChoice(StrategyKey.ARBITRAGE))
    with pytest.raises(ConfigError, match="has passed"):
        ManualChoice(StrategyKey.ARBITRAGE, NOW, chosen_at=NOW)
    with pytest.raises(ConfigError, match="no time zone"):
        ManualChoice(StrategyKey.ARBITRAGE, datetime(2026, 5, 1, 18))  # noqa: DTZ001


def test_local_times_are_kept_as_utc(path: Path) -> None:
    local = datetime(2026, 5, 1, 17, tzinfo=timezone(timedelta(hours=2)))
    choice = ManualChoice(StrategyKey.ARBITRAGE, local)
    OverrideStore(path).save(choice)
    loaded = OverrideStore(path).load(NOW).choice
    assert loaded is not None
    assert loaded.until == datetime(2026, 5, 1, 15, tzinfo=UTC)


def test_a_running_choice_outranks_the_configuration() -> None:
    balancing = StrategyKey.LOAD_BALANCING
    assert choice_in_force(None, None, NOW) is None
    assert choice_in_force(balancing, None, NOW) == ManualChoice(balancing)
    assert choice_in_force(balancing, CHOICE, NOW) == CHOICE
    assert choice_in_force(balancing, CHOICE, NOW + timedelta(days=1)) == ManualChoice(balancing)
    assert choice_in_force(None, CHOICE, NOW + timedelta(days=1)) is None
