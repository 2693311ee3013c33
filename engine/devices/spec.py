"""What the configuration says about one device."""

from __future__ import annotations

from dataclasses import dataclass

from engine.devices.profile_def import DeviceProfile
from engine.devices.transport import SerialLine, Transport


@dataclass(frozen=True)
class DeviceSpec:
    """One device of a site.

    Attributes:
        name: Name in messages and as the source of its samples; unique in its group.
        profile: What its registers mean.
        host: Host name or address; not used on a serial line.
        port: TCP port; not used on a serial line.
        unit_id: Modbus unit id behind that endpoint.
        timeout_s: Longest wait for one answer.
        poll_interval_s: Time between two polls.
        writable: True enables writing; off by default.
        simulated: True when a simulated device answers.
        transport: How requests travel.
        serial: The serial line; needed for `Transport.RTU` only.
        min_request_gap_s: Silence between an answer and the next request.
        connect_delay_s: Silence between opening the connection and the first request.
        address_base_confirmed: True when a connection test settled the address base of a
            profile that does not state it.
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
    transport: Transport = Transport.TCP
    serial: SerialLine | None = None
    min_request_gap_s: float = 0.0
    connect_delay_s: float = 0.0
    address_base_confirmed: bool = False

    @property
    def takes_commands(self) -> bool:
        """True when power commands are written to it."""
        return self.writable and "set_power_kw" in self.profile.commands

    @property
    def takes_limits(self) -> bool:
        """True when power limits are written to it."""
        return self.writable and "limit_power_kw" in self.profile.commands
