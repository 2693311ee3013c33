"""The fault table: whatever fails, no limit is violated for longer than one cycle.

A plant behind real Modbus TCP, whose converter obeys its setpoint only, is steered in 2-s cycles
while one thing after the other fails. What happened is read from the plant's own books; the
stated state is that of docs/control/operation.md. Faults begin right after a poll, which is the
worst moment.
"""

from __future__ import annotations

import os
import random
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.config.described_site import site_from
from engine.config.load import parse_config
from engine.control.external_limits import ExternalLimit
from engine.devices.commander import PowerCommander
from engine.devices.simulator.plant import DemoParameters, DemoPlant
from engine.domain.clock import AcceleratedClock
from engine.domain.control import EngineState
from engine.domain.errors import HistoryError, MarketError, OptimizationError
from engine.history.duckdb_store import DuckDbHistory
from engine.market.prices import DayAheadPrices
from engine.market.recorded_prices import RecordedPrices
from engine.recorded.recording import Recording
from engine.runtime.assembly import build_engine
from tests.support.build import SIMPLE_MODELS
from tests.support.fault_site import (
    CYCLE_S,
    START,
    Fault,
    FaultSite,
    assert_stored_as_seen,
)
from tests.support.process import wait_for

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


@pytest.mark.parametrize("fault", [Fault.DEAD, Fault.SILENT, Fault.GARBAGE])
def test_a_converter_out_of_reach_is_stopped_by_its_own_watchdog(
    build: Build, fault: Fault
) -> None:
    site = build().settle(cycles=12)
    assert site.battery_kw == pytest.approx(60.0, abs=1.0)
    site.wires["pcs"].fault = fault
    at_s = site.world.monotonic()
    site.run()
    assert site.state == (SAFE, "meter_missing"), "without the battery's power the load is unknown"
    assert site.setpoint.power_kw == 0.0
    site.run(31)
    assert all(abs(m.battery_kw) < 0.1 for m in site.since(at_s + 61.0)), "nobody renews"
    site.wires["pcs"].fault = Fault.NONE
    site.run_until(lambda: site.state == (AUTOMATIC, None) and site.battery_kw > 40.0)
    assert_stored_as_seen(site)


def test_a_battery_that_reports_nonsense_never_gets_more_than_its_nameplate(build: Build) -> None:
    site = build().settle(cycles=12)
    site.wires["bms"].fault = Fault.NONSENSE
    site.run(25)
    site.wires["bms"].fault = Fault.NONE
    site.run_until(lambda: site.state == (AUTOMATIC, None) and site.battery_kw > 40.0)
    assert_stored_as_seen(site)


def test_everything_gone_at_once_comes_back_by_itself(build: Build) -> None:
    site = build().settle(cycles=12)
    for device in site.wires.values():
        device.fault = Fault.DEAD
    site.run(3)
    assert site.state == (SAFE, "bms_missing")
    limits = site.limits
    assert (limits.charge_kw, limits.discharge_kw) == (0.0, 0.0)
    assert all(link.state == "offline" and link.reason for link in site.snapshot.links)
    for device in site.wires.values():
        device.fault = Fault.NONE
    site.run_until(lambda: site.state == (AUTOMATIC, None) and site.battery_kw > 40.0)
    assert_stored_as_seen(site)


def test_a_meter_that_stands_still_beside_a_moving_battery_is_no_meter(build: Build) -> None:
    """It would be the worst fault of all: the law would take its own power for load."""
    site = build()
    site.plant.faults.discharge_limit_kw = 30.0
    site.run(12)
    assert site.grid_kw == pytest.approx(30.0, abs=1.0)
    site.plant.faults.meter_frozen = True
    site.plant.faults.discharge_limit_kw = None
    at_s = site.world.monotonic()
    site.run_until(lambda: site.state == (SAFE, "meter_missing"), 12)
    assert site.told_kw == 0.0
    site.run(15)
    assert all(abs(m.battery_kw) < 0.1 for m in site.since(at_s + 20.0)), "and it stays like that"
    sample = site.snapshot.image.samples["grid_kw"]
    assert "while the battery or PV moved" in str(sample.reason)
    site.plant.faults.meter_frozen = False
    site.run_until(lambda: site.state == (AUTOMATIC, None) and site.battery_kw > 40.0)
    assert_stored_as_seen(site)


