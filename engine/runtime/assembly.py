"""Build an engine from its configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from engine.analytics.ledger import Ledger, TariffQuote
from engine.audit.trail import NO_TRAIL, Trail
from engine.config.described_site import site_from
from engine.config.schema import Config
from engine.control.controller import Controller
from engine.control.limits import LimitTracker
from engine.devices.simulator.plant import DemoPlant
from engine.devices.site_devices import STALE_AFTER_POLLS
from engine.devices.write_budget import JsonWriteCounts, WriteCountStore
from engine.domain.alarms import AlarmView
from engine.domain.clock import Clock, SystemClock
from engine.domain.errors import ConfigError, EmsError
from engine.domain.records import EventRow
from engine.domain.snapshot import EngineSnapshot
from engine.history.writer import HistoryWriter
from engine.market.tariff import TariffBook
from engine.notify.book import AlarmBook
from engine.notify.desk import AlarmDesk
from engine.notify.factory import build_notifier
from engine.notify.kept import KEPT_NAME, KeptMessages
from engine.optimization.kernel.process import KernelCompiler
from engine.recorded.recording import Recording
from engine.runtime.accuracy_service import AccuracyService
from engine.runtime.analytics_setup import build_analytics
from engine.runtime.backtests.desk import BacktestDesk
from engine.runtime.backtests.sources import BacktestSources
from engine.runtime.backup_service import BackupService
from engine.runtime.cycle import ControlCycle
from engine.runtime.device_service import DeviceService
from engine.runtime.device_setup import (
    Connected,
    demo_devices,
    make_clock,
    make_demo_plant,
    real_devices,
)
from engine.runtime.engine import Engine
from engine.runtime.forecast_archive import ForecastArchive
from engine.runtime.history_desk import HistoryDesk
from engine.runtime.history_setup import DATABASE_NAME, open_history
from engine.runtime.import_desk import ImportDesk
from engine.runtime.market_service import build_market
from engine.runtime.mqtt_service import MqttService
from engine.runtime.operator_desk import MQTT_COMMANDS, OperatorDesk
from engine.runtime.parts import EngineParts
from engine.runtime.planned_past import PlannedPast
from engine.runtime.planning_setup import build_planning
from engine.runtime.price_now import PriceLookup
from engine.runtime.restored_past import restore_past
from engine.runtime.settings_service import SettingsService
from engine.runtime.setup_records import record_setup
from engine.runtime.site_setup import check_contact, mapped_signals
from engine.runtime.standing_notices import standing_notices
from engine.runtime.strategy_desk import StrategyDesk
from engine.telemetry.alarms import AlarmTracker
from engine.telemetry.event_log import EventLog
from engine.telemetry.minute_ring import MinuteRing
from engine.telemetry.recent import RecentRing

if TYPE_CHECKING:
    # One of its kinds needs a package that is not always installed.
    from engine.runtime.history_setup import History

IMPORT_FOLDER = "imports"
"""Where uploaded files wait, in the data folder."""

BACKTEST_FOLDER = "backtests"
"""Where backtests are kept, in the data folder."""

WRITE_COUNTS_NAME = "flash_writes.json"
"""Counts of writes to devices' flash memory, in the data folder."""


def check_buildable(config: Config) -> None:
    """Refuse what the schema allows but this version cannot run.

    Raises:
        ConfigError: Naming the key, the value and the remedy.
    """
    if config.demo and config.demo_plant.speed != 1.0 and not config.prices.demo_mode:
        raise ConfigError(
            "An accelerated demo plant runs ahead of the prices that are published today.",
            field="demo_plant.speed",
            value=config.demo_plant.speed,
            hint="Set it to 1, or prices.demo_mode to true.",
        )
    if not config.demo and not config.has_real_devices:
        raise ConfigError(
            "There is nothing to read: the demo plant is off, and no device is enabled.",
            field="demo_plant.enabled",
            value=False,
            hint="Enable a device, or remove demo_plant.enabled.",
        )
    if config.has_real_devices:
        # Made and thrown away.
        devices = real_devices(config, SystemClock(), JsonWriteCounts(Path(WRITE_COUNTS_NAME)))
        check_contact(config, devices.configured_signals() | mapped_signals(config))


