"""Everything for those who run the program, added to it in one call."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flask import Flask

from ems_dash.api.ops_routes import register_ops
from ems_dash.metrics import EngineCollector, HttpMetrics, make_registry
from engine.runtime.engine import Engine
from engine.runtime.history_setup import DATABASE_NAME
from engine.runtime.readiness import Readiness, Watched
from engine.runtime.sites import SiteEngines


def install_operation(
    server: Flask,
    sites: SiteEngines,
    *,
    sessions: Callable[[], int] | None = None,
) -> None:
    """Add ``/readyz`` and ``/metrics`` to `server`.

    Args:
        server: The application.
        sites: The engines behind it.
        sessions: Returns how many people are logged in.
    """
    ready = {
        site_id: _readiness(engine, folder)
        for (site_id, engine), folder in zip(sites.by_id.items(), sites.folders, strict=True)
    }
    watched = list(zip(sites.engines, ready.values(), strict=True))
    registry = make_registry(EngineCollector(watched, sessions))
    HttpMetrics(registry).install(server)
    register_ops(server, ready, registry)


def _readiness(engine: Engine, data_dir: Path) -> Readiness:
    def readable() -> None:
        file = None if engine.settings is None else engine.settings.desk.read()
        if file is not None and file.problems:
            raise file.problems[0]

    return Readiness(
        Watched(
            heartbeat_age_s=engine.heartbeat_age_s,
            timestep_s=engine.snapshot().timestep_s,
            control=engine.control_error,
            storage=engine.storage_status,
            data_dir=data_dir,
            database=DATABASE_NAME,
            config=readable,
            audit=engine.audit_status,
        )
    )
