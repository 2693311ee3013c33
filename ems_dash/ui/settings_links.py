"""How the devices of the settings are connected at the moment: state, reason, since when."""

from __future__ import annotations

from typing import Any

from dash import html

from ems_dash.i18n import label, t
from ems_dash.ui import components as ui
from ems_dash.ui import format as fmt
from ems_dash.ui.fields import Fields
from ems_dash.ui.moment import Moment, calm_reason
from ems_dash.ui.overview_model import LINK_KIND
from ems_dash.ui.silence import offline_since


def link_fields(moment: Moment) -> Fields:
    """Return state, look and reason of every connection, each named by its place."""
    lang = moment.lang
    since = offline_since(moment.snapshot)
    out: Fields = {}
    for i, link in enumerate(moment.snapshot.links):
        why = "" if link.state == "online" else calm_reason(link.reason, lang)
        begun = since.get(link.name)
        if begun is not None:
            time = fmt.when(begun, moment.now, moment.tz, lang)
            why = " · ".join(filter(None, (t("silence.since", lang, time=time), why)))
        kind = LINK_KIND.get(link.state, "warn")
        out |= {
            f"set-lnk-{i}": label("link", link.state, lang),
            f"set-lnk-{i}.className": f"pill pill-small pill-{kind}",
            f"set-why-{i}": why,
        }
    return out


def link_parts(name: str, moment: Moment) -> list[Any]:
    """Return state and reason of the connection called `name`; a neutral pill without one.

    A device that is not saved yet, or waits for the next start, has none.
    """
    fields = link_fields(moment)
    for i, link in enumerate(moment.snapshot.links):
        if link.name == name:
            return [
                ui.live(html.Span, f"set-lnk-{i}", fields),
                ui.live(html.Span, f"set-why-{i}", fields, "set-device-why"),
            ]
    return [html.Span(t("set.device.on", moment.lang), className="pill pill-small pill-info")]
