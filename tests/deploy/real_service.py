"""The systemd unit, read by systemd's own tools. Part of ``make deploy-test``."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.support.deploy_files import DEPLOY

UNIT = DEPLOY / "systemd/ems-dash.service"
MOST_EXPOSED = 20
"""Tenths of the score by which systemd rates exposure: 0 none, 100 everything."""


def test_systemd_finds_no_fault_in_the_unit(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\n", encoding="utf-8")
    program.chmod(0o755)
    unit = tmp_path / UNIT.name
    text = UNIT.read_text(encoding="utf-8")
    unit.write_text(text.replace("/opt/ems-dash/.venv/bin/python", str(program)), encoding="utf-8")
    answer = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (answer.returncode, answer.stderr.strip()) == (0, "")


def test_systemd_rates_the_service_as_little_exposed() -> None:
    answer = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={MOST_EXPOSED}", str(UNIT)],
        capture_output=True,
        text=True,
        check=False,
    )
    level = re.search(r"Overall exposure level for \S+: ([\d.]+)", answer.stdout)
    assert answer.returncode == 0, level
