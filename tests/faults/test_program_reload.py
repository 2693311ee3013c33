"""A hang-up to the running program, at either of its processes, with a good file and a bad one."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil

from tests.support.process import running, wait_for


def test_a_hang_up_takes_over_a_good_file_and_refuses_a_bad_one_without_a_restart(
    tmp_path: Path,
) -> None:
    file = tmp_path / "config" / "ems.yaml"
    with running(tmp_path, "strategies: {switch_threshold: 0.2}\n") as program:
        program.wait_for_plan()
        (worker,) = psutil.Process(program.process.pid).children()

        def threshold() -> float | None:
            said = program.get("/api/strategies")
            return said and said["switch_threshold"]

        assert threshold() == 0.2
        file.write_text("strategies: {switch_threshold: 0.31}\ngrid: {export_limit_kw: 9}\n")
        os.kill(program.process.pid, signal.SIGHUP)
        wait_for(lambda: threshold() == 0.31, "the settings of the file in force")
        assert "Waiting for a restart: grid.export_limit_kw" in program.log_text()

        file.write_text("strategies: {switch_threshold: 0.4}\nbess: {soc_min_percent: full}\n")
        os.kill(worker.pid, signal.SIGHUP)
        wait_for(lambda: "not taken over" in program.log_text(), "the refusal in the log")
        assert "bess.soc_min_percent" in program.log_text()
        assert threshold() == 0.31

        file.write_text("strategies: {switch_threshold: 0.5}\n")
        os.kill(worker.pid, signal.SIGHUP)
        wait_for(lambda: threshold() == 0.5, "the mended file in force")
        (same,) = psutil.Process(program.process.pid).children()
        assert same.pid == worker.pid, "the engine ran on"
        assert program.stop() == 0
        assert "Traceback" not in program.log_text()
