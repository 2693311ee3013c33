"""A meter on real Modbus and on a real Mosquitto: the better source rules, the other steps in."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from mqtt_broker import Broker, Outside

from engine.config.mqtt import MqttConfig, MqttInputConfig
from engine.devices.group import DeviceGroup
from engine.devices.mqtt.bridge import MqttBridge
from engine.devices.mqtt.merged_samples import MergedSamples
from engine.devices.simulator.plant import DemoParameters, DemoPlant
from engine.devices.simulator.server import DemoPlantServer, specs
from engine.domain.clock import SystemClock
from engine.domain.sample import Sample
from engine.domain.site import Site
from engine.domain.snapshot import EngineSnapshot
from tests.support.process import wait_for

METER = MqttInputConfig(
    topic="meter/1", signal="grid_kw", path="w", unit="W", positive_means="import", max_age_s=60
)


def test_the_broker_steps_in_while_the_meter_is_silent_and_leaves_after_the_hold(
    tmp_path: Path, site: Site
) -> None:
    clock = SystemClock()
    plant = DemoPlant(DemoParameters(site.battery), lambda _: 60.0, lambda _: 20.0, clock)
    server = DemoPlantServer(plant)
    port = server.start()
    group = DeviceGroup(
        [replace(spec, simulated=False, writable=False) for spec in specs(port)], clock
    )
    broker = Broker(tmp_path)
    broker.start()

    def nothing() -> EngineSnapshot:
        raise AssertionError("nothing is published in this test")

    bridge = MqttBridge(
        MqttConfig(enabled=True, broker_host="127.0.0.1", broker_port=broker.port, inputs=[METER]),
        "site-1",
        nothing,
        None,
        clock,
        install_id="test",
    )
    merged = MergedSamples(
        group.samples,
        group.configured_signals(),
        device_max_age_s=6.0,
        others=bridge.sources(),
        other_samples=bridge.samples_by_source,
        clock=clock,
        simulated=False,
        hold_s=1.0,
    )

    def grid_kw() -> Sample:
        group.poll_once()
        return merged.samples()["grid_kw"]

    outside = Outside(broker.port)
    try:
        bridge.start()
        wait_for(lambda: bridge.status().state == "online", "a connection")
        outside.send("meter/1", {"w": 7000})
        wait_for(
            lambda: "grid_kw" in bridge.samples() and bridge.samples()["grid_kw"].usable,
            "a value from the broker",
        )
        assert grid_kw().source == "meter", "Modbus is preferred while it answers"
        server.stop()
        lost = wait_for(lambda: (s := grid_kw()).usable and s, "another source")
        assert lost.value == 7.0
        assert lost.source != "meter"
        server = DemoPlantServer(plant, port=port)
        server.start()
        wait_for(lambda: (group.poll_once(), group.samples()["grid_kw"].usable)[1], "the meter")
        assert merged.samples()["grid_kw"].source != "meter", "a source must prove itself first"
        back = wait_for(lambda: (s := grid_kw()).source == "meter" and s, "the return")
        assert back.usable
        assert back.value != 7.0
    finally:
        outside.close()
        bridge.stop()
        broker.kill()
        group.stop(safe_power_kw=None)
        server.stop()
