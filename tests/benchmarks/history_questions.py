"""The questions that pages ask of the history, for benchmarks of any store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from engine.history.query_service import HistoryQueries
from engine.history.series_query import Aggregation, Earlier, SeriesQuery, Step

DAY = timedelta(days=1)
POWERS = ("load_kw", "pv_kw", "grid_kw", "battery_kw", "soc_percent")

Question = Callable[[str, datetime], SeriesQuery]
"""Makes a question from the site and the end of its period."""


def _over(
    days: float,
    *signals: str,
    step: Step = Step.AUTO,
    aggregation: Aggregation = Aggregation.MEAN,
    compare: Earlier | None = None,
) -> Question:
    def made(site_id: str, until: datetime) -> SeriesQuery:
        return SeriesQuery(
            site_id, signals, until - days * DAY, until,
            step=step, aggregation=aggregation, compare=compare,
        )  # fmt: skip

    return made


QUESTIONS: dict[str, Question] = {
    "hour, samples, 5 signals": _over(1 / 24, *POWERS),
    "day, samples, 5 signals": _over(1, *POWERS),
    "2 days, samples, 5 signals": _over(2, *POWERS),
    "week, minutes, 5 signals": _over(7, *POWERS),
    "week against the week before": _over(7, "load_kw", compare=Earlier.WEEK),
    "month, minutes, 5 signals": _over(30, *POWERS),
    "month, energy per hour": _over(30, "grid_kw", aggregation=Aggregation.POSITIVE_KWH),
    "month, prices and bookings": _over(30, "price:buy_eur_per_kwh", "ledger:cost_eur"),
    "year, quarter-hours, 5 signals": _over(365, *POWERS),
    "year, hours, 2 signals": _over(365, "load_kw", "soc_percent", step=Step.HOUR),
    "year, energy per day": _over(
        365, "grid_kw", step=Step.DAY, aggregation=Aggregation.POSITIVE_KWH
    ),
    "year, cost per day": _over(365, "ledger:cost_eur", step=Step.DAY),
}
"""Name to question."""


def asked(service: HistoryQueries, name: str, site_id: str, until: datetime) -> int:
    """Ask one question and return the number of points that came."""
    answer = service.series(QUESTIONS[name](site_id, until))
    return sum(one.values.size for one in answer.series.values())
