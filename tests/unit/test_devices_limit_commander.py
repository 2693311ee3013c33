"""Power limits: what is written when, what is told, and who gets how much of a common one."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, cast

import pytest

from engine.devices.answer_error import DeviceAnswerError
from engine.devices.command_state import CommandPhase
from engine.devices.limit_commander import LimitCommander
from engine.devices.limit_share import LimitPart, share_limit
from engine.devices.link import ModbusLink
from engine.devices.profile import parse_profile
from engine.devices.profile_def import DeviceProfile
from engine.devices.spec import DeviceSpec
from engine.devices.write_budget import WriteCount
from engine.domain.clock import ManualClock
from engine.domain.errors import DeviceError, LinkError, WriteRefusedError
from engine.domain.sample import Quality, Sample

START = datetime(2026, 11, 3, 12, tzinfo=UTC)
LIMIT, LIMITED = 10, 11
LIFT = [(7, 6, LIMITED, (0,))]


def limit(kw: float) -> list[tuple[int, int, int, tuple[int, ...]]]:
    return [(7, 6, LIMIT, (round(10 * kw),)), (7, 6, LIMITED, (1,))]


class FakeLink:
    """Takes writes like an inverter with a limit register in steps of 0.1 kW."""

    def __init__(self) -> None:
        self.session = 1
        self.writes: list[tuple[int, int, int, tuple[int, ...]]] = []
        self.failure: Exception | None = None
        self.deaf = False
        self.registers: dict[int, int] = {LIMIT: 1000, LIMITED: 0}

    def read(self, unit_id: int, function: int, address: int, count: int) -> tuple[int, ...]:
        return tuple(self.registers[address + i] for i in range(count))

    def write(self, unit_id: int, function: int, address: int, words: Sequence[int]) -> None:
        if self.failure is not None:
            raise self.failure
        self.writes.append((unit_id, function, address, tuple(words)))
        if not self.deaf:
            self.registers.update(enumerate(words, start=address))


class Counts:
    """Keeps counts of flash writes in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, WriteCount] = {}

    def load(self, device: str) -> WriteCount | None:
        return self.kept.get(device)

    def save(self, device: str, count: WriteCount) -> None:
        self.kept[device] = count


def profile(*, step: dict[str, Any] | None = None, **command: Any) -> DeviceProfile:
    return parse_profile(
        {
            "key": "inverter",
            "label": "Inverter",
            "manufacturer": "M",
            "kinds": ["pv_inverter"],
            "source": "test",
            "registers": {
                "pv_limit_kw": {"address": LIMIT, "function": 3, "scale": 0.1},
                "rated_kw": {"address": 20, "function": 3},
                "pv_kw": {"address": 30, "function": 3, "positive_means": "generation"},
            },
            "commands": {
                "limit_power_kw": {
                    "steps": [
                        {"address": LIMIT, "function": 6, "scale": 0.1, **(step or {})},
                        {"address": LIMITED, "function": 6, "value": 1},
                    ],
                    "revert": [{"address": LIMITED, "function": 6, "value": 0}],
                    "readback": "pv_limit_kw",
                    "clamp": "rated_kw",
                    "watchdog_s": 60,
                    **command,
                }
            },
        }
    )


class Rig:
    def __init__(
        self, counts: Counts | None = None, step: dict[str, Any] | None = None, **command: Any
    ) -> None:
        self.clock = ManualClock(START)
        self.link = FakeLink()
        self.nameplate: float | None = 80.0
        self.power_kw = 0.0
        spec = DeviceSpec("pv", profile(step=step, **command), "127.0.0.1", 502, 7, writable=True)
        self.commander = LimitCommander(spec, cast(ModbusLink, self.link), self.clock, counts)

    def samples(self) -> dict[str, Sample]:
        now = self.clock.now()
        rated = (
            Sample(None, now, "pv", Quality.BAD, "not read yet")
            if self.nameplate is None
            else Sample(self.nameplate, now, "pv")
        )
        return {
            "pv_limit_kw": Sample(self.link.registers[LIMIT] / 10.0, now, "pv"),
            "rated_kw": rated,
            "pv_kw": Sample(self.power_kw, now, "pv"),
        }

    def slot(self) -> list[tuple[int, int, int, tuple[int, ...]]]:
        """One polling slot; returns what it wrote."""
        before = len(self.link.writes)
        self.commander.write_due(self.samples())
        self.commander.check(self.samples())
        return self.link.writes[before:]

    def ask(self, limit_kw: float | None) -> list[tuple[int, int, int, tuple[int, ...]]]:
        self.commander.limit(limit_kw)
        return self.slot()

    @property
    def phase(self) -> CommandPhase:
        return self.commander.state.state

    @property
    def reason(self) -> str:
        return self.commander.state.reason or ""