def build_engine(
    config: Config,
    data_dir: Path,
    clock: Clock | None = None,
    plant: DemoPlant | None = None,
    config_dir: Path | None = None,
    *,
    trail: Trail = NO_TRAIL,
    kernel: KernelCompiler | None = None,
    backups_below: str | None = None,
) -> Engine:
    """Assemble an engine; it owns the data folder until it is stopped.

    Args:
        config: Validated configuration.
        data_dir: Folder of the database; created when absent.
        clock: Time; None for the clock the configuration asks for.
        plant: Demo plant to connect to; None makes one where the configuration wants it.
        config_dir: Folder of ``ems.yaml``, which the settings page changes; None for none.
        trail: Takes down what people and other systems ask for.
        kernel: Compiles the kernel, for all engines of the program; None makes one.
        backups_below: Folder in the configured backup folder that is this site's, where several
            share one; None for the folder itself.

    Raises:
        ConfigError: When the configuration asks for what this version cannot run.
        AlreadyRunningError: When another process owns the data folder.
        HistoryError: When the database cannot be opened.
    """
    check_buildable(config)
    # Opening the store first makes this process the owner of the folder and so of the devices.
    store = open_history(config, data_dir / DATABASE_NAME)
    kernel = kernel or KernelCompiler()
    undo: list[Callable[[], None]] = [store.close, kernel.stop]
    try:
        counts = JsonWriteCounts(data_dir / WRITE_COUNTS_NAME)
        engine = _assemble(
            config,
            store,
            clock,
            plant,
            undo,
            data_dir=data_dir,
            write_counts=counts,
            trail=trail,
            kernel=kernel,
            backups_below=backups_below,
        )
    except (EmsError, OSError):
        for action in reversed(undo):
            action()
        raise
    if config_dir is not None:
        engine.settings = SettingsService(
            config_dir,
            config,
            engine.device_service,
            check_buildable,
            tell=engine.record,
            trail=trail,
        )
    return engine


