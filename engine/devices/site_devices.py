"""The device layer of one site: a device group seen through the site's assets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from engine.devices.assets.members import AssetMember
from engine.devices.assets.site import SiteAssets
from engine.devices.command_state import CommandState, LimitState
from engine.devices.group import DeviceGroup
from engine.devices.write_budget import WriteCountStore
from engine.domain.clock import Clock
from engine.domain.control import LinkStatus, StepHealth
from engine.domain.sample import Sample, aged

STALE_AFTER_POLLS: Final = 3
"""A sample older than this many poll intervals of its device is stale."""


class SiteDevices:
    """Polls and commands the devices of a site and gives the site's own signals.

    Several batteries, PV plants and so on are aggregated by `SiteAssets`; everything else is
    the group's.

    Args:
        members: Every device with what it is used as.
        clock: Stamps samples and gives the polling grid.
        write_counts: Keeps the count of writes to flash memory across restarts.

    Raises:
        DeviceError: The devices cannot be one group, or cannot fill their roles.
    """

    def __init__(
        self,
        members: Sequence[AssetMember],
        clock: Clock,
        write_counts: WriteCountStore | None = None,
    ) -> None:
        self._clock = clock
        self._max_age_s = {m.name: STALE_AFTER_POLLS * m.spec.poll_interval_s for m in members}
        self.assets = SiteAssets(members, self.device_samples, self.limit_power)
        self.group = DeviceGroup(
            [member.spec for member in members],
            clock,
            signals_may_repeat=True,
            write_counts=write_counts,
        )

    @property
    def simulated(self) -> bool:
        """True when every device is simulated."""
        return self.group.simulated

    @property
    def slowest_poll_s(self) -> float:
        """Longest poll interval of any device (s)."""
        return max(member.spec.poll_interval_s for member in self.assets.members)

    @property
    def commandable(self) -> bool:
        """True when a device takes power commands and writing to it is enabled."""
        return self.group.commandable

    def start(self) -> None:
        """Start one polling thread per endpoint."""
        self.group.start()

    def poll_once(self) -> None:
        """Write the pending command, then read every device, in the calling thread."""
        self.group.poll_once()

    def samples(self) -> Mapping[str, Sample]:
        """Return canonical signal to the newest sample of the site."""
        return self.assets.samples()

    def device_samples(self, name: str) -> Mapping[str, Sample]:
        """Return all samples of one device; what its poller left too old is STALE.

        Raises:
            DeviceError: No device of that name.
        """
        return _Aged(
            self.group.device_samples(name),
            self._clock.now(),
            self._max_age_s.get(name, float("inf")),
        )

    def configured_signals(self) -> frozenset[str]:
        """Return the canonical signals the site is meant to supply."""
        return self.assets.configured_signals()

    def links(self) -> tuple[LinkStatus, ...]:
        """Return the state of the connection to every device."""
        return self.group.links()

    def command_power(self, power_kw: float) -> None:
        """Ask for battery power (+ discharge, - charge); returns at once."""
        self.group.command_power(power_kw)

    def command_state(self) -> CommandState:
        """Return how far the newest command got."""
        return self.group.command_state()

    @property
    def limitable(self) -> frozenset[str]:
        """Names of the devices that take power limits and are enabled for writing."""
        return self.group.limitable

    def limit_power(self, device: str, limit_kw: float | None) -> None:
        """Ask for the most one device may generate or draw (None: no limit); returns at once.

        Raises:
            DeviceError: No device of that name, or the limit is negative or not finite.
        """
        self.group.limit_power(device, limit_kw)

    def curtail_pv(self, limit_kw: float | None) -> None:
        """Ask all PV plants together to generate no more than this (None: no limit).

        Raises:
            DeviceError: The limit is negative or not finite.
        """
        self.assets.curtail_pv(limit_kw)

    def limit_states(self) -> Mapping[str, LimitState]:
        """Return device name to how far its newest power limit got."""
        return self.group.limit_states()

    def poll_health(self) -> StepHealth:
        """Return the supervision record of polling."""
        return self.group.poll_health()

    def stop(self, safe_power_kw: float | None = 0.0, timeout_s: float = 1.5) -> None:
        """Write the safe setpoint if writing is enabled, lift limits, then close everything."""
        self.group.stop(safe_power_kw, timeout_s)


class _Aged(Mapping[str, Sample]):
    """Samples of one moment as old as they are `now`.

    Each is looked at when it is asked for: a cycle asks a device for one signal after another.
    """

    def __init__(self, samples: Mapping[str, Sample], now: datetime, max_age_s: float) -> None:
        self._samples = samples
        self._now = now
        self._max_age_s = max_age_s

    def __getitem__(self, signal: str) -> Sample:
        return aged(self._samples[signal], self._now, self._max_age_s)

    def __iter__(self) -> Iterator[str]:
        return iter(self._samples)

    def __len__(self) -> int:
        return len(self._samples)
