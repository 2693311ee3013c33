"""Tariffs, devices and optimiser runs are written down when they are new, and only then."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from engine.config.load import parse_config
from engine.devices.assets.members import AssetMember, roles_of
from engine.devices.simulator.server import specs
from engine.domain.errors import MarketError, OptimizationError
from engine.history.duckdb_store import DuckDbHistory
from engine.history.store import Batch
from engine.runtime.run_records import failed_run, published_run
from engine.runtime.setup_records import new_devices, new_tariffs
from tests.support.build import NOW, plan

VIENNA = ZoneInfo("Europe/Vienna")


def test_a_tariff_is_recorded_once_and_again_when_it_changes(tmp_path: Path) -> None:
    store = DuckDbHistory(tmp_path / "hot.duckdb")
    text = (
        "tariff: {versions: [{grid_fee_eur_per_kwh: 0.05}, "
        "{valid_from: 2026-07-01, grid_fee_eur_per_kwh: %s}]}"
    )
    first = new_tariffs(parse_config(text % "0.06").tariff, VIENNA, store, "site-1", NOW)
    assert [row.valid_from for row in first] == [None, datetime(2026, 6, 30, 22, tzinfo=UTC)]
    store.write(Batch(tariffs=tuple(first)))
    assert new_tariffs(parse_config(text % "0.06").tariff, VIENNA, store, "site-1", NOW) == []
    (changed,) = new_tariffs(parse_config(text % "0.07").tariff, VIENNA, store, "site-1", NOW)
    assert '"grid_fee_eur_per_kwh":0.07' in changed.document
    store.close()


def test_a_device_is_recorded_when_something_about_it_changes(tmp_path: Path) -> None:
    store = DuckDbHistory(tmp_path / "hot.duckdb")
    members = [AssetMember(spec, roles_of(spec.profile)) for spec in specs(5020)]
    first = new_devices(members, store, "site-1", NOW)
    assert [row.device for row in first] == [m.spec.name for m in members]
    store.write(Batch(devices=tuple(first)))
    later = NOW + timedelta(days=1)
    # The demo plant answers on another port after every start; that is no other device.
    again = [AssetMember(spec, roles_of(spec.profile)) for spec in specs(5021)]
    assert new_devices(again, store, "site-1", later) == []
    other = [replace(again[0], spec=replace(again[0].spec, unit_id=77)), *again[1:]]
    (changed,) = new_devices(other, store, "site-1", later)
    assert changed.device == members[0].spec.name
    assert '"unit_id":77' in changed.document
    store.close()


def test_a_published_plan_is_a_run_with_its_solver_and_profit() -> None:
    made = published_run(plan(), NOW)
    assert (made.status, made.plan_id, made.solver) == (
        "published",
        plan().plan_id,
        "HIGHS (LP)",
    )
    assert made.expected_profit_eur == pytest.approx(12.34)


def test_a_run_without_a_plan_says_why() -> None:
    rejected = failed_run(
        OptimizationError("the plan failed its check.", field="plan.check"),
        NOW,
        "site-1",
        "schedule",
    )
    assert (rejected.status, rejected.plan_id) == ("rejected", None)
    failed = failed_run(MarketError("No prices."), NOW, "site-1", "start")
    assert (failed.status, failed.message, failed.trigger) == ("failed", "No prices.", "start")
    assert failed_run(ValueError(), NOW, "site-1", "start").message == "ValueError"
