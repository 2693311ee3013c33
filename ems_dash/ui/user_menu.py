"""The menu of the user in the top bar, and what a page says when its session has ended."""

from __future__ import annotations

from typing import Any

from dash import dcc, html
from flask import has_request_context
from flask_wtf.csrf import generate_csrf

from ems_dash.auth.access import Principal, current_principal
from ems_dash.auth.roles import Role
from ems_dash.i18n import t


def user_menu(lang: str) -> Any:
    """Return name, role and what the user can do with his account.

    Readers without an account get the way to log in, an access that asks nobody gets nothing.
    """
    principal = current_principal()
    if principal is None or principal.via in ("open", "token") or not has_request_context():
        return None
    if principal.via == "anonymous":
        return html.A(t("user.log_in", lang), href="/login", className="button user-log-in")
    return html.Details(
        [
            html.Summary(
                principal.name[0].upper(),
                className="icon-button",
                title=principal.name,
                **{"aria-label": f"{t('user.menu', lang)}: {principal.name}"},
            ),
            html.Div(_entries(principal, lang), className="user-menu-body"),
        ],
        className="user-menu",
    )


def session_texts(lang: str) -> Any:
    """Return the words `assets/session.js` shows when the session of the page has ended."""
    return html.Div(
        id="session-texts",
        hidden=True,
        **{
            "data-title": t("session.over", lang),
            "data-text": t("session.over_text", lang),
            "data-link": t("session.over_link", lang),
        },
    )


def _entries(principal: Principal, lang: str) -> list[Any]:
    entries = [
        html.Div(
            [
                html.Span(principal.name, className="user-menu-name"),
                html.Span(t(f"role.{principal.role}", lang), className="pill pill-info"),
            ],
            className="user-menu-who",
        ),
        html.A(t("user.account", lang), href="/account", className="user-menu-item"),
    ]
    if principal.role is Role.ADMIN:
        entries.append(
            html.A(t("user.users", lang), href="/settings/users", className="user-menu-item")
        )
    entries.append(
        html.Form(
            [
                dcc.Input(type="hidden", name="csrf_token", value=generate_csrf()),
                html.Button(t("user.log_out", lang), type="submit", className="user-menu-item"),
            ],
            method="post",
            action="/logout",
        )
    )
    return entries
