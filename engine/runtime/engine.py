"""The engine: threads, schedule, heartbeat, clean stop.

Threads: one per device connection (device layer), control, planning, analytics, history.
The control thread never waits for the network, the optimiser or the disk: it
reads the newest samples, decides, and hands its command and rows over.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping
from datetime import datetime

from engine.audit.log import AuditLog, AuditStatus
from engine.config.schema import Config
from engine.devices.link_statistics import UnitStatistics
from engine.domain.control import StepHealth
from engine.domain.forecast import Forecast
from engine.domain.product import product_version
from engine.domain.records import EventRow, PriceRow
from engine.domain.series import MeasuredPoint
from engine.domain.site_context import SiteThread
from engine.domain.snapshot import EngineSnapshot
from engine.domain.strategy import StrategyKey, StrategyState
from engine.history.writer import WriterStatus
from engine.market.price_rows import price_rows
from engine.market.prices import published_or_none
from engine.notify.desk import AlarmDesk
from engine.notify.events import ACKNOWLEDGED
from engine.runtime.accuracy_service import ModelAccuracy
from engine.runtime.analytics_service import BUSY_S, IDLE_S, AnalyticsService
from engine.runtime.backtests.desk import BacktestDesk
from engine.runtime.backup_service import BackupService
from engine.runtime.bookkeeping_step import BookkeepingStep
from engine.runtime.control_step import SAFE_POWER_KW, ControlStep
from engine.runtime.counters import EngineCounters
from engine.runtime.device_service import DeviceService
from engine.runtime.forecast_archive import ForecastArchive
from engine.runtime.health_records import command_health, history_health
from engine.runtime.history_desk import HistoryDesk
from engine.runtime.import_desk import ImportDesk
from engine.runtime.journal import Journal
from engine.runtime.mqtt_service import MqttService
from engine.runtime.operator_desk import OperatorDesk
from engine.runtime.parts import EngineParts
from engine.runtime.plan_step import PlanStep
from engine.runtime.planned_past import PlannedStep
from engine.runtime.settings_service import SettingsService
from engine.runtime.supervision import SupervisedStep
from engine.telemetry.recent import RecentCycle

log = logging.getLogger(__name__)

STOP_BUDGET_S = 2.0

AFTER_POLL = 0.25
"""Share of the control step by which the control loop runs behind the polling grid."""


class Engine:
    """Runs one site; implements the web application's `Services`.

    Attributes:
        settings: Changes the configuration; None when the program runs without a file.
        audit: The audit log; None when none is kept.
        counters: What the engine counts about itself.
    """

    def __init__(self, parts: EngineParts) -> None:
        self._parts = parts
        self._journal = Journal(parts.events, parts.site.site_id, parts.clock)
        parts.operator.tell = self._journal.note
        self.settings: SettingsService | None = None
        self.audit: AuditLog | None = None
        self.counters = EngineCounters()
        self._clock = parts.clock
        self._stop = threading.Event()
        self._stopped = threading.Lock()
        self._has_stopped = False
        self._threads: list[threading.Thread] = []
        self._beat = time.monotonic()
        self._plans = PlanStep(parts, self.counters, self._journal)
        self._planning = SupervisedStep("plan", self._plan_step, self._clock, self._where)
        self._control = ControlStep(
            parts,
            self._journal,
            plan=lambda: self._plans.plan,
            planning=self._planning,
            health=self._health,
            cycle_done=self._note_beat,
            where=self._where,
        )
        books = BookkeepingStep(
            parts.analytics, self._clock, self._stop, lambda: self._control.result
        )
        self._analysing = SupervisedStep("analytics", books.run, self._clock)

    # What the web application asks for (`ems_dash.services.Services`).

    def snapshot(self) -> EngineSnapshot:
        """Return the state after the newest control cycle."""
        return self._control.snapshot

    def measured(self, since: datetime, until: datetime | None = None) -> list[MeasuredPoint]:
        """Return closed one-minute means with ``since < ts < until``, ascending."""
        return self._parts.ring.between(since, until)

    def prices(self, since: datetime, until: datetime) -> list[PriceRow]:
        """Return the published prices that start in ``[since, until)``, ascending.

        They are known before the first plan, and while none can be made.
        """
        published = published_or_none(self._parts.market.prices, self._clock.now())
        if published is None:
            return []
        site_id = self._parts.site.site_id
        return price_rows(published, self._parts.tariff, site_id, since, until)

    def now(self) -> datetime:
        """Return the engine's time, UTC."""
        return self._clock.now()

    def heartbeat_age_s(self) -> float:
        """Return real seconds since the control loop last completed a cycle."""
        return time.monotonic() - self._beat

    @property
    def device_service(self) -> DeviceService:
        """Configuration, assets and connection tests of the devices."""
        return self._parts.device_service

    def recent(self, since: datetime, limit: int | None = None) -> list[RecentCycle]:
        """Return the control cycles later than `since` (at most 60 min), ascending."""
        return self._parts.recent.since(since, limit)

    def acknowledge(self, alarm: str | None = None, by: str = "operator") -> tuple[str, ...]:
        """Mark one alarm, or all, as seen by `by`; return the names that were."""
        names = self._parts.alarms.acknowledge(alarm, by=by, ts=self._clock.now())
        for name in names:
            self._journal.note("info", ACKNOWLEDGED, f"{name}: by {by}")
        seen = (*names, *self._parts.alarm_desk.acknowledge(alarm, by))
        self._parts.trail.note("alarm.acknowledge", alarm or "all", after=list(seen))
        return seen

    def events(self, since: datetime) -> list[EventRow]:
        """Return the newest events from `since` on (at most 2,000), in the order they happened."""
        return self._parts.events.since(since)

    @property
    def notifications(self) -> AlarmDesk:
        """The channels that tell people, their state and their test."""
        return self._parts.alarm_desk

    @property
    def mqtt_service(self) -> MqttService:
        """Configuration, state and test of the broker connection."""
        return self._parts.mqtt

    def request_plan(self) -> None:
        """Ask for a new plan as soon as possible."""
        self._parts.trail.note("plan.request", self._parts.site.site_id)
        self._parts.planner.request()

    def strategy_state(self) -> StrategyState:
        """Return how the strategy is chosen now, and the newest choice."""
        return self._parts.desk.state()

    def choose_strategy(self, strategy: StrategyKey, until: datetime) -> StrategyState:
        """Plan with `strategy` until `until`; kept over a restart.

        Raises:
            ConfigError: The end has passed, or the choice could not be stored; nothing changed.
        """
        self._parts.desk.set_manual(strategy, until)
        self._journal.note(
            "info", "strategy_manual", f"{strategy.value} until {until:%Y-%m-%d %H:%M} UTC"
        )
        self._parts.planner.request()
        return self._parts.desk.state()

    def choose_automatically(self) -> StrategyState:
        """End a choice by hand.

        Raises:
            ConfigError: The stored choice could not be removed; it stands.
        """
        self._parts.desk.set_auto()
        self._journal.note("info", "strategy_auto", "The strategy is chosen automatically.")
        self._parts.planner.request()
        return self._parts.desk.state()

    @property
    def operator(self) -> OperatorDesk:
        """Orders by hand and limits from outside."""
        return self._parts.operator

    @property
    def history(self) -> HistoryDesk:
        """Series, SQL and exports of everything that is kept."""
        return self._parts.history_desk

    @property
    def backtests(self) -> BacktestDesk:
        """Backtests that run beside everything else."""
        return self._parts.backtests

    @property
    def imports(self) -> ImportDesk:
        """Files that are read into the history."""
        return self._parts.imports

    def forecasts(self) -> Mapping[str, Forecast]:
        """Return signal to the newest forecast; empty before the first plan."""
        return self._parts.forecasts.newest()

    def forecast_accuracy(self, days: int) -> tuple[ModelAccuracy, ...]:
        """Return how good each model was over the last `days` days.

        Raises:
            HistoryError: The history could not be read.
        """
        return self._parts.accuracy.scores(days)

    def planned(self, since: datetime, until: datetime) -> list[PlannedStep]:
        """Return what the plans in force wanted of the steps that start in the period.

        Raises:
            HistoryError: The history could not be read.
        """
        return self._parts.planned.steps(since, until)

    @property
    def backups(self) -> BackupService:
        """Backups of the history while the program runs."""
        return self._parts.backups

    @property
    def forecast_archive(self) -> ForecastArchive:
        """Earlier forecasts beside what came, and the weather behind PV."""
        return self._parts.archive

    @property
    def analytics(self) -> AnalyticsService:
        """Savings, key figures and data quality."""
        return self._parts.analytics

    def storage_status(self) -> WriterStatus:
        """Return how the history is doing."""
        return self._parts.history.status()

    def control_error(self) -> str | None:
        """Return why the last control cycle failed; None when it did not."""
        health = self._control.supervised.health()
        return None if health.ok else health.last_error

    def restarts(self) -> Mapping[str, int]:
        """Return step to its failures since the start."""
        steps = (
            *(self._control.supervised, self._planning),
            *(self._analysing, self._control.telling),
        )
        return {step.name: step.health().restarts for step in steps}

    def unit_statistics(self) -> Mapping[str, UnitStatistics]:
        """Return device to its requests and errors since the start."""
        return self._parts.device_service.statistics()

    def audit_status(self) -> AuditStatus | None:
        """Return how the audit log is doing; None when none is kept."""
        return None if self.audit is None else self.audit.status()

    # Running.

    def start(self) -> None:
        """Start history, devices, control and planning."""
        self._parts.history.start()
        self._parts.alarm_desk.start()
        self._journal.note("info", "engine_started", "The engine started.")
        self._parts.trail.note("program.start", self._parts.site.site_id, after=product_version())
        self._parts.devices.start()
        self._parts.mqtt.start()
        self._parts.market.start()
        for name, loop in (
            ("control", self._control_loop),
            ("planning", self._planning_loop),
            ("analytics", self._bookkeeping_loop),
        ):
            thread = SiteThread(target=loop, name=f"ems-{name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """Bring the battery to a safe state, store what waits and end, within about 2 s.

        The safe setpoint is written before anything else is closed. Safe to call twice and
        from a signal handler's thread.
        """
        with self._stopped:
            if self._has_stopped:
                return
            self._has_stopped = True
            self._stop.set()
            deadline = time.monotonic() + STOP_BUDGET_S
            control = [t for t in self._threads if t.name == "ems-control"]
            for thread in control:
                # The control loop must not overwrite the safe setpoint that follows.
                thread.join(timeout=0.3)
            self._parts.devices.stop(safe_power_kw=SAFE_POWER_KW, timeout_s=0.8)
            self._journal.note("info", "engine_stopped", "The engine stopped; setpoint 0 kW.")
            self._parts.imports.stop(0.3)
            self._parts.backtests.stop()
            self._parts.cycle.flush()
            self._parts.history.stop(timeout_s=max(0.2, deadline - time.monotonic()))
            self._parts.alarm_desk.stop(0.5)
            self._parts.mqtt.stop()
            self._parts.market.stop()
            for action in self._parts.on_stop:
                action()
            self._control.show_stopped()
            self._parts.trail.note("program.stop", self._parts.site.site_id)
            log.info("engine stopped")

    def run_once(self) -> None:
        """Poll, control and plan once in the calling thread, for a clock that is moved by hand.

        Not to be mixed with `start`, which does the same from threads.
        """
        self._parts.devices.poll_once()
        self.step()
        self.plan_if_due()

    def step(self) -> bool:
        """Run one supervised control cycle; True on success."""
        return self._control.run()

    def plan_if_due(self) -> bool:
        """Make a plan when one is due; True when a new one was published."""
        return self._planning.run()

    def adopt(self, config: Config) -> None:
        """Take over what of `config` can be in a running site (`engine.runtime.live_config`).

        Control takes it over between two cycles, planning between two plans. From any thread;
        returns at once.
        """
        self._parts.cycle.adopt(config.control)
        self._parts.planner.adopt(config)

    def record(self, severity: str, code: str, message: str) -> None:
        """Remember something that happened outside of the engine, for example a changed file."""
        self._journal.note(severity, code, message)

    def _control_loop(self) -> None:
        step_s = self._parts.timestep_s
        # Devices are polled on the same grid. Deciding a little later means deciding on one
        # coherent poll: meter and battery of different moments make a wrong net load.
        due = self._clock.monotonic() + AFTER_POLL * step_s
        self._clock.wait(self._stop, AFTER_POLL * step_s)
        while not self._stop.is_set():
            began, lag_s = time.perf_counter(), self._clock.monotonic() - due
            self.step()
            self.counters.cycle_s.add(time.perf_counter() - began)
            self.counters.lag_s.add(max(0.0, lag_s))
            due += step_s
            behind = self._clock.monotonic() - due
            if behind > 0:
                # Missed slots are skipped, never caught up in a burst.
                missed = behind // step_s + 1
                self.counters.skipped += int(missed)
                due += step_s * missed
            self._clock.wait(self._stop, due - self._clock.monotonic())

    def _planning_loop(self) -> None:
        while not self._stop.is_set():
            self.plan_if_due()
            # A plan is looked for every real half second: cheap, and prompt at any clock speed.
            self._stop.wait(max(0.5, self._planning.retry_delay_s()))

    def _bookkeeping_loop(self) -> None:
        while not self._stop.is_set():
            done = self._analysing.run()
            pause_s = BUSY_S if done else max(IDLE_S, self._analysing.retry_delay_s())
            self._stop.wait(pause_s)

    def _plan_step(self) -> bool:
        return self._plans.run(self._control.result)

    def _note_beat(self) -> None:
        self._beat = time.monotonic()

    def _health(self) -> tuple[StepHealth, ...]:
        records = [
            self._control.supervised.health(),
            self._parts.devices.poll_health(),
            self._planning.health(),
            history_health(self._parts.history.status()),
        ]
        records += [
            step.health()
            for step in (self._control.telling, self._analysing)
            if step.health().failures
        ]
        records += self._parts.market.health()
        if self._parts.devices.commandable:
            records.append(command_health(self._parts.devices.command_state()))
        return tuple(records)

    def _where(self) -> str:
        plan = self._plans.plan
        return f"site {self._parts.site.site_id}, plan {plan.plan_id if plan else 'none'}"
