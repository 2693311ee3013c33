"""The fields of the settings: how a value of ``ems.yaml`` is shown in an input and read from it.

Everything that can be known from the schema is taken from it: kind, choices, default, whether a
value may be left out. What is shown and not touched is never written, so a draft that goes
through the form loses nothing.
"""

from __future__ import annotations

import re
import types
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from functools import cache
from typing import Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from ems_dash.ui.settings_profiles import register_default
from engine.config.schema import Config

ABSENT: Final = "\x00absent"
"""Marks a key that the file does not state."""


NONE: Final = "-"
"""Stands in a choice for no value at all; a browser shows an option of "" as nothing."""


class Kind(StrEnum):
    """How a value is entered."""

    NUMBER = "number"
    WHOLE = "whole"
    TEXT = "text"
    CHOICE = "choice"
    SWITCH = "switch"
    MANY = "many"
    WORDS = "words"
    CODES = "codes"
    DATE = "date"


@dataclass(frozen=True, slots=True)
class Field:
    """One value of the configuration as a form has it.

    Attributes:
        path: Dotted key in the file; items of lists by their number.
        kind: How it is entered.
        default: Value in force when the file does not state it.
        optional: True when it may be left out or null.
        options: Possible values of a choice.
        ordered: True when the order of chosen options matters.
        shift: Decimal places the number shown is larger than the one in the file: 2 for a share
            shown in percent or EUR shown in ct.
        unit: Unit of what is shown.
    """

    path: str
    kind: Kind
    default: Any = None
    optional: bool = False
    options: tuple[Any, ...] = ()
    ordered: bool = False
    shift: int = 0
    unit: str = ""

    @property
    def leaf(self) -> str:
        """The last part of the path."""
        return self.path.rpartition(".")[2]


def get(values: Any, path: str) -> Any:
    """Return the value at a dotted path, `ABSENT` where the file does not state it."""
    node = values
    for part in path.split("."):
        if isinstance(node, Mapping):
            node = node.get(part, ABSENT)
        elif isinstance(node, list) and part.isdigit() and int(part) < len(node):
            node = node[int(part)]
        else:
            return ABSENT
        if isinstance(node, str) and node == ABSENT:
            return ABSENT
    return node


