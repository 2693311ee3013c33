"""Which settings a running site takes over without a restart, and which wait for one.

Only settings that are read anew in every control cycle or for every plan are taken over. Devices,
broker, history, tariff and what the site is made of are built once, at start; no half of them is
exchanged under a running control loop.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from engine.config.changes import Change, changes
from engine.config.schema import Config

LIVE_KEYS: Final = ("control", "strategies", "planning", "ems.optimization_interval_minutes")
"""Sections and keys that are taken over: control in the next cycle, the rest by the next plan."""


def is_live(path: str) -> bool:
    """Return True when a dotted key takes effect without a restart."""
    return any(path == key or path.startswith(f"{key}.") for key in LIVE_KEYS)


def live_part(running: Config, wanted: Config) -> Config:
    """Return `running` with what of `wanted` takes effect without a restart.

    No rule of the schema ties one of these keys to another section, so that what is valid in
    `wanted` is valid here.
    """
    interval = wanted.ems.optimization_interval_minutes
    return running.model_copy(
        update={
            "control": wanted.control,
            "strategies": wanted.strategies,
            "planning": wanted.planning,
            "ems": running.ems.model_copy(update={"optimization_interval_minutes": interval}),
        }
    )


def waiting(running: Config, wanted: Config) -> tuple[Change, ...]:
    """Return what of `wanted` takes effect only at the next start, in the order of the schema."""
    return tuple(change for change in changes(running, wanted) if not is_live(change.path))


def taken_over(found: Iterable[Change]) -> tuple[Change, ...]:
    """Return those changes that take effect without a restart."""
    return tuple(change for change in found if is_live(change.path))
