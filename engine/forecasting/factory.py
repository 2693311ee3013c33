"""Builds the forecaster that a site's settings ask for."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from zoneinfo import ZoneInfo

from engine.domain.errors import ForecastError
from engine.domain.forecast import LOAD_SIGNAL, PRICE_SIGNAL, PV_SIGNAL, FloatArray
from engine.forecasting.base import Forecaster, QuarterHourHistory
from engine.forecasting.blend import Blend
from engine.forecasting.boosted_load import BoostedLoad
from engine.forecasting.calendar import HolidayCalendar
from engine.forecasting.conformal import LOAD_RULE, PRICE_RULE, PV_RULE
from engine.forecasting.day_ahead import DayAheadForecaster
from engine.forecasting.day_model import DayModel
from engine.forecasting.day_type import DayTypeModel
from engine.forecasting.naive import FlatMean, SeasonalNaive, SimilarDay
from engine.forecasting.ridge_load import RidgeLoad
from engine.forecasting.ridge_price import RidgePrice
from engine.forecasting.running_step import RunningMean
from engine.forecasting.series_rules import SeriesRules

ClearSky = Callable[[datetime, int], FloatArray]
"""Expected clear-sky power or irradiance of `n` 15-min steps from a start; any unit, shape (n,)."""

PRICE_CHOICES = ("auto", "seasonal_naive", "ridge", "prophet")
LOAD_CHOICES = (
    "auto",
    "seasonal_naive",
    "day_type",
    "ridge",
    "lightgbm",
    "prophet",
    "ensemble",
)
PV_CHOICES = ("day_type", "prophet")
"""Choices for PV made from its own past; those made from weather are built elsewhere."""

CHOICES = {PRICE_SIGNAL: PRICE_CHOICES, LOAD_SIGNAL: LOAD_CHOICES, PV_SIGNAL: PV_CHOICES}

_LOAD_RULES = SeriesRules(widths=LOAD_RULE, floor=0.0, intraday="offset")
_PRICE_RULES = SeriesRules(widths=PRICE_RULE, published_ahead=True)
_PV_RULES = SeriesRules(
    widths=PV_RULE, floor=0.0, intraday="ratio", tau_hours=3.0, by_weekday=False
)


def build_forecaster(
    signal: str,
    choice: str,
    history: QuarterHourHistory,
    zone: ZoneInfo,
    country: str | None = None,
    *,
    subdivision: str | None = None,
    settlement_minutes: int = 15,
    clear_sky: ClearSky | None = None,
    running_mean: RunningMean | None = None,
    longest_history_days: int | None = None,
) -> Forecaster:
    """Return the forecaster of `signal` that `choice` names.

    ``"auto"`` is the default of notes/forecasting 4.4: the ensemble for load, ridge for price.
    A model with too little history gives way to simpler ones and the forecast says so, in
    `model` and `method`.

    Args:
        signal: One of `engine.domain.forecast.FORECAST_SIGNALS`.
        choice: One of `CHOICES` of the signal.
        history: Its past; for prices a `PriceHistory`, which knows published future steps too.
        zone: Local time of the site.
        country: ISO code of the country whose public holidays count; None for none.
        subdivision: ISO code of its subdivision.
        settlement_minutes: 15 or 60, what the tariff bills by (price only).
        clear_sky: Needed for PV by Prophet.
        running_mean: Mean measured so far of the running quarter-hour (load, PV).
        longest_history_days: Days never looked beyond. A recording that repeats needs its own
            length here, or models learn from copies of the days they are to predict.

    Raises:
        ForecastError: When the choice does not exist for the signal, or the country is unknown.
    """
    allowed = CHOICES.get(signal)
    if allowed is None:
        raise ForecastError(
            f"There is no forecaster for '{signal}'.",
            field="signal",
            value=signal,
            hint=f"Use one of: {', '.join(CHOICES)}.",
        )
    if choice not in allowed:
        raise ForecastError(
            f"'{choice}' is not a forecaster of {signal}.",
            field=f"forecast.{signal}",
            value=choice,
            hint=f"Use one of: {', '.join(allowed)}.",
        )
    calendar = HolidayCalendar(country, subdivision)
    rules = {PRICE_SIGNAL: _PRICE_RULES, LOAD_SIGNAL: _LOAD_RULES, PV_SIGNAL: _PV_RULES}[signal]
    if signal == PRICE_SIGNAL:
        members, fallbacks = _price_models(choice, settlement_minutes, country)
    elif signal == LOAD_SIGNAL:
        members, fallbacks = _load_models(choice)
    else:
        members, fallbacks = _pv_models(choice, clear_sky, zone)
    key = choice
    if choice == "auto":
        key = "ridge" if signal == PRICE_SIGNAL else "ensemble"
    return DayAheadForecaster(
        history,
        signal,
        zone,
        Blend(key, members, fallbacks),
        rules,
        calendar=calendar,
        running_mean=None if signal == PRICE_SIGNAL else running_mean,
        longest_history_days=longest_history_days,
    )


def _load_models(choice: str) -> tuple[Sequence[DayModel], Sequence[DayModel]]:
    fallbacks: list[DayModel] = [DayTypeModel(), FlatMean()]
    if choice in ("auto", "ensemble"):
        # Below 28 days the others give way and the day-type median stands alone.
        return [RidgeLoad(), BoostedLoad(), DayTypeModel()], fallbacks
    if choice == "day_type":
        return [DayTypeModel()], [FlatMean()]
    if choice == "prophet":
        from engine.forecasting.prophet_models import ProphetLoad

        return [ProphetLoad()], fallbacks
    models: dict[str, type[DayModel]] = {
        "seasonal_naive": SeasonalNaive,
        "ridge": RidgeLoad,
        "lightgbm": BoostedLoad,
    }
    return [models[choice]()], fallbacks


def _price_models(
    choice: str, settlement_minutes: int, country: str | None
) -> tuple[Sequence[DayModel], Sequence[DayModel]]:
    quarter_hours = settlement_minutes < 60
    if choice == "seasonal_naive":
        return [SeasonalNaive()], [SimilarDay()]
    if choice == "prophet":
        from engine.forecasting.prophet_models import ProphetPrice

        return [ProphetPrice(quarter_hours=quarter_hours)], [SimilarDay()]
    return [RidgePrice(quarter_hours=quarter_hours)], [SimilarDay()]


def _pv_models(
    choice: str, clear_sky: ClearSky | None, zone: ZoneInfo
) -> tuple[Sequence[DayModel], Sequence[DayModel]]:
    recent = DayTypeModel(7, average=True)
    if choice == "day_type":
        return [recent], []
    if clear_sky is None:
        raise ForecastError(
            "Prophet for PV needs the clear-sky power of the site.",
            field="site.latitude",
            hint="Give the site's latitude and longitude.",
        )
    from engine.forecasting.prophet_models import ProphetPv

    return [ProphetPv(clear_sky, zone)], [recent]
