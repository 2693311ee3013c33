"""Components of the pages, built from plain texts.

Every function returns a Dash component; ids of changing parts are given by the caller, so the
live fields of a page are the only place that names them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import dcc, html

from ems_dash.ui.fields import Fields
from ems_dash.ui.header import Badge
from ems_dash.ui.overview_model import ListEntry

Component = Any


def icon(name: str, role: str = "") -> Component:
    """Return a decorative icon; `role` colours it like the data it stands for."""
    classes = f"icon icon-{name}" + (f" role-{role}" if role else "")
    return html.Span(className=classes, **{"aria-hidden": "true"})


def live(tag: Any, field: str, fields: Fields, class_name: str = "", **props: Any) -> Component:
    """Return a component whose text, class, style and title come from `fields`.

    Args:
        tag: Class of the component, for example `html.Span`.
        field: Its id and the stem of its field names.
        fields: The texts to start with.
        class_name: Class when no field sets it.
        props: Further properties.
    """
    if class_name:
        props["className"] = class_name
    for name in ("className", "style", "title"):
        if f"{field}.{name}" in fields:
            props[name] = fields[f"{field}.{name}"]
    if field in fields and "children" not in props:
        props["children"] = fields[field]
    return tag(id=field, **props)


def mark_pill(field: str, fields: Fields) -> Component:
    """Return the pill that says when a value is stale or missing; it vanishes when empty."""
    return live(html.Span, field, fields, "pill pill-stale")


def kpi_card(
    name: str,
    label: str,
    icon_name: str,
    unit: str,
    fields: Fields,
    *,
    middle: Component = None,
    subs: Sequence[str] = (),
    foot: Component = None,
    wordy: bool = False,
    spark: str = "",
) -> Component:
    """Return a card with one big value.

    Args:
        name: Stem of its fields: ``<name>-v`` value, ``<name>-p`` pill, ``<name>-u`` a unit that
            changes.
        label: What the value is.
        icon_name: Icon beside the label.
        unit: Unit behind the value, or empty.
        fields: The texts to start with.
        middle: What stands between value and sub lines.
        subs: Fields of the sub lines.
        foot: What stands below them.
        wordy: True when the value is a word rather than a figure.
        spark: What the last 60 minutes of the value are called; empty for no sparkline. The
            browser draws it from the points of the charts (`assets/live.js`).
    """
    value = [live(html.Span, f"{name}-v", fields, "kpi-number")]
    if f"{name}-u" in fields:
        value.append(live(html.Span, f"{name}-u", fields, "unit"))
    elif unit:
        value.append(html.Span(unit, className="unit"))
    if spark:
        value.append(
            html.Span(
                html.Span(className="spark-area", id=f"{name}-spark"),
                className="spark",
                title=spark,
                **{"aria-hidden": "true"},
            )
        )
    pill = [mark_pill(f"{name}-p", fields)] if f"{name}-p" in fields else []
    return live(
        html.Section,
        name,
        fields,
        children=[
            html.Div(
                [icon(icon_name), html.H2(label, id=f"{name}-l"), *pill], className="kpi-label"
            ),
            html.Div(value, className="kpi-value kpi-words" if wordy else "kpi-value"),
            html.Div(middle, className="kpi-middle") if middle is not None else None,
            html.Div(
                [*(live(html.Div, sub, fields) for sub in subs), foot],
                className="kpi-subs",
            ),
        ],
        **{"aria-labelledby": f"{name}-l"},
    )


def progress(field: str, fields: Fields, *, limits: tuple[float, float]) -> Component:
    """Return the state-of-charge bar with marks at the ends of the SoC window (percent)."""
    ticks = [html.Span(className="bar-tick", style={"left": f"{level:g}%"}) for level in limits]
    return html.Div(
        [live(html.Div, field, fields, "bar-fill"), *ticks],
        className="bar",
        **{"aria-hidden": "true"},
    )


def middle_bar(field: str, fields: Fields, left: str, right: str) -> Component:
    """Return a bar that grows from its middle, with a word at each end."""
    return html.Div(
        [
            html.Div(
                [live(html.Div, field, fields, "bar-fill"), html.Span(className="bar-zero")],
                className="bar",
            ),
            html.Div([html.Span(left), html.Span(right)], className="bar-ends"),
        ],
        **{"aria-hidden": "true"},
    )


def status_row(
    name: str, label: str, icon_name: str, *, role: str, unit: str, fields: Fields
) -> Component:
    """Return a row of the system status: icon, what it is, a word, pill, value."""
    return live(
        html.Li,
        name,
        fields,
        children=[
            icon(icon_name, role),
            html.Div(
                [
                    html.Div(label, className="row-label"),
                    live(html.Div, f"{name}-w", fields, "row-word"),
                ],
                className="row-text",
            ),
            html.Div(
                [
                    mark_pill(f"{name}-p", fields),
                    html.Span(
                        [
                            live(html.Span, f"{name}-v", fields, "row-number"),
                            html.Span(unit, className="unit"),
                        ],
                        className="row-value",
                    ),
                ],
                className="row-figures",
            ),
        ],
    )


def badge(entry: Badge) -> Component:
    """Return a standing remark as a pill."""
    return html.Span(entry.text, className=f"pill pill-{entry.kind}", title=entry.title)


_ENTRY_ICON = {
    "ok": "check-circle",
    "info": "info-circle",
    "warn": "exclamation-triangle",
    "alarm": "x-octagon",
}


def notice(entry: ListEntry) -> Component:
    """Return a remark or failure as a line with icon, word and text."""
    return html.Li(
        [
            icon(_ENTRY_ICON[entry.kind]),
            html.Span(f"{entry.word}: ", className="visually-hidden"),
            html.Div(
                [
                    html.Span(entry.title, className="notice-title"),
                    html.Span(entry.text, className="notice-text") if entry.text else None,
                ]
            ),
        ],
        className=f"notice notice-{entry.kind}",
    )


def device(entry: ListEntry) -> Component:
    """Return a device connection as a compact line; what is wrong with it stands below its name."""
    dot = " pill-dot" if entry.kind == "ok" else ""
    beside = " row-inline" if entry.kind == "ok" else ""
    part = html.Span if entry.kind == "ok" else html.Div
    return html.Li(
        [
            icon("hdd-network"),
            html.Div(
                [
                    part(entry.title, className="row-label"),
                    part(entry.text, className="row-word"),
                ],
                className=f"row-text{beside}",
            ),
            html.Span(entry.word, className=f"pill pill-{entry.kind}{dot}"),
        ],
        className="row-item row-compact",
        title=entry.hint,
    )


def segment(
    store: str,
    label: str,
    options: Sequence[tuple[str, str]],
    chosen: str,
    *,
    parameter: str = "",
) -> Component:
    """Return a row of buttons of which one is chosen; `assets/live.js` serves them.

    Args:
        store: Id of the `dcc.Store` that is told the value chosen.
        label: What is chosen, for those who do not see it.
        options: Value and text of each button.
        chosen: Value chosen now.
        parameter: Name under which the address of the page keeps the choice; empty for none.
    """
    return html.Div(
        [
            html.Button(
                text,
                className="segment-button",
                type="button",
                **{
                    "data-choice": store,
                    "data-value": value,
                    "data-parameter": parameter,
                    "aria-pressed": "true" if value == chosen else "false",
                },
            )
            for value, text in options
        ],
        className="segment-group",
        role="group",
        **{"aria-label": label},
    )


def table(
    caption: str, columns: Sequence[str], rows: Sequence[Component], class_name: str = ""
) -> Component:
    """Return a table with a caption for those who do not see it; wide ones scroll sideways.

    Args:
        caption: What it lists.
        columns: Heads of the columns; an empty one is a column of buttons.
        rows: Its rows, each an `html.Tr`.
        class_name: Further class.
    """
    heads = [html.Th(text, scope="col") if text else html.Td() for text in columns]
    return html.Div(
        html.Table(
            [
                html.Caption(caption, className="visually-hidden"),
                html.Thead(html.Tr(heads)),
                html.Tbody(list(rows)),
            ],
            className=f"data-table {class_name}".strip(),
        ),
        className="table-scroll",
        tabIndex="0",
        role="group",
        **{"aria-label": caption},
    )


def legend(items: Sequence[tuple[str, str, str]]) -> Component:
    """Return an HTML legend; items are (shape of the swatch, role, text)."""
    return html.Ul(
        [
            html.Li([html.Span(className=f"swatch swatch-{shape} role-{role}"), text])
            for shape, role, text in items
        ],
        className="legend",
        **{"aria-hidden": "true"},
    )


def chart(
    name: str, figure: Mapping[str, Any], config: Mapping[str, Any], summary: str, kind: str
) -> Component:
    """Return a chart with a text summary for those who do not see it.

    Args:
        name: Name of the chart; its id is ``{"type": "chart", "id": name}``.
        figure: The figure to start with.
        config: Plotly configuration.
        summary: The summary in words; its id is ``<name>-summary``.
        kind: Height class, ``"main"`` or ``"double"``.
    """
    return html.Div(
        [
            html.P(summary, id=f"{name}-summary", className="visually-hidden"),
            html.Div(
                dcc.Graph(
                    id={"type": "chart", "id": name},
                    figure=figure,
                    config=dict(config),
                    className=f"chart chart-{kind}",
                    responsive=True,
                ),
                role="img",
                **{"aria-labelledby": f"{name}-summary"},
            ),
        ]
    )


_DE_LOCALE = {
    "days": ["Sonntag", "Montag", "Dienstag", "Mittwoch", "Donnerstag", "Freitag", "Samstag"],
    "shortDays": ["So", "Mo", "Di", "Mi", "Do", "Fr", "Sa"],
    "months": [
        "Januar",
        "Februar",
        "März",
        "April",
        "Mai",
        "Juni",
        "Juli",
        "August",
        "September",
        "Oktober",
        "November",
        "Dezember",
    ],
    "shortMonths": [
        "Jan.",
        "Feb.",
        "März",
        "Apr.",
        "Mai",
        "Juni",
        "Juli",
        "Aug.",
        "Sept.",
        "Okt.",
        "Nov.",
        "Dez.",
    ],
    "date": "%d.%m.%Y",
}


def chart_config(lang: str) -> dict[str, Any]:
    """Return the Plotly configuration of a live chart: no tool bar, names of days in `lang`."""
    config: dict[str, Any] = {"displayModeBar": False, "scrollZoom": False, "doubleClick": False}
    if lang == "de":
        config["locale"] = "de"
        config["locales"] = {"de": {"dictionary": {}, "format": _DE_LOCALE}}
    return config


def empty(text: str, hint: str = "") -> Component:
    """Return what a card says when it has nothing to show: one sentence and what to expect."""
    return html.Div(
        [html.P(text), html.P(hint, className="empty-hint") if hint else None], className="empty"
    )
