"""The broker beside a running engine: publishing, merged inputs, status, a connection test."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Mapping
from pathlib import Path

from engine.audit.trail import NO_TRAIL, Origin, Trail, acting, noting
from engine.config.schema import Config
from engine.devices.mqtt.bridge import MqttBridge
from engine.devices.mqtt.broker_check import BrokerCheck, check_broker
from engine.devices.mqtt.commands import Command, CommandOutcome
from engine.devices.mqtt.install_id import install_id
from engine.devices.mqtt.merged_samples import MergedSamples
from engine.devices.mqtt.status import MqttStatus
from engine.domain.clock import Clock, SystemClock
from engine.domain.control import LinkStatus
from engine.domain.sample import Sample
from engine.domain.snapshot import EngineSnapshot
from engine.telemetry.alarms import AlarmTracker

log = logging.getLogger(__name__)

Samples = Callable[[], Mapping[str, Sample]]


class MqttService:
    """Runs the bridge when the configuration wants one; every call returns at once but `test`.

    Args:
        config: Configuration the site runs with.
        data_dir: Folder that keeps the id of this installation.
        snapshot: State of the engine after its newest cycle.
        alarms: Alarms as the engine shows them.
        acknowledge: Marks one alarm, or all (None), as seen; returns the names that were.
        carry_out: Carries out every other command.
        commands: Names of the commands that take effect.
        trail: Takes down tests.
    """

    def __init__(
        self,
        config: Config,
        data_dir: Path,
        snapshot: Callable[[], EngineSnapshot],
        alarms: AlarmTracker,
        acknowledge: Callable[[str | None], tuple[str, ...]],
        *,
        carry_out: Callable[[Command], CommandOutcome],
        commands: frozenset[str],
        trail: Trail = NO_TRAIL,
    ) -> None:
        self._config = config
        self._trail = trail
        # The broker and the lifetime of commands live in real time, whatever the demo clock does.
        self._clock = SystemClock()
        self._acknowledge = acknowledge
        self._carry_out = carry_out
        self._bridge: MqttBridge | None = None
        if config.mqtt.enabled:
            self._bridge = MqttBridge(
                config.mqtt,
                config.site.id,
                snapshot,
                self._on_command,
                self._clock,
                install_id=install_id(data_dir),
                commands=commands,
                alarms=alarms,
            )

    def _on_command(self, command: Command) -> CommandOutcome:
        mqtt = self._config.mqtt
        with acting(Origin("mqtt", "mqtt", f"{mqtt.broker_host}:{mqtt.broker_port}")):
            return self._carry_out_command(command)

    def _carry_out_command(self, command: Command) -> CommandOutcome:
        if command.name != "ack":
            return self._carry_out(command)
        name = str(command.value)
        names = self._acknowledge(None if name == "all" else name)
        if not names:
            return CommandOutcome(False, None, "there is no such alarm to acknowledge")
        return CommandOutcome(True, name)

    @property
    def config(self) -> Config:
        """The configuration the site runs with."""
        return self._config

    def start(self) -> None:
        """Connect in the background; a missing broker is reported and tried again."""
        if self._bridge is not None:
            self._bridge.start()

    def stop(self) -> None:
        """Say goodbye and disconnect, within about a second."""
        if self._bridge is not None:
            self._bridge.stop()

    def publish(self, snapshot: EngineSnapshot) -> None:
        """Hand a snapshot to the broker; never waits."""
        if self._bridge is not None:
            self._bridge.publish(snapshot)

    def publish_alarms(self, snapshot: EngineSnapshot) -> None:
        """Hand over the alarms of a snapshot whose cycle did not complete; never waits."""
        if self._bridge is not None:
            self._bridge.publish_alarms(snapshot)

    def publish_message(self, topic: str, payload: bytes) -> bool:
        """Hand over one message; False without a connection. Never blocks."""
        return self._bridge is not None and self._bridge.publish_message(topic, payload)

    def status(self) -> MqttStatus | None:
        """Return the state of the connection, or None when MQTT is not enabled."""
        return self._bridge.status() if self._bridge is not None else None

    def links(self) -> tuple[LinkStatus, ...]:
        """Return the broker as a row beside the devices' connections."""
        status = self.status()
        return (status.link(),) if status is not None else ()

    def test(self) -> BrokerCheck:
        """Log in, publish and read back, and listen to the mapped topics; takes up to 15 s."""
        mqtt = self._config.mqtt
        with noting(self._trail, "broker.test", f"{mqtt.broker_host}:{mqtt.broker_port}"):
            return check_broker(mqtt, self._config.site.id, self._clock)

    def merged(
        self,
        samples: Samples,
        configured: frozenset[str],
        max_age_s: float,
        clock: Clock,
    ) -> tuple[Samples, frozenset[str], float]:
        """Return the samples a control cycle reads, what is configured, and their greatest age.

        Without mapped topics these are the devices' own. With them, each signal comes from the
        best source that is well, and the merge ages every source by its own limit.
        """
        if self._bridge is None or not self._config.mqtt.inputs:
            return samples, configured, max_age_s
        merged = MergedSamples(
            samples,
            configured,
            device_max_age_s=max_age_s,
            others=self._bridge.sources(),
            other_samples=self._bridge.samples_by_source,
            clock=clock,
            simulated=self._config.demo,
        )
        for remark in merged.remarks:
            log.info("%s", remark)
        return merged.samples, merged.configured_signals, math.inf
