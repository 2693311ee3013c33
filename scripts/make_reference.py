"""Write ``docs/reference`` from the code: settings, command line, routes, signals, metrics.

``make reference`` runs it; a test says when the pages are out of date. Whatever is described here
is described where it is defined: docstrings of the configuration, help of the command line, the
API's own document, the signals.
"""

from __future__ import annotations

import argparse
import inspect
import logging
import re
import tempfile
import types
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from flask import Flask
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from ems_dash.api.document import api_document
from ems_dash.auth.access import ROLE_ATTRIBUTE
from ems_dash.cli.main import parser
from ems_dash.i18n import t
from ems_dash.server import ServerOptions, build_server
from engine.config.schema import Config
from engine.domain.alarms import ENGINE_ALARMS
from engine.domain.signals import ALARMS, SIGNALS

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "docs" / "reference"
GENERATED = "Generated from the code by `make reference`; do not edit.\n"

_CALLED = ("/api/", "/healthz", "/readyz", "/metrics")
"""Routes that programs call; the others are pages and what belongs to them."""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; bars and line breaks in cells are made harmless."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(" ".join(c.split()).replace("|", "\\|") for c in cells) + " |"

    rule = "|" + "---|" * len(head)
    return "\n".join([line(head), rule, *(line(row) for row in rows)]) + "\n"


# --- settings ---------------------------------------------------------------------------------


def attribute_docs(model: type[BaseModel]) -> dict[str, str]:
    """Return what the docstrings of a section and of its bases say of its fields."""
    found: dict[str, str] = {}
    for cls in reversed(model.__mro__[: model.__mro__.index(BaseModel)]):
        doc = inspect.cleandoc(cls.__doc__ or "")
        _, _, block = doc.partition("\nAttributes:\n")
        for match in re.finditer(r"(?m)^    (\w+): (.+(?:\n {8,}.+)*)", block):
            found[match[1]] = " ".join(match[2].split()).replace("``", "`")
    return found


def opening(model: type[BaseModel]) -> str:
    """Return the docstring of a section without the part on its fields."""
    doc = inspect.cleandoc(model.__doc__ or "").partition("\nAttributes:\n")[0]
    return doc.replace("``", "`").strip()


@dataclass(frozen=True, slots=True)
class Shape:
    """What an annotation allows: words for a value, and the section inside, if any."""

    words: str
    section: type[BaseModel] | None = None
    repeated: str = ""


_PLAIN = {float: "number", int: "whole number", bool: "true or false", str: "text"}


def shape_of(annotation: Any) -> Shape:
    """Return what `annotation` allows."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        inner = shape_of(arguments[0])
        metadata = [
            m for a in arguments[1:] for m in (a.metadata if isinstance(a, FieldInfo) else [a])
        ]
        return Shape(inner.words + bounds_of(metadata), inner.section, inner.repeated)
    if origin in (Union, types.UnionType):
        shapes = [shape_of(a) for a in arguments if a is not type(None)]
        section = next((s for s in shapes if s.section), Shape(""))
        return Shape(" or ".join(s.words for s in shapes), section.section, section.repeated)
    if origin is Literal:
        return Shape(
            ", ".join(f"`{str(a).lower() if isinstance(a, bool) else a}`" for a in arguments)
        )
    if origin is list:
        inner = shape_of(arguments[0])
        return Shape(f"list of {inner.words.replace('section', 'sections')}", inner.section, "[]")
    if origin is dict:
        key, inner = shape_of(arguments[0]), shape_of(arguments[1])
        return Shape(f"{inner.words} by {key.words}", inner.section, ".NAME")
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return Shape("section", annotation)
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return Shape(", ".join(f"`{member.value}`" for member in annotation))
    return Shape(_PLAIN.get(annotation, getattr(annotation, "__name__", str(annotation))))


def bounds_of(metadata: Sequence[Any]) -> str:
    """Return the bounds in an annotation's metadata in words, with a blank before them."""
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    found = [
        f"{sign} {plain(value)}"
        for key, sign in signs.items()
        for entry in metadata
        if isinstance(value := getattr(entry, key, None), int | float)
    ]
    return f" {', '.join(found)}" if found else ""


