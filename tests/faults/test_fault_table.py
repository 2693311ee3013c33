"""The fault table: whatever fails, no limit is violated for longer than one cycle.

A plant behind real Modbus TCP, whose converter obeys its setpoint only, is steered in 2-s cycles
while one thing after the other fails. What happened is read from the plant's own books; the
stated state is that of docs/control/operation.md. Faults begin right after a poll, which is the
worst moment.
"""

from __future__ import annotations

import errno
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.domain.control import EngineState
from engine.domain.errors import HistoryError, MarketError, OptimizationError
from engine.history.duckdb_store import DuckDbHistory
from engine.market.prices import DayAheadPrices
from engine.market.recorded_prices import RecordedPrices
from tests.support.fault_site import (
    CYCLE_S,
    START,
    Fault,
    FaultSite,
    assert_stored_as_seen,
)

AUTOMATIC, SAFE, FAULT = EngineState.AUTOMATIC, EngineState.SAFE, EngineState.FAULT
DEGRADED = EngineState.DEGRADED

Build = Callable[..., FaultSite]


@pytest.fixture
def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Build]:
    made: list[FaultSite] = []

    def make(text: str = "", **named: Any) -> FaultSite:
        made.append(FaultSite(tmp_path / f"data{len(made)}", monkeypatch, text, **named))
        return made[-1]

    yield make
    for site in made:
        site.close()
        assert site.violations == []


@dataclass(frozen=True)
class Row:
    """One row of the table.

    Attributes:
        name: What fails.
        begin: Lets it fail.
        end: Repairs it.
        state: State and reason that must be reached in the very next cycle.
        power_kw: Setpoint meanwhile, None where that is not the point.
        cycles: How long it lasts.
        charging: The battery charges when it happens, by an order by hand; else it serves load.
    """

    name: str
    begin: Callable[[FaultSite], None]
    end: Callable[[FaultSite], None]
    state: tuple[EngineState, str | None]
    power_kw: float | None = 0.0
    cycles: int = 6
    charging: bool = False
    bindings: tuple[str, ...] = field(default=())


def wire(device: str, fault: Fault) -> Callable[[FaultSite], None]:
    def change(site: FaultSite) -> None:
        site.wires[device].fault = fault

    return change


def switch(name: str, value: object) -> Callable[[FaultSite], None]:
    def change(site: FaultSite) -> None:
        setattr(site.plant.faults, name, value)

    return change


def wired(device: str, fault: Fault, reason: str) -> Row:
    return Row(
        f"{device} {fault.value}",
        wire(device, fault),
        wire(device, Fault.NONE),
        (SAFE, reason),
    )


def switched(name: str, state: tuple[EngineState, str | None], **named: Any) -> Row:
    off = None if name.endswith("_kw") else False
    on = 0.0 if name.endswith("_kw") else True
    return Row(name, switch(name, on), switch(name, off), state, **named)


def both(site: FaultSite, on: bool) -> None:
    site.plant.faults.charge_prohibited = site.plant.faults.discharge_prohibited = on


def both_limits(site: FaultSite, limit_kw: float | None) -> None:
    site.plant.faults.charge_limit_kw = site.plant.faults.discharge_limit_kw = limit_kw


BY_HAND = (EngineState.MANUAL, "manual")

TABLE = [
    *(wired("bms", fault, "bms_missing") for fault in (Fault.DEAD, Fault.SILENT, Fault.GARBAGE)),
    *(
        wired("meter", fault, "meter_missing")
        for fault in (Fault.DEAD, Fault.SILENT, Fault.GARBAGE)
    ),
    switched("discharge_limit_kw", (AUTOMATIC, None), bindings=("bms_power", "status", "alarm")),
    switched("charge_limit_kw", BY_HAND, charging=True, bindings=("bms_power", "status", "alarm")),
    switched("charge_prohibited", BY_HAND, charging=True, bindings=("status", "alarm")),
    switched("discharge_prohibited", (AUTOMATIC, None), bindings=("status", "alarm")),
    Row(
        "status 7",
        lambda site: both(site, True),
        lambda site: both(site, False),
        (SAFE, "battery_blocked"),
        bindings=("status", "alarm"),
    ),
    Row(
        "both limits zero",
        lambda site: both_limits(site, 0.0),
        lambda site: both_limits(site, None),
        (SAFE, "battery_blocked"),
        bindings=("status", "alarm"),
    ),
    switched("bms_fault", (FAULT, "battery_fault"), bindings=("status", "alarm")),
    switched("contactor_abnormal_open", (FAULT, "battery_fault")),
    switched("contactor_abnormal_closed", (FAULT, "battery_fault")),
]


@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_the_fault_table(build: Build, row: Row) -> None:
    site = build()
    if row.charging:
        site.engine.operator.give(-50.0, site.clock.now() + timedelta(hours=1), None, "api")
        site.run(12)
        assert site.battery_kw == pytest.approx(-50.0, abs=0.5)
    else:
        site.settle(cycles=12)
        assert site.battery_kw == pytest.approx(60.0, abs=1.0), "it serves the load"
    plan = site.snapshot.plan
    at_s = site.world.monotonic()
    row.begin(site)
    site.run()
    assert site.state == row.state
    if row.power_kw is not None:
        assert site.told_kw == site.setpoint.power_kw == row.power_kw
    if row.bindings:
        limits = site.limits
        assert {limits.charge_binding, limits.discharge_binding} & set(row.bindings)
    site.run(row.cycles)
    assert site.state == row.state, "it stays while the fault lasts"
    if row.power_kw is not None:
        assert all(abs(m.battery_kw - row.power_kw) < 0.1 for m in site.since(at_s + 3.0))
    assert site.snapshot.plan is not None, "a plan in force is not thrown away"
    assert plan is not None
    row.end(site)
    normal = BY_HAND if row.charging else (AUTOMATIC, None)
    site.run_until(lambda: site.state == normal and abs(site.battery_kw) > 40.0, 50)
    assert site.state == normal, "and the battery works again without a person"
    events = [e.message for e in site.events() if e.code == "state_changed"]
    if row.state[0] not in (AUTOMATIC, EngineState.MANUAL):
        assert any(f"-> {row.state[0].value} ({row.state[1]})" in text for text in events)
    assert_stored_as_seen(site)
