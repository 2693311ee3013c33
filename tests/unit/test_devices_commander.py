"""Commands: what is written when, and what the operator is told about it."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from engine.devices.answer_error import DeviceAnswerError
from engine.devices.command_state import CommandPhase
from engine.devices.commander import PowerCommander
from engine.devices.link import ModbusLink
from engine.devices.profile import parse_profile
from engine.devices.spec import DeviceSpec
from engine.devices.write_budget import WriteCount
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
        self.registers: dict[int, int] = {}
        self.reads = 0

    def read(self, unit_id: int, function: int, address: int, count: int) -> tuple[int, ...]:
        self.reads += 1
        if address not in self.registers:
            raise DeviceAnswerError("illegal address", 2)
        return tuple(self.registers[address + i] for i in range(count))

    def write(self, unit_id: int, function: int, address: int, words: Sequence[int]) -> None:
        if self.failure is not None:
            raise self.failure
        self.writes.append((unit_id, function, address, tuple(words)))
        self.registers.update(enumerate(words, start=address))
        if address == 10 and not self.deaf:
            raw = words[0] - 0x10000 if words[0] >= 0x8000 else words[0]
            self.held_kw = -raw / 10.0


class Counts:
    """Keeps counts of flash writes in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, WriteCount] = {}
        self.broken = False

    def load(self, device: str) -> WriteCount | None:
        return self.kept.get(device)

    def save(self, device: str, count: WriteCount) -> None:
        if self.broken:
            raise DeviceError("no space left", field="write_counts")
        self.kept[device] = count


class Rig:
    def __init__(self, counts: Counts | None = None, **command: Any) -> None:
        self.clock = ManualClock(START)
        self.link = FakeLink()
        self.nameplate: float | None = 100.0
        self.power_kw: float | None = None
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
                    "battery_kw": {"address": 30, "function": 3, "positive_means": "discharge"},
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
        self.commander = PowerCommander(spec, cast(ModbusLink, self.link), self.clock, counts)

    def samples(self, readback_kw: float | None = None) -> dict[str, Sample]:
        now = self.clock.now()
        held = self.link.held_kw if readback_kw is None else readback_kw
        rated = (
            Sample(None, now, "pcs", Quality.BAD, "not read yet")
            if self.nameplate is None
            else Sample(self.nameplate, now, "pcs")
        )
        power = (
            Sample(None, now, "pcs", Quality.BAD, "no answer")
            if self.power_kw is None
            else Sample(self.power_kw, now, "pcs")
        )
        return {
            "battery_setpoint_kw": Sample(held, now, "pcs"),
            "rated_kw": rated,
            "battery_kw": power,
        }

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


def powers(rig: Rig) -> list[float]:
    """Every power written, + discharge."""
    return [
        -(words[0] - 0x10000 if words[0] >= 0x8000 else words[0]) / 10.0
        for _, _, address, words in rig.link.writes
        if address == 10
    ]


def drive(rig: Rig, power_kw: float, slots: int, slot_s: float = 2.0) -> None:
    for _ in range(slots):
        rig.commander.command(power_kw)
        rig.slot()
        rig.clock.advance(slot_s)


def test_without_a_stated_refresh_a_third_of_the_watchdog_is_taken() -> None:
    rig = Rig(refresh_s=None, watchdog_s=60)
    times = []
    for second in range(0, 62, 2):
        rig.commander.command(-50.0)
        if rig.slot():
            times.append(second)
        rig.clock.advance(2)
    assert times == [0, 20, 40, 60]


