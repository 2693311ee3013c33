"""The Dash application: everything is served from here, nothing from another host."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from html import escape
from typing import Any

import dash
import flask
import pandas as pd  # noqa: F401  (a first import inside a request breaks Plotly's encoder)

from ems_dash import web_manifest
from ems_dash.api.answers import known_error
from ems_dash.api.bodies import limit_bodies
from ems_dash.auth.access import (
    CSRF_COOKIE,
    Access,
    ForbiddenError,
    UnauthenticatedError,
    install_access,
    needs,
)
from ems_dash.auth.roles import Role
from ems_dash.bundles import script_bundle, serve_bundles, style_bundle
from ems_dash.callback_bodies import install_callback_bodies
from ems_dash.first_view import first_view
from ems_dash.headers import install_headers
from ems_dash.i18n import t
from ems_dash.services import Services
from ems_dash.site_router import install_sites, request_site
from ems_dash.static_files import ASSETS, keep_files, versioned, web_server
from ems_dash.ui.branding import set_branding
from ems_dash.ui.pages import add_page
from ems_dash.ui.request import request_lang, request_theme
from ems_dash.ui.shell import not_found, register_shell
from ems_dash.ui.theme import PALETTES, register_templates
from ems_dash.unknown_site import answer_unknown_sites
from engine.config.branding import BrandingConfig

STYLE_SHEETS = (
    "vendor/bootstrap/bootstrap.min.css",
    "vendor/inter/inter.css",
    "vendor/bootstrap-icons/icons.css",
)
"""Come in this order before ours, which override them."""

STARTER = "start.js"
"""Runs last and starts Dash."""

OUTSIDE = ("theme-init.js", STARTER, "alarm-count.js")
"""Our scripts that run at a time of their own, or on pages that the server draws."""

PLOTLY = "vendor/plotly/plotly-cartesian.min.js"
"""A third of the script that comes with plotly: without maps, 3-D and WebGL, which no page uses."""

UNUSED_SCRIPTS = ("/deps/polyfill@", "/dash_table/")
"""Scripts that Dash always loads: stand-ins for browsers older than any that shows these pages,
which also slow down the charts in newer ones, and a kind of table that no page has."""

INDEX = """<!DOCTYPE html>
<html lang="{lang}" data-bs-theme="{theme}"{site}>
<head>
{{%metas%}}
<title>{{%title%}}</title>
<meta name="theme-color" content="{theme_colour}">
<meta name="color-scheme" content="light dark">
<script src="{theme_init}"></script>
<link rel="icon" type="image/svg+xml" href="{favicon}">
<link rel="apple-touch-icon" href="{touch_icon}">
<link rel="manifest" href="{manifest}">
{{%css%}}
<link rel="prefetch" as="script" href="{plotly}">
</head>
<body>
<noscript>{noscript}</noscript>
{first_view}
{{%app_entry%}}
<footer hidden>
{{%config%}}
{{%scripts%}}
{{%renderer%}}
</footer>
</body>
</html>"""


class EmsDash(dash.Dash):  # type: ignore[misc]  # dash ships no types mypy can follow
    """A Dash app whose frame speaks the language of the request and whose callbacks ask who calls.

    Callbacks of the global ``dash.callback`` would ask nobody; they are not used here.
    """

    def callback(
        self, *args: Any, role: Role | None = None, named: bool = False, **kwargs: Any
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Register a callback that only senders with `role` may call.

        Args:
            args: As for `dash.Dash.callback`.
            role: The least role that may; must be given.
            named: Refuse readers without an account too.
            kwargs: As for `dash.Dash.callback`.

        Raises:
            TypeError: No role is given.
        """
        if role is None and _is_page_router(args):
            role = Role.VIEWER
        if role is None:
            raise TypeError("A callback must state the least role that may call it: role=Role.X.")
        register = super().callback(*args, **kwargs)
        check = needs(role, named=named)

        def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
            registered: Callable[..., Any] = register(check(function))
            return registered

        return decorate

    def interpolate_index(self, **parts: Any) -> str:
        """Return the HTML document of the request's language and theme."""
        lang, theme = request_lang(), request_theme()
        html = INDEX.format(
            lang=lang,
            theme=theme,
            site="" if (site := request_site()) is None else f' data-site="{escape(site)}"',
            theme_colour=PALETTES[theme]["surface"],
            theme_init=self._versioned("theme-init.js"),
            favicon=self._versioned("favicon.svg"),
            touch_icon=self._versioned("icons/icon-192.png"),
            manifest=web_manifest.PATH,
            plotly=self._versioned(PLOTLY),
            noscript=escape(t("app.noscript", lang)),
            first_view=first_view(self).replace("{%", "{&#37;"),
        )
        for name, value in parts.items():
            html = html.replace("{%" + name + "%}", value)
        return html

    def _generate_scripts_html(self) -> str:
        """Return the elements of the scripts that pages need; files wait for the first view."""
        tags = super()._generate_scripts_html().split("\n")
        needed = (tag for tag in tags if not any(unused in tag for unused in UNUSED_SCRIPTS))
        return "\n".join(tag.replace("<script src=", "<script defer src=") for tag in needed)

    def _generate_renderer(self) -> str:
        """Return the element of the script that starts Dash, after those it needs."""
        return f'<script id="_dash-renderer" defer src="{self._versioned(STARTER)}"></script>'

    def _config(self) -> Any:
        """Return what the renderer is told; it takes the script of the charts from us."""
        config = super()._config()
        # "Not locally" concerns that one script only, and the address is ours too.
        config |= {"serve_locally": False, "plotlyjs_url": self._versioned(PLOTLY)}
        return config

    def _versioned(self, path: str) -> str:
        return versioned(str(self.get_asset_url(path)), ASSETS / path)


