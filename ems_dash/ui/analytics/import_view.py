"""The import page as components: choose a file, say what its columns are, check, import."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, tzinfo
from typing import Any

import dash_bootstrap_components as dbc
from dash import dcc, html

from ems_dash.i18n import history_said, t
from ems_dash.ui import components as ui
from ems_dash.ui import format as fmt
from engine.history.import_file import Problem
from engine.history.import_mapping import TARGETS, TIME, UNITS, ColumnMap
from engine.runtime.import_desk import ImportPreview, ImportState

MOST_BYTES = 20_000_000
"""Largest file a browser sends; the API and the command line take larger ones."""

ROWS_SHOWN = 5
IMPORTS_SHOWN = 5
NOT_TAKEN, NO_UNIT = "no", "auto"
"""Choices that stand for nothing; a browser shows no choice that is empty."""

_TEXT_SHOWN = 40
_UNITS = tuple(dict.fromkeys(unit for units in UNITS.values() for unit in units))


def picker(*, allowed: bool, lang: str) -> Any:
    """Return the choice of a file, and where everything about it will stand."""
    kept = [
        dcc.Store(id="im-token"),
        dcc.Store(id="im-number"),
        dcc.Interval(id="im-tick", interval=1000, disabled=True),
    ]
    if not allowed:
        words = ui.empty(t("import.not_allowed", lang), t("import.not_allowed_hint", lang))
        return html.Section([words, *kept], className="card im-card")
    return html.Section(
        [
            html.H2(t("import.title", lang)),
            html.P(t("import.lead", lang), className="caption"),
            dcc.Upload(
                html.Span(t("import.choose", lang), className="btn button-main"),
                id="im-file",
                accept=".csv,.txt,.parquet",
                max_size=MOST_BYTES,
                className="im-upload",
            ),
            html.P(t("import.limit", lang, mb=MOST_BYTES // 1_000_000), className="caption"),
            *kept,
            html.Div(id="im-form"),
            html.Div(id="im-said", role="status"),
        ],
        className="card im-card",
    )


def form(preview: ImportPreview, zone: str, lang: str) -> Any:
    """Return the first rows, and for each column what it is and in which unit."""
    known = {m.column: m for m in preview.mapping}
    table = preview.table
    columns = [
        _column(number, name, known.get(name), [table.values[name][k] for k in _some(table)], lang)
        for number, name in enumerate(table.columns)
    ]
    what_to_do = t("import.state_columns", lang)
    doubt = [mistake(preview.doubt, what_to_do, lang)] if preview.doubt else []
    return html.Div(
        [
            html.H3(table.name),
            *doubt,
            ui.table(
                t("import.columns", lang),
                [t(f"import.head_{key}", lang) for key in ("column", "values", "target", "unit")],
                columns,
                "as-cards im-columns",
            ),
            html.Div(
                [
                    dbc.Label(t("import.zone", lang), html_for="im-zone"),
                    dbc.Input(id="im-zone", value=zone, maxLength=60, autoComplete="off"),
                    dbc.Checkbox(id="im-end", label=t("import.stamp_end", lang), value=False),
                ],
                className="im-options",
            ),
            html.Div(
                [
                    html.Button(
                        t("import.check", lang),
                        id="im-check",
                        type="button",
                        className="btn button",
                    ),
                    html.Button(
                        t("import.go", lang), id="im-go", type="button", className="btn button-main"
                    ),
                    html.Button(
                        t("import.cancel", lang),
                        id="im-cancel",
                        type="button",
                        className="btn button",
                    ),
                ],
                className="choice-buttons",
            ),
        ]
    )


def _some(table: Any) -> range:
    return range(min(ROWS_SHOWN, len(table.rows)))


def _column(
    number: int, name: str, known: ColumnMap | None, values: Sequence[Any], lang: str
) -> Any:
    shown = " · ".join(str(value)[:_TEXT_SHOWN] for value in values if value is not None)
    return html.Tr(
        [
            html.Th(name, scope="row"),
            html.Td(
                shown or t("import.empty", lang),
                **{"data-label": t("import.head_values", lang)},
            ),
            _named(
                t("import.head_target", lang),
                t("import.target_of", lang, column=name),
                dbc.Select(
                    id={"type": "im-target", "column": number},
                    options=[
                        {"label": t("import.not_taken", lang), "value": NOT_TAKEN},
                        *(
                            {"label": t(f"import.target_{target}", lang), "value": target}
                            for target in TARGETS
                        ),
                    ],
                    value=known.target if known else NOT_TAKEN,
                ),
            ),
            _named(
                t("import.head_unit", lang),
                t("import.unit_of", lang, column=name),
                dbc.Select(
                    id={"type": "im-unit", "column": number},
                    options=[
                        {"label": t("import.no_unit", lang), "value": NO_UNIT},
                        *({"label": unit, "value": unit} for unit in _signed_units()),
                    ],
                    value=known.unit if known and known.unit in _signed_units() else NO_UNIT,
                ),
            ),
        ]
    )


def _named(head: str, name: str, field: Any) -> Any:
    """Return a cell with a field whose name is for those who do not see its row and column."""
    # the component takes no aria-label
    words = html.Span(name, className="visually-hidden")
    return html.Td(html.Label([words, field]), **{"data-label": head})


def _signed_units() -> tuple[str, ...]:
    powers = UNITS["grid_kw"]
    return (*_UNITS, *(f"-{unit}" for unit in powers))


def stated(
    columns: Sequence[str], targets: Sequence[str | None], units: Sequence[str | None]
) -> tuple[tuple[str, str, str], ...]:
    """Return what the form says of the columns that are taken; a time has no unit."""
    return tuple(
        (column, target, "" if target == TIME or unit in (None, NO_UNIT) else str(unit))
        for column, target, unit in zip(columns, targets, units, strict=True)
        if target and target != NOT_TAKEN
    )


def mistake(message: str, hint: str | None, lang: str) -> Any:
    """Return why something is not possible."""
    return html.Div(
        [
            html.P(history_said(message, lang)),
            html.P(history_said(hint, lang), className="caption") if hint else None,
        ],
        className="im-mistake",
        role="alert",
    )


def progress(state: ImportState, zone: tzinfo, lang: str) -> Any:
    """Return how far an import is, or what became of it; times are those of `zone`."""
    if state.state == "running":
        step = state.progress
        share = f" {100 * step.done // step.total} %" if step.total else ""
        return html.P(t(f"import.step_{step.step}", lang) + share)
    if state.report is not None:
        found = state.report.as_dict()
        words = "import.would_write" if state.dry_run else "import.written"
        lines = [
            t(
                "import.span",
                lang,
                rows=_whole(found["rows"], lang),
                start=_when(found["from"], zone, lang),
                end=_when(found["to"], zone, lang),
            ),
            t(
                words,
                lang,
                samples=_whole(found["samples_written"], lang),
                prices=_whole(found["prices_written"], lang),
                left_out=_whole(found["samples_left_out"] + found["prices_left_out"], lang),
            ),
            t(
                "import.gaps",
                lang,
                missing=_whole(found["missing_intervals"], lang),
                empty=_whole(found["rows_without_values"], lang),
                repeated=_whole(found["repeated_rows"], lang),
            ),
        ]
        return html.Ul([html.Li(line) for line in lines], className="im-report")
    if state.problems:
        return html.Div(
            [
                html.P(_count_of(state.problem_count, lang), role="alert"),
                ui.table(
                    t("import.problems_table", lang),
                    [
                        t(f"import.head_{key}", lang)
                        for key in ("row", "column", "value", "problem", "remedy")
                    ],
                    [_problem(problem, lang) for problem in state.problems],
                    "as-cards",
                ),
            ]
        )
    return mistake(t(f"import.state_{state.state}", lang), state.error, lang)


def _whole(value: float, lang: str) -> str:
    return fmt.number(value, 0, lang)


def _when(iso: str, zone: tzinfo, lang: str) -> str:
    ts = datetime.fromisoformat(iso)
    return f"{fmt.date(ts, zone, lang)} {fmt.clock_time(ts, zone)}"


def _count_of(problems: int, lang: str) -> str:
    if problems == 1:
        return t("import.problem", lang)
    return t("import.problems", lang, count=_whole(problems, lang))


def _problem(problem: Problem, lang: str) -> Any:
    cells = {
        "column": problem.column or "",
        "value": problem.value[:_TEXT_SHOWN],
        "problem": history_said(problem.message, lang),
        "remedy": history_said(problem.hint, lang),
    }
    return html.Tr(
        [
            html.Th("" if problem.row is None else str(problem.row), scope="row"),
            *(
                html.Td(text, **{"data-label": t(f"import.head_{key}", lang)})
                for key, text in cells.items()
            ),
        ]
    )


def imports(states: Sequence[ImportState], zone: tzinfo, lang: str, *, allowed: bool) -> list[Any]:
    """Return the newest imports, newest first, or that there are none and what to do."""
    if not states:
        hint = t("import.none_hint", lang) if allowed else ""
        return [html.Section(ui.empty(t("import.none", lang), hint), className="card")]
    return [
        html.Section(
            [
                html.H3(state.file),
                html.P(
                    t("import.checked" if state.dry_run else "import.imported", lang),
                    className="caption",
                ),
                progress(state, zone, lang),
            ],
            className="card",
        )
        for state in reversed(states[-IMPORTS_SHOWN:])
    ]
