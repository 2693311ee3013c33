"""What every answer tells the browser: which scripts may run, that nothing is framed or kept."""

from __future__ import annotations

from typing import Final

import dash
from flask import Flask, Request, Response, request

BODY_BYTES: Final = 1_000_000
"""Largest body of a request to the API; a view that takes files raises its own limit."""

CALLBACK_BYTES: Final = 90_000_000
"""Largest body of a callback: a file of history comes in with one, a third longer than it is."""

_CALLBACKS: Final = "/_dash-update-component"
_KEPT: Final = ("/assets/", "/_dash-component-suites/")
"""Paths whose addresses change with their content, so that browsers may keep them."""

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
    """Add the headers to every answer of `app`, and a limit to the body of every request."""
    server: Flask = app.server

    @server.before_request
    def limit() -> None:
        is_callback = request.path == _CALLBACKS
        request.max_content_length = CALLBACK_BYTES if is_callback else BODY_BYTES

    @server.after_request
    def add(answer: Response) -> Response:
        headers = answer.headers
        for name, value in _ALWAYS.items():
            headers.setdefault(name, value)
        headers.setdefault("Content-Security-Policy", _policy(app, answer))
        if not request.path.startswith(_KEPT) and "Cache-Control" not in headers:
            headers["Cache-Control"] = "no-store"
        if request.is_secure:
            headers.setdefault("Strict-Transport-Security", _HSTS)
        return answer


def raise_body_limit(sent: Request, limit_bytes: int) -> None:
    """Let the body of this request be as large as `limit_bytes`; before anything reads it."""
    sent.max_content_length = limit_bytes


def _policy(app: dash.Dash, answer: Response) -> str:
    if answer.mimetype != "text/html":
        return _DATA_POLICY
    # Computed for every page: Dash adds inline scripts with the first one it shows.
    return _POLICY.format(scripts=" ".join(["'self'", *sorted(set(app.csp_hashes()))]))
