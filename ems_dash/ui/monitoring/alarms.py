"""The table of alarms: active ones, those nobody has seen, and what is over since yesterday."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dash import html

from ems_dash.i18n import catalogue, label, t
from ems_dash.ui import components as ui
from ems_dash.ui import format as fmt
from ems_dash.ui.alarm_words import alarm_title
from ems_dash.ui.moment import Moment, calm_reason
from ems_dash.ui.overview_model import SEVERITY_KIND
from engine.domain.alarms import AlarmView, severity_rank
from engine.domain.records import EventRow
from engine.notify.events import ended_alarms

RECENT = timedelta(hours=24)
"""How far back alarms that are over are listed."""

MOST_ENDED = 50

FILTERS = ("all", "active", "open", "over")
"""What of the table is shown: everything, active, not acknowledged, over."""

SEVERITY_ICON = {
    "info": "info-circle",
    "warning": "exclamation-triangle",
    "alarm": "x-octagon",
}


@dataclass(frozen=True, slots=True)
class AlarmRow:
    """One alarm as the table says it.

    Attributes:
        id: Names it when it is acknowledged; empty when there is nothing to acknowledge.
        severity: ``"info"``, ``"warning"`` or ``"alarm"``.
        title: What it is called, with what it is about.
        detail: What exactly is wrong, as it was said; empty when nothing more is known.
        raised: When it became active.
        seen: When a person saw it and who, or that nobody has.
        cleared: When it ended, or that it has not.
        active: True while it is active.
        acknowledged: True once it was seen.
    """

    id: str
    severity: str
    title: str
    detail: str
    raised: str
    seen: str
    cleared: str
    active: bool
    acknowledged: bool


def alarm_rows(moment: Moment, events: Sequence[EventRow]) -> list[AlarmRow]:
    """Return the rows of the table: active by severity, then by time, newest first.

    Args:
        moment: The state of the engine; its alarms are active or not acknowledged.
        events: Events of at least the last `RECENT`, in which those that are over are found.
    """
    listed = moment.snapshot.alarms
    since = moment.now - RECENT
    # What is over but not seen is on the list still, and the newest of its name in the log.
    on_list = {view.id for view in listed if not view.active}
    over = []
    for view in ended_alarms(events):
        if view.id in on_list:
            on_list.remove(view.id)
        elif view.cleared_at is not None and view.cleared_at >= since:
            over.append(view)
    ordered = sorted(listed, key=lambda v: v.raised_at, reverse=True)
    ordered.sort(key=lambda v: (not v.active, v.acknowledged, -severity_rank(v.severity)))
    rows = [_row(view, moment, can_be_seen=not view.acknowledged) for view in ordered]
    return rows + [_row(view, moment, can_be_seen=False) for view in over[:MOST_ENDED]]


def _row(view: AlarmView, moment: Moment, *, can_be_seen: bool) -> AlarmRow:
    lang = moment.lang
    detail = [message(view.message, lang)] if view.message else []
    if view.flapping:
        detail.append(t("alarm.flapping", lang))
    if view.count > 1:
        detail.append(t("alarms.times", lang, n=view.count))
    return AlarmRow(
        id=view.id if can_be_seen else "",
        severity=view.severity,
        title=alarm_title(view.name, view.subject, lang),
        detail=" · ".join(detail),
        raised=_when(view.raised_at, moment),
        seen=_seen(view, moment),
        cleared=t("alarms.still", lang)
        if view.cleared_at is None
        else _when(view.cleared_at, moment),
        active=view.active,
        acknowledged=view.acknowledged,
    )


def _when(ts: datetime, moment: Moment) -> str:
    return fmt.when(ts, moment.now, moment.tz, moment.lang)


def _seen(view: AlarmView, moment: Moment) -> str:
    lang = moment.lang
    if not view.acknowledged:
        return t("alarms.not_yet", lang)
    if view.acknowledged_at is None:
        return t("alarm.acknowledged", lang)
    at = _when(view.acknowledged_at, moment)
    if view.acknowledged_by is None:
        return at
    return t("alarms.seen", lang, time=at, by=who(view.acknowledged_by, lang))


def message(text: str, lang: str) -> str:
    """Return what was said of an alarm: a reason of the engine in words, all else as it is."""
    return catalogue(lang).get(f"reason.{text}") or calm_reason(text, lang)


def who(name: str, lang: str) -> str:
    """Return a person's name as it is, a part of the program by its name."""
    return catalogue(lang).get(f"who.{name}", name)


def count_active(rows: Sequence[AlarmRow]) -> tuple[int, int]:
    """Return the number of active alarms and of those nobody has seen."""
    return sum(row.active for row in rows), sum(bool(row.id) for row in rows)


def headline(rows: Sequence[AlarmRow], lang: str) -> Any:
    """Return the pill beside the title: how many alarms are active."""
    active, unseen = count_active(rows)
    if active == 0 and unseen == 0:
        return html.Span(t("alarms.quiet", lang), className="pill pill-ok pill-dot")
    worst = [row.severity for row in rows if row.active]
    alarm = "alarm" in worst
    kind = "alarm" if alarm else "warn" if worst else "info"
    return html.Span(
        t("alarms.count", lang, active=active, unseen=unseen), className=f"pill pill-{kind}"
    )


def alarm_table(rows: Sequence[AlarmRow], lang: str, *, allowed: bool) -> Any:
    """Return the table, or that there is nothing to list.

    Args:
        rows: Its rows.
        lang: ``"de"`` or ``"en"``.
        allowed: True for who may acknowledge.
    """
    if not rows:
        return html.Div(
            [
                ui.icon("check-circle"),
                html.P(t("alarms.none", lang)),
            ],
            className="empty empty-well",
        )
    columns = [t(f"alarms.col_{name}", lang) for name in ("severity", "what", "raised", "seen")]
    columns.append(t("alarms.col_cleared", lang))
    if allowed:
        columns.append("")
    return [
        ui.table(
            t("alarms.title", lang),
            columns,
            [_table_row(row, columns, lang, allowed=allowed) for row in rows],
            "alarm-table as-cards",
        ),
        html.P(t("alarms.nothing_matches", lang), className="empty filter-empty"),
    ]


def _table_row(row: AlarmRow, columns: Sequence[str], lang: str, *, allowed: bool) -> Any:
    state = ["is-active" if row.active else "is-over", f"is-{row.severity}"]
    if row.id:
        state.append("is-open")
    cells = [
        html.Td(severity(row.severity, lang), **{"data-label": columns[0]}),
        html.Th(
            [
                html.Span(row.title, className="cell-title"),
                html.Span(row.detail, className="cell-detail") if row.detail else None,
            ],
            scope="row",
        ),
        html.Td(row.raised, **{"data-label": columns[2]}),
        html.Td(row.seen, **{"data-label": columns[3]}),
        html.Td(row.cleared, **{"data-label": columns[4]}),
    ]
    if allowed:
        button = html.Button(
            t("alarms.acknowledge", lang),
            id={"type": "mon-ack", "id": row.id},
            className="button button-small",
            type="button",
            **{"aria-label": t("alarms.acknowledge_one", lang, alarm=row.title)},
        )
        cells.append(html.Td(button if row.id else None, className="cell-action"))
    return html.Tr(cells, className=" ".join(state))


def severity(name: str, lang: str) -> Any:
    """Return a severity as icon, word and colour."""
    return html.Span(
        [ui.icon(SEVERITY_ICON.get(name, "info-circle")), label("severity", name, lang)],
        className=f"severity severity-{SEVERITY_KIND.get(name, 'warn')}",
    )
