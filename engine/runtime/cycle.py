"""One control cycle: samples -> process image -> limits -> setpoint -> command -> rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from engine.analytics.ledger import Ledger
from engine.config.control import ControlConfig
from engine.control.controller import Controller
from engine.control.layers import DECIDING_REASONS, GRID_LIMIT, MANUAL
from engine.control.limits import LimitTracker
from engine.control.manual import ManualControl
from engine.control.meter_watch import MeterWatch
from engine.control.setpoint_law import Prices
from engine.domain.clock import Clock
from engine.domain.control import EngineState, ManualOrder, PowerLimits, Setpoint
from engine.domain.plan import Plan
from engine.domain.quarter_hour import quarter_start
from engine.domain.records import EventRow, LedgerRow, SampleRow
from engine.domain.sample import ProcessImage, Sample
from engine.domain.signals import ALARMS, EXTERNAL_CONTACT, FAULT_ALARMS, SIGNALS
from engine.domain.site import Site
from engine.domain.snapshot import Notice, PriceNow
from engine.market.recorded_prices import SOURCE as RECORDED
from engine.telemetry.image import build_image
from engine.telemetry.minute_ring import MinuteRing

BATTERY_BLOCKED = "battery_blocked"
BATTERY_FAULT = "battery_fault"
CONTACT_MISSING = "contact_missing"

LONGEST_DOWNTIME = timedelta(days=7)
"""What the meter counted while the program was down is booked after at most so long."""

STATUS_FAULT = 8
"""Status code of a battery that has failed."""

REASON_STATES: dict[str, EngineState] = {
    MANUAL: EngineState.MANUAL,
    "bms_missing": EngineState.SAFE,
    "meter_missing": EngineState.SAFE,
    "no_plan": EngineState.DEGRADED,
    "no_price": EngineState.DEGRADED,
    "recorded_prices": EngineState.DEGRADED,
    CONTACT_MISSING: EngineState.DEGRADED,
    BATTERY_BLOCKED: EngineState.SAFE,
    BATTERY_FAULT: EngineState.FAULT,
}
"""Engine state by reason of the setpoint; any other reason is automatic operation."""

REPEATED_AT_MOST = timedelta(hours=24)
"""Time that a clock set back repeats is not stored twice; one set back by more was wrong."""

PLAN_LIMITS = ("status", "alarm", "temperature", "nameplate", "bms_power", "bms_current")
"""Limits of the battery itself, which a plan must know: the others follow from the moment."""


class Rows(Protocol):
    """Where rows for the history go; never blocks."""

    def add_sample(self, row: SampleRow) -> None: ...

    def add_ledger(self, row: LedgerRow) -> None: ...

    def add_event(self, row: EventRow) -> None: ...


@dataclass(frozen=True, slots=True)
class CycleResult:
    """What one cycle decided.

    Attributes:
        image: Process image.
        limits: Power range.
        setpoint: Decision.
        price: Price of the running quarter-hour, None when unknown.
        state: Engine state that follows.
        reason: Code of the reason when the state is not automatic.
        battery_charge_kw: What the battery itself and limits from outside let it charge.
        battery_discharge_kw: What they let it discharge.
        manual: The order by hand in force, or None.
    """

    image: ProcessImage
    limits: PowerLimits
    setpoint: Setpoint
    price: PriceNow | None
    state: EngineState
    reason: str | None
    battery_charge_kw: float
    battery_discharge_kw: float
    manual: ManualOrder | None = None


class ControlCycle:
    """The control cycle of one site. Called by one thread only.

    Args:
        site: The site.
        samples: Returns the newest sample per canonical signal.
        configured: Signals some device is meant to supply.
        command_power: Takes a battery power, + discharge; returns at once.
        rows: History sink.
        ring: Minute means for live pages.
        ledger: Money.
        clock: Time.
        price_at: Price at an instant, None when unknown.
        max_age_s: Age beyond which a sample is stale.
        dispatch: False when nothing may be commanded (monitor mode or no writable device).
        simulated: True when the devices are simulated.
        booked: Told of every quarter-hour that is booked.
        limits: Limits of each cycle; those of the site alone when None.
        controller: The law; with its defaults when None.
        manual: Orders by hand; none when None.
        read_contact: Takes the contact of an external limit out of every image.
    """

    def __init__(
        self,
        *,
        site: Site,
        samples: Callable[[], Mapping[str, Sample]],
        configured: frozenset[str],
        command_power: Callable[[float], None],
        rows: Rows,
        ring: MinuteRing,
        ledger: Ledger,
        clock: Clock,
        price_at: Callable[[datetime], PriceNow | None],
        max_age_s: float,
        dispatch: bool,
        simulated: bool,
        booked: Callable[[LedgerRow], None] = lambda _row: None,
        limits: LimitTracker | None = None,
        controller: Controller | None = None,
        manual: ManualControl | None = None,
        read_contact: Callable[[ProcessImage], None] = lambda _image: None,
    ) -> None:
        self._booked = booked
        self._site = site
        self._samples = samples
        self._configured = configured
        self._command_power = command_power
        self._rows = rows
        self._ring = ring
        self._ledger = ledger
        self._clock = clock
        self._price_at = price_at
        self._max_age_s = max_age_s
        self._dispatch = dispatch
        self._simulated = simulated
        self._limits = limits or LimitTracker(site)
        self._controller = controller or Controller(site)
        self._adopted: ControlConfig | None = None
        self._in_force: ControlConfig | None = None
        self._manual = manual or ManualControl(site.battery)
        self._read_contact = read_contact
        self._meter = MeterWatch(
            max(site.battery.power_charge_max_kw, site.battery.power_discharge_max_kw)
        )
        self._cost_by_quarter: dict[datetime, float] = {}
        self._last_ts: datetime | None = None
        self._running_saved: datetime | None = None
        self._repeats_until: datetime | None = None

    def preload_costs(self, rows: list[LedgerRow], last: SampleRow | None = None) -> None:
        """Take over quarter-hours booked before a restart; the newest may still be open.

        Args:
            rows: Booked quarter-hours from the one of `last` on, ascending.
            last: Newest sample before the restart; None when there is none to go on from.
        """
        now = self._clock.now()
        follows = last is not None and timedelta(0) < now - last.ts <= LONGEST_DOWNTIME
        opened = quarter_start(last.ts if last is not None and follows else now)
        for row in rows:
            if row.ts == opened:
                self._ledger.resume(row)
                if last is not None and follows:
                    self._ledger.follow(_stored_image(last))
            else:
                self._cost_by_quarter[row.ts] = row.cost_eur

    def adopt(self, config: ControlConfig) -> None:
        """Decide by other settings from the next cycle on; from any thread, returns at once."""
        self._adopted = config

    def run(self, plan: Plan | None) -> CycleResult:
        """Run one cycle with the published plan; `record` then stores what it decided."""
        adopted = self._adopted
        if adopted is not None and adopted is not self._in_force:
            self._controller.adopt(adopted)
            self._in_force = adopted
        now = self._clock.now()
        image = build_image(
            self._site.site_id,
            now,
            self._samples(),
            max_age_s=self._max_age_s,
            configured=self._configured,
            simulated=self._simulated,
        )
        monotonic_s = self._clock.monotonic()
        image = self._meter.checked(image, monotonic_s)
        self._read_contact(image)
        limits = self._limits.update(image, monotonic_s)
        price = self._price_at(now)
        prices = Prices(price.buy_eur_per_kwh, price.sell_eur_per_kwh) if price else None
        order = self._manual.active(
            monotonic_s=monotonic_s, soc_percent=image.value("soc_percent"), now=now
        )
        setpoint = self._controller.decide(
            image,
            limits,
            plan,
            prices,
            now=now,
            monotonic_s=monotonic_s,
            manual_kw=order.power_kw if order is not None else None,
        )
        if price is not None and price.source == RECORDED and not self._simulated:
            setpoint = _not_on_recorded_prices(setpoint, limits)
        if self._dispatch:
            self._command_power(setpoint.power_kw)
        state, told = self._state(image, limits, setpoint, order)
        charge_kw, discharge_kw = self._battery_limits()
        return CycleResult(
            image, limits, setpoint, price, state, told, charge_kw, discharge_kw, order
        )

    def _state(
        self,
        image: ProcessImage,
        limits: PowerLimits,
        setpoint: Setpoint,
        order: ManualOrder | None,
    ) -> tuple[EngineState, str | None]:
        reason = setpoint.missing or setpoint.reason
        lesser = REASON_STATES.get(reason) is EngineState.DEGRADED
        # What the battery says of itself weighs more than a plan or a price that is missing.
        if (reason in DECIDING_REASONS or lesser) and _blocked_by_battery(limits):
            failed = image.value("status_code") == STATUS_FAULT or _has_fault(image)
            reason = BATTERY_FAULT if failed else BATTERY_BLOCKED
        elif reason in DECIDING_REASONS and order is not None:
            # An order stays in force where a grid limit has the last word.
            reason = MANUAL
        contact = image.sample(EXTERNAL_CONTACT)
        if reason not in REASON_STATES and contact is not None and not contact.usable:
            reason = CONTACT_MISSING
        state = REASON_STATES.get(reason, EngineState.AUTOMATIC)
        if not self._dispatch and state not in (EngineState.SAFE, EngineState.FAULT):
            state = EngineState.MONITORING
        return state, reason if reason in REASON_STATES else None

    def _battery_limits(self) -> tuple[float, float]:
        """Return what the battery and outside sources allow, before grid and SoC window."""
        own = [
            value
            for name, value in self._limits.all_limits().items()
            if name in PLAN_LIMITS or name == MANUAL or name.startswith("external_")
        ]
        return (
            min((value.charge_kw for value in own), default=0.0),
            min((value.discharge_kw for value in own), default=0.0),
        )

    def flush(self) -> None:
        """Hand the open quarter-hour to the history (before a stop)."""
        running = self._ledger.running()
        if running is not None:
            self._rows.add_ledger(running)

    def cost_since(self, start: datetime) -> float | None:
        """Return the booked grid energy cost since `start`, or None when nothing is booked."""
        costs = [c for ts, c in self._cost_by_quarter.items() if ts >= start]
        running = self._ledger.running()
        if running is not None and running.ts >= start:
            costs.append(running.cost_eur)
        return sum(costs) if costs else None

    def notices(self) -> tuple[Notice, ...]:
        """Say that the clock was set back and what is measured is not stored a second time."""
        until = self._repeats_until
        if until is None:
            return ()
        return (Notice("time_repeats", "warning", f"{until:%Y-%m-%d %H:%M} UTC"),)

    def _end_of_repetition(self, ts: datetime) -> datetime | None:
        last = self._last_ts
        if last is None or not last - REPEATED_AT_MOST <= ts <= last:
            return None
        return last

    def record(self, result: CycleResult, state: EngineState) -> None:
        """Hand a cycle to the history, the minute means and the ledger.

        Args:
            result: What `run` returned.
            state: State of the engine as it is shown, which while it starts is another one.
        """
        image, limits, setpoint = result.image, result.limits, result.setpoint
        # A clock that jumps back must not write a second truth for the same time.
        self._repeats_until = self._end_of_repetition(image.ts)
        if self._repeats_until is not None:
            return
        if self._last_ts is not None and image.ts < self._last_ts:
            # Money of a future that was none is no money of today.
            self._cost_by_quarter = {
                ts: cost for ts, cost in self._cost_by_quarter.items() if ts <= image.ts
            }
        self._last_ts = image.ts
        values = {name: image.value(name) for name in SIGNALS}
        self._rows.add_sample(
            SampleRow(
                ts=image.ts,
                site_id=image.site_id,
                values=values,
                unusable=sum(1 for s in image.samples.values() if not s.usable),
                setpoint_kw=setpoint.power_kw if self._dispatch else None,
                charge_limit_kw=limits.charge_kw,
                discharge_limit_kw=limits.discharge_kw,
                binding=setpoint.binding,
                decided_by=setpoint.reason if self._dispatch else None,
                state=state.value,
                simulated=image.simulated,
            )
        )
        self._ring.add(image)
        for row in self._ledger.add(image):
            self._rows.add_ledger(row)
            self._booked(row)
            self._cost_by_quarter[row.ts] = row.cost_eur
        running = self._ledger.running()
        minute = image.ts.replace(second=0, microsecond=0)
        if running is not None and minute != self._running_saved:
            self._rows.add_ledger(running)
            self._running_saved = minute
        if len(self._cost_by_quarter) > 400:
            for ts in sorted(self._cost_by_quarter)[:-200]:
                del self._cost_by_quarter[ts]


def _stored_image(row: SampleRow) -> ProcessImage:
    known = {name: value for name, value in row.values.items() if value is not None}
    samples = {name: Sample(value, row.ts, "history") for name, value in known.items()}
    return ProcessImage(row.site_id, row.ts, samples, row.simulated)


def _blocked_by_battery(limits: PowerLimits) -> bool:
    """True when the battery's own status or alarms allow neither direction."""
    own = {"status", "alarm"}
    return {limits.charge_binding, limits.discharge_binding} <= own


def _has_fault(image: ProcessImage) -> bool:
    bits = image.value("alarm_bits")
    if bits is None:
        return False
    return any(int(bits) >> i & 1 for i, name in enumerate(ALARMS) if name in FAULT_ALARMS)


def _not_on_recorded_prices(setpoint: Setpoint, limits: PowerLimits) -> Setpoint:
    """Keep a real battery still: yesteryear's prices are for looking at, not for trading on."""
    if setpoint.reason not in DECIDING_REASONS - {GRID_LIMIT, MANUAL}:
        return setpoint
    idle_kw = min(max(0.0, limits.low_kw), limits.high_kw)
    return Setpoint(setpoint.ts, idle_kw, setpoint.wanted_kw, "recorded_prices")
