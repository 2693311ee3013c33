"""The sites of an ``ems.yaml`` as a list: see them, name them, add and remove them.

A file without ``sites:`` describes one site. The first one that is added makes entries of both:
what the file stated holds for all, and the new entry states what no second site may inherit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engine.config.changes import Change
from engine.config.edit import plain
from engine.config.load import FieldProblem, tidied
from engine.config.schema import Config
from engine.config.sites import SITES, UnknownSiteError, has_sites, merged, shared_part


@dataclass(frozen=True, slots=True)
class SiteRow:
    """One site of the list.

    Attributes:
        index: Number of its entry in the file, 0 in a file of one site; None for a site to come.
        id: Its id; that of an entry is not changed from here.
        name: Its name on pages; None leaves it as it is.
    """

    index: int | None
    id: str
    name: str | None


def site_rows(data: Mapping[Any, Any]) -> tuple[SiteRow, ...]:
    """Return the sites of a file in its order; the file need not be valid.

    Args:
        data: The file, as read or as JSON.
    """
    if not has_sites(data):
        return (_row(0, data),)
    stated = data[SITES] if isinstance(data[SITES], list) else []
    shared = tidied(shared_part(data))
    return tuple(
        _row(index, merged(shared, tidied(entry)) if isinstance(entry, Mapping) else {})
        for index, entry in enumerate(stated)
    )


def with_rows(data: Mapping[Any, Any], rows: Sequence[SiteRow]) -> dict[str, Any]:
    """Return what a file should hold so that it describes the sites `rows`.

    Entries keep their order and everything they state; what is not in `rows` goes, new sites come
    last. A new one has no devices and no MQTT inputs, whatever holds for all: a device belongs to
    one site, and a measurement of one must not become that of another. It runs the demo plant
    until it has a device.

    Args:
        data: The file as it is.
        rows: The sites it should have.

    Raises:
        UnknownSiteError: A row is of an entry that is not there.
        FieldProblem: There is no row.
    """
    out: dict[str, Any] = plain(data)
    known = site_rows(data)
    kept = {row.index: row for row in rows if row.index is not None}
    for row in kept.values():
        if row.index is None or row.index >= len(known) or known[row.index].id != row.id:
            raise UnknownSiteError(
                f"The site '{row.id}' is not in the file any more.",
                field=SITES,
                hint="Load the page again.",
            )
    if not rows:
        raise FieldProblem(
            "An installation has at least one site.",
            field=SITES,
            loc=SITES,
            hint="Keep one, or add another first.",
        )
    new = [row for row in rows if row.index is None]
    several = has_sites(data)
    if not several and len(kept) == len(known) and not new:
        _rename(out, kept[0].name, known[0])
        return out
    if not several:
        out[SITES] = [{"site": {"id": known[0].id}}]
    entries = []
    for index in sorted(index for index in kept if index is not None):
        entry = out[SITES][index]
        _rename(entry, kept[index].name, known[index])
        entries.append(entry)
    shared = shared_part(out)
    own = _not_inherited(shared)
    entries += [{"site": {"id": row.id, "name": row.name or ""}, **own} for row in new]
    out[SITES] = entries
    return out


def row_place(rows: Sequence[SiteRow], loc: str) -> str | None:
    """Return where in the list a mistake in the file made of `rows` belongs, None when nowhere.

    Args:
        rows: The sites, as given to `with_rows`.
        loc: Dotted place in the file's data: ``sites.2.site.id``.

    Returns:
        ``sites.<number of the row>.id`` or ``.name``; only the number for other keys of a new
        site, which are nowhere else.
    """
    parts = loc.split(".")
    if len(parts) < 2 or parts[0] != SITES or not parts[1].isdigit():
        return None
    kept = sorted((row.index, at) for at, row in enumerate(rows) if row.index is not None)
    order = [at for _index, at in kept]
    order += [at for at, row in enumerate(rows) if row.index is None]
    if int(parts[1]) >= len(order):
        return None
    at = order[int(parts[1])]
    if parts[2:] in (["site", "id"], ["site", "name"]):
        return f"{SITES}.{at}.{parts[3]}"
    return f"{SITES}.{at}" if rows[at].index is None else None


def row_changes(
    before: Sequence[SiteRow], after: Sequence[SiteRow], own: Sequence[str] = ()
) -> tuple[Change, ...]:
    """Return which sites are added, removed or named anew.

    Args:
        before: The sites before.
        after: The sites after.
        own: Ids of a site whose own changes are told elsewhere.
    """
    old = {row.id: row.name for row in before if row.id not in own}
    new = {row.id: row.name for row in after if row.id not in own}
    out: list[Change] = []
    for site_id in (*old, *(i for i in new if i not in old)):
        if site_id not in new or site_id not in old:
            out.append(Change(f"{SITES}.{site_id}", old.get(site_id), new.get(site_id)))
        elif old[site_id] != new[site_id]:
            out.append(Change(f"{SITES}.{site_id}.name", old[site_id], new[site_id]))
    return tuple(out)


def _row(index: int, values: Mapping[Any, Any]) -> SiteRow:
    site = values.get("site")
    stated = site if isinstance(site, Mapping) else {}
    usual = Config().site
    found = {key: stated.get(key) for key in ("id", "name")}
    return SiteRow(
        index,
        usual.id if found["id"] is None else str(found["id"]),
        usual.name if found["name"] is None else str(found["name"]),
    )


def _rename(values: dict[str, Any], name: str | None, known: SiteRow) -> None:
    if name is not None and name != known.name:
        stated = values.get("site")
        values["site"] = {**(stated if isinstance(stated, Mapping) else {}), "name": name}


def _not_inherited(shared: Mapping[Any, Any]) -> dict[str, Any]:
    """Return what a new entry states so that it has no device or measurement of another site.

    Without a device of its own it runs the demo plant, which is marked as such on every page, and
    leaves out what cannot stand beside that.
    """
    out: dict[str, Any] = {}
    if _in(shared, "modbus", "enabled") is True:
        out["modbus"] = {"enabled": False}
    if shared.get("devices"):
        out["devices"] = []
    if _in(shared, "mqtt", "inputs"):
        out["mqtt"] = {"inputs": []}
    if _in(shared, "demo_plant", "enabled") is False:
        out["demo_plant"] = {"enabled": None}
    if _in(shared, "weather", "provider") not in (None, "none"):
        out["weather"] = {"provider": "none"}
        if _in(shared, "forecasts", "pv") == "weather_pv":
            out["forecasts"] = {"pv": "auto"}
    return out


def _in(values: Mapping[Any, Any], section: str, key: str) -> Any:
    found = values.get(section)
    return found.get(key) if isinstance(found, Mapping) else None
