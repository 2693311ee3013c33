"""How good forecasts were: errors by lead time, a rolling scoreboard, and which model to use."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, tzinfo

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engine.domain.errors import ForecastError
from engine.domain.forecast import FloatArray

LEAD_BUCKETS_STEPS = (4, 8, 16, 32, 96, 192)
"""Upper ends of the lead-time classes in quarter-hours: 1, 2, 4, 8, 24 and 48 h."""

SWITCH_MARGIN = 0.05
"""Another model takes over only when it is better by this share (notes/forecasting 4.4)."""

SCOREBOARD_DAYS = 28

FEWEST_SCORED_STEPS = 96
"""Below a day of scored steps a model is neither chosen nor blamed."""


@dataclass(frozen=True, slots=True)
class LeadScore:
    """Errors of one class of lead times, in the unit of the series.

    Attributes:
        lead_from_steps: Least lead in quarter-hours, inclusive (0: the step that runs).
        lead_to_steps: Greatest lead, exclusive; None for no end.
        n: Number of (forecast, actual) pairs.
        mae: Mean absolute error of P50.
        rmse: Root of the mean squared error of P50.
        bias: Mean of P50 - actual; > 0 when too much was forecast.
        rmae: MAE over the MAE of the seasonal naive on the same steps; None when that is not
            known or zero.
        pinball_p10: Mean quantile loss of P10.
        pinball_p50: Of P50 (half the MAE).
        pinball_p90: Of P90.
        coverage: Share of actuals within P10..P90; 0.8 is nominal.
    """

    lead_from_steps: int
    lead_to_steps: int | None
    n: int
    mae: float
    rmse: float
    bias: float
    rmae: float | None
    pinball_p10: float
    pinball_p50: float
    pinball_p90: float
    coverage: float

    @property
    def pinball(self) -> float:
        """Mean of the three quantile losses."""
        return (self.pinball_p10 + self.pinball_p50 + self.pinball_p90) / 3.0


def pinball_loss(actual: FloatArray, quantile: FloatArray, level: float) -> float:
    """Return the mean quantile loss ``max(level (y - q), (level - 1)(y - q))`` (Koenker 1978)."""
    over = actual - quantile
    return float(np.mean(np.maximum(level * over, (level - 1.0) * over)))


def score(  # noqa: PLR0917 - the order is the one of the forecast's own arrays
    actual: ArrayLike,
    p10: ArrayLike,
    p50: ArrayLike,
    p90: ArrayLike,
    naive: ArrayLike | None,
    lead_steps: ArrayLike,
    buckets_steps: Sequence[int] = LEAD_BUCKETS_STEPS,
) -> list[LeadScore]:
    """Return errors by lead time.

    Args:
        actual: What came true, shape (n,); NaN where it is not known (such pairs are left out).
        p10: Forecast quantiles, shape (n,) each; pairs with a NaN are left out.
        p50: Median forecast.
        p90: Upper quantile.
        naive: Forecast of the seasonal naive for the same steps, NaN where unknown, or None.
        lead_steps: Lead time of each pair in quarter-hours, >= 0.
        buckets_steps: Upper ends of the classes, ascending; longer leads make one more class.

    Returns:
        One score per class that holds a pair, by rising lead.

    Raises:
        ForecastError: When the shapes differ.
    """
    arrays = [np.asarray(a, dtype=np.float64).reshape(-1) for a in (actual, p10, p50, p90)]
    leads = np.asarray(lead_steps).reshape(-1)
    naive_values = (
        np.full(leads.size, np.nan)
        if naive is None
        else np.asarray(naive, dtype=np.float64).reshape(-1)
    )
    sizes = [a.size for a in (*arrays, naive_values)]
    if any(size != leads.size for size in sizes):
        raise ForecastError(
            "Forecasts and actuals must have the same number of values.",
            field="lead_steps",
            value=f"{sizes} and {leads.size}",
        )
    usable = np.isfinite(np.stack(arrays)).all(axis=0) if leads.size else np.zeros(0, np.bool_)
    edges = [0, *buckets_steps]
    out = []
    for i, low in enumerate(edges):
        high = edges[i + 1] if i + 1 < len(edges) else None
        pick = usable & (leads >= low)
        if high is not None:
            pick &= leads < high
        if pick.any():
            values = np.stack([*arrays, naive_values])[:, pick]
            out.append(_score_of(values, low, high))
    return out


def score_all(
    actual: ArrayLike, p10: ArrayLike, p50: ArrayLike, p90: ArrayLike, naive: ArrayLike | None
) -> LeadScore | None:
    """Return the errors over all lead times together, or None without a usable pair."""
    leads = np.zeros(np.asarray(actual).size, dtype=np.int64)
    found = score(actual, p10, p50, p90, naive, leads, buckets_steps=())
    return found[0] if found else None


@dataclass(frozen=True, slots=True)
class DayError:
    """Errors of one local day, over all lead times, in the unit of the series.

    Attributes:
        day: The day that was forecast, in local time.
        n: Number of (forecast, actual) pairs.
        mae: Mean absolute error of P50.
        naive_mae: That of the seasonal naive on the same steps; None when it is not known.
    """

    day: date
    n: int
    mae: float
    naive_mae: float | None


def daily_errors(
    ts: NDArray[np.datetime64],
    actual: ArrayLike,
    p50: ArrayLike,
    naive: ArrayLike,
    zone: tzinfo,
) -> list[DayError]:
    """Return the errors of each local day that holds a pair, ascending.

    Args:
        ts: Start of the steps that were forecast, UTC, shape (n,).
        actual: What came, shape (n,); finite.
        p50: Median forecast, shape (n,).
        naive: Forecast of the seasonal naive, NaN where unknown, shape (n,).
        zone: Local time.
    """
    if len(ts) == 0:
        return []
    steps, position = np.unique(np.asarray(ts), return_inverse=True)
    days = np.array(
        [
            datetime.fromtimestamp(int(us) / 1e6, UTC).astimezone(zone).toordinal()
            for us in steps.astype("datetime64[us]").astype(np.int64)
        ]
    )[position]
    came, middle, last_week = (np.asarray(a, dtype=np.float64) for a in (actual, p50, naive))
    out = []
    for ordinal in np.unique(days):
        pick = days == ordinal
        naive_error = np.abs(last_week - came)[pick & np.isfinite(last_week)]
        out.append(
            DayError(
                day=date.fromordinal(int(ordinal)),
                n=int(pick.sum()),
                mae=float(np.abs(middle - came)[pick].mean()),
                naive_mae=float(naive_error.mean()) if naive_error.size else None,
            )
        )
    return out


def _score_of(values: FloatArray, low: int, high: int | None) -> LeadScore:
    actual, p10, p50, p90, naive = values
    error = p50 - actual
    both = np.isfinite(naive)
    naive_mae = float(np.abs(naive - actual)[both].mean()) if both.any() else 0.0
    rmae = float(np.abs(error)[both].mean()) / naive_mae if naive_mae > 0.0 else None
    return LeadScore(
        lead_from_steps=low,
        lead_to_steps=high,
        n=int(actual.size),
        mae=float(np.abs(error).mean()),
        rmse=float(np.sqrt((error**2).mean())),
        bias=float(error.mean()),
        rmae=rmae,
        pinball_p10=pinball_loss(actual, p10, 0.1),
        pinball_p50=pinball_loss(actual, p50, 0.5),
        pinball_p90=pinball_loss(actual, p90, 0.9),
        coverage=float(((actual >= p10) & (actual <= p90)).mean()),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """Forecasts of one model for some steps with what came true.

    Attributes:
        signal: The series.
        model: Key of the model.
        at: End of the last step; decides when the outcome leaves the scoreboard.
        actual: Shape (n,), NaN where unknown.
        p10: Shape (n,).
        p50: Shape (n,).
        p90: Shape (n,).
        naive: Seasonal naive for the same steps, NaN where unknown; shape (n,).
    """

    signal: str
    model: str
    at: datetime
    actual: FloatArray
    p10: FloatArray
    p50: FloatArray
    p90: FloatArray
    naive: FloatArray


@dataclass(frozen=True, slots=True)
class ModelRank:
    """One line of the scoreboard.

    Attributes:
        model: Key of the model.
        score: Its errors over the window.
        alert: Whether it is worse than the seasonal naive (rMAE > 1).
    """

    model: str
    score: LeadScore

    @property
    def alert(self) -> bool:
        rmae = self.score.rmae
        return rmae is not None and rmae > 1.0 and self.score.n >= FEWEST_SCORED_STEPS


class Scoreboard:
    """Rolling errors per series and model over the last 28 days.

    Args:
        days: Length of the window.
    """

    def __init__(self, days: int = SCOREBOARD_DAYS) -> None:
        self._window = timedelta(days=days)
        self._outcomes: list[Outcome] = []

    def add(self, outcomes: Iterable[Outcome]) -> None:
        """Take in what came true."""
        self._outcomes.extend(outcomes)

    def drop_before(self, now: datetime) -> None:
        """Forget what left the window that ends at `now`."""
        self._outcomes = [o for o in self._outcomes if o.at > now - self._window]

    def ranks(self, signal: str, now: datetime) -> list[ModelRank]:
        """Return the models of a series over the window that ends at `now`, best MAE first."""
        by_model: dict[str, list[Outcome]] = {}
        for outcome in self._outcomes:
            if outcome.signal == signal and now - self._window < outcome.at <= now:
                by_model.setdefault(outcome.model, []).append(outcome)
        ranks = []
        for model, outcomes in by_model.items():
            found = score_all(
                *(
                    _joined([getattr(o, name) for o in outcomes])
                    for name in ("actual", "p10", "p50", "p90", "naive")
                )
            )
            if found is not None:
                ranks.append(ModelRank(model, found))
        return sorted(ranks, key=lambda rank: (rank.score.mae, rank.model))

    def choose(
        self, signal: str, current: str, now: datetime, margin: float = SWITCH_MARGIN
    ) -> str:
        """Return the model to use: `current` unless another is better by `margin`."""
        return choose_model(self.ranks(signal, now), current, margin)


def choose_model(ranks: Sequence[ModelRank], current: str, margin: float = SWITCH_MARGIN) -> str:
    """Return the model to use from here on.

    The model in use stays unless the best other has an MAE that is lower by more than the share
    `margin`; rMAE is compared where both have one, since it is fair between models that were
    scored on different steps. Models with less than a day of scored steps do not take part, and
    one in use that was not scored stays.
    """
    scored = {r.model: r.score for r in ranks if r.score.n >= FEWEST_SCORED_STEPS}
    own = scored.get(current)
    if own is None:
        return current

    def better_by(other: LeadScore) -> float:
        if own.rmae is not None and other.rmae is not None:
            return 1.0 - other.rmae / own.rmae if own.rmae > 0.0 else 0.0
        return 1.0 - other.mae / own.mae if own.mae > 0.0 else 0.0

    best = max(scored, key=lambda model: (better_by(scored[model]), model == current))
    return best if better_by(scored[best]) > margin else current


def _joined(arrays: Sequence[NDArray[np.float64]]) -> FloatArray:
    return np.concatenate([np.asarray(a, dtype=np.float64).reshape(-1) for a in arrays])
