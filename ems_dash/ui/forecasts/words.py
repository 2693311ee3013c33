"""What the forecasts page says in words: pure functions from forecasts and scores to texts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from ems_dash.i18n import label, t
from ems_dash.ui import format as fmt
from ems_dash.ui.forecasts.series import LOAD, PRICE, ForecastSeries
from ems_dash.ui.strategy_model import until_text
from engine.domain.forecast import FloatArray, Forecast
from engine.domain.quarter_hour import STEP
from engine.forecasting.accuracy import FEWEST_SCORED_STEPS, LeadScore, score_all
from engine.runtime.accuracy_service import ModelAccuracy

STALE_AFTER = timedelta(minutes=35)
"""A forecast is renewed with every plan, each quarter-hour; an older one is marked."""

AHEAD = timedelta(hours=24)
"""What the figures beside a chart speak of."""

NO_BIAS = 0.02
"""A mean error below this share of what came is called none."""

NO_PRICE_BIAS_EUR_PER_KWH = 0.002

PROPHET = "prophet"

_HOURS = STEP.total_seconds() / 3600.0


@dataclass(frozen=True, slots=True)
class Fact:
    """One line beside a chart: what, and the value; `mark` is a pill behind it."""

    what: str
    text: str
    mark: str = ""


def age_text(ts: datetime, now: datetime, lang: str) -> str:
    """Return how long ago `ts` was."""
    return t("forecast.ago", lang, age=fmt.age((now - ts).total_seconds()))


def is_stale(forecast: Forecast, now: datetime) -> bool:
    """Return True when the forecast should have been renewed by `now`."""
    return now - forecast.issued_at > STALE_AFTER


def why_none(
    series: ForecastSeries, forecasts: Mapping[str, Forecast], why_no_plan: str, lang: str
) -> tuple[str, str]:
    """Return that a series has no forecast, and why.

    Args:
        series: The series.
        forecasts: Those there are, by signal; empty when not even the first plan was made.
        why_no_plan: What keeps that plan.
        lang: ``"de"`` or ``"en"``.
    """
    if not forecasts:
        return t("forecast.none_yet", lang), why_no_plan
    return t(f"forecast.none_{series.key}", lang), ""


def published_until(forecast: Forecast) -> datetime | None:
    """Return the end of the published steps a forecast begins with; None without any."""
    if not bool(forecast.known[0]):
        return None
    open_steps = np.flatnonzero(~forecast.known)
    count = int(open_steps[0]) if open_steps.size else forecast.n_steps
    return forecast.start + count * STEP


def known_ahead(came: FloatArray, start: datetime, now: datetime) -> datetime | None:
    """Return the end of what is known already of the time after `now`; None for nothing.

    Args:
        came: Quarter-hours from `start`, NaN where unknown.
        start: Start of the first one.
        now: The engine's time.
    """
    known = np.flatnonzero(np.isfinite(came))
    if not known.size:
        return None
    end: datetime = start + (int(known[-1]) + 1) * STEP
    return end if end > now + STEP else None


def facts(
    series: ForecastSeries, forecast: Forecast, now: datetime, tz: ZoneInfo, lang: str
) -> list[Fact]:
    """Return model, reach and the figures an operator asks for first."""
    out = [Fact(t("forecast.model", lang), label("model", forecast.model, lang))]
    until = published_until(forecast)
    if series is PRICE:
        text = (
            t("forecast.nothing_published", lang)
            if until is None
            else until_text(until, now, tz, lang)
        )
        out.append(Fact(t("forecast.published_until", lang), text))
    out.append(Fact(t("forecast.reaches", lang), until_text(forecast.end, now, tz, lang)))
    return out + _figures(series, forecast, now, tz, lang)


def _figures(
    series: ForecastSeries, forecast: Forecast, now: datetime, tz: ZoneInfo, lang: str
) -> list[Fact]:
    first = max(0, (now - forecast.start) // STEP)
    stop = min(forecast.n_steps, first + AHEAD // STEP)
    p50, p90 = forecast.p50[first:stop], forecast.p90[first:stop]
    if stop - first < timedelta(hours=6) / STEP:
        return []

    def when(place: int) -> str:
        # A line may end before the time, not within it.
        text = until_text(forecast.start + (first + place) * STEP, now, tz, lang)
        return text.replace(" ", fmt.NBSP)

    if series is PRICE:
        low, high = int(p50.argmin()), int(p50.argmax())
        return [
            Fact(
                t(key, lang),
                t("forecast.at", lang, value=series.text(float(p50[i]), lang), time=when(i)),
            )
            for key, i in (("forecast.cheapest", low), ("forecast.dearest", high))
        ]
    energy = fmt.energy(float(p50.sum()) * _HOURS, lang)
    out = [Fact(t("forecast.energy_24h", lang), str(energy))]
    top = int(p50.argmax())
    if p50[top] > 0.0:
        text = t("forecast.at", lang, value=series.text(float(p50[top]), lang), time=when(top))
        out.append(Fact(t("forecast.highest", lang), text))
    if series is LOAD:
        out.append(
            Fact(t("forecast.highest_p90", lang), series.text(float(p90.max()), lang)),
        )
    return out


# --- how good -----------------------------------------------------------------------------------


def bias_note(series: ForecastSeries, entry: ModelAccuracy | None, days: int, lang: str) -> str:
    """Return in a sentence whether a model has forecast too much or too little.

    Args:
        series: The series.
        entry: Accuracy of the model in use over `days` days; None when it was not scored.
        days: Length of the period.
        lang: ``"de"`` or ``"en"``.
    """
    n = 0 if entry is None else entry.overall.n
    if entry is None or n < FEWEST_SCORED_STEPS:
        return t(
            "accuracy.too_few",
            lang,
            n=fmt.number(n, 0, lang),
            needed=fmt.number(FEWEST_SCORED_STEPS, 0, lang),
        )
    bias, mean = entry.overall.bias, entry.mean_actual
    name = t(f"series.{series.key}", lang)
    if series is PRICE or mean is None or mean <= 0.0:
        small = NO_PRICE_BIAS_EUR_PER_KWH if series is PRICE else 0.1
        amount = series.text(abs(bias), lang)
        none = abs(bias) < small
    else:
        amount = str(fmt.percent(100.0 * abs(bias) / mean, lang))
        none = abs(bias) / mean < NO_BIAS
    if none:
        return t("accuracy.bias_none", lang, series=name, days=days)
    key = "accuracy.bias_high" if bias > 0.0 else "accuracy.bias_low"
    return t(key, lang, series=name, amount=amount, days=days)


def naive_note(entry: ModelAccuracy | None, lang: str) -> str:
    """Return how a model compares with last week's values; empty when that is not known."""
    if entry is None or entry.overall.n < FEWEST_SCORED_STEPS or entry.overall.rmae is None:
        return ""
    rmae = entry.overall.rmae
    if rmae > 1.0:
        return t("accuracy.worse_than_naive", lang, rmae=fmt.number(rmae, 2, lang))
    return t("accuracy.better_than_naive", lang, share=fmt.percent(100.0 * (1.0 - rmae), lang))


