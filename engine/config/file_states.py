"""The file of the configuration as it is, as it would be, and as it was."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from engine.config.changes import Change
from engine.config.load import FieldProblem
from engine.config.schema import Config
from engine.config.site_list import SiteRow
from engine.domain.errors import ConfigError, EmsError


class ConfigChangedError(ConfigError):
    """The file is no longer the one a change was made for."""

    code = "config_changed"


class UnknownBackupError(EmsError):
    """There is no such backup."""

    code = "not_found"


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """The file as it is now.

    Attributes:
        revision: Changes with every byte of the file.
        values: What it states, as JSON; keys left to their default are absent.
        config: What it means; None when it has mistakes.
        problems: Its mistakes.
        sites: All of its sites.
        own: Number of the site in them that `values` are of.
    """

    revision: str
    values: dict[str, Any]
    config: Config | None
    problems: tuple[FieldProblem, ...] = ()
    sites: tuple[SiteRow, ...] = ()
    own: int = 0


@dataclass(frozen=True, slots=True)
class Draft:
    """Values that are not saved yet, checked.

    Attributes:
        config: What they mean; None when they have mistakes.
        problems: Their mistakes, with `place` to find each in the values.
        changes: What would change against the file; empty while there are mistakes.
    """

    config: Config | None
    problems: tuple[FieldProblem, ...] = ()
    changes: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class Saved:
    """A change that is on disk.

    Attributes:
        file: The file after it.
        backup: Name of the backup of the file before it.
        changes: What changed.
    """

    file: ConfigFile
    backup: str
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Backup:
    """The file as it was until a change.

    Attributes:
        name: Name of the backup.
        ts: When the change was made, UTC.
        changes: What that change was; empty when it cannot be said.
        problem: Why it cannot be put back, or None.
    """

    name: str
    ts: datetime
    changes: tuple[Change, ...] = ()
    problem: str | None = None
