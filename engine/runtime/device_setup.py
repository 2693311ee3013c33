"""The devices of a site, real or of the demo plant, built from the configuration."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from engine.config.described_site import site_from
from engine.config.schema import Config
from engine.devices.assets.members import AssetMember, roles_of
from engine.devices.simulator.plant import DemoParameters, DemoPlant
from engine.devices.simulator.server import DemoPlantServer, specs
from engine.devices.site_devices import SiteDevices
from engine.devices.write_budget import WriteCountStore
from engine.domain.clock import AcceleratedClock, Clock, SystemClock
from engine.domain.errors import ConfigError, DeviceError
from engine.recorded.recording import Recording, quarter_mean
from engine.recorded.within_quarter import with_ripple
from engine.runtime.planning_setup import pv_factor
from engine.runtime.site_setup import may_write, real_members

log = logging.getLogger(__name__)

_LOAD_RIPPLE = 0.12
_PV_RIPPLE = 0.10


@dataclass(frozen=True, slots=True)
class Connected:
    """Devices of a site and what belongs to them.

    Attributes:
        devices: The devices.
        on_stop: Called last at a stop.
    """

    devices: SiteDevices
    on_stop: tuple[Callable[[], None], ...]


def real_devices(config: Config, clock: Clock, write_counts: WriteCountStore) -> SiteDevices:
    """Return the configured devices; nothing connects or is counted before they are started.

    Raises:
        ConfigError: They contradict each other or their profiles; names key, value and remedy.
    """
    return _site_devices(real_members(config), clock, write_counts)


def demo_devices(plant: DemoPlant, clock: Clock, config: Config) -> Connected:
    """Start a server for the demo plant and return its devices, connected over Modbus TCP."""
    server = DemoPlantServer(plant)
    port = server.start()
    log.info("demo plant answers on 127.0.0.1:%d (Modbus TCP, simulated)", port)
    members = [
        AssetMember(
            replace(spec, writable=spec.writable and may_write(config)),
            roles_of(spec.profile),
            roles_stated=False,
        )
        for spec in specs(port, poll_interval_s=config.ems.timestep_s)
    ]
    return Connected(_site_devices(members, clock), (server.stop,))


def make_demo_plant(
    config: Config, recording: Recording, clock: Clock, soc_percent: float | None = None
) -> DemoPlant:
    """Return the demo plant: the configured battery on a recorded site.

    Args:
        config: Configuration.
        recording: Replayed load and PV.
        clock: Time of the plant.
        soc_percent: State of charge to start with; None for the configured one.
    """
    factor = pv_factor(config)
    pv_mean = quarter_mean(recording, "pv_kw")
    return DemoPlant(
        DemoParameters(
            site_from(config).battery, pv_rated_kw=max(config.demo_plant.pv_peak_kw, 1.0)
        ),
        load_kw=with_ripple(quarter_mean(recording, "load_kw"), _LOAD_RIPPLE, seed=1),
        pv_kw=with_ripple(lambda ts: factor * pv_mean(ts), _PV_RIPPLE, seed=2),
        clock=clock,
        soc_percent=config.demo_plant.soc_start_percent if soc_percent is None else soc_percent,
    )


def make_clock(config: Config, not_before: datetime | None) -> Clock:
    """Return the machine's clock, or an accelerated one for a demo plant that asks for it.

    Args:
        config: Configuration.
        not_before: Newest stored time; an accelerated clock that ran ahead goes on from there.
    """
    if not config.demo or config.demo_plant.speed == 1.0:
        return SystemClock()
    start = datetime.now(UTC)
    if not_before is not None and not_before > start:
        start = not_before + timedelta(seconds=1)
    return AcceleratedClock(start, config.demo_plant.speed)


def _site_devices(
    members: Sequence[AssetMember], clock: Clock, write_counts: WriteCountStore | None = None
) -> SiteDevices:
    try:
        return SiteDevices(members, clock, write_counts)
    except DeviceError as exc:
        raise ConfigError(exc.message, field=exc.field, value=exc.value, hint=exc.hint) from exc
