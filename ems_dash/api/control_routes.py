"""Routes that ask something of the battery: orders by hand, limits from outside."""

from __future__ import annotations

from datetime import timedelta

from flask import Blueprint, Flask, Response

from ems_dash.api.answers import InvalidRequestError, add_error_handlers, json_answer, wrong_site
from ems_dash.api.bodies import parsed_body
from ems_dash.api.control_models import (
    LimitInfo,
    LimitRequest,
    LimitsInForceAnswer,
    ManualAnswer,
    ManualInfo,
    ManualRequest,
)
from ems_dash.api.described import described
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


def register_control_api(server: Flask, services: Services) -> None:
    """Add the control routes to a Flask application."""
    api = Blueprint("control_api", __name__)

    def foreign() -> Response | None:
        return wrong_site(services.snapshot().site.site_id)

    @api.get("/api/control/manual")
    @needs(Role.VIEWER)
    @described("control", ManualAnswer)
    def manual() -> Response:
        """The order by hand in force, or null."""
        return foreign() or _manual_answer(services.snapshot().manual)

    @api.post("/api/control/manual")
    @needs(Role.OPERATOR)
    @described("control", ManualAnswer, body=ManualRequest)
    def give() -> Response:
        """Order a power by hand, + discharge and - charge, until a time or for some minutes.

        It ends earlier at `soc_percent`. Limits stay: what is written to the battery may be less.
        """
        if (wrong := foreign()) is not None:
            return wrong
        asked = parsed_body(ManualRequest, hint=_MANUAL_EXAMPLE)
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
    @described("control", ManualAnswer)
    def end() -> Response:
        """End the order by hand; the plan is followed again."""
        if (wrong := foreign()) is not None:
            return wrong
        services.operator.end()
        return _manual_answer(None)

    @api.get("/api/control/limits")
    @needs(Role.VIEWER)
    @described("control", LimitsInForceAnswer)
    def limits() -> Response:
        """Every limit from outside that applies now."""
        return foreign() or _limits_answer(services)

    @api.post("/api/control/limits")
    @needs(Role.OPERATOR)
    @described("control", LimitsInForceAnswer, body=LimitRequest)
    def limit() -> Response:
        """Limit what may be charged, discharged, imported or exported; or take a limit back."""
        if (wrong := foreign()) is not None:
            return wrong
        _take_limit(services, parsed_body(LimitRequest, hint=_LIMIT_EXAMPLE))
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


def _manual_answer(order: ManualOrder | None) -> Response:
    info = None if order is None else ManualInfo.model_validate(order)
    return json_answer(ManualAnswer(manual=info))


def _limits_answer(services: Services) -> Response:
    found = [LimitInfo.model_validate(limit) for limit in services.operator.limits_in_force()]
    return json_answer(LimitsInForceAnswer(limits=found))
