"""Read ``ems.yaml``: one clear message per mistake, and nothing half-configured."""

from __future__ import annotations

import difflib
import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from engine.config.default import DEFAULT_EMS_YAML
from engine.config.planning import COUNTRY_PATTERN, ENV_NAME_PATTERN, WEB_ADDRESS_PATTERN
from engine.config.schema import Config
from engine.domain.errors import ConfigError

MAX_BYTES = 1_000_000
FILE_NAME = "ems.yaml"


class ConfigProblems(ConfigError):
    """All mistakes of one file, each a `ConfigError` of its own.

    Attributes:
        problems: One `ConfigError` per mistake, in the order of the schema.
    """

    def __init__(self, source: str, problems: Sequence[ConfigError]) -> None:
        count = len(problems)
        noun = "mistake" if count == 1 else "mistakes"
        lines = "\n".join(f"  - {p}" for p in problems)
        super().__init__(f"{source} has {count} {noun}; nothing was started.\n{lines}")
        self.problems = tuple(problems)


def parse_config(text: str, source: str = FILE_NAME) -> Config:
    """Parse and validate the text of an ``ems.yaml``.

    Args:
        text: YAML.
        source: Name used in messages.

    Raises:
        ConfigProblems: When anything is wrong; every mistake names key, value and remedy.
    """
    yaml = YAML(typ="safe", pure=True)
    try:
        data = yaml.load(text)
    except YAMLError as exc:
        raise ConfigProblems(source, [_yaml_problem(exc)]) from exc
    if data is None:
        data = {}
    if not isinstance(data, dict):
        problem = ConfigError(
            "The file must hold keys and values.",
            value=type(data).__name__,
            hint="Start it with a line such as 'bess:'.",
        )
        raise ConfigProblems(source, [problem])
    try:
        return Config.model_validate(_tidy_sections(data, Config))
    except ValidationError as exc:
        problems = [_problem(dict(e), data) for e in exc.errors()]
        raise ConfigProblems(source, problems) from exc


def load_config(directory: Path) -> Config:
    """Read ``ems.yaml`` from `directory`, creating it with commented defaults when absent.

    Raises:
        ConfigProblems: When the content is wrong.
        ConfigError: When the file cannot be read or created.
    """
    path = directory / FILE_NAME
    try:
        if not path.exists():
            directory.mkdir(parents=True, exist_ok=True)
            write_atomically(path, DEFAULT_EMS_YAML)
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(
                "The file is larger than 1 MB.",
                field=FILE_NAME,
                hint="A configuration is a few kB; is this the right file?",
            )
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as exc:
        raise ConfigError(
            "The file is not UTF-8 text.", field=FILE_NAME, hint="Save it as UTF-8."
        ) from exc
    except OSError as exc:
        raise ConfigError(
            f"The file cannot be read or created: {exc.strerror}.",
            field=FILE_NAME,
            value=str(path),
            hint="Check the folder given with --config and its permissions.",
        ) from exc
    return parse_config(text, source=str(path))