# Limits that the world breaks: the battery has one cycle to heal them.


def test_a_load_that_jumps_over_the_grid_connection_is_met_within_a_cycle(build: Build) -> None:
    site = build("grid: {import_limit_kw: 80}", load_kw=20.0)
    site.truth.heals = True
    site.settle(cycles=14)
    site.load_kw = 170.0
    site.run(4)
    assert site.grid_kw <= 80.1
    assert site.setpoint.reason in ("grid_limit", "value_dispatch")
    site.load_kw = 20.0
    site.run(30)
    assert site.state == (AUTOMATIC, None)


@pytest.mark.parametrize("power_kw", [-55.0, 55.0])
def test_an_order_by_hand_gives_way_to_the_grid_connection(build: Build, power_kw: float) -> None:
    site = build("grid: {import_limit_kw: 80, export_limit_kw: 5}", load_kw=40.0)
    site.truth.heals = True
    if power_kw > 0:
        site.load_kw = 60.0
    else:
        site.load_kw = 20.0
    site.engine.operator.give(power_kw, site.clock.now() + timedelta(hours=1), None, "api")
    site.run(14)
    assert site.battery_kw == pytest.approx(power_kw, abs=0.5)
    site.load_kw = 20.0 if power_kw > 0 else 60.0
    site.run(3)
    assert site.state == BY_HAND
    assert site.battery_kw == pytest.approx(25.0 if power_kw > 0 else -20.0, abs=0.5)
    assert site.setpoint.binding == ("grid_export" if power_kw > 0 else "grid_import")


# Prices.


