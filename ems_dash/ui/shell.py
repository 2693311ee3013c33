"""What surrounds every page: top bar, offline bar, main region, footer, client-side stores."""

from __future__ import annotations

import json
from typing import Any, Final

import dash
from dash import ALL, ClientsideFunction, Input, Output, State, dcc, html
from flask import current_app

from ems_dash.i18n import catalogue, t
from ems_dash.services import Services
from ems_dash.static_files import asset_address
from ems_dash.ui import components as ui
from ems_dash.ui.branding import branding
from ems_dash.ui.fields import Fields
from ems_dash.ui.header import frame_fields
from ems_dash.ui.moment import Moment
from ems_dash.ui.pages import app_pages
from ems_dash.ui.request import request_lang, request_theme
from ems_dash.ui.site_menu import site_menu
from ems_dash.ui.theme import client_palette
from ems_dash.ui.user_menu import session_texts, user_menu
from engine.config.branding import BrandingConfig
from engine.domain.product import product_version

MOST_HELD_BYTES: Final = 64_000_000
"""A larger export is left to the browser, which writes it to the disk as it comes."""


def shell(services: Services) -> Any:
    """Return the frame around the pages, in the language and theme of the request."""
    lang = request_lang()
    moment = Moment(services.snapshot(), services.now(), services.heartbeat_age_s(), lang)
    fields = frame_fields(moment, "page")
    return html.Div(
        [
            dcc.Store(id="theme", data=request_theme()),
            dcc.Store(id="lang", data=lang),
            dcc.Store(id="palette", data=client_palette()),
            html.A(t("app.skip", lang), href="#main", className="skip-link"),
            _top_bar(lang, fields),
            html.Div(
                t("offline.bar", lang, time="–"),
                id="offline-bar",
                className="offline-bar",
                role="alert",
                hidden=True,
                **{"data-text": t("offline.bar", lang, time="{time}")},
            ),
            session_texts(lang),
            html.Main(dash.page_container, id="main", tabIndex="-1"),
            _toasts(lang),
            _footer(lang, fields),
        ],
        id="shell",
    )


def _toasts(lang: str) -> Any:
    """Return the place of the messages of ``assets/toasts.js``, with what they say."""
    texts = ("close", "busy", "ready", "large", "failed", "offline")
    gaps = {gap: f"{{{gap}}}" for gap in ("name", "size", "why")}
    return html.Div(
        id="toasts",
        className="toasts",
        role="status",
        **{"aria-live": "polite"},
        **{"data-most": MOST_HELD_BYTES, "data-why": json.dumps(_why_exports_fail(lang))},
        **{f"data-{key}": t(f"toast.{key}", lang, **gaps) for key in texts},
    )


def _why_exports_fail(lang: str) -> dict[str, str]:
    """Return what the codes of the API's errors mean for an export, by code or code and field."""
    start = "toast.why."
    return {
        key.removeprefix(start): text
        for key, text in catalogue(lang).items()
        if key.startswith(start)
    }


def register_shell(app: dash.Dash, services: Services) -> None:
    """Set the frame as the layout of `app` and register its client-side callbacks."""
    app.layout = lambda: shell(services)
    app.clientside_callback(
        ClientsideFunction("ems", "toggleTheme"),
        Output("theme", "data"),
        Input("theme-toggle", "n_clicks"),
        State("theme", "data"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("ems", "repaint"),
        Output({"type": "chart", "id": ALL}, "figure"),
        Input("theme", "data"),
        State("palette", "data"),
        State({"type": "chart", "id": ALL}, "figure"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("ems", "switchLanguage"),
        Output("lang-toggle", "title"),
        Input("lang-toggle", "n_clicks"),
        State("lang", "data"),
        State("lang-toggle", "title"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("ems", "markNav"),
        Output("nav", "className"),
        Input("_pages_location", "pathname"),
    )


def _top_bar(lang: str, fields: Fields) -> Any:
    other = "en" if lang == "de" else "de"
    brand = branding()
    links = [
        dcc.Link(t(entry.key, lang), href=entry.path, className="nav-item")
        for entry in app_pages(current_app).nav
    ]
    return html.Header(
        html.Div(
            [
                dcc.Link(
                    [
                        _logo(brand),
                        html.Span(brand.product_name, className="brand-name"),
                    ],
                    href="/",
                    className="brand",
                ),
                html.Nav(
                    links, id="nav", className="nav-main", **{"aria-label": t("nav.label", lang)}
                ),
                html.Div(
                    [
                        site_menu(lang),
                        html.Div(
                            [
                                ui.live(html.Span, "hdr-date", fields, "clock-date"),
                                ui.live(html.Span, "hdr-time", fields, "clock-time"),
                            ],
                            className="clock",
                            **{"aria-live": "off"},
                        ),
                        ui.live(
                            dcc.Link, "hdr-alarm", fields, "pill pill-alarm", href="/monitoring"
                        ),
                        ui.live(html.Span, "hdr-conn", fields, **{"aria-live": "off"}),
                        html.Span(
                            t("conn.offline", lang), id="hdr-offline", className="pill pill-alarm"
                        ),
                        html.Button(
                            html.Span(other.upper(), lang=other),
                            id="lang-toggle",
                            className="icon-button",
                            title=t("header.language", lang),
                            **{"aria-label": f"{other.upper()}: {t('header.language', lang)}"},
                        ),
                        html.Button(
                            ui.icon("circle-half"),
                            id="theme-toggle",
                            className="icon-button",
                            title=t("header.theme", lang),
                            **{"aria-label": t("header.theme", lang)},
                        ),
                        user_menu(lang),
                    ],
                    className="tools",
                ),
            ],
            className="topbar-inner",
        ),
        className="topbar",
    )


def _logo(brand: BrandingConfig) -> Any:
    if brand.logo_text is not None:
        return html.Span(brand.logo_text, className="logo logo-text", **{"aria-hidden": "true"})
    return html.Img(src=asset_address("logo.svg"), alt="", className="logo")


def _footer(lang: str, fields: Fields) -> Any:
    return html.Footer(
        [
            html.Span(copyright_text) if (copyright_text := branding().copyright) else None,
            html.Span(t("footer.version", lang, version=product_version())),
            html.Span(t("footer.licence", lang)),
            ui.live(html.Span, "ftr-data", fields, "attribution"),
        ],
        className="footer",
    )


def not_found(**_values: str) -> Any:
    """Return the page for addresses that do not exist."""
    lang = request_lang()
    return html.Div(
        [
            html.H1(t("page.not_found", lang)),
            html.P(t("page.not_found_hint", lang)),
            dcc.Link(t("page.to_overview", lang), href="/"),
        ],
        className="card not-found",
    )
