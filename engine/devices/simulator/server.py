"""The demo plant as four Modbus TCP devices on the loopback interface."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from pymodbus.constants import ExcCodes
from pymodbus.simulator import DataType, SimData, SimDevice
from pymodbus.simulator.simdevice import SimAction

from engine.devices.profile import MODBUS_PROFILES
from engine.devices.register_def import READ_BITS
from engine.devices.simulator.loopback import LoopbackServer, missing_device
from engine.devices.simulator.plant import DemoPlant
from engine.devices.simulator.registers import WRITE_FUNCTIONS, RegisterMap
from engine.devices.spec import DeviceSpec

UNITS: Final[Mapping[str, int]] = {"demo_bms": 1, "demo_pcs": 2, "demo_meter": 3, "demo_pv": 4}
"""Profile key to unit id."""

_NAMES: Final[Mapping[str, str]] = {
    "demo_bms": "bms",
    "demo_pcs": "pcs",
    "demo_meter": "meter",
    "demo_pv": "pv",
}


def specs(
    port: int, *, host: str = "127.0.0.1", poll_interval_s: float = 2.0, timeout_s: float = 3.0
) -> list[DeviceSpec]:
    """Return the four devices of the demo plant behind `port`; only the converter is writable."""
    return [
        DeviceSpec(
            name=_NAMES[key],
            profile=MODBUS_PROFILES[key],
            host=host,
            port=port,
            unit_id=unit,
            timeout_s=timeout_s,
            poll_interval_s=poll_interval_s,
            writable=key == "demo_pcs",
            simulated=True,
        )
        for key, unit in UNITS.items()
    ]


class DemoPlantServer(LoopbackServer):
    """Serves a demo plant over Modbus TCP from its own thread.

    Every access first simulates the plant up to its clock's time. A request for another unit id
    is answered like a gateway answers for a missing device (exception 11).

    Args:
        plant: What is behind the registers.
        host: Loopback address to listen on.
        port: TCP port; 0 lets the system choose a free one.

    Raises:
        DeviceError: `host` is not a loopback address.
    """

    def __init__(self, plant: DemoPlant, host: str = "127.0.0.1", port: int = 0) -> None:
        self._plant = plant
        super().__init__(self._devices, host, port, "demo plant")

    def _devices(self) -> list[SimDevice]:
        plant = self._plant
        sources: dict[str, Callable[[], Mapping[str, float]]] = {
            "demo_bms": plant.bms_values,
            "demo_pcs": plant.pcs_values,
            "demo_meter": plant.meter_values,
            "demo_pv": plant.pv_values,
        }
        devices = [
            _sim_device(unit, RegisterMap(MODBUS_PROFILES[key]), plant, sources[key])
            for key, unit in UNITS.items()
        ]
        return [*devices, missing_device()]


def _sim_device(
    unit: int, registers: RegisterMap, plant: DemoPlant, values: Callable[[], Mapping[str, float]]
) -> SimDevice:
    async def on_access(  # noqa: PLR0917 - pymodbus prescribes the arguments
        function: int,
        start: int,
        address: int,
        count: int,
        current: list[int],
        written: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        if function not in (1, 2, 3, 4) and function not in WRITE_FUNCTIONS:
            return ExcCodes.ILLEGAL_FUNCTION
        if written is not None:
            return _take_write(plant, registers, function, address, [int(w) for w in written])
        plant.advance()
        if function in WRITE_FUNCTIONS:
            # pymodbus reads back what it has just stored, to echo it.
            return None
        if function in READ_BITS:
            # Here pymodbus counts in words of 16 bits and stores bits in words, low bit first.
            first = address // 16 * 16
            for bit, state in registers.words(function, first, 16 * count, values()).items():
                word, mask = bit // 16 - start, 1 << bit % 16
                current[word] = current[word] | mask if state else current[word] & ~mask
            return None
        for at, word in registers.words(function, address, count, values()).items():
            current[at - start] = word
        return None

    simdata: Any = tuple(_blocks(registers, function) for function in (1, 2, 3, 4))
    return SimDevice(unit, simdata=simdata, action=cast(SimAction, on_access))


def _take_write(
    plant: DemoPlant, registers: RegisterMap, function: int, address: int, words: list[int]
) -> ExcCodes | None:
    """Let the plant take a setpoint or a part of a limit; return what is wrong with it."""
    limit = registers.limit_write(function, address, words)
    if limit is not None:
        step, value = limit
        taken = (
            plant.set_pv_limit_kw(value)
            if step.carries_power
            else value in (0, 1) and plant.switch_pv_limit(value == 1)
        )
        return None if taken else ExcCodes.ILLEGAL_VALUE
    power_kw = registers.commanded_kw(function, address, words)
    if power_kw is None:
        return ExcCodes.ILLEGAL_ADDRESS
    return None if plant.set_power_kw(power_kw) else ExcCodes.ILLEGAL_VALUE


def _blocks(registers: RegisterMap, function: int) -> list[SimData]:
    spans = registers.spans(function)
    if function in READ_BITS:
        # pymodbus wants every table filled; addresses that mean nothing read as 0.
        end = max((first + length for first, length in spans), default=1)
        return [SimData(0, values=[False] * end, datatype=DataType.BITS)]
    if not spans:
        return [SimData(0, datatype=DataType.INVALID)]
    return [
        SimData(first, values=[0] * length, datatype=DataType.REGISTERS) for first, length in spans
    ]
