"""Rows that the engine hands to the history store."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime


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