def test_nothing_is_written_before_the_first_limit_and_nothing_lifted_on_stop() -> None:
    rig = Rig()
    assert rig.slot() == []
    assert rig.commander.lift()
    assert rig.link.writes == []
    assert rig.phase is CommandPhase.IDLE
    assert rig.commander.state.ts is None


def test_the_steps_of_a_limit_are_written_in_order_and_confirmed() -> None:
    rig = Rig()
    assert rig.ask(30.0) == limit(30.0)
    state = rig.commander.state
    assert state.state is CommandPhase.CONFIRMED
    assert (state.requested_kw, state.written_kw, state.readback_kw) == (30.0, 30.0, 30.0)


def test_no_limit_writes_the_revert_steps_once() -> None:
    rig = Rig()
    rig.ask(30.0)
    assert rig.ask(None) == LIFT
    state = rig.commander.state
    assert state.state is CommandPhase.CONFIRMED
    assert (state.requested_kw, state.written_kw) == (None, None)
    for _ in range(60):
        rig.clock.advance(2)
        assert rig.ask(None) == []
    assert rig.phase is CommandPhase.CONFIRMED


def test_a_limit_is_clamped_to_the_nameplate_and_never_rounded_up() -> None:
    rig = Rig()
    assert rig.ask(500.0) == limit(80.0)
    assert rig.ask(12.38) == limit(12.3)
    assert rig.phase is CommandPhase.CONFIRMED
    assert rig.ask(0.07) == limit(0.0)
    assert rig.ask(33.4) == limit(33.4)


@pytest.mark.parametrize("wrong", [-0.1, float("nan"), float("inf")])
def test_what_cannot_be_a_limit_is_refused(wrong: float) -> None:
    rig = Rig()
    with pytest.raises(DeviceError, match="at least 0 kW"):
        rig.commander.limit(wrong)
    assert rig.slot() == []


def test_a_limit_in_percent_is_a_share_of_the_nameplate() -> None:
    rig = Rig(step={"value": "limit_percent", "scale": 1.0}, readback=None, effect="pv_kw")
    assert rig.ask(20.0)[0] == (7, 6, LIMIT, (25,))
    assert rig.ask(20.7) == [], "25.9 % is written as 25 %, which is there already"
    assert rig.ask(21.0)[0] == (7, 6, LIMIT, (26,))
    assert rig.commander.state.written_kw == pytest.approx(20.8)
    rig.nameplate = 160.0
    assert rig.ask(40.0)[0] == (7, 6, LIMIT, (25,))


def test_without_a_nameplate_a_limit_waits_but_lifting_does_not() -> None:
    rig = Rig()
    rig.nameplate = None
    assert rig.ask(30.0) == []
    assert rig.commander.waits_for_nameplate
    assert rig.phase is CommandPhase.PENDING
    assert "nameplate" in rig.reason
    assert rig.ask(None) == LIFT


def test_a_nameplate_once_read_lets_a_limit_be_refreshed_without_it() -> None:
    rig = Rig()
    rig.ask(30.0)
    rig.nameplate = None
    rig.clock.advance(20)
    assert rig.ask(30.0) == limit(30.0)
    assert rig.phase is CommandPhase.CONFIRMED


def test_a_change_within_the_deadband_is_not_written() -> None:
    rig = Rig(deadband_kw=1.0)
    rig.ask(30.0)
    assert rig.ask(30.8) == []
    assert rig.phase is CommandPhase.CONFIRMED
    assert rig.ask(31.1) == limit(31.1)


def test_a_limit_is_refreshed_while_it_is_asked_for_and_only_then() -> None:
    rig = Rig()
    times = []
    for second in range(0, 62, 2):
        if rig.ask(30.0):
            times.append(second)
        rig.clock.advance(2)
    assert times == [0, 20, 40, 60]
    for _ in range(60):
        rig.clock.advance(2)
        assert rig.slot() == [], "a hanging control loop must not be hidden from the watchdog"


def test_a_reconnected_device_gets_its_limit_again_or_is_freed_again() -> None:
    rig = Rig()
    rig.ask(30.0)
    rig.link.session += 1
    assert rig.ask(30.0) == limit(30.0)
    rig.ask(None)
    rig.link.session += 1
    assert rig.ask(None) == LIFT


def test_an_old_limit_is_not_written_after_a_long_outage() -> None:
    rig = Rig()
    rig.link.failure = LinkError("no answer")
    rig.ask(30.0)
    assert (rig.phase, rig.reason) == (CommandPhase.PENDING, "no answer")
    rig.clock.advance(61)
    rig.link.failure = None
    assert rig.slot() == []
    assert rig.phase is CommandPhase.IDLE


