"""Where a mistake belongs: in the values of a site, or in the list of sites."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.config.load import FieldProblem
from engine.config.site_list import SiteRow, row_place
from engine.config.sites import SITES, entry_place
from engine.domain.errors import ConfigError


def place(values: Mapping[str, Any], problem: FieldProblem) -> str:
    """Return where in `values` a problem belongs: a dotted key, list items by their number.

    Some rules name a list item by its name, as a person does.
    """
    named = _numbered(values, problem.field or "")
    if named is None:
        return problem.loc or problem.field or ""
    return named if len(named) >= len(problem.loc) else problem.loc


def _numbered(values: Any, field: str) -> str | None:
    """Return `field` with the numbers of list items for their names; None when one is missing."""
    out: list[str] = []
    node = values
    for part in field.split("."):
        if isinstance(node, list):
            names = [
                str(index)
                for index, item in enumerate(node)
                if part == str(index) or (isinstance(item, Mapping) and item.get("name") == part)
            ]
            if not names:
                return None
            out.append(names[-1])
            node = node[int(names[-1])]
        else:
            out.append(part)
            node = node.get(part) if isinstance(node, Mapping) else None
    return ".".join(out)


def of_row(problem: FieldProblem, own: int, sites: Sequence[SiteRow] | None) -> FieldProblem:
    """Name a problem as it is named in the site's values or in the list of sites.

    Args:
        problem: A problem of a whole file, or of the values of the site.
        own: Number of the site's entry in the file as it is.
        sites: The sites that the file would have; None for those it has.
    """
    kept = [own] if sites is None else [row.index for row in sites if row.index is not None]
    index = own if sites is None else sum(1 for at in kept if at < own)
    before, loc = entry_place(index, "") + ".", f"{SITES}.{index}."
    field = problem.field or ""
    if field.startswith(before):
        return problem.at(field.removeprefix(before), problem.loc.removeprefix(loc))
    where = None if sites is None else row_place(sites, problem.loc)
    return problem if where is None else problem.at(where, where)


def as_field_problem(problem: ConfigError) -> FieldProblem:
    """Return an error as the problem of a field."""
    if isinstance(problem, FieldProblem):
        return problem
    return FieldProblem(
        problem.message, field=problem.field, value=problem.value, hint=problem.hint
    )
