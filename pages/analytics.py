"""The results ``/analytics``: what the battery earned in a period, why not more, and what it cost.

Callbacks are thin: they fetch from `Services`, call pure functions of `ems_dash.ui.analytics` and
return. The address keeps period, comparison and picture.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import dash
import numpy as np
from dash import Input, Output, State

from ems_dash.auth.roles import Role
from ems_dash.i18n import said, t
from ems_dash.services import Services
from ems_dash.ui import components as ui
from ems_dash.ui.analytics import results_figures as fig
from ems_dash.ui.analytics import results_model as model
from ems_dash.ui.analytics import results_view as view
from ems_dash.ui.analytics.periods import CUSTOM, Period, period_of
from ems_dash.ui.branding import window_title
from ems_dash.ui.forecasts.figures import Look
from ems_dash.ui.moment import Moment
from ems_dash.ui.pages import add_page
from ems_dash.ui.request import request_is_narrow, request_lang
from engine.analytics.money import total
from engine.domain.errors import EmsError
from engine.domain.local_days import day_period, days_between, local_day
from engine.domain.records import RunRow
from engine.history.series_query import MOST_POINTS, SeriesQuery, Step
from engine.runtime.analytics_service import PeriodAttribution
from pages.analytics_frame import Frame, register_address, register_frame

T = TypeVar("T")

LONGEST_HEAT = timedelta(days=366)
"""Longer periods show their last year as a picture of hours by days."""

_HEAT_UNITS = {"price": ("ct/kWh", 100.0), "grid": ("kW", 1.0), "soc": ("%", 1.0)}


class _Results:
    """The page of one app over its services."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._frame = Frame(services)

    def layout(
        self,
        period: str | None = None,
        against: str | None = None,
        heat: str | None = None,
        to: str | None = None,
        **values: str,
    ) -> Any:
        moment = self._moment(request_lang())
        chosen = period_of(period, values.get("from"), to, self._today(moment))
        baseline = _baseline(against)
        picker = view.picker(chosen, baseline, _heat(heat), moment.lang)
        return self._frame.page(moment, "results", picker, self._first(chosen, baseline, moment))

    def _first(self, period: Period, baseline: str, moment: Moment) -> list[Any]:
        """Return the key figures, which are read faster than a browser starts."""
        try:
            whole = self._services.analytics.summary(period.since, period.until)
        except EmsError:
            # What fills the page asks again at once and says what is wrong.
            return []
        return view.beginning(period, model.cards(whole, baseline, moment.lang), moment.lang)

    def fill(
        self,
        asked: dict[str, Any],
        against: str,
        heat: str,
        theme: str,
        lang: str,
    ) -> tuple[Any, ...]:
        """Return the results of what is chosen, whether days are to be chosen, the address."""
        moment = self._moment(lang)
        period = period_of(asked["period"], asked["since"], asked["until"], self._today(moment))
        look = Look(theme, lang, request_is_narrow())
        baseline, picture = _baseline(against), _heat(heat)
        try:
            results = self._results(moment, period, baseline, picture, look)
        except EmsError as exc:
            body: list[Any] = [ui.empty(t("results.failed", lang), said(str(exc), lang))]
        else:
            body = view.body(results, baseline, picture, lang)
        address = {**period.address(), "against": baseline, "heat": picture}
        return body, period.key != CUSTOM, address

    def _results(
        self, moment: Moment, period: Period, baseline: str, heat: str, look: Look
    ) -> view.Results:
        analytics = self._services.analytics
        notes: list[str] = []
        days = analytics.days(period.since, period.until)
        whole = analytics.summary(period.since, period.until)
        attribution = _or_note(
            lambda: analytics.attribution(period.since, period.until),
            PeriodAttribution(period.since, period.until, 0, None, {}),
            notes,
        )
        waterfall = None
        if attribution.total is not None:
            known = [day for day in days if day.day in attribution.by_day]
            best = total(day.values.get("perfect_profit_eur") or 0.0 for day in known)
            earned = total((best, -attribution.total.gap_eur))
            waterfall = fig.waterfall_figure(best, attribution.total.causes, earned, look)
        zone = self._zone(moment)
        start, end = day_period(period.since, zone)[0], day_period(period.last, zone)[1]
        until = min(end, moment.now)
        return view.Results(
            period=period,
            start=start,
            end=end,
            cards=model.cards(whole, baseline, look.lang),
            daily=fig.daily_figure(days, baseline, look),
            peaks=fig.peaks_figure(days, look),
            waterfall=waterfall,
            attribution=attribution,
            heat=self._heat_figure(period, heat, until, zone=zone, look=look, notes=notes),
            duration=self._duration(start, until, look, notes),
            shares=self._shares(moment, start, until, notes),
            ledger=model.ledger_lines(days, whole, baseline, look.lang),
            quality=_or_note(
                lambda: analytics.quality(min(period.last, self._today(moment))), None, notes
            ),
            notes=tuple(dict.fromkeys(said(note, look.lang) for note in notes)),
        )

    def _heat_figure(
        self,
        period: Period,
        heat: str,
        until: datetime,
        *,
        zone: ZoneInfo,
        look: Look,
        notes: list[str],
    ) -> dict[str, Any]:
        signal, role = next((s, r) for key, s, r in view.HEAT_CHOICES if key == heat)
        unit, factor = _HEAT_UNITS[heat]
        first = max(period.since, period.until - LONGEST_HEAT)
        days = list(days_between(first, period.until))
        start = day_period(first, zone)[0]
        ts, values = self._series((signal,), start, until, Step.HOUR, notes).get(signal, _NOTHING)
        # cents and kilowatts: a picture needs no more digits than its scale
        offsets = [_offset_s(at, zone) for at in ts]
        means = fig.hourly_means(ts, values * factor, days, offsets)
        return fig.heat_figure(days, means, unit, role, look)

    def _duration(
        self, start: datetime, until: datetime, look: Look, notes: list[str]
    ) -> dict[str, Any] | None:
        found = self._series(("load_kw", "grid_kw"), start, until, Step.QUARTER_HOUR, notes)
        if not found:
            return None
        load, grid = (found.get(name, _NOTHING)[1] for name in ("load_kw", "grid_kw"))
        return fig.duration_figure(load, grid, look)

    def _series(
        self,
        signals: tuple[str, ...],
        start: datetime,
        until: datetime,
        step: Step,
        notes: list[str],
    ) -> dict[str, tuple[Any, Any]]:
        """Return times and values of each series; nothing, and a note, where it failed."""
        if until <= start:
            return {}
        query = SeriesQuery(
            self._services.snapshot().site.site_id,
            signals,
            start,
            until,
            step=step,
            max_points=MOST_POINTS,
            statistics=False,
        )
        answer = _or_note(lambda: self._services.history.series(query), None, notes)
        if answer is None:
            return {}
        return {name: (one.ts, one.values) for name, one in answer.series.items()}

    def _shares(
        self, moment: Moment, start: datetime, until: datetime, notes: list[str]
    ) -> list[tuple[str, float]]:
        days = max(1, (moment.now - start).days + 2)
        none: Sequence[RunRow] = ()
        runs = _or_note(lambda: self._services.analytics.runs(days), none, notes)
        return model.strategy_shares(runs, start, until)

    def _zone(self, moment: Moment) -> ZoneInfo:
        return ZoneInfo(moment.snapshot.site.timezone)

    def _today(self, moment: Moment) -> date:
        return local_day(moment.now, self._zone(moment))

    def _moment(self, lang: str) -> Moment:
        return self._frame.moment(lang)