def test_a_refused_limit_is_told_and_not_repeated_every_slot() -> None:
    rig = Rig()
    rig.link.failure = DeviceAnswerError("illegal value", 3)
    rig.ask(30.0)
    assert rig.phase is CommandPhase.REFUSED
    rig.link.failure = None
    assert rig.ask(30.0) == []
    rig.clock.advance(21)
    assert rig.ask(30.0) == limit(30.0)
    assert rig.phase is CommandPhase.CONFIRMED


def test_in_read_only_mode_the_link_refuses_and_the_state_says_so() -> None:
    rig = Rig()
    rig.link.failure = WriteRefusedError("writing is off", field="write_enabled")
    assert rig.ask(30.0) == []
    assert rig.phase is CommandPhase.REFUSED


def test_a_device_that_does_not_show_its_limit_is_told_and_asked_again() -> None:
    rig = Rig()
    rig.link.deaf = True
    writes = []
    for _ in range(4):
        writes.append(len(rig.ask(30.0)))
        rig.clock.advance(2)
    assert rig.phase is CommandPhase.NO_EFFECT
    assert "shows a limit of 100 kW although 30 kW was written" in rig.reason
    assert writes == [2, 0, 2, 2]


def test_power_below_the_limit_follows_it() -> None:
    rig = Rig(effect="pv_kw", effect_within_s=10)
    rig.power_kw = 12.0
    rig.ask(30.0)
    assert rig.phase is CommandPhase.CONFIRMED
    assert rig.commander.state.followed is True
    assert rig.commander.state.measured_kw == 12.0


def test_power_above_the_limit_is_told_after_the_stated_time() -> None:
    rig = Rig(effect="pv_kw", effect_within_s=10, effect_tolerance_kw=1, effect_tolerance_percent=0)
    rig.power_kw = 50.0
    phases = []
    for _ in range(6):
        rig.ask(30.0)
        phases.append(rig.phase)
        rig.clock.advance(2)
    assert phases[:5] == [CommandPhase.CONFIRMED] * 5
    assert phases[5] is CommandPhase.NO_EFFECT
    assert rig.commander.state.followed is False
    assert "its power is 50 kW" in rig.reason
    rig.power_kw = 30.9
    rig.ask(30.0)
    assert rig.phase is CommandPhase.CONFIRMED


def test_a_falling_limit_gives_the_device_its_time() -> None:
    rig = Rig(effect="pv_kw", effect_within_s=10, effect_tolerance_percent=0)
    rig.power_kw = 60.0
    for _ in range(10):
        rig.ask(70.0)
        rig.clock.advance(2)
    rig.ask(30.0)
    rig.clock.advance(6)
    rig.ask(30.0)
    assert rig.commander.state.followed is None
    rig.clock.advance(6)
    rig.ask(30.0)
    assert rig.commander.state.followed is False


def test_a_lifted_limit_makes_any_power_right() -> None:
    rig = Rig(effect="pv_kw", effect_within_s=10)
    rig.ask(30.0)
    rig.ask(None)
    rig.power_kw = 80.0
    rig.clock.advance(60)
    rig.ask(None)
    assert rig.phase is CommandPhase.CONFIRMED
    assert rig.commander.state.followed is True


def test_on_stop_a_limit_is_lifted_unless_it_is_lifted_already() -> None:
    rig = Rig()
    rig.ask(30.0)
    assert rig.commander.leaves_limit
    assert rig.commander.lift()
    assert rig.link.writes[-1:] == LIFT
    freed = Rig()
    freed.ask(30.0)
    freed.ask(None)
    before = len(freed.link.writes)
    assert freed.commander.lift()
    assert len(freed.link.writes) == before


def test_a_limit_of_which_nobody_knows_whether_it_arrived_is_lifted_on_stop() -> None:
    rig = Rig()
    rig.link.failure = LinkError("no answer")
    rig.ask(30.0)
    assert not rig.commander.lift()
    rig.link.failure = None
    assert rig.commander.lift()
    assert rig.link.writes == LIFT


