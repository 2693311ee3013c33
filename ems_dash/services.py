"""The one seam between the web application and the engine.

Pages and API routes receive a `Services` object and nothing else, so they run
against the real engine and against a fake in tests alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa

from engine.analytics.quality import QualityReport
from engine.analytics.savings import SavingsQuarter
from engine.audit.log import AuditStatus
from engine.audit.reading import AuditPage, AuditQuery
from engine.config.desk import ConfigDesk
from engine.config.devices import DeviceConfig
from engine.config.mqtt import MqttConfig
from engine.config.schema import Config
from engine.control.external_limits import ExternalLimit
from engine.devices.assets.site import SiteAssets
from engine.devices.command_state import LimitState
from engine.devices.connection_test import ConnectionReport
from engine.devices.link_statistics import UnitStatistics
from engine.devices.mqtt.broker_check import BrokerCheck
from engine.devices.mqtt.status import MqttStatus
from engine.devices.register_view import RegisterReading
from engine.devices.rtc import RtcState
from engine.devices.spec import DeviceSpec
from engine.domain.control import ManualOrder
from engine.domain.forecast import Forecast
from engine.domain.records import EventRow, PriceRow, RunRow
from engine.domain.series import MeasuredPoint
from engine.domain.snapshot import EngineSnapshot
from engine.domain.strategy import StrategyKey, StrategyState
from engine.history.backup import BackupReport
from engine.history.columns import Columns
from engine.history.export_request import ExportRequest
from engine.history.series_query import SeriesAnswer, SeriesQuery
from engine.history.sql_sandbox import ROW_LIMIT, SqlResult
from engine.history.store import ForecastHeader
from engine.notify.notifier import NotifyTest
from engine.notify.outbox import ChannelStatus
from engine.runtime.accuracy_service import ModelAccuracy
from engine.runtime.analytics_service import DayFigures, PeriodAttribution, PeriodFigures
from engine.runtime.backtests.desk import BacktestDefaults, BacktestState
from engine.runtime.forecast_archive import Came, WeatherInputs
from engine.runtime.history_desk import ExportState, RunningExport
from engine.runtime.history_import import ImportAsked
from engine.runtime.import_desk import ImportPreview, ImportState
from engine.runtime.planned_past import PlannedStep
from engine.runtime.reload import ReloadReport
from engine.telemetry.recent import RecentCycle


class Services(Protocol):
    """What the web application may ask of the engine. Every call returns at once."""

    def snapshot(self) -> EngineSnapshot:
        """Return the state after the newest control cycle."""
        ...

    def measured(self, since: datetime, until: datetime | None = None) -> list[MeasuredPoint]:
        """Return one-minute means of measured signals.

        Args:
            since: Only points with ``ts > since`` (UTC) are returned.
            until: Only points with ``ts < until`` are returned; None for no bound.

        Returns:
            Closed minutes in ascending order, at most 2,160 (36 h). A minute without any
            sample has no point: gaps stay gaps.
        """
        ...

    def prices(self, since: datetime, until: datetime) -> list[PriceRow]:
        """Return published prices in 15-min steps.

        Args:
            since: First instant, UTC; rounded down to its quarter-hour.
            until: Only steps that start before it, UTC, are returned.

        Returns:
            Steps in ascending order; unpublished ones are left out.
        """
        ...

    def planned(self, since: datetime, until: datetime) -> list[PlannedStep]:
        """Return what the plans in force wanted of the steps that start in the period.

        Args:
            since: First instant, UTC.
            until: Only steps that start before it, UTC, are returned.

        Raises:
            EmsError: The history could not be read.
        """
        ...

    def now(self) -> datetime:
        """Return the engine's time, UTC (the demo clock may run fast)."""
        ...

    def heartbeat_age_s(self) -> float:
        """Return the seconds since the control loop last completed a cycle."""
        ...

    def recent(self, since: datetime, limit: int | None = None) -> list[RecentCycle]:
        """Return the control cycles later than `since` (UTC, at most 60 min), ascending.

        Args:
            since: Only later cycles are returned.
            limit: Only the newest so many are returned; None for all.
        """
        ...

    def acknowledge(self, alarm: str | None = None, by: str = "operator") -> tuple[str, ...]:
        """Mark one alarm, or all, as seen by `by`; return the names that were."""
        ...

    def events(self, since: datetime) -> list[EventRow]:
        """Return the newest events from `since` (UTC) on, at most 2,000, oldest first."""
        ...

    def request_plan(self) -> None:
        """Ask for a new plan as soon as possible; the plan in force stays until then."""
        ...

    def strategy_state(self) -> StrategyState:
        """Return how the strategy is chosen now, and the newest choice with every candidate."""
        ...

    def choose_strategy(self, strategy: StrategyKey, until: datetime) -> StrategyState:
        """Plan with `strategy` until the instant `until` (UTC, in the future), then choose again.

        Kept over a restart. A new plan is asked for.

        Raises:
            EmsError: The choice could not be kept; nothing has changed.
        """
        ...

    def choose_automatically(self) -> StrategyState:
        """End a choice by hand; a new plan is asked for."""
        ...

    @property
    def device_service(self) -> DeviceServices:
        """The devices of the site."""
        ...

    @property
    def mqtt_service(self) -> MqttServices:
        """The broker."""
        ...

    @property
    def notifications(self) -> NotificationServices:
        """Who is told of alarms."""
        ...

    @property
    def operator(self) -> OperatorServices:
        """Orders by hand and limits from outside."""
        ...

    @property
    def analytics(self) -> AnalyticsServices:
        """Savings, key figures, attribution and data quality."""
        ...

    @property
    def history(self) -> HistoryServices:
        """Series, SQL and exports of everything that is kept."""
        ...

    @property
    def imports(self) -> ImportServices:
        """Files that are read into the history."""
        ...

    @property
    def backtests(self) -> BacktestServices:
        """Backtests that run beside everything else."""
        ...

    @property
    def settings(self) -> SettingsServices | None:
        """Changes of the configuration; None when the program runs without a file."""
        ...

    @property
    def audit(self) -> AuditServices | None:
        """Who changed what; None when no audit log is kept."""
        ...

    def forecasts(self) -> Mapping[str, Forecast]:
        """Return the newest forecast of each series; empty before the first plan."""
        ...

    def forecast_accuracy(self, days: int) -> tuple[ModelAccuracy, ...]:
        """Return how good each model was over the last `days` days, by lead time.

        Raises:
            EmsError: The history could not be read.
        """
        ...

    @property
    def forecast_archive(self) -> ForecastArchiveServices:
        """Earlier forecasts beside what came, and the weather behind PV."""
        ...


