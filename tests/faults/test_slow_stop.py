"""The end of the program waits for the battery, however slowly the engine stops."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from tests.support.build import SIMPLE_MODELS
from tests.support.process import ROOT, free_port, wait_for

SLOW = """
import sys, time
from pathlib import Path
from engine.runtime.engine import Engine

stop = Engine.stop

def slowly(self):
    time.sleep(3.0)  # a device that answers late, a machine that is busy
    stop(self)
    Path(sys.argv[1], "stopped").write_text("safe")

Engine.stop = slowly
from ems_dash.cli.main import main
folder, port = sys.argv[1:]
sys.exit(main(["run", "--port", port, "--config", f"{folder}/config", "--data", f"{folder}/data"]))
"""


def test_the_master_does_not_cut_off_the_safe_stop(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config/ems.yaml").write_text(SIMPLE_MODELS, encoding="utf-8")
    log = tmp_path / "log.txt"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-c", SLOW, str(tmp_path), str(free_port())],
            cwd=ROOT,
            stdout=out,
            stderr=out,
        )
    try:
        wait_for(lambda: "EMS Dash is at" in log.read_text(), "a start", 120)
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=30) == 0
    finally:
        process.kill()
        process.wait()
    assert (tmp_path / "stopped").read_text() == "safe", log.read_text()
    assert "SIGKILL" not in log.read_text()
