"""How good the data of a local day are, signal by signal, with a verdict people can read.

* **gaps**: minutes of the day without any sample; on the first day of a site those after its first.
* **unusable**: share of samples in which a signal had no usable value (stale, out of its device's
  range, not answered).
* **frozen**: longest stretch of minutes in which a signal that always moves did not move at all.
  Zeros are no freeze (night, standstill); the state of charge is held against the energy that
  moved meanwhile.
* **out of range**: minutes with a value no plant of this site can have.
* **balance**: ``load - pv - battery - grid`` where all four are known. A load that is derived from
  the others closes by itself, so this says something only where the load is metered.
* **counters**: growth of a register against the integral of its power, over minutes in which
  both are known.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from engine.analytics.books import Books
from engine.domain.local_days import day_period
from engine.domain.plan import FloatArray
from engine.domain.signals import SIGNALS, Kind
from engine.domain.site import Site
from engine.history.columns import Aggregate, ColumnKey, Columns, Resolution
from engine.history.dictionary import table_info
from engine.history.views import SAMPLES

Verdict = Literal["good", "fair", "poor", "none"]

MINUTE = timedelta(minutes=1)

FROZEN_AFTER_MINUTES: dict[str, int] = {
    "grid_kw": 30,
    "load_kw": 30,
    "pv_kw": 60,
}
"""Signals that always move, and how long they may stand still at a value other than 0.

