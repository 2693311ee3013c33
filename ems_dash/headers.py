"""What every answer tells the browser: which scripts may run, that nothing is framed or kept."""

from __future__ import annotations

from typing import Final

import dash
from flask import Flask, Response, request

from ems_dash.static_files import FILES

_POLICY: Final = (
    "default-src 'self'; script-src {scripts}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; "
    "worker-src 'self' blob:; manifest-src 'self'; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'"
)
"""Styles in elements are how Plotly, Dash and AG Grid work; they run no scripts."""

_DATA_POLICY: Final = "default-src 'none'; frame-ancestors 'none'"
"""For answers that are no page."""

_ALWAYS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": (
        "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), "
        "magnetometer=(), microphone=(), midi=(), payment=(), publickey-credentials-get=(), "
        "serial=(), usb=()"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

_HSTS: Final = "max-age=31536000"
"""One year; subdomains are not ours to speak for."""


def install_headers(app: dash.Dash) -> None:
    """Add the headers to every answer of `app`."""
    server: Flask = app.server

    @server.after_request
    def add(answer: Response) -> Response:
        headers = answer.headers
        for name, value in _ALWAYS.items():
            headers.setdefault(name, value)
        headers.setdefault("Content-Security-Policy", _policy(app, answer))
        if not request.path.startswith(FILES) and "Cache-Control" not in headers:
            headers["Cache-Control"] = "no-store"
        if request.is_secure:
            headers.setdefault("Strict-Transport-Security", _HSTS)
        return answer


def _policy(app: dash.Dash, answer: Response) -> str:
    if answer.mimetype != "text/html":
        return _DATA_POLICY
    # Computed for every page: Dash adds inline scripts with the first one it shows.
    return _POLICY.format(scripts=" ".join(["'self'", *sorted(set(app.csp_hashes()))]))
