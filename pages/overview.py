"""The overview ``/``: is the plant well, what is it doing, why, what comes next, what is it worth.

Callbacks are thin: they fetch from `Services`, call pure functions of `ems_dash.ui` and return.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import dash
from dash import ALL, ClientsideFunction, Input, Output, State, no_update

from ems_dash.auth.access import actor, may
from ems_dash.auth.roles import Role
from ems_dash.i18n import label, said, t
from ems_dash.services import Services
from ems_dash.ui import components as ui
from ems_dash.ui import hand_view, strategy_model, strategy_view, why_view
from ems_dash.ui import live_delta as live
from ems_dash.ui import overview_view as view
from ems_dash.ui.branding import window_title
from ems_dash.ui.chart_window import PAST, ChartWindow, chart_window
from ems_dash.ui.fields import ShownTexts
from ems_dash.ui.last_known import last_soc
from ems_dash.ui.live import nothing_new
from ems_dash.ui.moment import Moment
from ems_dash.ui.next_steps import next_steps
from ems_dash.ui.pages import add_page
from ems_dash.ui.price_bars import PriceBar
from ems_dash.ui.request import request_is_narrow, request_lang, request_theme
from engine.domain.errors import EmsError
from engine.domain.records import RunRow
from engine.domain.series import MeasuredPoint
from engine.domain.strategy import StrategyKey
from engine.optimization.explanation import next_actions
from engine.runtime.planned_past import PlannedStep

log = logging.getLogger(__name__)

STEPS_SHOWN = 6

PLAN_CHART = {"type": "chart", "id": "plan"}
PRICE_CHART = {"type": "chart", "id": "price-soc"}


class _Overview:
    """The page of one app over its services."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._shown = ShownTexts()

    def layout(self, **_values: str) -> Any:
        moment = self._moment(request_lang())
        points = self._points(moment)
        part = self._plan_part(moment, points, request_theme())
        state = self._services.strategy_state()
        allowed = may(Role.OPERATOR)
        controls = [strategy_view.controls(state, allowed=allowed, lang=moment.lang)]
        if allowed:
            controls.append(
                hand_view.controls(
                    moment.snapshot.manual,
                    moment.snapshot.site.battery,
                    now=moment.now,
                    tz=moment.tz,
                    lang=moment.lang,
                )
            )
        card = strategy_view.card(self._choice(moment), controls, moment.lang)
        return view.page(moment, part, live.first_state(moment, points, self._shown), card)

    def delta(self, _tick: int, state: dict[str, Any] | None, lang: str) -> Any:
        moment = self._moment(lang)
        if nothing_new(state, moment):
            return no_update
        newest = live.since(state)
        points = [] if newest is None else self._services.measured(newest)
        return live.delta(state, moment, points, self._shown)

    def charts(self, _key: str, theme: str, lang: str) -> tuple[Any, ...]:
        moment = self._moment(lang)
        part = self._plan_part(moment, self._points(moment), theme)
        return (
            part.plan_figure,
            part.price_figure,
            part.plan_caption,
            part.price_caption,
            part.plan_summary,
            part.price_summary,
            part.steps,
            part.strip,
        )

    def lists(self, _key: str, lang: str) -> tuple[Any, ...]:
        moment = self._moment(lang)
        return (
            view.alarms(moment),
            view.badge_list(moment),
            view.notice_list(moment),
            view.device_list(moment),
            self._choice(moment),
        )

    def table(self, clicks: int | None, part: int, _key: str | None, lang: str) -> Any:
        """Return the plan step by step once it was asked for, and anew with every plan."""
        if not clicks:
            return no_update
        moment = self._moment(lang)
        plan = moment.snapshot.plan
        if plan is None:
            return ui.empty(t("steps.none", lang))
        return why_view.plan_table(plan, int(part), moment)

    def close_why(self, clicks: int | None) -> Any:
        """Close the reasons of a step."""
        return False if clicks else no_update

    def why(self, clicks: list[int | None], lang: str) -> tuple[Any, ...]:
        """Open the reason of the step whose button was pressed."""
        pressed = dash.ctx.triggered_id
        if not pressed or not any(clicks):
            return no_update, no_update, no_update
        moment = self._moment(lang)
        plan = moment.snapshot.plan
        index = None if plan is None else plan.step_at(datetime.fromtimestamp(pressed["step"], UTC))
        if plan is None or index is None:
            return True, t("why.button", lang), t("why.gone", lang)
        return (
            True,
            why_view.why_title(plan, index, moment),
            why_view.why_body(plan, index, moment),
        )

    def choose(
        self, _apply: int | None, _auto: int | None, strategy: str, hours: str, lang: str
    ) -> tuple[Any, Any]:
        """Take over a choice by hand or end it; return what was done and the new comparison."""
        moment = self._moment(lang)
        try:
            if dash.ctx.triggered_id == "ov-choice-auto":
                self._services.choose_automatically()
                done = t("choice.said_auto", lang)
            else:
                until = moment.now + timedelta(hours=int(hours))
                self._services.choose_strategy(StrategyKey(strategy), until)
                done = t(
                    "choice.said_manual",
                    lang,
                    strategy=label("strategy", strategy, lang),
                    until=strategy_model.until_text(until, moment.now, moment.tz, lang),
                )
        except EmsError as exc:
            return said(str(exc), lang), no_update
        return done, self._choice(moment)

    def control_by_hand(
        self,
        _start: int | None,
        _stop: int | None,
        action: str,
        power: float | None,
        minutes: str,
        soc: float | None,
        lang: str,
    ) -> str:
        """Start or end an order by hand; return what was done."""
        moment = self._moment(lang)
        operator = self._services.operator
        try:
            if dash.ctx.triggered_id == "ov-hand-stop":
                operator.end()
                return t("hand.said_stop", lang)
            wanted_kw = hand_view.power_kw(action, power)
            until = moment.now + timedelta(minutes=int(minutes))
            operator.give(wanted_kw, until, soc, actor())
        except ValueError:
            return t("hand.no_power", lang)
        except EmsError as exc:
            return said(str(exc), lang)
        return t("hand.said_start", lang)

    def _choice(self, moment: Moment) -> list[Any]:
        return strategy_view.choice(
            self._services.strategy_state(),
            moment.snapshot.plan,
            self._services.forecasts(),
            now=moment.now,
            tz=moment.tz,
            lang=moment.lang,
        )

    def _moment(self, lang: str) -> Moment:
        services = self._services
        snapshot, now = services.snapshot(), services.now()
        last = last_soc(services, snapshot, now)
        return Moment(snapshot, now, services.heartbeat_age_s(), lang, last)

    def _points(self, moment: Moment) -> list[MeasuredPoint]:
        return self._services.measured(moment.now - PAST - timedelta(minutes=15))

    def _published_prices(self, window: ChartWindow) -> list[PriceBar]:
        return [
            PriceBar(row.ts, row.minutes, row.spot_eur_per_kwh, False)
            for row in self._services.prices(window.start, window.end)
        ]

    def _plan_part(self, moment: Moment, points: list[MeasuredPoint], theme: str) -> view.PlanPart:
        plan = moment.snapshot.plan
        actions = []
        if plan is not None:
            actions = next_actions(
                plan,
                moment.now,
                limit=STEPS_SHOWN,
                battery=moment.snapshot.site.battery,
                every_reason=True,
            )
        steps = next_steps(actions, moment.now, moment.tz, moment.lang)
        window = chart_window(moment.now, moment.tz, points[0].ts if points else None)
        return view.plan_part(
            moment,
            points,
            self._published_prices(window),
            steps,
            window=window,
            theme=theme,
            narrow=request_is_narrow(),
            planned=self._planned(window),
            runs=self._runs(),
        )

    def _planned(self, window: ChartWindow) -> list[PlannedStep] | None:
        """Return what earlier plans wanted; None, which the page says, when it is unreadable."""
        try:
            return self._services.planned(window.start, window.now)
        except EmsError as exc:
            log.warning("earlier plans could not be read: %s", exc)
            return None

    def _runs(self) -> Sequence[RunRow]:
        """Return the last runs of the optimiser; none when they are unreadable."""
        try:
            return self._services.analytics.runs(1)
        except EmsError as exc:
            # The caption of the chart says it: the earlier plans are in the same history.
            log.warning("runs of the optimiser could not be read: %s", exc)
            return ()


