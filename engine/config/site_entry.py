"""One site of several in the data of an ``ems.yaml``: read as a whole, written as an entry.

What is read of a site is everything in force for it; what is written is only what differs from
what the file states for all sites, so that the shared part stays shared.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel

from engine.config.edit import plain
from engine.config.load import FieldProblem, section_in, tidied
from engine.config.schema import Config
from engine.config.sites import (
    INSTALLATION_KEYS,
    SITES,
    UnknownSiteError,
    merged,
    shared_part,
)


def index_of(data: Mapping[Any, Any], ids: Sequence[str]) -> int:
    """Return the number of the entry whose site has one of `ids`, the first of them that is there.

    Args:
        data: A file with entries, as read or as JSON; need not be valid.
        ids: Ids the site has or had.

    Raises:
        UnknownSiteError: No entry has one of them.
    """
    stated = data[SITES] if isinstance(data[SITES], list) else []
    shared = shared_part(data)
    known = [_id(merged(shared, entry)) if isinstance(entry, Mapping) else "" for entry in stated]
    for site_id in ids:
        if site_id in known:
            return known.index(site_id)
    raise UnknownSiteError(
        f"The site '{ids[0]}' is not in the file any more.",
        field=SITES,
        hint="It was renamed or removed by hand; start the program again.",
    )


def site_values(data: Mapping[Any, Any], index: int) -> dict[str, Any]:
    """Return everything a file states for one of its sites, as JSON.

    Args:
        data: A file with entries.
        index: Number of the entry.
    """
    shared = tidied(shared_part(data))
    values: dict[str, Any] = plain(merged(shared, tidied(data[SITES][index])))
    return values


def with_site(data: Mapping[Any, Any], index: int, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a file should hold so that one of its sites has `values`.

    Args:
        data: A file with entries.
        index: Number of the entry.
        values: Everything that should be stated for the site, as `site_values` gives it.

    Raises:
        ConfigError: Something is left out that the file states for all sites, and that no value
            in the entry can take back.
    """
    out: dict[str, Any] = plain(shared_part(data))
    for key in INSTALLATION_KEYS:
        out.pop(key, None)
    own = {key: value for key, value in plain(values).items() if key not in INSTALLATION_KEYS}
    entries = list(plain(data[SITES]))
    entries[index] = _over(tidied(out), plain(tidied(entries[index])), own, Config, "")
    for key in INSTALLATION_KEYS:
        if key in values:
            out[key] = plain(values[key])
    # What is there already keeps its place in the file.
    names = [*(str(key) for key in data), *(key for key in out if key not in data)]
    return {
        name: entries if name == SITES else out[name] for name in names if name in (*out, SITES)
    }


def _id(values: Mapping[Any, Any]) -> str:
    site = values.get("site")
    found = site.get("id") if isinstance(site, Mapping) else None
    return str(Config().site.id if found is None else found)


def _over(
    shared: Mapping[str, Any],
    entry: Mapping[str, Any],
    wanted: Mapping[str, Any],
    model: type[BaseModel] | None,
    path: str,
) -> dict[str, Any]:
    """Return the smallest mapping that, over `shared`, is `wanted`; what `entry` states stays."""
    out: dict[str, Any] = {}
    for key in (*(k for k in entry if k in wanted), *(k for k in wanted if k not in entry)):
        value, before, here = wanted[key], shared.get(key), entry.get(key)
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            inner = _over(
                before,
                here if isinstance(here, Mapping) else {},
                value,
                _inner(model, key),
                f"{path}{key}.",
            )
            if inner or key in entry:
                out[key] = inner
        elif key in entry or key not in shared or not _same(before, value):
            out[key] = value
    for key in shared:
        if key not in wanted:
            out[key] = _default(model, key, shared[key], f"{path}{key}")
    return out


def _same(one: Any, other: Any) -> bool:
    return bool(one == other) and isinstance(one, bool) == isinstance(other, bool)


def _inner(model: type[BaseModel] | None, key: str) -> type[BaseModel] | None:
    """Return the section a key holds itself; None where its keys are free, as of registers."""
    field = None if model is None else model.model_fields.get(key)
    annotation = field.annotation if field else None
    if annotation is None or str(annotation).startswith(("dict[", "typing.Dict", "list[")):
        return None
    return section_in(annotation)


def _default(model: type[BaseModel] | None, key: str, shared: Any, path: str) -> Any:
    """Return the value that means: left out.

    Raises:
        ConfigError: There is none.
    """
    field = None if model is None else model.model_fields.get(key)
    if field is None or field.is_required():
        raise FieldProblem(
            "This is stated for all sites; one of them cannot leave it out.",
            field=path,
            loc=path,
            value=None,
            hint="Change it for this site, or take it out of the shared part of ems.yaml by hand.",
        )
    default = field.get_default(call_default_factory=True)
    inner = _inner(model, key)
    if isinstance(shared, Mapping) and isinstance(default, BaseModel) and inner is not None:
        return {
            name: _default(inner, name, value, f"{path}.{name}") for name, value in shared.items()
        }
    return plain(default.model_dump(mode="json") if isinstance(default, BaseModel) else default)
