"""In read-only mode no path writes, and with writing enabled the safe paths do."""

import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from devices_evil_server import EvilServer, Memory, evil_server

from engine.devices.commander import PowerCommander
from engine.devices.device import PolledDevice
from engine.devices.group import DeviceGroup
from engine.devices.limit_commander import LimitCommander
from engine.devices.link import ModbusLink, UnitSettings
from engine.devices.poller import LinkPoller
from engine.devices.profile import parse_profile
from engine.devices.profile_def import DeviceProfile
from engine.devices.rtc import RtcSync
from engine.devices.spec import DeviceSpec
from engine.devices.write_budget import JsonWriteCounts, WriteCount
from engine.domain.clock import ManualClock
from engine.domain.errors import WriteRefusedError

START = datetime(2026, 11, 3, 12, tzinfo=UTC)
READS = (1, 2, 3, 4)
MODE, POWER, OWN_MODE, CLOCK = 1, 2, 3, range(524, 530)
LIMIT, LIMITED = 4, 5


def profile() -> DeviceProfile:
    """A converter with everything that can be written: setpoint, flash, own mode, limit, clock."""
    power = {"type": "int16", "scale": 0.1, "positive_means": "discharge"}
    return parse_profile(
        {
            "key": "everything",
            "label": "Everything",
            "manufacturer": "M",
            "kinds": ["pcs"],
            "source": "test",
            "registers": {
                "battery_setpoint_kw": {"address": POWER, "function": 3, **power},
                "limit_kw": {"address": LIMIT, "function": 3, "scale": 0.1},
            },
            "commands": {
                "set_power_kw": {
                    "steps": [
                        {"address": MODE, "function": 6, "value": 7, "volatile": False},
                        {"address": POWER, "function": 16, **power},
                    ],
                    "revert": [{"address": OWN_MODE, "function": 6, "value": 8, "volatile": False}],
                    "readback": "battery_setpoint_kw",
                    "clamp_charge": 50,
                    "clamp_discharge": 50,
                    "daily_write_budget": 10,
                    "watchdog_s": 6,
                },
                "limit_power_kw": {
                    "steps": [
                        {"address": LIMIT, "function": 6, "scale": 0.1},
                        {"address": LIMITED, "function": 6, "value": 1, "volatile": False},
                    ],
                    "revert": [{"address": LIMITED, "function": 6, "value": 0, "volatile": False}],
                    "readback": "limit_kw",
                    "clamp": 50,
                    "daily_write_budget": 10,
                    "watchdog_s": 6,
                },
            },
            "rtc": {"address": CLOCK[0]},
        }
    )


def device() -> Memory:
    return Memory(dict.fromkeys((MODE, POWER, OWN_MODE, LIMIT, LIMITED, *CLOCK), 0))


class Rig:
    """The parts of a group, each reachable on its own."""

    def __init__(self, server: EvilServer, folder: Path, writable: bool) -> None:
        self.server = server
        self.clock = ManualClock(START)
        self.counts = JsonWriteCounts(folder / "writes.json")
        self.spec = DeviceSpec(
            "pcs", profile(), "127.0.0.1", server.port, 1, timeout_s=2.0, writable=writable
        )

    def group(self) -> DeviceGroup:
        return DeviceGroup(
            [self.spec],
            self.clock,
            write_counts=self.counts,
            clock_synchronised=lambda: True,
        )

    def link(self) -> ModbusLink:
        units = {1: UnitSettings(2.0, self.spec.writable)}
        return ModbusLink("127.0.0.1", self.server.port, units, self.clock)

    @property
    def writes(self) -> list[int]:
        return [r.address for r in self.server.requests if r.function not in READS]


def run_and_stop(rig: Rig) -> None:
    group = rig.group()
    for power_kw in (-50.0, 20.0, 0.0, float(10)):
        group.command_power(power_kw)
        for _ in range(3):
            group.poll_once()
            rig.clock.advance(3)
    group.stop(safe_power_kw=0.0, timeout_s=10.0)


def threaded_stop(rig: Rig) -> None:
    group = rig.group()
    group.start()
    assert rig.server.asked.wait(20)
    group.command_power(-50.0)
    group.stop(safe_power_kw=0.0, timeout_s=10.0)


def stop_at_once(rig: Rig) -> None:
    rig.group().stop(safe_power_kw=0.0, timeout_s=10.0)


def used_up_budget(rig: Rig) -> None:
    rig.counts.save("pcs", WriteCount(date(2026, 11, 3), 10))
    run_and_stop(rig)


def commander_alone(rig: Rig) -> None:
    link = rig.link()
    commander = PowerCommander(rig.spec, link, rig.clock, rig.counts)
    device = PolledDevice(rig.spec, link, rig.clock)
    device.poll()
    commander.command(-50.0)
    commander.write_due(device.samples)
    commander.write_due(device.samples, force=True)
    commander.check(device.samples)
    commander.revert()
    link.close()


