"""The plant as a picture: PV, grid, battery and load around one busbar, with live values.

Direction is shown by arrows and said in words, strength by the width of a line; colour only
repeats what stands there.
"""

from __future__ import annotations

from typing import Any

from dash import html

from ems_dash.i18n import t
from ems_dash.ui import components as ui
from ems_dash.ui.fields import Fields

NODES = (
    ("pv", "row.pv", "sun", "pv"),
    ("grid", "row.grid", "plug", "grid"),
    ("load", "row.load_label", "house-door", "load"),
    ("bat", "row.battery", "battery-charging", "battery"),
)
"""Field stem, label, icon and role; in the order they are read."""


def flow(fields: Fields, lang: str) -> Any:
    """Return the picture; its texts are the fields ``<stem>-v``, ``-w`` and ``-p``."""
    return html.Div(
        [
            *(
                _node(name, t(key, lang), icon_name, role, fields)
                for name, key, icon_name, role in NODES
            ),
            *(
                html.Span(
                    ui.live(
                        html.Span,
                        f"flow-{name}",
                        fields,
                        children=html.Span(
                            html.Span(className="flow-dashes"), className="flow-track"
                        ),
                    ),
                    className=f"flow-arm flow-arm-{name} role-{role}",
                    **{"aria-hidden": "true"},
                )
                for name, _key, _icon, role in NODES
            ),
            html.Span(className="flow-hub", **{"aria-hidden": "true"}),
        ],
        className="flow",
        role="group",
        **{"aria-label": t("status.flow", lang)},
    )


def _node(name: str, label: str, icon_name: str, role: str, fields: Fields) -> Any:
    return html.Div(
        ui.live(
            html.Div,
            name,
            fields,
            children=[
                html.Span(ui.icon(icon_name, role), className=f"flow-node role-{role}"),
                html.Div(
                    [
                        html.Div(label, className="flow-name"),
                        html.Div(
                            [
                                ui.live(html.Span, f"{name}-v", fields, "row-number"),
                                html.Span("kW", className="unit"),
                            ],
                            className="row-value flow-value",
                        ),
                        ui.live(html.Div, f"{name}-w", fields, "row-word"),
                        ui.mark_pill(f"{name}-p", fields),
                    ],
                    className="flow-text",
                ),
            ],
        ),
        className=f"flow-cell flow-cell-{name}",
    )
