"""The demo plant keeps its energy balance whatever is asked of it."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.devices.simulator.battery import BatteryPhysics
from engine.devices.simulator.pcs import PcsPhysics
from engine.devices.simulator.plant import DemoParameters, DemoPlant
from engine.domain.clock import ManualClock
from engine.domain.site import Battery

START = datetime(2026, 5, 1, 23, 52, 11, 987_654, tzinfo=UTC)


@st.composite
def batteries(draw: st.DrawFn) -> Battery:
    return Battery(
        energy_capacity_kwh=draw(st.floats(5, 2000)),
        power_charge_max_kw=draw(st.floats(1, 1000)),
        power_discharge_max_kw=draw(st.floats(1, 1000)),
        efficiency_charge=draw(st.floats(0.7, 1.0)),
        efficiency_discharge=draw(st.floats(0.7, 1.0)),
        soc_min_percent=10.0,
        soc_max_percent=90.0,
        standby_loss_kw=draw(st.floats(0, 2)),
    )


@settings(max_examples=60, deadline=None)
@given(
    battery=batteries(),
    soc_percent=st.floats(0, 100),
    ambient_c=st.floats(-10, 50),
    dead_time_s=st.sampled_from([0.0, 0.2, 1.7]),
    ramp=st.sampled_from([1.0, 50.0, 1e5]),
    orders=st.lists(
        st.tuples(
            st.floats(-1, 1),
            st.sampled_from([0.3, 1.0, 7.25, 30.0, 90.0, 400.0]),
            st.sampled_from(["", "bms_fault", "charge_prohibited", "discharge_prohibited"]),
        ),
        min_size=1,
        max_size=12,
    ),
)
def test_energy_balance_closes_and_no_limit_is_ever_exceeded(
    battery: Battery,
    soc_percent: float,
    ambient_c: float,
    dead_time_s: float,
    ramp: float,
    orders: list[tuple[float, float, str]],
) -> None:
    clock = ManualClock(START)
    plant = DemoPlant(
        DemoParameters(
            battery,
            BatteryPhysics(ambient_c=ambient_c),
            PcsPhysics(dead_time_s=dead_time_s, ramp_percent_per_s=ramp),
        ),
        lambda ts: 50.0 + ts.second,
        lambda ts: 80.0 - ts.minute,
        clock,
        soc_percent,
    )
    for share, seconds, fault in orders:
        for name in ("bms_fault", "charge_prohibited", "discharge_prohibited"):
            setattr(plant.faults, name, name == fault)
        rated = battery.power_charge_max_kw if share < 0 else battery.power_discharge_max_kw
        assert plant.set_power_kw(share * rated)
        clock.advance(seconds)
        plant.advance()
        bms, pcs = plant.bms_values(), plant.pcs_values()
        assert 0.0 <= bms["soc_percent"] <= 100.0
        assert -bms["max_charge_power_kw"] <= pcs["battery_kw"] <= bms["max_discharge_power_kw"]
        if fault == "bms_fault":
            assert pcs["battery_kw"] == 0.0
    truth = plant.truth
    for books in (truth.total, *truth.quarters):
        change = books.stored_end_kwh - books.stored_start_kwh
        assert change == pytest.approx(
            battery.efficiency_charge * books.charged_kwh
            - books.discharged_kwh / battery.efficiency_discharge
            - books.standby_loss_kwh,
            abs=1e-6,
        )
        assert change == pytest.approx(
            books.charged_kwh
            - books.discharged_kwh
            - books.conversion_loss_kwh
            - books.standby_loss_kwh,
            abs=1e-6,
        )
        assert books.grid_import_kwh - books.grid_export_kwh == pytest.approx(
            books.load_kwh - books.pv_kwh + books.charged_kwh - books.discharged_kwh, abs=1e-6
        )
    assert truth.total.seconds == pytest.approx(sum(seconds for _, seconds, _ in orders))
    assert truth.total.stored_end_kwh >= 0.0
