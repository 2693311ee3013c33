"""Let the demo run through the last hours in fast motion, so that a new data folder has a past.

The same engine steers the same simulated plant over real Modbus TCP, only its clock is moved by
hand in steps of ten seconds; everything it stores carries the mark "simulated".

Usage: python -m scripts.demo_past [--hours 6] [--config config] [--data data]
"""

from __future__ import annotations

import argparse
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

from engine.config.load import load_config
from engine.domain.clock import ManualClock
from engine.runtime.assembly import build_engine

STEP_S = 10.0
log = logging.getLogger("demo_past")


def main() -> None:
    """Run the demo from `--hours` ago until now."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=6.0)
    parser.add_argument("--config", type=Path, default=Path("config"))
    parser.add_argument("--data", type=Path, default=Path("data"))
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    config = load_config(arguments.config)
    if not config.demo:
        parser.error("only the demo plant can be run in fast motion")
    end = datetime.now(UTC)
    clock = ManualClock(end - timedelta(hours=arguments.hours))
    engine = build_engine(config, arguments.data, clock)
    try:
        while clock.now() < end:
            engine.run_once()
            clock.advance(STEP_S)
    finally:
        engine.stop()
    log.info("%.1f h of the demo are stored in %s", arguments.hours, arguments.data)


if __name__ == "__main__":
    main()
