"""The routes of the present: state, plan, telemetry, sites, health.

Every error under ``/api`` has the one shape
``{"error": {"code", "message", "field", "hint"}}``.
"""

from __future__ import annotations

import time
from datetime import timedelta

from flask import Blueprint, Flask, Response, current_app, request
from werkzeug.exceptions import HTTPException

from ems_dash.api.answers import (
    add_error_handlers,
    error,
    json_answer,
    revalidated,
    wrong_site,
)
from ems_dash.api.described import described
from ems_dash.api.models import (
    HealthAnswer,
    PlanAnswer,
    PlanRequested,
    PlanStep,
    SitesAnswer,
    StateAnswer,
    TelemetryAnswer,
    TelemetryRow,
    plan_answer,
    site_info,
    state_answer,
    telemetry_answer,
    telemetry_rows,
)
from ems_dash.api.parameters import WholeNumber
from ems_dash.api.request_guard import OneAtATime
from ems_dash.api.tabular import PROFILE, ROW_MEDIA, rows_answer, rows_route, wanted_format
from ems_dash.auth.access import needs, public
from ems_dash.auth.roles import Role
from ems_dash.services import Services
from ems_dash.site_router import all_sites
from engine.domain.snapshot import EngineSnapshot

STALLED_AFTER_CYCLES = 5
STALLED_AFTER_S = 30.0
"""The control loop hangs when its heartbeat is older than both."""

PLAN_INTERVAL_S = 5.0
"""Least time between two plans asked for: solving must not crowd out control."""

_METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE"]

_MINUTES = WholeNumber("minutes", 5, 1, 60, "How far back the control cycles reach.")
_LIMIT = WholeNumber("limit", 300, 1, 7200, "Only the newest so many control cycles.")


def register_api(server: Flask, services: Services) -> None:
    """Add the API routes to a Flask application.

    Must be called before the first request; Dash's own catch-all then never sees ``/api``.
    """
    api = Blueprint("api", __name__)
    gate = OneAtATime("request for a plan", PLAN_INTERVAL_S, time.monotonic)

    @api.get("/api/sites")
    @needs(Role.VIEWER)
    @described("state", SitesAnswer, site=False)
    def sites() -> Response:
        """The sites of this installation, and how large their batteries are."""
        found = [site_info(one.snapshot().site) for one in all_sites(services)]
        return json_answer(SitesAnswer(sites=found))

    @api.get("/api/state")
    @needs(Role.VIEWER)
    @described("state", StateAnswer)
    def state() -> Response:
        """Everything known after the newest control cycle.

        Signals carry their quality: what is `stale`, `bad` or `substituted` was not measured
        now. `simulated` is true when simulated devices supplied values.
        """
        snapshot = services.snapshot()
        if (wrong := wrong_site(snapshot.site.site_id)) is not None:
            return wrong
        return json_answer(state_answer(snapshot, services.heartbeat_age_s()))

    @rows_route(api, "/api/plan")
    @needs(Role.VIEWER)
    @described(
        "plan",
        PlanAnswer,
        query=(PROFILE,),
        media=ROW_MEDIA,
        revalidated=True,
        errors={404: "There is no such site, or no plan has been published yet."},
    )
    def plan() -> Response:
        """The plan in force, step by step.

        As CSV or Parquet: its steps.
        """
        snapshot = services.snapshot()
        site = snapshot.site
        if (wrong := wrong_site(site.site_id)) is not None:
            return wrong
        if snapshot.plan is None:
            failed = [h.last_error for h in snapshot.health if h.name == "plan" and h.last_error]
            return error(
                404,
                "no_plan",
                "No plan has been published yet.",
                hint=failed[0] if failed else "The first plan follows the first measurements.",
            )
        found = plan_answer(snapshot.plan, site.battery.energy_capacity_kwh)
        if (form := wanted_format()) is None:
            return revalidated(json_answer(found))
        return revalidated(
            rows_answer(
                form,
                PlanStep,
                found.steps,
                name="plan",
                site=site,
                now=snapshot.plan.created_at,
            )
        )

    @api.post("/api/plan")
    @needs(Role.OPERATOR)
    @described("plan", PlanRequested, status=202)
    def request_plan() -> Response:
        """Ask for a new plan as soon as possible.

        The plan in force stays until then. At most one request every five seconds.
        """
        snapshot = services.snapshot()
        if (wrong := wrong_site(snapshot.site.site_id)) is not None:
            return wrong
        with gate.turn():
            services.request_plan()
        in_force = snapshot.plan.plan_id if snapshot.plan is not None else None
        return json_answer(PlanRequested(requested=True, plan_in_force=in_force), 202)

    @rows_route(api, "/api/monitoring/telemetry")
    @needs(Role.VIEWER)
    @described("state", TelemetryAnswer, query=(_MINUTES, _LIMIT, PROFILE), media=ROW_MEDIA)
    def telemetry() -> Response:
        """The newest values as the pages show them, and the control cycles behind them.

        As CSV or Parquet: the cycles, one column per signal.
        """
        snapshot = services.snapshot()
        if (wrong := wrong_site(snapshot.site.site_id)) is not None:
            return wrong
        since = services.now() - timedelta(minutes=_MINUTES.read())
        cycles = services.recent(since, _LIMIT.read())
        if (form := wanted_format()) is None:
            return json_answer(telemetry_answer(snapshot, cycles))
        return rows_answer(
            form,
            TelemetryRow,
            telemetry_rows(cycles),
            name="telemetry",
            site=snapshot.site,
            now=services.now(),
        )

    @api.get("/healthz")
    @public
    @described(
        "service",
        HealthAnswer,
        site=False,
        also={503: (HealthAnswer, "The control loop hangs.")},
    )
    def healthz() -> Response:
        """Is the process alive, and its control loop beating; of several sites, the latest one."""
        # Nobody who asks this has chosen a site.
        found = [(one.heartbeat_age_s(), one.snapshot()) for one in all_sites(services)]
        age_s, snapshot = max(found, key=lambda each: each[0] / _longest_s(each[1]))
        alive = age_s <= _longest_s(snapshot)
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
        allowed = _allowed_methods("api.unknown")
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


def _longest_s(snapshot: EngineSnapshot) -> float:
    """Return the age of a heartbeat beyond which the control loop hangs."""
    return max(STALLED_AFTER_S, STALLED_AFTER_CYCLES * snapshot.timestep_s)


def _allowed_methods(but: str) -> list[str]:
    """Return the methods that endpoints other than `but` take at the path of the request."""
    adapter = current_app.create_url_adapter(request)
    found = []
    for method in (*_METHODS, "HEAD", "OPTIONS"):
        try:
            endpoint, _ = adapter.match(request.path, method) if adapter else (but, {})
        except HTTPException:
            continue
        if endpoint != but:
            found.append(method)
    return sorted(found)
