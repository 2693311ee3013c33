"""The SQL page as components: editor, examples, saved queries, answer, tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dash_bootstrap_components as dbc
from dash import dcc, html

from ems_dash.i18n import history_said, label, meaning, sql_said, t
from ems_dash.ui import components as ui
from ems_dash.ui.analytics import sql_model as model
from ems_dash.ui.analytics.frame import silent_line
from ems_dash.ui.analytics.sql_examples import EXAMPLES
from ems_dash.ui.analytics.tabs import tabs
from ems_dash.ui.fields import Fields
from ems_dash.ui.header import badges, site_line
from ems_dash.ui.live import TICK_MS
from ems_dash.ui.moment import Moment
from engine.domain.errors import EmsError
from engine.history.dictionary import LOCAL_TIME_COLUMN, TableInfo, table_info, tables
from engine.history.sql_guard import MOST_CHARACTERS
from engine.history.sql_sandbox import LIMIT_SECONDS, ROW_LIMIT, SqlResult

SILENT = "sq-silent"
"""Id of the line that says which devices do not answer."""

FIRST_TABLE = "ledger"
"""Table whose columns are shown first."""


def page(moment: Moment, fields: Fields, first_state: Mapping[str, Any], sql: str) -> Any:
    """Return the page.

    Args:
        moment: The state of the engine.
        fields: Texts that change while the page is looked at.
        first_state: What the browser has after this.
        sql: Statement in the editor at first.
    """
    lang = moment.lang
    return ui.live(
        html.Div,
        "sq-root",
        fields,
        **{"data-tick": "sq-tick"},
        children=[
            dcc.Interval(id="sq-tick", interval=TICK_MS),
            dcc.Store(id="sq-state", data=dict(first_state)),
            dcc.Store(id="sq-delta"),
            dcc.Store(id="sq-charts"),
            dcc.Store(id="sq-saved", storage_type="local"),
            html.Div(t("late.bar", lang), className="late-bar", role="status"),
            html.Div(
                [
                    html.Div(
                        [
                            html.H1(t("analytics.title", lang)),
                            html.P(site_line(moment.snapshot, lang), className="subtitle"),
                        ]
                    ),
                    html.Div(
                        [ui.badge(entry) for entry in badges(moment.snapshot, lang)],
                        className="badges",
                    ),
                ],
                className="page-head",
            ),
            tabs("sql", lang),
            silent_line(SILENT, fields),
            html.Div(
                [
                    html.Div([_editor(sql, lang), _answer_card(lang)], className="column"),
                    html.Div([_saved(lang), _schema(lang)], className="column"),
                ],
                className="main-grid sq-grid",
            ),
        ],
    )


def _editor(sql: str, lang: str) -> Any:
    chips = [
        html.Li(
            html.Button(
                t(f"sqlpage.example_{example.key}", lang),
                type="button",
                className="sq-chip",
                **{"data-sq-sql": example.sql},
            )
        )
        for example in EXAMPLES
    ]
    limits = t(
        "sqlpage.limits", lang, seconds=f"{LIMIT_SECONDS:.0f}", rows=model.whole(ROW_LIMIT, lang)
    )
    return html.Section(
        [
            html.H2(t("sqlpage.examples", lang), id="sq-examples-title"),
            html.Ul(chips, className="sq-chips", **{"aria-labelledby": "sq-examples-title"}),
            html.Label(t("sqlpage.statement", lang), htmlFor="sq-sql", className="form-label"),
            dcc.Textarea(
                id="sq-sql",
                value=sql,
                rows=11,
                maxLength=MOST_CHARACTERS,
                spellCheck=False,
                className="sq-editor form-control",
                persistence=True,
                persistence_type="session",
            ),
            html.Div(
                [
                    html.Button(
                        t("sqlpage.run", lang),
                        id="sq-run",
                        type="button",
                        className="btn button-main sq-run",
                        **{"aria-keyshortcuts": "Control+Enter"},
                    ),
                    html.Span(t("sqlpage.keys", lang), className="caption sq-keys"),
                    html.Span(
                        html.Span(t("sqlpage.running", lang), id="sq-busy", hidden=True),
                        role="status",
                    ),
                ],
                className="sq-actions",
            ),
            html.P(limits, className="caption sq-limits"),
        ],
        className="card",
    )


def _answer_card(lang: str) -> Any:
    return html.Section(
        [
            html.H2(t("sqlpage.result", lang), id="sq-result-title"),
            html.Div(
                ui.empty(t("sqlpage.not_run", lang), t("sqlpage.not_run_hint", lang)),
                id="sq-result",
                **{"aria-live": "polite"},
            ),
        ],
        className="card",
        **{"aria-labelledby": "sq-result-title"},
    )


def answer(result: SqlResult, sql: str, timezone: str, lang: str) -> list[Any]:
    """Return the answer to a statement: figures about it, its rows, links to export it.

    Args:
        result: The answer.
        sql: The statement.
        timezone: IANA name of the zone in which times with an offset are shown.
        lang: Language.
    """
    said = html.P(model.summary(result, ROW_LIMIT, lang), id="sq-summary", className="sq-summary")
    if not result.table.num_rows:
        names = ", ".join(column.name for column in result.columns)
        return [
            said,
            ui.empty(t("sqlpage.no_rows", lang), t("sqlpage.no_rows_hint", lang, names=names)),
        ]
    rows = [
        html.Tr([_cell(cell, lang) for cell in row])
        for row in model.rows_of_cells(result, timezone, lang)
    ]
    caption = t("sqlpage.result", lang)
    heads = [
        html.Th(
            [column.name, html.Span(column.type, className="sq-type")],
            scope="col",
            className="sq-number" if model.is_figure(kind) else None,
        )
        for column, kind in zip(result.columns, result.table.schema.types, strict=True)
    ]
    return [
        said,
        html.Div(
            html.Table(
                [
                    html.Caption(caption, className="visually-hidden"),
                    html.Thead(html.Tr(heads)),
                    html.Tbody(rows),
                ],
                className="data-table sq-table",
            ),
            className="table-scroll",
            tabIndex="0",
            role="group",
            **{"aria-label": caption},
        ),
        _exports(sql, lang),
    ]


def _cell(cell: model.Cell, lang: str) -> Any:
    if cell.kind == "null":
        return html.Td(html.Span(cell.text, className="sq-null"))
    if cell.kind == "empty":
        return html.Td(html.Span(t("sqlpage.empty_text", lang), className="visually-hidden"))
    return html.Td(cell.text, className=f"sq-{cell.kind}", title=cell.title or None)


def _exports(sql: str, lang: str) -> Any:
    links = model.export_links(sql, lang)
    if not links:
        return html.P(t("sqlpage.export_too_long", lang), className="caption")
    return html.Div(
        [
            html.Span(t("sqlpage.export", lang), className="caption"),
            *(
                html.A(name, href=address, className="btn button", download="")
                for name, address in links
            ),
        ],
        className="an-links sq-links",
    )


def mistake(error: EmsError, sql: str, lang: str) -> list[Any]:
    """Return what is wrong with a statement, where, and what to do."""
    place = model.place_of(error, sql)
    shown: list[Any] = []
    if place is not None:
        at = place.column - 1
        shown = [
            html.Pre(
                [
                    html.Span(f"{place.line} ", className="sq-line", **{"aria-hidden": "true"}),
                    place.text[:at],
                    html.Mark(place.text[at : at + 1] or " "),
                    place.text[at + 1 :],
                ],
                className="sq-place",
            ),
            html.Button(
                t("sqlpage.go_to", lang, line=place.line, column=place.column),
                type="button",
                id="sq-go",
                className="btn button",
                **{"data-sq-line": str(place.line), "data-sq-column": str(place.column)},
            ),
        ]
    return [
        html.Div(
            [
                html.P(
                    [
                        ui.icon("x-octagon"),
                        html.Strong(t("sqlpage.mistake", lang)),
                    ],
                    className="sq-mistake-title",
                ),
                *_said(error.message, lang),
                *shown,
                html.P(history_said(error.hint, lang), className="caption") if error.hint else None,
            ],
            className="sq-mistake",
        )
    ]


def _said(message: str, lang: str) -> list[Any]:
    told = sql_said(message, lang)
    original = html.Span(told.original, lang="en")
    if told.text is None:
        return [html.P([t("sqlpage.database_says", lang), " ", original], id="sq-message")]
    shown = [html.P(told.text, id="sq-message")]
    if told.original is not None:
        shown.append(html.P([t("sqlpage.in_its_words", lang), " ", original], className="caption"))
    return shown


def _saved(lang: str) -> Any:
    return html.Section(
        [
            html.H2(t("sqlpage.saved", lang), id="sq-saved-title"),
            html.P(t("sqlpage.saved_note", lang), className="caption"),
            html.Ul(
                [],
                id="sq-saved-list",
                className="sq-saved",
                **{
                    "aria-labelledby": "sq-saved-title",
                    "data-delete": t("sqlpage.delete", lang, name="{name}"),
                    "data-none": t("sqlpage.saved_none", lang),
                    "data-need-name": t("sqlpage.need_name", lang),
                    "data-need-sql": t("sqlpage.need_sql", lang),
                    "data-said": t("sqlpage.was_saved", lang, name="{name}"),
                    "data-replaced": t("sqlpage.was_replaced", lang, name="{name}"),
                    "data-deleted": t("sqlpage.was_deleted", lang, name="{name}"),
                },
            ),
            html.Label(t("sqlpage.name", lang), htmlFor="sq-name", className="form-label"),
            html.Div(
                [
                    dbc.Input(id="sq-name", type="text", maxLength=60, autoComplete="off"),
                    html.Button(
                        t("sqlpage.save", lang), id="sq-save", type="button", className="btn button"
                    ),
                ],
                className="sq-name",
            ),
            html.P("", id="sq-said", className="caption", role="status"),
        ],
        className="card",
        **{"aria-labelledby": "sq-saved-title"},
    )


def _schema(lang: str) -> Any:
    options = [
        {"value": name, "label": f"{name} – {label('sqlpage.table', name, lang)}"}
        for name in tables()
    ]
    return html.Section(
        [
            html.H2(t("sqlpage.tables", lang), id="sq-tables-title"),
            html.P(t("sqlpage.tables_note", lang), className="caption"),
            html.Label(t("sqlpage.table_label", lang), htmlFor="sq-table", className="form-label"),
            dbc.Select(id="sq-table", options=options, value=FIRST_TABLE),
            html.Div(columns_of(table_info(FIRST_TABLE), lang), id="sq-columns"),
        ],
        className="card",
        **{"aria-labelledby": "sq-tables-title"},
    )


def columns_of(table: TableInfo, lang: str) -> list[Any]:
    """Return the columns of a table with type, unit and meaning; a click inserts the name."""
    known = [(c.name, c.sql_type, c.unit, *meaning(c.meaning, lang)) for c in table.columns]
    if not table.is_daily:
        local = t("sqlpage.local_time", lang)
        known.insert(1, (LOCAL_TIME_COLUMN, "TIMESTAMP", "", local, lang))
    rows = [
        html.Tr(
            [
                html.Th(_insert(name, lang), scope="row"),
                html.Td(
                    [
                        html.Span(" · ".join(filter(None, (unit, kind))), className="sq-type"),
                        html.Span(text.replace(">= ", "≥ "), lang=tongue),
                    ]
                ),
            ]
        )
        for name, kind, unit, text, tongue in known
    ]
    return [
        html.P(
            [_insert(table.name, lang), html.Span(t("sqlpage.n_columns", lang, n=len(known)))],
            className="sq-table-head",
        ),
        ui.table(
            t("sqlpage.columns_of", lang, name=table.name),
            [t("sqlpage.column", lang), t("sqlpage.meaning", lang)],
            rows,
            "sq-schema",
        ),
    ]


def _insert(name: str, lang: str) -> Any:
    # long names break behind their underlines
    parts = [piece for word in name.split("_") for piece in (word + "_", html.Wbr())][:-1]
    parts[-1] = parts[-1].removesuffix("_")
    return html.Button(
        parts,
        type="button",
        className="sq-insert",
        title=t("sqlpage.insert", lang),
        **{"data-sq-insert": name},
    )
