"""Routes about planning: strategies and their choice, forecasts, prices."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, Flask, Response

from ems_dash.api.answers import (
    InvalidRequestError,
    add_error_handlers,
    error,
    json_answer,
    revalidated,
    wrong_site,
)
from ems_dash.api.bodies import parsed_body
from ems_dash.api.described import described
from ems_dash.api.parameters import Moment, Text, WholeNumber
from ems_dash.api.planning_models import (
    AccuracyAnswer,
    ForecastAnswer,
    ForecastRow,
    PriceRowInfo,
    PricesAnswer,
    StrategiesAnswer,
    StrategyRequest,
    accuracy_answer,
    forecast_rows,
    forecast_series,
    strategies_answer,
)
from ems_dash.api.tabular import PROFILE, ROW_MEDIA, rows_answer, rows_route, wanted_format
from ems_dash.auth.access import needs
from ems_dash.auth.roles import Role
from ems_dash.services import Services
from engine.domain.forecast import FORECAST_SIGNALS
from engine.domain.strategy import StrategyKey
from engine.forecasting.accuracy import SCOREBOARD_DAYS

LONGEST_HOURS = 7 * 24
"""A choice by hand ends after at most a week."""

LONGEST_DAYS = 35
"""Vintages are kept in full for so long (`engine.history.store.FULL_VINTAGE_DAYS`)."""

LONGEST_PRICES = timedelta(days=31)

_SIGNAL = Text("signal", "Only this series.", known=FORECAST_SIGNALS)
_DAYS = WholeNumber("days", SCOREBOARD_DAYS, 1, LONGEST_DAYS, "Over how many days.")
_FROM = Moment("from", "First instant; left out, an hour ago.")
_TO = Moment("to", "End; left out, two days later than the start.")

_EXAMPLE = 'Send {"strategy": "peak_shaving", "hours": 4}, or "until" with a time and its offset.'


def register_planning_api(server: Flask, services: Services) -> None:
    """Add the planning routes to a Flask application."""
    api = Blueprint("planning_api", __name__)

    @api.get("/api/strategies")
    @needs(Role.VIEWER)
    @described("plan", StrategiesAnswer)
    def strategies() -> Response:
        """How the strategy is chosen, and what each one is worth now."""
        if (wrong := wrong_site(services.snapshot().site.site_id)) is not None:
            return wrong
        return json_answer(strategies_answer(services.strategy_state()))

    @api.post("/api/strategy")
    @needs(Role.OPERATOR)
    @described("plan", StrategiesAnswer, body=StrategyRequest)
    def choose() -> Response:
        """Plan with one strategy until a time, at most a week; then choose again.

        Kept over a restart. A new plan is asked for.
        """
        if (wrong := wrong_site(services.snapshot().site.site_id)) is not None:
            return wrong
        asked = _strategy_request()
        now = services.now()
        until = asked.until or now + timedelta(hours=asked.hours or 0.0)
        if not now < until <= now + timedelta(hours=LONGEST_HOURS, seconds=1):
            raise InvalidRequestError(
                f"The choice would end at {until.isoformat(timespec='seconds')}.",
                field="hours" if asked.until is None else "until",
                value=until.isoformat(),
                hint=f"Let it end in the future, within {LONGEST_HOURS} hours.",
            )
        return json_answer(strategies_answer(services.choose_strategy(asked.strategy, until)))

    @api.post("/api/strategy/auto")
    @needs(Role.OPERATOR)
    @described("plan", StrategiesAnswer)
    def choose_automatically() -> Response:
        """End a choice by hand; a new plan is asked for."""
        if (wrong := wrong_site(services.snapshot().site.site_id)) is not None:
            return wrong
        return json_answer(strategies_answer(services.choose_automatically()))

    @rows_route(api, "/api/forecast")
    @needs(Role.VIEWER)
    @described(
        "plan",
        ForecastAnswer,
        query=(_SIGNAL, PROFILE),
        media=ROW_MEDIA,
        revalidated=True,
        errors={404: "There is no such site, or no forecast has been made yet."},
    )
    def forecast() -> Response:
        """What the plan in force expects of prices, load and PV, in steps of 15 minutes.

        `known` steps are published prices, all others are forecasts with P10 and P90.
        """
        snapshot = services.snapshot()
        site_id = snapshot.site.site_id
        if (wrong := wrong_site(site_id)) is not None:
            return wrong
        signal = _SIGNAL.read()
        if signal is not None and signal not in FORECAST_SIGNALS:
            raise InvalidRequestError(
                f"There is no forecast of '{signal[:40]}'.",
                field="signal",
                value=signal,
                hint=f"Known: {', '.join(FORECAST_SIGNALS)}.",
            )
        made = services.forecasts()
        if not made:
            return error(
                404,
                "no_forecast",
                "No forecast has been made yet.",
                hint="The first ones follow the first measurements.",
            )
        wanted = [forecast_series(f) for name, f in made.items() if signal in (None, name)]
        if (form := wanted_format()) is None:
            return revalidated(json_answer(ForecastAnswer(site_id=site_id, forecasts=wanted)))
        issued_at = max(f.issued_at for f in made.values())
        return revalidated(
            rows_answer(
                form,
                ForecastRow,
                forecast_rows(wanted),
                name="forecast",
                site=snapshot.site,
                now=issued_at,
            )
        )

    @api.get("/api/forecast/accuracy")
    @needs(Role.VIEWER)
    @described("plan", AccuracyAnswer, query=(_DAYS,))
    def accuracy() -> Response:
        """How good each model was, by lead time, against what came."""
        site_id = services.snapshot().site.site_id
        if (wrong := wrong_site(site_id)) is not None:
            return wrong
        days = _DAYS.read()
        return json_answer(accuracy_answer(site_id, days, services.forecast_accuracy(days)))

    @rows_route(api, "/api/prices")
    @needs(Role.VIEWER)
    @described("plan", PricesAnswer, query=(_FROM, _TO, PROFILE), media=ROW_MEDIA)
    def prices() -> Response:
        """Published prices in steps of 15 minutes, and what buying and selling cost then.

        Only what is published: a step without a price is left out. At most 31 days.
        """
        site = services.snapshot().site
        if (wrong := wrong_site(site.site_id)) is not None:
            return wrong
        since = _FROM.read() or services.now() - timedelta(hours=1)
        until = _TO.read() or since + timedelta(days=2)
        if not since < until <= since + LONGEST_PRICES:
            raise InvalidRequestError(
                f"From {since.isoformat()} to {until.isoformat()} is no period of prices.",
                field="to",
                value=until.isoformat(),
                hint=f"Let it end after it begins, at most {LONGEST_PRICES.days} days later.",
            )
        found = [PriceRowInfo.model_validate(p) for p in services.prices(since, until)]
        if (form := wanted_format()) is None:
            return json_answer(PricesAnswer(site_id=site.site_id, prices=found))
        return rows_answer(form, PriceRowInfo, found, name="prices", site=site, now=services.now())

    add_error_handlers(api)
    server.register_blueprint(api)


def _strategy_request() -> StrategyRequest:
    asked = parsed_body(
        StrategyRequest,
        hint=_EXAMPLE,
        hints={"strategy": f"Known strategies: {', '.join(StrategyKey)}."},
    )
    if (asked.until is None) == (asked.hours is None):
        raise InvalidRequestError(
            "A choice by hand needs exactly one end.", field="until", hint=_EXAMPLE
        )
    if asked.hours is not None and not 0.0 < asked.hours <= LONGEST_HOURS:
        raise InvalidRequestError(
            f"{asked.hours:g} hours are not possible here.",
            field="hours",
            value=asked.hours,
            hint=f"Give more than 0 and at most {LONGEST_HOURS}.",
        )
    return asked
