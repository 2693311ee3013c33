"""The details below the charts: one panel at a time, live while it is looked at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ems_dash.services import Services
from ems_dash.ui.fields import Fields
from ems_dash.ui.moment import Moment
from ems_dash.ui.monitoring import channels, connections, events, raw, registers, signals
from ems_dash.ui.monitoring.connections import Links
from engine.devices.register_view import RegisterReading
from engine.devices.spec import DeviceSpec
from engine.domain.records import EventRow

TABS = ("signals", "connections", "registers", "events", "notifications", "raw")
DEFAULT_TAB = "signals"


@dataclass(frozen=True, slots=True)
class Look:
    """What a browser is looking at.

    Attributes:
        tab: One of `TABS`.
        span: Name of the range of the charts.
        device: Name of the device whose registers are shown; empty for the first.
        event_filter: Least severity of the events shown.
        hold_raw: True when the raw telemetry is to stand still.
    """

    tab: str = DEFAULT_TAB
    span: str = ""
    device: str = ""
    event_filter: str = "all"
    hold_raw: bool = False

    @classmethod
    def of(cls, values: Mapping[str, Any]) -> Look:
        """Return the look that the address or the stores of a page describe, else the usual."""
        tab = values.get("tab")
        chosen = values.get("event_filter")
        return cls(
            tab=tab if tab in TABS else DEFAULT_TAB,
            span=str(values.get("range") or ""),
            device=str(values.get("device") or ""),
            event_filter=chosen if chosen in events.FILTERS else "all",
            hold_raw=values.get("hold_raw") == "yes",
        )


@dataclass(frozen=True, slots=True)
class Panel:
    """What one panel shows.

    Attributes:
        fields: Its texts that change.
        key: Names its rows; it must be drawn anew when that changes.
    """

    fields: Fields
    key: str


def panel_state(services: Services, moment: Moment, look: Look) -> Panel:
    """Return the texts and the rows of the panel that is looked at."""
    if look.tab == "signals":
        return Panel(signals.signal_fields(moment), signals.structure(moment))
    if look.tab == "connections":
        fields = connections.connection_fields(moment, _links(services))
        return Panel(fields, connections.structure(moment))
    if look.tab == "registers":
        device, rows = _registers(services, look)
        name = "" if device is None else device.name
        return Panel(registers.register_fields(moment, rows), registers.structure(name, rows))
    if look.tab == "events":
        return Panel({}, events_key(_events(services, moment.now, events.BACK)))
    if look.tab == "notifications":
        return Panel({}, channels.structure(services.notifications.status()))
    return Panel({}, "")


def panel(services: Services, moment: Moment, look: Look, fields: Fields, *, allowed: bool) -> Any:
    """Return the panel that is looked at; `allowed` for who may send a test message."""
    if look.tab == "signals":
        return signals.signal_panel(moment, fields)
    if look.tab == "connections":
        return connections.connection_panel(moment, fields)
    if look.tab == "registers":
        device, rows = _registers(services, look)
        specs = services.device_service.devices()
        return registers.register_panel(moment, specs, device, rows, fields)
    if look.tab == "events":
        rows_of_log = _events(services, moment.now, events.BACK)
        return events.event_panel(moment, rows_of_log, look.event_filter)
    if look.tab == "notifications":
        return channels.channel_panel(moment, services.notifications.status(), allowed=allowed)
    return raw.raw_panel(moment, held=look.hold_raw)


def events_key(rows: Sequence[EventRow]) -> str:
    """Return a name for a log; it changes with every event."""
    return f"{len(rows)}|{rows[-1].ts.isoformat()}" if rows else "none"


def _events(services: Services, now: datetime, back: timedelta) -> list[EventRow]:
    return services.events(now - back)


def _links(services: Services) -> Links:
    return Links(services.device_service.statistics(), services.mqtt_service.status())


def _registers(
    services: Services, look: Look
) -> tuple[DeviceSpec | None, tuple[RegisterReading, ...]]:
    specs = services.device_service.devices()
    if not specs:
        return None, ()
    device = next((spec for spec in specs if spec.name == look.device), specs[0])
    return device, services.device_service.registers(device.name)
