"""What a restarted site remembers: events, alarms, minute means and what was booked."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from engine.domain.local_days import local_day, local_midnight
from engine.domain.quarter_hour import quarter_start
from engine.domain.records import SampleRow
from engine.domain.site import Site
from engine.history.store import HistoryStore
from engine.notify.desk import AlarmDesk
from engine.runtime.cycle import ControlCycle
from engine.telemetry.event_log import EventLog
from engine.telemetry.minute_ring import CAPACITY_MINUTES, MinuteRing

RING_SIGNALS: Final = (
    *("soc_percent", "battery_kw", "grid_kw", "pv_kw", "load_kw"),
    *("max_charge_power_kw", "max_discharge_power_kw"),
)

_ALARMS_REMEMBERED: Final = timedelta(days=30)
_QUARTER: Final = timedelta(minutes=15)


def restore_past(
    store: HistoryStore,
    site: Site,
    now: datetime,
    *,
    events: EventLog,
    alarms: AlarmDesk,
    ring: MinuteRing,
    cycle: ControlCycle,
    last: SampleRow | None,
) -> None:
    """Fill the memory of a site from its history.

    Args:
        store: The history.
        site: The site.
        now: Time of the start, UTC.
        events: Gets the events of the last 30 days.
        alarms: Gets the alarms that were active in them.
        ring: Gets the minute means of the time it covers.
        cycle: Gets the quarter-hours booked since local midnight, or since `last`.
        last: Newest sample of the same devices before the restart; None to go on from nothing.

    Raises:
        HistoryError: The history could not be read.
    """
    stored = store.events(site.site_id, now - _ALARMS_REMEMBERED, now)
    events.preload(stored)
    alarms.restore(stored)
    ring.preload(
        store.minute_means(
            site.site_id, RING_SIGNALS, now - timedelta(minutes=CAPACITY_MINUTES), now
        )
    )
    zone = ZoneInfo(site.timezone)
    midnight = local_midnight(local_day(now, zone), zone)
    since = midnight if last is None else min(midnight, quarter_start(last.ts))
    cycle.preload_costs(store.ledger(site.site_id, since, quarter_start(now) + _QUARTER), last)