def test_prices_that_end_at_midnight_leave_a_battery_at_rest_until_they_return(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    midnight = datetime(2026, 11, 24, 23, 0, tzinfo=UTC)
    published = RecordedPrices.published

    def outage(self: RecordedPrices, now: datetime) -> DayAheadPrices:
        if now - midnight > timedelta(minutes=2):
            raise MarketError("The exchange does not answer.")
        whole = published(self, now)
        steps = (midnight - whole.start) // timedelta(minutes=15)
        return DayAheadPrices(
            whole.start, whole.spot_eur_per_kwh[:steps], whole.source, whole.fetched_at
        )

    with monkeypatch.context() as patch:
        patch.setattr(RecordedPrices, "published", outage)
        site = build(start=midnight - timedelta(seconds=60))
        site.settle(cycles=29)
        plan = site.snapshot.plan
        assert plan is not None
        assert plan.end > midnight + timedelta(hours=24), "beyond the prices it rests on forecasts"
        site.run(3)
        assert site.state == (DEGRADED, "no_price")
        assert site.snapshot.price is None, "no price is made up"
        assert site.told_kw == 0.0
        site.run(90)
        assert site.state == (DEGRADED, "no_price"), "also while the source fails altogether"
        assert site.told_kw == 0.0
        assert {h.name: h for h in site.snapshot.health}["control"].ok
    site.run_until(lambda: site.state == (AUTOMATIC, None), 5)
    assert site.snapshot.price is not None
    assert_stored_as_seen(site)


# Storage.


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[bool]:
    """Mount a small file system at `folder`; False where this machine does not allow it."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        mounted = False
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_stops_nothing_and_costs_no_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = "limits: {external: [{source: dso}]}"
    with small_disk(tmp_path / "disk", "24m") as mounted:
        site = FaultSite(tmp_path / "disk", monkeypatch, config)
        try:
            site.settle(cycles=12)
            history = site.engine._parts.history
            assert history.flush(10.0)
            before = site.engine._parts.history.status().rows_written
            with monkeypatch.context() as patch:
                if mounted:
                    fill(tmp_path / "disk" / "ballast")
                else:
                    patch.setattr(DuckDbHistory, "write", no_space)
                # What a file has been given already can still be written.
                site.run_until(lambda: not history.flush(10.0), 40)
                site.run(8)
                assert not history.flush(10.0)
                assert site.state == (AUTOMATIC, None)
                health = {h.name: h for h in site.snapshot.health}["history"]
                assert not health.ok
                assert "No space left" in str(health.last_error)
                site.run()
                assert "disk_full" in {alarm.name for alarm in site.snapshot.alarms}
                assert site.battery_kw == pytest.approx(60.0, abs=1.0)
            (tmp_path / "disk" / "ballast").unlink(missing_ok=True)
            assert history.flush(10.0)
            status = history.status()
            assert (status.rows_dropped, status.rows_rejected) == (0, 0)
            assert status.rows_written > before
            site.run(2)
            assert_stored_as_seen(site)
        finally:
            site.close()
    assert site.violations == []


def fill(ballast: Path) -> None:
    disk = os.statvfs(ballast.parent)
    with ballast.open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, disk.f_bavail * disk.f_frsize)


def no_space(self: DuckDbHistory, batch: object) -> None:
    raise HistoryError("The history could not be written: No space left on device.")


def test_a_database_that_fails_stops_nothing_and_costs_no_row(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = build().settle(cycles=12)
    history = site.engine._parts.history

    def fail(self: DuckDbHistory, *_: object) -> Any:
        raise HistoryError("The database is broken.")

    with monkeypatch.context() as patch:
        patch.setattr(DuckDbHistory, "_cursor", fail)
        patch.setattr(DuckDbHistory, "write", fail)
        site.engine.request_plan()
        for _ in range(3):
            site.run(4)
            assert not history.flush(10.0)
        assert site.state == (AUTOMATIC, None)
        assert site.battery_kw == pytest.approx(60.0, abs=1.0)
        assert not {h.name: h for h in site.snapshot.health}["history"].ok
    assert history.flush(10.0)
    site.run(2)
    assert {h.name: h for h in site.snapshot.health}["history"].ok
    assert_stored_as_seen(site)


def test_a_locked_database_holds_up_nobody(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    site = build().settle(cycles=12)
    history, unlocked, write = site.engine._parts.history, threading.Event(), DuckDbHistory.write
    waiting = threading.Event()

    def wait(self: DuckDbHistory, batch: Any) -> None:
        waiting.set()
        assert unlocked.wait(60.0)
        write(self, batch)

    monkeypatch.setattr(DuckDbHistory, "write", wait)
    history.start()
    assert not history.flush(0.01)
    assert waiting.wait(10.0)
    site.run(20)
    assert site.state == (AUTOMATIC, None)
    assert site.battery_kw == pytest.approx(60.0, abs=1.0)
    unlocked.set()
    assert history.flush(30.0)
    assert_stored_as_seen(site)


# Time.


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
def test_a_clock_that_is_set_by_an_hour_disturbs_a_cycle_at_most(
    build: Build, seconds: float
) -> None:
    site = build().settle(cycles=20)
    plans = len(site.plans)
    site.clock.jump(seconds)
    site.run(3)
    assert site.state == (AUTOMATIC, None), site.states
    assert site.snapshot.plan is not None
    assert site.snapshot.plan.step_at(site.clock.now()) == 0, "planned anew from the time that is"
    site.run(30)
    assert site.state == (AUTOMATIC, None)
    assert site.battery_kw == pytest.approx(site.setpoint.power_kw, abs=1.0)
    assert len(site.plans) - plans <= 2
    assert "clock_jumped" in {alarm.name for alarm in site.snapshot.alarms}
    said = [n.detail for n in site.snapshot.notices if n.code == "time_repeats"]
    assert said == ([f"{START:%Y-%m-%d %H}:00 UTC"] if seconds < 0 else []), "until when"
    assert_stored_as_seen(site)


def test_a_clock_that_was_years_ahead_is_stored_at_the_right_time_at_once(build: Build) -> None:
    """The battery of the machine's clock was empty, or a time server told nonsense for a while."""
    site = build(start=START + timedelta(days=730)).settle(cycles=12)
    ahead = dict(site.seen)
    site.clock.jump(-730 * 86_400.0)
    site.run(3)
    assert site.state == (AUTOMATIC, None), site.states
    assert not [n for n in site.snapshot.notices if n.code == "time_repeats"]
    site.run(5)
    assert site.snapshot.energy_cost_today_eur == pytest.approx(0.0, abs=1.0)
    assert [c.ts for c in site.engine.recent(START - timedelta(hours=1))][-1] == site.clock.now()
    site.engine.stop()
    stored = site.stored()
    right = {ts for ts in stored if ts < START + timedelta(days=1)}
    assert stored.keys() - right == ahead.keys()
    first = START + timedelta(seconds=13 * CYCLE_S)
    assert right == {first + timedelta(seconds=i * CYCLE_S) for i in range(8)}


def test_values_of_a_future_that_was_set_back_do_not_stay_fresh(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Polling hangs when the clock is set back: the last values seem to be of an hour ahead."""
    site = build().settle(cycles=12)
    site.clock.jump(-3600.0)
    monkeypatch.setattr(site.engine._parts.devices.group, "poll_once", lambda: None)
    site.run()
    assert site.state == (SAFE, "bms_missing")
    assert site.told_kw == 0.0
    monkeypatch.undo()
    site.run_until(lambda: site.state == (AUTOMATIC, None), 5)


@pytest.mark.parametrize(
    ("switch_at", "quarters", "window_applies"),
    [
        (datetime(2026, 10, 25, 1, 0, tzinfo=UTC), 100, True),
        (datetime(2026, 3, 29, 1, 0, tzinfo=UTC), 92, False),
    ],
    ids=["25 h", "23 h"],
)
def test_days_of_23_and_25_hours(
    build: Build, switch_at: datetime, quarters: int, window_applies: bool
) -> None:
    """Summer time ends at 03:00 and begins at 02:00; a feed-in limit holds from 02:00 to 03:00."""
    text = "limits: {feed_in: {windows: [{from: '02:00', to: '03:00', limit_kw: 0}]}}"
    site = build(text, start=switch_at - timedelta(seconds=120), load_kw=20.0)
    site.pv_kw = 70.0
    site.truth.export_kw = 0.0 if window_applies else 200.0
    site.run(20)
    # From now on limits have risen and the battery can do what is asked of it.
    site.truth.heals = window_applies
    for _ in range(12):
        site.run(10)
        assert site.state == (AUTOMATIC, None)
        assert (site.limits.required_binding == "feed_in") is window_applies
    midnight = (switch_at - timedelta(hours=3 if window_applies else 2)).replace(minute=0)
    day = site.engine.prices(midnight, midnight + timedelta(minutes=15 * quarters))
    assert len(day) == quarters
    assert [row.ts for row in day] == [
        midnight + i * timedelta(minutes=15) for i in range(quarters)
    ]
    plan = site.snapshot.plan
    assert plan is not None
    assert plan.start == switch_at, "planned again at the quarter-hour"
    assert_stored_as_seen(site)


# The engine itself.


def test_a_control_step_that_raises_means_zero_in_the_same_cycle(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = build().settle(cycles=12)

    def explode(plan: object) -> None:
        raise ZeroDivisionError("a mistake of ours")

    with monkeypatch.context() as patch:
        patch.setattr(site.engine._parts.cycle, "run", explode)
        site.run()
        assert site.told_kw == 0.0
        assert site.state == (SAFE, "control_failing")
        assert site.snapshot.image.value("soc_percent") is None, "nothing old passes for new"
        site.run(5)
        assert site.told_kw == site.battery_kw == 0.0
        health = {h.name: h for h in site.snapshot.health}["control"]
        assert (health.ok, health.failures) == (False, 6)
        assert "control_failing" in {alarm.name for alarm in site.snapshot.alarms}
    site.run_until(lambda: site.state == (AUTOMATIC, None) and site.battery_kw > 40.0)
    texts = [e.message for e in site.events() if e.code == "state_changed"]
    assert "automatic -> safe (control_failing)" in texts
    assert_stored_as_seen(site)


def test_who_is_told_of_alarms_cannot_stop_control(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = build().settle(cycles=12)

    def explode(snapshot: object) -> None:
        raise RuntimeError("the list is broken")

    monkeypatch.setattr(site.engine._parts.alarm_desk, "feed", explode)
    site.run(5)
    assert site.state == (AUTOMATIC, None)
    assert site.battery_kw == pytest.approx(60.0, abs=1.0)
    assert "broken" in str({h.name: h for h in site.snapshot.health}["alarms"].last_error)


def test_a_planner_that_raises_leaves_the_plan_in_force(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = build()

    def explode(*arguments: object) -> None:
        raise OptimizationError("no solution")

    with monkeypatch.context() as patch:
        patch.setattr(site.engine._parts.planner, "_make", explode)
        site.run(10)
        assert site.state == (DEGRADED, "no_plan")
        assert site.told_kw == 0.0
    site.run_until(lambda: site.state == (AUTOMATIC, None) and site.battery_kw > 40.0)
    plan = site.snapshot.plan
    with monkeypatch.context() as patch:
        patch.setattr(site.engine._parts.planner, "_make", explode)
        site.engine.request_plan()
        site.run(10)
        assert site.snapshot.plan is plan
        assert site.state == (AUTOMATIC, None)
        assert not {h.name: h for h in site.snapshot.health}["plan"].ok
    site.run(2)
    assert site.snapshot.plan is not plan, "what was asked for is made up for"


def test_a_control_loop_that_hangs_renews_nothing_and_the_converter_stops(build: Build) -> None:
    site = build().settle(cycles=12)
    assert site.battery_kw == pytest.approx(60.0, abs=1.0)
    at_s = site.world.monotonic()
    site.run(42, control=False)
    # The last command may be renewed once more, 20 s after it was written; then 60 s pass.
    assert all(abs(m.battery_kw) < 0.1 for m in site.since(at_s + 80.5)), "its watchdog acts"
    site.run(20, control=False)
    assert site.battery_kw == 0.0, "devices that go on being polled revive nothing"
    site.run_until(lambda: site.state == (AUTOMATIC, None) and site.battery_kw > 40.0)


def test_a_steady_order_is_renewed_before_the_watchdog_of_the_converter(build: Build) -> None:
    site = build().settle(cycles=12)
    site.run(60)
    assert all(m.battery_kw == pytest.approx(60.0, abs=1.0) for m in site.moments[-400:])


def test_a_stop_leaves_zero_and_then_the_mode_of_the_device(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = build().settle(cycles=12)
    told_at_revert: list[float] = []
    monkeypatch.setattr(PowerCommander, "revert", lambda _: told_at_revert.append(site.told_kw))
    site.engine.stop()
    assert told_at_revert == [0.0], "first the battery rests, then the device is on its own"
    assert site.snapshot.state is EngineState.STOPPED
    site._pass(CYCLE_S)
    assert site.battery_kw == pytest.approx(0.0, abs=0.1)


def test_any_faults_in_any_order_end_in_automatic_control(build: Build) -> None:
    """Several things fail, return and fail again at once; the watcher is `FaultSite` itself."""
    chance = random.Random(20261125)
    site = build(
        "limits: {external: [{source: dso}]}\ngrid: {import_limit_kw: 150, export_limit_kw: 20}"
    ).settle(cycles=12)
    faults, operator = site.plant.faults, site.engine.operator

    def toggle_wire() -> None:
        device = site.wires[chance.choice(("bms", "meter", "pv"))]
        device.fault = Fault.NONE if device.fault is Fault.DEAD else Fault.DEAD

    def toggle_switch() -> None:
        name = chance.choice(("charge_prohibited", "discharge_prohibited", "bms_fault"))
        setattr(faults, name, not getattr(faults, name))

    def limit_battery() -> None:
        name = chance.choice(("charge_limit_kw", "discharge_limit_kw"))
        setattr(faults, name, chance.choice((None, 0.0, 15.0, 40.0)))

    def limit_outside() -> None:
        charge_kw, discharge_kw = chance.choice(((100.0, 100.0), (4.2, 100.0), (0.0, 25.0)))
        site.truth.charge_kw, site.truth.discharge_kw = charge_kw, discharge_kw
        operator.put_limit(ExternalLimit("dso", charge_kw=charge_kw, discharge_kw=discharge_kw))

    def order() -> None:
        until = site.clock.now() + timedelta(seconds=chance.choice((10, 60)))
        operator.give(chance.choice((-90.0, -20.0, 0.0, 90.0)), until, None, "api")

    def move_world() -> None:
        site.load_kw = chance.choice((5.0, 60.0, 140.0))
        site.pv_kw = chance.choice((0.0, 20.0))

    def repair() -> None:
        for device in site.wires.values():
            device.fault = Fault.NONE
        for name in ("charge_prohibited", "discharge_prohibited", "bms_fault"):
            setattr(faults, name, False)
        faults.charge_limit_kw = faults.discharge_limit_kw = None

    happenings = (toggle_wire, toggle_switch, limit_battery, limit_outside, order, move_world)
    for number in range(150):
        chance.choice(happenings)()
        site.run(chance.choice((1, 1, 2, 3)))
        if number % 10 == 9:
            repair()
            order()
            site.run(10)
    assert {state for state, _ in site.states} >= {AUTOMATIC, SAFE, FAULT, EngineState.MANUAL}
    repair()
    operator.release_limit("dso")
    operator.end()
    site.truth.charge_kw = site.truth.discharge_kw = 100.0
    site.load_kw, site.pv_kw = 60.0, 0.0
    site.run_until(lambda: site.state == (AUTOMATIC, None), 40)
    assert_stored_as_seen(site)


def test_a_hanging_control_thread_is_noticed_by_the_converter_and_the_heartbeat(
    tmp_path: Path, recording: Recording, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With real threads, on a clock that runs fast."""
    config, clock = parse_config(SIMPLE_MODELS), AcceleratedClock(START, 15.0)
    plant = DemoPlant(
        DemoParameters(site_from(config).battery),
        load_kw=lambda ts: 60.0 + 0.1 * (ts.second % 7),
        pv_kw=lambda _: 0.0,
        clock=clock,
    )
    engine = build_engine(config, tmp_path / "data", clock, plant)

    def power_kw() -> float:
        plant.advance()
        return float(plant.pcs_values()["battery_kw"])

    cycle, goes_on, hangs = engine._parts.cycle, threading.Event(), threading.Event()
    run = cycle.run

    def hang(plan: Any) -> Any:
        hangs.set()
        assert goes_on.wait(60.0)
        return run(plan)

    try:
        engine.start()
        wait_for(lambda: power_kw() > 40.0, "the battery serving the load")
        monkeypatch.setattr(cycle, "run", hang)
        wait_for(hangs.is_set, "the hang")
        wait_for(lambda: power_kw() == 0.0, "the converter's own watchdog")
        assert engine.heartbeat_age_s() > 1.0, "whoever asks hears of it"
        goes_on.set()
        wait_for(lambda: power_kw() > 40.0, "the battery serving the load again")
        assert engine.heartbeat_age_s() < 30.0
    finally:
        goes_on.set()
        engine.stop()
    assert plant.pcs_values()["battery_setpoint_kw"] == 0.0
