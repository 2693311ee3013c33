"""Any day model as a forecaster: reading, learning, several days ahead, P10/P90, last hour."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from datetime import date, datetime
from zoneinfo import ZoneInfo

import numpy as np

from engine.domain.errors import ForecastError
from engine.domain.forecast import FloatArray, Forecast, sorted_quantiles
from engine.domain.quarter_hour import STEP, quarter_start
from engine.forecasting.base import QuarterHourHistory
from engine.forecasting.blend import Blend, FittedBlend
from engine.forecasting.calendar import HolidayCalendar
from engine.forecasting.calibration import Calibration, calibrate
from engine.forecasting.conformal import apply_widths
from engine.forecasting.day_model import DayPrediction
from engine.forecasting.day_reader import DayReader
from engine.forecasting.day_table import DayTable, StepGrid
from engine.forecasting.intraday import STEPS_LOOKED_BACK, decaying_offset, decaying_ratio
from engine.forecasting.running_step import RunningMean, blend_running_step, elapsed_share
from engine.forecasting.series_rules import SeriesRules

LAG_DAYS = 45
"""Days read for a prediction; no model looks further back than that for its lags."""


@dataclass(frozen=True, slots=True, eq=False)
class _State:
    origin_day: date
    fitted: FittedBlend
    calibration: Calibration


@dataclass(slots=True, eq=False)
class _Rows:
    """Predictions of the rows of a horizon, made one after the other."""

    values: dict[int, FloatArray] = field(default_factory=dict)
    notes: dict[int, DayPrediction] = field(default_factory=dict)


class DayAheadForecaster:
    """Predicts by whole local days from the last complete one (`Forecaster`).

    The day that runs is predicted from the days before it, later days from it in turn: what
    is measured of it counts, the rest is its corrected forecast. Learning happens at most
    once a day; only values before `now` (or published ones) are ever read.

    Args:
        history: Past 15-min means; for prices the published future too.
        signal: Series to predict.
        zone: Local time that rules the day pattern.
        blend: The models.
        rules: What the series asks for.
        calendar: Public holidays; None for none.
        key: Key of the forecaster; None for the key of the blend.
        running_mean: Mean measured so far of the quarter-hour that runs; None leaves it to
            the forecast.
        longest_history_days: Days never looked beyond; None for no such limit.
    """

    def __init__(
        self,
        history: QuarterHourHistory,
        signal: str,
        zone: ZoneInfo,
        blend: Blend,
        rules: SeriesRules,
        *,
        calendar: HolidayCalendar | None = None,
        key: str | None = None,
        running_mean: RunningMean | None = None,
        longest_history_days: int | None = None,
    ) -> None:
        self.key = key or blend.key
        self.signal = signal
        self._history = history
        self._zone = zone
        self._blend = blend
        self._rules = rules
        self._running_mean = running_mean
        self._longest_history_days = longest_history_days
        self._calendar = calendar or HolidayCalendar()
        self._reader = DayReader(
            history,
            signal,
            zone,
            self._calendar,
            published_ahead=rules.published_ahead,
            by_weekday=rules.by_weekday,
        )
        self._past: dict[date, FloatArray] = {}
        self._state: _State | None = None
        self._learning = threading.Lock()

    def fit(self, now: datetime) -> None:
        """Learn from what is known at `now`, at most once a day (see `Forecaster.fit`)."""
        with self._learning:
            state = self._state
            if state is not None and not self._due(state, now):
                return
            try:
                self._state = self._learn(now)
            except ForecastError as exc:
                raise self._named(exc) from exc

    def _learn(self, now: datetime) -> _State:
        days = self._blend.train_days + self._rules.widths.origins + 14
        if self._longest_history_days is not None:
            days = min(days, self._longest_history_days)
        table = self._reader.read(now, days, keep=True)
        fitted = self._blend.fit(table, table.origin, calibrating=False)
        calibration = calibrate(
            table, self._blend, self._rules.widths, self._past, self._rules.tau_hours
        )
        return _State(table.day(table.origin), fitted, calibration)

    def predict(self, start: datetime, n: int, now: datetime) -> Forecast:
        """Return `n` steps from `start` (see `Forecaster.predict`)."""
        if self._state is None:
            self.fit(now)
        state = self._state
        assert state is not None
        try:
            return self._forecast(state, start, n, now)
        except ForecastError as exc:
            raise self._named(exc) from exc

    def _named(self, exc: ForecastError) -> ForecastError:
        """Return the error with the series it concerns."""
        return type(exc)(exc.message, field=self.signal, value=exc.value, hint=exc.hint)

    def _forecast(self, state: _State, start: datetime, n: int, now: datetime) -> Forecast:
        last_day = (start + (n - 1) * STEP).astimezone(self._zone).date()
        table = self._reader.read(now, LAG_DAYS, until=last_day)
        current = quarter_start(now)
        ahead = StepGrid(start, n, self._zone, table.first_day)
        base, correction, made = self._predict_rows(state, table, ahead, current)
        p50 = base * correction if self._rules.intraday == "ratio" else base + correction
        leads = np.arange(n) + (start - current) // STEP
        calibration = state.calibration
        shrink = np.ones(n)
        if self._rules.intraday is not None:
            shrink = calibration.intraday.width_factors(leads)
        low, high = p50.copy(), p50.copy()
        for later in (False, True):
            pick = (ahead.rows > table.origin) == later
            low[pick], high[pick] = apply_widths(
                p50[pick],
                ahead.slots[pick],
                calibration.widths[int(later)],
                self._rules.widths,
                shrink[pick],
            )
        if self._rules.floor is not None:
            p50, low, high = (np.maximum(v, self._rules.floor) for v in (p50, low, high))
        p50, low, high = self._with_running_step(p50, low, high, start, now)
        low, p50, high = sorted_quantiles(low, p50, high)
        first = made.notes[min(made.notes)] if made.notes else _PUBLISHED
        return Forecast(
            signal=self.signal,
            start=start,
            p10=low,
            p50=p50,
            p90=high,
            issued_at=now,
            model=self.key if first.key == self._blend.key else first.key,
            method=self._method(first, state, table),
        )

    def _due(self, state: _State, now: datetime) -> bool:
        if not self._rules.published_ahead:
            return state.origin_day != now.astimezone(self._zone).date()
        table = self._reader.read(now, 8)
        return state.origin_day != table.day(table.origin)

    def _predict_rows(
        self, state: _State, table: DayTable, ahead: StepGrid, current: datetime
    ) -> tuple[FloatArray, FloatArray, _Rows]:
        """Return base forecast and correction of the steps asked for, and what was made."""
        made = _Rows()
        first = min(table.origin, int(ahead.rows.min()))
        last = int(ahead.rows.max())
        if first < 1:
            raise ForecastError(
                "A forecast cannot begin that far in the past.",
                value=str(ahead.start),
                hint="Start at the running quarter-hour.",
            )
        for row in range(first, last + 1):
            published = self._rules.published_ahead and row < table.origin
            if published and np.isfinite(table.values[row]).all():
                made.values[row] = table.values[row]
                continue
            prediction = state.fitted.predict(table, row, min(row, table.origin))
            if self._rules.floor is not None:
                values = np.maximum(prediction.values, self._rules.floor)
                prediction = prediction._replace(values=values)
            made.values[row], made.notes[row] = prediction.values, prediction
            if row < table.origin:
                continue
            mixed = prediction.values
            if row == table.origin:
                mixed = self._mixed(state, table, prediction.values, current)
            table = table.with_row(row, mixed)
        base = np.array([made.values[r][s] for r, s in zip(ahead.rows, ahead.slots, strict=True)])
        correction = np.zeros(ahead.n)
        if self._rules.intraday is not None:
            offset = max(0, (ahead.start - current) // STEP)
            before = max(0, (current - ahead.start) // STEP)
            decay = self._decay(state, table, made.values[table.origin], current, offset + ahead.n)
            correction = decay[offset : offset + ahead.n]
            if before:
                neutral = 1.0 if self._rules.intraday == "ratio" else 0.0
                correction = np.concatenate([np.full(before, neutral), decay])[: ahead.n]
        return base, correction, made

    def _mixed(
        self, state: _State, table: DayTable, predicted: FloatArray, current: datetime
    ) -> FloatArray:
        """Return the running day: measured where it is, else its corrected forecast."""
        values = predicted
        if self._rules.intraday is not None:
            grid = StepGrid(current, 100, self._zone, table.first_day)
            decay = self._decay(state, table, predicted, current, grid.n)
            values = predicted.copy()
            today = grid.rows == table.origin
            slots = grid.slots[today]
            if self._rules.intraday == "ratio":
                values[slots] = predicted[slots] * decay[today]
            else:
                values[slots] = predicted[slots] + decay[today]
        raw = table.raw[table.origin]
        values = np.where(np.isfinite(raw), raw, values)
        floor = self._rules.floor
        return values if floor is None else np.maximum(values, floor)

    def _decay(
        self, state: _State, table: DayTable, today: FloatArray, current: datetime, n: int
    ) -> FloatArray:
        back = StepGrid(
            current - STEPS_LOOKED_BACK * STEP, STEPS_LOOKED_BACK, self._zone, table.first_day
        )
        measured = table.raw[back.rows, back.slots]
        predicted = np.full(back.n, np.nan)
        for i, (row, slot) in enumerate(zip(back.rows, back.slots, strict=True)):
            if row == table.origin:
                predicted[i] = today[slot]
            else:
                known = state.calibration.predicted_for(table.day(int(row)))
                if known is not None:
                    predicted[i] = known[slot]
        tau = state.calibration.intraday.tau_hours
        if self._rules.intraday == "ratio":
            return decaying_ratio(measured, predicted, n, tau)
        return decaying_offset(measured, predicted, n, tau)

    def _with_running_step(
        self, p50: FloatArray, low: FloatArray, high: FloatArray, start: datetime, now: datetime
    ) -> tuple[FloatArray, FloatArray, FloatArray]:
        if self._running_mean is None:
            return p50, low, high
        share = elapsed_share(start, now)
        so_far = self._running_mean(self.signal, start, now) if share > 0.0 else None
        return blend_running_step(p50, low, high, so_far, share)

    def _method(self, first: DayPrediction, state: _State, table: DayTable) -> str:
        parts = [f"{first.note} ({self._history.label})"]
        if self._rules.by_weekday:
            parts.append(self._calendar.label)
        if self._rules.intraday is not None:
            parts.append(f"last hour decaying over {state.calibration.intraday.tau_hours:g} h")
        week = slice(max(0, table.origin - 7), table.origin)
        gaps = int((~table.complete()[week]).sum())
        if gaps:
            parts.append(f"{gaps} of the last 7 days have gaps")
        parts.append(state.calibration.widths[0].note)
        return ", ".join(parts)


_PUBLISHED = DayPrediction(np.empty(0), "published", "published")
