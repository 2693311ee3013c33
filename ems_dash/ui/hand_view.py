"""The card to control the battery by hand: an action, a power, and always an end."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import dash_bootstrap_components as dbc
from dash import html

from ems_dash.i18n import t
from ems_dash.ui.strategy_model import order_text
from engine.domain.control import ManualOrder
from engine.domain.site import Battery

ACTIONS = ("charge", "discharge", "idle")
MINUTES = (5, 15, 30, 60, 120, 240, 480)
FIRST_MINUTES = 30


def power_kw(action: str, power: float | None) -> float:
    """Return the battery power of an order, + discharge.

    Args:
        action: One of `ACTIONS`.
        power: Power as typed, kW; not needed to stand still.

    Raises:
        ValueError: A power is needed and missing, or not above 0.
    """
    if action == "idle":
        return 0.0
    if power is None or not power > 0.0:
        raise ValueError("power")
    return power if action == "discharge" else -power


def controls(
    order: ManualOrder | None, battery: Battery, *, now: datetime, tz: ZoneInfo, lang: str
) -> Any:
    """Return the controls with the order in force."""
    most_kw = max(battery.power_charge_max_kw, battery.power_discharge_max_kw)
    return html.Div(
        [
            html.H3(t("hand.title", lang)),
            html.Div(
                [
                    _field(
                        t("hand.do", lang),
                        "ov-hand-action",
                        dbc.Select(
                            id="ov-hand-action",
                            options=[
                                {"label": t(f"hand.{name}", lang), "value": name}
                                for name in ACTIONS
                            ],
                            value="charge",
                        ),
                    ),
                    _field(
                        t("hand.power", lang),
                        "ov-hand-power",
                        dbc.Input(
                            id="ov-hand-power", type="number", min=0, max=most_kw, step="any"
                        ),
                    ),
                    _field(
                        t("hand.for", lang),
                        "ov-hand-minutes",
                        dbc.Select(
                            id="ov-hand-minutes",
                            options=[
                                {
                                    "label": t("hand.minutes", lang, minutes=minutes),
                                    "value": str(minutes),
                                }
                                for minutes in MINUTES
                            ],
                            value=str(FIRST_MINUTES),
                        ),
                    ),
                    _field(
                        t("hand.until_soc", lang),
                        "ov-hand-soc",
                        dbc.Input(
                            id="ov-hand-soc",
                            type="number",
                            min=battery.soc_min_percent,
                            max=battery.soc_max_percent,
                            step="any",
                            placeholder=t("hand.optional", lang),
                        ),
                    ),
                ],
                className="hand-fields",
            ),
            html.Div(
                [
                    dbc.Button(t("hand.start", lang), id="ov-hand-start", className="button-main"),
                    dbc.Button(t("hand.stop", lang), id="ov-hand-stop", className="button"),
                ],
                className="choice-buttons",
            ),
            html.Div(order_text(order, now, tz, lang), id="hand-now", className="choice-said"),
            html.Div(id="ov-hand-said", className="choice-said", role="status"),
        ],
        className="choice-controls",
    )


def _field(label: str, target: str, control: Any) -> Any:
    return html.Div([dbc.Label(label, html_for=target), control])
