"""The engines of an installation: one per site, built together, started and stopped together."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from engine.audit.log import AuditLog
from engine.audit.trail import NO_TRAIL, Trail
from engine.config.schema import Config
from engine.config.sites import Installation, entry_place
from engine.domain.errors import ConfigError, EmsError
from engine.domain.site_context import working_for
from engine.optimization.kernel.process import KernelCompiler
from engine.runtime.assembly import build_engine, check_buildable
from engine.runtime.engine import Engine
from engine.runtime.reload import ConfigReload
from engine.runtime.site_folders import remember_owner, site_folders

log = logging.getLogger(__name__)

STOP_JOIN_S = 10.0
"""How long the stop of all sites is waited for; each takes about 2 s, at the same time."""


class SiteEngines:
    """The engines of all sites; at least one.

    Args:
        engines: One engine per site, in the order of the file.
        folders: Data folder of each.
    """

    def __init__(self, engines: Sequence[Engine], folders: Sequence[Path]) -> None:
        self._engines = tuple(engines)
        self._folders = tuple(folders)

    @property
    def engines(self) -> tuple[Engine, ...]:
        """The engines, in the order of the file."""
        return self._engines

    @property
    def folders(self) -> tuple[Path, ...]:
        """The data folder of each engine."""
        return self._folders

    @property
    def by_id(self) -> dict[str, Engine]:
        """Site id to its engine, in the order of the file."""
        return {engine.snapshot().site.site_id: engine for engine in self._engines}

    def keep_audit(self, audit: AuditLog) -> None:
        """Let every engine know of the audit log that all sites share."""
        for engine in self._engines:
            engine.audit = audit

    def record(self, severity: str, code: str, message: str) -> None:
        """Remember something that concerns the whole installation, at every site."""
        for engine in self._engines:
            engine.record(severity, code, message)

    def start(self) -> None:
        """Start every site; when one cannot start, those that run are stopped.

        Raises:
            EmsError: A site could not be started.
        """
        try:
            for engine in self._engines:
                with working_for(self._said(engine)):
                    engine.start()
        except EmsError:
            self.stop()
            raise

    def stop(self) -> None:
        """Bring every battery to a safe state and end, all sites at the same time.

        Safe to call twice and from a signal handler's thread; the second call waits too.
        """
        threads = [
            threading.Thread(target=self._stop_one, args=(engine,), name="ems-stop-site")
            for engine in self._engines
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(STOP_JOIN_S)

    def _stop_one(self, engine: Engine) -> None:
        with working_for(self._said(engine)):
            try:
                engine.stop()
            except Exception:
                # The other sites must still come to a safe state.
                log.exception(
                    "site %s could not be stopped in order", engine.snapshot().site.site_id
                )

    def _said(self, engine: Engine) -> str | None:
        """Return the id the log names, None where there is only one site."""
        return engine.snapshot().site.site_id if len(self._engines) > 1 else None


def check_installation(installation: Installation) -> None:
    """Refuse what the schema allows but this version cannot run.

    Raises:
        ConfigError: Naming the key with its site, the value and the remedy.
    """
    for index, config in enumerate(installation.sites):
        try:
            check_buildable(config)
        except ConfigError as exc:
            if len(installation.sites) == 1:
                raise
            raise ConfigError(
                exc.message,
                field=entry_place(index, exc.field or ""),
                value=exc.value,
                hint=exc.hint,
            ) from exc


def build_sites(
    installation: Installation,
    data_dir: Path,
    config_dir: Path | None = None,
    *,
    trail: Trail = NO_TRAIL,
    adjust: Callable[[Config], Config] = lambda config: config,
) -> SiteEngines:
    """Assemble the engine of every site; each owns its data folder until it is stopped.

    Args:
        installation: What ``ems.yaml`` describes.
        data_dir: Data folder of the installation; created when absent.
        config_dir: Folder of ``ems.yaml``, which the settings page changes; None for none.
        trail: Takes down what people and other systems ask for.
        adjust: Gives the configuration a site really runs with.

    Raises:
        ConfigError: When the configuration asks for what this version cannot run.
        AlreadyRunningError: When another process owns a data folder.
        HistoryError: When a database cannot be opened.
    """
    check_installation(installation)
    folders = site_folders(installation.ids, data_dir)
    several = len(folders) > 1
    kernel = KernelCompiler()
    built: list[Engine] = []
    try:
        for config, folder in zip(installation.sites, folders.values(), strict=True):
            with working_for(config.site.id if several else None):
                built.append(
                    build_engine(
                        adjust(config),
                        folder,
                        config_dir=config_dir,
                        trail=trail,
                        kernel=kernel,
                        backups_below=config.site.id if folder != data_dir else None,
                    )
                )
        remember_owner(folders, data_dir)
    except EmsError:
        for engine in built:
            engine.stop()
        raise
    if config_dir is not None:
        _reload_together(config_dir, built, trail)
    return SiteEngines(built, tuple(folders.values()))


def _reload_together(config_dir: Path, engines: Sequence[Engine], trail: Trail) -> None:
    """Let whoever asks for the file to be read anew ask for all sites: it is one file."""
    known = [(engine, engine.settings) for engine in engines if engine.settings is not None]
    reloading = ConfigReload(config_dir, known, trail)
    for _engine, settings in known:
        settings.reloading = reloading
