"""What the settings page knows between two clicks: the draft, what is open, what it means."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ems_dash.ui import settings_sections as sections
from ems_dash.ui import settings_sites
from ems_dash.ui.settings_fields import field_of, take
from ems_dash.ui.settings_registers import tidy_overrides
from ems_dash.ui.settings_words import name_of, problem_text
from engine.config.desk import ConfigDesk
from engine.config.file_states import ConfigFile, Draft
from engine.config.load import FieldProblem
from engine.config.masking import masked, unmasked
from engine.config.problem_place import place
from engine.config.site_list import SiteRow


@dataclass(frozen=True, slots=True)
class Judged:
    """A draft and what is to be said about it.

    Attributes:
        values: What the file would state for the site.
        sites: The sites the file would have; None leaves them as they are.
        shown: The draft as the page keeps it, without secrets.
        draft: The check of them.
        errors: Path to message, in the language of the page.
        named: Name and message of every mistake.
    """

    values: dict[str, Any]
    shown: Mapping[str, Any]
    draft: Draft
    errors: dict[str, str]
    named: list[tuple[str, str]]
    sites: tuple[SiteRow, ...] | None = None


def stored(file: ConfigFile) -> dict[str, Any]:
    """Return a draft of the file as it is, as the page keeps it."""
    values = {**masked(file.values), **settings_sites.stored(file)}
    return {"revision": file.revision, "values": values}


def merged(
    values: Mapping[str, Any],
    entered: Sequence[tuple[str, Any]],
    lang: str,
) -> tuple[dict[str, Any], bool]:
    """Return the draft with what was entered, and whether other fields are there now.

    Args:
        values: The draft.
        entered: Path and value of every input on the page.
        lang: Language of the page.
    """
    out = copy.deepcopy(dict(values))
    reshaped = False
    for path, value in entered:
        if settings_sites.is_of_list(path):
            settings_sites.take(out, path, value)
        elif take(field_of(path), out, value, lang) and sections.shapes(path):
            sections.reshape(out, path)
            reshaped = True
    return out, reshaped


def judge(desk: ConfigDesk, values: Mapping[str, Any], lang: str) -> Judged:
    """Check a draft.

    Raises:
        ConfigError: The file itself cannot be read.
    """
    own, sites = settings_sites.apart(values)
    checked = unmasked(own, desk.read().values)
    tidy_overrides(checked)
    draft = desk.check(checked, sites)
    errors: dict[str, str] = {}
    named = []
    for problem in draft.problems:
        where, text = place(checked, problem), problem_text(problem, lang)
        errors.setdefault(where, text)
        named.append((problem_name(problem, where, lang), text))
    return Judged(checked, values, draft, errors, named, sites)


def problem_name(problem: FieldProblem, where: str, lang: str) -> str:
    """Return what the place of a problem is called."""
    return name_of(where or problem.field or "", lang)