def _assemble(
    config: Config,
    store: History,
    clock: Clock | None,
    plant: DemoPlant | None,
    undo: list[Callable[[], None]],
    *,
    data_dir: Path,
    write_counts: WriteCountStore,
    trail: Trail,
    kernel: KernelCompiler,
    backups_below: str | None,
) -> Engine:
    site = site_from(config)
    last = store.latest_sample(site.site_id)
    clock = clock or make_clock(config, last.ts if last else None)
    zone = ZoneInfo(site.timezone)
    recording = Recording(timezone=site.timezone)
    tariff = TariffBook(config.tariff, zone)
    # The disk lives in real time, whatever the demo clock does.
    writer = HistoryWriter(
        store, SystemClock(), batch_seconds=config.history.batch_seconds, site_clock=clock
    )
    if config.demo:
        soc = last.values.get("soc_percent") if last and last.simulated else None
        plant = plant or make_demo_plant(config, recording, clock, soc)
        connected = demo_devices(plant, clock, config)
    else:
        connected = Connected(real_devices(config, clock, write_counts), ())
    undo.extend(connected.on_stop)

    def newest() -> EngineSnapshot:
        return engine.snapshot()

    def heartbeat_age_s() -> float:
        return engine.heartbeat_age_s()

    def acknowledge(alarm: str | None) -> tuple[str, ...]:
        return engine.acknowledge(alarm, "mqtt")

    def publish_alarms(own: tuple[AlarmView, ...]) -> None:
        snapshot = newest()
        device = (view for view in snapshot.alarms if view.source == "device")
        mqtt.publish_alarms(replace(snapshot, ts=clock.now(), alarms=(*own, *device)))

    market = build_market(
        config,
        data_dir,
        recording,
        clock,
        settlement_minutes=tariff.settlement_minutes(clock.now()),
    )
    alarms = AlarmTracker()
    strategies = StrategyDesk(config.strategies, data_dir, clock, trail=trail)
    operator = OperatorDesk(site.battery, config.limits, data_dir, clock, strategies, trail=trail)
    mqtt = MqttService(
        config,
        data_dir,
        newest,
        alarms,
        acknowledge,
        carry_out=operator.command,
        commands=MQTT_COMMANDS,
        trail=trail,
    )
    samples, configured, max_age_s = mqtt.merged(
        connected.devices.samples,
        connected.devices.configured_signals(),
        STALE_AFTER_POLLS * connected.devices.slowest_poll_s,
        clock,
    )
    check_contact(config, configured)

    ring = MinuteRing()
    price_at = PriceLookup(market.prices, tariff, clock)

    def quote_at(ts: datetime) -> TariffQuote | None:
        price = price_at(ts)
        if price is None:
            return None
        return TariffQuote(price.buy_eur_per_kwh, price.sell_eur_per_kwh, price.source)

    planning = build_planning(
        config,
        site,
        clock,
        store=store,
        writer=writer,
        market=market,
        tariff=tariff,
        recording=recording,
        minute_means=ring.between,
        has_pv="pv_kw" in configured,
        desk=strategies,
        kernel=kernel,
    )
    largest_kw = max(site.grid.import_limit_kw, site.grid.export_limit_kw) + (
        site.battery.power_charge_max_kw + (site.pv_peak_kw or 0.0)
    )
    cycle = ControlCycle(
        site=site,
        samples=samples,
        configured=configured,
        command_power=connected.devices.command_power,
        rows=writer,
        ring=ring,
        ledger=Ledger(site.site_id, quote_at, largest_kw),
        clock=clock,
        price_at=price_at,
        max_age_s=max_age_s,
        dispatch=connected.devices.commandable,
        simulated=config.demo,
        booked=planning.peaks.add,
        limits=LimitTracker(site, config.limits, operator.external),
        controller=Controller(site, config.control, config.ems.timestep_s),
        manual=operator.manual,
        read_contact=operator.read_contact,
    )
    events = EventLog(writer.add_event)
    alarm_desk = AlarmDesk(
        site.site_id,
        clock,
        AlarmBook(clock),
        build_notifier(
            config.notifications,
            site,
            SystemClock(),
            Random(),
            publish=mqtt.publish_message,
            default_topic=f"{config.mqtt.base_topic}/{site.site_id}/notification",
            kept=KeptMessages(data_dir / KEPT_NAME),
        ),
        add_event=events.add,
        heartbeat_age_s=heartbeat_age_s,
        publish=publish_alarms,
        trail=trail,
    )
    now = clock.now()
    restore_past(
        store,
        site,
        now,
        events=events,
        alarms=alarm_desk,
        ring=ring,
        cycle=cycle,
        # What a demo plant counted has nothing to do with what a real one counts.
        last=last if last is not None and last.simulated == config.demo else None,
    )
    record_setup(config, connected.devices.assets.members, store=store, writer=writer, now=now)
    analytics = build_analytics(
        config,
        site,
        clock,
        store=store,
        writer=writer,
        tariff=tariff,
        prices=market.prices,
        max_power_kw=largest_kw,
        booked=planning.peaks.add,
        configured=configured,
        kernel=kernel,
    )
    engine = Engine(
        EngineParts(
            site=site,
            clock=clock,
            devices=connected.devices,
            cycle=cycle,
            device_service=DeviceService(
                config, site, connected.devices, clock, measured=ring.between, trail=trail
            ),
            mqtt=mqtt,
            planner=planning.planner,
            forecasts=planning.forecasts,
            backups=BackupService(
                store.backup, data_dir, _backup_folder(config, backups_below), trail=trail
            ),
            accuracy=AccuracyService(store, site.site_id, clock, zone),
            analytics=analytics,
            archive=ForecastArchive(store, site.site_id, market),
            planned=PlannedPast(store, site.site_id, site.timezone),
            desk=planning.desk,
            operator=operator,
            alarm_desk=alarm_desk,
            market=market,
            history=writer,
            history_desk=HistoryDesk(store, site.site_id, site.timezone, clock.now),
            backtests=BacktestDesk(
                data_dir / BACKTEST_FOLDER,
                BacktestSources(
                    lambda: config if engine.settings is None else engine.settings.running,
                    site,
                    store,
                    lambda: recording,
                    clock.now,
                ),
                trail=trail,
            ),
            imports=ImportDesk(
                store,
                config,
                data_dir.resolve() / IMPORT_FOLDER,
                clock.now,
                lambda *event: events.add(EventRow(clock.now(), site.site_id, *event)),
                trail=trail,
            ),
            events=events,
            ring=ring,
            recent=RecentRing(),
            alarms=alarms,
            tariff=tariff,
            timestep_s=config.ems.timestep_s,
            notices=standing_notices(
                config, planning.desk.problem, operator.problem, alarm_desk.notifier.problem
            ),
            time_factor=config.demo_plant.speed if config.demo else 1.0,
            trail=trail,
            on_stop=(kernel.stop, *connected.on_stop),
        )
    )
    return engine


def _backup_folder(config: Config, below: str | None) -> str | None:
    folder = config.history.backup_folder
    return folder if folder is None or below is None else str(Path(folder) / below)