def register(app: dash.Dash, services: Services) -> None:
    """Add the overview and its callbacks to `app`."""
    page = _Overview(services)
    add_page(
        app,
        "overview",
        "/",
        page.layout,
        title=lambda **_values: window_title(t("overview.title", request_lang())),
        nav_key="nav.overview",
    )
    app.callback(
        Output("ov-delta", "data"),
        Input("ov-tick", "n_intervals"),
        State("ov-state", "data"),
        State("lang", "data"),
        running=[(Output("ov-tick", "disabled"), True, False)],
        prevent_initial_call=True,
        role=Role.VIEWER,
    )(page.delta)
    app.clientside_callback(
        ClientsideFunction("ems", "applyDelta"),
        Output("ov-state", "data"),
        Output(PLAN_CHART, "extendData"),
        Output(PRICE_CHART, "extendData"),
        Output("ov-charts", "data"),
        Output("ov-lists", "data"),
        Input("ov-delta", "data"),
        State("ov-state", "data"),
        State(PLAN_CHART, "figure"),
        State(PRICE_CHART, "figure"),
        prevent_initial_call=True,
    )
    app.clientside_callback(
        ClientsideFunction("ems", "drawSparks"),
        Output("soc-spark", "title"),
        Input(PRICE_CHART, "figure"),
    )
    app.callback(
        Output(PLAN_CHART, "figure", allow_duplicate=True),
        Output(PRICE_CHART, "figure", allow_duplicate=True),
        Output("plan-caption", "children"),
        Output("price-caption", "children"),
        Output("plan-summary", "children"),
        Output("price-soc-summary", "children"),
        Output("ov-steps", "children"),
        Output("ov-strip", "children"),
        Input("ov-charts", "data"),
        State("theme", "data"),
        State("lang", "data"),
        prevent_initial_call=True,
        role=Role.VIEWER,
    )(page.charts)
    app.callback(
        Output("ov-alarms", "children"),
        Output("ov-badges", "children"),
        Output("ov-notices", "children"),
        Output("ov-devices", "children"),
        Output("ov-choice", "children"),
        Input("ov-lists", "data"),
        State("lang", "data"),
        prevent_initial_call=True,
        role=Role.VIEWER,
    )(page.lists)
    app.callback(
        Output("ov-table", "children"),
        Input("ov-table-open", "n_clicks"),
        Input("ov-table-part", "value"),
        Input("ov-charts", "data"),
        State("lang", "data"),
        prevent_initial_call=True,
        role=Role.VIEWER,
    )(page.table)
    app.callback(
        Output("ov-why", "is_open"),
        Output("ov-why-title", "children"),
        Output("ov-why-body", "children"),
        Input({"type": "ov-why", "step": ALL}, "n_clicks"),
        State("lang", "data"),
        prevent_initial_call=True,
        role=Role.VIEWER,
    )(page.why)
    app.callback(
        Output("ov-why", "is_open", allow_duplicate=True),
        Input("ov-why-close", "n_clicks"),
        prevent_initial_call=True,
        role=Role.VIEWER,
    )(page.close_why)
    app.callback(
        Output("ov-choice-said", "children"),
        Output("ov-choice", "children", allow_duplicate=True),
        Input("ov-choice-apply", "n_clicks"),
        Input("ov-choice-auto", "n_clicks"),
        State("ov-choice-strategy", "value"),
        State("ov-choice-hours", "value"),
        State("lang", "data"),
        prevent_initial_call=True,
        role=Role.OPERATOR,
    )(page.choose)
    app.callback(
        Output("ov-hand-said", "children"),
        Input("ov-hand-start", "n_clicks"),
        Input("ov-hand-stop", "n_clicks"),
        State("ov-hand-action", "value"),
        State("ov-hand-power", "value"),
        State("ov-hand-minutes", "value"),
        State("ov-hand-soc", "value"),
        State("lang", "data"),
        prevent_initial_call=True,
        role=Role.OPERATOR,
    )(page.control_by_hand)
