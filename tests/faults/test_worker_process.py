"""The worker lives through a hang-up at its birth, and ends in order beside a solver that does not.

The end of the program waits for the battery, however slowly the engine stops.
"""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import duckdb

from engine.domain.errors import AlreadyRunningError
from engine.history.file_lock import FileLock
from engine.runtime.history_setup import DATABASE_NAME
from tests.support.build import SIMPLE_MODELS
from tests.support.process import PATIENCE_S, ROOT, free_port, wait_for

CHILD = """
import os, signal, sys, time
from pathlib import Path
import highspy
from gunicorn.workers.base import Worker
from engine.runtime.engine import Engine

load, stop = Worker.load_wsgi, Engine.stop

def hung_up(self):
    os.kill(os.getpid(), signal.SIGHUP)  # before there is anything that could read a file
    load(self)

def slowly(self):
    time.sleep(3.0)  # a device that answers late, a machine that is busy
    stop(self)
    Path(sys.argv[1], "stopped").write_text("safe")

def solve_for_ever(self):
    while True:
        model = highspy.Highs()
        model.silent()
        variables = [model.addVariable(ub=1.0 + i) for i in range(200)]
        for left, right in zip(variables, variables[1:]):
            model.addConstr(left + right <= 1.5)
        model.maximize(sum(variables))

Worker.load_wsgi, Engine.stop, Engine._planning_loop = hung_up, slowly, solve_for_ever
from ems_dash.cli.main import main
folder, port = sys.argv[1:]
sys.exit(main(["run", "--port", port, "--config", f"{folder}/config", "--data", f"{folder}/data"]))
"""


def test_the_worker_begins_through_a_hang_up_and_ends_only_with_a_safe_battery(
    tmp_path: Path,
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/ems.yaml").write_text(SIMPLE_MODELS, encoding="utf-8")
    log = tmp_path / "log.txt"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", CHILD, str(tmp_path), str(free_port())],
            cwd=ROOT,
            stdout=out,
            stderr=out,
        )
    try:
        wait_for(lambda: "EMS Dash is at" in log.read_text(), "a start")
        wait_for(lambda: "was read anew" in log.read_text(), "the hang-up that waited")
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()
    said = log.read_text()
    assert (tmp_path / "stopped").read_text() == "safe", said
    # The master tells of every worker that ended in another way than by itself.
    assert "was sent" not in said, said
    assert "terminate called" not in said
    database = tmp_path / "data" / DATABASE_NAME
    with duckdb.connect(database, read_only=True) as history:
        (last,) = history.execute("SELECT code FROM events ORDER BY ts DESC LIMIT 1").fetchall()
    assert last == ("engine_stopped",)
    assert '"message": "engine stopped"' in (tmp_path / "data/logs/ems.log").read_text()
    try:
        FileLock(database).release()
    except AlreadyRunningError:
        raise AssertionError("the data folder is still locked") from None
