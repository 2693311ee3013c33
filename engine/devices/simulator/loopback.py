"""A Modbus TCP server on the loopback interface, in a thread of its own."""

from __future__ import annotations

import asyncio
import ipaddress
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Final, cast

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice
from pymodbus.simulator.simdevice import SimAction

from engine.domain.errors import DeviceError

_START_DEADLINE_S: Final = 10.0


class LoopbackServer:
    """Serves simulated devices over Modbus TCP from its own thread.

    Args:
        devices: Makes the devices when the server starts.
        host: Loopback address to listen on.
        port: TCP port; 0 lets the system choose a free one.
        what: What is served, for messages.

    Raises:
        DeviceError: `host` is not a loopback address.
    """

    def __init__(
        self,
        devices: Callable[[], Sequence[SimDevice]],
        host: str = "127.0.0.1",
        port: int = 0,
        what: str = "simulator",
    ) -> None:
        if not _is_loopback(host):
            raise DeviceError(
                f"the {what} is served on this machine only (got {host!r}).",
                field="host",
                value=host,
                hint="Use 127.0.0.1.",
            )
        self._make_devices = devices
        self._host = host
        self._port = port
        self._what = what
        self._thread: threading.Thread | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._end: asyncio.Event | None = None

    def start(self) -> int:
        """Start listening and return the port; calling it again returns the same port.

        Raises:
            DeviceError: The port is in use or not allowed.
        """
        if self._thread is not None:
            return self._port
        started: Future[int] = Future()
        self._thread = threading.Thread(
            target=self._run, args=(started,), name=self._what, daemon=True
        )
        self._thread.start()
        try:
            self._port = started.result(timeout=_START_DEADLINE_S)
        except DeviceError:
            self._thread.join()
            self._thread = None
            raise
        return self._port

    def stop(self, timeout_s: float = 5.0) -> None:
        """Close the port and every connection; `start` opens the same port again.

        Raises:
            DeviceError: The server thread did not end within `timeout_s` of real time.
        """
        if self._thread is None or self._loop is None or self._end is None:
            return
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(timeout_s)
        if self._thread.is_alive():
            raise DeviceError(
                f"the {self._what} server did not stop within {timeout_s:g} s.", field="timeout_s"
            )
        self._thread = self._loop = self._end = None

    def _run(self, started: Future[int]) -> None:
        asyncio.run(self._serve(started))

    async def _serve(self, started: Future[int]) -> None:
        self._loop = asyncio.get_running_loop()
        self._end = asyncio.Event()
        server = ModbusTcpServer(list(self._make_devices()), address=(self._host, self._port))
        try:
            await server.serve_forever(background=True)
        except RuntimeError as exc:
            error = DeviceError(
                f"the {self._what} cannot listen on {self._host}:{self._port}.",
                field="port",
                value=self._port,
                hint="Choose another port, or 0 for any free one.",
            )
            error.__cause__ = exc
            started.set_exception(error)
            return
        listener = cast(asyncio.Server, server.transport)
        started.set_result(int(listener.sockets[0].getsockname()[1]))
        await self._end.wait()
        await server.shutdown()  # type: ignore[no-untyped-call]


def missing_device() -> SimDevice:
    """Return the catch-all: without it pymodbus answers other units with "device failure"."""

    async def on_access(*_: object) -> ExcCodes | None:
        return ExcCodes.GATEWAY_NO_RESPONSE

    everywhere = SimData(0, count=65536, values=0, datatype=DataType.REGISTERS)
    return SimDevice(0, simdata=[everywhere], action=cast(SimAction, on_access))


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
