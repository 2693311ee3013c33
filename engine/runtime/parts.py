"""What the engine of one site is assembled from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from engine.audit.trail import NO_TRAIL, Trail
from engine.devices.command_state import CommandState
from engine.domain.clock import Clock
from engine.domain.control import LinkStatus, StepHealth
from engine.domain.site import Site
from engine.domain.snapshot import Notice
from engine.history.writer import HistoryWriter
from engine.market.tariff import TariffBook
from engine.notify.desk import AlarmDesk
from engine.runtime.accuracy_service import AccuracyService
from engine.runtime.analytics_service import AnalyticsService
from engine.runtime.backtests.desk import BacktestDesk
from engine.runtime.backup_service import BackupService
from engine.runtime.cycle import ControlCycle
from engine.runtime.device_service import DeviceService
from engine.runtime.forecast_archive import ForecastArchive
from engine.runtime.forecast_service import ForecastService
from engine.runtime.history_desk import HistoryDesk
from engine.runtime.import_desk import ImportDesk
from engine.runtime.market_service import MarketService
from engine.runtime.mqtt_service import MqttService
from engine.runtime.operator_desk import OperatorDesk
from engine.runtime.planned_past import PlannedPast
from engine.runtime.planner import Planner
from engine.runtime.strategy_desk import StrategyDesk
from engine.telemetry.alarms import AlarmTracker
from engine.telemetry.event_log import EventLog
from engine.telemetry.minute_ring import MinuteRing
from engine.telemetry.recent import RecentRing


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
