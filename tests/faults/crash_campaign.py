"""The crash campaign: ``make crash-test``, or a small one in the test suite.

Prints one line of JSON per campaign; the exit code says whether all of them held.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
for entry in (ROOT, Path(__file__).resolve().parent):
    sys.path.insert(0, str(entry))

import crash_kills  # noqa: E402
import power_cut  # noqa: E402


def _kills(job: tuple[str, int, int]) -> dict[str, Any]:
    folder, kills, seed = job
    outcome = crash_kills.campaign(Path(folder), kills, seed)
    return {"kills": dict(outcome.kills), "batches": outcome.stored, "failures": outcome.failures}


def _cuts(job: tuple[str, int, int]) -> dict[str, Any]:
    folder, cuts, seed = job
    outcome = power_cut.campaign(Path(folder), cuts, seed)
    return {
        "cuts": outcome.cuts,
        "images": outcome.images,
        "repairs": dict(outcome.repairs),
        "failures": outcome.failures,
    }


def _run(name: str, job: Any, count: int, workers: int, folder: str) -> bool:
    began = time.monotonic()
    shares = [count // workers + (i < count % workers) for i in range(workers)]
    jobs = [(folder, share, 1 + i) for i, share in enumerate(shares) if share]
    with multiprocessing.get_context("spawn").Pool(len(jobs)) as pool:
        found = pool.map(job, jobs, chunksize=1)
    failures = [failure for part in found for failure in part["failures"]]
    total: dict[str, Any] = {}
    for part in found:
        for key, value in part.items():
            if isinstance(value, dict):
                into = total.setdefault(key, {})
                for word, number in value.items():
                    into[word] = into.get(word, 0) + number
            elif isinstance(value, int):
                total[key] = total.get(key, 0) + value
    seconds = round(time.monotonic() - began, 1)
    line = json.dumps({"campaign": name, **total, "failures": failures, "seconds": seconds})
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
    return not failures


def main() -> int:
    """Run what the command line asks for; 0 when nothing failed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=2000)
    parser.add_argument("--cuts", type=int, default=2000)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ems-crash-", ignore_cleanup_errors=True) as folder:
        held = True
        if arguments.kills:
            held = _run("kill -9", _kills, arguments.kills, arguments.workers, folder)
        if arguments.cuts:
            held = _run("power cut", _cuts, arguments.cuts, arguments.workers, folder) and held
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
