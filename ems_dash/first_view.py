"""The first view of a page as plain HTML, so that it is read before any script has run.

Dash sends an empty document: the browser runs half a megabyte of scripts, asks for the frame,
asks for the page, and only then shows a figure. Here the same components are written into the
document itself. The view stands beside the place where Dash builds the page, and leaves as soon
as that is there (`assets/first-view.js`). Until then it is a picture: its ids have a prefix, its
main part is inert, and where the connection is told it says that there is none yet.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from html import escape
from typing import Any, Final

import dash
from flask import request

from ems_dash.auth.access import may
from ems_dash.auth.roles import Role
from ems_dash.i18n import t
from ems_dash.ui.request import request_lang
from engine.domain.errors import EmsError

log = logging.getLogger(__name__)

PREFIX: Final = "first-"
"""Before every id; the page itself has them without."""

_Props = Mapping[str, Any]

_VOID: Final = frozenset({"area", "br", "col", "embed", "hr", "img", "input", "source", "wbr"})
_UNWANTED: Final = frozenset({"script", "style", "iframe", "object", "embed", "base", "meta"})
_TAGS: Final = {"MapEl": "map", "ObjectEl": "object"}
_NAMES: Final = {"className": "class", "htmlFor": "for", "html_for": "for"}
_NO_ATTRIBUTES: Final = frozenset({"children", "style", "id", "key", "disable_n_clicks"})
_REFERENCES: Final = frozenset(
    {"for", "list", "aria-labelledby", "aria-controls", "aria-describedby", "aria-owns"}
)
_ATTRIBUTE: Final = re.compile(r"[a-z][a-z0-9-]*")
_NUMBER_WITHOUT_UNIT: Final = frozenset({"flexGrow", "flexShrink", "opacity", "order", "zIndex"})


def first_view(app: dash.Dash) -> str:
    """Return the page of the current request in its frame; empty where the sender may see none."""
    if not may(Role.VIEWER):
        return ""
    try:
        page = _page(app)
        frame = app._layout_value()
    except EmsError as exc:
        # The page itself, which is asked for next, says it on screen.
        log.warning("the first view of %s was left out: %s", request.path, exc)
        return ""
    lang = request_lang()
    changes: dict[str, dict[str, Any]] = {
        dash.dash._ID_CONTENT: {"children": page},
        "main": {"inert": True},
        "hdr-conn": {"children": t("conn.connecting", lang), "className": "pill"},
    }
    inner = _Writer(changes, request.path).html(frame)
    return f'<div id="first-view">{inner}</div>'


def _page(app: dash.Dash) -> Any:
    """Return the layout of the page at the address of the request, as Dash's router finds it."""
    page, variables = dash._pages._path_to_page(app.strip_relative_path(request.path))
    if not page:
        page = next(
            entry
            for name, entry in dash.page_registry.items()
            if name.rsplit(".", 1)[-1] == "not_found_404"
        )
    query = dash._pages._parse_query_string(f"?{request.query_string.decode('latin-1')}")
    return page["layout"](**{**(variables or {}), **query})


