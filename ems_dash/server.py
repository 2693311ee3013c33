"""Serve the application and run the engine in one process.

Gunicorn with one gthread worker, as measured in notes/dash 5.3: the engine is
built and started in the worker, its stop begins with the first SIGTERM or
SIGINT, before the server lingers over open connections.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from flask import Flask
from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

from ems_dash.api.account_routes import register_account_api
from ems_dash.api.audit_routes import register_audit_api
from ems_dash.api.event_routes import end_streams
from ems_dash.api.install import install_api
from ems_dash.app import create_app
from ems_dash.audit_page import register_audit_page
from ems_dash.auth.web import open_accounts, serve_accounts
from ems_dash.logs import ProgramLog
from ems_dash.operation import install_operation
from ems_dash.site_router import routed
from ems_dash.web_audit import install_audit
from ems_dash.worker_process import end_process, exit_code, hold_hang_ups, take_hang_ups
from engine.audit.opening import open_audit
from engine.config.schema import Config
from engine.config.sites import load_installation
from engine.domain.clock import SystemClock
from engine.domain.errors import AlreadyRunningError, ConfigError, EmsError
from engine.history.file_lock import FileLock
from engine.runtime.history_setup import DATABASE_NAME
from engine.runtime.settings_service import SettingsService
from engine.runtime.site_folders import site_folders
from engine.runtime.sites import SiteEngines, build_sites, check_installation

log = logging.getLogger(__name__)

THREADS = 64
KEEPALIVE_S = 30
GRACEFUL_TIMEOUT_S = 1
"""How long the worker lingers over open connections."""

STOP_TIMEOUT_S = 12
"""How long the master waits for the worker: the engine's safe stop must not be cut off."""

LOG_FOLDER = "logs"
"""In the data folder, unless another is named."""

PREDECESSOR_S = 3.0
"""How long a start waits for a killed predecessor to be gone."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Where to listen, and where configuration, data and log live.

    Attributes:
        host: Address to listen on.
        port: Port to listen on.
        config_dir: Folder of ``ems.yaml``.
        data_dir: Folder of the database.
        log_dir: Folder of the log; None for ``logs`` in the data folder.
        log_level: Least that is logged; one of `ems_dash.logs.LEVELS`.
    """

    host: str
    port: int
    config_dir: Path
    data_dir: Path
    log_dir: Path | None = None
    log_level: str = "info"


def build_server(options: ServerOptions) -> tuple[Flask, SiteEngines]:
    """Return the WSGI application and the engines of its sites, not yet started.

    Raises:
        EmsError: When the configuration or the data folder cannot be used.
    """
    installation = load_installation(options.config_dir)
    # What holds for the whole installation is the same in all of its sites.
    config = installation.sites[0]
    audit = open_audit(options.config_dir, options.data_dir, begin_anew=True)
    accounts = open_accounts(
        options.config_dir, options.data_dir, config.access, SystemClock(), audit
    )
    adjust = _only_monitored if accounts.first_login_pending else _as_configured
    sites = build_sites(
        installation, options.data_dir, options.config_dir, trail=audit, adjust=adjust
    )
    audit.tell = lambda anchor: sites.record("info", "audit_anchor", anchor.text)
    sites.keep_audit(audit)
    services = routed(sites.by_id)
    access = serve_accounts(accounts, options.data_dir, config)
    dash_app = create_app(services, config.branding, access=access)
    server: Flask = dash_app.server
    install_audit(server, audit)
    install_api(server, services)
    register_audit_api(server, audit)
    register_account_api(server, accounts)
    register_audit_page(server, audit, access)
    install_operation(server, sites, sessions=lambda: len(accounts.sessions()))
    return server, sites


def _as_configured(config: Config) -> Config:
    return config


def _only_monitored(config: Config) -> Config:
    """Return `config` without a way to write to a device, for a site nobody has taken over yet."""
    if config.demo:
        # Its only device is simulated.
        return config
    if config.ems.mode == "auto":
        log.warning(
            "The first password has not been changed, so devices are only read. "
            "Change it, then start the program again."
        )
    return config.model_copy(update={"ems": config.ems.model_copy(update={"mode": "monitor"})})


class _Master(Arbiter):  # type: ignore[misc]  # gunicorn ships no types
    """The master process: a hang-up is for the engine in the worker, which must go on running."""

    def handle_hup(self) -> None:
        """Let the worker read its configuration anew instead of putting another in its place."""
        self.kill_workers(signal.SIGHUP)


