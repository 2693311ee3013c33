"""Routes about planning: strategies and their choice, forecasts."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, Flask, Response, request
from pydantic import ValidationError

from ems_dash.api.answers import (
    InvalidRequestError,
    add_error_handlers,
    error,
    json_answer,
    whole_number,
    wrong_site,
)
from ems_dash.api.planning_models import (
    ForecastAnswer,
    StrategyRequest,
    accuracy_answer,
    forecast_series,
    strategies_answer,
)
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

_EXAMPLE = 'Send {"strategy": "peak_shaving", "hours": 4}, or "until" with a time and its offset.'


def register_planning_api(server: Flask, services: Services) -> None:
    """Add the planning routes to a Flask application."""
    api = Blueprint("planning_api", __name__)

    @api.get("/api/strategies")
    @needs(Role.VIEWER)
    def strategies() -> Response:
        if (wrong := wrong_site(services.snapshot().site.site_id)) is not None:
            return wrong
        return json_answer(strategies_answer(services.strategy_state()))

    @api.post("/api/strategy")
    @needs(Role.OPERATOR)
    def choose() -> Response:
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
    def choose_automatically() -> Response:
        if (wrong := wrong_site(services.snapshot().site.site_id)) is not None:
            return wrong
        return json_answer(strategies_answer(services.choose_automatically()))

    @api.get("/api/forecast")
    @needs(Role.VIEWER)
    def forecast() -> Response:
        site_id = services.snapshot().site.site_id
        if (wrong := wrong_site(site_id)) is not None:
            return wrong
        signal = request.args.get("signal")
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
        wanted = [f for name, f in made.items() if signal in (None, name)]
        return json_answer(
            ForecastAnswer(site_id=site_id, forecasts=[forecast_series(f) for f in wanted])
        )

    @api.get("/api/forecast/accuracy")
    @needs(Role.VIEWER)
    def accuracy() -> Response:
        site_id = services.snapshot().site.site_id
        if (wrong := wrong_site(site_id)) is not None:
            return wrong
        days = whole_number("days", SCOREBOARD_DAYS, 1, LONGEST_DAYS)
        return json_answer(accuracy_answer(site_id, days, services.forecast_accuracy(days)))

    add_error_handlers(api)
    server.register_blueprint(api)


def _strategy_request() -> StrategyRequest:
    try:
        asked = StrategyRequest.model_validate_json(request.get_data(cache=False))
    except ValidationError as exc:
        first = exc.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or None
        hint = _EXAMPLE
        if field == "strategy":
            hint = f"Known strategies: {', '.join(StrategyKey)}."
        raise InvalidRequestError(
            f"The request cannot be understood: {first['msg']}.", field=field, hint=hint
        ) from exc
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
