"""``make bench``: every comparison in one run, side by side."""

from __future__ import annotations

import platform

from tests.benchmarks import bench_history, bench_optimizer, bench_scan


def main() -> None:
    """Print all benchmarks."""
    print(f"EMS Dash benchmarks on Python {platform.python_version()}, {platform.machine()}")
    print("Ratios within one run count; absolute times depend on the machine.\n")
    bench_optimizer.main()
    print()
    bench_history.main()
    print()
    bench_scan.main()


if __name__ == "__main__":
    main()