class EmsApplication(BaseApplication):  # type: ignore[misc]  # gunicorn ships no types
    """Gunicorn around `build_server`; exactly one worker."""

    def __init__(self, options: ServerOptions) -> None:
        self._options = options
        self._sites: SiteEngines | None = None
        self._server: Flask | None = None
        self._log: ProgramLog | None = None
        self._started = False
        self._reload_waits = False
        super().__init__()

    def load_config(self) -> None:
        settings: dict[str, Any] = {
            "bind": f"{self._options.host}:{self._options.port}",
            "workers": 1,
            "worker_class": "gthread",
            "threads": THREADS,
            "keepalive": KEEPALIVE_S,
            "graceful_timeout": STOP_TIMEOUT_S,
            "timeout": 60,
            "loglevel": "warning",
            "proc_name": "ems-dash",
            "control_socket_disable": True,
            "post_fork": _hold_hang_ups,
            "post_worker_init": self._start_engine,
            "worker_exit": self._stop_engine,
        }
        for key, value in settings.items():
            self.cfg.set(key, value)

    def load(self) -> Flask:
        folder = self._options.log_dir or self._options.data_dir / LOG_FOLDER
        try:
            self._log = ProgramLog(folder, self._options.log_level)
            take_hang_ups(self._reload)
            server, self._sites = _once_free(lambda: build_server(self._options))
            self._server = server
        except EmsError as exc:
            log.error("%s", exc)
            sys.exit(Arbiter.WORKER_BOOT_ERROR)
        return server

    def run(self) -> None:
        try:
            _Master(self).run()
        except RuntimeError as exc:
            log.error("%s", exc)
            sys.exit(1)

    def _reload(self, number: int, frame: FrameType | None) -> None:
        if not self._started:
            # The file may have been read already: it is read again once the engine runs.
            self._reload_waits = True
            return
        settings = None if self._sites is None else self._sites.engines[0].settings
        if settings is not None:
            threading.Thread(target=_reread, args=(settings,), name="ems-reload").start()

    def _start_engine(self, worker: Any) -> None:
        # Master and worker read one setting; here, after the fork, it is the worker's own.
        worker.cfg.set("graceful_timeout", GRACEFUL_TIMEOUT_S)
        sites, server = self._sites, self._server
        if sites is None or server is None:
            return
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT):
            signal.signal(number, _stopping_first(server, sites, signal.getsignal(number)))
        sites.start()
        log.info("EMS Dash is at http://%s:%d", _shown_host(self._options), self._options.port)
        self._started = True
        if self._reload_waits:
            self._reload(signal.SIGHUP, None)

    def _stop_engine(self, server: Any, worker: Any) -> None:
        if worker.pid != os.getpid():
            # The master, about a worker that was gone before it could be told to go.
            return
        code = exit_code()
        if self._sites is not None:
            self._sites.stop()
        if self._log is not None:
            self._log.stop()
        end_process(code)


def serve(options: ServerOptions) -> None:
    """Run until stopped.

    Raises:
        EmsError: When it cannot start; nothing was started then.
    """
    # A hang-up while the program starts changes nothing: the worker reads the file anyway.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    installation = load_installation(options.config_dir)
    check_installation(installation)
    _require_free_port(options)
    options.data_dir.mkdir(parents=True, exist_ok=True)
    for folder in site_folders(installation.ids, options.data_dir).values():
        folder.mkdir(parents=True, exist_ok=True)
        _once_free(partial(_require_free, folder))
    EmsApplication(options).run()


def _hold_hang_ups(server: Any, worker: Any) -> None:
    hold_hang_ups()


def _require_free(folder: Path) -> None:
    FileLock(folder / DATABASE_NAME).release()


def _reread(settings: SettingsService) -> None:
    try:
        settings.reload()
    except ConfigError:
        # It is told and taken down where it was found.
        return
    except Exception:
        log.exception("the configuration could not be read anew")


def _stopping_first(
    server: Flask, sites: SiteEngines, then: Any
) -> Callable[[int, FrameType | None], None]:
    def stop() -> None:
        end_streams(server)
        sites.stop()

    def handler(number: int, frame: FrameType | None) -> None:
        # A thread, because the engines' stop joins threads and writes to the device.
        threading.Thread(target=stop, name="ems-stop").start()
        if callable(then):
            then(number, frame)

    return handler


def _once_free(action: Callable[[], T]) -> T:
    """Run `action`, giving a predecessor that was killed time to let go of the data folder.

    The threads of a killed process end a moment after it, and keep its lock until then.

    Raises:
        AlreadyRunningError: The folder was still in use after `PREDECESSOR_S`.
    """
    deadline_s = time.monotonic() + PREDECESSOR_S
    while True:
        try:
            return action()
        except AlreadyRunningError:
            if time.monotonic() >= deadline_s:
                raise
            time.sleep(0.1)


def _require_free_port(options: ServerOptions) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((options.host, options.port))
        except OSError as exc:
            raise EmsError(
                f"{options.host}:{options.port} cannot be used: {exc.strerror}.",
                field="port",
                value=options.port,
                hint="Stop what listens there, or give another --port.",
            ) from exc


def _shown_host(options: ServerOptions) -> str:
    everywhere = "0.0.0.0"  # nosec B104
    return "localhost" if options.host in ("127.0.0.1", everywhere) else options.host
