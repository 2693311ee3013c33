"""Quarter-hour ledger: energy through the grid meter times the price valid then.

Energy comes from the meter's own registers, so nothing between two polls is
lost. The increment between two cycles is split at quarter-hour boundaries in
proportion to time; a gap in communication is therefore spread evenly over it,
and ``seconds`` shows how much of the quarter-hour was really watched. Where a
register is missing, was reset or jumps, power is integrated instead and the
row says so. A quarter-hour whose price is not known when it ends waits and is
booked when the price is published.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from engine.domain.quarter_hour import STEP, quarter_start
from engine.domain.records import LedgerRow
from engine.domain.sample import ProcessImage

WATCHED_GAP_S = 30.0
"""Cycles further apart than this leave an unwatched gap."""

JUMP_FACTOR = 1.5
"""A register that grows faster than this times the largest power has jumped."""

WAITING_MOST = 7 * 96
"""So many quarter-hours wait for their price: a week without any."""


@dataclass(frozen=True, slots=True)
class TariffQuote:
    """Prices of one quarter-hour, EUR/kWh, and their origin."""

    buy_eur_per_kwh: float
    sell_eur_per_kwh: float
    source: str


QuoteAt = Callable[[datetime], TariffQuote | None]

_FLOWS: dict[str, tuple[str, str, float]] = {
    # ledger field: (register, power signal, sign of power that counts)
    "import_kwh": ("grid_import_kwh", "grid_kw", 1.0),
    "export_kwh": ("grid_export_kwh", "grid_kw", -1.0),
    "battery_charged_kwh": ("battery_charged_kwh", "battery_kw", -1.0),
    "battery_discharged_kwh": ("battery_discharged_kwh", "battery_kw", 1.0),
    "pv_kwh": ("pv_energy_kwh", "pv_kw", 1.0),
}


FLOW_SIGNALS: tuple[str, ...] = tuple(
    dict.fromkeys(name for register, power, _ in _FLOWS.values() for name in (register, power))
)
"""Registers and powers that quarter-hours are booked from."""

_BILLED = ("import_kwh", "export_kwh")


class _OpenQuarter:
    """Sums of the quarter-hour being booked."""

    def __init__(self, start: datetime) -> None:
        self.start = start
        self.seconds = 0.0
        self.energy: dict[str, float | None] = dict.fromkeys(_FLOWS)
        self.integrated = False

    @property
    def measured(self) -> bool:
        """True when everything that money is booked on was metered."""
        return all(self.energy[field] is not None for field in _BILLED)

    def add(self, field: str, kwh: float) -> None:
        self.energy[field] = (self.energy[field] or 0.0) + kwh


class Ledger:
    """Books every quarter-hour of one site.

    Args:
        site_id: The site.
        quote_at: Prices at an instant, or None when unknown.
        max_power_kw: Largest power any register can see, for the jump test.
    """

    def __init__(self, site_id: str, quote_at: QuoteAt, max_power_kw: float) -> None:
        self._site_id = site_id
        self._quote_at = quote_at
        self._max_power_kw = max_power_kw
        self._previous: ProcessImage | None = None
        self._open: _OpenQuarter | None = None
        self._waiting: deque[_OpenQuarter] = deque(maxlen=WAITING_MOST)

    def resume(self, row: LedgerRow) -> None:
        """Continue a quarter-hour that was partly booked before a restart."""
        quarter = _OpenQuarter(row.ts)
        quarter.seconds = row.seconds
        quarter.integrated = row.method == "integrated"
        quarter.energy = {field: getattr(row, field) for field in _FLOWS}
        self._open = quarter

    def follow(self, image: ProcessImage) -> None:
        """Go on from the last cycle before a restart; call it after `resume`.

        What the registers counted meanwhile is then spread over the time in between like any
        gap in communication, and no energy is lost.
        """
        self._previous = image

    def add(self, image: ProcessImage) -> list[LedgerRow]:
        """Add one cycle and return the quarter-hours that are booked now, ascending."""
        closed: list[LedgerRow] = []
        previous = self._previous
        if previous is not None and image.ts < previous.ts and self._open is not None:
            # The clock was set back: what is open ends with what was measured of it.
            self._waiting.append(self._open)
            self._open = None
            closed += self._book_waiting()
        if previous is not None and image.ts > previous.ts:
            increments = {f: self._increment(f, previous, image) for f in _FLOWS}
            watched = (image.ts - previous.ts).total_seconds() <= WATCHED_GAP_S
            for start, share, seconds in _split(previous.ts, image.ts):
                closed += self._roll_to(start)
                quarter = self._open
                if quarter is None:
                    continue
                for field, (kwh, integrated) in increments.items():
                    if kwh is not None:
                        quarter.add(field, kwh * share)
                        # Only what money is booked on decides how the row was measured.
                        quarter.integrated |= integrated and field in _BILLED
                known = increments["import_kwh"][0] is not None
                quarter.seconds += seconds if watched and known else 0.0
        closed += self._roll_to(quarter_start(image.ts))
        self._previous = image
        return closed

    def running(self) -> LedgerRow | None:
        """Return the open quarter-hour as far as it is booked, or None."""
        return self._row(self._open) if self._open is not None else None

    def _roll_to(self, start: datetime) -> list[LedgerRow]:
        if self._open is None:
            self._open = _OpenQuarter(start)
            return []
        if self._open.start >= start:
            return []
        self._waiting.append(self._open)
        self._open = _OpenQuarter(start)
        return self._book_waiting()

    def _book_waiting(self) -> list[LedgerRow]:
        """Return what can be booked; what was not measured is dropped, what has no price waits."""
        measured = [q for q in self._waiting if q.measured]
        rows = [(quarter, self._row(quarter)) for quarter in measured]
        self._waiting.clear()
        self._waiting.extend(quarter for quarter, row in rows if row is None)
        return [row for _, row in rows if row is not None]

    def _increment(
        self, field: str, before: ProcessImage, after: ProcessImage
    ) -> tuple[float | None, bool]:
        """Return the energy between two cycles and whether it had to be integrated."""
        register, power, sign = _FLOWS[field]
        hours = (after.ts - before.ts).total_seconds() / 3600.0
        first, last = before.value(register), after.value(register)
        if first is not None and last is not None:
            grown = last - first
            # One watt-hour of slack: registers count in whole steps.
            if -1e-9 <= grown <= self._max_power_kw * JUMP_FACTOR * hours + 0.001:
                return max(0.0, grown), False
        p0, p1 = before.value(power), after.value(power)
        if p0 is None or p1 is None or hours * 3600.0 > WATCHED_GAP_S:
            return None, False
        mean = (max(0.0, sign * p0) + max(0.0, sign * p1)) / 2.0
        return mean * hours, True

    def _row(self, quarter: _OpenQuarter) -> LedgerRow | None:
        imported, exported = quarter.energy["import_kwh"], quarter.energy["export_kwh"]
        quote = self._quote_at(quarter.start)
        if imported is None or exported is None or quote is None:
            return None
        return LedgerRow(
            ts=quarter.start,
            site_id=self._site_id,
            seconds=quarter.seconds,
            import_kwh=imported,
            export_kwh=exported,
            battery_charged_kwh=quarter.energy["battery_charged_kwh"],
            battery_discharged_kwh=quarter.energy["battery_discharged_kwh"],
            pv_kwh=quarter.energy["pv_kwh"],
            buy_eur_per_kwh=quote.buy_eur_per_kwh,
            sell_eur_per_kwh=quote.sell_eur_per_kwh,
            cost_eur=imported * quote.buy_eur_per_kwh - exported * quote.sell_eur_per_kwh,
            price_source=quote.source,
            method="integrated" if quarter.integrated else "counters",
        )


def _split(start: datetime, end: datetime) -> Iterator[tuple[datetime, float, float]]:
    """Yield (quarter start, share of the interval, seconds) for each quarter-hour touched."""
    total = (end - start).total_seconds()
    at = start
    while at < end:
        quarter = quarter_start(at)
        until = min(end, quarter + STEP)
        seconds = (until - at).total_seconds()
        yield quarter, seconds / total, seconds
        at = until
