"""One control cycle: samples -> process image -> limits -> setpoint -> command -> rows."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from engine.analytics.ledger import Ledger
from engine.control.limits import LimitTracker
from engine.control.setpoint_law import VALUE_DISPATCH, Prices, decide
from engine.domain.clock import Clock
from engine.domain.control import EngineState, PowerLimits, Setpoint
from engine.domain.plan import Plan
from engine.domain.quarter_hour import quarter_start
from engine.domain.records import EventRow, LedgerRow, SampleRow
from engine.domain.sample import ProcessImage, Sample
from engine.domain.signals import SIGNALS
from engine.domain.site import Site
from engine.domain.snapshot import PriceNow
from engine.market.recorded_prices import SOURCE as RECORDED
from engine.telemetry.image import build_image
from engine.telemetry.minute_ring import MinuteRing

BATTERY_BLOCKED = "battery_blocked"

REASON_STATES: dict[str, EngineState] = {
    "bms_missing": EngineState.SAFE,
    "meter_missing": EngineState.SAFE,
    "no_plan": EngineState.DEGRADED,
    "no_price": EngineState.DEGRADED,
    "recorded_prices": EngineState.DEGRADED,
    BATTERY_BLOCKED: EngineState.SAFE,
}
"""Engine state by the reason the battery stands still; any other reason is normal operation."""


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
    """

    image: ProcessImage
    limits: PowerLimits
    setpoint: Setpoint
    price: PriceNow | None
    state: EngineState
    reason: str | None


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
        self._limits = LimitTracker(site)
        self._cost_by_quarter: dict[datetime, float] = {}
        self._last_ts: datetime | None = None
        self._running_saved: datetime | None = None

    def preload_costs(self, rows: list[LedgerRow]) -> None:
        """Take over quarter-hours booked before a restart; the newest may still be open."""
        current = quarter_start(self._clock.now())
        for row in rows:
            if row.ts == current:
                self._ledger.resume(row)
            else:
                self._cost_by_quarter[row.ts] = row.cost_eur

    def run(self, plan: Plan | None) -> CycleResult:
        """Run one cycle with the published plan."""
        now = self._clock.now()
        image = build_image(
            self._site.site_id,
            now,
            self._samples(),
            max_age_s=self._max_age_s,
            configured=self._configured,
            simulated=self._simulated,
        )
        limits = self._limits.update(image, self._clock.monotonic())
        price = self._price_at(now)
        prices = Prices(price.buy_eur_per_kwh, price.sell_eur_per_kwh) if price else None
        setpoint = decide(image, limits, plan, prices, self._site.battery)
        if price is not None and price.source == RECORDED and not self._simulated:
            setpoint = _not_on_recorded_prices(setpoint)
        if self._dispatch:
            self._command_power(setpoint.power_kw)
        self._record(image, limits, setpoint)
        reason = setpoint.reason
        if reason == VALUE_DISPATCH and _blocked_by_battery(limits):
            reason = BATTERY_BLOCKED
        state = REASON_STATES.get(reason, EngineState.AUTOMATIC)
        if not self._dispatch and state is not EngineState.SAFE:
            state = EngineState.MONITORING
        told = reason if reason in REASON_STATES else None
        return CycleResult(image, limits, setpoint, price, state, told)

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

    def _record(self, image: ProcessImage, limits: PowerLimits, setpoint: Setpoint) -> None:
        # A clock that jumps back must not write a second truth for the same time.
        if self._last_ts is not None and image.ts <= self._last_ts:
            return
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


def _blocked_by_battery(limits: PowerLimits) -> bool:
    """True when the battery's own status or alarms allow neither direction."""
    own = {"status", "alarm"}
    return {limits.charge_binding, limits.discharge_binding} <= own


def _not_on_recorded_prices(setpoint: Setpoint) -> Setpoint:
    """Keep a real battery still: yesteryear's prices are for looking at, not for trading on."""
    if setpoint.reason != VALUE_DISPATCH:
        return setpoint
    return Setpoint(setpoint.ts, 0.0, setpoint.wanted_kw, "recorded_prices")
