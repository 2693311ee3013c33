"""How good the stored forecasts were, by series, model and lead time."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo

from engine.domain.clock import Clock
from engine.domain.errors import HistoryError
from engine.domain.forecast import FORECAST_SIGNALS, MODEL_RUN
from engine.domain.snapshot import Notice
from engine.forecasting.accuracy import (
    FEWEST_SCORED_STEPS,
    SCOREBOARD_DAYS,
    DayError,
    LeadScore,
    daily_errors,
    score,
    score_all,
)
from engine.history.store import HistoryStore

log = logging.getLogger(__name__)

KEPT_FOR = timedelta(minutes=10)
"""A result so old is found anew when somebody asks."""

WATCHED_EVERY = timedelta(hours=6)
"""How often the engine looks by itself whether a forecast is worth its name."""


@dataclass(frozen=True, slots=True)
class ModelAccuracy:
    """How good one model was for one series.

    Attributes:
        signal: The series, one of `FORECAST_SIGNALS`.
        model: Key of the model.
        days: Length of the period that ends now.
        overall: Errors over all lead times.
        by_lead: Errors per class of lead times, by rising lead.
        mean_actual: Mean of what came in the scored steps, in the unit of the series.
        by_day: Errors per local day, ascending.
    """

    signal: str
    model: str
    days: int
    overall: LeadScore
    by_lead: tuple[LeadScore, ...]
    mean_actual: float | None = None
    by_day: tuple[DayError, ...] = ()

    @property
    def poor(self) -> bool:
        """True when last week's values would have been better (rMAE above 1)."""
        rmae = self.overall.rmae
        return rmae is not None and rmae > 1.0 and self.overall.n >= FEWEST_SCORED_STEPS


class AccuracyService:
    """Scores stored forecasts against what came. Thread-safe; results are kept for a while.

    Args:
        store: Holds forecasts, measurements and prices.
        site_id: The site.
        clock: Time.
        zone: Local time of the site, for errors by day.
    """

    def __init__(self, store: HistoryStore, site_id: str, clock: Clock, zone: tzinfo = UTC) -> None:
        self._zone = zone
        self._store = store
        self._site_id = site_id
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[int, tuple[datetime, tuple[ModelAccuracy, ...]]] = {}

    def scores(self, days: int = SCOREBOARD_DAYS) -> tuple[ModelAccuracy, ...]:
        """Return the accuracy of every series and model over the last `days` days, >= 1.

        Series without a scored forecast are absent.

        Raises:
            HistoryError: The history could not be read.
        """
        now = self._clock.now()
        with self._lock:
            kept = self._kept.get(days)
            if kept is None or not timedelta(0) <= now - kept[0] < KEPT_FOR:
                kept = (now, self._score(now, days))
                self._kept[days] = kept
            return kept[1]

    def watch(self) -> None:
        """Look after the forecasts from time to time; a failure is logged and tried again."""
        now = self._clock.now()
        kept = self._kept.get(SCOREBOARD_DAYS)
        if kept is not None and timedelta(0) <= now - kept[0] < WATCHED_EVERY:
            return
        try:
            self.scores()
        except HistoryError as exc:
            log.warning("forecasts could not be scored: %s", exc)

    def notices(self) -> tuple[Notice, ...]:
        """Return a remark for every series whose forecast was worse than last week's values."""
        kept = self._kept.get(SCOREBOARD_DAYS)
        return tuple(
            Notice(
                "forecast_poor",
                "info",
                f"{entry.signal}, {entry.model}: rMAE {entry.overall.rmae:.2f} over {entry.days} d",
            )
            for entry in (kept[1] if kept is not None else ())
            if entry.poor
        )

    def _score(self, now: datetime, days: int) -> tuple[ModelAccuracy, ...]:
        since = now - timedelta(days=days)
        out = []
        for signal in FORECAST_SIGNALS:
            headers = self._store.forecasts(self._site_id, signal, since, now)
            models = sorted({header.model for header in headers} - {MODEL_RUN})
            for model in models:
                pairs = self._store.forecast_pairs(self._site_id, signal, model, since, now)
                values = (pairs.actual, pairs.p10, pairs.p50, pairs.p90, pairs.naive)
                overall = score_all(*values)
                if overall is not None:
                    by_day = daily_errors(
                        pairs.ts, pairs.actual, pairs.p50, pairs.naive, self._zone
                    )
                    out.append(
                        ModelAccuracy(
                            signal,
                            model,
                            days,
                            overall,
                            tuple(score(*values, pairs.lead_steps)),
                            float(pairs.actual.mean()),
                            tuple(by_day),
                        )
                    )
        return tuple(out)