def poller_alone(rig: Rig) -> None:
    link = rig.link()
    commander = PowerCommander(rig.spec, link, rig.clock, rig.counts)
    device = PolledDevice(rig.spec, link, rig.clock)
    clock = RtcSync(rig.spec, link, rig.clock, lambda: True)
    poller = LinkPoller(link, [device], commander, device, rig.clock, device_clocks={device: clock})
    commander.command(-50.0)
    poller.poll_once()
    poller.request_stop(0.0, time.monotonic() + 10.0)
    poller.finish()


def limit_and_stop(rig: Rig) -> None:
    group = rig.group()
    for limit_kw in (30.0, None, 0.0, 10.0):
        group.limit_power("pcs", limit_kw)
        for _ in range(3):
            group.poll_once()
            rig.clock.advance(3)
    group.stop(safe_power_kw=None, timeout_s=10.0)


def limiter_alone(rig: Rig) -> None:
    link = rig.link()
    limiter = LimitCommander(rig.spec, link, rig.clock, rig.counts)
    device = PolledDevice(rig.spec, link, rig.clock)
    device.poll()
    limiter.limit(20.0)
    limiter.write_due(device.samples)
    limiter.write_due(device.samples, force=True)
    limiter.check(device.samples)
    limiter.lift()
    limiter.revert()
    link.close()


def limited_poller_alone(rig: Rig) -> None:
    link = rig.link()
    limiter = LimitCommander(rig.spec, link, rig.clock, rig.counts)
    device = PolledDevice(rig.spec, link, rig.clock)
    poller = LinkPoller(link, [device], None, None, rig.clock, limiters={device: limiter})
    limiter.limit(20.0)
    poller.poll_once()
    poller.request_stop(0.0, time.monotonic() + 10.0)
    poller.finish()


def clock_alone(rig: Rig) -> None:
    link = rig.link()
    # The synchronisation believes it may write; the link knows better.
    sync = RtcSync(replace(rig.spec, writable=True), link, rig.clock, lambda: True)
    link.read(1, 3, POWER, 1)
    sync.sync_if_due()
    link.close()


def link_alone(rig: Rig) -> None:
    link = rig.link()
    for function, words in ((6, [1]), (16, [1]), (16, [1, 2])):
        try:
            link.write(1, function, MODE, words)
        except WriteRefusedError:
            continue
    link.hurry(1.0)
    try:
        link.write(1, 6, MODE, [1])
    except WriteRefusedError:
        return
    finally:
        link.close()


PATHS: list[Callable[[Rig], None]] = [
    run_and_stop,
    threaded_stop,
    stop_at_once,
    used_up_budget,
    commander_alone,
    poller_alone,
    limit_and_stop,
    limiter_alone,
    limited_poller_alone,
    clock_alone,
    link_alone,
]


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.__name__)
def test_read_only_means_that_nothing_is_written(
    path: Callable[[Rig], None], tmp_path: Path
) -> None:
    memory = device()
    with evil_server(memory) as server:
        rig = Rig(server, tmp_path, writable=False)
        path(rig)
        assert rig.writes == []
        assert set(memory.registers.values()) == {0}


@pytest.mark.parametrize("path", PATHS, ids=lambda path: path.__name__)
def test_the_same_paths_do_write_once_writing_is_enabled(
    path: Callable[[Rig], None], tmp_path: Path
) -> None:
    with evil_server(device()) as server:
        rig = Rig(server, tmp_path, writable=True)
        path(rig)
        assert rig.writes, "else the other test proves nothing"


def test_on_stop_setpoint_and_own_mode_are_left_behind(tmp_path: Path) -> None:
    memory = device()
    with evil_server(memory) as server:
        rig = Rig(server, tmp_path, writable=True)
        run_and_stop(rig)
        assert memory.registers[POWER] == 0
        assert memory.registers[OWN_MODE] == 8
        assert rig.writes[-2:] == [POWER, OWN_MODE], "the own mode comes last"


def test_with_a_used_up_budget_the_stop_is_still_safe(tmp_path: Path) -> None:
    memory = device()
    memory.registers[POWER] = 200
    with evil_server(memory) as server:
        rig = Rig(server, tmp_path, writable=True)
        rig.counts.save("pcs", WriteCount(date(2026, 11, 3), 10))
        group = rig.group()
        group.command_power(-50.0)
        group.poll_once()
        state: Any = group.command_state()
        assert state.state == "refused"
        assert "used up" in state.reason
        assert state.flash_writes_today == 11
        assert memory.registers[POWER] == 0, "parked"
        group.stop(timeout_s=10.0)
        assert memory.registers[OWN_MODE] == 8
        count = rig.counts.load("pcs")
        assert count is not None
        assert count.writes == 12
