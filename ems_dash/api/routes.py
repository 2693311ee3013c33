"""The routes of the first API: state, plan and health.

Every error under ``/api`` has the one shape
``{"error": {"code", "message", "field", "hint"}}``.
"""

from __future__ import annotations

import time
from datetime import timedelta

from flask import Blueprint, Flask, Response, current_app, request
from pydantic import ValidationError

from ems_dash.api.answers import (
    InvalidRequestError,
    add_error_handlers,
    error,
    json_answer,
    whole_number,
    wrong_site,
)
from ems_dash.api.models import (
    AcknowledgedAnswer,
    AcknowledgeRequest,
    AlarmInfo,
    AlarmsAnswer,
    HealthAnswer,
    PlanRequested,
    plan_answer,
    state_answer,
    telemetry_answer,
)
from ems_dash.api.request_guard import OneAtATime
from ems_dash.auth.access import needs, public
from ems_dash.auth.roles import Role
from ems_dash.services import Services
from engine.domain.alarms import ENGINE_ALARMS
from engine.domain.signals import ALARMS

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
    @needs(Role.VIEWER)
    def state() -> Response:
        snapshot = services.snapshot()
        if (wrong := wrong_site(snapshot.site.site_id)) is not None:
            return wrong
        return json_answer(state_answer(snapshot, services.heartbeat_age_s()))

    @api.get("/api/plan")
    @needs(Role.VIEWER)
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
    @needs(Role.OPERATOR)
    def request_plan() -> Response:
        snapshot = services.snapshot()
        if (wrong := wrong_site(snapshot.site.site_id)) is not None:
            return wrong
        with gate.turn():
            services.request_plan()
        in_force = snapshot.plan.plan_id if snapshot.plan is not None else None
        return json_answer(PlanRequested(requested=True, plan_in_force=in_force), 202)

    @api.get("/api/alarms")
    @needs(Role.VIEWER)
    def alarms() -> Response:
        snapshot = services.snapshot()
        if (wrong := wrong_site(snapshot.site.site_id)) is not None:
            return wrong
        listed = [AlarmInfo.model_validate(alarm) for alarm in snapshot.alarms]
        return json_answer(AlarmsAnswer(alarms=listed))

    @api.post("/api/alarms/ack")
    @needs(Role.OPERATOR)
    def acknowledge() -> Response:
        if (wrong := wrong_site(services.snapshot().site.site_id)) is not None:
            return wrong
        name = _acknowledged_name()
        return json_answer(AcknowledgedAnswer(acknowledged=list(services.acknowledge(name))))

    @api.get("/api/monitoring/telemetry")
    @needs(Role.VIEWER)
    def telemetry() -> Response:
        snapshot = services.snapshot()
        if (wrong := wrong_site(snapshot.site.site_id)) is not None:
            return wrong
        minutes = whole_number("minutes", 5, 1, 60)
        limit = whole_number("limit", 300, 1, 7200)
        since = services.now() - timedelta(minutes=minutes)
        return json_answer(telemetry_answer(snapshot, services.recent(since, limit)))

    @api.get("/healthz")
    @public
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
    @needs(Role.VIEWER)
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


def _acknowledged_name() -> str | None:
    data = request.get_data(cache=False)
    if not data:
        return None
    try:
        name = AcknowledgeRequest.model_validate_json(data).name
    except ValidationError as exc:
        first = exc.errors()[0]
        field = ".".join(str(part) for part in first["loc"]) or None
        raise InvalidRequestError(
            f"The request cannot be understood: {first['msg']}.",
            field=field,
            hint='Send {"name": "system_fault"}, or nothing to acknowledge all.',
        ) from exc
    if name is not None and name.partition(":")[0] not in (*ALARMS, *ENGINE_ALARMS):
        raise InvalidRequestError(
            f"There is no alarm '{name}'.",
            field="name",
            value=name,
            hint=f"Known alarms: {', '.join((*ALARMS, *ENGINE_ALARMS))}.",
        )
    return name