def prophet_note(
    series: ForecastSeries, models: Sequence[ModelAccuracy], days: int, lang: str
) -> str:
    """Return how Prophet compares with the best other model, or why that cannot be said."""
    scored = [m for m in models if m.overall.n >= FEWEST_SCORED_STEPS]
    prophet = next((m for m in scored if m.model == PROPHET), None)
    others = [m for m in scored if m.model != PROPHET]
    if not scored:
        return ""
    if prophet is None:
        return t("accuracy.prophet_not_scored", lang)
    if not others:
        return t("accuracy.prophet_alone", lang)
    best = min(others, key=lambda m: m.overall.mae)
    key = (
        "accuracy.prophet_better"
        if prophet.overall.mae < best.overall.mae
        else "accuracy.prophet_worse"
    )
    return t(
        key,
        lang,
        days=days,
        prophet=series.text(prophet.overall.mae, lang),
        other=series.text(best.overall.mae, lang),
        model=label("model", best.model, lang),
    )


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """One line of the accuracy table, ready to show."""

    name: str
    pairs: str
    mae: str
    bias: str
    rmae: str
    coverage: str
    poor: bool
    few: bool


def score_row(name: str, score: LeadScore, series: ForecastSeries, lang: str) -> ScoreRow:
    """Return a score as a line; one of less than a day's pairs is marked."""

    def shown(value: float, *, signed: bool = False) -> str:
        return fmt.number(value * series.factor, 2, lang, signed=signed)

    few = score.n < FEWEST_SCORED_STEPS
    return ScoreRow(
        name=name,
        pairs=fmt.number(score.n, 0, lang),
        mae=shown(score.mae),
        bias=shown(score.bias, signed=True),
        rmae=fmt.number(score.rmae, 2, lang),
        coverage=str(fmt.percent(100.0 * score.coverage, lang)),
        poor=not few and score.rmae is not None and score.rmae > 1.0,
        few=few,
    )


