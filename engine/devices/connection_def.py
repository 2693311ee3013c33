"""How a device is usually reached, as data of its profile: what a form is filled in with."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from engine.devices.encoding import Finite, ProfileData


class ConnectionDefaults(ProfileData):
    """Usual connection of a device; the configuration of a site decides.

    Attributes:
        transport: ``"tcp"``, ``"rtu"`` (serial) or ``"rtu_over_tcp"``.
        port: TCP port.
        unit_id: Modbus unit id.
        timeout_s: Longest wait for one answer.
        poll_interval_s: Time between two polls.
        connect_delay_s: Silence the device needs after a connection was opened.
        min_request_gap_s: Silence the device needs between two requests.
        baudrate: Bits per second on a serial line.
        parity: Parity on a serial line.
        stop_bits: Stop bits on a serial line.
        single_client: True when the device serves one connection only.
    """

    transport: Literal["tcp", "rtu", "rtu_over_tcp"] = "tcp"
    port: Annotated[int, Field(ge=1, le=65535)] = 502
    unit_id: Annotated[int, Field(ge=0, le=255)] = 1
    timeout_s: Annotated[Finite, Field(gt=0, le=60)] = 3.0
    poll_interval_s: Annotated[Finite, Field(gt=0, le=3600)] = 2.0
    connect_delay_s: Annotated[Finite, Field(ge=0, le=30)] = 0.0
    min_request_gap_s: Annotated[Finite, Field(ge=0, le=10)] = 0.0
    baudrate: Annotated[int, Field(ge=300, le=921600)] = 9600
    parity: Literal["N", "E", "O"] = "N"
    stop_bits: Literal[1, 2] = 1
    single_client: bool = False
