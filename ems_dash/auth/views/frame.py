"""What the pages of the accounts have in common: frame, language, messages, times."""

from __future__ import annotations

from datetime import datetime
from functools import partial
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from flask import (
    Request,
    Response,
    current_app,
    flash,
    get_flashed_messages,
    make_response,
    redirect,
    render_template,
    request,
)

from ems_dash.auth.access import UnauthenticatedError, current_principal
from ems_dash.auth.accounts import Accounts
from ems_dash.auth.actors import Actor, Login
from ems_dash.auth.gate import leading_to
from ems_dash.auth.sender import Sender
from ems_dash.i18n import LANGS, t
from ems_dash.i18n.catalogue import catalogue
from ems_dash.site_router import request_site, request_snapshot, site_names
from ems_dash.static_files import asset_address
from ems_dash.ui import format as fmt
from ems_dash.ui.branding import branding
from ems_dash.ui.header import alarm_count
from ems_dash.ui.pages import app_pages
from ems_dash.ui.request import LANG_COOKIE, request_lang, request_theme
from ems_dash.ui.site_menu import site_address
from ems_dash.ui.theme import PALETTES
from engine.domain.errors import EmsError
from engine.domain.product import product_version

YEAR_S = 31_536_000


class Web(Protocol):
    """What the pages need of `ems_dash.auth.web.WebAccess`."""

    @property
    def accounts(self) -> Accounts: ...

    @property
    def timezone(self) -> str: ...

    def sender(self, request: Request) -> Sender: ...

    def login(self) -> Login | None: ...

    def begin(self, name: str, sender: Sender) -> None: ...


def take_language() -> Any:
    """Keep the language asked for by ``?lang=`` and show the page without it."""
    wanted = request.args.get("lang")
    if request.method != "GET" or wanted not in LANGS:
        return None
    target = request.args.get("next")
    answer = redirect(request.path if target is None else leading_to(target, request.path))
    answer.set_cookie(LANG_COOKIE, wanted, max_age=YEAR_S, samesite="Lax", path="/")
    return answer


def page(template: str, web: Web, *, title: str, status: int = 200, **values: Any) -> Response:
    """Return a page of the accounts.

    Args:
        template: Name of the template below ``templates/auth``.
        web: Where accounts and site are.
        title: Catalogue key of the title.
        status: HTTP status.
        values: What the template needs besides.
    """
    lang, theme = request_lang(), request_theme()
    zone = ZoneInfo(web.timezone)

    def when(ts: datetime) -> str:
        return f"{fmt.date(ts, zone, lang)}, {fmt.clock_time(ts, zone)}"

    login = web.login()
    inside = login is not None and not login.user.must_change
    site = request_site()
    snapshot = request_snapshot() if inside else None
    answer = make_response(
        render_template(
            f"auth/{template}",
            t=partial(_text, lang),
            when=when,
            lang=lang,
            other_lang="en" if lang == "de" else "de",
            theme=theme,
            theme_colour=PALETTES[theme]["surface"],
            brand=branding(),
            asset=asset_address,
            title=t(title, lang),
            login=login,
            principal=current_principal(),
            site=site,
            sites=site_names() if site is not None and login is not None else {},
            site_address=site_address,
            nav=app_pages(current_app).nav if inside else (),
            alarms=None if snapshot is None else alarm_count(snapshot, lang),
            messages=get_flashed_messages(with_categories=True),
            say=partial(_said, lang),
            version=product_version(),
            **values,
        ),
        status,
    )
    answer.headers["Cache-Control"] = "no-store"
    return answer


def tell(key: str, kind: str = "ok") -> None:
    """Have the next page say the text of `key`; ``kind`` is ok, warn or alarm."""
    flash(key, kind)


def tell_error(exc: EmsError) -> None:
    """Have the next page say what was wrong."""
    flash(error_key(exc), "alarm")


def error_key(exc: EmsError) -> str:
    """Return the catalogue key of an error, or its own words where there is none."""
    for key in (f"auth.error.{exc.code}.{exc.value}", f"auth.error.{exc.code}"):
        if key in catalogue("en"):
            return key
    return str(exc)


def own_login(web: Web) -> Login:
    """Return the login behind the request.

    Raises:
        UnauthenticatedError: It comes without a session.
    """
    found = web.login()
    if found is None:
        raise UnauthenticatedError
    return found


def actor_of(web: Web) -> Actor:
    """Return who changes something with this request."""
    return Actor(own_login(web).name, web.sender(request).address)


def field(name: str, most: int = 300) -> str:
    """Return what was typed into a field, cut off where nobody types on."""
    return request.form.get(name, "")[:most]


def _text(lang: str, key: str, **values: object) -> str:
    return t(key, lang, **values)


def _said(lang: str, key: str) -> str:
    return t(key, lang) if key in catalogue(lang) else key