def create_app(
    services: Services, branding: BrandingConfig | None = None, *, access: Access
) -> dash.Dash:
    """Return the web application over `services`; its Flask server is ``app.server``.

    Blueprints registered on the server afterwards take precedence over Dash's own catch-all
    route, which answers every other GET with the HTML page. No thread is started here.

    Args:
        services: The seam to the engine.
        branding: Name and marks of the installation; None for the product's own.
        access: Tells who sends a request; nothing is served to senders it does not know.
    """
    register_templates()
    branding = branding or BrandingConfig()
    styles = style_bundle(ASSETS, STYLE_SHEETS)
    scripts = script_bundle(ASSETS, OUTSIDE)
    app = EmsDash(
        "ems_dash",
        server=web_server(),
        assets_folder=str(ASSETS),
        # We name our files ourselves, see `bundles`.
        assets_ignore=r"\.(css|js)$",
        assets_path_ignore=["vendor"],
        pages_folder="",
        use_pages=True,
        include_pages_meta=False,
        serve_locally=True,
        compress=True,
        title=branding.product_name,
        update_title=None,
        suppress_callback_exceptions=True,
        csrf_token_name=CSRF_COOKIE,
        external_stylesheets=[styles.address],
        external_scripts=[scripts.address],
        meta_tags=[
            {"name": "viewport", "content": "width=device-width, initial-scale=1"},
            {"name": "description", "content": t("app.description", "de")},
        ],
    )
    serve_bundles(app.server, (styles, scripts))
    limit_bodies(app.server)
    keep_files(app.server)
    install_access(app.server, access)
    install_headers(app)
    install_callback_bodies(app)
    _add_error_answers(app.server)
    set_branding(app.server, branding)
    install_sites(app.server, services)
    answer_unknown_sites(app.server)
    web_manifest.register_manifest(app.server)
    register_shell(app, services)
    # By name, because `pages` stands above `ems_dash` in the order of imports.
    for page in importlib.import_module("pages").PAGES:
        page.register(app, services)
    add_page(app, "not_found_404", "/404", not_found, title=branding.product_name)
    return app


def _is_page_router(args: tuple[Any, ...]) -> bool:
    """Return True for the callback that Dash registers itself to show a page."""
    first = args[0] if args else None
    return bool(getattr(first, "component_id", None) == dash.dash._ID_CONTENT)


def _add_error_answers(server: flask.Flask) -> None:
    """Answer refusals of callbacks, which no blueprint answers, in the one shape of errors."""
    server.register_error_handler(UnauthenticatedError, known_error)
    server.register_error_handler(ForbiddenError, known_error)
