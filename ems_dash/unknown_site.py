"""What is answered when an address names a site that does not exist."""

from __future__ import annotations

from html import escape
from typing import Final

from flask import Flask, Response, request

from ems_dash.api.answers import known_error
from ems_dash.auth.access import current_principal
from ems_dash.auth.gate import asks_for_page
from ems_dash.i18n import t
from ems_dash.site_router import PARAMETER, site_names
from ems_dash.static_files import asset_address
from ems_dash.ui.branding import window_title
from ems_dash.ui.request import request_lang, request_theme
from ems_dash.ui.site_menu import site_address
from engine.config.sites import UnknownSiteError

_SHEETS: Final = ("vendor/bootstrap/bootstrap.min.css", "vendor/inter/inter.css", "ems.css")

_PAGE: Final = """<!DOCTYPE html>
<html lang="{lang}" data-bs-theme="{theme}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
{sheets}
</head>
<body>
<main id="main"><div class="card not-found">
<h1>{heading}</h1>
{choice}
</div></main>
</body>
</html>"""


def answer_unknown_sites(server: Flask) -> None:
    """Answer with a page where a page was asked for, else with an error in the one shape."""
    server.register_error_handler(UnknownSiteError, _answer)


def _answer(exc: UnknownSiteError) -> Response:
    if not asks_for_page(request):
        return known_error(exc)
    lang = request_lang()
    heading = t("site.unknown", lang, site=request.args.get(PARAMETER, "")[:40])
    choice = ""
    # Who is not known here is not told what there is.
    if current_principal() is not None:
        links = "".join(
            f'<li><a href="{escape(site_address(site_id))}">{escape(name)}</a></li>'
            for site_id, name in site_names().items()
        )
        choice = f"<p>{escape(t('site.unknown_hint', lang))}</p><ul>{links}</ul>"
    page = _PAGE.format(
        lang=lang,
        theme=request_theme(),
        title=escape(window_title(heading)),
        sheets="\n".join(
            f'<link rel="stylesheet" href="{asset_address(name)}">' for name in _SHEETS
        ),
        heading=escape(heading),
        choice=choice,
    )
    return Response(page, status=404, mimetype="text/html")
