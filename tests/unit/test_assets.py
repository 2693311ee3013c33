"""Several devices become one site: roles, sums, means, limits, and what is missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from engine.control.limits import LimitTracker
from engine.devices.assets.capabilities import (
    Battery,
    EnergyStorage,
    EvCharger,
    HeatPump,
    Meter,
    PowerConversion,
    PvGenerator,
)
from engine.devices.assets.members import AssetMember, Role, roles_of
from engine.devices.assets.site import SiteAssets
from engine.devices.profile import MODBUS_PROFILES, parse_profile, with_overrides
from engine.devices.profile_def import DeviceProfile
from engine.devices.spec import DeviceSpec
from engine.domain.errors import DeviceError
from engine.domain.sample import Quality, Sample
from engine.domain.signals import ALARMS
from engine.domain.site import Site
from tests.support.build import image

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


class Plant:
    """Samples per device, changed by a test."""

    def __init__(self) -> None:
        self.members: list[AssetMember] = []
        self.samples: dict[str, dict[str, Sample]] = {}
        self.limits: list[tuple[str, float | None]] = []

    def add(
        self,
        name: str,
        profile: str | DeviceProfile,
        *,
        writable: bool = False,
        storage: str = "battery",
        kwh: float | None = None,
        roles: set[Role] | None = None,
        **values: float,
    ) -> None:
        found = MODBUS_PROFILES[profile] if isinstance(profile, str) else profile
        port = 502 + len(self.members)
        spec = DeviceSpec(name, found, "10.0.0.1", port, 1, writable=writable)
        stated = roles is not None
        member = AssetMember(
            spec, frozenset(roles) if roles else roles_of(found), storage, kwh, stated
        )
        self.members.append(member)
        all_values = {**dict.fromkeys(found.signals, 0.0), **values}
        self.samples[name] = {s: Sample(v, NOW, name) for s, v in all_values.items()}

    def lose(self, name: str, *signals: str) -> None:
        """Make signals (all without names) of a device BAD."""
        for signal in signals or tuple(self.samples[name]):
            self.samples[name][signal] = Sample(None, NOW, name, Quality.BAD, "no answer")

    def read(self, name: str) -> Mapping[str, Sample]:
        return self.samples[name]

    @property
    def assets(self) -> SiteAssets:
        return SiteAssets(self.members, self.read, lambda *limit: self.limits.append(limit))

    def site(self) -> dict[str, Sample]:
        return self.assets.samples()

    def value(self, signal: str) -> float | None:
        return self.site()[signal].value


@pytest.fixture
def plant() -> Plant:
    return Plant()


def two_racks(plant: Plant, **writable: Any) -> None:
    plant.add("rack-1", "demo_bms", kwh=300.0, soc_percent=40.0, **LIMITS)
    plant.add("rack-2", "demo_bms", kwh=100.0, soc_percent=80.0, **LIMITS)
    plant.add("pcs", "demo_pcs", battery_kw=25.0, **writable)


LIMITS = {
    "max_charge_power_kw": 50.0,
    "max_discharge_power_kw": 60.0,
    "max_charge_current_a": 70.0,
    "voltage_v": 800.0,
    "status_code": 3.0,
}


def limitable(main: str, key: str = "flexible") -> DeviceProfile:
    """A device with a limit in kW; its nameplate is 22 kW."""
    return parse_profile(
        {
            "key": key,
            "label": "Flexible",
            "manufacturer": "M",
            "kinds": ["meter"],
            "source": "test",
            "registers": {
                main: {"address": 0, "function": 3, "scale": 0.1},
                "limit_kw": {"address": 1, "function": 3, "scale": 0.1},
            },
            "commands": {
                "limit_power_kw": {
                    "steps": [{"address": 1, "function": 6, "scale": 0.1}],
                    "revert": [{"address": 1, "function": 6, "scale": 0.1, "value": 22}],
                    "readback": "limit_kw",
                    "clamp": 22,
                }
            },
        }
    )


def test_one_device_per_signal_passes_through_unchanged(plant: Plant) -> None:
    plant.add("bms", "demo_bms", soc_percent=50.0)
    plant.add("pcs", "demo_pcs", battery_kw=-7.0)
    plant.add("meter", "demo_meter", grid_kw=3.0)
    plant.add("pv", "demo_pv", pv_kw=9.0)
    site = plant.site()
    assert site["soc_percent"] is plant.samples["bms"]["soc_percent"]
    assert site["battery_kw"] is plant.samples["pcs"]["battery_kw"]
    assert site["grid_kw"].source == "meter"
    assert "rated_charge_power_kw" not in site, "signals of a device alone stay with it"


def test_capabilities_follow_what_the_profiles_supply(plant: Plant) -> None:
    plant.add("bms", "demo_bms")
    assert isinstance(plant.assets.storages[0], Battery)
    assert not isinstance(plant.assets.storages[0], PowerConversion)
    plant.add("pcs", "demo_pcs", writable=True)
    plant.add("meter", "demo_meter")
    plant.add("pv", "demo_pv")
    plant.add("wallbox", "demo_meter", roles={Role.EV_CHARGER}, grid_kw=11.0)
    plant.add("pump", "demo_meter", roles={Role.HEAT_PUMP}, grid_kw=4.0)
    assets = plant.assets
    storage = assets.storages[0]
    assert isinstance(storage, EnergyStorage)
    assert storage.takes_setpoints
    assert isinstance(assets.meters[0], Meter)
    pv = assets.pv_generators[0]
    assert isinstance(pv, PvGenerator)
    assert not pv.can_curtail
    charger, pump = assets.ev_chargers[0], assets.heat_pumps[0]
    assert isinstance(charger, EvCharger)
    assert charger.ev_power_kw().value == 11.0
    assert not charger.ev_state_code().usable
    assert isinstance(pump, HeatPump)
    assert pump.heat_pump_kw().value == 4.0
    assert plant.site()["grid_kw"].source == "meter", "a sub-meter is not the grid meter"


def test_a_converter_alone_is_no_battery(plant: Plant) -> None:
    plant.add("pcs", "demo_pcs", battery_kw=5.0)
    asset = plant.assets.storages[0]
    assert isinstance(asset, PowerConversion)
    assert not isinstance(asset, Battery)
    assert not asset.takes_setpoints


def test_racks_behind_one_converter_are_one_battery(plant: Plant) -> None:
    two_racks(plant)
    assert plant.value("soc_percent") == pytest.approx((300 * 40 + 100 * 80) / 400)
    assert plant.value("max_charge_power_kw") == 100.0
    assert plant.value("max_discharge_power_kw") == 120.0
    assert plant.value("max_charge_current_a") == 140.0
    assert plant.value("battery_kw") == 25.0
    assert plant.site()["soc_percent"].source == "rack-1+rack-2"
    assert len(plant.assets.storages) == 1


def test_a_missing_part_makes_the_whole_unknown_but_a_missing_limit_counts_zero(
    plant: Plant,
) -> None:
    two_racks(plant)
    plant.lose("rack-2", "soc_percent", "max_charge_power_kw", "alarm_bits", "status_code")
    site = plant.site()
    for signal in ("soc_percent", "alarm_bits", "status_code"):
        assert site[signal].quality is Quality.BAD
        assert "rack-2: no answer" in str(site[signal].reason)
    limit = site["max_charge_power_kw"]
    assert (limit.value, limit.quality) == (50.0, Quality.UNCERTAIN)
    assert "rack-2" in str(limit.reason)
    plant.lose("rack-1", "max_charge_power_kw")
    assert plant.site()["max_charge_power_kw"].quality is Quality.BAD


def test_a_stale_part_is_a_missing_part(plant: Plant) -> None:
    two_racks(plant)
    old = plant.samples["rack-1"]["soc_percent"]
    plant.samples["rack-1"]["soc_percent"] = replace(old, quality=Quality.STALE, reason="old")
    assert not plant.site()["soc_percent"].usable


def test_the_whole_is_as_old_as_its_oldest_part(plant: Plant) -> None:
    two_racks(plant)
    early = NOW - timedelta(seconds=7)
    plant.samples["rack-2"]["soc_percent"] = Sample(80.0, early, "rack-2")
    assert plant.site()["soc_percent"].ts == early


@pytest.mark.parametrize(
    ("codes", "combined"),
    [
        ((3, 3), 3),
        ((1, 3), 1),
        ((1, 2), 3),
        ((5, 3), 5),
        ((5, 6), 7),
        ((6, 1), 6),
        ((8, 3), 8),
        ((0, 2), 0),
        ((7, 3), 7),
    ],
)
def test_what_one_rack_forbids_is_forbidden(
    plant: Plant, codes: tuple[int, int], combined: int
) -> None:
    two_racks(plant)
    for rack, code in zip(("rack-1", "rack-2"), codes, strict=True):
        plant.samples[rack]["status_code"] = Sample(float(code), NOW, rack)
    assert plant.value("status_code") == combined


def test_an_alarm_of_one_rack_is_an_alarm_of_the_site(plant: Plant) -> None:
    two_racks(plant)
    plant.samples["rack-2"]["alarm_bits"] = Sample(
        float(1 << ALARMS.index("charge_prohibited")), NOW, "rack-2"
    )
    assert plant.value("alarm_bits") == 1 << ALARMS.index("charge_prohibited")


def test_the_hottest_the_lowest_and_the_sums(plant: Plant) -> None:
    two_racks(plant)
    for rack, shift in (("rack-1", 0.0), ("rack-2", 10.0)):
        for signal, value in {
            "temperature_c": 20.0,
            "insulation_resistance_kohm": 100.0,
            "voltage_v": 790.0,
            "current_a": 5.0,
        }.items():
            plant.samples[rack][signal] = Sample(value + shift, NOW, rack)
    assert plant.value("temperature_c") == 30.0
    assert plant.value("insulation_resistance_kohm") == 100.0
    assert plant.value("voltage_v") == 790.0
    assert plant.value("current_a") == 20.0


def test_pv_plants_add_up_and_one_without_answer_makes_the_sum_unknown(plant: Plant) -> None:
    plant.add("roof", "demo_pv", pv_kw=12.0, pv_energy_kwh=100.0)
    plant.add("field", "demo_pv", pv_kw=30.0, pv_energy_kwh=900.0)
    assert plant.value("pv_kw") == 42.0
    assert plant.value("pv_energy_kwh") == 1000.0
    plant.lose("field")
    assert plant.site()["pv_kw"].quality is Quality.BAD


def test_a_sum_of_counters_that_not_every_part_has_is_not_shown(plant: Plant) -> None:
    plant.add("roof", "demo_pv", pv_kw=12.0)
    plant.add("field", with_overrides(MODBUS_PROFILES["demo_pv"], {"pv_energy_kwh": None}))
    assert "pv_energy_kwh" not in plant.assets.configured_signals()
    assert plant.value("pv_kw") == 12.0


def test_a_meter_in_front_of_a_pv_plant_gives_pv_power(plant: Plant) -> None:
    plant.add("meter", "demo_meter", grid_kw=5.0)
    plant.add("pv", "demo_meter", roles={Role.PV}, grid_kw=-20.0, grid_export_kwh=77.0)
    assert plant.value("pv_kw") == 20.0
    assert plant.value("pv_energy_kwh") == 77.0
    assert plant.value("grid_kw") == 5.0
    plant.samples["pv"]["grid_kw"] = Sample(0.02, NOW, "pv")
    assert plant.value("pv_kw") == 0.0, "the draw of the inverters at night"
    plant.samples["pv"]["grid_kw"] = Sample(20.0, NOW, "pv")
    sample = plant.site()["pv_kw"]
    assert sample.quality is Quality.BAD
    assert "direction" in str(sample.reason)


def test_a_hybrid_serves_as_meter_until_there_is_a_real_one(plant: Plant) -> None:
    hybrid = parse_profile(
        {
            "key": "hybrid",
            "label": "Hybrid",
            "manufacturer": "Test",
            "kinds": ["hybrid"],
            "source": "test",
            "registers": {
                "soc_percent": {"address": 0, "function": 3, "unit": "%"},
                "battery_kw": _power(1, "discharge"),
                "grid_kw": _power(2, "import"),
                "pv_kw": _power(3, "generation"),
            },
        }
    )
    plant.add("hybrid", hybrid, soc_percent=50.0, battery_kw=1.0, grid_kw=2.0, pv_kw=3.0)
    assert {s.source for s in plant.site().values()} == {"hybrid"}
    assert plant.value("grid_kw") == 2.0
    plant.add("meter", "demo_meter", grid_kw=2.2)
    assert plant.value("grid_kw") == 2.2
    plant.add("roof", "demo_pv", pv_kw=10.0)
    assert plant.value("pv_kw") == 13.0


def _power(address: int, positive: str) -> dict[str, object]:
    return {
        "address": address,
        "function": 3,
        "type": "int16",
        "unit": "kW",
        "positive_means": positive,
    }


def test_every_profile_of_the_library_can_be_a_site(plant: Plant) -> None:
    for key in MODBUS_PROFILES:
        alone = Plant()
        alone.add("device", key)
        assert alone.site(), key
        assert {s.source for s in alone.site().values()} == {"device"}


# What cannot be is refused with a remedy.


def test_two_grid_meters_are_refused(plant: Plant) -> None:
    plant.add("one", "demo_meter")
    plant.add("two", "demo_meter")
    with pytest.raises(DeviceError, match=r"one, two.*roles"):
        _ = plant.assets


def test_a_role_the_profile_cannot_fill_is_refused(plant: Plant) -> None:
    plant.add("bms", "demo_bms", roles={Role.PV})
    with pytest.raises(DeviceError, match="cannot be used as pv") as caught:
        _ = plant.assets
    assert caught.value.field == "devices.bms.roles"


def test_two_states_of_charge_need_capacities(plant: Plant) -> None:
    plant.add("rack-1", "demo_bms", kwh=100.0)
    plant.add("rack-2", "demo_bms")
    with pytest.raises(DeviceError, match="rack-2") as caught:
        _ = plant.assets
    assert caught.value.field == "devices.rack-2.energy_capacity_kwh"


def test_storages_of_their_own_are_measured_but_not_commanded(plant: Plant) -> None:
    for number, kwh in (("1", 300.0), ("2", 100.0)):
        storage = f"storage-{number}"
        plant.add(f"bms-{number}", "demo_bms", storage=storage, kwh=kwh, soc_percent=50, **LIMITS)
        plant.add(f"pcs-{number}", "demo_pcs", storage=storage, battery_kw=10.0)
    assert plant.value("battery_kw") == 20.0
    assert plant.value("max_charge_power_kw") == 100.0
    plant.lose("pcs-2", "battery_kw")
    assert plant.site()["battery_kw"].quality is Quality.BAD
    first = plant.members[1]
    plant.members[1] = replace(first, spec=replace(first.spec, writable=True))
    with pytest.raises(DeviceError, match="measured, but not commanded"):
        _ = plant.assets


def test_a_storage_that_measures_no_power_makes_the_sum_unknown(plant: Plant) -> None:
    plant.add("bms-1", "demo_bms", storage="one", kwh=100.0, **LIMITS)
    plant.add("pcs-1", "demo_pcs", storage="one", battery_kw=10.0)
    plant.add("bms-2", "demo_bms", storage="two", kwh=100.0, **LIMITS)
    sample = plant.site()["battery_kw"]
    assert sample.quality is Quality.BAD
    assert "two does not supply battery_kw" in str(sample.reason)
    assert "battery_charged_kwh" not in plant.assets.configured_signals()


# A battery without a status register is not locked for ever.


def test_a_battery_without_a_status_may_be_dispatched_but_not_one_that_lost_it(site: Site) -> None:
    def limits(**values: Any) -> tuple[float, str]:
        tracker = LimitTracker(site)
        for seconds in (0.0, 1000.0, 2000.0):
            found = tracker.update(without_status(**values), seconds)
        return found.charge_kw, found.charge_binding

    def without_status(**values: Any) -> Any:
        made = image(**values)
        if values.get("bad"):
            return made
        samples = {n: s for n, s in made.samples.items() if n != "status_code"}
        return replace(made, samples=samples)

    assert limits() == (100.0, "nameplate")
    assert limits(bad=("status_code",)) == (0.0, "status")


def test_pv_can_be_curtailed_only_where_writing_is_enabled(plant: Plant) -> None:
    plant.add("roof", "demo_pv", pv_kw=9.0)
    assert not plant.assets.can_curtail
    assert not plant.assets.pv_generators[0].can_curtail
    plant.add("field", "demo_pv", writable=True, pv_kw=9.0, rated_pv_power_kw=30.0)
    plant.add("old", "sungrow_sh", writable=True, roles={Role.PV})
    assert [pv.can_curtail for pv in plant.assets.pv_generators] == [False, True, False]
    assert plant.assets.can_curtail


def test_one_pv_plant_is_curtailed_by_itself(plant: Plant) -> None:
    plant.add("roof", "demo_pv", writable=True, rated_pv_power_kw=10.0)
    plant.add("field", "demo_pv", writable=True, rated_pv_power_kw=30.0)
    field = plant.assets.pv_generators[1]
    field.curtail(12.0)
    field.curtail(None)
    assert plant.limits == [("field", 12.0), ("field", None)]


def test_pv_plants_share_a_limit_by_their_nameplates(plant: Plant) -> None:
    plant.add("roof", "demo_pv", writable=True, rated_pv_power_kw=10.0, pv_kw=9.0)
    plant.add("field", "demo_pv", writable=True, rated_pv_power_kw=30.0, pv_kw=1.0)
    plant.assets.curtail_pv(20.0)
    assert plant.limits == [("roof", 5.0), ("field", 15.0)]
    plant.limits.clear()
    plant.assets.curtail_pv(None)
    assert plant.limits == [("roof", None), ("field", None)]


def test_a_pv_plant_that_is_only_read_uses_up_its_part_of_the_limit(plant: Plant) -> None:
    plant.add("roof", "demo_pv", writable=True, rated_pv_power_kw=10.0, pv_kw=9.0)
    plant.add("old", "demo_meter", roles={Role.PV}, grid_kw=-8.0)
    plant.assets.curtail_pv(12.0)
    assert plant.limits == [("roof", 4.0)]
    plant.limits.clear()
    plant.lose("old")
    plant.assets.curtail_pv(12.0)
    assert plant.limits == [("roof", 0.0)], "what nobody knows may use up all of it"


def test_without_any_plant_to_curtail_the_devices_are_asked_and_say_why_not(plant: Plant) -> None:
    plant.add("roof", "demo_pv")
    plant.assets.curtail_pv(12.0)
    assert plant.limits == [("roof", 12.0)]


@pytest.mark.parametrize("wrong", [-1.0, float("nan")])
def test_a_wrong_limit_reaches_nobody(plant: Plant, wrong: float) -> None:
    plant.add("roof", "demo_pv", writable=True, rated_pv_power_kw=10.0)
    with pytest.raises(DeviceError, match="at least 0 kW"):
        plant.assets.curtail_pv(wrong)
    assert plant.limits == []


def test_chargers_and_heat_pumps_are_limited_where_their_profile_can(plant: Plant) -> None:
    charger, pump = limitable("ev_power_kw"), limitable("heat_pump_kw")
    plant.add("wallbox", charger, writable=True, roles={Role.EV_CHARGER})
    plant.add("locked", charger, roles={Role.EV_CHARGER})
    plant.add("pump", pump, writable=True, roles={Role.HEAT_PUMP})
    plant.add("metered", "demo_meter", writable=True, roles={Role.HEAT_PUMP})
    assets = plant.assets
    assert [charger.can_limit for charger in assets.ev_chargers] == [True, False]
    assert [pump.can_limit for pump in assets.heat_pumps] == [True, False]
    assets.ev_chargers[0].limit(4.2)
    assets.heat_pumps[0].limit(None)
    assert plant.limits == [("wallbox", 4.2), ("pump", None)]


def test_assets_that_only_read_say_that_a_limit_leads_nowhere(plant: Plant) -> None:
    plant.add("roof", "demo_pv", writable=True, rated_pv_power_kw=10.0)
    assets = SiteAssets(plant.members, plant.read)
    with pytest.raises(DeviceError, match="leads nowhere"):
        assets.pv_generators[0].curtail(1.0)