A battery that holds its setpoint for hours does not move and is well; that its values live is
seen from its state of charge.
"""

FROZEN_SOC_SHARE = 0.05
"""The state of charge is frozen when so much of the capacity moved and it did not."""

COUNTERS: tuple[tuple[str, str, Aggregate], ...] = (
    ("grid_import_kwh", "grid_kw", Aggregate.POSITIVE_KWH),
    ("grid_export_kwh", "grid_kw", Aggregate.NEGATIVE_KWH),
    ("battery_discharged_kwh", "battery_kw", Aggregate.POSITIVE_KWH),
    ("battery_charged_kwh", "battery_kw", Aggregate.NEGATIVE_KWH),
    ("pv_energy_kwh", "pv_kw", Aggregate.POSITIVE_KWH),
)
"""Registers and the integral they are held against."""

COUNTER_SLACK_KWH, COUNTER_SLACK = 0.5, 0.03
BALANCE_SLACK_KW, BALANCE_SLACK = 1.0, 0.05
UNUSABLE_FAIR, UNUSABLE_POOR = 0.01, 0.10
GAPS_FAIR, GAPS_POOR = 5, 60


@dataclass(frozen=True, slots=True)
class Gap:
    """A stretch without samples.

    Attributes:
        start: Its first minute, UTC.
        minutes: Its length.
    """

    start: datetime
    minutes: int


@dataclass(frozen=True, slots=True)
class SignalQuality:
    """One signal on one day; None where it cannot be said.

    Attributes:
        signal: Canonical name.
        unusable_share: Share of samples without a usable value, 0..1.
        frozen_minutes: Longest freeze; None for signals that may stand still.
        out_of_range_minutes: Minutes with an impossible value; None where nothing is impossible.
        counter_kwh: Growth of the register; registers only.
        integrated_kwh: Integral of the power beside it.
        verdict: ``"good"``, ``"fair"`` or ``"poor"``.
    """

    signal: str
    unusable_share: float | None
    frozen_minutes: int | None
    out_of_range_minutes: int | None
    counter_kwh: float | None
    integrated_kwh: float | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Finding:
    """Something worth saying.

    Attributes:
        code: Kind, for translations: ``"gaps"``, ``"unusable"``, ``"frozen"``, ``"range"``,
            ``"counter"``, ``"balance"``, ``"missing"`` or ``"no_data"``.
        severity: ``"fair"`` or ``"poor"``.
        signal: The signal; None for the whole day.
        value: Its number: minutes, a share, or kW.
        message: One English sentence.
    """

    code: str
    severity: Verdict
    signal: str | None
    value: float
    message: str


@dataclass(frozen=True, slots=True)
class QualityReport:
    """Data quality of one local day.

    Attributes:
        day: The local day.
        minutes: Minutes of it that have passed.
        covered_minutes: Those with samples.
        gaps: Stretches without samples, ascending.
        balance_residual_kw: Mean of the absolute residual; None without all four powers.
        balance_minutes: Minutes in which it is larger than it may be; None likewise.
        signals: One entry per signal that is configured or was seen, in canonical order.
        findings: What is wrong, the worst first.
        verdict: Of the whole day; ``"none"`` when nothing was measured.
        summary: The verdict in one English sentence.
    """

    day: date
    minutes: int
    covered_minutes: int
    gaps: tuple[Gap, ...]
    balance_residual_kw: float | None
    balance_minutes: int | None
    signals: tuple[SignalQuality, ...]
    findings: tuple[Finding, ...]
    verdict: Verdict
    summary: str


def quality_of(
    books: Books, day: date, now: datetime, configured: frozenset[str] = frozenset()
) -> QualityReport:
    """Return the report of a local day, as far as it has passed at `now`.

    The first day of a site begins with its first sample.

    Args:
        books: Site and history.
        day: The local day.
        now: Nothing later has been measured.
        configured: Signals some device is meant to supply; missing ones are then told.

    Raises:
        HistoryError: The history could not be read.
    """
    since, end = day_period(day, books.zone)
    until = max(since, min(end, now.replace(second=0, microsecond=0)))
    measured = books.store.extent(table_info(SAMPLES), books.site.site_id)
    if measured is not None and since < measured[0] < until:
        # Before a site began to measure nothing was missed.
        since = measured[0].replace(second=0, microsecond=0)
    columns = books.store.columns(books.site.site_id, _keys(), since, until, Resolution.MINUTE)
    return report(columns, day, since=since, until=until, site=books.site, configured=configured)


def report(
    columns: Columns,
    day: date,
    *,
    since: datetime,
    until: datetime,
    site: Site,
    configured: frozenset[str] = frozenset(),
) -> QualityReport:
    """Return the report of the minutes of a period; see `quality_of`."""
    minutes = int((until - since) // MINUTE)
    gaps = _gaps(columns, since, minutes)
    if not len(columns):
        finding = Finding("no_data", "poor", None, minutes, "Nothing was measured on this day.")
        return QualityReport(
            day, minutes, 0, gaps, None, None, (), (finding,), "none", finding.message
        )
    findings: list[Finding] = []
    missing = sum(gap.minutes for gap in gaps)
    if missing >= GAPS_FAIR:
        findings.append(
            Finding(
                "gaps",
                "poor" if missing >= GAPS_POOR else "fair",
                None,
                missing,
                f"{missing} of {minutes} minutes have no sample, in {len(gaps)} gaps.",
            )
        )
    signals = []
    for name in SIGNALS:
        found = _signal(columns, name, site, findings, expected=name in configured)
        if found is not None:
            signals.append(found)
    residual_kw, off_minutes = _balance(columns, findings)
    findings.sort(key=lambda finding: finding.severity != "poor")
    verdict: Verdict = "good"
    if findings:
        verdict = findings[0].severity
    return QualityReport(
        day=day,
        minutes=minutes,
        covered_minutes=minutes - missing,
        gaps=gaps,
        balance_residual_kw=residual_kw,
        balance_minutes=off_minutes,
        signals=tuple(signals),
        findings=tuple(findings),
        verdict=verdict,
        summary=_summary(verdict, findings),
    )


def _summary(verdict: Verdict, findings: Sequence[Finding]) -> str:
    if verdict == "good":
        return "The data of this day are complete and consistent."
    word = {"fair": "usable with remarks", "poor": "not to be relied on everywhere"}[verdict]
    more = f" ({len(findings) - 1} more)" if len(findings) > 1 else ""
    return f"The data of this day are {word}: {findings[0].message}{more}"


def _keys() -> list[ColumnKey]:
    keys = [ColumnKey("samples")]
    for name, signal in SIGNALS.items():
        keys += [ColumnKey(name), ColumnKey(name, Aggregate.COUNT)]
        if signal.kind is Kind.GAUGE:
            keys += [ColumnKey(name, Aggregate.MIN), ColumnKey(name, Aggregate.MAX)]
    keys += [ColumnKey(power, aggregate) for _, power, aggregate in COUNTERS]
    return list(dict.fromkeys(keys))


def _gaps(columns: Columns, since: datetime, minutes: int) -> tuple[Gap, ...]:
    first = int(since.timestamp() // 60)
    seen = np.zeros(minutes, dtype=np.bool_)
    at = columns.ts.astype("datetime64[m]").astype(np.int64) - first
    seen[at[(at >= 0) & (at < minutes)]] = True
    return tuple(Gap(since + begin * MINUTE, length) for begin, length in _runs(~seen))


def _runs(flags: NDArray[np.bool_]) -> list[tuple[int, int]]:
    """Return (first, length) of every stretch of True."""
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(np.int8), [0]))))
    return [(int(a), int(b - a)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _signal(
    columns: Columns, name: str, site: Site, findings: list[Finding], *, expected: bool
) -> SignalQuality | None:
    samples = float(np.nansum(columns.values[ColumnKey("samples")]))
    usable = float(np.nansum(columns.values[ColumnKey(name, Aggregate.COUNT)]))
    if usable == 0.0:
        if not expected:
            return None
        findings.append(
            Finding("missing", "poor", name, 1.0, f"{name} had no usable value at all.")
        )
        return SignalQuality(name, 1.0, None, None, None, None, "poor")
    mine: list[Finding] = []
    unusable = max(0.0, 1.0 - usable / samples) if samples > 0.0 else None
    if unusable is not None and unusable >= UNUSABLE_FAIR:
        mine.append(
            Finding(
                "unusable",
                "poor" if unusable >= UNUSABLE_POOR else "fair",
                name,
                unusable,
                f"{name} was not usable in {unusable:.1%} of the samples.",
            )
        )
    frozen = _frozen_minutes(columns, name, site)
    allowed = FROZEN_AFTER_MINUTES.get(name, 0)
    if frozen is not None and frozen > allowed:
        mine.append(
            Finding("frozen", "poor", name, frozen, f"{name} did not move for {frozen} minutes.")
        )
    outside = _outside_minutes(columns, name, site)
    if outside:
        mine.append(
            Finding("range", "poor", name, outside, f"{name} was impossible in {outside} minutes.")
        )
    counted, integrated = _counter(columns, name)
    if counted is not None and integrated is not None:
        off_kwh = abs(counted - integrated)
        if off_kwh > max(COUNTER_SLACK_KWH, COUNTER_SLACK * max(counted, integrated)):
            mine.append(
                Finding(
                    "counter",
                    "fair",
                    name,
                    off_kwh,
                    f"{name} grew by {counted:.1f} kWh, its power adds up to {integrated:.1f} kWh.",
                )
            )
    findings += mine
    verdict: Verdict = "good"
    if mine:
        verdict = "poor" if any(f.severity == "poor" for f in mine) else "fair"
    return SignalQuality(name, unusable, frozen, outside, counted, integrated, verdict)


def _frozen_minutes(columns: Columns, name: str, site: Site) -> int | None:
    if name == "soc_percent":
        return _frozen_soc(columns, site)
    if name not in FROZEN_AFTER_MINUTES:
        return None
    low = columns.values[ColumnKey(name, Aggregate.MIN)]
    high = columns.values[ColumnKey(name, Aggregate.MAX)]
    return max((length for _, length in _still(columns, low, high)), default=0)


def _still(columns: Columns, low: FloatArray, high: FloatArray) -> list[tuple[int, int]]:
    """Return stretches of consecutive minutes at one value other than 0, as (first, length)."""
    still = (low == high) & (low != 0.0)
    minute = columns.ts.astype("datetime64[m]").astype(np.int64)
    follows = np.zeros(still.size, dtype=np.bool_)
    follows[1:] = still[1:] & still[:-1] & (low[1:] == low[:-1]) & (np.diff(minute) == 1)
    return [(first - 1, length + 1) for first, length in _runs(follows)]


def _frozen_soc(columns: Columns, site: Site) -> int:
    """Return the longest stretch in which energy moved and the state of charge did not."""
    low = columns.values[ColumnKey("soc_percent", Aggregate.MIN)]
    high = columns.values[ColumnKey("soc_percent", Aggregate.MAX)]
    moved = columns.values[ColumnKey("battery_kw", Aggregate.POSITIVE_KWH)]
    taken = columns.values[ColumnKey("battery_kw", Aggregate.NEGATIVE_KWH)]
    worst = 0
    for first, length in _still(columns, low, high):
        cut = slice(first, first + length)
        net_kwh = abs(float(np.nansum(moved[cut])) - float(np.nansum(taken[cut])))
        if net_kwh > FROZEN_SOC_SHARE * site.battery.energy_capacity_kwh:
            worst = max(worst, length)
    return worst


def _range_of(name: str, site: Site) -> tuple[float, float] | None:
    battery = site.battery
    most_kw = 1.2 * max(battery.power_charge_max_kw, battery.power_discharge_max_kw) + 1.0
    grid_kw = 1.5 * max(site.grid.import_limit_kw, site.grid.export_limit_kw) + most_kw
    pv_kw = math.inf if site.pv_peak_kw is None else 1.3 * site.pv_peak_kw + 1.0
    return {
        "soc_percent": (0.0, 100.0),
        "soh_percent": (0.0, 110.0),
        "battery_kw": (-most_kw, most_kw),
        "grid_kw": (-grid_kw, grid_kw),
        "pv_kw": (-1.0, pv_kw),
        "load_kw": (-1.0 - 0.02 * grid_kw, grid_kw + pv_kw),
        "temperature_c": (-40.0, 90.0),
        "grid_frequency_hz": (45.0, 55.0),
        "voltage_v": (0.0, 2000.0),
    }.get(name)


def _outside_minutes(columns: Columns, name: str, site: Site) -> int | None:
    limits = _range_of(name, site)
    if limits is None:
        return None
    low = columns.values[ColumnKey(name, Aggregate.MIN)]
    high = columns.values[ColumnKey(name, Aggregate.MAX)]
    # NaN compares False: a minute without a value is no impossible one.
    return int(((low < limits[0]) | (high > limits[1])).sum())


def _counter(columns: Columns, name: str) -> tuple[float | None, float | None]:
    found = next((entry for entry in COUNTERS if entry[0] == name), None)
    if found is None:
        return None, None
    _, power, aggregate = found
    reading = columns.values[ColumnKey(name)]
    integral = columns.values[ColumnKey(power, aggregate)]
    minute = columns.ts.astype("datetime64[m]").astype(np.int64)
    grown = np.diff(reading)
    usable = np.isfinite(grown) & (grown >= 0.0) & np.isfinite(integral[1:])
    usable &= np.diff(minute) == 1
    if not usable.any():
        return None, None
    return float(grown[usable].sum()), float(integral[1:][usable].sum())


def _balance(columns: Columns, findings: list[Finding]) -> tuple[float | None, int | None]:
    load, pv, battery, grid = (
        columns.values[ColumnKey(name)] for name in ("load_kw", "pv_kw", "battery_kw", "grid_kw")
    )
    residual = np.abs(load - pv - battery - grid)
    known = np.isfinite(residual)
    if not known.any():
        return None, None
    allowed = np.maximum(BALANCE_SLACK_KW, BALANCE_SLACK * (np.abs(load) + np.abs(pv)))
    off = int((residual[known] > allowed[known]).sum())
    share = off / int(known.sum())
    if share >= UNUSABLE_FAIR:
        findings.append(
            Finding(
                "balance",
                "poor" if share >= UNUSABLE_POOR else "fair",
                None,
                share,
                f"Load, PV, battery and meter do not add up in {share:.1%} of the minutes.",
            )
        )
    return float(residual[known].mean()), off
