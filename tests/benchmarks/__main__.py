"""``make bench``: every comparison in one run, side by side.

``python -m tests.benchmarks NAME ...`` runs only the named ones.
"""

from __future__ import annotations

import argparse
import importlib
import platform
import time

BENCHMARKS = (
    *("optimizer", "history", "storage", "questions", "scan"),
    *("pv", "forecast", "strategies", "control", "kernel", "backtest", "agreement", "studies"),
    "pages",
)


def main() -> None:
    """Print all benchmarks, or those named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument(
        "--check", action="store_true", help="the long comparison of answers instead (kernel)"
    )
    arguments = parser.parse_args()
    names = arguments.names or (("kernel",) if arguments.check else BENCHMARKS)
    unknown = sorted(set(names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"unknown: {', '.join(unknown)}; known are {', '.join(BENCHMARKS)}")
    print(f"EMS Dash benchmarks on Python {platform.python_version()}, {platform.machine()}")
    print("Ratios within one run count; absolute times depend on the machine.")
    for name in names:
        began = time.monotonic()
        print()
        module = importlib.import_module(f"tests.benchmarks.bench_{name}")
        if arguments.check:
            module.check()
        else:
            module.main()
        print(f"({name}: {time.monotonic() - began:.0f} s)")


if __name__ == "__main__":
    main()
