"""The demo plant: what a battery, a converter and a meter really do."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from engine.devices.profile import MODBUS_PROFILES
from engine.devices.simulator.battery import BatteryPhysics, SimulatedBattery
from engine.devices.simulator.pcs import PcsPhysics
from engine.devices.simulator.plant import DemoParameters, DemoPlant
from engine.devices.simulator.registers import RegisterMap
from engine.domain.clock import ManualClock
from engine.domain.errors import DeviceError
from engine.domain.signals import ALARMS
from engine.domain.site import Battery

START = datetime(2026, 5, 1, 0, 7, 3, 250_000, tzinfo=UTC)
BATTERY = Battery(
    energy_capacity_kwh=200.0,
    power_charge_max_kw=100.0,
    power_discharge_max_kw=80.0,
    efficiency_charge=0.95,
    efficiency_discharge=0.94,
    soc_min_percent=10.0,
    soc_max_percent=90.0,
    standby_loss_kw=0.5,
)


class Rig:
    """A plant with its clock, and a control loop that refreshes its setpoint."""

    def __init__(
        self,
        soc_percent: float = 50.0,
        *,
        load_kw: Callable[[datetime], float] = lambda _: 60.0,
        pv_kw: Callable[[datetime], float] = lambda _: 20.0,
        physics: BatteryPhysics | None = None,
        pcs: PcsPhysics | None = None,
    ) -> None:
        self.clock = ManualClock(START)
        parameters = DemoParameters(BATTERY, physics or BatteryPhysics(), pcs or PcsPhysics())
        self.plant = DemoPlant(parameters, load_kw, pv_kw, self.clock, soc_percent)

    def run(self, seconds: float, power_kw: float | None = None) -> None:
        while seconds > 0:
            if power_kw is not None:
                assert self.plant.set_power_kw(power_kw)
            part = min(20.0, seconds)
            self.clock.advance(part)
            self.plant.advance()
            seconds -= part

    @property
    def power_kw(self) -> float:
        return self.plant.pcs_values()["battery_kw"]

    @property
    def soc_percent(self) -> float:
        return self.plant.bms_values()["soc_percent"]

    @property
    def status(self) -> float:
        return self.plant.bms_values()["status_code"]


def test_one_hour_of_charging_stores_what_the_efficiency_leaves() -> None:
    rig = Rig(pcs=PcsPhysics(dead_time_s=0.0, ramp_percent_per_s=1e6))
    rig.run(3600, -50.0)
    truth = rig.plant.truth.total
    assert truth.charged_kwh == pytest.approx(50.0, abs=1e-3)
    assert truth.stored_end_kwh - 100.0 == pytest.approx(50 * 0.95 - 0.5, abs=1e-3)
    assert truth.conversion_loss_kwh == pytest.approx(50 * 0.05, abs=1e-3)


def test_one_hour_of_discharging_takes_more_than_it_gives() -> None:
    rig = Rig(pcs=PcsPhysics(dead_time_s=0.0, ramp_percent_per_s=1e6))
    rig.run(3600, 47.0)
    truth = rig.plant.truth.total
    assert truth.discharged_kwh == pytest.approx(47.0, abs=1e-3)
    assert 100.0 - truth.stored_end_kwh == pytest.approx(47.0 / 0.94 + 0.5, abs=1e-3)


def test_setpoint_acts_after_the_dead_time_and_along_the_ramp() -> None:
    rig = Rig(pcs=PcsPhysics(dead_time_s=0.5, ramp_percent_per_s=20.0))
    rig.plant.set_power_kw(-50.0)
    seen = []
    for _ in range(8):
        rig.clock.advance(0.5)
        rig.plant.advance()
        seen.append(rig.power_kw)
    assert seen == pytest.approx([0, -10, -20, -30, -40, -50, -50, -50])


def test_without_a_fresh_setpoint_the_watchdog_ends_the_power() -> None:
    rig = Rig()
    rig.plant.set_power_kw(-50.0)
    rig.clock.advance(59.0)
    rig.plant.advance()
    assert rig.power_kw == -50.0
    rig.clock.advance(4.0)
    rig.plant.advance()
    assert rig.power_kw == 0.0
    assert rig.plant.pcs_values()["battery_setpoint_kw"] == 0.0


def test_a_refreshed_setpoint_stays_in_force() -> None:
    rig = Rig()
    rig.run(600, -50.0)
    assert rig.power_kw == -50.0


def test_setpoints_beyond_the_nameplate_are_not_accepted() -> None:
    rig = Rig()
    assert not rig.plant.set_power_kw(-100.5)
    assert not rig.plant.set_power_kw(80.5)
    assert rig.plant.set_power_kw(80.0)


def test_a_full_battery_takes_nothing_and_says_so() -> None:
    rig = Rig(98.0)
    rig.run(6 * 3600, -100.0)
    assert rig.soc_percent <= 100.0
    assert rig.soc_percent > 98.5
    assert rig.plant.bms_values()["max_charge_power_kw"] < 40.0
    full = Rig(100.0)
    assert full.status == 5
    assert full.plant.bms_values()["charge_prohibited"] == 1.0
    full.run(60, -100.0)
    assert full.power_kw == 0.0


def test_an_empty_battery_gives_nothing_and_says_so() -> None:
    rig = Rig(1.0)
    rig.run(12 * 3600, 80.0)
    assert rig.soc_percent >= 0.0
    assert rig.status == 6
    assert rig.power_kw == 0.0
    assert rig.plant.bms_values()["discharge_prohibited"] == 1.0
    rig.run(600, -50.0)
    assert rig.status == 1


def test_status_tells_charging_discharging_and_ready() -> None:
    rig = Rig()
    assert rig.status == 3
    rig.run(20, -30.0)
    assert rig.status == 1
    rig.run(20, 30.0)
    assert rig.status == 2


def test_limits_shrink_near_the_ends() -> None:
    limits = [Rig(soc).plant.bms_values()["max_charge_power_kw"] for soc in (90, 98, 99)]
    assert limits[0] == 100.0
    assert limits[0] > limits[1] > limits[2] > 0.0


@pytest.mark.parametrize(
    ("temperature_c", "charge_kw", "discharge_kw"),
    [
        (-5.0, 0.0, 80.0),
        (5.0, 50.0, 80.0),
        (25.0, 100.0, 80.0),
        (50.0, 50.0, 40.0),
        (60.0, 0.0, 0.0),
    ],
)
def test_limits_follow_the_temperature(
    temperature_c: float, charge_kw: float, discharge_kw: float
) -> None:
    battery = SimulatedBattery(BATTERY, BatteryPhysics(ambient_c=temperature_c), 50.0)
    assert battery.limits_kw() == pytest.approx((charge_kw, discharge_kw))


def test_losses_warm_the_battery_and_it_cools_down_again() -> None:
    rig = Rig()
    rig.run(3600, -80.0)
    warm = rig.plant.bms_values()["temperature_c"]
    assert 22.5 < warm < 45.0
    rig.run(6 * 3600, 0.0)
    assert 22.0 < rig.plant.bms_values()["temperature_c"] < warm


def test_voltage_rises_when_charging_and_carries_the_dc_power() -> None:
    rig = Rig()
    idle_v = rig.plant.bms_values()["voltage_v"]
    rig.run(10, -50.0)
    values = rig.plant.bms_values()
    assert values["voltage_v"] > idle_v
    assert values["current_a"] < 0
    assert values["voltage_v"] * values["current_a"] / 1000 == pytest.approx(
        -50.0 * 0.95**0.5, rel=1e-6
    )


def test_capacity_fades_a_little_with_use() -> None:
    rig = Rig()
    for _ in range(3):
        rig.run(3600, -80.0)
        rig.run(3600, 70.0)
    assert 99.9 < rig.plant.bms_values()["soh_percent"] < 100.0


def test_the_meter_closes_the_balance_of_the_site() -> None:
    rig = Rig()
    rig.run(100, -50.0)
    assert rig.plant.meter_values()["grid_kw"] == pytest.approx(60 - 20 + 50)
    rig.run(100, 80.0)
    assert rig.plant.meter_values()["grid_kw"] == pytest.approx(60 - 20 - 80)


def test_registers_and_the_plants_own_books_agree() -> None:
    rig = Rig(load_kw=lambda ts: 40.0 + ts.minute, pv_kw=lambda ts: 2.0 * ts.minute)
    for power in (-50.0, 30.0, 80.0, -100.0):
        rig.run(1500, power)
    truth, meter, pcs = rig.plant.truth, rig.plant.meter_values(), rig.plant.pcs_values()
    assert meter["grid_import_kwh"] == pytest.approx(truth.total.grid_import_kwh, abs=1e-9)
    assert meter["grid_export_kwh"] == pytest.approx(truth.total.grid_export_kwh, abs=1e-9)
    assert pcs["battery_charged_kwh"] == pytest.approx(truth.total.charged_kwh, abs=1e-9)
    assert pcs["battery_discharged_kwh"] == pytest.approx(truth.total.discharged_kwh, abs=1e-9)
    assert rig.plant.pv_values()["pv_energy_kwh"] == pytest.approx(truth.total.pv_kwh, abs=1e-9)
    balance = (
        truth.total.grid_import_kwh
        - truth.total.grid_export_kwh
        + truth.total.pv_kwh
        + truth.total.discharged_kwh
        - truth.total.charged_kwh
        - truth.total.load_kwh
    )
    assert balance == pytest.approx(0.0, abs=1e-6)


def test_quarter_hours_are_kept_apart_and_join_without_gaps() -> None:
    rig = Rig()
    rig.run(3600, -50.0)
    quarters = rig.plant.truth.quarters
    assert [q.start.minute for q in quarters] == [0, 15, 30, 45, 0]
    assert [q.seconds for q in quarters] == pytest.approx([476.75, 900, 900, 900, 423.25])
    for before, after in pairwise(quarters):
        assert before.stored_end_kwh == after.stored_start_kwh
    assert sum(q.charged_kwh for q in quarters) == pytest.approx(rig.plant.truth.total.charged_kwh)


def test_status_8_stops_the_power_at_once_and_starts_up_again_after() -> None:
    rig = Rig()
    rig.run(60, -50.0)
    rig.plant.faults.bms_fault = True
    rig.plant.advance()
    assert rig.status == 8
    assert rig.power_kw == 0.0
    assert rig.plant.bms_values()["system_fault"] == 1.0
    rig.plant.faults.bms_fault = False
    rig.plant.advance()
    assert rig.status == 0
    rig.run(30, -50.0)
    assert rig.status == 1


@pytest.mark.parametrize(
    ("charge", "discharge", "status"), [(True, False, 5), (False, True, 6), (True, True, 7)]
)
def test_prohibitions_have_their_status_and_alarm(
    charge: bool, discharge: bool, status: int
) -> None:
    rig = Rig()
    rig.plant.faults.charge_prohibited = charge
    rig.plant.faults.discharge_prohibited = discharge
    rig.plant.advance()
    assert rig.status == status
    assert rig.plant.bms_values()["charge_prohibited"] == charge
    assert rig.plant.bms_values()["discharge_prohibited"] == discharge


def test_poor_insulation_is_a_fault() -> None:
    rig = Rig()
    rig.plant.faults.insulation_kohm = 20.0
    rig.plant.advance()
    assert rig.status == 8
    assert rig.plant.bms_values()["insulation_resistance_kohm"] == 20.0


def test_a_lowered_bms_limit_cuts_the_power_without_a_ramp() -> None:
    rig = Rig(pcs=PcsPhysics(ramp_percent_per_s=1.0, dead_time_s=0.0))
    rig.run(120, -60.0)
    rig.plant.faults.charge_limit_kw = 10.0
    rig.plant.advance()
    assert rig.power_kw == -10.0


def test_a_frozen_meter_repeats_itself_while_the_truth_goes_on() -> None:
    rig = Rig()
    rig.run(100)
    rig.plant.faults.meter_frozen = True
    before = rig.plant.meter_values()
    rig.run(100, -50.0)
    assert rig.plant.meter_values() == before
    rig.plant.faults.meter_frozen = False
    assert rig.plant.meter_values()["grid_kw"] == pytest.approx(90.0)


def test_a_clock_that_jumps_back_stops_the_plant_but_breaks_nothing() -> None:
    class Jumping(ManualClock):
        back_s = 0.0

        def now(self) -> datetime:
            return datetime.fromtimestamp(super().now().timestamp() - self.back_s, UTC)

    clock = Jumping(START)
    plant = DemoPlant(DemoParameters(BATTERY), lambda _: 60.0, lambda _: 0.0, clock)
    clock.advance(100)
    plant.advance()
    seconds = plant.truth.total.seconds
    clock.back_s = 50.0
    plant.advance()
    assert plant.truth.total.seconds == seconds


def test_a_series_that_is_not_a_power_is_named() -> None:
    with pytest.raises(DeviceError, match="at least 0 kW"):
        Rig(load_kw=lambda _: float("nan"))


def test_an_accelerated_day_costs_only_seconds_of_processor_time() -> None:
    rig = Rig(load_kw=lambda ts: 40.0 + ts.minute, pv_kw=lambda ts: 1.0 * ts.minute)
    began = time.process_time()
    for hour in range(24):
        rig.run(3600, -60.0 if hour % 2 else 50.0)
    used_s = time.process_time() - began
    assert rig.plant.truth.total.seconds == pytest.approx(86400.0)
    # Measured 0.6 to 0.9 s; the bound only catches an accidental factor of ten.
    assert used_s < 10.0


@pytest.mark.parametrize("key", ["demo_bms", "demo_pcs", "demo_meter", "demo_pv"])
def test_every_demo_profile_is_filled_completely(key: str) -> None:
    plant = Rig().plant
    values = {
        "demo_bms": plant.bms_values(),
        "demo_pcs": plant.pcs_values(),
        "demo_meter": plant.meter_values(),
        "demo_pv": plant.pv_values(),
    }[key]
    profile = MODBUS_PROFILES[key]
    names = set(profile.registers) | set(profile.alarms)
    assert names == set(values)
    registers = RegisterMap(profile)
    for function in (2, 3, 4):
        for first, length in registers.spans(function):
            assert len(registers.words(function, first, length, values)) == length


def test_alarm_inputs_are_in_the_order_of_the_alarm_bits() -> None:
    alarms = MODBUS_PROFILES["demo_bms"].alarms
    assert [alarms[name].address for name in ALARMS] == [0, 1, 2, 3, 4]
