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


def install_operation(
    server: Flask,
    engine: Engine,
    *,
    data_dir: Path,
    sessions: Callable[[], int] | None = None,
) -> Readiness:
    """Add ``/readyz`` and ``/metrics`` to `server` and return what knows the parts.

    Args:
        server: The application.
        engine: The engine behind it.
        data_dir: Data folder.
        sessions: Returns how many people are logged in.
    """

    def readable() -> None:
        file = None if engine.settings is None else engine.settings.desk.read()
        if file is not None and file.problems:
            raise file.problems[0]

    readiness = Readiness(
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
    registry = make_registry(EngineCollector(engine, readiness, sessions))
    HttpMetrics(registry).install(server)
    register_ops(server, readiness, registry)
    return readiness