def write_atomically(path: Path, text: str) -> None:
    """Write `text` to `path` so that a crash leaves the old file or the new one, never a mix."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _tidy_sections(data: Any, model: type[BaseModel]) -> Any:
    """Read an empty section (``bess:`` with nothing below) as its defaults, and keys as text."""
    if not isinstance(data, Mapping):
        return data
    out: dict[Any, Any] = {}
    for key, value in data.items():
        field = model.model_fields.get(key) if isinstance(key, str) else None
        annotation = field.annotation if field else None
        if isinstance(annotation, type) and issubclass(annotation, BaseModel):
            out[key] = _tidy_sections(value if value is not None else {}, annotation)
        else:
            out[key if isinstance(key, str) else str(key)] = value
    return out


def _yaml_problem(exc: YAMLError) -> ConfigError:
    if isinstance(exc, MarkedYAMLError) and exc.problem_mark is not None:
        mark = exc.problem_mark
        return ConfigError(
            f"Not valid YAML at line {mark.line + 1}, column {mark.column + 1}: "
            f"{(exc.problem or 'syntax error').splitlines()[0]}.",
            hint="Check the indentation, colons and brackets there.",
        )
    return ConfigError("Not valid YAML.", hint="Check indentation, colons and brackets.")


_REMEDIES = {
    "float_type": "Give a number, without quotes.",
    "float_parsing": "Give a number, without quotes.",
    "int_type": "Give a whole number, without quotes.",
    "int_from_float": "Give a whole number.",
    "bool_type": "Write true or false.",
    "string_type": "Give text.",
    "finite_number": "Give a finite number.",
    "model_type": "Indent its keys below it.",
    "model_attributes_type": "Indent its keys below it.",
    "dict_type": "Indent its keys below it.",
}


_NAME_REMEDY = "Use lower-case letters, digits, '-' and '_', at most 40 characters."

_PATTERN_REMEDIES = {
    ENV_NAME_PATTERN: "Give the name of an environment variable: capitals, digits and '_'.",
    COUNTRY_PATTERN: "Give the two capital letters of a country, for example AT.",
}


def _problem(error: dict[str, Any], data: Mapping[str, Any]) -> ConfigError:
    loc = [str(part) for part in error["loc"] if part != "[key]"]
    field = ".".join(loc)
    value = error.get("input")
    kind = error["type"]
    context = error.get("ctx", {})
    if kind == "value_error":
        text = str(context.get("error", error["msg"]))
        if text.count("|") == 2:
            where, message, hint = text.split("|")
            shown = _lookup(data, where)
            named = shown is None or f"{shown}" in message
            suffix = "" if named else f" The value is {shown!r}."
            return ConfigError(message + suffix, field=where, value=shown, hint=hint)
        return ConfigError(text, field=field, value=value)
    if kind == "extra_forbidden":
        known = _known_keys(loc[:-1])
        near = difflib.get_close_matches(loc[-1], known, n=1)
        hint = (
            f"Did you mean '{near[0]}'?"
            if near
            else f"Known keys here: {', '.join(sorted(known))}."
        )
        return ConfigError(
            f"Unknown key (value {_shown(value)}).", field=field, value=value, hint=hint
        )
    if kind == "missing":
        return ConfigError("This key is missing.", field=field, hint="Add it.")
    if kind == "literal_error":
        return ConfigError(
            f"{_shown(value)} is not possible here.",
            field=field,
            value=value,
            hint=f"Use {context['expected']}.",
        )
    bounds = {
        "greater_than_equal": ("at least", "ge"),
        "greater_than": ("greater than", "gt"),
        "less_than_equal": ("at most", "le"),
        "less_than": ("less than", "lt"),
    }
    if kind in bounds:
        words, key = bounds[kind]
        return ConfigError(
            f"{_shown(value)} is not possible here.",
            field=field,
            value=value,
            hint=f"Give a value of {words} {context[key]:g}.",
        )
    if kind == "string_pattern_mismatch" and context.get("pattern") == WEB_ADDRESS_PATTERN:
        # Not repeated: it may hold a password, which belongs in the environment.
        return ConfigError(
            "This address is not possible here.",
            field=field,
            hint="Give one such as https://host.example, without user, query or fragment.",
        )
    if kind == "string_pattern_mismatch":
        return ConfigError(
            f"{_shown(value)} is not possible here.",
            field=field,
            value=value,
            hint=_PATTERN_REMEDIES.get(str(context.get("pattern")), _NAME_REMEDY),
        )
    remedy = _REMEDIES.get(kind)
    detail = "" if remedy else f": {error['msg']}"
    return ConfigError(
        f"{_shown(value)} is not possible here{detail}.",
        field=field,
        value=value,
        hint=remedy or "See the comments in the default ems.yaml.",
    )


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _lookup(data: Any, dotted: str) -> Any:
    for part in dotted.split("."):
        if not isinstance(data, Mapping) or part not in data:
            return None
        data = data[part]
    return data


def _known_keys(path: Sequence[str]) -> list[str]:
    model: type[BaseModel] = Config
    for part in path:
        # What is no field is a key or an index of a collection of sections.
        field = model.model_fields.get(part)
        annotation = field.annotation if field else None
        model = _section_in(annotation) or model
    return [field.alias or name for name, field in model.model_fields.items()]


def _section_in(annotation: Any) -> type[BaseModel] | None:
    """Return the section an annotation holds, also inside collections and optional types."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := _section_in(arg))), None)
