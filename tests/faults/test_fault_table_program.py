"""The whole program beside a plant that outlives it: power cut, restart, orderly stop.

The plant lives in the test's process behind real Modbus TCP; the program is a child process with
this plant as its real, writable site.
"""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from engine.config.described_site import site_from
from engine.config.load import parse_config
from engine.devices.profile import MODBUS_PROFILES
from engine.devices.simulator.plant import DemoParameters, DemoPlant
from engine.devices.simulator.profile_server import ProfileServer
from engine.devices.simulator.server import UNITS, DemoPlantServer
from engine.domain.clock import SystemClock
from engine.notify.kept import KEPT_NAME
from engine.runtime.history_setup import DATABASE_NAME
from tests.support.build import SIMPLE_MODELS
from tests.support.http_server import Answer
from tests.support.login import bearer
from tests.support.process import Program, running, wait_for
from tests.support.webhook_server import Post, WebhookServer

AT_ONCE = "control: {min_hold_s: 0}\n"
"""Without the rest between the directions of a battery, an order may follow a plan at once.

A plan that is published before the order, as on a slow machine, may have it discharge by then.
"""

LIMITS = "limits: {external: [{source: dso, after_validity: hold}]}\n"
TELL = (
    "notifications: {{channels: [{{type: webhook, name: room, url: '{url}', "
    "min_severity: info}}]}}\n"
)


@dataclass
class HurriedClock(SystemClock):
    """The machine's clock, which a test may move ahead instead of waiting."""

    ahead: timedelta = field(default_factory=timedelta)

    def now(self) -> datetime:
        return super().now() + self.ahead


@dataclass
class Plant:
    """A demo plant on a loopback port, and the clock it runs by."""

    plant: DemoPlant
    clock: HurriedClock
    port: int

    def devices(self, *names: str) -> str:
        """Return the configuration of these devices; the converter may be written."""
        return ", ".join(
            f"{{name: {name}, profile: demo_{name}, host: 127.0.0.1, port: {self.port}, "
            f"unit_id: {UNITS[f'demo_{name}']}, write_enabled: {str(name == 'pcs').lower()}}}"
            for name in names
        )

    @property
    def power_kw(self) -> float:
        """What the battery does now, + discharge."""
        self.plant.advance()
        return float(self.plant.pcs_values()["battery_kw"])


@contextmanager
def demo_plant() -> Iterator[Plant]:
    clock = HurriedClock()
    plant = DemoPlant(
        DemoParameters(site_from(parse_config("")).battery),
        load_kw=lambda ts: 30.0 + 0.1 * (ts.second % 7),
        pv_kw=lambda _: 0.0,
        clock=clock,
    )
    server = DemoPlantServer(plant)
    try:
        yield Plant(plant, clock, server.start())
    finally:
        server.stop()


def post(program: Program, path: str, body: dict[str, Any]) -> Any:
    request = urllib.request.Request(
        f"http://127.0.0.1:{program.port}{path}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json", **bearer()},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def samples(folder: Path) -> list[tuple[Any, ...]]:
    """Return the stored samples, ascending; the program must have ended."""
    with duckdb.connect(str(folder / "data" / DATABASE_NAME)) as connection:
        found = connection.execute(
            "SELECT ts, soc_percent, battery_kw, grid_kw FROM samples ORDER BY ts"
        ).fetchall()
    return list(found)


def state_of(program: Program, *states: str) -> Any:
    return wait_for(
        lambda: (s := program.get("/api/state")) and s["state"] in states and s,
        lambda: f"one of the states {states} (log:\n{program.log_text()})",
    )


