"""One plan at a stated time, without devices and without the running program."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from engine.config.described_site import site_from
from engine.config.schema import Config
from engine.domain.clock import ManualClock
from engine.domain.errors import AlreadyRunningError, EmsError
from engine.domain.sample import ProcessImage, Sample
from engine.market.tariff import TariffBook
from engine.recorded.recording import Recording
from engine.runtime.history_setup import DATABASE_NAME, open_history
from engine.runtime.known_then import known_at
from engine.runtime.market_service import build_market
from engine.runtime.planner import MadePlan
from engine.runtime.planning_setup import build_planning
from engine.runtime.strategy_desk import StrategyDesk
from engine.strategies.baselines import RuleSettings, rule_baselines
from engine.strategies.evaluation import Evaluation

if TYPE_CHECKING:
    from engine.runtime.history_setup import History

_SAMPLE_AGE = timedelta(minutes=15)
"""A stored state of charge older than this says nothing about the time of the plan."""

_FETCHED_FOR = timedelta(days=2)
"""Sources are asked only for times so near to the present; the past is what was stored."""


@dataclass(frozen=True, slots=True)
class SinglePlan:
    """A plan with the baselines it is measured against.

    Attributes:
        made: The plan and what it rests on.
        rules: Name of a rule-based controller to what it would pay on the same horizon.
        soc_percent: State of charge it starts with.
        soc_source: Where that comes from, in words.
    """

    made: MadePlan
    rules: Mapping[str, Evaluation]
    soc_percent: float
    soc_source: str


def single_plan(
    config: Config, data_dir: Path, at: datetime, soc_percent: float | None, now: datetime
) -> SinglePlan:
    """Return the plan that would be made at `at` with what was known then.

    Prices are published up to what the exchange had published at `at`; load and PV are forecast
    from what lies before it. Nothing is commanded and nothing is stored.

    Args:
        config: Validated configuration.
        data_dir: Data folder; read where a database is in it.
        at: Time of the plan, aware.
        soc_percent: State of charge to start with; None for the stored one, in the demo else
            the configured one.
        now: The present, aware.

    Raises:
        EmsError: The program owns the data folder, the state of charge is not known, or
            no plan can be made.
    """
    clock = ManualClock(at)
    site = site_from(config)
    with ExitStack() as stack:
        store = _store(config, data_dir, stack)
        soc, source = _soc(config, store, at, soc_percent)
        tariff = TariffBook(config.tariff, ZoneInfo(config.site.timezone))
        recording = Recording(timezone=config.site.timezone)
        market = build_market(
            config,
            data_dir,
            recording,
            # What is fetched is as old as it is, whatever time the plan is for.
            ManualClock(now),
            settlement_minutes=tariff.settlement_minutes(at),
        )
        if market.refresher is not None and abs(at - now) <= _FETCHED_FOR:
            market.refresher.run_due()
        market = known_at(config, market, at, now)
        planning = build_planning(
            config,
            site,
            clock,
            store=store,
            writer=None,
            market=market,
            tariff=tariff,
            recording=recording,
            minute_means=lambda _since, _until: [],
            has_pv=config.demo or _measures_pv(store, site.site_id, at),
            desk=StrategyDesk(config.strategies, data_dir, clock, read_only=True),
        )
        image = ProcessImage(site.site_id, at, {"soc_percent": Sample(soc, at, source)})
        made = planning.planner.make(image, "command")
        settings = RuleSettings(
            config.strategies.peak_target_kw, config.strategies.balancing_window_hours
        )
        rules = rule_baselines(made.problem, settings, ZoneInfo(config.site.timezone))
    return SinglePlan(made, rules, soc, source)


def _store(config: Config, data_dir: Path, stack: ExitStack) -> History | None:
    path = data_dir / DATABASE_NAME
    if config.history.backend == "duckdb" and not path.exists():
        return None
    try:
        store = open_history(config, path)
    except AlreadyRunningError as exc:
        raise AlreadyRunningError(
            "The program runs on this data folder.",
            field="data",
            value=str(data_dir),
            hint="Ask it for its plan (GET /api/plan), stop it, or give another --data folder.",
        ) from exc
    stack.callback(store.close)
    return store


def _soc(
    config: Config, store: History | None, at: datetime, given: float | None
) -> tuple[float, str]:
    if given is not None:
        return given, "given"
    points = []
    if store is not None:
        # Closed minutes before the time of the plan; a later state of charge is its future.
        points = store.minute_means(config.site.id, ("soc_percent",), at - _SAMPLE_AGE, at)
    for point in reversed(points):
        stored = point.values.get("soc_percent")
        if stored is not None:
            return stored, f"stored at {point.ts:%Y-%m-%d %H:%M} UTC"
    if config.demo:
        return config.demo_plant.soc_start_percent, "demo_plant.soc_start_percent"
    raise EmsError(
        f"The state of charge at {at:%Y-%m-%d %H:%M} UTC is not stored.",
        field="soc",
        hint="Give it with --soc PERCENT.",
    )


def _measures_pv(store: History | None, site_id: str, at: datetime) -> bool:
    if store is None:
        return False
    points = store.quarter_hour_means(site_id, ("pv_kw",), at - timedelta(days=2), at)
    return any(point.values.get("pv_kw") is not None for point in points)
