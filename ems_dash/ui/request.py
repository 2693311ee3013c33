"""What the browser tells with every request: language, theme and width."""

from __future__ import annotations

from flask import has_request_context, request

from ems_dash.i18n import DEFAULT_LANG, negotiate
from ems_dash.ui.theme import THEMES

LANG_COOKIE = "ems_lang"
THEME_COOKIE = "ems_theme"
WIDTH_COOKIE = "ems_width"


def request_lang() -> str:
    """Return the language of the current request; German outside of one."""
    if not has_request_context():
        return DEFAULT_LANG
    accepted = [tag for tag, _ in request.accept_languages]
    return negotiate(request.cookies.get(LANG_COOKIE), accepted)


def request_theme() -> str:
    """Return the theme of the current request; light when the browser has not said."""
    if not has_request_context():
        return "light"
    wanted = request.cookies.get(THEME_COOKIE)
    return wanted if wanted in THEMES else "light"


def request_is_narrow() -> bool:
    """Return True when the browser window is as narrow as a phone's."""
    return has_request_context() and request.cookies.get(WIDTH_COOKIE) == "narrow"