def put(values: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at a dotted path, making sections on the way; `ABSENT` removes it.

    A section or mapping that becomes empty by a removal is removed too.
    """
    *parents, leaf = path.split(".")
    node: Any = values
    trail: list[tuple[Any, str]] = []
    for part in parents:
        trail.append((node, part))
        if isinstance(node, list):
            node = node[int(part)]
            continue
        if not isinstance(node.get(part), (dict, list)):
            if isinstance(value, str) and value == ABSENT:
                return
            node[part] = {}
        node = node[part]
    if not (isinstance(value, str) and value == ABSENT):
        if isinstance(node, list):
            node[int(leaf)] = value
        else:
            node[leaf] = value
        return
    if isinstance(node, list):
        del node[int(leaf)]
        return
    node.pop(leaf, None)
    for parent, part in reversed(trail):
        child = parent[int(part)] if isinstance(parent, list) else parent[part]
        if child or isinstance(parent, list):
            return
        del parent[part]


def default_of(field: Field, values: Mapping[str, Any]) -> Any:
    """Return what is in force where the file does not state the field."""
    parent = field.path.rpartition(".")[0]
    # Whoever states windows means them; the default fee does not fill their gaps.
    if field.leaf == "grid_fee_eur_per_kwh":
        windows = get(values, f"{parent}.grid_fee_windows")
        if isinstance(windows, list) and windows:
            return None
    device, registers, rest = field.path.partition(".registers.")
    if registers:
        profile = get(values, f"{device}.profile")
        return register_default(profile, *rest.split("."))
    return field.default


def in_force(field: Field, values: Mapping[str, Any]) -> Any:
    """Return the stated value, or else the default."""
    value = get(values, field.path)
    return default_of(field, values) if isinstance(value, str) and value == ABSENT else value


def shown(field: Field, values: Mapping[str, Any], lang: str) -> Any:
    """Return what the input of a field holds: text, or a list of the chosen options, or a bool."""
    value = in_force(field, values)
    if field.kind is Kind.SWITCH:
        return value is True
    if field.kind is Kind.MANY:
        items = value if isinstance(value, list) else []
        texts = [option_text(item) for item in items]
        known = [option_text(option) for option in field.options]
        return texts if field.ordered else [text for text in known if text in texts]
    if field.kind is Kind.CHOICE:
        return option_text(value)
    if value is None:
        return ""
    if field.kind is Kind.WORDS:
        return ", ".join(str(item) for item in value) if isinstance(value, list) else str(value)
    if field.kind is Kind.CODES and isinstance(value, Mapping):
        return "\n".join(f"{code}: {text}" for code, text in value.items())
    if field.kind in (Kind.NUMBER, Kind.WHOLE) and _is_number(value):
        return number_text(value, field.shift, lang)
    return str(value)


def take(field: Field, values: dict[str, Any], entered: Any, lang: str) -> bool:
    """Put what was entered into `values`; return False when it is what was shown.

    Text that is no number stays as it was typed, so that the schema can say what is wrong.
    """
    if entered is None:
        entered = [] if field.kind is Kind.MANY else ""
    if entered == shown(field, values, lang):
        return False
    value = _parsed(field, entered, lang)
    stated = get(values, field.path)
    if value is None:
        # Null where the default is something else, for example no base price at all.
        value = ABSENT if default_of(field, values) is None else None
    if isinstance(stated, str) and stated == ABSENT and value == default_of(field, values):
        return False
    put(values, field.path, value)
    for path in required_beside(field.path):
        beside = _describe(path)[1]
        if get(values, path) == ABSENT and beside is not None:
            put(values, path, beside)
    return True


def _parsed(field: Field, entered: Any, lang: str) -> Any:
    if field.kind is Kind.SWITCH:
        return bool(entered)
    if field.kind is Kind.MANY:
        by_text = {option_text(option): option for option in field.options}
        chosen = [by_text[text] for text in entered if text in by_text]
        if not field.ordered:
            chosen = [option for option in field.options if option in chosen]
        return chosen or (None if field.optional else [])
    text = str(entered).strip()
    if field.kind is Kind.CHOICE:
        return next((o for o in field.options if option_text(o) == text), text)
    if not text and field.optional:
        return None
    if field.kind is Kind.WORDS:
        return [word.strip() for word in text.split(",") if word.strip()]
    if field.kind is Kind.CODES:
        lines = (line.partition(":") for line in text.splitlines() if line.strip())
        return {code.strip(): meaning.strip() for code, _, meaning in lines}
    if field.kind is Kind.NUMBER:
        number = parse_number(text, lang)
        return text if number is None else float(number.scaleb(-field.shift))
    if field.kind is Kind.WHOLE:
        return int(text) if re.fullmatch(r"[+-]?\d{1,18}", text) else text
    return text


def number_text(value: float, shift: int, lang: str) -> str:
    """Return a number without loss, in the notation of `lang` and without thousands."""
    shifted = Decimal(repr(value)).scaleb(shift)
    text = f"{shifted:f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.replace(".", ",") if lang == "de" else text


def parse_number(text: str, lang: str) -> Decimal | None:
    """Return the number a person typed, None when it is none or can be read in two ways.

    Both notations are taken, but ``1.000`` in German (and ``1,000`` in English) may mean a
    thousand, and money is no place for guessing.
    """
    text = text.replace("\u2212", "-").replace("\u00a0", "").replace("\u202f", "").strip()
    foreign = "." if lang == "de" else ","
    if "," in text and "." in text:
        return None
    if re.fullmatch(rf"[+-]?[1-9]\d{{0,2}}{re.escape(foreign)}\d{{3}}", text):
        return None
    text = text.replace(",", ".")
    if not re.fullmatch(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", text):
        return None
    try:
        return Decimal(text)
    except InvalidOperation:
        return None


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def option_text(value: Any) -> str:
    """Return an option as an input holds it."""
    if value is None:
        return NONE
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


# From the schema to a field.


_SHARES: Final = frozenset(
    {
        *("efficiency_charge", "efficiency_discharge", "switch_threshold"),
        *("reserve_share", "reserve_pv_quantile", "peak_target_share"),
    }
)


def shift_of(path: str) -> int:
    """Return by how many decimal places the number of a field is shown larger.

    Prices per kWh are shown in ct, shares in percent.
    """
    leaf = path.rpartition(".")[2]
    return 2 if leaf.endswith("eur_per_kwh") or leaf in _SHARES else 0


def field_of(path: str, unit: str = "") -> Field:
    """Return the field for a dotted path, as the schema describes it.

    Args:
        path: Dotted key; items of lists and mappings by number or key.
        unit: Unit of what is shown.

    Raises:
        KeyError: The schema has no such key.
    """
    annotation, default = _describe(path)
    parent = path.rpartition(".")[0]
    is_item = bool(parent) and get_origin(_core(_describe(parent)[0])) is dict
    optional = _may_be_null(annotation) or is_item
    kind, options = _kind(annotation)
    ordered = kind is Kind.MANY and path.rpartition(".")[2] == "fallbacks"
    if kind is Kind.CHOICE and optional:
        options = (None, *options)
    if isinstance(default, list) and kind is Kind.WORDS:
        default = list(default)
    return Field(path, kind, default, optional, options, ordered, shift_of(path), unit)


@cache
def _describe(path: str) -> tuple[Any, Any]:
    """Return the type of the value at `path` and its default, None where there is none."""
    model: type[BaseModel] | None = Config
    annotation: Any = Config
    # The section in force by default, which may state what its type requires.
    instance: Any = _defaults()
    default: Any = None
    for part in path.split("."):
        if model is not None:
            name, info = _field_info(model, part)
            annotation = info.annotation
            default = getattr(instance, name) if instance is not None else _default(info)
            instance = default if isinstance(default, BaseModel) else None
        else:
            annotation, default, instance = _item_type(annotation), None, None
        model = _section(annotation)
    return annotation, None if isinstance(default, BaseModel) else default


@cache
def _defaults() -> Config:
    return Config()


@cache
def required_beside(path: str) -> tuple[str, ...]:
    """Return the paths of the values that must be stated where `path` is stated."""
    parent = path.rpartition(".")[0]
    model = _section(_describe(parent)[0]) if parent else None
    if model is None:
        return ()
    names = [info.alias or key for key, info in model.model_fields.items() if info.is_required()]
    return tuple(f"{parent}.{name}" for name in names)


def _field_info(model: type[BaseModel], name: str) -> tuple[str, FieldInfo]:
    for key, info in model.model_fields.items():
        if (info.alias or key) == name:
            return key, info
    raise KeyError(f"{model.__name__} has no {name}")


def _default(info: FieldInfo) -> Any:
    value = info.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return None
    return None if isinstance(value, BaseModel) else value


def _members(annotation: Any) -> tuple[Any, ...]:
    """Return the alternatives of a union, annotations taken off."""
    origin = get_origin(annotation)
    if origin in (Union, types.UnionType):
        return tuple(m for arg in get_args(annotation) for m in _members(arg))
    if hasattr(annotation, "__metadata__"):
        return _members(annotation.__origin__)
    return (annotation,)


def _may_be_null(annotation: Any) -> bool:
    return type(None) in _members(annotation)


def _core(annotation: Any) -> Any:
    return next((m for m in _members(annotation) if m is not type(None)), annotation)


def _section(annotation: Any) -> type[BaseModel] | None:
    core = _core(annotation)
    return core if isinstance(core, type) and issubclass(core, BaseModel) else None


def _item_type(annotation: Any) -> Any:
    core = _core(annotation)
    arguments = get_args(core)
    if get_origin(core) in (list, tuple) and arguments:
        return arguments[0]
    if get_origin(core) is dict and len(arguments) == 2:
        return arguments[1]
    raise KeyError(f"{core} has no items")


def _kind(annotation: Any) -> tuple[Kind, tuple[Any, ...]]:
    core = _core(annotation)
    origin = get_origin(core)
    if origin is Literal:
        return Kind.CHOICE, get_args(core)
    if isinstance(core, type) and issubclass(core, StrEnum):
        return Kind.CHOICE, tuple(member.value for member in core)
    if origin is list:
        item = _core(get_args(core)[0])
        if get_origin(item) is Literal:
            return Kind.MANY, get_args(item)
        if item is int:
            return Kind.MANY, tuple(range(1, 13))
        return Kind.WORDS, ()
    if origin is dict:
        return Kind.CODES, ()
    if core is bool:
        return (Kind.CHOICE, (True, False)) if _may_be_null(annotation) else (Kind.SWITCH, ())
    if core is float:
        return Kind.NUMBER, ()
    if core is int:
        return Kind.WHOLE, ()
    if core is date:
        return Kind.DATE, ()
    return Kind.TEXT, ()
