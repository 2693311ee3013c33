"""A simulated site for fault tests: engine, plant behind real Modbus TCP, and a watcher.

Every device sits behind a wire of its own that can be cut, fall silent or send garbage. The
converter obeys its setpoint only, not the battery's limits, so that a limit the engine does not
keep shows in the plant's own books. Plant and engine have clocks of their own: setting the
engine's clock does not move the world.
"""

from __future__ import annotations

import math
import pickle
import random
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import pytest

from engine.config.described_site import site_from
from engine.config.load import parse_config
from engine.devices.simulator.pcs import PcsPhysics, SimulatedPcs
from engine.devices.simulator.plant import DemoParameters, DemoPlant
from engine.devices.simulator.server import specs
from engine.devices.spec import DeviceSpec
from engine.domain.clock import ManualClock
from engine.domain.control import EngineState, PowerLimits, Setpoint
from engine.domain.records import EventRow
from engine.domain.snapshot import EngineSnapshot
from engine.domain.strategy import StrategyKey
from engine.optimization.instance import Instance
from engine.recorded.recording import Recording
from engine.runtime import assembly, device_setup, planner
from engine.runtime.assembly import build_engine
from engine.runtime.control_step import CONTROL_FAILING
from engine.runtime.history_setup import DATABASE_NAME
from engine.strategies.candidates import CandidatePlan, plan_candidates
from engine.strategies.parameters import StrategyContext
from tests.support.build import SIMPLE_MODELS
from tests.support.contact_device import ContactDevice
from tests.support.socket_server import SocketServer

START = datetime(2026, 11, 24, 16, 0, tzinfo=UTC)
"""A November evening at high prices: the battery serves the load."""

EVER = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))

CYCLE_S = 2.0
PIECE_S = 0.25
"""The books are read this often within a cycle."""

FAST_CONVERTER = PcsPhysics(dead_time_s=0.2, ramp_percent_per_s=1000.0)
"""So that what is measured is the engine's delay and not the converter's."""

ONE_CYCLE_S = CYCLE_S + 2 * PIECE_S
"""One cycle, and what the converter itself needs for dead time and ramp."""

TOLERANCE_KW = 0.3
PATIENCE_S = 30.0
"""Of a request to a device that will answer, in real time: the machine may be busy."""

SILENCE_S = 0.4
"""Of a request to one that will not: it costs that much of real time."""


@lru_cache
def _recording(timezone: str) -> Recording:
    # Reading it takes longer than most of what is tested with it, and nobody changes it.
    return Recording(timezone=timezone)


_candidates: dict[bytes, dict[StrategyKey, CandidatePlan]] = {}


def _planned_once(
    problem: Instance, context: StrategyContext, *arguments: Any
) -> dict[StrategyKey, CandidatePlan]:
    # Most scenarios begin with the very same problem; it is solved once.
    parameters, _optimizer, *keys = arguments
    key = pickle.dumps((problem, context, parameters, keys))
    if key not in _candidates:
        _candidates[key] = plan_candidates(problem, context, *arguments)
    return dict(_candidates[key])


class Fault(Enum):
    """What a wire does."""

    NONE = "none"
    DEAD = "dead"
    SILENT = "silent"
    GARBAGE = "garbage"
    NONSENSE = "nonsense"


