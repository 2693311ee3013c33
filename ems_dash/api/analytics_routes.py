"""Routes about the past: states, optimiser runs, savings, key figures, attribution, data quality.

All only read. Days are local days of the site; ``since`` belongs to a period, ``until`` does not.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from zoneinfo import ZoneInfo

from flask import Blueprint, Flask, Response, request

from ems_dash.api.analytics_models import (
    AttributionAnswer,
    DailyAnswer,
    DayAttributionInfo,
    DayInfo,
    OptimizationHistoryAnswer,
    QualityAnswer,
    RunInfo,
    SavingsAnswer,
    SavingsRow,
    StateHistoryAnswer,
    StateRow,
    SummaryAnswer,
    attribution_answer,
    daily_answer,
    optimization_answer,
    quality_answer,
    savings_answer,
    savings_rows,
    state_history_answer,
    state_rows,
    summary_answer,
)
from ems_dash.api.answers import InvalidRequestError, add_error_handlers, json_answer, wrong_site
from ems_dash.api.described import described
from ems_dash.api.models import ApiModel
from ems_dash.api.paging import PAGING, page_of
from ems_dash.api.parameters import Day, WholeNumber
from ems_dash.api.tabular import PROFILE, ROW_MEDIA, rows_answer, rows_route, wanted_format
from ems_dash.auth.access import needs
from ems_dash.auth.roles import Role
from ems_dash.services import Services
from engine.domain.local_days import day_after, local_day, local_midnight
from engine.domain.site import Site
from engine.history.export_request import ExportFormat

LONGEST_HOURS = 31 * 24
LONGEST_RUN_DAYS = 35
LONGEST_DAYS = 3 * 366


_HOURS = WholeNumber("hours", 24, 1, LONGEST_HOURS, "How far back it reaches.")
_RUN_DAYS = WholeNumber("days", 7, 1, LONGEST_RUN_DAYS, "How far back it reaches.")
_SINCE = Day("since", "First local day.")
_UNTIL = Day("until", "Local day after the last one; left out, tomorrow.")
_DAY = Day("day", "Local day; left out, today.")


def _period(default: int) -> tuple[WholeNumber, Day, Day]:
    meaning = "The last so many local days, today included; or give `since`."
    return WholeNumber("days", default, 1, LONGEST_DAYS, meaning), _SINCE, _UNTIL


_MONTH, _TODAY = _period(30), _period(1)


def register_analytics_api(server: Flask, services: Services) -> None:
    """Add the routes about the past to a Flask application."""
    api = Blueprint("analytics_api", __name__)

    @api.before_request
    def right_site() -> Response | None:
        return wrong_site(services.snapshot().site.site_id)

    def site() -> Site:
        return services.snapshot().site

    def table(
        form: ExportFormat, model: type[ApiModel], rows: Sequence[ApiModel], name: str
    ) -> Response:
        return rows_answer(form, model, rows, name=name, site=site(), now=services.now())

    @rows_route(api, "/api/history/state")
    @needs(Role.VIEWER)
    @described("history", StateHistoryAnswer, query=(_HOURS, PROFILE), media=ROW_MEDIA)
    def state() -> Response:
        """States and powers of the last hours: minutes, beyond two days quarter-hours."""
        hours = _HOURS.read()
        found = state_history_answer(site().site_id, services.analytics.state_history(hours))
        if (form := wanted_format()) is None:
            return json_answer(found)
        return table(form, StateRow, state_rows(found), "state")

    @rows_route(api, "/api/history/optimization")
    @needs(Role.VIEWER)
    @described(
        "history",
        OptimizationHistoryAnswer,
        query=(_RUN_DAYS, *PAGING, PROFILE),
        media=ROW_MEDIA,
    )
    def optimization() -> Response:
        """Runs of the optimiser, also those that led to no plan, oldest first."""
        days = _RUN_DAYS.read()
        runs, page = page_of(services.analytics.runs(days))
        if (form := wanted_format()) is None:
            return json_answer(optimization_answer(site().site_id, days, runs, page))
        return table(form, RunInfo, [RunInfo.model_validate(run) for run in runs], "optimization")

    @rows_route(api, "/api/analytics/daily")
    @needs(Role.VIEWER)
    @described("analytics", DailyAnswer, query=(*_MONTH, PROFILE), media=ROW_MEDIA)
    def daily() -> Response:
        """Totals and key figures of each local day, ascending; null where unknown."""
        since, until = _days(services, 30)
        here = site()
        found = daily_answer(here.site_id, here.timezone, services.analytics.days(since, until))
        if (form := wanted_format()) is None:
            return json_answer(found)
        return table(form, DayInfo, found.days, "daily")

    @api.get("/api/analytics/summary")
    @needs(Role.VIEWER)
    @described("analytics", SummaryAnswer, query=_MONTH)
    def summary() -> Response:
        """Key figures of some local days as one period."""
        found = services.analytics.summary(*_days(services, 30))
        return json_answer(summary_answer(site().site_id, site().timezone, found))

    @rows_route(api, "/api/analytics/attribution")
    @needs(Role.VIEWER)
    @described("analytics", AttributionAnswer, query=(*_MONTH, PROFILE), media=ROW_MEDIA)
    def attribution() -> Response:
        """Why less was earned than with perfect foresight; the parts add up to the gap."""
        found = attribution_answer(
            site().site_id, services.analytics.attribution(*_days(services, 30))
        )
        if (form := wanted_format()) is None:
            return json_answer(found)
        return table(form, DayAttributionInfo, found.by_day, "attribution")

    @rows_route(api, "/api/analytics/savings")
    @needs(Role.VIEWER)
    @described("analytics", SavingsAnswer, query=(*_TODAY, *PAGING, PROFILE), media=ROW_MEDIA)
    def savings() -> Response:
        """The savings ledger, quarter-hour by quarter-hour; at most 35 days."""
        here = site()
        zone = ZoneInfo(here.timezone)
        since, until = (local_midnight(day, zone) for day in _days(services, 1))
        found, page = page_of(services.analytics.savings(since, until))
        if (form := wanted_format()) is None:
            return json_answer(savings_answer(here.site_id, here.timezone, found, page))
        return table(form, SavingsRow, savings_rows(found), "savings")

    @api.get("/api/analytics/quality")
    @needs(Role.VIEWER)
    @described("analytics", QualityAnswer, query=(_DAY,))
    def quality() -> Response:
        """Data quality of one local day: gaps, frozen signals, balance, findings."""
        day = _DAY.read() or _today(services)
        return json_answer(quality_answer(site().site_id, services.analytics.quality(day)))

    add_error_handlers(api)
    server.register_blueprint(api)


def _today(services: Services) -> date:
    return local_day(services.now(), ZoneInfo(services.snapshot().site.timezone))


def _days(services: Services, default: int) -> tuple[date, date]:
    """Return the asked local days: ``since`` and ``until``, or the last ``days`` with today.

    Raises:
        InvalidRequestError: They cannot be understood, or are no period.
    """
    since, until, today = _SINCE.read(), _UNTIL.read(), _today(services)
    if since is None and until is None:
        days = _period(default)[0].read()
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
