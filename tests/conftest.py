"""Fixtures shared by every kind of test."""

from __future__ import annotations

import gc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler import LoadScopeScheduling

from engine.domain.clock import ManualClock
from engine.domain.site import Battery, GridConnection, Site
from engine.history.duckdb_store import DuckDbHistory
from engine.recorded.recording import Recording

# How long an example takes depends on the machine; speed lives in the benchmarks.
settings.register_profile("ems", deadline=None)
settings.load_profile("ems")


# Until all tests are found nearly nothing is garbage, and looking for it takes long.
gc.disable()

_LONG_FIRST = ("browser", "golden", "faults")


class _OneBrowser(LoadScopeScheduling):
    """Lets one worker drive a browser at a time: several starve each other on two cores."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith("tests/browser/"):
            return "tests/browser"
        return str(super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    """Share tests among workers by module and class."""
    return _OneBrowser(config, log)


def pytest_collection_finish() -> None:
    """Keep modules and tests, which stay to the end, out of every search for garbage."""
    gc.freeze()
    gc.set_threshold(10_000, 10, 10)
    gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put what waits for real servers and browsers first, so that no worker ends with it alone."""
    rank = {kind: place for place, kind in enumerate(_LONG_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.parent.name, len(rank)))


@pytest.fixture(scope="session")
def recording() -> Recording:
    """The recorded demo year."""
    return Recording()


@pytest.fixture(scope="session")
def empty_history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An empty history's file, alone in its folder, to be copied: quicker than making one."""
    path = tmp_path_factory.mktemp("empty") / "history.duckdb"
    DuckDbHistory(path).close()
    return path


@pytest.fixture
def clock() -> ManualClock:
    """A clock that stands at Monday 2026-11-23 12:00 UTC until moved."""
    return ManualClock(datetime(2026, 11, 23, 12, 0, tzinfo=UTC))


@pytest.fixture
def battery() -> Battery:
    """The battery of the demo site, without standby loss."""
    return Battery(
        energy_capacity_kwh=200.0,
        power_charge_max_kw=100.0,
        power_discharge_max_kw=100.0,
        efficiency_charge=0.95,
        efficiency_discharge=0.95,
        soc_min_percent=10.0,
        soc_max_percent=90.0,
        wear_cost_eur_per_kwh=0.015,
    )


@pytest.fixture
def site(battery: Battery) -> Site:
    """The demo site."""
    return Site(
        site_id="site-1",
        name="Standort Wien",
        timezone="Europe/Vienna",
        battery=battery,
        grid=GridConnection(import_limit_kw=200.0, export_limit_kw=200.0),
        pv_peak_kw=160.0,
    )
