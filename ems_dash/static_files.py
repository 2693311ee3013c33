"""How browsers get scripts, styles and fonts: compressed once, and kept for good where their
address names the version of the file.

Without this the server compressed every file anew for every visitor, and browsers asked for all
of ours again at every visit.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from flask import Flask, Request, Response, g, request

from engine.domain.product import product_version

ASSETS: Final = Path(__file__).resolve().parent.parent / "assets"

KEPT_FOR_S: Final = 31_536_000
"""A year, as long as caches keep anything."""

FILES: Final = ("/assets/", "/_dash-component-suites/")
"""Paths whose addresses change with their content, so that browsers may keep them."""


class _CompressedOnce:
    """Compressed files by name and state; what has no name is not kept."""

    def __init__(self) -> None:
        self._kept: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        """Return what is kept under `key`, or None."""
        return self._kept.get(key)

    def set(self, key: str, compressed: Any) -> None:
        """Keep `compressed`, unless it is an answer rather than a file."""
        if not key.endswith(";"):
            self._kept[key] = compressed


def web_server() -> Flask:
    """Return a Flask server whose compression remembers files; `Dash` switches it on."""
    server = Flask("ems_dash")
    server.config["COMPRESS_CACHE_BACKEND"] = _CompressedOnce
    server.config["COMPRESS_CACHE_KEY"] = _file_key
    return server


def keep_files(server: Flask) -> None:
    """Let browsers keep files with a version, and compression know them.

    To be called after compression was switched on, so that it sees what is decided here.
    """
    server.after_request(_prepare)


def versioned(address: str, path: Path) -> str:
    """Return the `address` of the file at `path` with its version."""
    return f"{address}?v={product_version()}-{int(path.stat().st_mtime)}"


def asset_address(name: str) -> str:
    """Return the address of the file `name` in `ASSETS` with its version."""
    return versioned(f"/assets/{name}", ASSETS / name)


def _prepare(response: Response) -> Response:
    if response.status_code != 200 or not request.path.startswith(FILES):
        return response
    state = response.headers.get("ETag") or response.headers.get("Content-Length", "")
    g.ems_file_key = f"{request.path}|{state}"
    if request.path.startswith("/assets/"):
        # A stream would be compressed piece by piece, and never kept.
        response.direct_passthrough = False
        response.set_data(response.get_data())
        if "v" in request.args or "m" in request.args:
            response.headers["Cache-Control"] = f"public, max-age={KEPT_FOR_S}, immutable"
    return response


def _file_key(_request: Request) -> str:
    return str(g.get("ems_file_key", ""))
