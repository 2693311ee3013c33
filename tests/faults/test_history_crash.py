"""The crash campaign, small: killed and cut off at every point, nothing stored is ever lost.

``make crash-test`` runs ten times as many of both.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

CAMPAIGN = Path(__file__).with_name("crash_campaign.py")


def campaign(*arguments: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, str(CAMPAIGN), *arguments, "--workers", "2"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.stdout, done.stderr[-2000:]
    outcome: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    assert outcome["failures"] == []
    assert done.returncode == 0
    return outcome


@pytest.mark.timeout(900)
def test_two_hundred_kills_lose_nothing_that_was_stored() -> None:
    outcome = campaign("--kills", "200", "--cuts", "0")
    assert sum(outcome["kills"].values()) == 200
    assert set(outcome["kills"]) == {"open", "write", "roll_up", "checkpoint", "tidy"}
    assert outcome["batches"] > 200


@pytest.mark.timeout(900)
def test_power_cuts_with_torn_sectors_lose_nothing_that_was_stored() -> None:
    outcome = campaign("--kills", "0", "--cuts", "200")
    assert outcome["cuts"] == 200
