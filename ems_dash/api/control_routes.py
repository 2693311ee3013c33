"""Routes that ask something of the battery: orders by hand, limits from outside."""

from __future__ import annotations

from datetime import timedelta
from typing import TypeVar

from flask import Blueprint, Flask, Response, request
from pydantic import BaseModel, ValidationError

from ems_dash.api.answers import InvalidRequestError, add_error_handlers, json_answer, wrong_site
from ems_dash.api.control_models import (
    LimitInfo,
    LimitRequest,
    LimitsInForceAnswer,
    ManualAnswer,
    ManualInfo,
    ManualRequest,
)
from ems_dash.auth.access import actor, needs
from ems_dash.auth.roles import Role
from ems_dash.services import Services
from engine.control.external_limits import ExternalLimit
from engine.domain.control import ManualOrder

_MANUAL_EXAMPLE = (
    'Send {"power_kw": -50, "minutes": 30}, or "until" with a time and its offset; "soc_percent" '
    "may end it earlier."
)
_LIMIT_EXAMPLE = 'Send {"source": "dso", "charge_kw": 4.2, "valid_until": "2026-11-25T20:00:00Z"}.'

Model = TypeVar("Model", bound=BaseModel)


def register_control_api(server: Flask, services: Services) -> None:
    """Add the control routes to a Flask application."""
    api = Blueprint("control_api", __name__)

    def foreign() -> Response | None:
        return wrong_site(services.snapshot().site.site_id)

    @api.get("/api/control/manual")
    @needs(Role.VIEWER)
    def manual() -> Response:
        return foreign() or _manual_answer(services.snapshot().manual)

    @api.post("/api/control/manual")
    @needs(Role.OPERATOR)
    def give() -> Response:
        if (wrong := foreign()) is not None:
            return wrong
        asked = _parsed(ManualRequest, _MANUAL_EXAMPLE)
        if (asked.until is None) == (asked.minutes is None):
            raise InvalidRequestError(
                "An order by hand needs exactly one end.", field="until", hint=_MANUAL_EXAMPLE
            )
        until = asked.until or services.now() + timedelta(minutes=asked.minutes or 0.0)
        return _manual_answer(
            services.operator.give(asked.power_kw, until, asked.soc_percent, actor())
        )

    @api.post("/api/control/auto")
    @needs(Role.OPERATOR)
    def end() -> Response:
        if (wrong := foreign()) is not None:
            return wrong
        services.operator.end()
        return _manual_answer(None)

    @api.get("/api/control/limits")
    @needs(Role.VIEWER)
    def limits() -> Response:
        return foreign() or _limits_answer(services)

    @api.post("/api/control/limits")
    @needs(Role.OPERATOR)
    def limit() -> Response:
        if (wrong := foreign()) is not None:
            return wrong
        _take_limit(services, _parsed(LimitRequest, _LIMIT_EXAMPLE))
        return _limits_answer(services)

    add_error_handlers(api)
    server.register_blueprint(api)


def _take_limit(services: Services, asked: LimitRequest) -> None:
    operator = services.operator
    if asked.source == "digital_input":
        if asked.closed is None:
            raise InvalidRequestError(
                "The digital input is closed or open.", field="closed", hint="Send true or false."
            )
        operator.contact(asked.closed)
        return
    if asked.closed is not None:
        raise InvalidRequestError(
            "Only the digital input is closed or open.", field="closed", hint=_LIMIT_EXAMPLE
        )
    if asked.release:
        operator.release_limit(asked.source)
        return
    values = asked.model_dump(exclude={"closed", "release"})
    if all(value is None for name, value in values.items() if name.endswith(("_kw", "_percent"))):
        raise InvalidRequestError(
            "No limit is given.",
            field="charge_kw",
            hint=f'{_LIMIT_EXAMPLE} Send "release": true to take it back.',
        )
    operator.put_limit(ExternalLimit(**values))


def _parsed(model: type[Model], example: str) -> Model:
    try:
        return model.model_validate_json(request.get_data(cache=False))
    except ValidationError as exc:
        first = exc.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or None
        raise InvalidRequestError(
            f"The request cannot be understood: {first['msg']}.", field=field, hint=example
        ) from exc


def _manual_answer(order: ManualOrder | None) -> Response:
    info = None if order is None else ManualInfo.model_validate(order)
    return json_answer(ManualAnswer(manual=info))


def _limits_answer(services: Services) -> Response:
    found = [LimitInfo.model_validate(limit) for limit in services.operator.limits_in_force()]
    return json_answer(LimitsInForceAnswer(limits=found))
