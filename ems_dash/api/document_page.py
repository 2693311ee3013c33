"""The API document as a page to read: what its template needs, taken from the document alone."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from markupsafe import Markup, escape

from ems_dash.api.document import ROLE_KEY
from ems_dash.i18n import t
from ems_dash.ui.branding import branding
from ems_dash.ui.request import request_lang, request_theme
from ems_dash.ui.theme import PALETTES
from engine.domain.product import product_version

_REF: Final = "#/components/schemas/"
_CODE: Final = re.compile(r"`([^`]+)`")
_STRONG: Final = re.compile(r"\*\*([^*]+)\*\*")


def page_values(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the template ``api/docs.html`` shows of a document."""
    lang, theme = request_lang(), request_theme()
    version = product_version()
    return {
        "info": document["info"],
        "intro": prose(document["info"]["description"]),
        "groups": [_group(tag, document) for tag in document["tags"]],
        "models": [_model(name, one) for name, one in document["components"]["schemas"].items()],
        "brand": branding(),
        "lang": lang,
        "theme": theme,
        "theme_colour": PALETTES[theme]["surface"],
        "asset": lambda path: f"/assets/{path}?v={version}",
        "t": lambda key: t(key, lang),
    }


def prose(text: str) -> Markup:
    """Return paragraphs with code and emphasis as HTML; everything else is escaped."""
    paragraphs = [" ".join(part.split()) for part in text.split("\n\n") if part.strip()]
    return Markup("").join(Markup("<p>{}</p>").format(_marked(part)) for part in paragraphs)  # nosec B704


def type_words(schema: Mapping[str, Any]) -> Markup:
    """Return what a JSON Schema allows in short, with links to the models it names."""
    if "$ref" in schema:
        name = str(schema["$ref"]).removeprefix(_REF)
        return Markup('<a href="#model-{0}">{0}</a>').format(name)  # nosec B704
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return Markup(" or ").join(type_words(one) for one in schema[key])  # nosec B704
    if "enum" in schema:
        return Markup(" | ").join(Markup("<code>{}</code>").format(v) for v in schema["enum"])  # nosec B704
    if "const" in schema:
        return Markup("<code>{}</code>").format(schema["const"])  # nosec B704
    kind = schema.get("type", "anything")
    if "contentSchema" in schema:
        return Markup("JSON of ") + type_words(schema["contentSchema"])
    if kind == "object" and "properties" in schema:
        inside = (
            Markup("<code>{}</code>: {}").format(name, type_words(of))
            for name, of in schema["properties"].items()
        )
        return Markup("; ").join(inside)
    if kind == "array":
        return Markup("list of ") + type_words(schema.get("items", {}))  # nosec B704
    if kind == "object" and isinstance(schema.get("additionalProperties"), dict):
        return Markup("names to ") + type_words(schema["additionalProperties"])  # nosec B704
    return escape(f"{kind}{_bounds(schema)}")


def _bounds(schema: Mapping[str, Any]) -> str:
    words = [schema["format"]] if "format" in schema else []
    for key, sign in (
        ("minimum", ">="),
        ("exclusiveMinimum", ">"),
        ("maximum", "<="),
        ("exclusiveMaximum", "<"),
    ):
        if key in schema:
            words.append(f"{sign} {schema[key]:g}")
    if "maxLength" in schema:
        words.append(f"at most {schema['maxLength']} characters")
    if schema.get("default") is not None:
        words.append(f"default {schema['default']}")
    return f" ({', '.join(words)})" if words else ""


def _group(tag: Mapping[str, str], document: Mapping[str, Any]) -> dict[str, Any]:
    operations = [
        _operation(path, method, one)
        for path, methods in document["paths"].items()
        for method, one in methods.items()
        if tag["name"] in one["tags"]
    ]
    return {**tag, "operations": operations}


def _operation(path: str, method: str, one: Mapping[str, Any]) -> dict[str, Any]:
    body = one.get("requestBody", {}).get("content", {})
    return {
        "id": one["operationId"],
        "path": path,
        "method": method.upper(),
        "summary": _marked(one["summary"]),
        "text": prose(one["description"]),
        "role": one[ROLE_KEY],
        "parameters": [
            {**p, "text": _marked(p["description"]), "type": type_words(p["schema"])}
            for p in one["parameters"]
        ],
        "body": [(media, type_words(of["schema"])) for media, of in body.items()],
        "responses": [
            {
                "status": status,
                "text": _marked(answer["description"]),
                "content": [
                    (media, type_words(of["schema"]))
                    for media, of in answer.get("content", {}).items()
                ],
            }
            for status, answer in one["responses"].items()
        ],
    }


def _model(name: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    needed = schema.get("required", ())
    return {
        "name": name,
        "text": prose(str(schema.get("description", ""))),
        "type": None if "properties" in schema else type_words(schema),
        "fields": [
            {
                "name": field,
                "needed": field in needed,
                "type": type_words(of),
                "text": _marked(str(of.get("description", ""))),
            }
            for field, of in schema.get("properties", {}).items()
        ],
    }


def _marked(text: str) -> Markup:
    """Return one paragraph as HTML."""
    safe = str(escape(text.replace("``", "`")))
    safe = _CODE.sub(r"<code>\1</code>", safe)
    return Markup(_STRONG.sub(r"<strong>\1</strong>", safe))  # nosec B704
