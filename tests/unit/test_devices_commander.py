"""Commands: what is written when, and what the operator is told about it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from engine.devices.commander import CommandPhase, PowerCommander
from engine.devices.link import DeviceAnswerError, ModbusLink
from engine.devices.profile import parse_profile
from engine.devices.spec import DeviceSpec
from engine.domain.clock import ManualClock
from engine.domain.errors import DeviceError, LinkError, WriteRefusedError
from engine.domain.sample import Quality, Sample

START = datetime(2026, 11, 3, 12, tzinfo=UTC)


class FakeLink:
    """Takes writes like a device with a setpoint register in steps of 0.1 kW, + = charging."""

    def __init__(self) -> None:
        self.session = 1
        self.writes: list[tuple[int, int, int, tuple[int, ...]]] = []
        self.failure: Exception | None = None
        self.deaf = False
        self.held_kw = 0.0

    def write(self, unit_id: int, function: int, address: int, words: Sequence[int]) -> None:
        if self.failure is not None:
            raise self.failure
        self.writes.append((unit_id, function, address, tuple(words)))
        if address == 10 and not self.deaf:
            raw = words[0] - 0x10000 if words[0] >= 0x8000 else words[0]
            self.held_kw = -raw / 10.0


class Rig:
    def __init__(self, **command: Any) -> None:
        self.clock = ManualClock(START)
        self.link = FakeLink()
        self.nameplate: float | None = 100.0
        step = {"function": 6, "type": "int16", "scale": 0.1, "positive_means": "charge"}
        profile = parse_profile(
            {
                "key": "pcs",
                "label": "PCS",
                "manufacturer": "M",
                "kinds": ["pcs"],
                "source": "test",
                "registers": {
                    "battery_setpoint_kw": {
                        "address": 10,
                        "function": 3,
                        "type": "int16",
                        "scale": 0.1,
                        "positive_means": "charge",
                    },
                    "rated_kw": {"address": 20, "function": 3},
                },
                "commands": {
                    "set_power_kw": {
                        "steps": [
                            {"address": 5, "function": 6, "value": 1},
                            {"address": 10, **step},
                        ],
                        "readback": "battery_setpoint_kw",
                        "clamp_charge": "rated_kw",
                        "clamp_discharge": 80,
                        "refresh_s": 20,
                        "watchdog_s": 60,
                        **command,
                    }
                },
            }
        )
        spec = DeviceSpec("pcs", profile, "127.0.0.1", 502, 7, writable=True)
        self.commander = PowerCommander(spec, cast(ModbusLink, self.link), self.clock)

    def samples(self, readback_kw: float | None = None) -> dict[str, Sample]:
        now = self.clock.now()
        held = self.link.held_kw if readback_kw is None else readback_kw
        rated = (
            Sample(None, now, "pcs", Quality.BAD, "not read yet")
            if self.nameplate is None
            else Sample(self.nameplate, now, "pcs")
        )
        return {"battery_setpoint_kw": Sample(held, now, "pcs"), "rated_kw": rated}

    def slot(self) -> int:
        """One polling slot; returns how many writes it made."""
        before = len(self.link.writes)
        self.commander.write_due(self.samples())
        self.commander.check(self.samples())
        return len(self.link.writes) - before

    @property
    def phase(self) -> CommandPhase:
        return self.commander.state.state


def test_nothing_is_written_before_the_first_command() -> None:
    rig = Rig()
    assert rig.slot() == 0
    assert rig.phase is CommandPhase.IDLE


def test_steps_are_written_in_order_with_the_sign_of_the_device() -> None:
    rig = Rig()
    rig.commander.command(-50.0)
    assert rig.phase is CommandPhase.PENDING
    rig.slot()
    assert rig.link.writes == [(7, 6, 5, (1,)), (7, 6, 10, (500,))]
    assert rig.phase is CommandPhase.CONFIRMED
    state = rig.commander.state
    assert (state.requested_kw, state.written_kw, state.readback_kw) == (-50.0, -50.0, -50.0)
    assert state.reason is None
    assert state.ts == START


@pytest.mark.parametrize(("asked", "written"), [(-150.0, -100.0), (90.0, 80.0), (12.34, 12.3)])
def test_power_is_clamped_to_the_nameplate_and_the_register(asked: float, written: float) -> None:
    rig = Rig()
    rig.commander.command(asked)
    rig.slot()
    assert rig.commander.state.written_kw == pytest.approx(written)
    assert rig.commander.state.requested_kw == asked
    assert rig.phase is CommandPhase.CONFIRMED


def test_the_same_power_is_written_once() -> None:
    rig = Rig()
    writes = []
    for _ in range(5):
        rig.commander.command(-50.0)
        writes.append(rig.slot())
        rig.clock.advance(2)
    assert writes == [2, 0, 0, 0, 0]
    assert rig.phase is CommandPhase.CONFIRMED


def test_a_refresh_comes_in_time_while_the_control_loop_lives() -> None:
    rig = Rig()
    times = []
    for second in range(0, 62, 2):
        rig.commander.command(-50.0)
        if rig.slot():
            times.append(second)
        rig.clock.advance(2)
    assert times == [0, 20, 40, 60]


def test_a_hanging_control_loop_is_not_hidden_from_the_watchdog() -> None:
    rig = Rig()
    rig.commander.command(-50.0)
    rig.slot()
    for _ in range(60):
        rig.clock.advance(2)
        assert rig.slot() == 0


def test_a_reconnected_device_gets_its_setpoint_again() -> None:
    rig = Rig()
    rig.commander.command(-50.0)
    rig.slot()
    rig.link.session += 1
    rig.clock.advance(2)
    assert rig.slot() == 2


def test_an_old_command_is_not_written_after_a_long_outage() -> None:
    rig = Rig()
    rig.link.failure = LinkError("no answer")
    rig.commander.command(-50.0)
    rig.slot()
    assert rig.phase is CommandPhase.PENDING
    assert rig.commander.state.reason == "no answer"
    rig.clock.advance(61)
    rig.link.failure = None
    assert rig.slot() == 0
    assert rig.phase is CommandPhase.IDLE
    assert "dropped" in (rig.commander.state.reason or "")
    rig.commander.command(-40.0)
    assert rig.slot() == 2


def test_after_a_link_error_the_newest_command_is_tried_again() -> None:
    rig = Rig()
    rig.link.failure = LinkError("no answer")
    rig.commander.command(-50.0)
    rig.slot()
    rig.commander.command(-30.0)
    rig.link.failure = None
    rig.slot()
    assert rig.link.writes[-1] == (7, 6, 10, (300,))
    assert rig.phase is CommandPhase.CONFIRMED


@pytest.mark.parametrize(
    "failure", [DeviceAnswerError("illegal value", 3), WriteRefusedError("not enabled")]
)
def test_a_refusal_is_told_and_not_hammered(failure: Exception) -> None:
    rig = Rig()
    rig.link.failure = failure
    rig.commander.command(-50.0)
    rig.slot()
    assert rig.phase is CommandPhase.REFUSED
    assert str(failure) in (rig.commander.state.reason or "")
    rig.link.failure = None
    rig.clock.advance(2)
    rig.commander.command(-50.0)
    assert rig.slot() == 0
    assert rig.phase is CommandPhase.REFUSED
    rig.commander.command(-20.0)
    assert rig.slot() == 2
    assert rig.phase is CommandPhase.CONFIRMED


def test_a_refused_power_is_asked_for_again_later() -> None:
    rig = Rig()
    rig.link.failure = DeviceAnswerError("illegal value", 3)
    rig.commander.command(-50.0)
    rig.slot()
    rig.link.failure = None
    rig.clock.advance(20)
    rig.commander.command(-50.0)
    assert rig.slot() == 2


def test_a_write_without_effect_is_told_and_repeated() -> None:
    rig = Rig()
    rig.link.deaf = True
    rig.commander.command(-50.0)
    rig.slot()
    assert rig.phase is CommandPhase.PENDING
    rig.clock.advance(2)
    rig.slot()
    assert rig.phase is CommandPhase.NO_EFFECT
    assert rig.commander.state.reason == (
        "pcs shows a setpoint of 0 kW although -50 kW was written"
    )
    rig.link.deaf = False
    rig.commander.command(-50.0)
    assert rig.slot() == 2
    assert rig.phase is CommandPhase.CONFIRMED


def test_a_missing_read_back_confirms_nothing() -> None:
    rig = Rig()
    rig.commander.command(-50.0)
    rig.commander.write_due(rig.samples())
    samples = rig.samples()
    samples["battery_setpoint_kw"] = Sample(None, rig.clock.now(), "pcs", Quality.BAD, "no answer")
    rig.commander.check(samples)
    assert rig.phase is CommandPhase.PENDING
    assert rig.commander.state.reason == "read-back missing: no answer"
    assert rig.commander.state.readback_kw is None


def test_a_newer_command_is_not_confirmed_by_the_read_back_of_the_older() -> None:
    rig = Rig()
    rig.commander.command(-50.0)
    rig.commander.write_due(rig.samples())
    rig.commander.command(-60.0)
    rig.commander.check(rig.samples())
    assert rig.phase is CommandPhase.PENDING
    rig.slot()
    assert rig.phase is CommandPhase.CONFIRMED
    assert rig.commander.state.readback_kw == -60.0


def test_without_a_nameplate_only_zero_is_written() -> None:
    rig = Rig()
    rig.nameplate = None
    rig.commander.command(-50.0)
    assert rig.slot() == 0
    assert rig.commander.waits_for_nameplate
    assert "not read yet" in (rig.commander.state.reason or "")
    rig.commander.command(0.0)
    assert rig.slot() == 2
    assert not rig.commander.waits_for_nameplate


def test_small_changes_stay_below_a_deadband_only_if_there_is_one() -> None:
    rig = Rig(deadband_kw=1.0)
    rig.commander.command(-50.0)
    rig.slot()
    rig.commander.command(-50.9)
    assert rig.slot() == 0
    assert rig.phase is CommandPhase.CONFIRMED
    rig.commander.command(-51.1)
    assert rig.slot() == 2
    exact = Rig()
    exact.commander.command(-50.0)
    exact.slot()
    exact.commander.command(-50.1)
    assert exact.slot() == 2


@pytest.mark.parametrize("power_kw", [float("nan"), float("inf"), float("-inf")])
def test_only_finite_powers_can_be_commanded(power_kw: float) -> None:
    rig = Rig()
    with pytest.raises(DeviceError, match="finite"):
        rig.commander.command(power_kw)
    assert rig.slot() == 0


def test_a_profile_without_a_command_cannot_be_commanded() -> None:
    rig = Rig()
    profile = rig.commander._spec.profile.model_copy(update={"commands": {}})
    spec = DeviceSpec("meter", profile, "127.0.0.1", 502, 1, writable=True)
    with pytest.raises(DeviceError, match="takes no power command"):
        PowerCommander(spec, cast(ModbusLink, rig.link), rig.clock)
