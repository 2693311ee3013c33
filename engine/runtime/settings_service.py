"""What the settings page may ask: the file, checks of a draft, tests of values not yet saved."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from engine.audit.trail import NO_TRAIL, Trail, noting
from engine.config.changes import Change, keys_named
from engine.config.desk import ConfigDesk
from engine.config.load import FILE_NAME
from engine.config.mqtt import MqttConfig
from engine.config.schema import Config
from engine.config.secret_files import store_secret
from engine.devices.mqtt.broker_check import BrokerCheck, check_broker
from engine.devices.mqtt.inputs import compile_inputs
from engine.domain.clock import SystemClock
from engine.runtime.device_service import DeviceService
from engine.runtime.policy_desk import PolicyDesk
from engine.runtime.reload import ConfigReload, ReloadReport


class SettingsService:
    """Changes the configuration of a running site; most of it takes effect at the next start.

    Args:
        directory: Folder of ``ems.yaml``.
        running: Configuration the program was started with.
        devices: Tests device connections.
        buildable: Refuses, with a `ConfigError`, what the schema allows but cannot run.
        tell: Records an event: severity, code, message.
        trail: Takes down what is changed, stored and tested.
    """

    def __init__(
        self,
        directory: Path,
        running: Config,
        devices: DeviceService,
        buildable: Callable[[Config], None],
        *,
        tell: Callable[[str, str, str], None],
        trail: Trail = NO_TRAIL,
    ) -> None:
        self._trail = trail
        # Files and brokers live in real time, whatever the demo clock does.
        self._clock = SystemClock()
        self._running = running
        self._devices = devices
        self._buildable = buildable
        self._tell = tell
        self._directory = directory
        self._desk = ConfigDesk(
            directory,
            now=self._clock.now,
            check=self.check,
            tell=self._changed,
            site=running.site.id,
        )
        self._policies = PolicyDesk(self._desk, directory, trail=trail)
        self.reloading: ConfigReload | None = None
        """Reads the file anew, for all sites of the program; set by who knows them all."""

    @property
    def desk(self) -> ConfigDesk:
        """The file: read, check, save, backups."""
        return self._desk

    @property
    def policies(self) -> PolicyDesk:
        """The newest proposal of how to deal with uncertainty: see it, put it in force."""
        return self._policies

    @property
    def running(self) -> Config:
        """The configuration in force: that of the start, with what was taken over since."""
        return self._running

    def now_running(self, config: Config) -> None:
        """Take note of what is in force now."""
        self._running = config

    def reload(self) -> ReloadReport:
        """Read the file anew, for every site of the program (`ConfigReload.run`).

        Raises:
            ConfigError: The file cannot be read or has mistakes; nothing was changed.
            RuntimeError: The sites were not put together yet.
        """
        if self.reloading is None:
            raise RuntimeError("no site can be asked to take over a configuration yet")
        return self.reloading.run()

    @property
    def devices(self) -> DeviceService:
        """Tests device connections."""
        return self._devices

    def test_broker(self, config: MqttConfig, site_id: str) -> BrokerCheck:
        """Test a broker that need not be the one in use; takes up to 15 s."""
        where = f"{config.broker_host}:{config.broker_port}"
        with noting(self._trail, "broker.test", where):
            return check_broker(config, site_id, self._clock, environment=os.environ)

    def store_secret(self, name: str, secret: str) -> str:
        """Keep a secret in a file that only the program can read; return the file's path.

        Raises:
            ConfigError: It cannot be stored.
        """
        with noting(self._trail, "secret.stored", name):
            path = store_secret(self._directory, name, secret, self._clock.now())
        self._tell("info", "secret_stored", f"A secret was stored in {path.name}.")
        return str(path)

    def check(self, config: Config) -> None:
        """Refuse, with a `ConfigError`, what the schema allows but cannot run."""
        self._buildable(config)
        if config.mqtt.enabled:
            compile_inputs(config.mqtt)

    def _changed(self, who: str, changes: tuple[Change, ...]) -> None:
        before = {change.path: change.old for change in changes}
        after = {change.path: change.new for change in changes}
        target = FILE_NAME
        if self._desk.has_several:
            target = f"{FILE_NAME} ({self._running.site.id})"
        self._trail.note("config.changed", target, before=before, after=after)
        # The backup has the values.
        named = keys_named(changes, "comments only")
        self._tell("info", "config_changed", f"{who} changed ems.yaml: {named}.")
