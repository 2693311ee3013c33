"""Routes about the past: states, optimiser runs, savings, key figures, attribution, data quality.

All only read. Days are local days of the site; ``since`` belongs to a period, ``until`` does not.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

from flask import Blueprint, Flask, Response, request

from ems_dash.api.analytics_models import (
    attribution_answer,
    daily_answer,
    optimization_answer,
    quality_answer,
    savings_answer,
    state_history_answer,
    summary_answer,
)
from ems_dash.api.answers import (
    InvalidRequestError,
    add_error_handlers,
    json_answer,
    whole_number,
    wrong_site,
)
from ems_dash.auth.access import needs
from ems_dash.auth.roles import Role
from ems_dash.services import Services
from engine.analytics.local_days import day_after, local_day, local_midnight

LONGEST_HOURS = 31 * 24
LONGEST_RUN_DAYS = 35
LONGEST_DAYS = 3 * 366


def register_analytics_api(server: Flask, services: Services) -> None:
    """Add the routes about the past to a Flask application."""
    api = Blueprint("analytics_api", __name__)

    @api.before_request
    def right_site() -> Response | None:
        return wrong_site(services.snapshot().site.site_id)

    @api.get("/api/history/state")
    @needs(Role.VIEWER)
    def state() -> Response:
        hours = whole_number("hours", 24, 1, LONGEST_HOURS)
        site_id = services.snapshot().site.site_id
        return json_answer(state_history_answer(site_id, services.analytics.state_history(hours)))

    @api.get("/api/history/optimization")
    @needs(Role.VIEWER)
    def optimization() -> Response:
        days = whole_number("days", 7, 1, LONGEST_RUN_DAYS)
        site_id = services.snapshot().site.site_id
        return json_answer(optimization_answer(site_id, days, services.analytics.runs(days)))

    @api.get("/api/analytics/daily")
    @needs(Role.VIEWER)
    def daily() -> Response:
        site = services.snapshot().site
        since, until = _days(services, 30)
        found = services.analytics.days(since, until)
        return json_answer(daily_answer(site.site_id, site.timezone, found))

    @api.get("/api/analytics/summary")
    @needs(Role.VIEWER)
    def summary() -> Response:
        site = services.snapshot().site
        found = services.analytics.summary(*_days(services, 30))
        return json_answer(summary_answer(site.site_id, site.timezone, found))

    @api.get("/api/analytics/attribution")
    @needs(Role.VIEWER)
    def attribution() -> Response:
        site_id = services.snapshot().site.site_id
        found = services.analytics.attribution(*_days(services, 30))
        return json_answer(attribution_answer(site_id, found))

    @api.get("/api/analytics/savings")
    @needs(Role.VIEWER)
    def savings() -> Response:
        site = services.snapshot().site
        zone = ZoneInfo(site.timezone)
        since, until = (local_midnight(day, zone) for day in _days(services, 1))
        found = services.analytics.savings(since, until)
        return json_answer(savings_answer(site.site_id, site.timezone, found))

    @api.get("/api/analytics/quality")
    @needs(Role.VIEWER)
    def quality() -> Response:
        site_id = services.snapshot().site.site_id
        day = _day("day") or _today(services)
        return json_answer(quality_answer(site_id, services.analytics.quality(day)))

    add_error_handlers(api)
    server.register_blueprint(api)


def _today(services: Services) -> date:
    return local_day(services.now(), ZoneInfo(services.snapshot().site.timezone))


def _days(services: Services, default: int) -> tuple[date, date]:
    """Return the asked local days: ``since`` and ``until``, or the last ``days`` with today.

    Raises:
        InvalidRequestError: They cannot be understood, or are no period.
    """
    since, until, today = _day("since"), _day("until"), _today(services)
    if since is None and until is None:
        days = whole_number("days", default, 1, LONGEST_DAYS)
        return today - timedelta(days=days - 1), day_after(today)
    if request.args.get("days") is not None or since is None:
        raise InvalidRequestError(
            "A period is given by days, or by since with or without until.",
            field="days" if since is not None else "since",
            hint="Ask for ?days=7, or for ?since=2026-11-01&until=2026-12-01.",
        )
    end = until or day_after(today)
    if not since < end <= since + timedelta(days=LONGEST_DAYS):
        raise InvalidRequestError(
            f"From {since} to {end} is no period that can be answered.",
            field="until",
            value=str(end),
            hint=f"Let it end after it begins, at most {LONGEST_DAYS} days later.",
        )
    return since, end


def _day(name: str) -> date | None:
    text = request.args.get(name)
    if text is None:
        return None
    try:
        return datetime.strptime(text, "%Y-%m-%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError as exc:
        raise InvalidRequestError(
            f"'{text[:40]}' is no day.", field=name, value=text, hint="Write it like 2026-11-25."
        ) from exc
