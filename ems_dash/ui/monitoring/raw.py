"""Raw telemetry as JSON, calm enough to be read and copied."""

from __future__ import annotations

import json
from datetime import UTC
from typing import Any

from dash import html

from ems_dash.api.models import telemetry_answer
from ems_dash.i18n import t
from ems_dash.ui import components as ui
from ems_dash.ui.moment import Moment

EVERY_S = 10
"""How often the text follows the plant."""

API_PATH = "/api/monitoring/telemetry?minutes=5"


def raw_text(moment: Moment) -> str:
    """Return the newest values as shown: the API's answer without the cycles behind."""
    answer = telemetry_answer(moment.snapshot, ()).model_dump(mode="json", exclude={"cycles"})
    answer = {"ts": f"{moment.snapshot.ts.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", **answer}
    return json.dumps(answer, indent=2, ensure_ascii=False)


def raw_panel(moment: Moment, *, held: bool) -> Any:
    """Return the text with buttons to hold and to copy it."""
    lang = moment.lang
    return [
        html.Div(
            [
                ui.segment(
                    "mon-hold",
                    t("raw.update", lang),
                    [("no", t("raw.follow", lang)), ("yes", t("raw.hold", lang))],
                    "yes" if held else "no",
                ),
                html.Button(
                    [ui.icon("clipboard"), html.Span(t("raw.copy", lang))],
                    className="button button-small",
                    type="button",
                    **{"data-copy": "mon-raw-text", "data-said": t("raw.copied", lang)},
                ),
                html.A(t("raw.api", lang), href=API_PATH, className="caption"),
                html.Span("", id="mon-raw-text-said", className="caption", role="status"),
            ],
            className="panel-tools",
        ),
        html.P(t("raw.note", lang, seconds=EVERY_S), className="table-note"),
        html.Pre(
            raw_text(moment),
            id="mon-raw-text",
            className="raw-text",
            tabIndex="0",
            role="region",
            **{"aria-label": t("monitoring.tab_raw", lang)},
        ),
    ]