class ForecastArchiveServices(Protocol):
    """What the web application may ask about earlier forecasts. Reads only."""

    def vintages(self, signal: str, since: datetime, until: datetime) -> list[ForecastHeader]:
        """Return the forecasts that were planned with, issued in the period, oldest first.

        Raises:
            EmsError: The history could not be read.
        """
        ...

    def vintage(self, signal: str, issued_at: datetime, model: str) -> Forecast | None:
        """Return one forecast as it was issued, or None.

        Raises:
            EmsError: The history could not be read.
        """
        ...

    def came(self, signal: str, since: datetime, until: datetime) -> Came:
        """Return what was measured, or published, from the quarter-hour of `since` to `until`.

        Raises:
            EmsError: The history could not be read.
        """
        ...

    def weather(self, now: datetime) -> WeatherInputs | None:
        """Return the weather behind PV forecasts; None where no source is configured."""
        ...


class AuditServices(Protocol):
    """What the web application may ask about the audit log."""

    def page(self, query: AuditQuery) -> AuditPage:
        """Return the newest entries that `query` asks for.

        Raises:
            EmsError: The log cannot be read.
        """
        ...

    def status(self) -> AuditStatus:
        """Return how the log is doing."""
        ...


class AnalyticsServices(Protocol):
    """What the web application may ask about savings and data; definitions in docs/analysis.

    Days are local days of the site. Every method may raise `EmsError` when the history cannot be
    read, and answers from stored figures; only the running day is computed.
    """

    def savings(self, since: datetime, until: datetime) -> list[SavingsQuarter]:
        """Return the savings ledger of every booked quarter-hour in ``[since, until)``.

        Raises:
            EmsError: The period is longer than 35 days.
        """
        ...

    def daily(self, days: int) -> list[DayFigures]:
        """Return the figures of the last `days` local days, today included, ascending."""
        ...

    def days(self, since: date, until: date) -> list[DayFigures]:
        """Return the figures of the local days from `since` to before `until`, ascending."""
        ...

    def summary(self, since: date, until: date) -> PeriodFigures:
        """Return the figures of the local days from `since` to before `until` as one period."""
        ...

    def attribution(self, since: date, until: date) -> PeriodAttribution:
        """Return where the gap to perfect foresight comes from, day by day and together."""
        ...

    def quality(self, day: date) -> QualityReport:
        """Return the data quality report of a local day, of today as far as it has come."""
        ...

    def state_history(self, hours: int) -> Columns:
        """Return state and powers of the last hours: minutes, beyond two days quarter-hours."""
        ...

    def runs(self, days: int) -> Sequence[RunRow]:
        """Return the runs of the optimiser of the last days, also failed ones, ascending."""
        ...


