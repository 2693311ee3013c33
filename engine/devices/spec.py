"""What the configuration says about one device."""

from __future__ import annotations

from dataclasses import dataclass

from engine.devices.profile import DeviceProfile


@dataclass(frozen=True)
class DeviceSpec:
    """One device of a site.

    Attributes:
        name: Name in messages and as the source of its samples; unique in its group.
        profile: What its registers mean.
        host: Host name or address.
        port: TCP port.
        unit_id: Modbus unit id behind that endpoint.
        timeout_s: Longest wait for one answer.
        poll_interval_s: Time between two polls.
        writable: True enables writing; off by default.
        simulated: True when a simulated device answers.
    """

    name: str
    profile: DeviceProfile
    host: str
    port: int
    unit_id: int
    timeout_s: float = 3.0
    poll_interval_s: float = 2.0
    writable: bool = False
    simulated: bool = False
