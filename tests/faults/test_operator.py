"""Orders by hand, limits from outside and reasons to plan again, on a plant that moves.

Orders always end, limits bind within a cycle and outlive a restart, and nothing makes the
planner run all the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from engine.control.external_limits import ExternalLimit
from engine.devices.mqtt.commands import Command
from engine.domain.control import EngineState
from engine.domain.errors import ConfigError, EmsError
from engine.domain.strategy import StrategyKey
from engine.market.prices import DayAheadPrices
from engine.market.recorded_prices import RecordedPrices
from engine.runtime.operator_desk import LIMITS_NAME, OperatorDesk
from tests.support.fault_site import CYCLE_S, START, FaultSite, assert_stored_as_seen

AUTOMATIC = (EngineState.AUTOMATIC, None)
BY_HAND = (EngineState.MANUAL, "manual")

DSO = "limits: {external: [{source: dso}, {source: api}, {source: digital_input}]}\n"
HOLD = "limits: {external: [{source: dso, after_validity: hold}]}\n"
REDUCED = (
    "limits: {external: [{source: dso, after_validity: reduced, "
    "reduced: {charge_kw: 4.2, discharge_kw: 10}}]}\n"
)

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


def give(
    site: FaultSite, power_kw: float, minutes: float = 30.0, soc_percent: float | None = None
) -> None:
    until = site.clock.now() + timedelta(minutes=minutes)
    site.engine.operator.give(power_kw, until, soc_percent, "api")


def limit(site: FaultSite, **values: Any) -> None:
    """Let the grid operator limit the site, and hold the watcher to it."""
    site.engine.operator.put_limit(ExternalLimit("dso", **values))
    for name in ("charge_kw", "discharge_kw", "import_kw", "export_kw"):
        if name in values:
            setattr(site.truth, name, values[name])


def ended(site: FaultSite) -> list[str]:
    return [e.message for e in site.events() if e.code == "manual_ended"]


# Orders by hand.


def test_an_order_ends_by_time_and_automatic_control_goes_on(build: Build) -> None:
    site = build()
    give(site, -50.0, minutes=1.0)
    site.run(12)
    assert site.state == BY_HAND
    assert site.snapshot.manual is not None
    assert site.battery_kw == pytest.approx(-50.0, abs=0.5)
    site.run(17)
    assert site.state == BY_HAND, "58 s have passed"
    site.run()
    assert site.state == AUTOMATIC, "60 s have passed"
    assert site.snapshot.manual is None
    site.run(2)
    assert site.battery_kw == pytest.approx(0.0, abs=0.5), "it rests before it turns round"
    site.run_until(lambda: site.battery_kw > 40.0)
    assert ended(site) == ["The order by hand ended (time)."]
    assert_stored_as_seen(site)


@pytest.mark.parametrize(("power_kw", "goal"), [(-90.0, 50.4), (90.0, 49.6)])
def test_an_order_ends_at_its_state_of_charge(build: Build, power_kw: float, goal: float) -> None:
    site = build()
    give(site, power_kw, soc_percent=goal)
    site.run_until(lambda: site.state == AUTOMATIC, 40)
    soc = site.snapshot.image.value("soc_percent")
    assert soc == pytest.approx(goal, abs=0.03)
    site.run()
    assert abs(site.battery_kw) < 100.0
    assert ended(site) == ["The order by hand ended (soc)."]


def test_an_order_taken_back_ends_at_once(build: Build) -> None:
    site = build()
    give(site, -50.0)
    site.run(12)
    assert site.engine.operator.end()
    assert not site.engine.operator.end(), "there is none any more"
    site.run()
    assert site.state == AUTOMATIC
    site.run()
    assert site.told_kw == 0.0
    assert ended(site) == ["The order by hand was taken back."]


def test_an_order_does_not_outlive_the_program(build: Build) -> None:
    site = build()
    give(site, -50.0)
    site.run(12)
    site.restart()
    site.run(2)
    assert site.snapshot.manual is None
    assert site.engine.operator.manual.order is None
    assert site.state[0] is not EngineState.MANUAL
    site.run(3)
    assert site.battery_kw >= -0.1, "nobody goes on charging"


def test_an_order_stays_inside_every_limit(build: Build) -> None:
    site = build("limits: {external: [{source: dso}]}\ngrid: {import_limit_kw: 90}")
    give(site, -60.0)
    site.run(12)
    assert site.battery_kw == pytest.approx(-30.0, abs=0.5), "the grid connection leaves 30 kW"
    assert site.setpoint.binding == "grid_import"
    site.plant.faults.charge_limit_kw = 12.0
    site.run(2)
    assert site.battery_kw == pytest.approx(-12.0, abs=0.5)
    limit(site, charge_kw=4.2)
    site.run(2)
    assert site.battery_kw == pytest.approx(-4.2, abs=0.1)
    assert site.limits.charge_binding == "external_dso"
    site.plant.faults.bms_fault = True
    site.run(2)
    assert site.battery_kw == 0.0
    assert site.state[0] is EngineState.FAULT


@pytest.mark.parametrize(("goal", "power_kw"), [(10.0, 80.0), (90.0, -80.0)])
def test_an_order_never_leaves_the_window_of_the_state_of_charge(
    build: Build, goal: float, power_kw: float
) -> None:
    start_percent = goal + (0.3 if power_kw > 0 else -0.3)
    site = build(soc_percent=start_percent, load_kw=100.0)
    give(site, power_kw, minutes=60.0)
    site.run(60)
    assert site.battery_kw == pytest.approx(0.0, abs=0.1)
    assert "soc_window" in (site.limits.discharge_binding, site.limits.charge_binding)
    assert site.state == BY_HAND, "the order stands; the limit rules"


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
def test_a_clock_that_is_set_neither_shortens_nor_extends_an_order(
    build: Build, seconds: float
) -> None:
    site = build()
    give(site, -50.0, minutes=2.0)
    site.run(20)
    site.clock.jump(seconds)
    site.run(39)
    assert site.state == BY_HAND, "118 s have passed"
    manual = site.snapshot.manual
    assert manual is not None
    left_s = (manual.until - site.clock.now()).total_seconds()
    assert left_s == pytest.approx(2.0, abs=0.1), "and what is shown is what remains"
    site.run()
    assert site.state[0] is not EngineState.MANUAL


def test_a_refused_order_changes_nothing(build: Build) -> None:
    site = build()
    give(site, -50.0)
    for power_kw, minutes, soc in ((150.0, 5, None), (10.0, 0, None), (10.0, 1500, None)):
        with pytest.raises(EmsError):
            give(site, power_kw, minutes, soc)
    with pytest.raises(EmsError):
        give(site, float("nan"))
    order = site.engine.operator.manual.order
    assert order is not None
    assert order.power_kw == -50.0


def test_an_order_over_mqtt_lasts_as_long_as_somebody_sends_it(build: Build) -> None:
    site = build()
    for _ in range(3):
        done = site.engine.operator.command(
            Command("power_kw", -20.0, 60.0, None, site.clock.now())
        )
        assert done.accepted
        site.run(20)
        assert site.state == BY_HAND
    site.run(10)
    assert site.state == AUTOMATIC


# Limits from outside.


def test_a_grid_operators_limit_binds_within_a_cycle_and_is_named(build: Build) -> None:
    site = build(DSO).settle(cycles=12)
    assert site.battery_kw == pytest.approx(60.0, abs=1.0)
    limit(site, discharge_kw=0.0, charge_kw=0.0)
    site.run()
    limits = site.limits
    assert (limits.charge_kw, limits.discharge_kw) == (0.0, 0.0)
    assert limits.charge_binding == limits.discharge_binding == "external_dso"
    assert site.setpoint.binding == "external_dso"
    assert site.told_kw == 0.0
    site.run(5)
    assert site.battery_kw == 0.0
    assert "external_limit" in {alarm.name for alarm in site.snapshot.alarms}
    site.engine.operator.release_limit("dso")
    site.truth.charge_kw = site.truth.discharge_kw = 100.0
    site.run_until(lambda: site.battery_kw > 55.0, 15)
    assert_stored_as_seen(site)


def test_a_limit_at_the_meter_is_healed_by_the_battery(build: Build) -> None:
    site = build(DSO, load_kw=50.0)
    give(site, 0.0)
    site.run(14)
    assert site.grid_kw == pytest.approx(50.0, abs=0.5)
    site.truth.heals = True
    limit(site, import_kw=20.0)
    site.run(2)
    assert site.grid_kw <= 20.1
    assert site.limits.required_binding == "external_dso"
    assert site.setpoint.reason == "grid_limit"
    assert site.state == BY_HAND


def test_the_digital_input_reduces_at_once(build: Build) -> None:
    site = build(DSO).settle(cycles=12)
    site.truth.charge_kw = site.truth.discharge_kw = 0.0
    site.engine.operator.contact(True)
    site.run()
    assert site.limits.discharge_binding == "external_digital_input"
    assert site.told_kw == 0.0
    site.engine.operator.contact(False)
    site.truth.charge_kw = site.truth.discharge_kw = 100.0
    site.run_until(lambda: site.battery_kw > 55.0, 15)


@pytest.mark.parametrize(
    ("text", "after_kw"),
    [(DSO, 60.0), (HOLD, 20.0), (REDUCED, 10.0)],
    ids=["release", "hold", "reduced"],
)
def test_after_its_validity_a_limit_does_what_is_configured(
    build: Build, text: str, after_kw: float
) -> None:
    site = build(text).settle(cycles=12)
    limit(site, discharge_kw=20.0, valid_until=site.clock.now() + timedelta(seconds=20))
    site.run(9)
    assert site.battery_kw == pytest.approx(20.0, abs=0.2)
    site.truth.discharge_kw = after_kw if after_kw < 60 else 100.0
    site.run(8)
    assert site.battery_kw == pytest.approx(after_kw, abs=1.0)


@pytest.mark.parametrize("seconds", [3600.0, -3600.0])
def test_a_clock_that_is_set_neither_ends_nor_extends_a_limit(build: Build, seconds: float) -> None:
    site = build(DSO)
    limit(site, discharge_kw=20.0, valid_until=site.clock.now() + timedelta(seconds=60))
    site.run(10)
    site.clock.jump(seconds)
    site.run(19)
    assert site.engine.operator.limits_in_force(), "58 s have passed"
    site.run(2)
    assert not site.engine.operator.limits_in_force()


def test_a_limit_outlives_a_restart_from_the_first_cycle_on(build: Build) -> None:
    site = build(DSO).settle(cycles=12)
    until = site.clock.now() + timedelta(minutes=10)
    limit(site, discharge_kw=15.0, valid_until=until)
    site.run(3)
    site.restart(clean=False)
    (kept,) = site.engine.operator.limits_in_force()
    assert (kept.source, kept.discharge_kw, kept.valid_until) == ("dso", 15.0, until)
    site.run(15)
    assert site.limits.discharge_binding == "external_dso"
    assert site.battery_kw == pytest.approx(15.0, abs=0.2)
    site.engine.operator.release_limit("dso")
    site.restart()
    assert site.engine.operator.limits_in_force() == ()


def test_a_closed_contact_outlives_a_restart(build: Build) -> None:
    site = build(DSO)
    site.truth.charge_kw = site.truth.discharge_kw = 0.0
    site.engine.operator.contact(True)
    site.restart()
    site.run(12)
    assert site.limits.discharge_binding == "external_digital_input"
    site.engine.operator.contact(False)
    site.restart()
    assert site.engine.operator.limits_in_force() == ()


def test_a_restart_is_no_sign_of_life_of_a_silent_source(build: Build) -> None:
    text = "limits: {external: [{source: dso, heartbeat_s: 60}]}"
    site = build(text)
    site.engine.operator.put_limit(ExternalLimit("dso", discharge_kw=50.0))
    assert [limit.discharge_kw for limit in site.engine.operator.limits_in_force()] == [50.0]
    site.clock.advance(61.0)
    assert min(lim.discharge_kw or 0.0 for lim in site.engine.operator.limits_in_force()) == 0.0
    site.restart()
    assert min(lim.discharge_kw or 0.0 for lim in site.engine.operator.limits_in_force()) == 0.0


def test_limits_over_mqtt_end_each_for_itself_also_over_a_restart(build: Build) -> None:
    site = build("limits: {external: [{source: mqtt}]}")

    def send(name: str, value: float, ttl_s: float) -> None:
        until = site.clock.now() + timedelta(seconds=ttl_s)
        assert site.engine.operator.command(Command(name, value, ttl_s, None, until)).accepted

    def stated() -> set[tuple[str, float]]:
        return {
            (name, value)
            for found in site.engine.operator.limits_in_force()
            for name in ("charge_kw", "discharge_kw", "soc_max_percent")
            if (value := getattr(found, name)) is not None
        }

    send("charge_limit_kw", 10.0, 600.0)
    send("soc_max", 70.0, 300.0)
    send("discharge_limit_kw", 20.0, 60.0)
    everything = {("charge_kw", 10.0), ("discharge_kw", 20.0), ("soc_max_percent", 70.0)}
    assert stated() == everything
    send("discharge_limit_kw", 25.0, 60.0)
    assert stated() == everything - {("discharge_kw", 20.0)} | {("discharge_kw", 25.0)}
    site.restart()
    site.clock.advance(61.0)
    assert stated() == {("charge_kw", 10.0), ("soc_max_percent", 70.0)}
    site.clock.advance(300.0)
    assert stated() == {("charge_kw", 10.0)}


@pytest.mark.parametrize(("text", "holds"), [(DSO, False), (HOLD, True)], ids=["release", "hold"])
def test_a_limit_that_ended_while_the_program_was_off(build: Build, text: str, holds: bool) -> None:
    site = build(text)
    limit(site, discharge_kw=15.0, valid_until=site.clock.now() + timedelta(minutes=1))
    site.end()
    site.clock.advance(120.0)
    site.world.advance(120.0)
    site.restart()
    assert bool(site.engine.operator.limits_in_force()) is holds


def test_a_clock_set_back_while_the_program_was_off_extends_a_limit_rather_than_ending_it(
    build: Build,
) -> None:
    site = build(DSO)
    limit(site, discharge_kw=15.0, valid_until=site.clock.now() + timedelta(minutes=1))
    site.end()
    site.clock.jump(-3600.0)
    site.restart()
    assert site.engine.operator.limits_in_force()


@pytest.mark.parametrize(
    "content",
    [
        b"{",
        b"\xff\xfe",
        b"[]x",
        b"{}",
        b"7",
        b"null",
        b'["dso"]',
        b'[{"source": "dso", "charge_kw": -5}]',
        b'[{"source": "dso", "charge_kw": "much"}]',
        b'[{"source": "dso", "valid_until": 5}]',
        b'[{"source": "dso", "valid_until": "2026-11-24T20:00:00"}]',
        b'[{"source": 5, "charge_kw": 1}]',
        b'[{"source": "dso", "colour": "red"}]',
        b'[{"source": "dso", "charge_kw": true}]',
        b'[{"source": "dso", "charge_kw": 1e999}]',
    ],
)
def test_a_damaged_file_of_limits_is_an_alarm_and_no_crash(
    tmp_path: Path, build: Build, content: bytes
) -> None:
    desk = read_desk(tmp_path, content)
    assert desk.problem, "what cannot be used is said"
    assert LIMITS_NAME in desk.problem


def test_a_damaged_file_of_limits_shows_on_the_page(build: Build) -> None:
    site = build(DSO)
    limit(site, discharge_kw=15.0)
    site.truth.discharge_kw = 100.0
    site.end()
    (site.folder / LIMITS_NAME).write_bytes(b"[{")
    site.restart()
    site.run(5)
    (notice,) = [n for n in site.snapshot.notices if n.code == "limits_forgotten"]
    assert notice.severity == "alarm"
    assert LIMITS_NAME in str(notice.detail)


def test_one_damaged_limit_does_not_lose_the_others(tmp_path: Path) -> None:
    desk = read_desk(
        tmp_path,
        b'[{"source": "dso", "charge_kw": 4.2}, {"source": "api", "charge_kw": -1},'
        b' {"source": "elsewhere", "charge_kw": 1}]',
    )
    assert [limit.source for limit in desk.limits_in_force()] == ["dso"]
    assert desk.problem
    assert "-1" in desk.problem
    assert "elsewhere" in desk.problem


def read_desk(folder: Path, content: bytes) -> OperatorDesk:
    from engine.config.described_site import site_from
    from engine.config.load import parse_config
    from engine.domain.clock import ManualClock
    from engine.runtime.strategy_desk import StrategyDesk

    (folder / LIMITS_NAME).write_bytes(content)
    config, clock = parse_config(DSO), ManualClock(START)
    strategies = StrategyDesk(config.strategies, folder, clock)
    return OperatorDesk(site_from(config).battery, config.limits, folder, clock, strategies)


def test_a_limit_that_cannot_be_stored_is_in_force_all_the_same(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    from engine.runtime import operator_desk

    site = build(DSO).settle(cycles=12)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(operator_desk, "write_atomically", full)
    with pytest.raises(ConfigError, match="in force but could not be stored: No space left"):
        site.engine.operator.put_limit(ExternalLimit("dso", discharge_kw=5.0))
    site.truth.discharge_kw = 5.0
    site.run()
    assert site.limits.discharge_binding == "external_dso"
    assert site.told_kw == 5.0


def test_a_source_that_is_not_configured_is_refused_in_words(build: Build) -> None:
    site = build(DSO)
    with pytest.raises(EmsError, match="not configured"):
        site.engine.operator.put_limit(ExternalLimit("mqtt", charge_kw=1.0))
    assert site.engine.operator.limits_in_force() == ()


# Planning again.


def triggers(site: FaultSite) -> list[str]:
    return list(site.plans.values())


def test_a_limit_that_changes_much_is_planned_with_once(build: Build) -> None:
    site = build(DSO, start=START + timedelta(seconds=30)).settle(cycles=62)
    assert triggers(site) == ["start"]
    limit(site, discharge_kw=30.0)
    site.run(60)
    assert triggers(site) == ["start", "limits"]
    plan = site.snapshot.plan
    assert plan is not None
    assert plan.battery_kw[:4].max() <= 30.1, "the plan knows it"


def test_a_state_of_charge_off_the_plan_is_planned_from_once(build: Build) -> None:
    site = build(start=START + timedelta(seconds=30)).settle(cycles=62)
    site.plant._battery.stored_kwh -= 14.0
    site.run(60)
    assert triggers(site) == ["start", "deviation"]
    plan = site.snapshot.plan
    assert plan is not None
    assert plan.soc_start_kwh == pytest.approx(84.0, abs=4.0)


def test_a_load_off_the_plan_is_planned_with_once(build: Build) -> None:
    """Measured over Modbus, through the minute means, to a plan that knows the load of now."""
    site = build(start=START + timedelta(seconds=30))
    site.run(2)
    before = site.snapshot.plan
    assert before is not None
    planned_kw = float(before.load_kw[0])
    site.load_kw = planned_kw
    site.run(118)
    assert triggers(site) == ["start"]
    site.load_kw = planned_kw + 40.0
    site.run_until(lambda: len(site.plans) > 1, 200)
    site.run(80)
    assert triggers(site) == ["start", "net_load"], "and not every two minutes"
    after = site.snapshot.plan
    assert after is not None
    assert float(after.load_kw[0]) > planned_kw + 5.0, "it knows what was measured since"


def test_a_chosen_strategy_is_planned_with_at_once(build: Build) -> None:
    site = build().settle(cycles=12)
    until = site.clock.now() + timedelta(seconds=60)
    site.engine.choose_strategy(StrategyKey.SELF_CONSUMPTION, until)
    site.run(10)
    assert triggers(site) == ["start", "override"]
    assert site.snapshot.plan is not None
    assert site.snapshot.plan.strategy == "self_consumption"
    site.run(25)
    assert triggers(site) == ["start", "override", "override"], "and once more when it ends"


def test_new_prices_are_planned_with_once(build: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    published = RecordedPrices.published

    def earlier(self: RecordedPrices, now: datetime) -> DayAheadPrices:
        whole = published(self, now)
        spot = whole.spot_eur_per_kwh[:-96]
        return DayAheadPrices(whole.start, spot, whole.source, whole.fetched_at)

    with monkeypatch.context() as patch:
        patch.setattr(RecordedPrices, "published", earlier)
        site = build().settle(cycles=12)
        assert triggers(site) == ["start"]
    site.run(30)
    assert triggers(site) == ["start", "prices"]


def test_prices_that_come_and_go_are_no_storm_of_plans(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    published, asked = RecordedPrices.published, iter(range(10**6))

    def fluttering(self: RecordedPrices, now: datetime) -> DayAheadPrices:
        whole = published(self, now)
        spot = whole.spot_eur_per_kwh[: -96 if next(asked) % 3 else None]
        return DayAheadPrices(whole.start, spot, whole.source, whole.fetched_at)

    monkeypatch.setattr(RecordedPrices, "published", fluttering)
    site = build()
    site.run(150)
    assert 2 <= len(site.plans) <= 11, "in 5 minutes"
    assert site.state == AUTOMATIC


def test_a_time_of_everything_being_off_is_no_storm_of_plans(build: Build) -> None:
    """Load far off its forecast, a battery limit that flutters, a limit from outside likewise."""
    site = build(DSO, load_kw=95.0)
    site.run(5)
    for cycle in range(int(20 * 60 / CYCLE_S / 5)):
        faults = site.plant.faults
        faults.discharge_limit_kw = (None, 40.0)[cycle // 10 % 2]
        site.run(5)
    made = triggers(site)
    assert made.count("schedule") == 1
    assert "net_load" in made
    assert "limits" in made
    assert len(made) <= 12, made
