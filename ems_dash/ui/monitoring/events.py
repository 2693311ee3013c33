"""The log of events, newest first."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from dash import html

from ems_dash.i18n import catalogue, label, said, t
from ems_dash.ui import components as ui
from ems_dash.ui import format as fmt
from ems_dash.ui.alarm_words import alarm_title
from ems_dash.ui.moment import Moment
from ems_dash.ui.monitoring.alarms import message, severity, who
from engine.domain.records import EventRow

BACK = timedelta(days=7)
MOST = 200

FILTER_STORE = "mon-event-filter"
FILTERS = ("all", "warning", "alarm")
"""Least severity shown."""

_ALARM = re.compile(r"(?P<code>[a-z0-9_]+)(?: \[(?P<subject>[^\]]*)\])?(?:: (?P<text>.*))?")
_STATE = re.compile(r"(?P<before>\w+) -> (?P<after>\w+)(?: \((?P<reason>\w+)\))?")


def event_text(row: EventRow, lang: str) -> str:
    """Return what happened, with the words of the program in the reader's language."""
    if row.code.startswith("alarm_"):
        found = _ALARM.fullmatch(row.message)
        if found is not None and f"alarm.{found['code']}" in catalogue(lang):
            return _alarm_text(found, lang)
    if row.code == "state_changed":
        found = _STATE.fullmatch(row.message)
        if found is not None:
            return _state_text(found, lang, "state", "reason")
    if row.code == "strategy_switched":
        found = _STATE.fullmatch(row.message)
        if found is not None:
            return _state_text(found, lang, "strategy", "strategy_reason")
    if row.code == "strategy_manual":
        strategy, _, until = row.message.partition(" until ")
        return t(
            "event_text.strategy_until", lang, name=label("strategy", strategy, lang), until=until
        )
    key = f"event_text.{row.code}"
    return catalogue(lang).get(key) or said(row.message, lang)


def _alarm_text(found: re.Match[str], lang: str) -> str:
    title = alarm_title(found["code"], found["subject"], lang)
    why = found["text"] or ""
    if why.startswith("by "):
        why = t("alarm.by", lang, name=who(why.removeprefix("by "), lang))
    why = message(why, lang)
    return f"{title} – {why}" if why else title


def _state_text(found: re.Match[str], lang: str, of: str, why: str) -> str:
    before, after = (label(of, found[name], lang) for name in ("before", "after"))
    reason = f" ({label(why, found['reason'], lang)})" if found["reason"] else ""
    return f"{before} → {after}{reason}"


def event_panel(moment: Moment, events: Sequence[EventRow], chosen: str) -> Any:
    """Return the log; `chosen` is the filter in force."""
    lang = moment.lang
    newest = list(reversed(events))[:MOST]
    if not newest:
        return ui.empty(t("events.none", lang))
    columns = [t(f"events.col_{name}", lang) for name in ("time", "severity", "event", "text")]
    return [
        html.Div(
            [
                ui.segment(
                    FILTER_STORE,
                    t("events.filter", lang),
                    [(name, t(f"events.filter_{name}", lang)) for name in FILTERS],
                    chosen,
                ),
                html.Span(t("events.caption", lang, n=len(newest)), className="caption"),
            ],
            className="panel-tools",
        ),
        html.Div(
            [
                ui.table(
                    t("monitoring.tab_events", lang),
                    columns,
                    [_row(row, columns, moment) for row in newest],
                    "as-cards event-table",
                ),
                html.P(t("events.nothing_matches", lang), className="empty filter-empty"),
            ],
            className=f"filtered filter-{chosen}",
            id="mon-event-list",
        ),
    ]


def _row(row: EventRow, columns: Sequence[str], moment: Moment) -> Any:
    lang = moment.lang
    return html.Tr(
        [
            html.Td(
                fmt.when(row.ts, moment.now, moment.tz, lang),
                className="cell-time",
                **{"data-label": columns[0]},
            ),
            html.Td(severity(row.severity, lang), **{"data-label": columns[1]}),
            html.Th(label("event", row.code, lang), scope="row", className="cell-title"),
            html.Td(
                event_text(row, lang), className="cell-text cell-wide", **{"data-label": columns[3]}
            ),
        ],
        className=f"is-{row.severity}",
    )
