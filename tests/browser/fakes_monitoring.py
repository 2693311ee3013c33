"""The made-up plant with what the monitoring page asks for besides: alarms, registers, channels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from fakes_ui import START, FakeServices

from engine.devices.codec import encode_register
from engine.devices.layout import lay_out
from engine.devices.link_statistics import UnitStatistics
from engine.devices.planner import Point, Reading
from engine.devices.profile import MODBUS_PROFILES
from engine.devices.register_view import RegisterReading, Scan, register_readings
from engine.devices.spec import DeviceSpec
from engine.domain.alarms import AlarmView
from engine.domain.records import EventRow
from engine.domain.sample import ProcessImage, Sample
from engine.domain.snapshot import EngineSnapshot
from engine.notify.notifier import NotifyTest
from engine.notify.outbox import ChannelStatus
from engine.telemetry.alarms import AlarmTracker
from engine.telemetry.recent import RecentCycle, RecentRing

STEP_S = 5

BATTERY = {
    "soh_percent": 98.6,
    "voltage_v": 768.4,
    "current_a": -75.2,
    "insulation_resistance_kohm": 1420.0,
    "status_code": 1.0,
    "alarm_bits": 0.0,
    "max_charge_power_kw": 90.0,
    "max_discharge_power_kw": 80.0,
    "battery_setpoint_kw": -58.0,
}


class FakeDevices:
    """One BMS whose registers hold what the plant's samples say."""

    def __init__(self, plant: MonitoredPlant) -> None:
        self._plant = plant
        self._spec = DeviceSpec("bms", MODBUS_PROFILES["demo_bms"], "127.0.0.1", 15020, 1)
        self._layout = lay_out(self._spec.profile)

    def devices(self) -> tuple[DeviceSpec, ...]:
        return (self._spec,)

    def statistics(self) -> Mapping[str, UnitStatistics]:
        return {"bms": UnitStatistics(812, 3, 1.8, {"timeout": 2, "exception 2": 1}, 1.9, 3.1, 9.4)}

    def registers(self, device: str) -> tuple[RegisterReading, ...]:
        image, profile = self._plant.image(), self._spec.profile
        readings: dict[Point, Reading] = {}
        samples = {}
        for signal, slot in self._layout.registers.items():
            sample = image.samples.get(signal, Sample(100.0, image.ts, "bms"))
            words = encode_register(
                profile.registers[signal], sample.value or 0.0, profile.word_order, signal
            )
            readings[slot.point] = Reading(words, image.ts)
            samples[signal] = sample
        for places in self._layout.alarms.values():
            for _, slot in places:
                readings[slot.point] = Reading((0,), image.ts)
        samples["alarm_bits"] = Sample(0.0, image.ts, "bms")
        return register_readings(Scan(profile, self._layout, readings), samples)


class FakeBroker:
    """No broker is set up."""

    def status(self) -> None:
        return None


class FakeChannels:
    """One channel; counts the tests."""

    def __init__(self) -> None:
        self.tested: list[str] = []

    def status(self) -> tuple[ChannelStatus, ...]:
        return (ChannelStatus("control-room", "webhook", "hooks.example.org", True, "unused"),)

    def test(self, channel: str) -> NotifyTest:
        self.tested.append(channel)
        return NotifyTest(channel, True, "hooks.example.org", 0.3)


class MonitoredPlant(FakeServices):
    """`Services` for the monitoring page; `raise_alarm` sets a bit of the battery."""

    def __init__(
        self,
        start: datetime = START,
        change: Callable[[EngineSnapshot], EngineSnapshot] | None = None,
    ) -> None:
        super().__init__(start, change)
        self.devices = FakeDevices(self)
        self.channels = FakeChannels()
        self.log: list[EventRow] = [self._event("info", "engine_started", "The engine started.")]
        self._tracker = AlarmTracker()
        self._alarms: tuple[AlarmView, ...] = ()
        self._ring = RecentRing()
        for seconds in range(-3600, 1, STEP_S):
            self._ring.add(self.image(start + timedelta(seconds=seconds)))

    def image(self, ts: datetime | None = None) -> ProcessImage:
        """Return the process image of an instant."""
        ts = self._now if ts is None else ts
        values = {**self.day.values(ts), **BATTERY}
        samples = {name: Sample(value, ts, "bms") for name, value in values.items()}
        return ProcessImage("site-1", ts, samples, simulated=True)

    def advance(self, seconds: float, cycles: int = 1) -> None:
        super().advance(seconds, cycles)
        self._ring.add(self.image())

    def snapshot(self) -> EngineSnapshot:
        snapshot = replace(super().snapshot(), image=self.image(), alarms=self._alarms)
        return self.change(snapshot) if self.change else snapshot

    def raise_alarm(self, name: str) -> None:
        self._alarms = self._tracker.update_states({name: True}, self._now, 0.0)
        self.log.append(self._event("alarm", "alarm_raised", name))

    def end_alarm(self, name: str) -> None:
        for monotonic_s in (10.0, 20.0):
            self._alarms = self._tracker.update_states({name: False}, self._now, monotonic_s)
        self.log.append(self._event("info", "alarm_cleared", name))

    def acknowledge(self, alarm: str | None = None, by: str = "operator") -> tuple[str, ...]:
        names = self._tracker.acknowledge(alarm, by=by, ts=self._now)
        self._alarms = self._tracker.views()
        for name in names:
            self.log.append(self._event("info", "alarm_acknowledged", f"{name}: by {by}"))
        return names

    def events(self, since: datetime) -> list[EventRow]:
        return [row for row in self.log if row.ts >= since]

    def recent(self, since: datetime, limit: int | None = None) -> list[RecentCycle]:
        return self._ring.since(since, limit)

    @property
    def device_service(self) -> FakeDevices:
        return self.devices

    @property
    def mqtt_service(self) -> FakeBroker:
        return FakeBroker()

    @property
    def notifications(self) -> FakeChannels:
        return self.channels

    def _event(self, severity: str, code: str, message: str) -> EventRow:
        return EventRow(self._now, "site-1", severity, code, message)
