"""What samples and forecasts say about a local day besides energy and money."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

import numpy as np

from engine.analytics.attribution import Operation
from engine.analytics.books import Books
from engine.analytics.facts import BATTERY, MINUTES, SOC, Quarter
from engine.analytics.totals import ForecastErrors, Presence
from engine.domain.control import EngineState
from engine.domain.forecast import LOAD_SIGNAL, MODEL_RUN, PRICE_SIGNAL, PV_SIGNAL
from engine.history.columns import ColumnKey, Columns, Resolution

STATE = "state"
SETPOINT, UNUSABLE = ColumnKey("setpoint_kw"), ColumnKey("unusable")
CHARGE_LIMIT, DISCHARGE_LIMIT = ColumnKey("charge_limit_kw"), ColumnKey("discharge_limit_kw")

DAY_COLUMNS: tuple[ColumnKey, ...] = (
    SOC,
    BATTERY,
    SETPOINT,
    CHARGE_LIMIT,
    DISCHARGE_LIMIT,
    UNUSABLE,
)

SCORED_LEADS = range(4, 97)
"""Leads whose errors count: 1 to 24 h, in quarter-hours."""

_SIGNALS = {"price": PRICE_SIGNAL, "load": LOAD_SIGNAL, "pv": PV_SIGNAL}
_ISSUED_BEFORE = timedelta(days=2)


def day_minutes(books: Books, since: datetime, until: datetime) -> Columns:
    """Return the minutes of a day with their operating state."""
    return books.store.columns(
        books.site.site_id, DAY_COLUMNS, since, until, Resolution.MINUTE, texts=(STATE,)
    )


def presence(minutes: Columns, since: datetime, until: datetime) -> Presence:
    """Return the state of charge and the availability of a period.

    A minute is available in automatic operation with every configured signal usable. A minute
    without a sample is not available. Where no minute says its state (they were stored by an
    older version), availability is unknown.
    """
    soc = minutes.values[SOC]
    states = minutes.texts[STATE]
    known = np.array([state is not None for state in states], dtype=np.bool_)
    automatic = np.array([state == EngineState.AUTOMATIC.value for state in states], np.bool_)
    complete = minutes.values[UNUSABLE] == 0.0
    unsaid = int((~known).sum())
    of_period = int((until - since) // timedelta(minutes=1))
    return Presence(
        soc_percent_minutes=float(np.nansum(soc)),
        soc_minutes=int(np.isfinite(soc).sum()),
        state_minutes=max(0, of_period - unsaid) if known.any() else 0,
        available_minutes=int((automatic & complete).sum()),
    )


def operation_of(minutes: Columns, quarters: Sequence[Quarter]) -> list[Operation | None]:
    """Return how each quarter-hour was operated; None where a minute does not say it."""
    numbers = minutes.ts.astype("datetime64[m]").astype(np.int64)
    out: list[Operation | None] = []
    for quarter in quarters:
        first = int(quarter.ts.timestamp() // 60)
        begin, end = (int(i) for i in np.searchsorted(numbers, (first, first + MINUTES)))
        states = minutes.texts[STATE][begin:end]
        if end - begin != MINUTES or any(state is None for state in states):
            out.append(None)
            continue
        cut = slice(begin, end)
        automatic = np.array([state == EngineState.AUTOMATIC.value for state in states], np.bool_)
        manual = np.array([state == EngineState.MANUAL.value for state in states], np.bool_)
        out.append(
            Operation(
                automatic=float(automatic.mean()),
                manual=float(manual.mean()),
                manual_kw=_mean(minutes.values[BATTERY][cut], manual) or 0.0,
                setpoint_kw=_mean(minutes.values[SETPOINT][cut], automatic),
                charge_limit_kw=_mean(minutes.values[CHARGE_LIMIT][cut], automatic | manual),
                discharge_limit_kw=_mean(minutes.values[DISCHARGE_LIMIT][cut], automatic | manual),
            )
        )
    return out


def forecast_errors(books: Books, since: datetime, until: datetime) -> dict[str, ForecastErrors]:
    """Return the errors of the forecasts for a period, by series (`engine.analytics.totals`).

    Of several models the one that made most of the forecasts is scored.
    """
    out = {}
    for series, signal in _SIGNALS.items():
        headers = books.store.forecasts(books.site.site_id, signal, since - _ISSUED_BEFORE, until)
        models = Counter(header.model for header in headers if header.model != MODEL_RUN)
        if not models:
            continue
        model = min(models, key=lambda name: (-models[name], name))
        pairs = books.store.forecast_pairs(
            books.site.site_id, signal, model, since, until, lead_steps=SCORED_LEADS
        )
        if not len(pairs):
            continue
        error = np.abs(pairs.p50 - pairs.actual)
        compared = np.isfinite(pairs.naive)
        out[series] = ForecastErrors(
            steps=len(pairs),
            error=float(error.sum()),
            compared_error=float(error[compared].sum()),
            naive_error=float(np.abs(pairs.naive - pairs.actual)[compared].sum()),
        )
    return out


def _mean(values: np.ndarray, where: np.ndarray) -> float | None:
    chosen = values[where & np.isfinite(values)]
    return float(chosen.mean()) if chosen.size else None
