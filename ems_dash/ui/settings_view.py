"""The frame of the settings page: navigation, form, what will change, messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import dcc, html

from ems_dash.auth.access import has_accounts, may
from ems_dash.auth.roles import Role
from ems_dash.i18n import t
from ems_dash.ui import components as ui
from ems_dash.ui.live import TICK_MS
from ems_dash.ui.settings_sections import SECTIONS
from ems_dash.ui.settings_words import change_name, value_text
from engine.config.changes import Change

ROOT = "set-page"
USERS = "/settings/users"

CHANGES_SHOWN = 40


def page(
    *,
    view: Mapping[str, Any],
    draft: Mapping[str, Any] | None,
    form: Any,
    side: Any,
    notice: Any,
    subtitle: str,
    frame: Mapping[str, Any],
    editable: bool,
    lang: str,
) -> Any:
    """Return the whole page.

    Args:
        view: ``section`` is the key of the section shown first; and what is open in it.
        draft: Revision and values of the file; None when it cannot be read.
        form: The form of that section.
        side: What stands beside the form.
        notice: What is said above everything.
        subtitle: Line under the title.
        frame: What the browser knows of the frame around the page, for its live texts.
        editable: False where nothing may be changed.
        lang: ``"de"`` or ``"en"``.
    """
    section = str(view["section"])
    return html.Div(
        [
            dcc.Store(id="set-draft", data=draft),
            dcc.Store(id="set-view", data=dict(view)),
            dcc.Store(id="set-url", data=section),
            dcc.Store(id="set-delta"),
            dcc.Store(id="set-frame", data=frame),
            dcc.Interval(id="set-tick", interval=TICK_MS),
            html.Div(
                [
                    html.Div(
                        [
                            html.H1(t("set.title", lang)),
                            html.P(subtitle, className="subtitle"),
                        ]
                    ),
                    html.Div(
                        html.Span(t("set.read_only", lang), className="pill pill-info")
                        if not editable
                        else None,
                        className="badges",
                    ),
                ],
                className="page-head",
            ),
            html.Div(notice, id="set-notice", className="notices"),
            html.Div(
                [
                    html.Nav(
                        [
                            html.A(
                                t(f"set.s.{entry.key}", lang),
                                id={"type": "set-nav", "section": entry.key},
                                href=f"/settings?section={entry.key}",
                                className="set-nav-item",
                                **({"aria-current": "true"} if entry.key == section else {}),
                            )
                            for entry in SECTIONS
                        ]
                        # Users are not part of ems.yaml, and their page is one of the accounts.
                        + (
                            [html.A(t("users.title", lang), href=USERS, className="set-nav-link")]
                            if may(Role.ADMIN) and has_accounts()
                            else []
                        ),
                        className="set-nav",
                        id="set-nav",
                        **{"aria-label": t("set.nav", lang)},
                    ),
                    html.Div(form, id="set-form", className="set-form"),
                    html.Aside(
                        [html.Div(side, id="set-side"), *([] if not editable else [_bar(lang)])],
                        className="set-aside",
                    ),
                ],
                className="set-grid",
            ),
        ],
        id=ROOT,
        className="live-page",
        **{"data-tick": "set-tick", "data-leave": t("set.leave", lang)},
    )


def _bar(lang: str) -> Any:
    return html.Section(
        [
            html.Div([html.H2(t("set.changes", lang), id="set-changes-t")], className="card-head"),
            html.Div(changes([], [], lang), id="set-changes"),
            html.Div(
                [
                    html.Button(
                        t("set.save", lang),
                        id="set-save",
                        type="button",
                        className="button-main",
                        disabled=True,
                    ),
                    html.Button(
                        t("set.discard", lang), id="set-discard", type="button", className="button"
                    ),
                ],
                className="set-buttons",
            ),
            html.P(t("set.when", lang), className="set-when"),
            html.Div(id="set-said", role="status", className="set-said"),
        ],
        className="card set-changes-card",
        **{"aria-labelledby": "set-changes-t"},
    )


def changes(found: Sequence[Change], elsewhere: Sequence[tuple[str, str]], lang: str) -> Any:
    """Return what will change, or what is in the way of saving.

    Args:
        found: The changes of a draft without mistakes.
        elsewhere: Name and message of every mistake.
        lang: ``"de"`` or ``"en"``.
    """
    if elsewhere:
        return [
            html.P(t("set.mistakes", lang, count=len(elsewhere)), className="set-mistakes"),
            html.Ul(
                [
                    html.Li([html.Span(name, className="set-change-name"), html.Span(text)])
                    for name, text in elsewhere[:CHANGES_SHOWN]
                ],
                className="set-changes set-changes-wrong",
            ),
        ]
    if not found:
        return html.P(t("set.no_changes", lang), className="set-none")
    rows = [change_row(change, lang) for change in found[:CHANGES_SHOWN]]
    if len(found) > CHANGES_SHOWN:
        rows.append(html.Li(t("set.more", lang, count=len(found) - CHANGES_SHOWN)))
    return html.Ul(rows, className="set-changes")


def change_row(change: Change, lang: str) -> Any:
    """Return one change: what, from, to."""
    return html.Li(
        [
            html.Span(change_name(change, lang), className="set-change-name"),
            html.Code(change.path, className="set-change-key"),
            html.Span(
                [
                    html.Del(value_text(change.old, lang, change.path)),
                    html.Span(" → ", **{"aria-label": t("set.becomes", lang)}),
                    html.Ins(value_text(change.new, lang, change.path)),
                ],
                className="set-change-values",
            ),
        ]
    )


def failure(text: str, lang: str) -> Any:
    """Return what stands in place of the form when the file cannot be read."""
    return html.Div(
        [
            html.H2(t("set.unreadable", lang)),
            html.P(text, lang="en"),
            html.P(t("set.unreadable_hint", lang), className="set-none"),
        ],
        className="card set-card",
        role="alert",
    )


def said(text: str, kind: str = "ok", undo: Any = None) -> Any:
    """Return the outcome of saving: ``kind`` is ok, warn or alarm."""
    symbol = {"ok": "check-circle", "warn": "exclamation-triangle", "alarm": "x-octagon"}[kind]
    return html.Div(
        [ui.icon(symbol), html.Div([html.Span(text), undo])],
        className=f"notice notice-{kind}",
    )
