"""What could be known at each quarter-hour: forecasts of a whole year as arrays.

A plan made at step i on the local day d sees of the day d + k only what the days before d can
tell. So a year of forecasts is a few series: for each k, every day forecast from the days up to
k days before it. They are made once per case with the program's own day models
(`engine.forecasting`); putting a plan's horizon together is then a look-up, and the correction
by the last hour is a rule over what was measured by then. Nothing later is ever read: the
models get rows before their origin only, and a test changes the future and compares.

Against the live forecasters two things are left out, for speed: the day that runs does not
enter the forecast of the next day, and the time constant of the correction is the default and
not learnt.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np

from engine.analytics.backtest.case import DAY_STEPS
from engine.analytics.backtest.policy import Forecaster
from engine.analytics.backtest.prepared import IntArray, Prepared
from engine.domain.errors import ForecastError
from engine.domain.plan import FloatArray
from engine.forecasting.blend import Blend
from engine.forecasting.calendar import HolidayCalendar
from engine.forecasting.day_model import DayModel
from engine.forecasting.day_table import DayTable, locate, make_table, rows_from_steps
from engine.forecasting.day_type import DayTypeModel
from engine.forecasting.intraday import DEFAULT_TAU_HOURS, STEPS_LOOKED_BACK
from engine.forecasting.naive import SeasonalNaive, SimilarDay
from engine.forecasting.ridge_load import RidgeLoad
from engine.market.recorded_prices import PUBLICATION_HOUR

LEADS = 3
"""Local days that a horizon of 48 h can meet: today and the next two."""

PV_TAU_HOURS = 3.0
"""As the live forecaster of PV from its own past."""

RESIDUAL_DAYS = (2, 11)
"""Scenarios take the errors of forecasts issued at the same clock time so many days before."""

_MARGIN_DAYS = RESIDUAL_DAYS[1] + 1
_LEAST_PV_KW = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Ahead:
    """What a plan sees of its horizon; arrays of shape (h,).

    Attributes:
        load_kw: Load.
        pv_kw: PV power.
        buy: Purchase price, EUR/kWh.
        sell: Feed-in price, EUR/kWh.
    """

    load_kw: FloatArray
    pv_kw: FloatArray
    buy: FloatArray
    sell: FloatArray


class Views:
    """The forecasts of a case.

    Args:
        prepared: The case.
        forecaster: What is known; `PERFECT` and `PERFECT_36H` see the truth.
    """

    def __init__(self, prepared: Prepared, forecaster: Forecaster) -> None:
        self._prepared = prepared
        series = prepared.case.series
        self._load, self._pv = series.load_kw, series.pv_kw
        self._day = prepared.day
        self.perfect = forecaster in (Forecaster.PERFECT, Forecaster.PERFECT_36H)
        self.notes: tuple[str, ...] = ()
        """What must be known about them, in words."""
        self._error_scale = 1.0
        n = series.n
        if self.perfect:
            return
        self._loads = _by_lead(prepared, series.load_kw, _load_blend(forecaster), by_weekday=True)
        self._pvs = np.zeros((LEADS, n))
        if series.has_pv:
            recent = Blend("day_type", [DayTypeModel(7, average=True)])
            self._pvs = _by_lead(prepared, series.pv_kw, recent, by_weekday=False)
        spots = _by_lead(
            prepared, series.spot_eur_per_kwh, Blend("similar_day", [SimilarDay()]), by_weekday=True
        )
        # Prices one day beyond what is published are forecast from the day before it.
        self._buys, self._sells = np.empty((LEADS, n)), np.empty((LEADS, n))
        self._buys[0], self._sells[0] = prepared.buy, prepared.sell
        for lead in range(1, LEADS):
            known = np.isfinite(spots[lead - 1])
            spot = np.where(known, spots[lead - 1], _last_known_mean(series.spot_eur_per_kwh))
            self._buys[lead], self._sells[lead] = prepared.priced(spot)
        self._known_day = _published_day(prepared)
        self._load_error = _last_hour_error(self._load, self._loads[0])
        self._pv_ratio = _last_hour_ratio(self._pv, self._pvs[0])
        hours = (np.arange(4 * 48) + 0.5) * 0.25
        self._load_decay = np.exp(-hours / DEFAULT_TAU_HOURS)
        self._pv_decay = np.exp(-hours / PV_TAU_HOURS)
        self._unknown = ~np.isfinite(self._loads)
        self._loads = np.where(self._unknown, 0.0, self._loads)
        self._pvs = np.where(np.isfinite(self._pvs), self._pvs, 0.0)
        days = np.unique(self._day[prepared.span][self._unknown[0][prepared.span]])
        if days.size:
            self.notes = (
                f"{days.size} days have no past to forecast the load from; "
                "on them the last hour is taken to go on.",
            )

    def scaled(self, error_scale: float) -> Views:
        """Return the same forecasts with every error, of prices too, multiplied."""
        other = copy.copy(self)
        other._error_scale = error_scale
        return other

    def ahead(self, i: int, h: int) -> Ahead:
        """Return what is known at the start of step `i` about the `h` steps from it on."""
        cut = slice(i, i + h)
        prepared = self._prepared
        if self.perfect:
            return Ahead(self._load[cut], self._pv[cut], prepared.buy[cut], prepared.sell[cut])
        load, pv = self.means(i, h)
        steps = np.arange(i, i + h)
        lead = np.clip(self._day[cut] - self._known_day[i], 0, LEADS - 1)
        buy, sell = self._buys[lead, steps], self._sells[lead, steps]
        if self._error_scale != 1.0:
            buy = self._nearer(prepared.buy[cut], buy)
            sell = self._nearer(prepared.sell[cut], sell)
        return Ahead(load, pv, buy, sell)

    def _nearer(self, actual: FloatArray, predicted: FloatArray) -> FloatArray:
        return actual + self._error_scale * (predicted - actual)

    def means(self, i: int, h: int) -> tuple[FloatArray, FloatArray]:
        """Return load and PV power of the `h` steps from `i` on as expected at its start."""
        cut, steps = slice(i, i + h), np.arange(i, i + h)
        if self.perfect:
            return self._load[cut], self._pv[cut]
        lead = np.clip(self._day[cut] - self._day[i], 0, LEADS - 1)
        load = self._loads[lead, steps] + self._load_error[i] * self._load_decay[:h]
        unknown = self._unknown[lead, steps]
        if unknown.any():
            recent = self._load[max(0, i - STEPS_LOOKED_BACK) : i]
            load = np.where(unknown, recent.mean() if recent.size else 0.0, load)
        pv = self._pvs[lead, steps]
        if self._pv_ratio[i] != 1.0:
            pv = pv * (1.0 + (self._pv_ratio[i] - 1.0) * self._pv_decay[:h])
        if self._error_scale != 1.0:
            load, pv = self._nearer(self._load[cut], load), self._nearer(self._pv[cut], pv)
        return np.maximum(load, 0.0), np.maximum(pv, 0.0)

    def residuals(self, i: int, h: int) -> tuple[FloatArray, FloatArray] | None:
        """Return past errors of load and PV forecasts, shape (days, h) each; None with too few."""
        loads, pvs = [], []
        for back in range(RESIDUAL_DAYS[0], RESIDUAL_DAYS[1] + 1):
            at = i - back * DAY_STEPS
            if at < DAY_STEPS or self._unknown[0, at] or at + h > i:
                continue
            load, pv = self.means(at, h)
            loads.append(self._load[at : at + h] - load)
            pvs.append(self._pv[at : at + h] - pv)
        return (np.array(loads), np.array(pvs)) if len(loads) >= 5 else None


def _load_blend(forecaster: Forecaster) -> Blend:
    members: dict[Forecaster, list[DayModel]] = {
        Forecaster.NAIVE: [SeasonalNaive()],
        Forecaster.DAY_TYPE: [DayTypeModel()],
        Forecaster.RIDGE: [RidgeLoad()],
        Forecaster.BLEND: [RidgeLoad(), DayTypeModel()],
    }
    return Blend(forecaster.value, members[forecaster], [DayTypeModel()])


def _by_lead(
    prepared: Prepared, values: FloatArray, blend: Blend, *, by_weekday: bool
) -> FloatArray:
    """Return forecasts by how many days before the day they were made, shape (LEADS, n).

    Row k holds each step as the days up to k + 1 days before its own tell it: the first day of
    a forecast comes from the day before, the next from the forecast of the first. NaN where
    there is no past.
    """
    case, zone = prepared.case, prepared.zone
    first_day = case.series.start.astimezone(zone).date()
    rows, slots = locate(case.series.start, values.size, zone, first_day)
    n_rows = int(rows[-1]) + 1
    raw = rows_from_steps(case.series.start, values, zone, first_day, n_rows)
    calendar = HolidayCalendar(case.holidays_country)
    table = make_table(first_day, raw, n_rows, calendar, by_weekday=by_weekday)
    made = np.full((LEADS, n_rows, raw.shape[1]), np.nan)
    begin = max(1, int(rows[case.first]) - _MARGIN_DAYS)
    last = int(rows[min(case.stop, values.size) - 1])
    for origin in range(begin, last + 1):
        _forecast_days(table, blend, origin, made)
    out: FloatArray = made[:, rows, slots]
    return out


def _forecast_days(table: DayTable, blend: Blend, origin: int, made: FloatArray) -> None:
    """Write what the days before `origin` tell of the days from `origin` on."""
    try:
        fitted = blend.fit(table, origin, calibrating=False)
    except ForecastError:
        # Too little past; the caller takes persistence there and says so.
        return
    seen = table
    for lead in range(min(LEADS, table.n_rows - origin)):
        row = origin + lead
        try:
            predicted = fitted.predict(seen, row, origin).values
        except ForecastError:
            return
        made[lead, row] = predicted
        seen = seen.with_row(row, predicted)


def _published_day(prepared: Prepared) -> IntArray:
    """Return the last local day whose prices are published, at the start of each step.

    Today's, and from 13:00 local time on tomorrow's, as `engine.market.recorded_prices`.
    """
    afternoon = prepared.slot >= PUBLICATION_HOUR * 4
    known: IntArray = prepared.day + afternoon
    return known


def _last_known_mean(spot: FloatArray) -> FloatArray:
    """Return for each step the mean of the week before it, for days without a similar one."""
    week = 7 * DAY_STEPS
    sums = np.concatenate(([0.0], np.cumsum(spot)))
    at = np.arange(spot.size)
    begin = np.maximum(at - week, 0)
    means: FloatArray = np.where(
        at > 0, (sums[at] - sums[begin]) / np.maximum(at - begin, 1), spot[0]
    )
    # Only what is two days older is surely published when a plan reaches there.
    late = 2 * DAY_STEPS
    return np.concatenate((np.full(late, means[0]), means))[: spot.size]


def _last_hour_error(actual: FloatArray, predicted: FloatArray) -> FloatArray:
    """Return the mean error of the hour before each step, 0 where it is not known."""
    error = np.where(np.isfinite(predicted), actual - predicted, 0.0)
    return _trailing_sum(error) / STEPS_LOOKED_BACK


def _last_hour_ratio(actual: FloatArray, predicted: FloatArray) -> FloatArray:
    """Return actual over predicted of the hour before each step; 1 where little was expected."""
    known = np.isfinite(predicted)
    seen = _trailing_sum(np.where(known, actual, 0.0))
    expected = _trailing_sum(np.where(known, predicted, 0.0))
    ratio: FloatArray = np.where(
        expected < _LEAST_PV_KW, 1.0, np.clip(seen / np.maximum(expected, 1e-9), 0.0, 3.0)
    )
    return ratio


def _trailing_sum(values: FloatArray) -> FloatArray:
    """Return the sum over the `STEPS_LOOKED_BACK` steps before each step."""
    sums = np.concatenate(([0.0], np.cumsum(values)))
    at = np.arange(values.size)
    total: FloatArray = sums[at] - sums[np.maximum(at - STEPS_LOOKED_BACK, 0)]
    return total