class TestRamp:
    def test_power_grows_no_faster_than_the_ramp(self) -> None:
        rig = Rig(ramp_kw_per_s=5.0)
        drive(rig, -35.0, 5)
        assert powers(rig) == [0.0, -10.0, -20.0, -30.0, -35.0]
        assert rig.phase is CommandPhase.CONFIRMED

    def test_on_the_way_it_is_not_confirmed(self) -> None:
        rig = Rig(ramp_kw_per_s=5.0)
        drive(rig, 35.0, 2)
        assert rig.phase is CommandPhase.PENDING
        assert rig.commander.state.reason == "ramping, 10 of 35 kW so far"

    def test_less_power_comes_at_once(self) -> None:
        rig = Rig(ramp_kw_per_s=5.0)
        drive(rig, 30.0, 5)
        rig.commander.command(4.0)
        rig.slot()
        assert powers(rig)[-1] == 4.0

    def test_beyond_zero_the_ramp_counts_again(self) -> None:
        rig = Rig(ramp_kw_per_s=5.0)
        drive(rig, 20.0, 3)
        drive(rig, -20.0, 2)
        assert powers(rig) == [0.0, 10.0, 20.0, -10.0, -20.0]

    def test_a_pause_saves_nothing_up(self) -> None:
        rig = Rig(ramp_kw_per_s=5.0)
        drive(rig, 10.0, 3)
        rig.clock.advance(3600)
        rig.commander.command(80.0)
        rig.slot()
        assert powers(rig)[-1] <= 30.0, "at most two polling intervals of growth"

    def test_after_a_reconnect_it_starts_from_what_the_device_does(self) -> None:
        rig = Rig(ramp_kw_per_s=5.0, effect="battery_kw")
        drive(rig, 60.0, 8)
        rig.link.session += 1
        rig.power_kw = 40.0
        drive(rig, 60.0, 2)
        assert powers(rig)[-2:] == [40.0, 50.0]

    def test_the_safe_stop_does_not_wait_for_it(self) -> None:
        rig = Rig(ramp_kw_per_s=5.0)
        rig.commander.command(-30.0)
        assert rig.commander.write_due(rig.samples(), force=True)
        assert powers(rig) == [-30.0]


