"""Our styles in one file and our scripts in another: a first visit asks for two, not for twenty.

Every request costs the server some milliseconds of processor time, and nothing is painted before
the last style has come. The files in `assets` stay as they are and are served too.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import flask

from ems_dash.auth.access import public

STYLES: Final = "ems-all.css"
SCRIPTS: Final = "ems-all.js"

_RELATIVE_URL: Final = re.compile(r"""url\((["']?)(?!["'/#]|[a-z]+:)""")


@dataclass(frozen=True, slots=True)
class Bundle:
    """Several files as one.

    Attributes:
        name: Its file name below ``/assets``.
        mimetype: What it is.
        body: Its text.
        digest: Changes with the text.
    """

    name: str
    mimetype: str
    body: bytes
    digest: str

    @property
    def address(self) -> str:
        """Where it is served; browsers may keep it, because it changes with the text."""
        return f"/assets/{self.name}?v={self.digest}"


def style_bundle(assets: Path, first: Iterable[str]) -> Bundle:
    """Return all style sheets of `assets`: those named `first` in their order, then by name."""
    names = [*first, *sorted(path.name for path in assets.glob("*.css"))]
    return _bundle(STYLES, "text/css", (_style(assets, name) for name in names))


def script_bundle(assets: Path, without: Iterable[str]) -> Bundle:
    """Return all scripts of `assets` by name, but for those named in `without`."""
    left_out = set(without)
    paths = sorted(path for path in assets.glob("*.js") if path.name not in left_out)
    # A line of its own, should a file end in a comment or without a semicolon.
    texts = (f"{path.read_text(encoding='utf-8')}\n;" for path in paths)
    return _bundle(SCRIPTS, "text/javascript", texts)


def serve_bundles(server: flask.Flask, bundles: Iterable[Bundle]) -> None:
    """Serve `bundles` from `server`, to everybody: they hold no data."""
    for bundle in bundles:
        server.add_url_rule(
            f"/assets/{bundle.name}", bundle.name.replace(".", "_"), public(_view(bundle))
        )


def _view(bundle: Bundle) -> Callable[[], flask.Response]:
    def view() -> flask.Response:
        answer = flask.Response(bundle.body, mimetype=bundle.mimetype)
        answer.set_etag(bundle.digest)
        return answer

    return view


def _style(assets: Path, name: str) -> str:
    text = (assets / name).read_text(encoding="utf-8")
    folder = name.rpartition("/")[0]
    return _RELATIVE_URL.sub(rf"url(\g<1>{folder}/", text) if folder else text


def _bundle(name: str, mimetype: str, texts: Iterable[str]) -> Bundle:
    body = "\n".join(texts).encode()
    return Bundle(name, mimetype, body, hashlib.sha256(body).hexdigest()[:16])
