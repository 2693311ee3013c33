"""The whole program started, stopped, killed and started twice, as a user or a plant PC would."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from engine.history.duckdb_store import DuckDbHistory
from engine.runtime.history_setup import DATABASE_NAME
from tests.support.process import PATIENCE_S, ROOT, Program, running, wait_for

EVER = (datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


def stored_codes(folder: Path) -> list[str]:
    store = DuckDbHistory(folder / "data" / DATABASE_NAME)
    try:
        return [e.code for e in store.events("site-1", *EVER)]
    finally:
        store.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_starts_without_configuration_plans_and_stops_cleanly(tmp_path: Path, number: int) -> None:
    with running(tmp_path) as program:
        plan = program.wait_for_plan()
        assert plan["check"]["passed"]
        assert plan["forecast_sources"]["price"].startswith("published (recorded)")
        state = wait_for(
            lambda: (s := program.get("/api/state")) and s["setpoint"] and s, "a setpoint"
        )
        assert state["simulated"] is True
        assert {d["name"] for d in state["devices"]} == {"bms", "pcs", "meter", "pv"}
        assert all(d["state"] == "online" for d in state["devices"])
        assert program.get("/healthz")["status"] == "ok"
        assert program.stop(number) == 0
        log = program.log_text()
    assert "Traceback" not in log
    assert "engine stopped" in log
    codes = stored_codes(tmp_path)
    assert codes[0] == "engine_started"
    assert codes[-1] == "engine_stopped"


def test_ctrl_c_in_the_terminal_reaches_the_whole_group_and_still_stops_cleanly(
    tmp_path: Path,
) -> None:
    with running(tmp_path) as program:
        program.wait_for_plan()
        os.killpg(program.process.pid, signal.SIGINT)
        assert program.process.wait(timeout=PATIENCE_S) == 0
        assert "engine stopped" in program.log_text()
    assert stored_codes(tmp_path)[-1] == "engine_stopped"


def samples_stored(folder: Path) -> int:
    store = DuckDbHistory(folder / "data" / DATABASE_NAME)
    try:
        return store.counts()["samples"]
    finally:
        store.close()


def test_kill_9_loses_no_more_than_the_last_batch_and_the_next_start_goes_on(
    tmp_path: Path,
) -> None:
    config = "demo_plant: {speed: 60}\n"
    with running(tmp_path, config) as program:
        program.wait_for_plan()
        earlier = last_commit(program)
        wait_for(lambda: last_commit(program) != earlier, "a stored batch with the plan")
        before = program.get("/api/state")
        program.kill()
    store = DuckDbHistory(tmp_path / "data" / DATABASE_NAME)
    last = store.latest_sample("site-1")
    plans = store.plans("site-1", *EVER)
    store.close()
    assert last is not None
    # A batch is stored every 10 s, which are ten minutes of this plant's clock.
    assert last.ts >= datetime.fromisoformat(before["ts"]) - timedelta(minutes=10)
    assert plans
    stored = samples_stored(tmp_path)
    with running(tmp_path, config) as program:
        program.wait_for_plan()
        state = wait_for(
            lambda: (s := program.get("/api/state")) and s["seq"] > 5 and s, "new cycles"
        )
        # The simulated battery goes on from where it was, and time does not run backwards.
        soc, soc_before = state["signals"]["soc_percent"]["value"], last.values["soc_percent"]
        assert soc_before is not None
        assert abs(soc - soc_before) < 10
        assert datetime.fromisoformat(state["ts"]) > last.ts
        assert program.stop() == 0
    assert samples_stored(tmp_path) > stored


def last_commit(program: Program) -> Any:
    """Return when the history last committed a batch, None before the first."""
    state = program.get("/api/state")
    return next(h["last_success"] for h in state["health"] if h["name"] == "history")


def run_to_end(folder: Path, port: int) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            *(sys.executable, "-m", "ems_dash", "run", "--port", str(port)),
            *("--config", str(folder / "config"), "--data", str(folder / "data")),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


def test_a_second_instance_and_a_taken_port_are_refused_in_one_sentence(tmp_path: Path) -> None:
    with running(tmp_path) as program:
        program.wait_for_plan()
        same_port = run_to_end(tmp_path / "other", program.port)
        assert same_port.returncode == 2
        assert "--port" in same_port.stderr
        assert "Traceback" not in same_port.stderr
        same_data = run_to_end(tmp_path, 0)
        assert same_data.returncode == 2
        assert "in use by process" in same_data.stderr
        assert "Traceback" not in same_data.stderr
        assert_alive(program)


def assert_alive(program: Program) -> None:
    assert program.get("/healthz")["status"] == "ok"


def test_a_wrong_configuration_starts_nothing(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "ems.yaml").write_text(
        "bess: {soc_min_percent: 95, power_charge_max_kw: -1}", encoding="utf-8"
    )
    done = run_to_end(tmp_path, 0)
    assert done.returncode == 2
    assert "bess.power_charge_max_kw: -1 is not possible here." in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


def test_the_worker_that_dies_is_replaced(tmp_path: Path) -> None:
    with running(tmp_path) as program:
        program.wait_for_plan()
        (worker,) = psutil.Process(program.process.pid).children()
        worker.kill()
        wait_for(
            lambda: (s := program.get("/api/state")) and s["plan"] and s["seq"] < 30,
            "a new worker with a plan",
        )
        assert program.stop() == 0
