"""Several sites in one ``ems.yaml``: entries of ``sites:`` over what the file states for all.

Every entry holds the keys of one site. Where it is silent, the same key at the top level of the
file holds for it: sections are merged key by key, lists and single values replaced. A file without
``sites:`` describes one site, as ever.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from engine.config.devices import SerialConfig
from engine.config.load import (
    FILE_NAME,
    ConfigProblems,
    FieldProblem,
    config_from,
    ensure_file,
    read_text,
    read_yaml,
    tidied,
)
from engine.config.schema import Config
from engine.domain.errors import ConfigError

SITES: Final = "sites"

INSTALLATION_KEYS: Final = ("branding", "access", "server")
"""Sections that hold for all sites and stand at the top level only."""

MAX_SITES: Final = 32
"""More than one machine steers well."""


class UnknownSiteError(ConfigError):
    """There is no site of that id."""

    code = "unknown_site"


def no_such_site(asked: str, known: Iterable[str]) -> UnknownSiteError:
    """Return the error of somebody who asked for a site that is none of the `known` ones."""
    return UnknownSiteError(
        f"There is no site '{asked[:40]}'.", field="site", hint=f"Known: {', '.join(known)}."
    )


@dataclass(frozen=True, slots=True)
class Installation:
    """Everything one ``ems.yaml`` describes.

    Attributes:
        sites: One configuration for each site, in the order of the file; at least one.
    """

    sites: tuple[Config, ...]

    @property
    def ids(self) -> tuple[str, ...]:
        """The ids of the sites."""
        return tuple(config.site.id for config in self.sites)

    def site(self, site_id: str | None = None) -> Config:
        """Return the configuration of a site; without an id, of the only one.

        Raises:
            UnknownSiteError: There is none of that id, or several and none was named.
        """
        for config in self.sites:
            if config.site.id == site_id:
                return config
        known = ", ".join(self.ids)
        if site_id is not None:
            raise no_such_site(site_id, self.ids)
        if len(self.sites) > 1:
            raise UnknownSiteError(
                f"There are {len(self.sites)} sites here.",
                field="site",
                hint=f"Say which, for example with --site {self.ids[0]}. Known: {known}.",
            )
        return self.sites[0]


def load_installation(directory: Path) -> Installation:
    """Read ``ems.yaml`` from `directory`, creating it with commented defaults when absent.

    Raises:
        ConfigProblems: When the content is wrong.
        ConfigError: When the file cannot be read or created.
    """
    path = ensure_file(directory)
    return parse_installation(read_text(path), str(path))


def parse_installation(text: str, source: str = FILE_NAME) -> Installation:
    """Parse and validate the text of an ``ems.yaml`` with one site or several.

    Args:
        text: YAML.
        source: Name used in messages.

    Raises:
        ConfigProblems: When anything is wrong; every mistake names key, value and remedy.
    """
    return installation_from(read_yaml(text, source), source)


def installation_from(data: Mapping[Any, Any], source: str = FILE_NAME) -> Installation:
    """Return the validated installation that `data` describes.

    Raises:
        ConfigProblems: When anything is wrong; a mistake of one site is named
            ``sites[1].bess...``, one of what holds for all by its place at the top level.
    """
    if not has_sites(data):
        # An empty key means what an empty section means: nothing is stated.
        return Installation((config_from({k: v for k, v in data.items() if k != SITES}, source),))
    entries = _entries(data, source)
    shared = tidied(shared_part(data))
    configs: list[Config] = []
    found: list[list[FieldProblem]] = []
    for entry in entries:
        try:
            configs.append(config_from(merged(shared, tidied(entry)), source))
            found.append([])
        except ConfigProblems as exc:
            found.append([p for p in exc.problems if isinstance(p, FieldProblem)])
    if any(found):
        raise ConfigProblems(source, _placed(found, entries, shared))
    if clashes := [*_same_ids(configs), *_same_devices(configs)]:
        raise ConfigProblems(source, clashes)
    return Installation(tuple(configs))


def has_sites(data: Mapping[Any, Any]) -> bool:
    """Return True when a file has entries for its sites."""
    return data.get(SITES) is not None


def shared_part(data: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return what a file states for all of its sites."""
    return {key: value for key, value in data.items() if key != SITES}