def plain(value: float) -> str:
    """Return a number without an exponent."""
    return f"{value:g}" if abs(value) < 1e6 else f"{value:,.0f}"


def default_of(info: FieldInfo) -> str:
    """Return a field's default as YAML has it."""
    value = info.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "(needed)"
    if value is None:
        return "none"
    if isinstance(value, BaseModel):
        return "see below"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | dict):
        return f"`{value}`".replace("'", "") if value else "empty"
    return f"`{value:g}`" if isinstance(value, float) else f"`{value}`"


def settings_sections(
    model: type[BaseModel] = Config, path: str = ""
) -> Iterator[tuple[str, type[BaseModel], list[tuple[str, FieldInfo, Shape]]]]:
    """Yield every section as (path, model, fields), each before those inside it."""
    fields = []
    for name, info in model.model_fields.items():
        annotation: Any = info.annotation
        if info.metadata:
            annotation = Annotated[(annotation, *info.metadata)]
        fields.append((info.alias or name, info, shape_of(annotation)))
    yield path, model, fields
    for key, _, shape in fields:
        if shape.section is not None:
            inner = f"{path}.{key}" if path else key
            yield from settings_sections(shape.section, inner + shape.repeated)


def settings_page() -> str:
    """Return the page on ``ems.yaml``."""
    parts = [
        "# Settings\n",
        GENERATED,
        "Every key of `config/ems.yaml`. What is left out has its default; unknown keys are"
        " errors. The page `/settings` sets all of it without editing the file"
        " ([settings](../operation/settings.md)). `[]` marks the items of a list, `NAME` a name of"
        " your own.\n",
    ]
    for path, model, fields in settings_sections():
        docs = attribute_docs(model)
        rows = []
        for key, info, shape in fields:
            meaning = info.description or docs.get(key) or docs.get(f"{key}_", "")
            rows.append((f"`{key}`", shape.words, default_of(info), meaning))
        if path:
            parts.append(f"## {path}\n\n{opening(model)}\n")
        parts.append(table(("Key", "Value", "Default", "Meaning"), rows))
    return "\n".join(parts)


# --- command line -----------------------------------------------------------------------------


def commands(
    top: argparse.ArgumentParser | None = None, name: str = ""
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield every command that does something, with its parser."""
    top = top or parser()
    below = [a for a in top._actions if isinstance(a, argparse._SubParsersAction)]
    if not below:
        yield name, top
    for action in below:
        for key, inner in action.choices.items():
            yield from commands(inner, f"{name} {key}".strip())


def command_line_page() -> str:
    """Return the page on ``python -m ems_dash``."""
    parts = [
        "# Command line\n",
        GENERATED,
        "`python -m ems_dash COMMAND`; from a clone, `.venv/bin/python`. Every command has"
        " `--help`, and its exit code is 0 only on success.\n",
    ]
    for name, command in commands():
        rows = [
            (
                f"`{', '.join(a.option_strings) or a.metavar or a.dest}`",
                ""
                if a.nargs == 0
                else f"`{a.metavar or (a.dest.upper() if a.option_strings else '')}`".replace(
                    "``", ""
                ),
                _default(a),
                (a.help or "").replace("%(default)s", str(a.default)).replace("%%", "%")
                + (f" ({', '.join(str(c) for c in a.choices)})" if a.choices else ""),
            )
            for a in command._actions
            if not isinstance(a, argparse._HelpAction)
        ]
        said = (command.description or "").replace("%%", "%")
        parts.append(f"## {name}\n\n`python -m ems_dash {name}`: {said[:1].lower()}{said[1:]}\n")
        if rows:
            parts.append(table(("Option", "Value", "Default", "Meaning"), rows))
    return "\n".join(parts)


def _default(action: argparse.Action) -> str:
    if action.required:
        return "(needed)" if action.option_strings else ""
    if action.default in (None, False, argparse.SUPPRESS, [], ""):
        return ""
    return f"`{action.default}`"


# --- routes and metrics -----------------------------------------------------------------------


def routes_page(server: Flask) -> str:
    """Return the page on the routes of `server`, with what the API's own document says of them."""
    said = openapi_summaries(server)
    rows = []
    for rule in sorted(server.url_map.iter_rules(), key=lambda r: r.rule):
        if not rule.rule.startswith(_CALLED) or rule.endpoint == "api.unknown":
            continue
        if rule.rule.endswith((".csv", ".parquet")):  # the route before them says what they hold
            continue
        view = server.view_functions[rule.endpoint]
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
            role = getattr(view, ROLE_ATTRIBUTE, None)
            path = re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule)
            meaning = said.get((method, path)) or first_sentence(view.__doc__)
            rows.append((f"`{method}`", f"`{path}`", str(role) if role else "everybody", meaning))
    return "\n".join(
        [
            "# Routes\n",
            GENERATED,
            "Every route of the API and the least role that may call it. Answers are JSON,"
            ' errors have one shape: `{"error": {"code", "message", "field", "hint"}}`. How to use'
            " them is in [the API guide](../operation/api.md).\n",
            table(("Method", "Route", "Role", "Meaning"), rows),
        ]
    )