class _Writer:
    """Writes components as HTML.

    Args:
        changes: By id, the properties that differ from the component's own.
        path: Address of the page, whose link in the navigation is marked.
    """

    def __init__(self, changes: Mapping[str, Mapping[str, Any]], path: str) -> None:
        self._changes = changes
        self._path = path
        self._others: dict[str, Callable[[_Props], str]] = {
            "Link": self._link,
            "Graph": self._graph,
            "Label": lambda props: self._element("label", props, "form-label"),
            "Button": lambda props: self._element("button", props, "btn btn-primary"),
            "Input": lambda props: self._element("input", props, "form-control"),
            "Textarea": self._textarea,
            "Select": self._select,
            "RadioItems": lambda props: self._choices(props, "radio"),
            "Checklist": lambda props: self._choices(props, "checkbox"),
            "Checkbox": self._switch,
            "Switch": self._switch,
            "Upload": lambda props: self._element("div", props),
            "ConfirmDialogProvider": lambda props: self.html(props.get("children")),
        }

    def html(self, node: Any) -> str:
        """Return a component, a text or a list of them as HTML; what has no picture is empty."""
        if node is None or isinstance(node, bool):
            return ""
        if isinstance(node, list | tuple):
            return "".join(self.html(part) for part in node)
        if not hasattr(node, "to_plotly_json"):
            return escape(str(node), quote=False)
        known = node.to_plotly_json()
        props = known["props"]
        if isinstance(name := props.get("id"), str) and name in self._changes:
            props = {**props, **self._changes[name]}
        kind = known["type"]
        if known["namespace"] == "dash_html_components":
            return self._element(_TAGS.get(kind, kind.lower()), props)
        write = self._others.get(kind)
        return "" if write is None else write(props)

    def _element(self, tag: str, props: _Props, classes: str = "") -> str:
        if tag in _UNWANTED:
            return ""
        if classes:
            props = {**props, "className": f"{props.get('className') or ''} {classes}".strip()}
        start = f"<{tag}{_attributes(props)}>"
        return start if tag in _VOID else f"{start}{self.html(props.get('children'))}</{tag}>"

    def _link(self, props: _Props) -> str:
        href = str(props.get("href", ""))
        here = self._path == href or (href != "/" and self._path.startswith(f"{href}/"))
        if props.get("className") == "nav-item" and here:
            props = {**props, "aria-current": "page"}
        return self._element("a", props)

    def _graph(self, props: _Props) -> str:
        return self._element("div", {"className": f"dash-graph {props.get('className') or ''}"})

    def _textarea(self, props: _Props) -> str:
        inner = {**_without(props, "value"), "children": props.get("value")}
        return self._element("textarea", inner)

    def _select(self, props: _Props) -> str:
        options = "".join(
            f"<option{' selected' if _same(option['value'], props.get('value')) else ''}>"
            f"{escape(str(option['label']))}</option>"
            for option in props.get("options") or []
        )
        start = self._element("select", _without(props, "options", "value"), "form-select")
        return start.replace("</select>", f"{options}</select>")

    def _choices(self, props: _Props, kind: str) -> str:
        value = props.get("value")
        taken = value if isinstance(value, list) else [value]
        rows = []
        for option in props.get("options") or []:
            is_taken = any(_same(option["value"], one) for one in taken)
            checked = props.get("labelCheckedClassName", "") if is_taken else ""
            box = {"className": f"form-check-input {props.get('inputClassName', '')}", "type": kind}
            text = {
                "className": f"form-check-label {props.get('labelClassName', '')} {checked}",
                "children": option["label"],
            }
            inner = self._element("input", {**box, "checked": is_taken})
            inner += self._element("label", text)
            inline = " form-check-inline" if props.get("inline") else ""
            rows.append(f'<div class="form-check{inline}">{inner}</div>')
        start = self._element("div", {"className": props.get("className")})
        return start.replace("</div>", f"{''.join(rows)}</div>")

    def _switch(self, props: _Props) -> str:
        box = {"className": "form-check-input", "type": "checkbox", "checked": props.get("value")}
        text = {"className": "form-check-label", "children": props.get("label")}
        inner = self._element("input", box) + self._element("label", text)
        return f'<div class="form-check {escape(props.get("className") or "")}">{inner}</div>'


def _attributes(props: _Props) -> str:
    out = []
    if isinstance(name := props.get("id"), str):
        out.append(f' id="{escape(PREFIX + name)}"')
    if style := props.get("style"):
        out.append(f' style="{escape(_css(style))}"')
    for prop, value in props.items():
        name = _NAMES.get(prop, prop if prop.startswith("aria-") else prop.lower())
        if prop in _NO_ATTRIBUTES or _is_for_scripts(name) or not _ATTRIBUTE.fullmatch(name):
            continue
        if value is None or value is False or isinstance(value, list | dict):
            continue
        if value is True:
            out.append(f' {name}="true"' if name.startswith("aria-") else f" {name}")
            continue
        text = str(value)
        if name in _REFERENCES:
            text = " ".join(PREFIX + one for one in text.split())
        elif name == "href" and text.startswith("#"):
            text = f"#{PREFIX}{text[1:]}"
        out.append(f' {name}="{escape(text)}"')
    return "".join(out)


def _is_for_scripts(name: str) -> bool:
    # Styles show the label of a cell on a phone.
    return name.startswith("on") or (name.startswith("data-") and name != "data-label")


def _css(style: Mapping[str, Any]) -> str:
    """Return properties as React would set them: numbers are pixels, but for a few."""
    parts = []
    for prop, value in style.items():
        name = re.sub(r"[A-Z]", lambda letter: f"-{letter.group().lower()}", prop)
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        unit = "px" if is_number and value and prop not in _NUMBER_WITHOUT_UNIT else ""
        parts.append(f"{name}:{value}{unit}")
    return ";".join(parts)


def _same(one: Any, other: Any) -> bool:
    return str(one) == str(other)


def _without(props: _Props, *names: str) -> dict[str, Any]:
    return {name: value for name, value in props.items() if name not in names}
