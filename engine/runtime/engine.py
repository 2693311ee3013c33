"""The engine: threads, schedule, snapshot, heartbeat, clean stop.

Threads: one per device connection (device layer), control, planning, history.
The control thread never waits for the network, the optimiser or the disk: it
reads the newest samples, decides, and hands its command and rows over.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from datetime import time as wall_time
from typing import Protocol
from zoneinfo import ZoneInfo

from engine.audit.log import AuditLog, AuditStatus
from engine.audit.trail import NO_TRAIL, Trail
from engine.config.schema import Config
from engine.control.layers import NO_PLAN
from engine.devices.commander import CommandPhase, CommandState
from engine.devices.link_statistics import UnitStatistics
from engine.domain.alarms import AlarmView
from engine.domain.clock import Clock
from engine.domain.control import CommandReport, EngineState, LinkStatus, Setpoint, StepHealth
from engine.domain.errors import EmsError, TooLittleMeasuredError
from engine.domain.forecast import Forecast
from engine.domain.plan import Plan
from engine.domain.product import product_version
from engine.domain.records import EventRow, PriceRow, RunRow
from engine.domain.sample import ProcessImage, Quality
from engine.domain.series import MeasuredPoint
from engine.domain.site import Site
from engine.domain.site_context import SiteThread
from engine.domain.snapshot import EngineSnapshot, Notice
from engine.domain.strategy import Selection, StrategyKey, StrategyState
from engine.history.writer import HistoryWriter, WriterStatus
from engine.market.price_rows import price_rows
from engine.market.prices import DayAheadPrices, differ_from, published_or_none
from engine.market.tariff import TariffBook
from engine.notify.desk import AlarmDesk
from engine.notify.events import ACKNOWLEDGED
from engine.runtime.accuracy_service import AccuracyService, ModelAccuracy
from engine.runtime.analytics_service import BUSY_S, IDLE_S, AnalyticsService
from engine.runtime.backtests.desk import BacktestDesk
from engine.runtime.backup_service import BackupService
from engine.runtime.counters import EngineCounters
from engine.runtime.cycle import ControlCycle, CycleResult
from engine.runtime.device_service import DeviceService
from engine.runtime.forecast_archive import ForecastArchive
from engine.runtime.forecast_service import ForecastService
from engine.runtime.history_desk import HistoryDesk
from engine.runtime.import_desk import ImportDesk
from engine.runtime.market_service import MarketService
from engine.runtime.mqtt_service import MqttService
from engine.runtime.operator_desk import OperatorDesk
from engine.runtime.planned_past import PlannedPast, PlannedStep
from engine.runtime.planner import BatteryLimits, Planner
from engine.runtime.run_records import failed_run, published_run
from engine.runtime.settings_service import SettingsService
from engine.runtime.strategy_desk import StrategyDesk
from engine.runtime.supervision import SupervisedStep
from engine.telemetry.alarms import AlarmTracker
from engine.telemetry.debounce import AnalogDebounce
from engine.telemetry.event_log import EventLog
from engine.telemetry.minute_ring import MinuteRing
from engine.telemetry.recent import RecentCycle, RecentRing

log = logging.getLogger(__name__)

STOP_BUDGET_S = 2.0
SAFE_POWER_KW = 0.0

CONTROL_FAILING = "control_failing"
"""Why the state is safe after a control cycle that raised."""

METER_PATIENCE_S = 120.0
"""The bookkeeping waits so long for the first reading of the meter."""

AFTER_POLL = 0.25
"""Share of the control step by which the control loop runs behind the polling grid."""


class DeviceLayer(Protocol):
    """What the engine needs of the device layer besides the cycle's part."""

    def command_power(self, power_kw: float) -> None: ...

    def start(self) -> None: ...

    def poll_once(self) -> None: ...

    def stop(self, safe_power_kw: float | None = 0.0, timeout_s: float = 1.5) -> None: ...

    def links(self) -> tuple[LinkStatus, ...]: ...

    def poll_health(self) -> StepHealth: ...

    def command_state(self) -> CommandState: ...

    @property
    def commandable(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class EngineParts:
    """Everything an engine is assembled from.

    Attributes:
        site: The site.
        clock: Time.
        devices: Device layer.
        cycle: Control cycle.
        device_service: Answers what is asked about devices.
        mqtt: Connection to the broker, if one is wanted.
        planner: Planner.
        forecasts: Forecasts of the newest plan.
        backups: Backups while the program runs.
        accuracy: How good earlier forecasts were.
        analytics: Savings, key figures and data quality.
        archive: Earlier forecasts beside what came.
        planned: What earlier plans wanted.
        desk: Choice of the strategy.
        operator: Orders by hand and limits from outside.
        alarm_desk: The engine's own alarms, and who is told of them.
        market: Where prices and weather come from.
        history: History writer.
        history_desk: Answers what is asked about the history.
        imports: Reads files into the history.
        backtests: Runs backtests beside everything else.
        events: The newest events; hands them to the history.
        ring: Minute means.
        recent: Every cycle of the last hour.
        alarms: Latched alarms.
        tariff: Tariff, for stored prices.
        timestep_s: Control step.
        notices: Standing remarks.
        time_factor: Speed of the clock; 1 is real time.
        trail: Takes down what people and other systems ask for.
        on_stop: Called last, for example to stop the demo plant and release the lock.
    """

    site: Site
    clock: Clock
    devices: DeviceLayer
    cycle: ControlCycle
    device_service: DeviceService
    mqtt: MqttService
    planner: Planner
    forecasts: ForecastService
    backups: BackupService
    accuracy: AccuracyService
    analytics: AnalyticsService
    archive: ForecastArchive
    planned: PlannedPast
    desk: StrategyDesk
    operator: OperatorDesk
    alarm_desk: AlarmDesk
    market: MarketService
    history: HistoryWriter
    history_desk: HistoryDesk
    imports: ImportDesk
    backtests: BacktestDesk
    events: EventLog
    ring: MinuteRing
    recent: RecentRing
    alarms: AlarmTracker
    tariff: TariffBook
    timestep_s: float
    notices: tuple[Notice, ...] = ()
    time_factor: float = 1.0
    trail: Trail = NO_TRAIL
    on_stop: tuple[Callable[[], None], ...] = ()


class Engine:
    """Runs one site; implements the web application's `Services`.

    Attributes:
        settings: Changes the configuration; None when the program runs without a file.
        audit: The audit log; None when none is kept.
        counters: What the engine counts about itself.
    """

    def __init__(self, parts: EngineParts) -> None:
        self._parts = parts
        parts.operator.tell = self._event
        self.settings: SettingsService | None = None
        self.audit: AuditLog | None = None
        self.counters = EngineCounters()
        self._clock = parts.clock
        self._zone = ZoneInfo(parts.site.timezone)
        self._stop = threading.Event()
        self._stopped = threading.Lock()
        self._has_stopped = False
        self._threads: list[threading.Thread] = []
        self._plan: Plan | None = None
        self._prices: DayAheadPrices | None = None
        self._beat = time.monotonic()
        self._began = self._clock.monotonic()
        self._result: CycleResult | None = None
        self._debounce = AnalogDebounce()
        self._control = SupervisedStep("control", self._control_step, self._clock, self._where)
        self._planning = SupervisedStep("plan", self._plan_step, self._clock, self._where)
        self._snapshot = EngineSnapshot(
            seq=0,
            ts=self._clock.now(),
            site=parts.site,
            state=EngineState.STARTING,
            state_reason=None,
            image=ProcessImage(parts.site.site_id, self._clock.now()),
            notices=parts.notices,
            time_factor=parts.time_factor,
            timestep_s=parts.timestep_s,
        )
        self._to_tell = self._snapshot
        self._analysing = SupervisedStep("analytics", self._analytics_step, self._clock)
        self._telling = SupervisedStep("alarms", self._tell_watchers, self._clock, self._where)

    # What the web application asks for (`ems_dash.services.Services`).

    def snapshot(self) -> EngineSnapshot:
        """Return the state after the newest control cycle."""
        return self._snapshot

    def measured(self, since: datetime, until: datetime | None = None) -> list[MeasuredPoint]:
        """Return closed one-minute means with ``since < ts < until``, ascending."""
        return self._parts.ring.between(since, until)

    def prices(self, since: datetime, until: datetime) -> list[PriceRow]:
        """Return the published prices that start in ``[since, until)``, ascending.

        They are known before the first plan, and while none can be made.
        """
        published = published_or_none(self._parts.market.prices, self._clock.now())
        return [] if published is None else self._price_rows(published, since, until)

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
            self._event("info", ACKNOWLEDGED, f"{name}: by {by}")
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
        self._event("info", "strategy_manual", f"{strategy.value} until {until:%Y-%m-%d %H:%M} UTC")
        self._parts.planner.request()
        return self._parts.desk.state()

    def choose_automatically(self) -> StrategyState:
        """End a choice by hand.

        Raises:
            ConfigError: The stored choice could not be removed; it stands.
        """
        self._parts.desk.set_auto()
        self._event("info", "strategy_auto", "The strategy is chosen automatically.")
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
        health = self._control.health()
        return None if health.ok else health.last_error

    def restarts(self) -> Mapping[str, int]:
        """Return step to its failures since the start."""
        steps = (self._control, self._planning, self._analysing, self._telling)
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
        self._event("info", "engine_started", "The engine started.")
        self._parts.trail.note("program.start", self._parts.site.site_id, after=product_version())
        self._parts.devices.start()
        self._parts.mqtt.start()
        self._parts.market.start()
        for name, loop in (
            ("control", self._control_loop),
            ("planning", self._planning_loop),
            ("analytics", self._analytics_loop),
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
            self._event("info", "engine_stopped", "The engine stopped; setpoint 0 kW.")
            self._parts.imports.stop(0.3)
            self._parts.backtests.stop()
            self._parts.cycle.flush()
            self._parts.history.stop(timeout_s=max(0.2, deadline - time.monotonic()))
            self._parts.alarm_desk.stop(0.5)
            self._parts.mqtt.stop()
            self._parts.market.stop()
            for action in self._parts.on_stop:
                action()
            self._snapshot = replace(
                self._snapshot, state=EngineState.STOPPED, state_reason="stopped"
            )
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
        done = self._control.run()
        if not done:
            # Devices keep the last command until told otherwise; a broken cycle must not.
            self._command_safe()
            self._tell_failure()
        return done

    def _tell_failure(self) -> None:
        """Show what is known after a cycle that failed: nothing new, and 0 kW commanded."""
        try:
            before, now = self._snapshot, self._clock.now()
            failed = replace(
                before,
                seq=before.seq + 1,
                ts=now,
                state=EngineState.SAFE,
                state_reason=CONTROL_FAILING,
                image=_outdated(before.image),
                setpoint=Setpoint(now, SAFE_POWER_KW, SAFE_POWER_KW, CONTROL_FAILING),
                health=self._health(),
            )
            self._snapshot = failed
            self._tell_state(before.state, failed)
            # That control fails is the alarm; what follows from it are no further ones.
            self._to_tell = replace(before, ts=now, health=failed.health)
            self._telling.run()
        except Exception:
            log.exception("a failed cycle could not be told")

    def plan_if_due(self) -> bool:
        """Make a plan when one is due; True when a new one was published."""
        return self._planning.run()

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

    def _analytics_loop(self) -> None:
        while not self._stop.is_set():
            done = self._analysing.run()
            pause_s = BUSY_S if done else max(IDLE_S, self._analysing.retry_delay_s())
            self._stop.wait(pause_s)

    def _analytics_step(self) -> bool:
        """Do one piece of bookkeeping; False when there is none."""
        if self._stop.is_set() or not self._metered():
            return False
        try:
            return self._parts.analytics.step()
        except EmsError:
            # The history closes at a stop, whatever this thread is doing.
            if self._stop.is_set():
                return False
            raise

    def _metered(self) -> bool:
        """Return True once the meter was read, or has not been for long.

        What it counted while the program was down is booked with its first reading; days are
        closed only after that.
        """
        result = self._result
        read = result is not None and result.image.value("grid_kw") is not None
        return read or self._clock.monotonic() - self._began > METER_PATIENCE_S

    def _control_step(self) -> None:
        result = self._parts.cycle.run(self._plan)
        self._result = result
        state, reason = self._overall(result)
        self._parts.cycle.record(result, state)
        image, monotonic_s = result.image, self._clock.monotonic()
        self._parts.recent.add(image)
        listed = self._parts.alarms.views()
        alarms = self._parts.alarms.update(image, monotonic_s)
        self._tell_alarms(listed, alarms)
        previous = self._snapshot
        self._snapshot = EngineSnapshot(
            seq=previous.seq + 1,
            ts=result.image.ts,
            site=self._parts.site,
            state=state,
            state_reason=reason,
            image=result.image,
            limits=result.limits,
            setpoint=result.setpoint,
            plan=self._plan,
            price=result.price,
            energy_cost_today_eur=self._parts.cycle.cost_since(self._midnight(result.image.ts)),
            links=(*self._parts.devices.links(), *self._parts.mqtt.links()),
            health=self._health(),
            notices=(
                *self._parts.notices,
                *self._parts.cycle.notices(),
                *self._parts.market.notices(),
                *self._parts.accuracy.notices(),
            ),
            time_factor=self._parts.time_factor,
            timestep_s=self._parts.timestep_s,
            strategy=self._parts.desk.state(),
            manual=result.manual,
            alarms=(*(view for view in previous.alarms if view.source == "engine"), *alarms),
            command=self._command_report(),
            shown=self._debounce.calm(image, monotonic_s),
        )
        ended = self._parts.operator.manual.take_ended()
        if ended is not None:
            self._event("info", "manual_ended", f"The order by hand ended ({ended}).")
        self._beat = time.monotonic()
        self._tell_state(previous.state, self._snapshot)
        self._to_tell = self._snapshot
        self._telling.run()

    def _tell_state(self, before: EngineState, snapshot: EngineSnapshot) -> None:
        state, reason = snapshot.state, snapshot.state_reason
        if before is state:
            return
        severity = "warning" if state in (EngineState.SAFE, EngineState.DEGRADED) else "info"
        text = f"{before.value} -> {state.value}" + (f" ({reason})" if reason else "")
        log.info("state %s", text)
        self._event(severity, "state_changed", text)

    def _tell_watchers(self) -> None:
        """Hand the newest state to who watches; what fails there is no failure of control."""
        own = self._parts.alarm_desk.feed(self._to_tell)
        snapshot = self._snapshot
        device = tuple(view for view in snapshot.alarms if view.source == "device")
        self._snapshot = replace(snapshot, alarms=(*own, *device))
        self._parts.mqtt.publish(self._snapshot)

    def _overall(self, result: CycleResult) -> tuple[EngineState, str | None]:
        planning = self._planning.health()
        nothing_yet = result.image.value("soc_percent") is None or self._plan is None
        if nothing_yet and self._snapshot.state is EngineState.STARTING:
            links = self._parts.devices.links()
            failed = any(link.state == "offline" for link in links)
            if not failed and planning.failures == 0 and planning.waits_for is None:
                return EngineState.STARTING, None
        if result.reason == NO_PLAN and planning.waits_for is not None:
            degraded = result.state is EngineState.DEGRADED
            state = EngineState.WAITING if degraded else result.state
            return state, TooLittleMeasuredError.code
        return result.state, result.reason

    def _plan_step(self) -> bool:
        """Make a plan when one is due; False when none is."""
        result = self._result
        if result is None:
            return False
        battery = BatteryLimits(result.battery_charge_kw, result.battery_discharge_kw)
        trigger = self._parts.planner.due(result.image, battery)
        if trigger is None:
            return False
        began, ts = time.perf_counter(), self._clock.now()
        try:
            made = self._parts.planner.make(result.image, trigger, battery)
        except TooLittleMeasuredError:
            # No attempt at a plan: there is nothing to plan with yet.
            raise
        except Exception as exc:
            self.counters.plans_failed += 1
            self._record_run(failed_run(exc, ts, self._parts.site.site_id, trigger), began)
            raise
        self.counters.plans_ok += 1
        self.counters.plan_s.add(time.perf_counter() - began)
        plan, prices = made.plan, made.prices
        self._plan = plan
        self._record_run(published_run(plan, ts), began)
        history = self._parts.history
        history.add_plan(plan)
        history.add_selection(made.selection)
        for forecast in made.forecasts.values():
            history.add_forecast(forecast, plan.site_id)
        if prices is not None and differ_from(prices, self._prices, plan.start):
            history.add_prices(self._price_rows(prices, plan.start, prices.end))
        self._prices = prices or self._prices
        self._tell_choice(made.selection)
        self._parts.accuracy.watch()
        log.info(
            "plan %s published (%s): %s, %+.2f EUR in 24 h, %s in %.0f ms",
            plan.plan_id,
            trigger,
            plan.strategy,
            plan.profit_24h_eur,
            plan.solver,
            plan.solve_ms,
        )
        return True

    def _record_run(self, run: RunRow, began: float) -> None:
        duration_ms = (time.perf_counter() - began) * 1000.0
        self._parts.history.add_run(replace(run, duration_ms=duration_ms))

    def _tell_choice(self, selection: Selection) -> None:
        before, after = selection.previous, selection.active
        if before is None or before is after:
            return
        self._event(
            "info", "strategy_switched", f"{before.value} -> {after.value} ({selection.reason})"
        )

    def _health(self) -> tuple[StepHealth, ...]:
        history = self._parts.history.status()
        stored = StepHealth(
            name="history",
            ok=history.failures == 0 and history.upkeep_error is None,
            last_success=history.last_commit_at,
            failures=history.failures,
            last_error=history.last_error or history.upkeep_error,
        )
        records = [
            self._control.health(),
            self._parts.devices.poll_health(),
            self._planning.health(),
            stored,
        ]
        records += [
            step.health() for step in (self._telling, self._analysing) if step.health().failures
        ]
        records += self._parts.market.health()
        if self._parts.devices.commandable:
            records.append(_command_health(self._parts.devices.command_state()))
        return tuple(records)

    def _command_report(self) -> CommandReport | None:
        if not self._parts.devices.commandable:
            return None
        command = self._parts.devices.command_state()
        return CommandReport(
            state=command.state.value,
            reason=command.reason,
            requested_kw=command.requested_kw,
            written_kw=command.written_kw,
            readback_kw=command.readback_kw,
            measured_kw=command.measured_kw,
            flash_writes_today=command.flash_writes_today,
            daily_write_budget=command.daily_write_budget,
        )

    def _tell_alarms(self, before: tuple[AlarmView, ...], after: tuple[AlarmView, ...]) -> None:
        """Record what changed; the list itself is latched until acknowledged."""
        known = {view.name: view for view in before}
        for view in after:
            old = known.get(view.name)
            if view.active and (old is None or not old.active):
                log.warning("alarm %s", view.name)
                self._event("alarm", "alarm_raised", view.name)
        active = {view.name for view in after if view.active}
        for view in before:
            if view.active and view.name not in active:
                log.info("alarm %s is over", view.name)
                self._event("info", "alarm_cleared", view.name)

    def _command_safe(self) -> None:
        try:
            self._parts.devices.command_power(SAFE_POWER_KW)
        except Exception:
            log.exception("the safe setpoint could not be handed over")

    def adopt(self, config: Config) -> None:
        """Take over what of `config` can be in a running site (`engine.runtime.live_config`).

        Control takes it over between two cycles, planning between two plans. From any thread;
        returns at once.
        """
        self._parts.cycle.adopt(config.control)
        self._parts.planner.adopt(config)

    def record(self, severity: str, code: str, message: str) -> None:
        """Remember something that happened outside of the engine, for example a changed file."""
        self._event(severity, code, message)

    def _event(self, severity: str, code: str, message: str) -> None:
        self._parts.events.add(
            EventRow(self._clock.now(), self._parts.site.site_id, severity, code, message)
        )

    def _price_rows(
        self, prices: DayAheadPrices, since: datetime, until: datetime
    ) -> list[PriceRow]:
        return price_rows(prices, self._parts.tariff, self._parts.site.site_id, since, until)

    def _midnight(self, ts: datetime) -> datetime:
        day = ts.astimezone(self._zone).date()
        return datetime.combine(day, wall_time(0), self._zone).astimezone(UTC)

    def _where(self) -> str:
        plan = self._plan.plan_id if self._plan else "none"
        return f"site {self._parts.site.site_id}, plan {plan}"


def _outdated(image: ProcessImage) -> ProcessImage:
    samples = {
        name: replace(sample, quality=Quality.STALE, reason="the control loop fails")
        if sample.usable
        else sample
        for name, sample in image.samples.items()
    }
    return replace(image, samples=samples)


def _command_health(command: CommandState) -> StepHealth:
    failed = command.state in (CommandPhase.REFUSED, CommandPhase.NO_EFFECT)
    return StepHealth(
        name="command",
        ok=not failed,
        last_success=command.ts if command.state is CommandPhase.CONFIRMED else None,
        failures=int(failed),
        last_error=command.reason if failed else None,
    )
