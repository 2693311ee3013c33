"""Name and marks of the installation, for the frame around the pages and the window's title."""

from __future__ import annotations

from typing import Any

from flask import current_app, has_app_context

from engine.config.branding import BrandingConfig

EXTENSION = "ems_dash_branding"


def set_branding(server: Any, branding: BrandingConfig) -> None:
    """Let the app behind the Flask `server` go by `branding`."""
    server.extensions[EXTENSION] = branding


def branding() -> BrandingConfig:
    """Return the branding of the app that serves the request; the product's own outside of one."""
    if not has_app_context():
        return BrandingConfig()
    found: BrandingConfig = current_app.extensions.get(EXTENSION) or BrandingConfig()
    return found


def window_title(page: str) -> str:
    """Return the title of the browser window of a page called `page`."""
    return f"{page} · {branding().product_name}"