def of_signal(scores: Sequence[ModelAccuracy], series: ForecastSeries) -> list[ModelAccuracy]:
    """Return the models of one series, those with most pairs first."""
    return sorted(
        (entry for entry in scores if entry.signal == series.signal),
        key=lambda entry: -entry.overall.n,
    )


def in_use(
    scores: Sequence[ModelAccuracy], series: ForecastSeries, forecast: Forecast | None
) -> ModelAccuracy | None:
    """Return the accuracy of the model that forecasts now, or None."""
    return next(
        (
            entry
            for entry in scores
            if forecast is not None
            and entry.signal == series.signal
            and entry.model == forecast.model
        ),
        None,
    )


# --- one past forecast --------------------------------------------------------------------------


def vintage_note(series: ForecastSeries, forecast: Forecast, came: FloatArray, lang: str) -> str:
    """Return how a past forecast has turned out so far.

    Args:
        series: The series.
        forecast: The forecast as it was issued.
        came: What came in its steps, NaN where nothing has yet; shape (n,).
        lang: ``"de"`` or ``"en"``.
    """
    unknown = ~forecast.known
    total = int(unknown.sum())
    if total == 0:
        return t("forecast.all_published", lang)
    actual = np.where(unknown, came, np.nan)
    score = score_all(actual, forecast.p10, forecast.p50, forecast.p90, None)
    if score is None:
        return t("forecast.nothing_came", lang)
    return t(
        "forecast.turned_out",
        lang,
        n=fmt.number(score.n, 0, lang),
        total=fmt.number(total, 0, lang),
        mae=series.text(score.mae, lang),
        bias=series.text(score.bias, lang, signed=True),
        coverage=fmt.percent(100.0 * score.coverage, lang),
    )


def expected_summary(
    series: ForecastSeries, forecast: Forecast | None, now: datetime, tz: ZoneInfo, lang: str
) -> str:
    """Return the chart of what is expected in words, for those who do not see it."""
    name = t(f"series.{series.key}", lang)
    if forecast is None:
        return t("forecast.summary_none", lang, series=name)
    said = "; ".join(f"{fact.what}: {fact.text}" for fact in facts(series, forecast, now, tz, lang))
    return t("forecast.summary", lang, series=name, facts=said)


def hourly_rows(
    series: ForecastSeries,
    forecast: Forecast,
    came: FloatArray,
    tz: ZoneInfo,
    lang: str,
) -> list[tuple[str, ...]]:
    """Return a forecast as lines by the hour: when, P10, P50, P90, what came, what it is.

    Args:
        series: The series.
        forecast: The forecast.
        came: What came in its steps, NaN where unknown; shape (n,).
        tz: Local time.
        lang: ``"de"`` or ``"en"``.
    """
    out: list[tuple[str, ...]] = []
    stamps = [forecast.start + i * STEP for i in range(forecast.n_steps)]
    hours = [ts.astimezone(tz).replace(minute=0) for ts in stamps]
    first = 0
    while first < len(stamps):
        stop = first + 1
        while stop < len(stamps) and hours[stop] == hours[first]:
            stop += 1
        part = slice(first, stop)
        known = bool(forecast.known[part].all())
        actual = came[part]
        complete = bool(np.isfinite(actual).all())

        def mean(values: FloatArray) -> str:
            return fmt.number(float(values.mean()) * series.factor, 1, lang)

        out.append(
            (
                f"{fmt.day_label(stamps[first], tz, lang)} {fmt.clock_time(stamps[first], tz)}",
                mean(forecast.p10[part]),
                mean(forecast.p50[part]),
                mean(forecast.p90[part]),
                mean(actual) if complete else fmt.NO_VALUE,
                t("forecast.kind_published" if known else "forecast.kind_expected", lang),
            )
        )
        first = stop
    return out
