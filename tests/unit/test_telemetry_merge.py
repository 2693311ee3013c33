"""Several sources make one sample per signal, without jumps and without mixing."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.devices.mqtt.merged_samples import MergedSamples
from engine.domain.clock import ManualClock
from engine.domain.errors import ConfigError
from engine.domain.sample import Quality, Sample
from engine.telemetry.merge import SignalSource, TelemetryMerge
from tests.support.build import NOW

BMS = ("soc_percent", "max_charge_power_kw", "max_discharge_power_kw")


def source(name: str, priority: int, *signals: str, max_age_s: float = 6.0) -> list[SignalSource]:
    return [SignalSource(signal, name, priority, max_age_s) for signal in signals]


class Site:
    """Two sources whose values are set by hand; time moves in steps of one second."""

    def __init__(self, *sources: SignalSource) -> None:
        self.merge = TelemetryMerge(sources)
        self.second = 0
        self.values: dict[str, dict[str, float | None]] = {}

    def after(self, seconds: int) -> dict[str, Sample]:
        for _ in range(seconds):
            self.second += 1
            now = NOW + timedelta(seconds=self.second)
            samples = {
                name: {
                    signal: Sample(None, now, name, Quality.BAD, "down")
                    if value is None
                    else Sample(value, now, name)
                    for signal, value in values.items()
                }
                for name, values in self.values.items()
            }
            got = self.merge.merge(now, float(self.second), samples)
        return got


def test_outage_falls_back_at_once_and_returns_only_after_the_hold_time() -> None:
    site = Site(*source("modbus", 20, "soc_percent"), *source("mqtt", 50, "soc_percent"))
    site.values = {"modbus": {"soc_percent": 50.0}, "mqtt": {"soc_percent": 52.0}}
    assert site.after(1)["soc_percent"].value == 50.0
    site.values["modbus"]["soc_percent"] = None
    assert site.after(1)["soc_percent"].source == "mqtt"
    site.values["modbus"]["soc_percent"] = 50.0
    assert site.after(10)["soc_percent"].source == "mqtt"
    assert site.after(1)["soc_percent"].source == "modbus"


def test_a_flickering_better_source_is_not_taken_back() -> None:
    site = Site(*source("modbus", 20, "soc_percent"), *source("mqtt", 50, "soc_percent"))
    site.values = {"modbus": {"soc_percent": None}, "mqtt": {"soc_percent": 52.0}}
    site.after(1)
    for _ in range(5):
        site.values["modbus"]["soc_percent"] = 50.0
        assert site.after(6)["soc_percent"].source == "mqtt"
        site.values["modbus"]["soc_percent"] = None
        assert site.after(1)["soc_percent"].source == "mqtt"


def test_each_source_has_its_own_max_age() -> None:
    merge = TelemetryMerge(
        [
            *source("modbus", 20, "grid_kw", max_age_s=6.0),
            *source("mqtt", 50, "grid_kw", max_age_s=60.0),
        ]
    )
    old = NOW - timedelta(seconds=30)
    samples = {
        "modbus": {"grid_kw": Sample(1.0, old, "modbus")},
        "mqtt": {"grid_kw": Sample(2.0, old, "mqtt")},
    }
    got = merge.merge(NOW, 0.0, samples)["grid_kw"]
    assert (got.value, got.quality) == (2.0, Quality.GOOD)
    later = merge.merge(NOW + timedelta(seconds=31), 31.0, samples)["grid_kw"]
    assert (later.value, later.quality) == (2.0, Quality.STALE)
    assert not later.usable
    assert "61 s old" in str(later.reason)


def test_state_of_charge_and_limits_come_from_one_source() -> None:
    site = Site(*source("modbus", 20, *BMS), *source("mqtt", 50, *BMS))
    site.values = {"modbus": dict.fromkeys(BMS, 1.0), "mqtt": dict.fromkeys(BMS, 2.0)}
    assert {s.value for s in site.after(1).values()} == {1.0}
    site.values["modbus"]["soc_percent"] = None
    assert {s.value for s in site.after(1).values()} == {2.0}


def test_a_source_with_part_of_a_group_is_not_mixed_into_it() -> None:
    site = Site(*source("modbus", 20, *BMS), *source("mqtt", 50, "soc_percent"))
    site.values = {"modbus": dict.fromkeys(BMS, 1.0), "mqtt": {"soc_percent": 2.0}}
    site.values["modbus"]["soc_percent"] = None
    got = site.after(1)
    assert got["soc_percent"].quality is Quality.BAD
    assert got["max_charge_power_kw"].value == 1.0
    site.values["modbus"] = dict.fromkeys(BMS, None)
    got = site.after(1)
    assert got["soc_percent"].value == 2.0
    assert got["max_charge_power_kw"].quality is Quality.BAD
    assert "does not supply" in str(got["max_charge_power_kw"].reason)


def test_a_preference_that_cannot_take_effect_is_remarked() -> None:
    merge = TelemetryMerge([*source("modbus", 20, *BMS), *source("mqtt", 10, "soc_percent")])
    assert len(merge.remarks) == 1
    assert "mqtt is preferred for soc_percent" in merge.remarks[0]
    assert TelemetryMerge([*source("modbus", 20, *BMS)]).remarks == ()


def test_signals_only_one_source_knows_are_independent_of_the_other() -> None:
    site = Site(*source("modbus", 20, "soc_percent"), *source("mqtt", 50, "grid_kw"))
    site.values = {"modbus": {"soc_percent": None}, "mqtt": {"grid_kw": 7.0}}
    got = site.after(1)
    assert got["grid_kw"].value == 7.0
    assert got["soc_percent"].quality is Quality.BAD


def test_the_last_value_stays_on_display_when_everybody_is_silent() -> None:
    site = Site(*source("modbus", 20, "soc_percent"), *source("mqtt", 50, "soc_percent"))
    site.values = {"modbus": {"soc_percent": None}, "mqtt": {"soc_percent": 52.0}}
    site.after(1)
    now = NOW + timedelta(seconds=100)
    old = {"mqtt": {"soc_percent": Sample(52.0, NOW, "mqtt")}, "modbus": {}}
    got = site.merge.merge(now, 100.0, old)["soc_percent"]
    assert (got.value, got.quality) == (52.0, Quality.STALE)


def test_simulated_and_real_sources_are_refused() -> None:
    with pytest.raises(ConfigError, match="must not be mixed"):
        TelemetryMerge(
            [SignalSource("grid_kw", "demo", 1, 6.0, simulated=True), *source("mqtt", 2, "pv_kw")]
        )
    with pytest.raises(ConfigError, match="must not be mixed"):
        MergedSamples(
            dict,
            frozenset({"grid_kw"}),
            device_max_age_s=6.0,
            others=tuple(source("mqtt", 50, "pv_kw")),
            other_samples=dict,
            clock=ManualClock(NOW),
            simulated=True,
        )


def test_one_source_cannot_supply_a_signal_twice() -> None:
    with pytest.raises(ConfigError, match="twice"):
        TelemetryMerge([*source("mqtt", 1, "grid_kw"), *source("mqtt", 2, "grid_kw")])


def test_devices_and_mapped_topics_together() -> None:
    clock = ManualClock(NOW)
    devices = {"soc_percent": Sample(50.0, NOW, "bms")}
    topics = {"mqtt": {"soc_percent": Sample(60.0, NOW, "mqtt"), "grid_kw": Sample(5, NOW, "mqtt")}}
    merged = MergedSamples(
        lambda: devices,
        frozenset({"soc_percent"}),
        device_max_age_s=6.0,
        others=tuple(source("mqtt", 50, "soc_percent", "grid_kw", max_age_s=20.0)),
        other_samples=lambda: topics,
        clock=clock,
        simulated=False,
    )
    assert merged.configured_signals == {"soc_percent", "grid_kw"}
    got = merged.samples()
    assert (got["soc_percent"].source, got["grid_kw"].value) == ("bms", 5.0)
    clock.advance(10.0)
    assert merged.samples()["soc_percent"].value == 60.0


alive = st.fixed_dictionaries({signal: st.booleans() for signal in BMS})


@given(st.lists(st.tuples(alive, alive), min_size=1, max_size=40))
def test_whatever_fails_a_group_never_mixes_sources(
    cycles: list[tuple[dict[str, bool], dict[str, bool]]],
) -> None:
    site = Site(*source("modbus", 20, *BMS), *source("mqtt", 50, *BMS))
    for modbus, mqtt in cycles:
        site.values = {
            "modbus": {signal: 1.0 if up else None for signal, up in modbus.items()},
            "mqtt": {signal: 2.0 if up else None for signal, up in mqtt.items()},
        }
        got = site.after(1)
        used = {sample.source for sample in got.values() if sample.usable}
        assert len(used) <= 1
        assert bool(used) == (any(modbus.values()) or any(mqtt.values()))