class NotificationServices(Protocol):
    """What the web application may ask about who is told of alarms."""

    def status(self) -> tuple[ChannelStatus, ...]:
        """Return how every channel is doing; holds no secret."""
        ...

    def test(self, channel: str) -> NotifyTest:
        """Send a test message over one channel; takes some seconds.

        Raises:
            EmsError: There is no such channel.
        """
        ...


class OperatorServices(Protocol):
    """What people and other systems may ask of the battery. Every call returns at once."""

    def give(
        self, power_kw: float, until: datetime, soc_percent: float | None, source: str
    ) -> ManualOrder:
        """Put an order by hand in force and return it.

        Raises:
            ControlError: Power, end or state of charge are not possible.
        """
        ...

    def end(self) -> bool:
        """End the order by hand; False when there is none."""
        ...

    def put_limit(self, limit: ExternalLimit) -> None:
        """Take over a limit from outside.

        Raises:
            EmsError: Its source is not configured, or it could not be stored.
        """
        ...

    def release_limit(self, source: str) -> None:
        """Take back what a source asked for.

        Raises:
            EmsError: The source is not configured, or the release could not be stored.
        """
        ...

    def contact(self, closed: bool) -> None:
        """Take over the state of the digital input.

        Raises:
            EmsError: There is no digital input.
        """
        ...

    def limits_in_force(self) -> tuple[ExternalLimit, ...]:
        """Return every limit from outside that applies now."""
        ...


class HistoryServices(Protocol):
    """What the web application may ask about what is kept. Each question has a time limit."""

    @property
    def timezone(self) -> str:
        """IANA name of the site's time zone."""
        ...

    def series(self, query: SeriesQuery) -> SeriesAnswer:
        """Return series thinned to what a chart can show; see `HistoryQueries.series`.

        Raises:
            EmsError: A series is unknown, it took too long, or the history cannot answer.
        """
        ...

    def sql(self, sql: str, rows: int = ROW_LIMIT) -> SqlResult:
        """Return the answer to one read-only SELECT; see `SqlSandbox.run`.

        Raises:
            EmsError: It may not run, took too long, or the history cannot answer.
        """
        ...

    def export(self, request: ExportRequest) -> RunningExport:
        """Start an export and return its bytes; mistakes show before the first byte.

        Raises:
            EmsError: It cannot be made, or too many run already.
        """
        ...

    def about(self, request: ExportRequest) -> dict[str, Any]:
        """Return what is said about an export, without its rows.

        Raises:
            EmsError: It cannot be made.
        """
        ...

    def exports(self) -> tuple[ExportState, ...]:
        """Return the exports that run and the newest that have ended, oldest first."""
        ...


class BacktestServices(Protocol):
    """What the web application may ask about backtests; one runs at a time."""

    def start(self, data: Mapping[str, Any] | bytes, by: str = "operator") -> BacktestState:
        """Take a backtest; it runs at once, or when those before it have ended.

        Raises:
            EmsError: It is not possible, its data cannot be had, or too many wait.
        """
        ...

    def list(self) -> tuple[BacktestState, ...]:
        """Return every backtest, the newest first."""
        ...

    def state(self, number: str) -> BacktestState:
        """Return how one is doing.

        Raises:
            EmsError: There is none of that id.
        """
        ...

    def result(self, number: str) -> dict[str, Any] | None:
        """Return what came of one so far; None while there is nothing.

        Raises:
            EmsError: There is none of that id, or its result is damaged.
        """
        ...

    def traces(self, number: str) -> Path:
        """Return the Parquet file with every quarter-hour.

        Raises:
            EmsError: There is none of that id, or it has not ended.
        """
        ...

    def studies(self, number: str) -> pa.Table:
        """Return every row of every study of one backtest."""
        ...

    def csv(self, number: str) -> Iterator[bytes]:
        """Return every quarter-hour as CSV, piece by piece.

        Raises:
            EmsError: There is none of that id, or it has not ended.
        """
        ...

    def rename(self, number: str, name: str) -> BacktestState:
        """Give a backtest another name.

        Raises:
            EmsError: There is none of that id, or the name is empty or too long.
        """
        ...

    def remove(self, number: str) -> BacktestState:
        """Cancel a backtest that waits or runs, or forget one that has ended.

        Raises:
            EmsError: There is none of that id.
        """
        ...

    def defaults(self) -> BacktestDefaults:
        """Return what a new backtest begins with."""
        ...


