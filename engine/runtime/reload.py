"""Read ``ems.yaml`` anew while the program runs: all of it or, with a mistake, nothing."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Protocol

from engine.audit.trail import NO_TRAIL, Trail
from engine.config.changes import KEYS_NAMED, Change, changes, keys_named
from engine.config.load import FILE_NAME, ConfigProblems, read_text
from engine.config.schema import Config
from engine.config.sites import SITES, parse_installation
from engine.domain.errors import ConfigError
from engine.runtime.live_config import live_part, taken_over, waiting

log = logging.getLogger(__name__)

ACTION: Final = "config.reload"

_NOTHING: Final = "nothing new"


class RunningSettings(Protocol):
    """What is known of the configuration of a site that runs."""

    @property
    def running(self) -> Config:
        """The configuration in force."""
        ...

    def check(self, config: Config) -> None:
        """Refuse what could not run.

        Raises:
            ConfigError: Naming the key, the value and the remedy.
        """
        ...

    def now_running(self, config: Config) -> None:
        """Take note of what is in force now."""
        ...


class RunningSite(Protocol):
    """A site that runs."""

    def adopt(self, config: Config) -> None:
        """Take over what of `config` can be in a running site; returns at once."""
        ...

    def record(self, severity: str, code: str, message: str) -> None:
        """Remember something that happened."""
        ...


@dataclass(frozen=True, slots=True)
class SiteReload:
    """What reading the file anew did for one site.

    Attributes:
        site_id: The site.
        applied: What is in force now: in control with the next cycle, in planning with the plan
            that is made next.
        needs_restart: What the running program still does not have.
    """

    site_id: str
    applied: tuple[Change, ...]
    needs_restart: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class ReloadReport:
    """What reading the file anew did.

    Attributes:
        sites: The sites that run, in their order.
        added: Ids of sites that the file describes and that do not run yet.
        removed: Ids of sites that run and that the file does not describe any more.
    """

    sites: tuple[SiteReload, ...]
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


class ConfigReload:
    """Reads the file anew for all sites of the program; from any thread, one at a time.

    Args:
        directory: Folder of ``ems.yaml``.
        sites: The sites that run, each with what is known of its configuration; at least one.
        trail: Takes down every attempt.

    Raises:
        ValueError: There is no site.
    """

    def __init__(
        self,
        directory: Path,
        sites: Sequence[tuple[RunningSite, RunningSettings]],
        trail: Trail = NO_TRAIL,
    ) -> None:
        if not sites:
            raise ValueError("a configuration is taken over by at least one site")
        self._path = directory / FILE_NAME
        self._sites = tuple(sites)
        self._trail = trail
        self._lock = threading.Lock()

    def run(self) -> ReloadReport:
        """Put in force what of the file takes effect without a restart, and say what does not.

        Raises:
            ConfigError: The file cannot be read or has mistakes (`ConfigProblems`); nothing was
                changed, at no site.
        """
        with self._lock:
            try:
                wanted = self._checked()
            except ConfigError as exc:
                self._refused(exc)
                raise
            return self._put_in_force(wanted)

    def _checked(self) -> dict[str, Config]:
        """Return the configuration of every site of the file by its id, all of it checked."""
        installation = parse_installation(read_text(self._path))
        several = len(installation.sites) > 1
        found: list[ConfigError] = []
        for index, config in enumerate(installation.sites):
            try:
                self._sites[0][1].check(config)
            except ConfigError as exc:
                field = f"{SITES}[{index}].{exc.field}" if several else exc.field
                found.append(ConfigError(exc.message, field=field, value=exc.value, hint=exc.hint))
        if found:
            raise ConfigProblems(FILE_NAME, found)
        configs = {config.site.id: config for config in installation.sites}
        if not several and len(self._sites) == 1:
            # The only site is the only site, also under another id.
            return {self._sites[0][1].running.site.id: installation.sites[0]}
        return configs

    def _put_in_force(self, wanted: dict[str, Config]) -> ReloadReport:
        done: list[SiteReload] = []
        removed: list[str] = []
        for site, settings in self._sites:
            running = settings.running
            config = wanted.pop(running.site.id, None)
            if config is None:
                removed.append(running.site.id)
                continue
            now = live_part(running, config)
            applied = taken_over(changes(running, now))
            if applied:
                site.adopt(now)
                settings.now_running(now)
            report = SiteReload(running.site.id, applied, waiting(now, config))
            done.append(report)
            self._tell(site, report)
        report_all = ReloadReport(tuple(done), tuple(wanted), tuple(removed))
        for text in _restructured(report_all):
            log.warning("%s", text)
        self._note(report_all)
        return report_all

    def _tell(self, site: RunningSite, report: SiteReload) -> None:
        said = f"{FILE_NAME} was read anew; in force: {keys_named(report.applied, _NOTHING)}."
        if report.needs_restart:
            waits = keys_named(report.needs_restart, _NOTHING)
            said += f" Waiting for a restart: {waits}."
        log.info("site %s: %s", report.site_id, said)
        site.record("info", "config_reloaded", said)

    def _note(self, report: ReloadReport) -> None:
        self._trail.note(
            ACTION,
            FILE_NAME,
            before={s.site_id: {c.path: c.old for c in s.applied} for s in report.sites},
            after={s.site_id: _after(s) for s in report.sites},
        )

    def _refused(self, exc: ConfigError) -> None:
        problems = exc.problems if isinstance(exc, ConfigProblems) else (exc,)
        for problem in problems:
            log.error("%s was read anew and not taken over: %s", FILE_NAME, problem)
        fields = ", ".join(p.field or FILE_NAME for p in problems[:KEYS_NAMED])
        count = len(problems)
        said = f"{count} mistake{'' if count == 1 else 's'} ({fields})"
        for site, _settings in self._sites:
            site.record(
                "warning",
                "config_reload_failed",
                f"{FILE_NAME} was not taken over: {said}. What ran before goes on.",
            )
        failed = {"error": exc.code, "fields": [p.field for p in problems[:KEYS_NAMED]]}
        self._trail.note(ACTION, FILE_NAME, after=failed, outcome="failed")


def _after(report: SiteReload) -> dict[str, Any]:
    values: dict[str, Any] = {change.path: change.new for change in report.applied}
    waits = [change.path for change in report.needs_restart]
    return {**values, "needs_restart": waits} if waits else values


def _restructured(report: ReloadReport) -> list[str]:
    pairs = (("begin", report.added), ("end", report.removed))
    return [
        f"Sites that {what} only at the next start: {', '.join(ids)}." for what, ids in pairs if ids
    ]
