"""Change ``ems.yaml`` safely: check a draft, show what changes, save with a backup, go back."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from engine.config.backup_folder import BACKUP_FOLDER, BackupFolder, dated
from engine.config.changes import Change, changes
from engine.config.edit import edited, plain
from engine.config.file_states import (
    Backup,
    ConfigChangedError,
    ConfigFile,
    Draft,
    Saved,
    UnknownBackupError,
)
from engine.config.load import (
    FILE_NAME,
    ConfigProblems,
    FieldProblem,
    config_from,
    read_text,
    read_yaml,
    write_atomically,
)
from engine.config.problem_place import as_field_problem, of_row
from engine.config.schema import Config
from engine.config.site_entry import index_of, site_values, with_site
from engine.config.site_list import SiteRow, row_changes, site_rows, with_rows
from engine.config.sites import (
    SITES,
    Installation,
    UnknownSiteError,
    entry_place,
    has_sites,
    installation_from,
)
from engine.domain.errors import ConfigError


@dataclass(frozen=True, slots=True)
class _Meant:
    """What a text means for the site (None for mistakes), and which sites it has."""

    config: Config | None
    sites: tuple[SiteRow, ...]


def _anything(_config: Config) -> None:
    """Accept every valid configuration."""


def _nobody(_who: str, _changes: tuple[Change, ...]) -> None:
    """Tell nobody."""


class ConfigDesk:
    """Changes what one ``ems.yaml`` states for a site; safe to call from several threads.

    Of a file with several sites everything here is about one of them: its values are what is in
    force for it, saving changes its entry (and what holds for the whole installation), and a
    backup gives back what it was for this site only. Which sites there are is beside it: they can
    be saved together with the values, and `undo` takes both back.

    Args:
        directory: Folder of the file; backups lie in a folder below it.
        now: Current time, UTC; dates the backups.
        check: Refuses, with a `ConfigError`, what the schema allows but nothing could run with.
        tell: Told of every change: who made it, and what it was (never a secret).
        site: Id of the site, where the file may describe several.
    """

    def __init__(
        self,
        directory: Path,
        *,
        now: Callable[[], datetime],
        check: Callable[[Config], None] = _anything,
        tell: Callable[[str, tuple[Change, ...]], None] = _nobody,
        site: str | None = None,
    ) -> None:
        # The newest first: a site that was renamed here is still this site.
        self._ids = [] if site is None else [site]
        self._path = directory / FILE_NAME
        self._backups = BackupFolder(directory / BACKUP_FOLDER)
        self._now = now
        self._check = check
        self._tell = tell
        self._lock = threading.Lock()
        self._parsed: dict[str, _Meant] = {}
        self._newest: tuple[str, ConfigFile] | None = None
        self._read: tuple[str, dict[str, Any]] | None = None

    def read(self) -> ConfigFile:
        """Return the file as it is now.

        Raises:
            ConfigProblems: It is no YAML.
            ConfigError: It cannot be read.
        """
        text, newest = read_text(self._path), self._newest
        if newest is not None and newest[0] == text:
            return newest[1]
        file = self._file(text)
        self._newest = (text, file)
        return file

    @property
    def has_several(self) -> bool:
        """True when the file has entries for several sites.

        Raises:
            ConfigError: It cannot be read.
        """
        return has_sites(self._data(read_text(self._path)))

    def check(self, values: Mapping[str, Any], sites: Sequence[SiteRow] | None = None) -> Draft:
        """Check values that are not saved yet.

        Args:
            values: Everything the file should state, as in `ConfigFile.values`.
            sites: The sites the file should have; None leaves them as they are. Mistakes in them
                are named ``sites.<number of the row>.<key>``.

        Raises:
            ConfigError: The file itself cannot be read.
        """
        config, problems = self._judged(values, self._data(read_text(self._path)), sites)
        if config is None:
            return Draft(None, problems)
        file = self.read()
        if file.config is None:
            return Draft(config)
        made = changes(file.config, config)
        if sites is not None:
            made += row_changes(file.sites, _named(sites, file.sites), self._own(file))
        return Draft(config, (), made)

    def save(
        self,
        values: Mapping[str, Any],
        revision: str,
        who: str,
        sites: Sequence[SiteRow] | None = None,
    ) -> Saved:
        """Write values into the file; comments and everything that does not change stay.

        Args:
            values: Everything the file should state.
            revision: Revision the values were made from.
            who: Who changes it, for the record.
            sites: The sites the file should have; None leaves them as they are.

        Raises:
            ConfigProblems: The values have mistakes; nothing was written.
            ConfigChangedError: Somebody else changed the file; nothing was written.
            ConfigError: The file could not be written.
        """
        with self._lock:
            text = self._unchanged(revision)
            config, problems = self._judged(values, self._data(text), sites)
            if config is None:
                raise ConfigProblems(FILE_NAME, problems)
            written = self._written(values, self._data(text), sites)
            self._remember(config)
            return self._replace(text, edited(text, written), who)

    def restore(self, name: str, revision: str, who: str) -> Saved:
        """Put a backup back in place of the file, which is backed up itself.

        Args:
            name: Name of the backup.
            revision: Revision of the file as the caller knows it.
            who: Who changes it.

        Raises:
            UnknownBackupError: There is no such backup.
            ConfigProblems: The backup has mistakes; nothing was written.
            ConfigChangedError: Somebody else changed the file; nothing was written.
            ConfigError: The file could not be written.
        """
        if not self._backups.has(name):
            raise UnknownBackupError(
                "There is no such backup.",
                field="backup",
                value=name[:80],
                hint="Reload the list.",
            )
        text = read_text(self._backups.path_of(name))
        data = plain(read_yaml(text, name))
        if has_sites(self._data(read_text(self._path))):
            return self.save(self._values(data), revision, who)
        values = self._values(data)
        self._check(config_from(values, name))
        with self._lock:
            current = self._unchanged(revision)
            new = edited(current, values) if has_sites(data) else text
            return self._replace(current, new, who)

    def undo(self, name: str, revision: str, who: str) -> Saved:
        """Take the newest change back: the file as it was before it, for all of its sites.

        Args:
            name: Name of the backup that the change made; the newest there is.
            revision: Revision of the file after the change.
            who: Who takes it back.

        Raises:
            ConfigProblems: The file had mistakes; nothing was written.
            ConfigChangedError: Somebody else changed the file; nothing was written.
            ConfigError: The file could not be written.
        """
        with self._lock:
            current = self._unchanged(revision)
            if self._backups.names()[:1] != [name]:
                raise ConfigChangedError(
                    "The file was changed again in the meantime.",
                    field=FILE_NAME,
                    hint="Choose what to put back from the list of backups.",
                )
            text = read_text(self._backups.path_of(name))
            data = plain(read_yaml(text, name))
            installation_from(data, name)
            config = config_from(self._values(data), name)
            self._check(config)
            self._remember(config)
            return self._replace(current, text, who)

    def backups(self, limit: int = 30) -> tuple[Backup, ...]:
        """Return the newest backups, newest first, each with what was changed after it.

        Raises:
            ConfigError: A file could not be read.
        """
        names = self._backups.names()[:limit]
        out: list[Backup] = []
        after = self._meant(read_text(self._path), "")
        for name in names:
            before = self._meant(read_text(self._backups.path_of(name)), name)
            made: tuple[Change, ...] = ()
            if before.config is not None and after.config is not None:
                own = [*self._ids, before.config.site.id, after.config.site.id]
                made = changes(before.config, after.config)
                made += row_changes(before.sites, after.sites, own)
            out.append(
                Backup(
                    name,
                    dated(name),
                    made,
                    None
                    if before.config is not None
                    else "It has mistakes and cannot be put back.",
                )
            )
            after = before
        return tuple(out)

    def _judged(
        self,
        values: Mapping[str, Any],
        data: Mapping[str, Any],
        sites: Sequence[SiteRow] | None = None,
    ) -> tuple[Config | None, tuple[FieldProblem, ...]]:
        """Return what `values` mean for the site, and what is wrong with them in the file `data`.

        With several sites also what is wrong with all of them together, such as two of one id.
        """
        own = self._index(data) if has_sites(data) else 0
        try:
            config = config_from(values)
            self._check(config)
            written = self._written(values, data, sites)
            if has_sites(written):
                self._check_new(installation_from(written), sites)
        except ConfigProblems as exc:
            return None, tuple(of_row(as_field_problem(p), own, sites) for p in exc.problems)
        except ConfigError as exc:
            return None, (of_row(as_field_problem(exc), own, sites),)
        return config, ()

    def _check_new(self, made: Installation, sites: Sequence[SiteRow] | None) -> None:
        """Refuse new sites that nothing could run with."""
        new = [row for row in sites or () if row.index is None]
        for index in range(len(made.sites) - len(new), len(made.sites)):
            try:
                self._check(made.sites[index])
            except ConfigError as exc:
                place = entry_place(index, exc.field or "")
                raise as_field_problem(exc).at(place, f"{SITES}.{index}.{exc.field}") from exc

    def _file(self, text: str) -> ConfigFile:
        data = self._data(text)
        values = self._values(data)
        config, problems = self._judged(values, data)
        own = self._index(data) if has_sites(data) else 0
        return ConfigFile(_revision(text), values, config, problems, site_rows(data), own)

    def _data(self, text: str) -> dict[str, Any]:
        known = self._read
        if known is None or known[0] != text:
            # Reading YAML takes much longer than everything else here.
            known = (text, plain(read_yaml(text)))
            self._read = known
        return known[1]

    def _values(self, data: Mapping[str, Any]) -> dict[str, Any]:
        """Return everything a file states for the site.

        Raises:
            UnknownSiteError: It has entries, and none is of this site.
        """
        if has_sites(data):
            return site_values(data, self._index(data))
        return {key: value for key, value in data.items() if key != SITES}

    def _written(
        self,
        values: Mapping[str, Any],
        data: Mapping[str, Any],
        sites: Sequence[SiteRow] | None = None,
    ) -> Mapping[str, Any]:
        """Return what the file should hold so that the site has `values`, and there are `sites`."""
        several = has_sites(data)
        own = self._index(data) if several else 0
        written = with_site(data, own, values) if several else values
        if sites is None:
            return written
        if all(row.index != own for row in sites):
            raise FieldProblem(
                "The site whose settings these are cannot be removed here.",
                field=SITES,
                loc=SITES,
                hint="Open the settings of another site and remove it there.",
            )
        # The values may give the site another id or name.
        now = site_rows(written)[own]
        return with_rows(written, [now if row.index == own else row for row in sites])

    def _index(self, data: Mapping[str, Any]) -> int:
        return index_of(data, self._ids or [Config().site.id])

    def _own(self, file: ConfigFile) -> list[str]:
        """Return the ids this site has or had."""
        return [*self._ids, file.sites[file.own].id]

    def _remember(self, config: Config) -> None:
        if self._ids and config.site.id not in self._ids:
            self._ids.insert(0, config.site.id)

    def _unchanged(self, revision: str) -> str:
        text = read_text(self._path)
        if _revision(text) != revision:
            raise ConfigChangedError(
                "The file was changed by somebody else in the meantime.",
                field=FILE_NAME,
                hint="Load it again; what you typed stays until you do.",
            )
        return text

    def _replace(self, old_text: str, new_text: str, who: str) -> Saved:
        after = self._file(new_text)
        if after.config is None:
            raise ConfigProblems(FILE_NAME, after.problems)
        old = self._meant(old_text, "")
        made = () if old.config is None else changes(old.config, after.config)
        made += row_changes(old.sites, after.sites, self._own(after))
        target = self._path.resolve()
        try:
            mode = target.stat().st_mode & 0o777
            name = self._backups.add(old_text, mode, self._now())
            write_atomically(target, new_text, mode)
            self._backups.prune()
        except OSError as exc:
            raise ConfigError(
                f"The file cannot be written: {exc.strerror}.",
                field=FILE_NAME,
                hint="Check the permissions of its folder and the free space.",
            ) from exc
        self._tell(who, made)
        return Saved(after, name, made)

    def _meant(self, text: str, name: str) -> _Meant:
        """Return what a text means, as far as it has no mistakes; backups never change."""
        if name in self._parsed:
            return self._parsed[name]
        sites: tuple[SiteRow, ...] = ()
        try:
            data = plain(read_yaml(text, name or FILE_NAME))
            sites = site_rows(data)
            config: Config | None = config_from(self._values(data), name or FILE_NAME)
        except (ConfigProblems, UnknownSiteError):
            config = None
        meant = _Meant(config, sites)
        if name:
            self._parsed[name] = meant
        return meant


def _named(rows: Sequence[SiteRow], known: Sequence[SiteRow]) -> tuple[SiteRow, ...]:
    """Return rows with the name they have in the file where they leave it as it is."""
    names = {row.id: row.name for row in known}
    return tuple(
        SiteRow(row.index, row.id, names.get(row.id) if row.name is None else row.name)
        for row in rows
    )


def _revision(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
