"""What lets a phone or desktop keep the pages as an application of its own.

There is no service worker: live values must never come from a cache.
"""

from __future__ import annotations

from typing import Final

import flask

from ems_dash.auth.access import public
from ems_dash.i18n import t
from ems_dash.ui.branding import branding
from ems_dash.ui.request import request_lang
from ems_dash.ui.theme import PALETTES

PATH: Final = "/manifest.webmanifest"

_ICONS: Final = (
    ("icon-192.png", "192x192", "any"),
    ("icon-512.png", "512x512", "any"),
    ("icon-maskable-512.png", "512x512", "maskable"),
)


def register_manifest(server: flask.Flask) -> None:
    """Serve the manifest, to everybody: browsers ask for it without saying who they are."""
    server.add_url_rule(PATH, "web_manifest", public(_manifest))


def _manifest() -> flask.Response:
    lang = request_lang()
    name = branding().product_name
    answer = flask.jsonify(
        id="/",
        name=name,
        short_name=name[:12].strip(),
        description=t("app.description", lang),
        lang=lang,
        start_url="/",
        scope="/",
        display="standalone",
        background_color=PALETTES["light"]["bg"],
        theme_color=PALETTES["light"]["accent"],
        icons=[
            {"src": f"/assets/icons/{file}", "sizes": sizes, "type": "image/png", "purpose": use}
            for file, sizes, use in _ICONS
        ],
    )
    answer.mimetype = "application/manifest+json"
    return answer
