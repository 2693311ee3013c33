"""Which devices do not answer, and since when; what pages about the past say of it."""

from __future__ import annotations

from datetime import datetime

from ems_dash.i18n import label, t
from ems_dash.ui import format as fmt
from ems_dash.ui.moment import Moment
from engine.domain.snapshot import EngineSnapshot

BROKER = "mqtt"
"""Name of the broker among the connections."""

_LINK = "link_offline"
_STALE = ("bms_stale", "meter_stale")


def offline_since(snapshot: EngineSnapshot) -> dict[str, datetime | None]:
    """Return every device without a connection, and since when (UTC); None while untold."""
    told = {
        alarm.subject: alarm.raised_at
        for alarm in snapshot.alarms
        if alarm.active and alarm.name == _LINK
    }
    return {
        link.name: told.get(link.name)
        for link in snapshot.links
        if link.state == "offline" and link.name != BROKER
    }


def silence(moment: Moment) -> str:
    """Return what is not measured at the moment and since when; empty when all is."""
    lang = moment.lang
    names: dict[str, list[str]] = {}
    for name, since in offline_since(moment.snapshot).items():
        names.setdefault(_since(since, moment), []).append(name)
    if names:
        devices = "; ".join(f"{', '.join(group)} {since}".strip() for since, group in names.items())
        return t("silence.devices", lang, devices=devices)
    stale = [
        f"{label('alarm', alarm.name, lang)} {_since(alarm.raised_at, moment)}"
        for alarm in moment.snapshot.alarms
        if alarm.active and alarm.name in _STALE
    ]
    return t("silence.values", lang, what="; ".join(stale)) if stale else ""


def _since(ts: datetime | None, moment: Moment) -> str:
    if ts is None:
        return ""
    lang = moment.lang
    return t("silence.since", lang, time=fmt.when(ts, moment.now, moment.tz, lang))
