"""The whole program with two sites: both are steered, and one stop brings both to rest."""

from __future__ import annotations

import json
from pathlib import Path

from ems_dash.cli.main import main
from engine.history.duckdb_store import DuckDbHistory
from engine.runtime.history_setup import DATABASE_NAME
from tests.faults.test_program import EVER
from tests.support.process import Program, running, wait_for

TWO = """\
sites:
  - site: {id: north, name: Halle Nord}
  - site: {id: south, name: Halle Süd}
    bess: {energy_capacity_kwh: 90.0}
"""


def _codes(folder: Path, site_id: str) -> list[str]:
    with DuckDbHistory(folder / DATABASE_NAME) as store:
        return [event.code for event in store.events(site_id, *EVER)]


def _steered(program: Program, site_id: str) -> bool:
    state = program.get(f"/api/state?site={site_id}")
    return bool(state and state["setpoint"] and state["site"]["id"] == site_id)


def test_two_sites_are_steered_backed_up_and_stopped_in_order(tmp_path: Path) -> None:
    with running(tmp_path, TWO) as program:
        for site_id in ("north", "south"):
            wait_for(lambda site_id=site_id: _steered(program, site_id), f"a setpoint: {site_id}")
        assert program.get("/healthz")["status"] == "ok"
        south = tmp_path / "data" / "sites" / "south"
        places = ["--config", str(tmp_path / "config"), "--data", str(tmp_path / "data")]
        url = f"http://127.0.0.1:{program.port}"
        backup = south / "backup" / "today"
        assert main(["backup", str(backup), *places, "--site", "south", "--url", url]) == 0
        manifest = json.loads((backup / "ems-backup.json").read_text())
        assert manifest
        assert program.stop() == 0
        log = program.log_text()
    assert "Traceback" not in log
    stops = [line for line in log.splitlines() if "engine stopped" in line]
    assert sorted(site for line in stops for site in ("north", "south") if f"[{site}]" in line) == [
        "north",
        "south",
    ], "a line says of which site it is"
    for site_id, folder in (("north", tmp_path / "data"), ("south", south)):
        codes = _codes(folder, site_id)
        assert "engine_started" in codes
        assert codes[-1] == "engine_stopped"
