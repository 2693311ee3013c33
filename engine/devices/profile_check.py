"""Checking a profile file: every mistake that can be told, one sentence each.

The schema is checked as a whole. What the parts mean together is checked part
by part: a part with a mistake is left out before the rest is checked again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from engine.devices.profile_def import DeviceProfile
from engine.domain.errors import DeviceError
from engine.domain.signals import SIGNALS

_MOST_MISTAKES: Final = 100
_OPTIONAL: Final = frozenset(
    {"unit", "sentinel", "sentinel_value", "min", "max", "bit", "mask", "scale", "scale_factor"}
)
_PARTS: Final = frozenset({"registers", "derived", "texts", "alarms", "commands"})


@dataclass(frozen=True, slots=True)
class ProfileCheck:
    """Result of a check.

    Attributes:
        profile: The profile; None when there is a mistake.
        mistakes: One sentence per mistake, none when the profile is valid.
    """

    profile: DeviceProfile | None
    mistakes: tuple[str, ...] = ()


def check_profile_file(path: Path) -> ProfileCheck:
    """Return what is in the profile file at `path`, or every mistake found in it.

    Raises:
        DeviceError: The file cannot be read.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as exc:
        raise DeviceError(
            f"the profile cannot be read: {exc.strerror}.",
            field="FILE.yaml",
            value=str(path),
            hint="Give the path of a readable YAML file.",
        ) from exc
    except UnicodeDecodeError as exc:
        return ProfileCheck(None, (f"the file is not UTF-8 text ({exc.reason}).",))
    return check_profile_text(text, path.stem)


def check_profile_text(text: str, key: str) -> ProfileCheck:
    """Return what `text` describes, or every mistake in it; `key` must be the key inside."""
    try:
        data = YAML(typ="safe", pure=True).load(text)
    except MarkedYAMLError as exc:
        line = "" if exc.problem_mark is None else f" in line {exc.problem_mark.line + 1}"
        return ProfileCheck(None, (f"the file is not valid YAML{line}: {exc.problem}.",))
    except YAMLError as exc:
        return ProfileCheck(None, (f"the file is not valid YAML: {exc}.",))
    if not isinstance(data, dict):
        return ProfileCheck(None, ("the file is not a table of fields.",))
    mistakes: list[str] = []
    profile = _profile_in(data, mistakes)
    if profile is not None and not mistakes and not profile.signals & SIGNALS.keys():
        mistakes.append("registers: no signal is one the program works with; see the list of them.")
    if data.get("key") not in (key, None):
        mistakes.append(f"key: it is {data['key']!r}, but the file is named {key!r}; rename one.")
    return ProfileCheck(None if mistakes else profile, tuple(mistakes))


def _profile_in(data: Mapping[str, Any], mistakes: list[str]) -> DeviceProfile | None:
    rest: dict[str, Any] = dict(data)
    left_out: set[str] = set()
    for _ in range(_MOST_MISTAKES):
        try:
            return DeviceProfile.model_validate(rest)
        except ValidationError as exc:
            mistakes += [_sentence(dict(error)) for error in exc.errors(include_url=False)]
            # What the parts mean together is told once each part is well-formed.
            return None
        except DeviceError as exc:
            # What refers to a signal left out because of its own mistake is no mistake of its own.
            if not (isinstance(exc.value, str) and exc.value in left_out):
                mistakes.append(str(exc))
            smaller = _without_mistake(rest, exc)
            if smaller is None:
                return None
            part, name = (exc.field or "").partition(".")[0], _name_in(exc.field or "")
            if name not in smaller[part]:
                left_out.add(name)
            rest = smaller
    return None


def _without_mistake(data: Mapping[str, Any], error: DeviceError) -> dict[str, Any] | None:
    """Return `data` without the smallest thing that removes the mistake; None when unknown."""
    field = error.field or ""
    part, name, detail = field.partition(".")[0], _name_in(field), field.rpartition(".")[2]
    table = data.get(part)
    if part not in _PARTS or not isinstance(table, dict) or name not in table:
        return None
    entry = table[name]
    kept: Any = None
    if part == "derived":
        kept = _without_input(entry, error.value)
    elif isinstance(entry, dict) and detail in _OPTIONAL and detail in entry:
        kept = {key: value for key, value in entry.items() if key != detail}
    others = {key: value for key, value in table.items() if key != name}
    # The order of derived signals matters, so an entry that is kept stays at its place.
    smaller = others if kept is None else {k: kept if k == name else v for k, v in table.items()}
    return {**data, part: smaller}


def _without_input(rule: Any, name: Any) -> dict[str, Any] | None:
    if not isinstance(rule, dict):
        return None
    for operation in ("sum", "product", "first"):
        inputs = rule.get(operation)
        if isinstance(inputs, list | dict) and name in inputs and len(inputs) > 1:
            kept = (
                {key: value for key, value in inputs.items() if key != name}
                if isinstance(inputs, dict)
                else [key for key in inputs if key != name]
            )
            return {**rule, operation: kept}
    return None


def _name_in(field: str) -> str:
    return field.partition(".")[2].split(".", 1)[0]


def _sentence(error: Mapping[str, Any]) -> str:
    field = ".".join(str(part) for part in error["loc"])
    if error["type"] == "missing":
        return f"{field}: this field is missing."
    if error["type"] == "extra_forbidden":
        return f"{field}: there is no such field; correct its name or leave it out."
    return f"{field}: {error['msg']} (got {error['input']!r})."