def test_a_power_cut_in_the_middle_of_an_order_leaves_nothing_running_and_loses_nothing(
    tmp_path: Path,
) -> None:
    with demo_plant() as site, closing(WebhookServer()) as receiver:
        devices = site.devices("bms", "pcs", "meter", "pv")
        url = receiver.take("/alarms", Answer(status=503))
        config = f"{SIMPLE_MODELS}{AT_ONCE}{LIMITS}{TELL.format(url=url)}devices: [{devices}]\n"
        with running(tmp_path, config) as program:
            state_of(program, "waiting", "automatic")
            post(program, "/api/control/limits", {"source": "dso", "charge_kw": 12.5})
            post(program, "/api/control/manual", {"power_kw": -30, "minutes": 60})
            state_of(program, "manual")
            wait_for(lambda: site.power_kw == pytest.approx(-12.5, abs=0.2), "the limited order")
            before = history_success(program)
            wait_for(lambda: history_success(program) not in (None, before), "a stored batch")
            (waiting,) = wait_for(lambda: limits_to_tell(tmp_path), "an alarm that waits")
            program.kill()
        receiver.take("/alarms")
        refused = len(receiver.posts)
        assert site.power_kw == pytest.approx(-12.5, abs=0.2), "nobody told the converter"
        site.clock.ahead += timedelta(seconds=61)
        assert site.power_kw == 0.0, "so its watchdog did"
        committed = samples(tmp_path)
        assert committed
        ended = committed[-1][0]
        with running(tmp_path, config) as program:
            state_of(program, "waiting", "automatic")
            assert program.get("/api/control/manual") == {"manual": None}
            (limit,) = program.get("/api/control/limits")["limits"]
            assert (limit["source"], limit["charge_kw"]) == ("dso", 12.5)
            began = datetime.fromisoformat(program.get("/api/state")["ts"]).replace(tzinfo=None)
            assert site.power_kw == 0.0, "nobody goes on with an order that nobody renewed"
            told = wait_for(
                lambda: told_limits(receiver.posts[refused:]), "the alarm of before the power cut"
            )
            assert told[0]["raised_at"] == as_told(waiting["raised_at"])
            assert program.stop() == 0
        after = samples(tmp_path)
    assert after[: len(committed)] == committed, "what was committed is untouched"
    assert len(after) > len(committed)
    first = after[len(committed)][0]
    assert ended < first <= began, "and what was not measured is a gap"
    assert first - ended > timedelta(seconds=2)


def limits_to_tell(folder: Path) -> list[Any]:
    """Return what waits to be told about the limit from outside, as the program keeps it."""
    kept = folder / "data" / KEPT_NAME
    if not kept.exists():
        return []
    waiting = json.loads(kept.read_text())["channels"]["room"]["waiting"]
    return [item for item in waiting if item["name"] == "external_limit"]


def told_limits(posts: list[Post]) -> list[Any]:
    alarms = [alarm for post in posts for alarm in post.json()["alarms"]]
    return [alarm for alarm in alarms if alarm["code"] == "external_limit"]


def as_told(ts: str) -> str:
    return datetime.fromisoformat(ts).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def history_success(program: Program) -> Any:
    state = program.get("/api/state")
    records = state["health"] if state else ()
    return next((h["last_success"] for h in records if h["name"] == "history"), None)


def test_sigterm_leaves_zero_and_gives_the_device_its_own_mode_back(tmp_path: Path) -> None:
    """A converter with a mode register: remote control while we run, its own mode afterwards."""
    profile = MODBUS_PROFILES["sma_storage"]
    battery = ProfileServer(profile)
    port = battery.start()
    mode, power = profile.wire_address(40151), profile.wire_address(40149)

    def words(address: int) -> int:
        high, low = battery._written.get(address, 0), battery._written.get(address + 1, 0)
        number = (high << 16) + low
        return number - (1 << 32) if number >= 1 << 31 else number

    try:
        with demo_plant() as site:
            config = (
                f"{SIMPLE_MODELS}{AT_ONCE}"
                "bess: {power_charge_max_kw: 5, power_discharge_max_kw: 5}\n"
                f"devices: [{site.devices('meter')}, {{name: battery, profile: sma_storage, "
                f"host: 127.0.0.1, port: {port}, unit_id: {battery.unit_id}, "
                "write_enabled: true}]\n"
            )
            with running(tmp_path, config) as program:
                state_of(program, "waiting", "automatic")
                post(program, "/api/control/manual", {"power_kw": -2, "minutes": 60})
                wait_for(
                    lambda: words(mode) == 802 and abs(words(power)) == 2000,
                    lambda: (
                        f"the order at the device, which has {words(mode)} and {words(power)} "
                        f"({program.get('/api/state')}, log:\n{program.log_text()})"
                    ),
                )
                assert program.stop() == 0
            assert words(power) == 0
            assert words(mode) == 803, "its own mode"
    finally:
        battery.stop()
