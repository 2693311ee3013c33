"""The commands of the API guide do what it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.login import bearer
from tests.support.whole_program import Program

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "operation" / "api.md").read_text("utf-8")
SHELL = re.findall(r"(?s)```sh\n(.*?)```", GUIDE)
PYTHON = re.findall(r"(?s)```python\n(.*?)```", GUIDE)


@pytest.fixture
def environment(served: tuple[str, Program]) -> dict[str, str]:
    name, value = next(iter(bearer().items()))
    return os.environ | {"EMS": served[0], "TOKEN": f"{name}: {value}"}


@pytest.mark.parametrize("block", [b for b in SHELL if "curl" in b])
def test_the_commands_answer(block: str, environment: dict[str, str]) -> None:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    assert done.stdout


def test_the_program_hears_an_event(environment: dict[str, str]) -> None:
    (program,) = PYTHON
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert '"seq"' in done.stdout