class SteppedClock(ManualClock):
    """A clock that can be set: wall time jumps, monotonic time does not notice."""

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward, or back by a negative number."""
        with self._lock:
            self._now += timedelta(seconds=seconds)


class _Relay(SocketServer):
    """Hands Modbus TCP frames on to the plant, or does something worse."""

    def __init__(self, upstream_port: int, port: int, wire: Wire) -> None:
        self._upstream_port = upstream_port
        self._wire = wire
        super().__init__(port)

    def serve(self, connection: socket.socket) -> None:
        with socket.create_connection(("127.0.0.1", self._upstream_port)) as upstream:
            for side in (connection, upstream):
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while (request := _frame(connection)) is not None:
                fault = self._wire.fault
                if fault is Fault.SILENT:
                    continue
                if fault is Fault.GARBAGE:
                    connection.sendall(self._wire.noise.randbytes(23))
                    continue
                upstream.sendall(request)
                answer = _frame(upstream)
                if answer is None:
                    return
                if fault is Fault.NONSENSE and answer[7] < 0x80 and answer[7] in (2, 3, 4):
                    answer = answer[:9] + self._wire.noise.randbytes(len(answer) - 9)
                connection.sendall(answer)


def _frame(connection: socket.socket) -> bytes | None:
    header = _exactly(connection, 6)
    if header is None:
        return None
    body = _exactly(connection, int.from_bytes(header[4:6], "big"))
    return None if body is None else header + body


def _exactly(connection: socket.socket, length: int) -> bytes | None:
    data = b""
    while len(data) < length:
        more = connection.recv(length - len(data))
        if not more:
            return None
        data += more
    return data


class Wire:
    """The connection of one device; `fault` may be changed at any time.

    Args:
        upstream_port: Where the plant answers.
        patience: Told how long to wait for an answer, None for as long as the device allows.
    """

    def __init__(self, upstream_port: int, patience: Callable[[int, float | None], None]) -> None:
        self.noise = random.Random(5)
        self._patience = patience
        self._fault = Fault.NONE
        self._upstream_port = upstream_port
        self._relay: _Relay | None = _Relay(upstream_port, 0, self)
        self.port = self._relay.port

    @property
    def fault(self) -> Fault:
        """What it does now."""
        return self._fault

    @fault.setter
    def fault(self, fault: Fault) -> None:
        self._fault = fault
        answers = fault in (Fault.NONE, Fault.DEAD)
        self._patience(self.port, None if answers else SILENCE_S)
        if fault is Fault.DEAD:
            self.close()
        elif self._relay is None:
            self._relay = _Relay(self._upstream_port, self.port, self)

    def close(self) -> None:
        """Hang up and refuse every further connection."""
        relay, self._relay = self._relay, None
        if relay is not None:
            relay.close()


class ObedientConverter(SimulatedPcs):
    """Follows its setpoint within its nameplate, whatever the battery allows."""

    def limit(self, charge_kw: float, discharge_kw: float) -> None:
        return

    def plan(
        self, now_us: int, dt_us: int, charge_kw: float, discharge_kw: float
    ) -> tuple[int, float, float]:
        return super().plan(now_us, dt_us, self.rated_charge_kw, self.rated_discharge_kw)


@dataclass(frozen=True, slots=True)
class Moment:
    """What the plant's own books say about one piece of time; powers in the usual directions."""

    at_s: float
    battery_kw: float
    grid_kw: float
    soc_percent: float


@dataclass
class Truth:
    """Limits as they really are, kept by the test and not by the engine."""

    charge_kw: float = 100.0
    discharge_kw: float = 100.0
    import_kw: float = math.inf
    export_kw: float = math.inf
    soc_min_percent: float = 10.0
    soc_max_percent: float = 90.0
    heals: bool = False
    """True where the battery can and must heal a limit that the load alone breaks."""


