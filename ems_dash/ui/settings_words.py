"""Names of keys, options, problems and changes as people read them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from ems_dash.i18n import catalogue, label, t
from ems_dash.i18n.problems import in_german
from ems_dash.ui import format as fmt
from ems_dash.ui.settings_fields import NONE, number_text, shift_of
from engine.config.changes import Change
from engine.config.load import FieldProblem

_DROPPED = frozenset({"versions"})
_NAMED = frozenset({"registers", "devices", "channels", "sites"})
"""After these stands the name of an item rather than a key."""


def _holds_items(key: str) -> bool:
    return key in _NAMED or key.endswith("windows")


def general(path: str) -> str:
    """Return a dotted key without numbers of items, versions and names of registers."""
    parts = path.split(".")
    kept: list[str] = []
    for index, part in enumerate(parts):
        before = parts[index - 1] if index else ""
        if part.isdigit() or part in _DROPPED or _holds_items(before):
            continue
        kept.append(part)
    return ".".join(kept)


def name_of(path: str, lang: str) -> str:
    """Return what a key is called; its own name where the catalogue has none."""
    key = general(path)
    known = catalogue(lang)
    leaf = key.rpartition(".")[2]
    found = known.get(f"set.f.{key}") or known.get(f"set.f.*.{leaf}")
    return found if found is not None else leaf.replace("_", " ")


def option_label(leaf: str, value: str, lang: str) -> str:
    """Return what an option is called; the option itself where the catalogue has none."""
    known = catalogue(lang)
    if leaf in ("manual_strategy",):
        return label("strategy", value, lang)
    if value == NONE:
        return known.get(f"set.o.{leaf}.none", t("set.o.none", lang))
    found = known.get(f"set.o.{leaf}.{value}") or known.get(f"set.o.*.{value}")
    return found if found is not None else value


def problem_text(problem: FieldProblem, lang: str) -> str:
    """Return a problem in words: what is wrong, and the remedy."""
    found = catalogue(lang).get(f"set.p.{problem.kind}") if problem.kind else None
    if found is not None:
        text = found.format(**_as_shown(problem, lang))
        return re.sub("'([^']*)'", "„\\1“", text) if lang == "de" else text
    german = in_german(problem.message) if lang == "de" else None
    if german is not None:
        return german
    text = problem.message.removesuffix(".") + "."
    return f"{text} {problem.hint}" if problem.hint else text


def _as_shown(problem: FieldProblem, lang: str) -> Mapping[str, str]:
    """Return the words of a problem with its numbers as the field shows them."""
    if problem.kind not in _BOUNDS:
        return problem.params
    shift = shift_of(problem.field or "")
    return {name: _number_as_shown(text, shift, lang) for name, text in problem.params.items()}


def _number_as_shown(text: str, shift: int, lang: str) -> str:
    try:
        value = float(text)
    except ValueError:
        return text
    return number_text(value, shift, lang).replace("-", fmt.MINUS) if math.isfinite(value) else text


def day_text(value: str, lang: str) -> str:
    """Return a day of the file (ISO 8601) as people write it; what is none stays as it is."""
    try:
        return fmt.date_of_day(date.fromisoformat(value), lang)
    except ValueError:
        return value


def value_text(value: Any, lang: str, path: str = "") -> str:
    """Return a value of a change in words; `path` names the keys of a whole section."""
    if value is None:
        return t("set.nothing", lang)
    if isinstance(value, bool):
        return t("set.yes" if value else "set.no", lang)
    if isinstance(value, Mapping):
        return ", ".join(
            value_text(item, lang, f"{path}.{key}")
            # Its keys say by themselves what they are about.
            if isinstance(item, Mapping)
            else f"{name_of(f'{path}.{key}', lang)}: {value_text(item, lang, f'{path}.{key}')}"
            for key, item in value.items()
        )
    if isinstance(value, list):
        return ", ".join(value_text(item, lang, path) for item in value) or t("set.nothing", lang)
    if isinstance(value, (int, float)):
        shift = shift_of(path)
        return number_text(value, shift, lang) + _unit(path, shift)
    leaf = path.rpartition(".")[2]
    if leaf == "valid_from":
        return day_text(str(value), lang)
    return option_label(leaf, str(value), lang)


_BOUNDS: Final = frozenset({"ge", "gt", "le", "lt"})
"""Kinds of problems that name a value and what it may be."""

_UNITS: Final = {
    **{"eur_per_kwh": "ct/kWh", "eur_per_kw": "€/kW", "eur_per_kwh_per_year": "€/kWh"},
    **{"percent_per_s": "%/s", "percent": "%", "kwh": "kWh", "kw": "kW", "kohm": "kΩ"},
    **{"minutes": "min", "hours": "h", "s": "s", "c": "°C", "deg": "°"},
}
"""Unit by the end of a key; the longest end that fits holds."""


def _unit(path: str, shift: int) -> str:
    """Return the unit that a key names, with a blank before it; empty where it names none."""
    leaf = path.rpartition(".")[2]
    parts = leaf.split("_")
    for first in range(1, len(parts)):
        unit = _UNITS.get("_".join(parts[first:]))
        if unit is not None:
            return f" {unit}"
    return " %" if shift else ""


def change_name(change: Change, lang: str) -> str:
    """Return what a changed key is called; with the item it belongs to."""
    parts = change.path.split(".")
    items = [parts[i] for i in range(1, len(parts)) if _holds_items(parts[i - 1])]
    name = name_of(change.path, lang)
    return " · ".join([name, *(item for item in items if not item.isdigit())])
