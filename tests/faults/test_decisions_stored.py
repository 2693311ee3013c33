"""The history tells of every cycle which layer decided, which limit changed it, in which state."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import duckdb
import pytest

from engine.runtime.history_setup import DATABASE_NAME
from tests.support.fault_site import Fault, FaultSite

Decision = tuple[str | None, str | None, str | None]
"""Deciding layer, binding limit, state."""


def stored(site: FaultSite) -> list[Decision]:
    connection = duckdb.connect(str(site.folder / DATABASE_NAME), read_only=True)
    try:
        return connection.execute(
            "SELECT decided_by, binding, state FROM samples ORDER BY ts"
        ).fetchall()
    finally:
        connection.close()


def run(site: FaultSite, cycles: int) -> list[Decision]:
    """Return what the page showed in each of the next cycles."""
    shown: list[Decision] = []
    for _ in range(cycles):
        site.run()
        setpoint = site.setpoint
        shown.append((setpoint.reason, setpoint.binding, site.state[0].value))
    return shown


def test_who_decided_is_stored_as_it_was_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = FaultSite(tmp_path, monkeypatch, "grid: {import_limit_kw: 80}", load_kw=60.0)
    try:
        shown = run(site, 14)
        assert shown[0] == ("no_plan", None, "starting")
        assert shown[-1] == ("value_dispatch", None, "automatic")
        site.engine.operator.give(0.0, site.clock.now() + timedelta(minutes=5), None, "api")
        shown += run(site, 8)
        assert shown[-1] == ("manual", None, "manual")
        site.load_kw = 110.0
        shown += run(site, 2)
        assert shown[-1] == ("grid_limit", "grid_import", "manual")
        site.wires["bms"].fault = Fault.DEAD
        shown += run(site, 1)
        assert shown[-1] == ("bms_missing", None, "safe")
        site.engine.stop()
        assert stored(site) == shown
    finally:
        site.close()


def test_where_nothing_may_be_commanded_no_layer_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = FaultSite(tmp_path, monkeypatch, "ems: {mode: monitor}")
    try:
        site.run(3)
        site.engine.stop()
        assert {(layer, state) for layer, _, state in stored(site)} == {
            (None, "starting"),
            (None, "monitoring"),
        }
    finally:
        site.close()
