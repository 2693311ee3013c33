"""Backtests for tests: small cases, and processes that do what a test needs."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path

from engine.analytics.backtest.case import BacktestCase
from engine.domain.errors import BacktestError
from engine.domain.site import Battery, GridConnection
from engine.runtime.backtests.desk import ACTIVE, BacktestDefaults, BacktestDesk, BacktestState
from engine.runtime.backtests.request import BacktestRequest
from tests.support.backtest_cases import SITE, TARIFF, case

DEADLINE_S = 120.0

WAITS = "import sys,json; print(json.dumps({'what':'x','share':0.25}),flush=True); sys.stdin.read()"
"""A process that tells some progress and ends only when it is ended."""


AWAKE = "import sys; from engine.runtime.backtests import work; work.NICENESS = 0; work.main()"
"""The real work, at the priority of the tests: a busy machine would starve it otherwise."""


class SmallCases:
    """Every backtest is one of a few made-up days."""

    def __init__(self, days: int = 3) -> None:
        self._days = days

    def case(self, asked: BacktestRequest) -> BacktestCase:
        if asked.data.start == date(1999, 1, 1):
            raise BacktestError("Nothing is known of 1999.", field="data.start", hint="Later.")
        small = case(days=self._days)
        site = small.site
        if asked.bess is not None:
            site = dataclasses.replace(site, battery=Battery(**asked.bess.model_dump()))
        if asked.grid is not None:
            grid = GridConnection(asked.grid.import_limit_kw, asked.grid.export_limit_kw)
            site = dataclasses.replace(site, grid=grid)
        return dataclasses.replace(small, site=site, tariff=asked.tariff or small.tariff)

    def defaults(self) -> BacktestDefaults:
        return BacktestDefaults(
            site=SITE,
            tariff=TARIFF,
            recorded={
                "at_2025_26": (date(2025, 11, 5), date(2026, 8, 21)),
                "at_2024": (date(2024, 2, 5), date(2024, 12, 31)),
                "at_2018": (date(2018, 2, 5), date(2018, 12, 31)),
            },
            history=(date(2026, 5, 25), date(2026, 6, 21)),
        )


class NoBacktests:
    """An installation in which nobody has asked for a backtest."""

    def list(self) -> tuple[BacktestState, ...]:
        return ()

    def defaults(self) -> BacktestDefaults:
        return SmallCases().defaults()


def script(text: str) -> Callable[[Path], list[str]]:
    """Return a command that runs `text` instead of a backtest."""
    return lambda folder: [sys.executable, "-c", text, str(folder)]


def wait(desk: BacktestDesk, number: str, until: Callable[[BacktestState], bool]) -> BacktestState:
    """Return the state of a backtest as soon as `until` holds of it."""
    deadline = time.monotonic() + DEADLINE_S
    while not until(desk.state(number)):
        assert time.monotonic() < deadline, desk.state(number)
        time.sleep(0.02)
    return desk.state(number)


def ended(state: BacktestState) -> bool:
    """Return True when a backtest neither waits nor runs."""
    return state.state not in ACTIVE
