"""Why one step of the plan does what it does: value now, value later, what would change it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from dash import html

from ems_dash.i18n import label, t
from ems_dash.ui import format as fmt
from ems_dash.ui.moment import Moment
from ems_dash.ui.strategy_model import until_text
from ems_dash.ui.why import why
from engine.domain.plan import Plan
from engine.domain.site import Battery
from engine.optimization.explanation import ActionKind, Reason, ReasonCode, explain
from engine.optimization.reasons import view_of
from engine.optimization.turning_points import TurningPoints, turning_points


def why_title(plan: Plan, index: int, moment: Moment) -> str:
    """Return what step `index` does, and when."""
    start = plan.start + index * plan.step
    view = view_of(plan, index)
    parts = [
        label("action", view.kind.value, moment.lang),
        f"{fmt.day_label(start, moment.tz, moment.lang)} "
        f"{fmt.time_range(start, start + plan.step, moment.tz)}",
    ]
    if view.kind is not ActionKind.HOLD:
        parts.append(str(fmt.power(abs(view.power_kw), moment.lang)))
    return " · ".join(parts)


def why_body(plan: Plan, index: int, moment: Moment) -> list[Any]:
    """Return the reason of step `index` as figures and sentences."""
    lang, battery = moment.lang, moment.snapshot.site.battery
    reason = explain(plan, battery)[index]
    kind = view_of(plan, index).kind
    rows = [
        (t("why.value", lang), str(fmt.price(reason.stored_value_eur_per_kwh, lang))),
        (t("why.price", lang), str(fmt.price(reason.price_eur_per_kwh, lang))),
        (t("why.later", lang), later_text(reason, moment)),
    ]
    return [
        html.P(why(reason, moment.now, moment.tz, lang)),
        html.Dl(
            [html.Div([html.Dt(what), html.Dd(text)]) for what, text in rows], className="facts"
        ),
        html.H3(t("why.change_title", lang)),
        html.P(what_would_change(kind, reason, turning_points(plan, index, battery), lang)),
    ]


def later_text(reason: Reason, moment: Moment) -> str:
    """Return what the stored energy, or the free room, waits for."""
    later, price = reason.best_later_ts, reason.best_later_eur_per_kwh
    if later is None or price is None:
        return t("why.nothing_later", moment.lang)
    return t(
        "why.later_at",
        moment.lang,
        price=fmt.price(price, moment.lang),
        time=until_text(later, moment.now, moment.tz, moment.lang),
        action=label(
            "action", reason.best_later_kind.value if reason.best_later_kind else "", moment.lang
        ),
    )


def what_would_change(kind: ActionKind, reason: Reason, turn: TurningPoints, lang: str) -> str:
    """Return at which price the step would do something else, in sentences."""
    below, above = fmt.price(turn.charge_below, lang), fmt.price(turn.discharge_above, lang)
    if reason.code is ReasonCode.CONSTRAINT:
        said = [t("why.change_constraint", lang)]
    elif kind is ActionKind.HOLD:
        charge = t("why.change_full" if turn.is_full else "why.change_charge", lang, price=below)
        key = "why.change_empty" if turn.is_empty else "why.change_discharge"
        said = [charge, t(key, lang, price=above)]
    elif kind in (ActionKind.DISCHARGE_LOAD, ActionKind.DISCHARGE_GRID):
        said = [t("why.change_stop_discharge", lang, price=above)]
    else:
        said = [t("why.change_stop_charge", lang, price=below)]
    said += [t(f"why.without.{driver.value}", lang) for driver in reason.drivers]
    return " ".join([*said, t("why.all_else", lang)])


PART = timedelta(hours=6)
"""How much of a plan the table shows at once: a browser draws it at once, a phone shows it."""

PARTS = 6


def plan_table(plan: Plan, part: int, moment: Moment) -> Any:
    """Return six hours of the plan as a table, one step per line with a button that says why.

    Args:
        plan: The plan.
        part: 0 for the next six hours, 1 for those after them.
        moment: The state of the engine.
    """
    lang, battery = moment.lang, moment.snapshot.site.battery
    first = plan.step_at(moment.now)
    if first is None:
        return html.P(t("steps.none", lang))
    count = PART // plan.step
    shown = range(min(first + part * count, plan.n_steps), plan.n_steps)[:count]
    heads = (
        t("plan.col_time", lang),
        t("plan.col_action", lang),
        t("plan.col_battery", lang),
        t("plan.col_soc", lang),
        t("plan.col_grid", lang),
        t("plan.col_pv", lang),
        t("plan.col_load", lang),
        t("plan.col_buy", lang),
        "",
    )
    return html.Table(
        [
            html.Caption(t("plan.table", lang), className="visually-hidden"),
            html.Thead(html.Tr([html.Th(head, scope="col") for head in heads])),
            html.Tbody([_step_row(plan, i, battery, moment) for i in shown]),
        ],
        className="value-table plan-table",
    )


def _step_row(plan: Plan, index: int, battery: Battery, moment: Moment) -> Any:
    lang = moment.lang
    start = plan.start + index * plan.step
    when = f"{fmt.day_label(start, moment.tz, lang)} {fmt.clock_time(start, moment.tz)}"
    soc = 100.0 * float(plan.soc_kwh[index]) / battery.energy_capacity_kwh
    cells = (
        label("action", view_of(plan, index).kind.value, lang),
        fmt.number(float(plan.battery_kw[index]), 1, lang, signed=True),
        str(fmt.percent(soc, lang)),
        fmt.number(float(plan.grid_kw[index]), 1, lang, signed=True),
        fmt.number(float(plan.pv_kw[index] - plan.curtailed_kw[index]), 1, lang),
        fmt.number(float(plan.load_kw[index]), 1, lang),
        fmt.number(100.0 * float(plan.buy_eur_per_kwh[index]), 1, lang),
    )
    return html.Tr(
        [
            html.Th(when, scope="row"),
            *(html.Td(cell) for cell in cells),
            html.Td(
                html.Button(
                    t("why.button", lang),
                    id={"type": "ov-why", "step": _stamp(start)},
                    className="link-button",
                    **{"aria-label": t("why.button_label", lang, time=when)},
                )
            ),
        ]
    )


def _stamp(start: datetime) -> int:
    return round(start.timestamp())