class TestEffect:
    def rig(self, **command: Any) -> Rig:
        return Rig(effect="battery_kw", effect_tolerance_kw=2.0, effect_within_s=20, **command)

    def test_power_that_follows_is_seen(self) -> None:
        rig = self.rig()
        rig.power_kw = -48.5
        drive(rig, -50.0, 1)
        assert rig.phase is CommandPhase.CONFIRMED
        assert rig.commander.state.followed is True
        assert rig.commander.state.measured_kw == -48.5

    def test_a_setpoint_that_is_taken_but_not_followed_has_no_effect(self) -> None:
        rig = self.rig()
        rig.power_kw = 0.0
        drive(rig, -50.0, 10)
        assert rig.phase is CommandPhase.CONFIRMED, "it may still be on its way"
        assert rig.commander.state.followed is None
        drive(rig, -50.0, 2)
        assert rig.phase is CommandPhase.NO_EFFECT
        assert rig.commander.state.followed is False
        assert rig.commander.state.reason == (
            "pcs took a setpoint of -50 kW but its power is 0 kW, 20 s were allowed"
        )
        rig.power_kw = -50.0
        drive(rig, -50.0, 1)
        assert rig.phase is CommandPhase.CONFIRMED

    def test_a_setpoint_that_changes_all_the_time_hides_nothing(self) -> None:
        rig = self.rig()
        rig.power_kw = 0.0
        for slot in range(15):
            rig.commander.command(-50.0 - slot)
            rig.slot()
            rig.clock.advance(2)
        assert rig.phase is CommandPhase.NO_EFFECT
        rig.commander.command(-33.0)
        assert rig.phase is CommandPhase.NO_EFFECT, "a new command does not clear it"

    def test_a_converter_on_its_way_is_left_alone(self) -> None:
        rig = self.rig()
        for slot in range(15):
            rig.power_kw = max(-45.0, -4.5 * slot)
            drive(rig, -45.0, 1)
            assert rig.phase is CommandPhase.CONFIRMED, slot
        assert rig.commander.state.followed is True

    def test_following_with_a_delay_is_following(self) -> None:
        rig = self.rig()
        for slot in range(60):
            wanted = 40.0 * ((slot // 5) % 2)
            late = 40.0 * (((slot - 3) // 5) % 2) if slot >= 3 else 0.0
            rig.power_kw = late
            drive(rig, wanted, 1)
            assert rig.phase is not CommandPhase.NO_EFFECT, slot

    @pytest.mark.parametrize(
        ("power_kw", "measured_kw", "follows"),
        [(80.0, 76.5, True), (80.0, 75.5, False), (10.0, 8.5, True), (10.0, 7.5, False)],
    )
    def test_large_power_may_be_further_off(
        self, power_kw: float, measured_kw: float, follows: bool
    ) -> None:
        rig = self.rig()
        rig.power_kw = measured_kw
        drive(rig, power_kw, 12)
        assert rig.commander.state.followed is follows

    def test_without_a_measurement_nothing_is_confirmed(self) -> None:
        rig = self.rig()
        drive(rig, -50.0, 1)
        assert rig.phase is CommandPhase.PENDING
        assert rig.commander.state.reason == "the power is not measured: no answer"

    def test_without_a_read_back_the_power_itself_confirms(self) -> None:
        rig = self.rig(readback=None)
        rig.power_kw = 0.0
        drive(rig, -50.0, 1)
        assert rig.phase is CommandPhase.PENDING
        assert rig.commander.state.reason == "waiting for the power to follow"
        rig.power_kw = -50.0
        drive(rig, -50.0, 1)
        assert rig.phase is CommandPhase.CONFIRMED


class TestSteps:
    def test_direction_and_magnitude_in_registers_of_their_own(self) -> None:
        codes = {"charge": 0xAA, "discharge": 0xBB, "idle": 0xCC}
        rig = Rig(
            steps=[
                {"address": 1, "function": 6, "value": 2},
                {"address": 2, "function": 6, "value": codes},
                {"address": 3, "function": 6, "scale": 0.1, "value": "magnitude_kw"},
                {"address": 4, "function": 6, "value": "charge_kw"},
                {"address": 5, "function": 6, "value": "discharge_kw"},
            ],
            readback=None,
            effect="battery_kw",
        )
        for power_kw, expected in (
            (-50.0, [2, 0xAA, 500, 50, 0]),
            (12.0, [2, 0xBB, 120, 0, 12]),
            (0.0, [2, 0xCC, 0, 0, 0]),
        ):
            rig.link.writes.clear()
            rig.commander.command(power_kw)
            rig.slot()
            assert [words[0] for _, _, _, words in rig.link.writes] == expected
            assert rig.commander.state.written_kw == power_kw

    def test_on_stop_the_device_gets_its_own_mode_back(self) -> None:
        rig = Rig(revert=[{"address": 5, "function": 6, "value": 0}])
        rig.commander.command(-50.0)
        rig.slot()
        assert rig.commander.revert()
        assert rig.link.writes[-1] == (7, 6, 5, (0,))

    def test_a_mode_that_cannot_be_given_back_is_told(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        rig = Rig(revert=[{"address": 5, "function": 6, "value": 0}])
        rig.link.failure = LinkError("no answer")
        assert not rig.commander.revert()
        assert "its own mode was not restored: no answer" in caplog.text

    def test_steps_that_cannot_work_are_refused(self) -> None:
        for command, problem in (
            ({"readback": None}, "nothing shows whether"),
            ({"revert": [{"address": 5, "function": 6}]}, "revert carries a power"),
            (
                {"steps": [{"address": 5, "function": 6, "value": "charge_kw", "volatile": False}]},
                "without a budget",
            ),
            ({"effect": "nowhere_kw"}, "no such register"),
            ({"steps": [{"address": 5, "function": 6, "value": 1}]}, "no step writes the power"),
        ):
            with pytest.raises(DeviceError, match=problem):
                Rig(**command)

    @pytest.mark.parametrize("code", [5, 6, 10, 11])
    def test_a_busy_device_is_asked_again_in_the_next_slot(self, code: int) -> None:
        rig = Rig()
        rig.link.failure = DeviceAnswerError("busy", code)
        drive(rig, -50.0, 1)
        assert rig.phase is CommandPhase.PENDING
        rig.link.failure = None
        drive(rig, -50.0, 1)
        assert rig.phase is CommandPhase.CONFIRMED


class TestFlash:
    """The setpoint is volatile, the mode in register 5 is kept in flash memory."""

    def rig(
        self, counts: Counts | None = None, budget: int = 3, revert: bool = False, **command: Any
    ) -> Rig:
        step = {"function": 6, "type": "int16", "scale": 0.1, "positive_means": "charge"}
        codes = {"charge": 1, "discharge": 2, "idle": 0}
        if revert:
            command["revert"] = [{"address": 5, "function": 6, "value": 9, "volatile": False}]
        return Rig(
            counts or Counts(),
            steps=[
                {"address": 5, "function": 6, "value": codes, "volatile": False},
                {"address": 10, **step},
            ],
            daily_write_budget=budget,
            **command,
        )

    def flash(self, rig: Rig) -> list[int]:
        return [words[0] for _, _, address, words in rig.link.writes if address == 5]

    def test_it_is_written_on_change_only_and_counted(self) -> None:
        rig = self.rig()
        drive(rig, -50.0, 40)
        assert self.flash(rig) == [1], "not by the refresh either"
        assert len(powers(rig)) > 3
        state = rig.commander.state
        assert (state.flash_writes_today, state.daily_write_budget) == (1, 3)

    def test_what_the_register_holds_already_is_not_written_again(self) -> None:
        rig = self.rig()
        rig.link.registers[5] = 1
        drive(rig, -50.0, 2)
        assert self.flash(rig) == []
        rig.link.session += 1
        drive(rig, -50.0, 2)
        assert self.flash(rig) == []
        assert rig.link.reads == 2, "read once per connection"
        assert rig.phase is CommandPhase.CONFIRMED

    def test_when_the_budget_is_used_up_the_battery_is_parked(self) -> None:
        rig = self.rig()
        for power_kw in (-50.0, 30.0, -50.0):
            drive(rig, power_kw, 2)
        assert self.flash(rig) == [1, 2, 1]
        drive(rig, 30.0, 5)
        assert rig.phase is CommandPhase.REFUSED
        assert powers(rig)[-1] == 0.0
        assert self.flash(rig) == [1, 2, 1, 0], "only the safe stop goes beyond the budget"
        assert rig.commander.state.reason == (
            "the daily budget of 3 writes to the flash memory of pcs is used up (4 written); "
            "it is parked at 0 kW until 00:00 UTC"
        )
        assert rig.commander.state.flash_writes_today == 4
        drive(rig, -20.0, 30)
        assert len(self.flash(rig)) == 4
        assert rig.phase is CommandPhase.REFUSED

    def test_what_needs_no_flash_write_goes_on(self) -> None:
        rig = self.rig(budget=1)
        drive(rig, -50.0, 2)
        drive(rig, -30.0, 2)
        assert powers(rig)[-1] == -30.0
        assert rig.phase is CommandPhase.CONFIRMED

    def test_the_next_day_has_a_new_budget(self) -> None:
        rig = self.rig(budget=1)
        drive(rig, -50.0, 2)
        drive(rig, 30.0, 2)
        assert rig.phase is CommandPhase.REFUSED
        rig.clock.advance(12 * 3600)
        drive(rig, 30.0, 2)
        assert rig.phase is CommandPhase.CONFIRMED
        assert rig.commander.state.flash_writes_today == 1

    def test_a_restart_does_not_reset_the_count(self) -> None:
        counts = Counts()
        drive(self.rig(counts, budget=1), -50.0, 1)
        again = self.rig(counts, budget=1)
        drive(again, -50.0, 1)
        assert again.phase is CommandPhase.REFUSED
        assert "used up" in (again.commander.state.reason or "")

    def test_a_count_that_cannot_be_kept_stops_all_but_the_safe_stop(
        self, caplog: pytest.LogCaptureFixture
    ) -> None:
        counts = Counts()
        counts.broken = True
        rig = self.rig(counts)
        drive(rig, -50.0, 2)
        assert rig.phase is CommandPhase.REFUSED
        assert "no space left" in (rig.commander.state.reason or "")
        assert rig.link.writes == []
        rig.commander.command(0.0)
        assert rig.commander.write_due(rig.samples(), force=True)
        assert powers(rig) == [0.0]
        assert "uncounted" in caplog.text

    def test_the_safe_stop_and_the_own_mode_are_written_whatever_the_budget(self) -> None:
        rig = self.rig(budget=1, revert=True)
        drive(rig, -50.0, 2)
        rig.commander.command(0.0)
        assert rig.commander.write_due(rig.samples(), force=True)
        assert rig.commander.revert()
        assert self.flash(rig) == [1, 0, 9]
        assert rig.commander.state.flash_writes_today == 3

    def test_a_device_that_does_not_keep_it_is_not_worn_out(self) -> None:
        rig = self.rig(budget=1000)
        rig.link.deaf = True
        drive(rig, -50.0, 50)
        assert rig.phase is CommandPhase.NO_EFFECT
        assert len(self.flash(rig)) == 1

    def test_without_something_that_counts_it_is_not_commanded_at_all(self) -> None:
        step = {"function": 6, "type": "int16", "scale": 0.1, "positive_means": "charge"}
        with pytest.raises(DeviceError, match="nothing counts the writes"):
            Rig(steps=[{"address": 10, "volatile": False, **step}], daily_write_budget=5)
