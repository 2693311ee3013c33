"""A foreign SunSpec client (pysunspec2) and ours see the same device."""

from collections.abc import Iterator

import pytest
import sunspec2.modbus.client as foreign

from engine.devices.group import DeviceGroup
from engine.devices.profile import MODBUS_PROFILES
from engine.devices.simulator.image_server import ImageServer
from engine.devices.simulator.profile_image import ProfileImage
from engine.devices.simulator.profile_values import SimulatedSite
from engine.devices.spec import DeviceSpec
from engine.domain.clock import SystemClock

PROFILE = MODBUS_PROFILES["sunspec"]


@pytest.fixture
def port() -> Iterator[int]:
    """One frozen instant of the simulated device, so that both clients must agree exactly."""
    tables = ProfileImage(PROFILE).tables(
        {
            **SimulatedSite(PROFILE, SystemClock()).values(),
            "battery_kw": -42.5,
            "soc_percent": 61.25,
            "grid_kw": 73.1,
            "status_code": 1.0,
            "system_fault": 1.0,
        }
    )
    server = ImageServer(lambda: tables, unit_id=1)
    yield server.start()
    server.stop()


@pytest.fixture
def scanned(port: int) -> Iterator[foreign.SunSpecModbusClientDeviceTCP]:
    device = foreign.SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr="127.0.0.1", ipport=port)
    device.scan()
    yield device
    device.close()


def test_pysunspec2_scans_every_model_of_our_simulator(
    scanned: foreign.SunSpecModbusClientDeviceTCP,
) -> None:
    assert scanned.base_addr == 40000
    numbers = [key for key in scanned.models if isinstance(key, int)]
    assert numbers == [1, 103, 120, 121, 122, 123, 124, 203, 701, 704, 713, 714, 715, 802]
    assert scanned.models[1][0].Mn.value == "EMS Dash"
    assert scanned.models[1][0].SN.value == "SIMULATED"


def test_pysunspec2_and_our_client_read_the_same_values(
    scanned: foreign.SunSpecModbusClientDeviceTCP, port: int
) -> None:
    spec = DeviceSpec(
        name="d", profile=PROFILE, host="127.0.0.1", port=port, unit_id=1, timeout_s=30.0
    )
    group = DeviceGroup([spec], SystemClock())
    try:
        group.poll_once()
        ours = {n: s.value for n, s in group.device_samples("d").items()}
    finally:
        group.stop(None)
    models = {key: found[0] for key, found in scanned.models.items() if isinstance(key, int)}
    theirs = {
        "soc_percent": models[713].SoC.cvalue,
        "battery_kw": models[701].W.cvalue / 1000,
        "grid_kw": models[203].W.cvalue / 1000,
        "grid_import_kwh": models[203].TotWhImp.cvalue / 1000,
        "grid_frequency_hz": models[203].Hz.cvalue,
        "grid_voltage_l1_v": models[203].PhVphA.cvalue,
        "voltage_v": models[802].V.cvalue,
        "max_charge_power_kw": models[802].WChaRteMax.cvalue / 1000,
        "max_discharge_current_a": models[802].ADisChaMax.cvalue,
        "rated_power_kw": models[120].WRtg.cvalue / 1000,
        "battery_capacity_kwh": models[713].WHRtg.cvalue / 1000,
        "power_limit_percent": models[704].WMaxLimPct.cvalue,
    }
    assert {name: ours[name] for name in theirs} == pytest.approx(theirs)
    assert theirs["battery_kw"] == pytest.approx(-42.5)
    assert theirs["soc_percent"] == pytest.approx(61.25)
    assert models[802].ChaSt.value == 4
    assert ours["status_code"] == 1
    assert models[802].SoC.cvalue == pytest.approx(61.25)
    assert models[103].W.cvalue == pytest.approx(-42500)
