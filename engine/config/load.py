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
from engine.config.masking import is_secret
from engine.config.planning import COUNTRY_PATTERN, ENV_NAME_PATTERN, WEB_ADDRESS_PATTERN
from engine.config.schema import Config
from engine.domain.errors import ConfigError

MAX_BYTES = 1_000_000
FILE_NAME = "ems.yaml"

MAX_VALUES = 100_000
MAX_DEPTH = 40
"""More of either is no configuration."""

MAX_PROBLEMS = 200
"""Most mistakes that are told of one file."""

_MAX_BRACKETS = 20_000
"""More take the parser minutes."""


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


class FieldProblem(ConfigError):
    """One mistake at one key.

    Args:
        message: What is wrong, one sentence.
        kind: Machine-readable kind, so that a page can say it in another language; empty for a
            rule of its own, whose words are only in the message.
        params: What the words of `kind` are filled with.
        loc: Dotted place in the data, with the index of list items.
    """

    def __init__(
        self,
        message: str,
        *,
        kind: str = "",
        params: Mapping[str, str] | None = None,
        loc: str = "",
        field: str | None = None,
        value: Any = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, field=field, value=value, hint=hint)
        self.kind = kind
        self.params = dict(params or {})
        self.loc = loc

    def at(self, field: str, loc: str) -> FieldProblem:
        """Return the same mistake under another key and place."""
        return FieldProblem(
            self.message,
            kind=self.kind,
            params=self.params,
            loc=loc,
            field=field,
            value=self.value,
            hint=self.hint,
        )


def parse_config(text: str, source: str = FILE_NAME) -> Config:
    """Parse and validate the text of an ``ems.yaml``.

    Args:
        text: YAML.
        source: Name used in messages.

    Raises:
        ConfigProblems: When anything is wrong; every mistake names key, value and remedy.
    """
    return config_from(read_yaml(text, source), source)


def read_yaml(text: str, source: str = FILE_NAME) -> dict[Any, Any]:
    """Return what the text of an ``ems.yaml`` holds, not validated; empty for an empty file.

    Raises:
        ConfigProblems: It is no YAML, or no keys and values.
    """
    yaml = YAML(typ="safe", pure=True)
    if text.count("[") + text.count("{") > _MAX_BRACKETS:
        raise ConfigProblems(source, [_too_deep()])
    try:
        data = yaml.load(text)
    except YAMLError as exc:
        raise ConfigProblems(source, [_yaml_problem(exc)]) from exc
    except RecursionError as exc:
        raise ConfigProblems(source, [_too_deep()]) from exc
    _refuse_bombs(data, source)
    if data is None:
        data = {}
    if not isinstance(data, dict):
        problem = ConfigError(
            "The file must hold keys and values.",
            value=type(data).__name__,
            hint="Start it with a line such as 'bess:'.",
        )
        raise ConfigProblems(source, [problem])
    return data


def _refuse_bombs(data: Any, source: str) -> None:
    """Refuse what is small as text but huge, or without end, once its aliases are followed.

    Raises:
        ConfigProblems: It is too large or too deep.
    """
    sizes: dict[int, int] = {}
    open_nodes: set[int] = set()

    def size(node: Any, depth: int) -> int:
        if not isinstance(node, (Mapping, list)):
            return 1
        known = sizes.get(id(node))
        if known is not None:
            return known
        if depth > MAX_DEPTH or id(node) in open_nodes:
            raise ConfigProblems(source, [_too_deep()])
        open_nodes.add(id(node))
        children = node.values() if isinstance(node, Mapping) else node
        total = 1 + sum(size(child, depth + 1) for child in children)
        open_nodes.remove(id(node))
        sizes[id(node)] = total
        return total

    if size(data, 0) > MAX_VALUES:
        problem = ConfigError(
            f"The file holds more than {MAX_VALUES} values once its aliases are followed.",
            hint="Write them out, or remove the anchors (&) and aliases (*).",
        )
        raise ConfigProblems(source, [problem])


def _too_deep() -> ConfigError:
    return ConfigError(
        f"The file is nested more than {MAX_DEPTH} levels deep, or in itself.",
        hint="A configuration has a few levels; is this the right file?",
    )


def config_from(data: Mapping[Any, Any], source: str = FILE_NAME) -> Config:
    """Return the validated configuration that `data` describes.

    Raises:
        ConfigProblems: When anything is wrong; each problem is a `FieldProblem`.
    """
    try:
        return Config.model_validate(tidied(data))
    except ValidationError as exc:
        # Finding where each stands takes time; nobody reads more, and a bot may send thousands.
        problems = [_problem(dict(e), data) for e in exc.errors()[:MAX_PROBLEMS]]
        raise ConfigProblems(source, problems) from exc


def load_config(directory: Path) -> Config:
    """Read an ``ems.yaml`` of one site from `directory`, creating it when absent.

    Raises:
        ConfigProblems: When the content is wrong.
        ConfigError: When the file cannot be read or created.
    """
    path = ensure_file(directory)
    return parse_config(read_text(path), source=str(path))


def ensure_file(directory: Path) -> Path:
    """Return the path of ``ems.yaml`` in `directory`, made with commented defaults when absent.

    Raises:
        ConfigError: It cannot be created.
    """
    path = directory / FILE_NAME
    try:
        if not path.exists():
            directory.mkdir(parents=True, exist_ok=True)
            write_atomically(path, DEFAULT_EMS_YAML)
    except OSError as exc:
        raise _unreadable(path, exc) from exc
    return path