_NOTHING: tuple[Any, Any] = (np.empty(0, dtype="datetime64[us]"), np.empty(0))


def _or_note(read: Callable[[], T], otherwise: T, notes: list[str]) -> T:
    """Return what `read` gives; where it fails, say so and show the rest of the page."""
    try:
        return read()
    except EmsError as exc:
        notes.append(str(exc))
        return otherwise


def _offset_s(at: np.datetime64, zone: ZoneInfo) -> int:
    moment = datetime.fromtimestamp(int(at.astype("datetime64[s]").astype(np.int64)), UTC)
    offset = moment.astimezone(zone).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())


def _baseline(asked: str | None) -> str:
    return asked if asked in model.BASELINES else model.BASELINES[0]


def _heat(asked: str | None) -> str:
    return asked if asked in _HEAT_UNITS else "price"


def register(app: dash.Dash, services: Services) -> None:
    """Add the results and their callbacks to `app`."""
    page = _Results(services)
    add_page(
        app,
        "analytics",
        "/analytics",
        page.layout,
        title=lambda **_values: window_title(t("analytics.title", request_lang())),
        nav_key="nav.analytics",
    )
    register_frame(app, services)
    register_address(app, "results")
    app.callback(
        output=[
            Output("an-body-results", "children"),
            Output("an-days", "hidden"),
            Output("an-address-results", "data"),
        ],
        inputs={
            "asked": {
                "period": Input("an-period", "value"),
                "since": Input("an-from", "value"),
                "until": Input("an-to", "value"),
            },
            "against": Input("an-baseline", "value"),
            "heat": Input("an-heat-choice", "value"),
            "theme": Input("theme", "data"),
            "lang": State("lang", "data"),
        },
        role=Role.VIEWER,
    )(page.fill)
