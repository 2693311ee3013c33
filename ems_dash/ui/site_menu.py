"""The site picker in the top bar, where an installation has several sites."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from dash import html

from ems_dash.i18n import t
from ems_dash.site_router import PARAMETER, request_site, site_names
from ems_dash.ui import components as ui


def site_menu(lang: str) -> Any:
    """Return the site that is shown and the way to the others; None where there is only one.

    ``assets/site.js`` lets the links lead to the page that is open, with everything in its
    address; without it they lead to the overview.
    """
    here = request_site()
    if here is None:
        return None
    names = site_names()
    return html.Details(
        [
            html.Summary(
                [
                    ui.icon("house-door"),
                    html.Span(names[here], className="site-menu-name"),
                ],
                className="icon-button",
                title=names[here],
                **{"aria-label": f"{t('site.menu', lang)}: {names[here]}"},
            ),
            html.Nav(
                [_link(site_id, name, is_here=site_id == here) for site_id, name in names.items()],
                className="user-menu-body",
                **{"aria-label": t("site.menu", lang)},
            ),
        ],
        id="site-menu",
        className="user-menu site-menu",
    )


def site_address(site_id: str) -> str:
    """Return the address of a site's overview."""
    return f"/?{urlencode({PARAMETER: site_id})}"


def _link(site_id: str, name: str, *, is_here: bool) -> Any:
    # A page knows one site from its load on: choosing another loads it anew.
    return html.A(
        [html.Span(name), ui.icon("check-circle") if is_here else None],
        href=site_address(site_id),
        className="user-menu-item site-menu-item",
        **{"data-site-link": site_id, **({"aria-current": "true"} if is_here else {})},
    )
