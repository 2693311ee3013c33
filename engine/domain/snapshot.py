"""What the web application sees of the running engine: one immutable object per cycle."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from engine.domain.alarms import AlarmView
from engine.domain.control import (
    CommandReport,
    EngineState,
    LinkStatus,
    ManualOrder,
    PowerLimits,
    Setpoint,
    StepHealth,
)
from engine.domain.plan import Plan
from engine.domain.sample import ProcessImage
from engine.domain.site import Site
from engine.domain.strategy import StrategyState


@dataclass(frozen=True, slots=True)
class PriceNow:
    """The price of the running quarter-hour.

    Attributes:
        spot_eur_per_kwh: Day-ahead price; None where it is not known and the tariff needs none.
        buy_eur_per_kwh: What a kWh from the grid costs.
        sell_eur_per_kwh: What a kWh to the grid earns.
        source: Where the day-ahead price comes from, for example ``"recorded"``.
        fetched_at: When it was obtained, UTC; None for a recording.
        is_forecast: True when it is not a published price.
    """

    spot_eur_per_kwh: float | None
    buy_eur_per_kwh: float
    sell_eur_per_kwh: float
    source: str
    fetched_at: datetime | None = None
    is_forecast: bool = False


@dataclass(frozen=True, slots=True)
class Notice:
    """A standing remark for the operator, for example that prices are recorded.

    Attributes:
        code: Key of the text in the translation catalogues (``notice.<code>``).
        severity: ``"info"``, ``"warning"`` or ``"alarm"``.
        detail: Extra text shown as it is, for example an error message.
    """

    code: str
    severity: str = "info"
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class EngineSnapshot:
    """State of one site after one control cycle.

    Attributes:
        seq: Grows by one per control cycle.
        ts: Time of the cycle, UTC.
        site: The site.
        state: State of the engine.
        state_reason: Why, in words, when it is not automatic.
        image: The process image of the cycle, as control acts on it.
        shown: The same, calmed for displays: values hold until they change enough.
        limits: Power range of the cycle; None before the first cycle.
        setpoint: Decision of the cycle; None before the first cycle.
        plan: The published plan, or None.
        price: Price of the running quarter-hour, or None when unknown.
        energy_cost_today_eur: Booked grid energy cost since local midnight; None when unknown.
        links: Device connections.
        health: Supervision records.
        notices: Standing remarks.
        alarms: Alarms that are active or not acknowledged, newest first.
        command: How far the newest power command got; None when nothing may be commanded.
        time_factor: 1 for real time; more when the demo plant's clock is accelerated.
        timestep_s: Control step in the engine's time.
        strategy: How the strategy is chosen, and the newest choice; None before the first plan.
        manual: Order by hand in force, or None.
    """

    seq: int
    ts: datetime
    site: Site
    state: EngineState
    state_reason: str | None
    image: ProcessImage
    limits: PowerLimits | None = None
    setpoint: Setpoint | None = None
    plan: Plan | None = None
    price: PriceNow | None = None
    energy_cost_today_eur: float | None = None
    links: tuple[LinkStatus, ...] = ()
    health: tuple[StepHealth, ...] = ()
    notices: tuple[Notice, ...] = field(default_factory=tuple)
    time_factor: float = 1.0
    timestep_s: float = 2.0
    alarms: tuple[AlarmView, ...] = ()
    command: CommandReport | None = None
    shown: ProcessImage | None = None
    strategy: StrategyState | None = None
    manual: ManualOrder | None = None

    @property
    def display(self) -> ProcessImage:
        """The image to show people."""
        return self.shown if self.shown is not None else self.image
