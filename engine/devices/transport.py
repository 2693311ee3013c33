"""How requests travel: Modbus TCP, RTU on a serial line, RTU frames over TCP.

The three clients behave the same towards the link: they ask once, never
repeat by themselves, and `abort` ends a request that another thread waits for.
"""

from __future__ import annotations

import os
import select
import socket
import sys
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final, Literal, Protocol, cast

from pymodbus.client import ModbusSerialClient, ModbusTcpClient
from pymodbus.framer import FramerType
from pymodbus.pdu import ModbusPDU

from engine.domain.errors import DeviceError


class Transport(StrEnum):
    """How requests travel."""

    TCP = "tcp"
    RTU = "rtu"
    RTU_OVER_TCP = "rtu_over_tcp"

    @property
    def is_rtu(self) -> bool:
        """True when frames carry a checksum instead of a transaction number."""
        return self is not Transport.TCP

    @property
    def frame_bytes(self) -> int:
        """Bytes of a frame around the function code and its data."""
        return 3 if self.is_rtu else 7


@dataclass(frozen=True, slots=True)
class SerialLine:
    """A serial line.

    Attributes:
        device: Path of the serial device, or a URL that pyserial understands.
        baudrate: Bits per second.
        parity: ``"N"``, ``"E"`` or ``"O"``.
        stop_bits: 1 or 2.
        data_bits: 7 or 8.
        local_echo: True when the adapter hears what it sends.
    """

    device: str
    baudrate: int = 9600
    parity: Literal["N", "E", "O"] = "N"
    stop_bits: int = 1
    data_bits: int = 8
    local_echo: bool = False


class ModbusClient(Protocol):
    """What the link needs of a synchronous client; those of pymodbus have it."""

    socket: Any

    def connect(self) -> bool: ...
    def close(self) -> None: ...
    def read_coils(self, address: int, *, count: int, device_id: int) -> ModbusPDU: ...
    def read_discrete_inputs(self, address: int, *, count: int, device_id: int) -> ModbusPDU: ...
    def read_holding_registers(self, address: int, *, count: int, device_id: int) -> ModbusPDU: ...
    def read_input_registers(self, address: int, *, count: int, device_id: int) -> ModbusPDU: ...
    def write_register(self, address: int, value: int, *, device_id: int) -> ModbusPDU: ...
    def write_registers(self, address: int, values: list[int], *, device_id: int) -> ModbusPDU: ...


PacketTrace = Callable[[bool, bytes], bytes]
OpenClient = Callable[[str, int, float, PacketTrace], ModbusClient]
"""Makes an unconnected client from host, port, timeout in seconds and packet trace."""


def open_tcp_client(host: str, port: int, timeout_s: float, trace: PacketTrace) -> ModbusClient:
    """Return a Modbus TCP client that asks once and never repeats by itself."""
    client = ModbusTcpClient(host, port=port, timeout=timeout_s, retries=0, trace_packet=trace)
    return cast(ModbusClient, client)


def open_rtu_over_tcp_client(
    host: str, port: int, timeout_s: float, trace: PacketTrace
) -> ModbusClient:
    """Return a client that sends RTU frames over TCP, asks once and never repeats by itself."""
    client = ModbusTcpClient(
        host, framer=FramerType.RTU, port=port, timeout=timeout_s, retries=0, trace_packet=trace
    )
    return cast(ModbusClient, client)


def serial_opener(line: SerialLine) -> OpenClient:
    """Return what opens a client on the serial line `line`; host and port are not used."""

    def open_serial(host: str, port: int, timeout_s: float, trace: PacketTrace) -> ModbusClient:
        del host, port
        if "serial" not in sys.modules:
            # pymodbus imports it when it is installed.
            raise DeviceError(
                f"the serial line {line.device} cannot be used without pyserial.",
                field="serial",
                value=line.device,
                hint="Install the package pyserial.",
            )
        client = _SerialClient(
            line.device,
            framer=FramerType.RTU,
            baudrate=line.baudrate,
            bytesize=line.data_bits,
            parity=line.parity,
            stopbits=line.stop_bits,
            handle_local_echo=line.local_echo,
            timeout=timeout_s,
            retries=0,
            trace_packet=trace,
        )
        return cast(ModbusClient, client)

    return open_serial


def opener(transport: Transport, line: SerialLine | None) -> OpenClient:
    """Return what opens a client for `transport`.

    Raises:
        DeviceError: RTU without a serial line.
    """
    if transport is Transport.TCP:
        return open_tcp_client
    if transport is Transport.RTU_OVER_TCP:
        return open_rtu_over_tcp_client
    if line is None:
        raise DeviceError(
            "a serial connection needs a serial device.",
            field="serial",
            value=None,
            hint="Name the serial device, for example /dev/ttyUSB0.",
        )
    return serial_opener(line)


def endpoint_name(
    host: str, port: int, transport: Transport = Transport.TCP, line: SerialLine | None = None
) -> str:
    """Return what people call this endpoint: host and port, or the serial device."""
    if transport is Transport.RTU and line is not None:
        return line.device
    return f"{host}:{port}"


class _SerialClient(ModbusSerialClient):
    """A serial client whose waiting another thread can end."""

    _aborted = False

    def abort(self) -> None:
        """End the request under way; this client is not used again afterwards."""
        self._aborted = True

    def _in_waiting(self) -> int:
        # pymodbus asks this again and again while it waits, and closes on an OSError.
        if self._aborted:
            raise OSError("the request was cut off")
        return cast(int, super()._in_waiting())  # type: ignore[no-untyped-call]


def abort(client: ModbusClient) -> None:
    """End a request that another thread is waiting for; the client must be closed then."""
    if isinstance(client, _SerialClient):
        client.abort()
        return
    open_socket = client.socket
    if open_socket is None:
        return
    try:
        open_socket.shutdown(socket.SHUT_RDWR)
    except OSError:
        # The socket is closed already, so nobody waits on it any more.
        return


_CHUNK: Final = 4096


def unread(client: ModbusClient) -> bool | None:
    """None: quiet and open. True: bytes wait that belong to no request. False: closed."""
    try:
        descriptor = _descriptor(client)
        if descriptor is None:
            return False
        if not select.select([descriptor], [], [], 0)[0]:
            return None
        if isinstance(client.socket, socket.socket):
            # With a timeout set, Python would wait for data before it looks at MSG_DONTWAIT.
            client.socket.setblocking(False)
            return bool(client.socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
        return bool(client.socket.in_waiting)
    except BlockingIOError:
        return None
    except (OSError, ValueError):
        return False


def discard_for(client: ModbusClient, seconds: float) -> bool | None:
    """Listen for up to `seconds` and throw away the first bytes that come.

    Returns:
        None: nothing came. True: bytes came and were thrown away. False: closed.
    """
    try:
        descriptor = _descriptor(client)
        if descriptor is None:
            return False
        if not select.select([descriptor], [], [], max(0.0, seconds))[0]:
            return None
        if isinstance(client.socket, socket.socket):
            client.socket.setblocking(False)
            return bool(client.socket.recv(_CHUNK))
        return bool(os.read(descriptor, _CHUNK))
    except BlockingIOError:
        return None
    except (OSError, ValueError):
        return False


def _descriptor(client: ModbusClient) -> int | None:
    if client.socket is None:
        return None
    descriptor = int(client.socket.fileno())
    return descriptor if descriptor >= 0 else None
