"""The pages of the accounts: forms the server draws, which work without any script."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Blueprint, Response, redirect, request

from ems_dash.api.answers import known_error
from ems_dash.auth.access import ForbiddenError, UnauthenticatedError
from ems_dash.auth.gate import LOGIN, asks_for_page, leading_to
from ems_dash.auth.views import account, login, users
from ems_dash.auth.views.frame import Web, page, take_language


def account_pages(web: Web) -> Blueprint:
    """Return the pages of the accounts behind `web`."""
    pages = Blueprint("accounts", __name__, template_folder="../templates")
    pages.before_request(take_language)
    login.add_views(pages, web)
    account.add_views(pages, web)
    users.add_views(pages, web)

    @pages.errorhandler(UnauthenticatedError)
    def unknown(_exc: UnauthenticatedError) -> Any:
        return redirect(leading_to(request.path, LOGIN))

    pages.register_error_handler(ForbiddenError, forbidden_page(web))
    return pages


def forbidden_page(web: Web) -> Callable[[ForbiddenError], Response]:
    """Return what answers whoever may not see a page: a page that says so, else the error."""

    def forbidden(exc: ForbiddenError) -> Response:
        if not asks_for_page(request):
            return known_error(exc)
        return page("forbidden.html", web, title="auth.forbidden", status=403)

    return forbidden