def merged(shared: Mapping[Any, Any], entry: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return `entry` over `shared`: mappings key by key, everything else replaced."""
    out = copy.deepcopy(dict(shared))
    for key, value in entry.items():
        before = out.get(key)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            out[key] = merged(before, value)
        else:
            out[key] = copy.deepcopy(value)
    return out


def entry_place(index: int, field: str) -> str:
    """Return how a key of an entry is called in messages: ``sites[1].bess.soc_min_percent``."""
    return f"{SITES}[{index}].{field}" if field else f"{SITES}[{index}]"


def _entries(data: Mapping[Any, Any], source: str) -> list[Mapping[Any, Any]]:
    stated = data[SITES]
    if not isinstance(stated, list) or not stated:
        problem = FieldProblem(
            "Here stands one entry for each site.",
            field=SITES,
            loc=SITES,
            hint="Write a list, each entry like '- site: {id: north}', or remove the key.",
        )
        raise ConfigProblems(source, [problem])
    if len(stated) > MAX_SITES:
        problem = FieldProblem(
            f"{len(stated)} sites are more than one installation steers ({MAX_SITES}).",
            field=SITES,
            loc=SITES,
            hint="Install the program once more for the others.",
        )
        raise ConfigProblems(source, [problem])
    problems: list[FieldProblem] = []
    for index, entry in enumerate(stated):
        if not isinstance(entry, Mapping):
            problems.append(
                _at(index, "", "An entry holds the keys of one site.", "Indent them below '-'.")
            )
            continue
        for key in (*INSTALLATION_KEYS, SITES):
            if key in entry:
                what = "This key holds for the whole installation, not for one site."
                problems.append(_at(index, key, what, "Move it to the top level of the file."))
    if problems:
        raise ConfigProblems(source, problems)
    return list(stated)


def _at(index: int, field: str, message: str, hint: str) -> FieldProblem:
    place = entry_place(index, field)
    loc = f"{SITES}.{index}.{field}" if field else f"{SITES}.{index}"
    return FieldProblem(message, field=place, loc=loc, hint=hint)


def _placed(
    found: Sequence[Sequence[FieldProblem]],
    entries: Sequence[Mapping[Any, Any]],
    shared: Mapping[Any, Any],
) -> list[FieldProblem]:
    """Return the mistakes of all sites, each where it is stated and told once."""
    # What is wrong for every site, and no entry states, is wrong in what holds for all.
    how_often = Counter((p.field, p.message) for problems in found for p in problems)
    out: list[FieldProblem] = []
    told: set[tuple[str | None, str]] = set()
    for index, problems in enumerate(found):
        for problem in problems:
            field = problem.field or ""
            key = (problem.field, problem.message)
            everywhere = how_often[key] == len(entries) or bool(problem.kind)
            in_shared = not _states(entries[index], field) and _states(shared, field)
            if in_shared and everywhere:
                if key not in told:
                    told.add(key)
                    out.append(problem)
                continue
            out.append(problem.at(entry_place(index, field), f"{SITES}.{index}.{problem.loc}"))
    return out


def _states(data: Any, field: str) -> bool:
    """Return True when `data` states the key `field`, items of lists by number or name."""
    node = data
    for part in field.split("."):
        if isinstance(node, Mapping):
            if part not in node:
                return False
            node = node[part]
        elif isinstance(node, list):
            named = [
                item for item in node if isinstance(item, Mapping) and item.get("name") == part
            ]
            if part.isdigit() and int(part) < len(node):
                named.append(node[int(part)])
            if not named:
                return False
            node = named[0]
        else:
            return False
    return True


def _same_ids(configs: Sequence[Config]) -> Iterator[FieldProblem]:
    known: dict[str, int] = {}
    for index, config in enumerate(configs):
        first = known.setdefault(config.site.id, index)
        if first != index:
            yield _at(
                index,
                "site.id",
                f"The id '{config.site.id}' is that of {entry_place(first, '')} already.",
                "Give each site an id of its own.",
            )


@dataclass(frozen=True, slots=True)
class _Wired:
    """A device of a site, as far as it may clash with one of another site."""

    field: str
    endpoint: str
    unit: int | None
    writable: bool
    serial: SerialConfig | None


def _same_devices(configs: Sequence[Config]) -> Iterator[FieldProblem]:
    """Yield what two sites would command, or read over one serial line."""
    known: list[tuple[int, _Wired]] = []
    for index, config in enumerate(configs):
        here = list(_wired(config))
        for device in here:
            clash = next((other for other in known if _clash(other[1], device)), None)
            if clash is None:
                continue
            first, other = clash
            line = other.serial is not None
            what = (
                f"The serial line {device.endpoint} is in use by {entry_place(first, other.field)}."
                if line
                else f"{device.endpoint}, unit {_unit(device)}, is a device of "
                f"{entry_place(first, other.field)} already, and one of them may command it."
            )
            yield _at(
                index,
                device.field,
                what,
                "One line belongs to one site; move all devices on it there."
                if line
                else "A device belongs to one site: correct host, port or unit, or set enabled: "
                "false for one of them.",
            )
        known += [(index, device) for device in here]


def _unit(device: _Wired) -> str:
    return "as usual for the profile" if device.unit is None else str(device.unit)


def _clash(one: _Wired, other: _Wired) -> bool:
    if one.endpoint.casefold() != other.endpoint.casefold():
        return False
    if one.serial is not None or other.serial is not None:
        return True
    same_unit = one.unit is None or other.unit is None or one.unit == other.unit
    return same_unit and (one.writable or other.writable)


def _wired(config: Config) -> Iterator[_Wired]:
    modbus = config.modbus
    if modbus.enabled:
        endpoint = modbus.serial.device if modbus.serial else f"{modbus.host}:{modbus.port}"
        yield _Wired("modbus", endpoint, modbus.slave_id, modbus.write_enabled, modbus.serial)
    for device in config.devices:
        if device.enabled:
            # Without a stated port it is nearly always that of Modbus.
            tcp = f"{device.host}:{device.port or 502}"
            endpoint = device.serial.device if device.serial else tcp
            yield _Wired(
                f"devices.{device.name}",
                endpoint,
                device.unit_id,
                device.write_enabled,
                device.serial,
            )
