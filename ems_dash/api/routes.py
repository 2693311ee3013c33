"""The routes of the first API: state, plan and health.

Every error under ``/api`` has the one shape
``{"error": {"code", "message", "field", "hint"}}``.
"""

from __future__ import annotations

from flask import Blueprint, Flask, Response, current_app, request
from pydantic import BaseModel
from werkzeug.exceptions import HTTPException

from ems_dash.api.models import (
    ErrorAnswer,
    ErrorBody,
    HealthAnswer,
    plan_answer,
    state_answer,
)
from ems_dash.services import Services
from engine.domain.errors import EmsError

STALLED_AFTER_CYCLES = 5
STALLED_AFTER_S = 30.0
"""The control loop hangs when its heartbeat is older than both."""

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def register_api(server: Flask, services: Services) -> None:
    """Add the API routes to a Flask application.

    Must be called before the first request; Dash's own catch-all then never sees ``/api``.
    """
    api = Blueprint("api", __name__)

    @api.get("/api/state")
    def state() -> Response:
        snapshot = services.snapshot()
        if (wrong := _wrong_site(snapshot.site.site_id)) is not None:
            return wrong
        return _json(state_answer(snapshot, services.heartbeat_age_s()))

    @api.get("/api/plan")
    def plan() -> Response:
        snapshot = services.snapshot()
        if (wrong := _wrong_site(snapshot.site.site_id)) is not None:
            return wrong
        if snapshot.plan is None:
            failed = [h.last_error for h in snapshot.health if h.name == "plan" and h.last_error]
            return error(
                404,
                "no_plan",
                "No plan has been published yet.",
                hint=failed[0] if failed else "The first plan follows the first measurements.",
            )
        return _json(plan_answer(snapshot.plan, snapshot.site.battery.energy_capacity_kwh))

    @api.get("/healthz")
    def healthz() -> Response:
        age_s = services.heartbeat_age_s()
        snapshot = services.snapshot()
        alive = age_s <= max(STALLED_AFTER_S, STALLED_AFTER_CYCLES * snapshot.timestep_s)
        answer = HealthAnswer(
            status="ok" if alive else "stalled",
            heartbeat_age_s=age_s,
            state=snapshot.state.value,
        )
        return _json(answer, 200 if alive else 503)

    @api.route("/api/", defaults={"rest": ""}, methods=_METHODS)
    @api.route("/api/<path:rest>", methods=_METHODS)
    def unknown(rest: str) -> Response:
        allowed = sorted(
            method
            for rule in current_app.url_map.iter_rules()
            if rule.rule == request.path and rule.endpoint != "api.unknown"
            for method in rule.methods or ()
        )
        if allowed:
            answer = error(
                405,
                "method_not_allowed",
                f"{request.method} is not possible here.",
                hint=f"Use {', '.join(allowed)}.",
            )
            answer.headers["Allow"] = ", ".join(allowed)
            return answer
        return error(404, "not_found", f"There is no route /api/{rest}.")

    @api.errorhandler(EmsError)
    def known_error(exc: EmsError) -> Response:
        return error(503, exc.code, exc.message, field=exc.field, hint=exc.hint)

    @api.errorhandler(HTTPException)
    def http_error(exc: HTTPException) -> Response:
        name = (exc.name or "error").lower().replace(" ", "_")
        return error(exc.code or 500, name, exc.description or name)

    server.register_blueprint(api)


def error(
    status: int,
    code: str,
    message: str,
    *,
    field: str | None = None,
    hint: str | None = None,
) -> Response:
    """Return an error answer in the one shape."""
    body = ErrorBody(code=code, message=message, field=field, hint=hint)
    return _json(ErrorAnswer(error=body), status)


def _json(model: BaseModel, status: int = 200) -> Response:
    answer = Response(model.model_dump_json(), status=status, mimetype="application/json")
    answer.headers["Cache-Control"] = "no-store"
    return answer


def _wrong_site(site_id: str) -> Response | None:
    asked = request.args.get("site")
    if asked is None or asked == site_id:
        return None
    return error(
        404,
        "unknown_site",
        f"There is no site '{asked}'.",
        field="site",
        hint=f"This installation serves '{site_id}'.",
    )
