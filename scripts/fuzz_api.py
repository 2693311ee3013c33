"""Ask the API for a long time with requests made from its own document; ``make fuzz``.

The whole program runs with its demo plant in a temporary folder. Nobody and every role ask in
turn. Prints what was asked, what was answered, and everything that was not as documented; the
exit code is 0 when nothing was.
"""

from __future__ import annotations

import argparse
import logging
import sys
import tempfile
import time
from pathlib import Path

import requests

from tests.support.api_fuzz import SENDERS, fuzz, served_program
from tests.support.login import bearer


def main() -> int:
    """Run and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=100, help="right and wrong requests each")
    parser.add_argument("--seed", type=int, default=1, help="of the random numbers")
    parser.add_argument("--only", default="", help="only paths that hold this text")
    parser.add_argument("--as", dest="sender", choices=SENDERS, help="only this sender")
    asked = parser.parse_args()
    logging.disable(logging.ERROR)
    wrong = 0
    with (
        tempfile.TemporaryDirectory() as folder,
        served_program(Path(folder)) as (url, _),
    ):
        document = requests.get(f"{url}/api/openapi.json", headers=bearer(), timeout=30).json()
        for name, role in SENDERS.items():
            if asked.sender not in (None, name):
                continue
            began = time.monotonic()
            report = fuzz(
                url, document, role, examples=asked.examples, seed=asked.seed, only=asked.only
            )
            answers = ", ".join(f"{s}: {n}" for s, n in sorted(report.statuses.items()))
            print(
                f"{name:9} {report.cases:6} cases of {len(report.per_operation)} operations in "
                f"{time.monotonic() - began:.0f} s; answers {answers}",
                flush=True,
            )
            for operation, found in report.wrong.items():
                wrong += len(found)
                for text in found:
                    print(f"  {operation}\n    {text}")
        metrics = requests.get(f"{url}/healthz", timeout=30)
        print(f"afterwards GET /healthz: {metrics.status_code} {metrics.text}")
    print("nothing was wrong" if not wrong else f"{wrong} things were wrong")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
