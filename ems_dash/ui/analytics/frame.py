"""What surrounds every view of the analytics: title, tabs, what is chosen from, a place to fill."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dash import dcc, html

from ems_dash.i18n import t
from ems_dash.ui import components as ui
from ems_dash.ui.analytics.tabs import tabs
from ems_dash.ui.fields import Fields
from ems_dash.ui.header import badges, site_line
from ems_dash.ui.live import TICK_MS
from ems_dash.ui.moment import Moment

SILENT = "an-silent"
"""Id of the line that says which devices do not answer; without a text it is not there."""


def page(
    moment: Moment,
    fields: Fields,
    first_state: Mapping[str, Any],
    *,
    view: str,
    picker: Any,
    first: Sequence[Any] = (),
) -> Any:
    """Return the page; what it is about comes when it is there.

    Args:
        moment: The state of the engine.
        fields: Texts that change while the page is looked at.
        first_state: What the browser has after this.
        view: Key of the view, see `tabs.VIEWS`.
        picker: What is chosen from.
        first: What is known at once of what it is about.
    """
    lang = moment.lang
    loading = html.Div(t("results.loading", lang), className="skeleton an-skeleton")
    return ui.live(
        html.Div,
        "an-root",
        fields,
        **{"data-tick": "an-tick"},
        children=[
            dcc.Interval(id="an-tick", interval=TICK_MS),
            dcc.Store(id="an-state", data=dict(first_state)),
            dcc.Store(id="an-delta"),
            dcc.Store(id="an-charts"),
            dcc.Store(id=f"an-address-{view}"),
            html.Div(t("late.bar", lang), className="late-bar", role="status"),
            html.Div(
                [
                    html.Div(
                        [
                            html.H1(t("analytics.title", lang)),
                            html.P(site_line(moment.snapshot, lang), className="subtitle"),
                        ]
                    ),
                    html.Div(
                        [ui.badge(entry) for entry in badges(moment.snapshot, lang)],
                        className="badges",
                    ),
                ],
                className="page-head",
            ),
            tabs(view, lang),
            # What is imported does not come from the devices.
            silent_line(SILENT, fields) if view != "import" else None,
            picker,
            html.Div(
                [*first, loading],
                id=f"an-body-{view}",
                className="an-body",
                **{"aria-live": "polite"},
            ),
        ],
    )


def silent_line(name: str, fields: Fields) -> Any:
    """Return the line below the tabs that says what is not measured at the moment."""
    return ui.live(html.Div, name, fields, "notice notice-alarm an-silent", role="status")
