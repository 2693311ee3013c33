"""The recorded site of the strategy benchmark: its months, tariff, and causal forecasts."""

from __future__ import annotations

import calendar
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from engine.domain.site import Battery
from engine.forecasting.intraday import STEPS_LOOKED_BACK, decaying_offset
from engine.optimization.instance import Instance
from engine.optimization.terms import BilledPeak
from engine.recorded.recording import DEMO_FILE

FloatArray = NDArray[np.float64]

ZONE = ZoneInfo("Europe/Vienna")
STEP = timedelta(minutes=15)
DAY = 96
WEEK = 7 * DAY
HORIZON = 144

BATTERY = Battery(200.0, 100.0, 100.0, 0.95, 0.95, 10.0, 90.0, 0.0, 0.03)
MARKUP_EUR_PER_KWH = 0.10
SELL_FEE_EUR_PER_KWH = 0.005
DEMAND_EUR_PER_KW = 8.0
GRID_LIMIT_KW = 250.0

SAME_AS_LAST_WEEK = (0, 5, 6)
"""Monday, Saturday, Sunday: their prices look like last week's, others like the day before."""


@dataclass(frozen=True, eq=False)
class Recorded:
    """The recorded quarter-hours with their local calendar, arrays of shape (n,)."""

    start: datetime
    spot: FloatArray
    load: FloatArray
    pv: FloatArray
    dates: list[date]
    slot: NDArray[np.int64]
    profiles: dict[tuple[str, date, int], FloatArray] = field(default_factory=dict)

    @classmethod
    def read(cls, pv_share: float = 1.0) -> Recorded:
        """Return the demo composite; `pv_share` scales its PV plant of 160 kWp."""
        table = pq.read_table(DEMO_FILE)
        start = table.column("ts_utc")[0].as_py().astimezone(UTC)
        local = [(start + i * STEP).astimezone(ZONE) for i in range(table.num_rows)]

        def column(name: str) -> FloatArray:
            return np.asarray(table.column(name).to_numpy(), dtype=np.float64)

        return cls(
            start=start,
            spot=column("price_at_eur_mwh") / 1000.0,
            load=column("load_kw"),
            pv=column("pv_kw") * pv_share,
            dates=[ts.date() for ts in local],
            slot=np.array([ts.hour * 4 + ts.minute // 15 for ts in local]),
        )

    def month(self, year: int, month: int) -> tuple[int, int]:
        """Return the first index of the local month and the one behind its last."""
        first = self.index(date(year, month, 1))
        after = date(year, month, calendar.monthrange(year, month)[1]) + timedelta(days=1)
        return first, self.index(after)

    def index(self, day: date) -> int:
        """Return the index of local midnight of `day`."""
        midnight = datetime(day.year, day.month, day.day, tzinfo=ZONE).astimezone(UTC)
        return (midnight - self.start) // STEP

    def instance(
        self,
        first: int,
        stop: int,
        *,
        spot: FloatArray | None = None,
        load: FloatArray | None = None,
        pv: FloatArray | None = None,
        energy_kwh: float = 100.0,
        terminal: float = 0.0,
        peaks: tuple[BilledPeak, ...] = (),
    ) -> Instance:
        """Return the planning problem of the steps `first` up to `stop`, true values default."""
        prices = self.spot[first:stop] if spot is None else spot
        return Instance.for_battery(
            BATTERY,
            start=self.start + first * STEP,
            step_minutes=15,
            buy_eur_per_kwh=prices + MARKUP_EUR_PER_KWH,
            sell_eur_per_kwh=prices - SELL_FEE_EUR_PER_KWH,
            load_kw=self.load[first:stop] if load is None else load,
            pv_kw=self.pv[first:stop] if pv is None else pv,
            import_limit_kw=GRID_LIMIT_KW,
            export_limit_kw=GRID_LIMIT_KW,
            energy_start_kwh=energy_kwh,
            terminal_value_eur_per_kwh=terminal,
            curtailment_allowed=False,
            billed_peaks=peaks,
        )

    # -- causal forecasts ------------------------------------------------------------

    def prices_known(self, now: int, n: int = HORIZON) -> FloatArray:
        """Return spot prices as known at `now`: published, then those of the similar day."""
        local = (self.start + now * STEP).astimezone(ZONE)
        last = local.date() + timedelta(days=1 if local.hour >= 13 else 0)
        out = np.empty(n)
        for i in range(n):
            at = now + i
            while self.dates[at] > last:
                at -= WEEK if self.dates[at].weekday() in SAME_AS_LAST_WEEK else DAY
            out[i] = self.spot[at]
        return out

    def _profile(self, name: str, today: date, kind: int) -> FloatArray:
        """Return what a day of `kind` looks like per local quarter-hour, from days before today.

        Load: median of the last four days of the kind (4 workday, 5, 6). PV: mean of the last
        seven days, whatever they are; ``pv_low`` the lowest of three weeks.
        """
        key = (name, today, kind)
        if key not in self.profiles:
            series = self.load if name == "load" else self.pv
            wanted, days, day = (
                {"load": 4, "pv": 7, "pv_low": 21}[name],
                [],
                today - timedelta(days=1),
            )
            while len(days) < wanted and self.index(day) >= 0:
                if name != "load" or max(day.weekday(), 4) == kind:
                    first = self.index(day)
                    values = np.full(DAY, np.nan)
                    for at in range(first, self.index(day + timedelta(days=1))):
                        values[self.slot[at]] = series[at]
                    days.append(np.where(np.isnan(values), np.nanmean(values), values))
                day -= timedelta(days=1)
            stack = np.vstack(days)
            combine = {"load": np.median, "pv": np.mean, "pv_low": np.min}[name]
            self.profiles[key] = np.asarray(combine(stack, axis=0))
        return self.profiles[key]

    def _expected(self, name: str, first: int, stop: int, today: date) -> FloatArray:
        out = np.empty(stop - first)
        for i, at in enumerate(range(first, stop)):
            kind = max(self.dates[at].weekday(), 4) if name == "load" else 0
            out[i] = self._profile(name, today, kind)[self.slot[at]]
        return out

    def load_forecast(self, now: int, n: int = HORIZON) -> FloatArray:
        """Return the load expected at `now`: day-type median, corrected by the last hour."""
        today, before = self.dates[now], now - STEPS_LOOKED_BACK
        expected = self._expected("load", before, now + n, today)
        seen, ahead = expected[:STEPS_LOOKED_BACK], expected[STEPS_LOOKED_BACK:]
        return np.maximum(ahead + decaying_offset(self.load[before:now], seen, n, 2.0), 0.0)

    def load_envelope(self, now: int, n: int = HORIZON) -> FloatArray:
        """Return the highest load within an hour of the same time of the last four weeks."""
        around = np.arange(-4, 5)
        ahead = now + np.arange(n)
        weeks = [ahead - k * WEEK for k in range(1, 6) if now + n - k * WEEK + 4 <= now]
        return np.max([self.load[at[:, None] + around].max(axis=1) for at in weeks[:4]], axis=0)

    def pv_low(self, now: int, n: int = HORIZON) -> FloatArray:
        """Return the lowest PV power of the last three weeks at the same time."""
        return self._expected("pv_low", now, now + n, self.dates[now])

    def pv_forecast(self, now: int, n: int = HORIZON) -> FloatArray:
        """Return the PV power expected at `now`: mean of a week, scaled by the last hour."""
        today, before = self.dates[now], now - STEPS_LOOKED_BACK
        expected = self._expected("pv", before, now + n, today)
        seen, ahead = float(expected[:STEPS_LOOKED_BACK].sum()), expected[STEPS_LOOKED_BACK:]
        if seen < 4.0:
            return ahead
        ratio = min(3.0, float(self.pv[before:now].sum()) / seen)
        lead_hours = (np.arange(n) + 0.5) / 4.0
        return np.asarray(ahead * (1.0 + (ratio - 1.0) * np.exp(-lead_hours / 4.0)))
