"""How the connections are doing: devices, broker and the recurring tasks of the engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dash import html

from ems_dash.i18n import label, said, t
from ems_dash.ui import components as ui
from ems_dash.ui import format as fmt
from ems_dash.ui.fields import Fields
from ems_dash.ui.moment import Moment
from ems_dash.ui.overview_model import LINK_KIND
from ems_dash.ui.silence import BROKER
from engine.devices.link_statistics import UnitStatistics
from engine.devices.mqtt.status import MqttStatus
from engine.domain.control import LinkStatus, StepHealth

LINK_COLUMNS = ("connection", "state", "requests", "errors", "latency")
TASK_COLUMNS = ("task", "state", "last_ok", "failures")


@dataclass(frozen=True, slots=True)
class Links:
    """What is known of the connections besides the snapshot.

    Attributes:
        statistics: Device name to requests, errors by kind and latencies.
        broker: State of the broker; None when MQTT is not enabled.
    """

    statistics: Mapping[str, UnitStatistics]
    broker: MqttStatus | None


def structure(moment: Moment) -> str:
    """Return a name for the rows; it changes when other rows are needed."""
    snapshot = moment.snapshot
    return ",".join([link.name for link in snapshot.links] + [s.name for s in snapshot.health])


def connection_fields(moment: Moment, links: Links) -> Fields:
    """Return the texts of both tables."""
    out: Fields = {}
    for i, link in enumerate(moment.snapshot.links):
        out |= _link_fields(f"lnk-{i}", link, links, moment.lang)
    for i, step in enumerate(moment.snapshot.health):
        out |= _task_fields(f"tsk-{i}", step, moment)
    return out


def _link_fields(stem: str, link: LinkStatus, links: Links, lang: str) -> Fields:
    errors = fmt.number(link.errors, 0, lang)
    if link.requests and link.errors:
        share = 100.0 * link.errors / link.requests
        errors += f" ({fmt.Quantity(fmt.number(share, 1, lang), '%')})"
    broker = links.broker if link.name == BROKER else None
    statistics = links.statistics.get(link.name)
    return {
        f"{stem}-q": label("link", link.state, lang),
        f"{stem}-q.className": f"pill pill-{LINK_KIND.get(link.state, 'warn')}"
        + (" pill-dot" if link.state == "online" else ""),
        f"{stem}-r": said(link.reason, lang),
        f"{stem}-n": fmt.number(link.requests, 0, lang),
        f"{stem}-e": errors,
        f"{stem}-k": _broker_facts(broker, lang) if broker else _kinds(statistics, lang),
        f"{stem}-l": _latency(statistics, lang),
        f"{stem}-m": _spread(statistics, lang),
    }


def _kinds(statistics: UnitStatistics | None, lang: str) -> str:
    if statistics is None:
        return ""
    return ", ".join(
        f"{fmt.number(n, 0, lang)} × {_kind(kind, lang)}"
        for kind, n in sorted(statistics.errors_by_kind.items(), key=lambda item: -item[1])
    )


def _kind(kind: str, lang: str) -> str:
    name, _, code = kind.partition(" ")
    return f"{label('link_error', name, lang)} {code}".strip()


def _latency(statistics: UnitStatistics | None, lang: str) -> str:
    value = None if statistics is None else statistics.latency_mean_ms
    return fmt.NO_VALUE if value is None else str(fmt.Quantity(fmt.number(value, 1, lang), "ms"))


def _spread(statistics: UnitStatistics | None, lang: str) -> str:
    if statistics is None or statistics.latency_p95_ms is None:
        return ""
    return t(
        "connections.spread",
        lang,
        p95=fmt.number(statistics.latency_p95_ms, 1, lang),
        most=fmt.Quantity(fmt.number(statistics.latency_max_ms, 1, lang), "ms"),
    )


def _broker_facts(broker: MqttStatus, lang: str) -> str:
    facts = [
        t("connections.broker_sent", lang, n=fmt.number(broker.published, 0, lang)),
        t("connections.broker_received", lang, n=fmt.number(broker.received, 0, lang)),
    ]
    for name, count in (
        ("queued", broker.queued),
        ("dropped", broker.dropped),
        ("bad", broker.bad_messages),
        ("refused", broker.commands_refused),
    ):
        if count:
            facts.append(t(f"connections.broker_{name}", lang, n=fmt.number(count, 0, lang)))
    if broker.silent_topics:
        topics = ", ".join(broker.silent_topics)
        facts.append(t("connections.broker_silent", lang, topics=topics))
    return " · ".join(facts)


def _task_fields(stem: str, step: StepHealth, moment: Moment) -> Fields:
    lang = moment.lang
    last = (
        t("step.never", lang)
        if step.last_success is None
        else fmt.when(step.last_success, moment.now, moment.tz, lang)
    )
    word, look = ("ok", "pill pill-ok pill-dot") if step.ok else ("failing", "pill pill-alarm")
    if step.waits:
        word, look = "waiting", "pill pill-info"
    return {
        f"{stem}-q": t(f"connections.task_{word}", lang),
        f"{stem}-q.className": look,
        f"{stem}-r": said(step.last_error, lang),
        f"{stem}-t": last,
        f"{stem}-n": fmt.number(step.restarts, 0, lang),
    }


def connection_panel(moment: Moment, fields: Fields) -> Any:
    """Return the table of connections and the table of tasks."""
    lang, snapshot = moment.lang, moment.snapshot
    link_columns = [t(f"connections.col_{name}", lang) for name in LINK_COLUMNS]
    task_columns = [t(f"connections.col_{name}", lang) for name in TASK_COLUMNS]
    return [
        ui.table(
            t("monitoring.tab_connections", lang),
            link_columns,
            [
                _link_row(f"lnk-{i}", link, link_columns, fields, lang)
                for i, link in enumerate(snapshot.links)
            ],
            "as-cards",
        )
        if snapshot.links
        else ui.empty(t("devices.none", lang)),
        html.H3(t("connections.tasks", lang), className="minor-title"),
        ui.table(
            t("connections.tasks", lang),
            task_columns,
            [
                _task_row(f"tsk-{i}", step, task_columns, fields, lang)
                for i, step in enumerate(snapshot.health)
            ],
            "as-cards",
        )
        if snapshot.health
        else ui.empty(t("connections.no_tasks", lang)),
    ]


def _link_row(stem: str, link: LinkStatus, columns: list[str], fields: Fields, lang: str) -> Any:
    facts = [said(link.endpoint, lang)]
    if link.name == BROKER:
        facts.append(t("device.broker", lang))
    else:
        facts += [t("device.simulated", lang)] if link.simulated else []
        facts.append(t("device.writable" if link.writable else "device.read_only", lang))
    return html.Tr(
        [
            html.Th(
                [
                    html.Span(link.name, className="cell-title"),
                    html.Span(" · ".join(facts), className="cell-detail"),
                ],
                scope="row",
            ),
            html.Td(
                [
                    ui.live(html.Span, f"{stem}-q", fields),
                    ui.live(html.Span, f"{stem}-r", fields, "cell-detail"),
                ],
                **{"data-label": columns[1]},
            ),
            html.Td(
                ui.live(html.Span, f"{stem}-n", fields),
                className="cell-number",
                **{"data-label": columns[2]},
            ),
            html.Td(
                [
                    ui.live(html.Span, f"{stem}-e", fields),
                    ui.live(html.Span, f"{stem}-k", fields, "cell-detail"),
                ],
                className="cell-number",
                **{"data-label": columns[3]},
            ),
            html.Td(
                [
                    ui.live(html.Span, f"{stem}-l", fields),
                    ui.live(html.Span, f"{stem}-m", fields, "cell-detail"),
                ],
                className="cell-number",
                **{"data-label": columns[4]},
            ),
        ]
    )


def _task_row(stem: str, step: StepHealth, columns: list[str], fields: Fields, lang: str) -> Any:
    return html.Tr(
        [
            html.Th(html.Span(label("step", step.name, lang), className="cell-title"), scope="row"),
            html.Td(
                [
                    ui.live(html.Span, f"{stem}-q", fields),
                    ui.live(html.Span, f"{stem}-r", fields, "cell-detail"),
                ],
                **{"data-label": columns[1]},
            ),
            html.Td(ui.live(html.Span, f"{stem}-t", fields), **{"data-label": columns[2]}),
            html.Td(
                ui.live(html.Span, f"{stem}-n", fields),
                className="cell-number",
                **{"data-label": columns[3]},
            ),
        ]
    )