class ImportServices(Protocol):
    """What the web application may ask about files read into the history; one at a time."""

    def keep(self, name: str, chunks: Iterable[bytes]) -> Path:
        """Store an uploaded file until it is imported, and return where.

        The name of its folder is its token, by which `kept` finds it again.

        Raises:
            EmsError: It is too large, has no name or cannot be stored.
        """
        ...

    def kept(self, token: str) -> Path:
        """Return the file that waits under `token`.

        Raises:
            EmsError: There is none any more.
        """
        ...

    def preview(self, asked: ImportAsked) -> ImportPreview:
        """Return the first rows of a file and what its columns seem to be.

        Raises:
            EmsError: It cannot be read.
        """
        ...

    def start(self, asked: ImportAsked, *, dry_run: bool = False) -> ImportState:
        """Begin to import a file, or to check it, and return at once.

        Raises:
            EmsError: Another import runs.
        """
        ...

    def states(self) -> tuple[ImportState, ...]:
        """Return the import that runs and the newest that have ended, oldest first."""
        ...

    def state(self, number: int) -> ImportState | None:
        """Return how one import is doing, None when it is unknown or forgotten."""
        ...

    def cancel(self) -> None:
        """End the import that runs, soon; what was written stays."""
        ...


class SettingsServices(Protocol):
    """What the settings page may ask. What is saved takes effect at the next start or `reload`."""

    @property
    def desk(self) -> ConfigDesk:
        """The file: read, check a draft, save, backups."""
        ...

    @property
    def running(self) -> Config:
        """The configuration in force: that of the start, with what was taken over since."""
        ...

    @property
    def devices(self) -> DeviceServices:
        """Tests of device connections."""
        ...

    def reload(self) -> ReloadReport:
        """Read the file anew and put in force what needs no restart.

        Raises:
            EmsError: The file cannot be read or has mistakes; nothing was changed.
        """
        ...

    def store_secret(self, name: str, secret: str) -> str:
        """Keep a secret in a file that only the program can read; return the file's path.

        Raises:
            EmsError: It cannot be stored.
        """
        ...

    def test_broker(self, config: MqttConfig, site_id: str) -> BrokerCheck:
        """Test a broker that need not be the one in use; takes up to 15 s."""
        ...


class DeviceServices(Protocol):
    """What the web application may ask about the devices of the site; it can only read."""

    @property
    def config(self) -> Config:
        """The configuration the site runs with."""
        ...

    @property
    def assets(self) -> SiteAssets:
        """What the site is made of."""
        ...

    def statistics(self) -> Mapping[str, UnitStatistics]:
        """Return device name to requests, errors by kind and latencies."""
        ...

    def registers(self, device: str) -> tuple[RegisterReading, ...]:
        """Return every value of one device beside the registers it was read from.

        Raises:
            DeviceError: No device of that name.
        """
        ...

    def device_clocks(self) -> Mapping[str, RtcState]:
        """Return device name to the state of its clock, for devices whose clock can be set."""
        ...

    def limit_states(self) -> Mapping[str, LimitState]:
        """Return device name to its power limit, for devices that take one."""
        ...

    def devices(self) -> tuple[DeviceSpec, ...]:
        """Return every device that is polled."""
        ...

    def new_device(self, config: DeviceConfig) -> DeviceSpec:
        """Return a device that is not configured yet, for a test; never writable."""
        ...

    def test(self, spec: DeviceSpec, address: str | None) -> ConnectionReport:
        """Test one device by reading; takes up to 20 s."""
        ...


class BackupServices(Protocol):
    """What the web application may ask about backups of the history."""

    def backup(self, folder: str | None = None) -> BackupReport:
        """Write a backup to `folder`, or to the folder of the configuration.

        Raises:
            HistoryError: The folder is none that backups may go to, or writing failed.
        """
        ...


class WholeServices(Services, Protocol):
    """Everything the web application may ask of one site, with what no page asks for."""

    @property
    def backups(self) -> BackupServices:
        """Backups of the history."""
        ...


class MqttServices(Protocol):
    """What the web application may ask about the broker."""

    @property
    def config(self) -> Config:
        """The configuration the site runs with."""
        ...

    def status(self) -> MqttStatus | None:
        """Return the state of the connection, or None when MQTT is not enabled."""
        ...

    def test(self) -> BrokerCheck:
        """Log in, publish and read back, listen to the mapped topics; takes up to 15 s."""
        ...