def read_text(path: Path) -> str:
    """Return the text of a configuration file.

    Raises:
        ConfigError: It cannot be read, is no UTF-8 text, or is larger than 1 MB.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(
                "The file is larger than 1 MB.",
                field=FILE_NAME,
                hint="A configuration is a few kB; is this the right file?",
            )
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError as exc:
        raise ConfigError(
            "The file is not UTF-8 text.", field=FILE_NAME, hint="Save it as UTF-8."
        ) from exc
    except OSError as exc:
        raise _unreadable(path, exc) from exc


def _unreadable(path: Path, exc: OSError) -> ConfigError:
    return ConfigError(
        f"The file cannot be read or created: {exc.strerror}.",
        field=FILE_NAME,
        value=str(path),
        hint="Check the folder given with --config and its permissions.",
    )


def write_atomically(path: Path, text: str, mode: int = 0o644) -> None:
    """Write `text` to `path` so that a crash leaves the old file or the new one, never a mix.

    Args:
        path: The file.
        text: Its content.
        mode: Its permissions.
    """
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, mode)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def tidied(data: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return `data` with empty sections (``bess:`` with nothing below) as such, and keys as text.

    Nothing is validated: what is no section where one belongs stays as it is.
    """
    out: dict[Any, Any] = _tidy_sections(data, Config)
    return out


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

_KINDS = {
    "float_type": "number",
    "float_parsing": "number",
    "int_type": "whole",
    "int_from_float": "whole",
    "bool_type": "switch",
    "string_type": "text",
    "string_too_short": "too_short",
    "string_too_long": "too_long",
}
"""Kind of a problem by pydantic's own, for those that a page translates."""

_NAME_REMEDY = "Use lower-case letters, digits, '-' and '_', at most 40 characters."

_PATTERN_REMEDIES = {
    ENV_NAME_PATTERN: "Give the name of an environment variable: capitals, digits and '_'.",
    COUNTRY_PATTERN: "Give the two capital letters of a country, for example AT.",
}


def _problem(error: dict[str, Any], data: Mapping[str, Any]) -> FieldProblem:
    loc = [str(part) for part in error["loc"] if part != "[key]"]
    field = ".".join(loc)
    value = error.get("input")
    kind = error["type"]
    context = error.get("ctx", {})

    def problem(
        message: str, hint: str | None, kind: str = "", *, shown: bool = True, **params: str
    ) -> FieldProblem:
        return FieldProblem(
            message,
            kind=kind,
            params={"value": _shown(value), **params} if shown else params,
            loc=field,
            field=field,
            value=value if shown else None,
            hint=hint,
        )

    if kind == "value_error":
        text = str(context.get("error", error["msg"]))
        if text.count("|") == 2:
            where, message, hint = text.split("|")
            found = _lookup(data, where)
            named = found is None or f"{found}" in message
            suffix = "" if named else f" The value is {found!r}."
            return FieldProblem(message + suffix, loc=field, field=where, value=found, hint=hint)
        return FieldProblem(text, loc=field, field=field, value=value)
    if kind == "extra_forbidden":
        known = _known_keys(loc[:-1])
        near = difflib.get_close_matches(loc[-1], known, n=1)
        hint = (
            f"Did you mean '{near[0]}'?"
            if near
            else f"Known keys here: {', '.join(sorted(known))}."
        )
        if loc == ["sites"]:
            only_one = "Several sites cannot be described here."
            return problem(only_one, "Give the file of one site.", shown=False)
        if is_secret(loc[-1]):
            return problem("Unknown key.", hint, "unknown_key", shown=False)
        return problem(f"Unknown key (value {_shown(value)}).", hint, "unknown_key")
    if kind == "missing":
        return problem("This key is missing.", "Add it.", "missing", shown=False)
    if kind == "literal_error":
        expected = str(context["expected"])
        message = f"{_shown(value)} is not possible here."
        return problem(message, f"Use {expected}.", "choice", expected=expected)
    bounds = {
        "greater_than_equal": ("at least", "ge"),
        "greater_than": ("greater than", "gt"),
        "less_than_equal": ("at most", "le"),
        "less_than": ("less than", "lt"),
    }
    if kind in bounds:
        words, key = bounds[kind]
        return problem(
            f"{_shown(value)} is not possible here.",
            f"Give a value of {words} {context[key]:g}.",
            key,
            bound=f"{context[key]:g}",
        )
    if kind == "string_pattern_mismatch" and context.get("pattern") == WEB_ADDRESS_PATTERN:
        # Not repeated: it may hold a password, which belongs in the environment.
        return problem(
            "This address is not possible here.",
            "Give one such as https://host.example, without user, query or fragment.",
            "address",
            shown=False,
        )
    if kind == "string_pattern_mismatch":
        pattern = str(context.get("pattern"))
        return problem(
            f"{_shown(value)} is not possible here.",
            _PATTERN_REMEDIES.get(pattern, _NAME_REMEDY),
            {ENV_NAME_PATTERN: "env_name", COUNTRY_PATTERN: "country"}.get(pattern, "name"),
        )
    remedy = _REMEDIES.get(kind)
    detail = "" if remedy else f": {error['msg']}"
    return problem(
        f"{_shown(value)} is not possible here{detail}.",
        remedy or "See the comments in the default ems.yaml.",
        _KINDS.get(kind, ""),
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
        model = section_in(annotation) or model
    return [field.alias or name for name, field in model.model_fields.items()]


def section_in(annotation: Any) -> type[BaseModel] | None:
    """Return the section an annotation holds, also inside collections and optional types."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for arg in get_args(annotation) if (found := section_in(arg))), None)
