"""The pages of the accounts: forms the server draws, which work without any script."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, redirect, request

from ems_dash.auth.access import UnauthenticatedError
from ems_dash.auth.gate import LOGIN, leading_to
from ems_dash.auth.views import account, login, users
from ems_dash.auth.views.frame import Web, take_language


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

    return pages
