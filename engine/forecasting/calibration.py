"""What a forecaster learns from its own past errors: widths and the decay of the last hour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

import numpy as np

from engine.domain.errors import ForecastError
from engine.domain.forecast import FloatArray
from engine.forecasting.blend import Blend
from engine.forecasting.conformal import WidthRule, Widths, learn_widths
from engine.forecasting.day_table import QUARTERS, DayTable
from engine.forecasting.intraday import IntradayRule, learn_rule

_LEAD_DAYS = 2


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """What the residuals of past origins say.

    Attributes:
        widths: P10/P90 of the first day ahead and of later days.
        intraday: Decay of the last hour's residual.
        predicted: Local date to what had been predicted for it, shape (96,).
    """

    widths: tuple[Widths, Widths]
    intraday: IntradayRule
    predicted: dict[date, FloatArray]

    def predicted_for(self, day: date) -> FloatArray | None:
        """Return the day-ahead prediction of a past local date, or None."""
        return self.predicted.get(day)


def calibrate(
    table: DayTable,
    blend: Blend,
    rule: WidthRule,
    past: dict[date, FloatArray],
    tau_hours: float | None,
) -> Calibration:
    """Learn from the last `rule.origins` origins before the table's.

    Every past day is predicted as it would have been at its start, one and two days ahead, by
    a model that had seen nothing of it; what an earlier call predicted is not made again.

    Args:
        table: What is known.
        blend: The models.
        rule: How widths are learnt.
        past: Predictions of past origins, (2, 96) each, kept between calls; updated in place.
        tau_hours: Fixed time constant of the correction, or None.
    """
    first = max(1, table.origin - rule.origins)
    for row in range(first, table.origin):
        day = table.day(row)
        if day not in past:
            made = _from_origin(table, blend, row)
            if made is not None:
                past[day] = made
    oldest = table.day(first)
    for day in [d for d in past if d < oldest]:
        del past[day]
    residuals = np.full((_LEAD_DAYS, table.origin - first, QUARTERS), np.nan)
    for day, made in past.items():
        row = table.row(day)
        for lead in range(_LEAD_DAYS):
            if first <= row + lead < table.origin:
                residuals[lead, row + lead - first] = table.raw[row + lead] - made[lead]
    return Calibration(
        widths=(learn_widths(residuals[0], rule), learn_widths(residuals[1], rule)),
        intraday=learn_rule(residuals[0], tau_hours),
        predicted={day: made[0] for day, made in past.items()},
    )


def _from_origin(table: DayTable, blend: Blend, row: int) -> FloatArray | None:
    """Return the predictions of `row` and the day after it as of the start of `row`."""
    try:
        fitted = blend.fit(table, row, calibrating=True)
        first = fitted.predict(table, row, row)
        # The day after sees the prediction of `row`, not its truth.
        ahead = table.with_row(row, first.values)
        second = fitted.predict(ahead, row + 1, row)
    except ForecastError:
        # An origin without enough history has no residual; that there are few is said.
        return None
    return np.stack([first.values, second.values])