def first_sentence(doc: str | None) -> str:
    """Return the first sentence of a docstring; a view of Flask's or Dash's own says nothing."""
    text = inspect.cleandoc(doc or "")
    return text.split("\n\n")[0].split(". ")[0].rstrip(".") if text else ""


def openapi_summaries(server: Flask) -> dict[tuple[str, str], str]:
    """Return the summaries of the API's document by method and path."""
    document = api_document(server, title="EMS Dash", version="")
    return {
        (method.upper(), path): operation["summary"]
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    }


def metrics_page(server: Flask) -> str:
    """Return the page on what ``GET /metrics`` has, or nothing where there is no such route."""
    answer = server.test_client().get("/metrics", environ_base={"REMOTE_ADDR": "127.0.0.1"})
    text = answer.get_data(as_text=True) if answer.status_code == 200 else ""
    if "# HELP" not in text:
        return ""
    kinds = dict(re.findall(r"(?m)^# TYPE (\S+) (\S+)", text))
    rows = [
        (f"`{name}`", kinds.get(name, ""), meaning)
        for name, meaning in re.findall(r"(?m)^# HELP (\S+) (.*)", text)
        if not name.startswith(("python_", "process_"))
    ]
    return "\n".join(
        [
            "# Metrics\n",
            GENERATED,
            "What `GET /metrics` says for Prometheus, besides the usual `python_` and `process_`"
            " ones.\n",
            table(("Metric", "Kind", "Meaning"), sorted(rows)),
        ]
    )


# --- signals ----------------------------------------------------------------------------------


def signals_page() -> str:
    """Return the page on signals and alarms."""
    rows = [(f"`{s.name}`", s.unit, s.kind.value, s.description) for s in SIGNALS.values()]
    alarms = [
        *((f"`{code}`", t(f"alarm.{code}", "en"), "EMS Dash") for code in ENGINE_ALARMS),
        *((f"`{code}`", t(f"alarm.{code}", "en"), "the battery") for code in ALARMS),
    ]
    return "\n".join(
        [
            "# Signals and alarms\n",
            GENERATED,
            "Profiles and topics supply signals; tables, series and the API carry the same names."
            " A gauge is averaged, a counter only grows, a code is a number with a meaning.\n",
            table(("Signal", "Unit", "Kind", "Meaning"), rows),
            "## Alarms\n\nCodes for `only` and `never` of a channel, and in tables and topics.\n",
            table(("Code", "Meaning", "Raised by"), alarms),
        ]
    )


def pages() -> dict[str, str]:
    """Return every generated page by its file name."""
    with tempfile.TemporaryDirectory() as folder:
        options = ServerOptions("127.0.0.1", 0, Path(folder) / "config", Path(folder) / "data")
        server, engine = build_server(options)
        try:
            found = {"routes.md": routes_page(server), "metrics.md": metrics_page(server)}
        finally:
            engine.stop()
    found |= {
        "settings.md": settings_page(),
        "command_line.md": command_line_page(),
        "signals.md": signals_page(),
    }
    return {name: text for name, text in found.items() if text}


def main() -> None:
    """Write the pages."""
    # Of an installation that is gone in a moment nobody needs the set-up code.
    logging.getLogger("ems_dash.auth.web").setLevel(logging.ERROR)
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
