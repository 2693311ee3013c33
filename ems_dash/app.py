"""The Dash application: everything is served from here, nothing from another host."""

from __future__ import annotations

import importlib
from html import escape
from pathlib import Path
from typing import Any

import dash
import pandas as pd  # noqa: F401  (a first import inside a request breaks Plotly's encoder)

from ems_dash.i18n import t
from ems_dash.services import Services
from ems_dash.ui.branding import set_branding
from ems_dash.ui.pages import add_page
from ems_dash.ui.request import request_lang, request_theme
from ems_dash.ui.shell import not_found, register_shell
from ems_dash.ui.theme import PALETTES, register_templates
from engine.config.branding import BrandingConfig
from engine.domain.product import product_version

ASSETS = Path(__file__).resolve().parent.parent / "assets"

STYLE_SHEETS = (
    "vendor/bootstrap/bootstrap.min.css",
    "vendor/inter/inter.css",
    "vendor/bootstrap-icons/icons.css",
)
"""Loaded in this order before `ems.css`, which overrides them."""

INDEX = """<!DOCTYPE html>
<html lang="{lang}" data-bs-theme="{theme}">
<head>
{{%metas%}}
<title>{{%title%}}</title>
<meta name="theme-color" content="{theme_colour}">
<meta name="color-scheme" content="light dark">
<script src="{theme_init}"></script>
<link rel="icon" type="image/svg+xml" href="{favicon}">
{{%css%}}
</head>
<body>
<noscript>{noscript}</noscript>
{{%app_entry%}}
<footer hidden>
{{%config%}}
{{%scripts%}}
{{%renderer%}}
</footer>
</body>
</html>"""


class EmsDash(dash.Dash):  # type: ignore[misc]  # dash ships no types mypy can follow
    """A Dash app whose page frame speaks the language of the request."""

    def interpolate_index(self, **parts: Any) -> str:
        """Return the HTML document of the request's language and theme."""
        lang, theme = request_lang(), request_theme()
        html = INDEX.format(
            lang=lang,
            theme=theme,
            theme_colour=PALETTES[theme]["surface"],
            theme_init=self._versioned("theme-init.js"),
            favicon=self._versioned("favicon.svg"),
            noscript=escape(t("app.noscript", lang)),
        )
        for name, value in parts.items():
            html = html.replace("{%" + name + "%}", value)
        return html

    def _versioned(self, path: str) -> str:
        return f"{self.get_asset_url(path)}?v={product_version()}"


def create_app(services: Services, branding: BrandingConfig | None = None) -> dash.Dash:
    """Return the web application over `services`; its Flask server is ``app.server``.

    Blueprints registered on the server afterwards take precedence over Dash's own catch-all
    route, which answers every other GET with the HTML page. No thread is started here.

    Args:
        services: The seam to the engine.
        branding: Name and marks of the installation; None for the product's own.
    """
    register_templates()
    branding = branding or BrandingConfig()
    app = EmsDash(
        "ems_dash",
        assets_folder=str(ASSETS),
        assets_ignore=r"^theme-init\.js$",
        assets_path_ignore=["vendor"],
        pages_folder="",
        use_pages=True,
        include_pages_meta=False,
        serve_locally=True,
        compress=True,
        title=branding.product_name,
        update_title=None,
        suppress_callback_exceptions=True,
        external_stylesheets=[f"/assets/{path}?v={product_version()}" for path in STYLE_SHEETS],
        meta_tags=[
            {"name": "viewport", "content": "width=device-width, initial-scale=1"},
            {"name": "description", "content": t("app.description", "de")},
        ],
        # The page learns from every answer, empty ones too, that the server is there.
        hooks={
            "callback_resolved": "function(callback,result)"
            "{window.emsLive&&window.emsLive.resolved(callback,result);}"
        },
    )
    set_branding(app.server, branding)
    register_shell(app, services)
    # By name, because `pages` stands above `ems_dash` in the order of imports.
    for page in importlib.import_module("pages").PAGES:
        page.register(app, services)
    add_page(app, "not_found_404", "/404", not_found, title=branding.product_name)
    return app
