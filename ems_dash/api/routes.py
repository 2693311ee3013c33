"""The routes of the first API: state, plan and health.

Every error under ``/api`` has the one shape
``{"error": {"code", "message", "field", "hint"}}``.
"""

from __future__ import annotations

import time

from flask import Blueprint, Flask, Response, current_app, request

from ems_dash.api.answers import add_error_handlers, error, json_answer, wrong_site
from ems_dash.api.models import HealthAnswer, PlanRequested, plan_answer, state_answer
from ems_dash.api.request_guard import OneAtATime, require_local_request
from ems_dash.services import Services

STALLED_AFTER_CYCLES = 5
STALLED_AFTER_S = 30.0
"""The control loop hangs when its heartbeat is older than both."""

PLAN_INTERVAL_S = 5.0
"""Least time between two plans asked for: solving must not crowd out control."""

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]


def register_api(server: Flask, services: Services) -> None:
    """Add the API routes to a Flask application.

    Must be called before the first request; Dash's own catch-all then never sees ``/api``.
    """
    api = Blueprint("api", __name__)
    gate = OneAtATime("request for a plan", PLAN_INTERVAL_S, time.monotonic)

    @api.get("/api/state")
    def state() -> Response:
        snapshot = services.snapshot()
        if (wrong := wrong_site(snapshot.site.site_id)) is not None:
            return wrong
        return json_answer(state_answer(snapshot, services.heartbeat_age_s()))

    @api.get("/api/plan")
    def plan() -> Response:
        snapshot = services.snapshot()
        if (wrong := wrong_site(snapshot.site.site_id)) is not None:
            return wrong
        if snapshot.plan is None:
            failed = [h.last_error for h in snapshot.health if h.name == "plan" and h.last_error]
            return error(
                404,
                "no_plan",
                "No plan has been published yet.",
                hint=failed[0] if failed else "The first plan follows the first measurements.",
            )
        return json_answer(plan_answer(snapshot.plan, snapshot.site.battery.energy_capacity_kwh))

    @api.post("/api/plan")
    def request_plan() -> Response:
        require_local_request(request)
        snapshot = services.snapshot()
        if (wrong := wrong_site(snapshot.site.site_id)) is not None:
            return wrong
        with gate.turn():
            services.request_plan()
        in_force = snapshot.plan.plan_id if snapshot.plan is not None else None
        return json_answer(PlanRequested(requested=True, plan_in_force=in_force), 202)

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
        return json_answer(answer, 200 if alive else 503)

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

    add_error_handlers(api)
    server.register_blueprint(api)