class FaultSite:
    """An engine on a plant, moved by hand in 2-s cycles while every piece of time is watched.

    Args:
        folder: Data folder of the engine.
        patch: For the addresses of the devices.
        text: Configuration besides the simple models.
        start: Time of both clocks, UTC.
        load_kw: Site load, changeable as an attribute.
        soc_percent: State of charge at the start.
        physics: Behaviour of the converter.
        contact: A module of digital inputs beside the plant; it belongs to the site.
    """

    def __init__(
        self,
        folder: Path,
        patch: pytest.MonkeyPatch,
        text: str = "",
        *,
        start: datetime = START,
        load_kw: float = 60.0,
        soc_percent: float = 50.0,
        physics: PcsPhysics = FAST_CONVERTER,
        contact: ContactDevice | None = None,
    ) -> None:
        self.folder = folder
        self.contact = contact
        self.config = parse_config(SIMPLE_MODELS + text)
        self.clock, self.world = SteppedClock(start), ManualClock(start)
        self.load_kw, self.pv_kw = load_kw, 0.0
        battery = site_from(self.config).battery
        self.plant = DemoPlant(
            DemoParameters(battery, pcs=physics, pv_rated_kw=200.0),
            load_kw=lambda _: self.load_kw,
            pv_kw=lambda _: self.pv_kw,
            clock=self.world,
            soc_percent=soc_percent,
        )
        self.plant._pcs = ObedientConverter(
            battery.power_charge_max_kw, battery.power_discharge_max_kw, physics
        )
        grid = self.config.grid
        self.truth = Truth(import_kw=grid.import_limit_kw, export_kw=grid.export_limit_kw)
        self.wires: dict[str, Wire] = {}
        self._patch, self._specs = patch, specs
        patch.setattr(device_setup, "specs", self._rewired)
        patch.setattr(assembly, "Recording", _recording)
        patch.setattr(planner, "plan_candidates", _planned_once)
        self.moments: list[Moment] = []
        self.seen: dict[datetime, tuple[float | None, float | None]] = {}
        self.states: list[tuple[EngineState, str | None]] = []
        self.plans: dict[str, str] = {}
        self._newest = EVER[0]
        self._violated_s = 0.0
        self.violations: list[str] = []
        self.engine = build_engine(self.config, folder, self.clock, self.plant)

    def _rewired(self, port: int, **named: Any) -> list[DeviceSpec]:
        found = []
        wanted = self._specs(port, **named)
        if self.contact is not None:
            wanted.append(self.contact.spec)
        for spec in wanted:
            if spec.name in self.wires:
                self.wires[spec.name].close()
            wire = self.wires[spec.name] = Wire(spec.port, self._wait_at_most)
            found.append(replace(spec, port=wire.port, timeout_s=PATIENCE_S))
        return found

    def _wait_at_most(self, port: int, seconds: float | None) -> None:
        for poller in self.engine._parts.devices.group._pollers:  # type: ignore[attr-defined]
            if poller.endpoint.endswith(f":{port}"):
                poller._link._timeout_cap_s = seconds

    # Running.

    def run(self, cycles: int = 1, *, control: bool = True) -> FaultSite:
        """Let time pass, cycle by cycle; `control` False: the control loop hangs."""
        for _ in range(cycles):
            self._pass(CYCLE_S)
            self.clock.advance(CYCLE_S)
            self.engine._parts.devices.poll_once()
            if control:
                self.engine.step()
                self.engine.plan_if_due()
            self._write_now()
            self._note()
        return self

    def run_until(self, done: Callable[[], object], most: int = 60) -> int:
        """Run until `done`; return the number of cycles, or fail after `most`."""
        for cycle in range(1, most + 1):
            self.run()
            if done():
                return cycle
        raise AssertionError(f"not reached within {most} cycles; states: {self.states[-3:]}")

    def settle(self, state: EngineState = EngineState.AUTOMATIC, cycles: int = 25) -> FaultSite:
        """Run until limits have risen and the battery works."""
        self.run(cycles)
        assert self.state == (state, None if state is EngineState.AUTOMATIC else self.state[1])
        return self

    def _write_now(self) -> None:
        # What the wake-up of a polling thread does: a new command does not wait for its slot.
        for poller in self.engine._parts.devices.group._pollers:  # type: ignore[attr-defined]
            poller._cycle(())

    def _pass(self, seconds: float) -> None:
        before = self.plant.truth.total
        for _ in range(round(seconds / PIECE_S)):
            self.world.advance(PIECE_S)
            self.plant.advance()
            after = self.plant.truth.total
            hours = PIECE_S / 3600.0
            moment = Moment(
                self.world.monotonic(),
                (
                    (after.discharged_kwh - before.discharged_kwh)
                    - (after.charged_kwh - before.charged_kwh)
                )
                / hours,
                (
                    (after.grid_import_kwh - before.grid_import_kwh)
                    - (after.grid_export_kwh - before.grid_export_kwh)
                )
                / hours,
                100.0 * after.stored_end_kwh / self.config.bess.energy_capacity_kwh,
            )
            self.moments.append(moment)
            self._watch(moment)
            before = after

    def _watch(self, moment: Moment) -> None:
        broken = self._broken(moment)
        self._violated_s = self._violated_s + PIECE_S if broken else 0.0
        if self._violated_s > ONE_CYCLE_S:
            self.violations.append(f"{moment}: {broken} for {self._violated_s:g} s")

    def _broken(self, now: Moment) -> str | None:
        truth, faults = self.truth, self.plant.faults
        faulty = self.plant._bms.faulty or self.plant._bms._initialising
        charge_kw, discharge_kw = truth.charge_kw, truth.discharge_kw
        if faulty or faults.charge_prohibited or now.soc_percent > truth.soc_max_percent + 0.2:
            charge_kw = 0.0
        if faulty or faults.discharge_prohibited or now.soc_percent < truth.soc_min_percent - 0.2:
            discharge_kw = 0.0
        if faults.charge_limit_kw is not None:
            charge_kw = min(charge_kw, faults.charge_limit_kw)
        if faults.discharge_limit_kw is not None:
            discharge_kw = min(discharge_kw, faults.discharge_limit_kw)
        if now.battery_kw < -charge_kw - TOLERANCE_KW:
            return f"charges beyond {charge_kw:g} kW"
        if now.battery_kw > discharge_kw + TOLERANCE_KW:
            return f"discharges beyond {discharge_kw:g} kW"
        # A limit that the site breaks by itself is the battery's fault only where it adds to it.
        if now.grid_kw > truth.import_kw + TOLERANCE_KW and (now.battery_kw < 0 or truth.heals):
            return f"imports beyond {truth.import_kw:g} kW"
        if now.grid_kw < -truth.export_kw - TOLERANCE_KW and (now.battery_kw > 0 or truth.heals):
            return f"exports beyond {truth.export_kw:g} kW"
        return None

    def _note(self) -> None:
        snapshot = self.snapshot
        # After a clock was set back, the repeated time is not stored again.
        failed = snapshot.state_reason == CONTROL_FAILING
        if snapshot.seq and snapshot.ts > self._newest and not failed:
            image, self._newest = snapshot.image, snapshot.ts
            self.seen[snapshot.ts] = (image.value("soc_percent"), image.value("grid_kw"))
        if not self.states or self.states[-1] != self.state:
            self.states.append(self.state)
        if snapshot.plan is not None:
            self.plans.setdefault(snapshot.plan.plan_id, snapshot.plan.trigger)

    # Looking.

    @property
    def snapshot(self) -> EngineSnapshot:
        return self.engine.snapshot()

    @property
    def state(self) -> tuple[EngineState, str | None]:
        return self.snapshot.state, self.snapshot.state_reason

    @property
    def limits(self) -> PowerLimits:
        limits = self.snapshot.limits
        assert limits is not None
        return limits

    @property
    def setpoint(self) -> Setpoint:
        setpoint = self.snapshot.setpoint
        assert setpoint is not None
        return setpoint

    @property
    def told_kw(self) -> float:
        """What the converter was last told, + discharge."""
        return float(self.plant.pcs_values()["battery_setpoint_kw"])

    @property
    def battery_kw(self) -> float:
        """What the battery really does, + discharge."""
        return self.moments[-1].battery_kw

    @property
    def grid_kw(self) -> float:
        """What really flows through the meter, + import."""
        return self.moments[-1].grid_kw

    def since(self, at_s: float) -> list[Moment]:
        """Return the pieces of time after `at_s` of the plant's clock."""
        return [moment for moment in self.moments if moment.at_s > at_s]

    def events(self) -> list[EventRow]:
        """Return the stored events, oldest first, after storing what waits."""
        history = self.engine._parts.history
        assert history.flush(10.0)
        return history._store.events("site-1", *EVER)

    # Ending.

    def restart(self, text: str | None = None, *, clean: bool = True) -> None:
        """Stop the engine (or drop it without a word to the plant) and build a new one."""
        self.end(clean=clean)
        if text is not None:
            self.config = parse_config(SIMPLE_MODELS + text)
        self.engine = build_engine(self.config, self.folder, self.clock, self.plant)

    def end(self, *, clean: bool = True) -> None:
        """Stop the engine; not `clean`: its devices are cut off before it can say anything."""
        if not clean:
            for wire in self.wires.values():
                wire.fault = Fault.DEAD
        self.engine.stop()

    def close(self) -> None:
        """Stop everything."""
        self.engine.stop()
        for wire in self.wires.values():
            wire.close()
        if self.contact is not None:
            self.contact.close()

    def stored(self) -> dict[datetime, tuple[float | None, float | None]]:
        """Return the stored samples (SoC, meter) by time, after the engine was stopped."""
        connection = duckdb.connect(str(self.folder / DATABASE_NAME), read_only=True)
        try:
            rows = connection.execute(
                "SELECT ts, soc_percent, grid_kw FROM samples ORDER BY ts"
            ).fetchall()
        finally:
            with suppress(duckdb.Error):
                connection.close()
        assert len({row[0] for row in rows}) == len(rows), "a time is stored twice"
        return {row[0].replace(tzinfo=UTC): (row[1], row[2]) for row in rows}


def assert_stored_as_seen(
    site: FaultSite, seen: Mapping[datetime, tuple[float | None, float | None]] | None = None
) -> None:
    """Everything seen is stored, what was not known is a gap, and nothing else is there."""
    site.engine.stop()
    expected, stored = site.seen if seen is None else seen, site.stored()
    assert stored.keys() == expected.keys()
    for ts, values in expected.items():
        for value, kept in zip(values, stored[ts], strict=True):
            known = value is not None and kept is not None
            assert kept == pytest.approx(value, abs=1e-3) if known else kept is value, ts
