"""Navigation between the views of the analytics."""

from __future__ import annotations

from typing import Any

from dash import dcc, html

from ems_dash.i18n import t

VIEWS: tuple[tuple[str, str], ...] = (
    ("results", "/analytics"),
    ("explorer", "/analytics/explorer"),
    ("runs", "/analytics/runs"),
    ("sql", "/analytics/sql"),
    ("import", "/analytics/import"),
)
"""Key and path of each view."""


def tabs(active: str, lang: str) -> Any:
    """Return the links to all views, `active` marked as the current one.

    Args:
        active: Key of the view shown, see `VIEWS`.
        lang: Language.
    """
    links = []
    for key, path in VIEWS:
        current: dict[str, Any] = {"aria-current": "page"} if key == active else {}
        # dcc.Link takes no aria attributes, so the mark stands on the item around it.
        links.append(
            html.Li(
                dcc.Link(t(f"analytics.tab_{key}", lang), href=path, className="an-tab"),
                className="is-active" if current else None,
                **current,
            )
        )
    return html.Nav(
        html.Ul(links, className="an-tabs"), **{"aria-label": t("analytics.tabs", lang)}
    )
