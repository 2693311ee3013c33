"""The strip of alarms above a page: what is active or not seen, gravest first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from dash import dcc, html

from ems_dash.i18n import label, t
from ems_dash.ui import components as ui
from ems_dash.ui import format as fmt
from ems_dash.ui.alarm_words import alarm_title
from ems_dash.ui.moment import calm_reason
from ems_dash.ui.overview_model import SEVERITY_KIND, ListEntry
from engine.domain.alarms import AlarmView, severity_rank
from engine.domain.snapshot import EngineSnapshot

MOST = 4

_ICON = {"info": "info-circle", "warn": "exclamation-triangle", "alarm": "x-octagon"}


def alarm_entries(snapshot: EngineSnapshot, lang: str) -> list[ListEntry]:
    """Return the alarms that are active, and those over that nobody has seen, gravest first."""
    shown = [view for view in snapshot.alarms if view.active or not view.acknowledged]
    shown.sort(key=lambda view: (not view.active, -severity_rank(view.severity)))
    tz = ZoneInfo(snapshot.site.timezone)
    return [_entry(view, tz, lang) for view in shown]


def _entry(view: AlarmView, tz: ZoneInfo, lang: str) -> ListEntry:
    since = fmt.clock_time(view.raised_at, tz)
    if view.cleared_at is None:
        text = t("alarm.since", lang, time=since)
    else:
        text = t("alarm.was", lang, start=since, end=fmt.clock_time(view.cleared_at, tz))
    seen = t("alarm.acknowledged" if view.acknowledged else "alarm.unacknowledged", lang)
    return ListEntry(
        title=alarm_title(view.name, view.subject, lang),
        text=f"{text} · {seen}",
        kind=SEVERITY_KIND[view.severity] if view.active else "info",
        word=label("severity", view.severity, lang) if view.active else t("alarm.over", lang),
        hint=calm_reason(view.message, lang),
    )


def strip(entries: Sequence[ListEntry], lang: str) -> Any:
    """Return the strip with a link to all alarms; nothing when there are none."""
    if not entries:
        return None
    more = len(entries) - MOST
    return html.Section(
        [
            html.Ul(
                [_item(entry) for entry in entries[:MOST]],
                className="alarm-items",
                **{"aria-label": t("alarms.title", lang)},
            ),
            dcc.Link(
                t("alarms.more", lang, n=more) if more > 0 else t("alarms.all", lang),
                href="/monitoring",
                className="alarm-link",
            ),
        ],
        className=f"alarm-strip alarm-strip-{entries[0].kind}",
    )


def _item(entry: ListEntry) -> Any:
    return html.Li(
        [
            ui.icon(_ICON[entry.kind]),
            html.Span(f"{entry.word}: ", className="alarm-word"),
            html.Span(entry.title, className="alarm-name"),
            html.Span(entry.text, className="alarm-text"),
        ],
        className=f"alarm-item alarm-{entry.kind}",
        title=entry.hint,
    )
