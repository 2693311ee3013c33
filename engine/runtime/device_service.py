"""What the web application may ask about devices: configuration, assets, connection tests."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from engine.audit.trail import NO_TRAIL, Trail, noting
from engine.config.devices import DeviceConfig
from engine.config.schema import Config
from engine.devices.assets.site import SiteAssets
from engine.devices.command_state import LimitState
from engine.devices.connection_test import ConnectionReport, run_connection_test
from engine.devices.connection_test.physics import Observation
from engine.devices.connection_test.runner import OBSERVE_S
from engine.devices.link_statistics import UnitStatistics
from engine.devices.register_view import RegisterReading
from engine.devices.rtc import RtcState
from engine.devices.site_devices import SiteDevices
from engine.devices.spec import DeviceSpec
from engine.domain.clock import Clock
from engine.domain.sample import Sample
from engine.domain.series import MeasuredPoint
from engine.domain.site import Site
from engine.runtime.site_setup import spec_of

PAST: Final = timedelta(hours=2)
"""How far back slow effects (state of charge against power) are looked at."""

_HALF_MINUTE: Final = timedelta(seconds=30)


class DeviceService:
    """Read-only view of the devices of a running site.

    Args:
        config: Configuration the site runs with.
        site: The site.
        devices: Its device layer.
        clock: Time of the site.
        measured: One-minute means since an instant (UTC).
        observe_s: Time a test watches counters and slopes for.
        trail: Takes down tests.
    """

    def __init__(
        self,
        config: Config,
        site: Site,
        devices: SiteDevices,
        clock: Clock,
        *,
        measured: Callable[[datetime], list[MeasuredPoint]],
        observe_s: float = OBSERVE_S,
        trail: Trail = NO_TRAIL,
    ) -> None:
        self._trail = trail
        self._config = config
        self._site = site
        self._devices = devices
        self._clock = clock
        self._measured = measured
        self._observe_s = observe_s

    @property
    def config(self) -> Config:
        """The configuration the site runs with."""
        return self._config

    @property
    def assets(self) -> SiteAssets:
        """What the site is made of."""
        return self._devices.assets

    def statistics(self) -> Mapping[str, UnitStatistics]:
        """Return device name to requests, errors by kind and latencies."""
        return self._devices.group.statistics()

    def registers(self, device: str) -> tuple[RegisterReading, ...]:
        """Return every value of one device beside the registers it was read from.

        Raises:
            DeviceError: No device of that name.
        """
        return self._devices.group.registers(device)

    def device_clocks(self) -> Mapping[str, RtcState]:
        """Return device name to the state of its clock, for devices whose clock can be set."""
        return self._devices.group.device_clocks()

    def limit_states(self) -> Mapping[str, LimitState]:
        """Return device name to its power limit, for devices that take one."""
        return self._devices.limit_states()

    def devices(self) -> tuple[DeviceSpec, ...]:
        """Return every device that is polled."""
        return tuple(spec for spec, _ in self._devices.group.connections())

    def new_device(self, config: DeviceConfig) -> DeviceSpec:
        """Return a device that is not configured yet, for a test; never writable.

        Raises:
            ConfigError: Profile or register overrides are not valid.
        """
        return spec_of(config, may_write=False)

    def test(self, spec: DeviceSpec, address: str | None) -> ConnectionReport:
        """Test one device by reading; takes up to 20 s.

        Args:
            spec: A configured device or one from `new_device`.
            address: Address its host was resolved to and checked for; None on a serial line.
        """
        line = None if spec.serial is None else spec.serial.device
        where = line or f"{spec.host}:{spec.port}"
        asked = {"endpoint": where, "address": address, "profile": spec.profile.key}
        with noting(self._trail, "device.test", spec.name, after=asked):
            return self._test(spec, address)

    def _test(self, spec: DeviceSpec, address: str | None) -> ConnectionReport:
        configured = any(known is spec for known in self.devices())
        if self._devices.simulated and self._is_polled_endpoint(spec, address):
            spec = replace(spec, simulated=True)
        # Simulated values say nothing about a real device, and a real site's past nothing about
        # a device that was not part of it.
        comparable = spec.simulated == self._devices.simulated

        def site_samples() -> Mapping[str, Sample]:
            return self._devices.samples() if comparable else {}

        return run_connection_test(
            spec,
            self._devices.group,
            _RealPace(self._clock),
            address=address,
            site_samples=site_samples,
            past=self._past() if configured else (),
            battery=self._site.battery if comparable else None,
            observe_s=self._observe_s,
        )

    def _is_polled_endpoint(self, spec: DeviceSpec, address: str | None) -> bool:
        return any(
            known.port == spec.port and known.host in (spec.host, address)
            for known in self.devices()
        )

    def _past(self) -> list[Observation]:
        return [
            Observation(
                point.ts + _HALF_MINUTE,
                {name: value for name, value in point.values.items() if value is not None},
            )
            for point in self._measured(self._clock.now() - PAST)
        ]


class _RealPace:
    """The site's time on labels, real time for waiting: a person waits for the test."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def now(self) -> datetime:
        return self._clock.now()

    def monotonic(self) -> float:
        return time.monotonic()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait(max(0.0, seconds))