class TestFlashMemory:
    """The limit itself is kept in flash memory; 3 writes a day."""

    def rig(self, counts: Counts) -> Rig:
        return Rig(counts, step={"volatile": False}, daily_write_budget=3, watchdog_s=None)

    def limits(self, writes: list[tuple[int, int, int, tuple[int, ...]]]) -> list[float]:
        return [words[0] / 10.0 for _, _, address, words in writes if address == LIMIT]

    def test_it_is_written_only_when_it_changes_and_counted(self) -> None:
        counts = Counts()
        rig = self.rig(counts)
        for _ in range(50):
            rig.ask(30.0)
            rig.clock.advance(2)
        assert self.limits(rig.link.writes) == [30.0]
        state = rig.commander.state
        assert (state.flash_writes_today, state.daily_write_budget) == (1, 3)
        assert list(counts.kept) == ["pv limit_power_kw"], "not mixed up with setpoints"

    def test_with_a_used_up_budget_a_limit_may_fall_but_not_rise(self) -> None:
        rig = self.rig(Counts())
        for kw in (30.0, 40.0, 50.0):
            rig.ask(kw)
        assert rig.phase is CommandPhase.CONFIRMED
        assert rig.ask(60.0) == []
        assert rig.phase is CommandPhase.REFUSED
        assert "used up" in rig.reason
        assert "may fall but not rise" in rig.reason
        assert self.limits(rig.ask(20.0)) == [20.0]
        assert rig.phase is CommandPhase.CONFIRMED
        assert rig.commander.state.flash_writes_today == 4
        rig.clock.advance(12 * 3600)
        assert self.limits(rig.ask(60.0)) == [60.0], "a new day has a new budget"

    def test_a_store_is_needed(self) -> None:
        with pytest.raises(DeviceError, match="nothing counts the writes"):
            Rig(None, step={"volatile": False}, daily_write_budget=3)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"revert": []}, "revert"),
        ({"steps": [{"address": 1, "function": 6, "value": 1}]}, "steps"),
        ({"revert": [{"address": 1, "function": 6}]}, "revert"),
        ({"readback": None}, "readback"),
        ({"readback": "nothing_kw"}, "readback"),
        ({"clamp": "nothing_kw"}, "clamp"),
        ({"refresh_s": 60}, "refresh_s"),
        ({"step": {"volatile": False}}, "daily_write_budget"),
        ({"step": {"type": "uint32"}}, "steps.0.function"),
        ({"step": {"positive_means": "charge"}}, "steps.0.positive_means"),
        ({"ramp_kw_per_s": 1}, "ramp_kw_per_s"),
    ],
)
def test_limits_that_cannot_work_are_refused(change: dict[str, Any], field: str) -> None:
    with pytest.raises(DeviceError) as caught:
        profile(**change)
    assert caught.value.field == f"commands.limit_power_kw.{field}"


def test_there_is_no_other_command() -> None:
    data = profile().model_dump(exclude_unset=True, warnings=False)
    data["commands"] = {"dance": {}}
    with pytest.raises(DeviceError) as caught:
        parse_profile(data)
    assert caught.value.field == "commands.dance"


def test_a_nameplate_of_0_is_no_nameplate() -> None:
    rig = Rig()
    rig.nameplate = 0.0
    assert rig.ask(30.0) == []
    assert "nameplate must be more than 0 kW" in rig.reason


def part(name: str, nameplate: float | None, measured: float | None, can: bool = True) -> LimitPart:
    return LimitPart(name, can, nameplate, measured)


def test_a_common_limit_is_shared_in_proportion_to_the_nameplates() -> None:
    parts = [part("roof", 10.0, 9.0), part("field", 30.0, 0.0)]
    assert share_limit(20.0, parts) == {"roof": 5.0, "field": 15.0}
    assert share_limit(0.0, parts) == {"roof": 0.0, "field": 0.0}


def test_without_a_nameplate_the_measured_power_counts() -> None:
    assert share_limit(12.0, [part("roof", None, 10.0), part("field", 30.0, 1.0)]) == {
        "roof": 3.0,
        "field": 9.0,
    }
    unknown = share_limit(12.0, [part("roof", None, 0.0), part("field", 30.0, 1.0)])
    assert unknown == {"roof": 6.0, "field": 6.0}, "a share of 0 would keep it at 0"
    assert share_limit(12.0, [part("a", None, None), part("b", None, 0.0)]) == {"a": 6.0, "b": 6.0}


def test_what_cannot_be_limited_comes_first() -> None:
    fixed = part("old", None, 8.0, can=False)
    assert share_limit(20.0, [fixed, part("roof", 10.0, 9.0)]) == {"roof": 12.0}
    assert share_limit(5.0, [fixed, part("roof", 10.0, 9.0)]) == {"roof": 0.0}
    lost = part("old", 15.0, None, can=False)
    assert share_limit(20.0, [lost, part("roof", 10.0, 9.0)]) == {"roof": 5.0}
    unknown = part("old", None, None, can=False)
    assert share_limit(20.0, [unknown, part("roof", 10.0, 9.0)]) == {"roof": 0.0}
