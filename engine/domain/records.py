"""Rows that the engine hands to the history store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One control cycle of one site as it is stored (one wide row).

    Attributes:
        ts: Start of the control cycle, UTC.
        site_id: The site.
        values: Signal name to usable value; missing or unusable signals are None or absent.
        unusable: Number of configured signals that were not usable in this cycle.
        setpoint_kw: Power asked of the battery, + discharge; None when nothing was asked.
        charge_limit_kw: Charge power allowed, >= 0.
        discharge_limit_kw: Discharge power allowed, >= 0.
        binding: Name of the limit that changed the setpoint, or None.
        decided_by: Name of the layer that decided the setpoint, or None; see docs/control.
        state: Operating state of the engine in this cycle, or None when it was not known.
        simulated: True when simulated devices supplied the values.
    """

    ts: datetime
    site_id: str
    values: Mapping[str, float | None] = field(default_factory=dict)
    unusable: int = 0
    setpoint_kw: float | None = None
    charge_limit_kw: float | None = None
    discharge_limit_kw: float | None = None
    binding: str | None = None
    decided_by: str | None = None
    state: str | None = None
    simulated: bool = False


@dataclass(frozen=True, slots=True)
class PriceRow:
    """Day-ahead price of one interval, with its origin.

    Attributes:
        ts: Start of the interval, UTC.
        site_id: The site it was used for.
        minutes: Length of the interval.
        spot_eur_per_kwh: Day-ahead price.
        buy_eur_per_kwh: Purchase price under the tariff valid then.
        sell_eur_per_kwh: Feed-in price under the tariff valid then.
        source: Origin, for example ``"recorded"``.
        fetched_at: When it was obtained, UTC.
    """

    ts: datetime
    site_id: str
    minutes: int
    spot_eur_per_kwh: float
    buy_eur_per_kwh: float
    sell_eur_per_kwh: float
    source: str
    fetched_at: datetime


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """Money booked for one quarter-hour (or the measured part of it).

    Attributes:
        ts: Start of the quarter-hour, UTC.
        site_id: The site.
        seconds: Measured part of the quarter-hour; 900 when nothing is missing.
        import_kwh: Energy bought.
        export_kwh: Energy sold.
        battery_charged_kwh: AC energy charged, None when not measured.
        battery_discharged_kwh: AC energy discharged, None when not measured.
        pv_kwh: PV energy, None when not measured.
        buy_eur_per_kwh: Price of the bought energy.
        sell_eur_per_kwh: Price of the sold energy.
        cost_eur: import x buy - export x sell; negative is income.
        price_source: Origin of the price.
        method: ``"counters"`` (meter registers) or ``"integrated"`` (from power).
    """

    ts: datetime
    site_id: str
    seconds: float
    import_kwh: float
    export_kwh: float
    battery_charged_kwh: float | None
    battery_discharged_kwh: float | None
    pv_kwh: float | None
    buy_eur_per_kwh: float
    sell_eur_per_kwh: float
    cost_eur: float
    price_source: str
    method: str


@dataclass(frozen=True, slots=True)
class EventRow:
    """Something worth remembering.

    Attributes:
        ts: When, UTC.
        site_id: The site.
        severity: ``"info"``, ``"warning"`` or ``"alarm"``.
        code: Machine-readable kind, for example ``"state_changed"``.
        message: One sentence.
    """

    ts: datetime
    site_id: str
    severity: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class RunRow:
    """One run of the optimiser, also one that led to no plan.

    Attributes:
        ts: When it began, UTC.
        site_id: The site.
        trigger: Why it was made, for example ``"schedule"``.
        status: ``"published"``, ``"rejected"`` (by the independent check) or ``"failed"``.
        duration_ms: Duration of the whole run, forecasts included.
        strategy: Strategy chosen, None when it did not come to a choice.
        plan_id: The published plan, None without one.
        expected_profit_eur: Profit of the first 24 h against no battery, None without a plan.
        solver: Solver of the chosen plan, None without one.
        gap: Proven relative gap of the chosen plan, None without one.
        solve_ms: Time inside the solver, None without a plan.
        message: Why there is no plan; empty when there is one.
    """

    ts: datetime
    site_id: str
    trigger: str
    status: str
    duration_ms: float
    strategy: str | None = None
    plan_id: str | None = None
    expected_profit_eur: float | None = None
    solver: str | None = None
    gap: float | None = None
    solve_ms: float | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class TariffRow:
    """A tariff that was in force, written whenever it changes.

    Attributes:
        recorded_at: When this program first worked with it, UTC.
        site_id: The site.
        valid_from: Instant from which it applies, UTC; None for "from ever".
        document: The terms as canonical JSON: keys sorted, as in section ``tariff`` of ems.yaml.
    """

    recorded_at: datetime
    site_id: str
    valid_from: datetime | None
    document: str


@dataclass(frozen=True, slots=True)
class DeviceRow:
    """A device of the site as it was found, written whenever something about it changes.

    Attributes:
        ts: When it was found so, UTC.
        site_id: The site.
        device: Its name in the configuration.
        document: Profile, roles, endpoint, identity and the like as canonical JSON; no secrets.
    """

    ts: datetime
    site_id: str
    device: str
    document: str


@dataclass(frozen=True, slots=True)
class SavingsRow:
    """What one simulated baseline would have done and cost in one quarter-hour.

    Attributes:
        ts: Start of the quarter-hour, UTC.
        site_id: The site.
        baseline: Key of the baseline, for example ``"no_battery"``.
        import_kwh: Energy it would have bought.
        export_kwh: Energy it would have sold.
        charged_kwh: AC energy its battery would have taken, >= 0.
        discharged_kwh: AC energy its battery would have given, >= 0.
        soc_kwh: Energy in its battery at the end of the quarter-hour.
        cost_eur: import x buy - export x sell at the prices of the booked quarter-hour.
    """

    ts: datetime
    site_id: str
    baseline: str
    import_kwh: float
    export_kwh: float
    charged_kwh: float
    discharged_kwh: float
    soc_kwh: float
    cost_eur: float


@dataclass(frozen=True, slots=True)
class MetricRow:
    """One key figure of one local day.

    Attributes:
        day: Local day of the site.
        site_id: The site.
        metric: Key of the figure; carries the unit, for example ``"energy_cost_eur"``.
        value: Its value, None when it cannot be known for that day.
    """

    day: date
    site_id: str
    metric: str
    value: float | None
