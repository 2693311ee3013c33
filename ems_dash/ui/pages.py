"""Registration of pages, so that several apps in one process keep apart.

Dash keeps one registry of pages per process. What it holds for a page here only looks up the
layout in the app that serves the request; the layouts themselves belong to each app.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import dash
from flask import current_app

EXTENSION = "ems_dash_pages"

Layout = Callable[..., Any]
Title = str | Callable[..., str]


@dataclass(frozen=True, slots=True)
class NavEntry:
    """A page in the main navigation: its path and the key of its name."""

    path: str
    key: str


@dataclass(slots=True)
class AppPages:
    """The pages of one app.

    Attributes:
        layouts: Page name to layout function.
        nav: Entries of the main navigation, in order of registration.
    """

    layouts: dict[str, Layout] = field(default_factory=dict)
    nav: list[NavEntry] = field(default_factory=list)


def app_pages(server: Any) -> AppPages:
    """Return the pages of the app behind the Flask `server`."""
    found: AppPages = server.extensions.setdefault(EXTENSION, AppPages())
    return found


def add_page(
    app: dash.Dash,
    name: str,
    path: str,
    layout: Layout,
    *,
    title: Title,
    nav_key: str | None = None,
) -> None:
    """Register a page with `app`.

    Args:
        app: The app.
        name: Unique name, for example ``"overview"``; ``"not_found_404"`` serves unknown paths.
        path: Path below the root, for example ``"/"``.
        layout: Called for every visit, returns the page.
        title: Title of the browser window, or a function that returns it.
        nav_key: Catalogue key of its name in the main navigation, or None to leave it out.
    """
    pages = app_pages(app.server)
    pages.layouts[name] = layout
    if nav_key is not None:
        pages.nav.append(NavEntry(path, nav_key))

    def layout_of_this_app(**values: Any) -> Any:
        values.pop("self", None)  # anything may stand in an address; most layouts are methods
        own = app_pages(current_app).layouts
        found = own.get(name) or own["not_found_404"]
        return found(**values)

    dash.register_page(name, path=path, title=title, layout=layout_of_this_app)
