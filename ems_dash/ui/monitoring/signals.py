"""The table of signals: value, source, quality with its reason, age."""

from __future__ import annotations

from typing import Any

from dash import html

from ems_dash.i18n import t
from ems_dash.ui import components as ui
from ems_dash.ui.fields import Fields
from ems_dash.ui.moment import Moment, calm_reason
from ems_dash.ui.monitoring import signal_text as text
from engine.domain.sample import ProcessImage, Quality
from engine.domain.signals import SIGNALS

WORDY = frozenset({"alarm_bits"})
"""Signals shown as several words, which on a phone need a line of their own."""


def supplied(image: ProcessImage) -> tuple[str, ...]:
    """Return the signals some device supplies or is meant to, in the order of the catalogue."""
    known = [name for name in SIGNALS if name in image.samples]
    return (*known, *sorted(set(image.samples) - set(SIGNALS)))


def structure(moment: Moment) -> str:
    """Return a name for the rows of the table; it changes when other rows are needed."""
    return ",".join(supplied(moment.snapshot.image))


def signal_fields(moment: Moment) -> Fields:
    """Return the texts of the table."""
    out: Fields = {}
    snapshot, lang = moment.snapshot, moment.lang
    silent = {link.name for link in snapshot.links if link.state == "offline"}
    for name in supplied(snapshot.image):
        sample = text.shown_sample(snapshot, name)
        if sample is None:
            continue
        stem = f"sig-{name}"
        trusted = sample.quality is not Quality.BAD
        figure = text.figure(name, sample.value if trusted else None, lang)
        out[f"{stem}-v"] = figure.text
        out[f"{stem}-u"] = figure.unit
        out[f"{stem}-s"] = text.source_of(sample, lang)
        out[f"{stem}-q"] = text.quality_word(sample.quality, lang)
        out[f"{stem}-q.className"] = f"pill pill-small pill-{text.QUALITY_KIND[sample.quality]}"
        reason = calm_reason(sample.reason, lang)
        # Why a device is silent is said once, among the alarms and connections.
        known = not sample.usable and sample.source in silent
        out[f"{stem}-r"] = t("signals.offline", lang) if known else reason
        out[f"{stem}-q.title"] = reason
        out[f"{stem}-a"] = text.sample_age(sample, snapshot)
        out[f"{stem}.className"] = "" if sample.usable else "is-muted"
    return out


def signal_panel(moment: Moment, fields: Fields) -> Any:
    """Return the table and what no device supplies."""
    lang, image = moment.lang, moment.snapshot.image
    names = supplied(image)
    if not names:
        return ui.empty(t("signals.none", lang), t("signals.none_hint", lang))
    columns = [
        t(f"signals.col_{name}", lang) for name in ("signal", "value", "source", "quality", "age")
    ]
    missing = [text.name_of(name, lang) for name in SIGNALS if name not in image.samples]
    return [
        ui.table(
            t("monitoring.tab_signals", lang),
            columns,
            [_row(name, columns, fields, lang) for name in names],
            "as-cards signal-table",
        ),
        html.P(
            [html.Strong(t("signals.missing", lang)), " ", ", ".join(missing)],
            className="table-note",
        )
        if missing
        else None,
    ]


def _row(name: str, columns: list[str], fields: Fields, lang: str) -> Any:
    stem = f"sig-{name}"
    return ui.live(
        html.Tr,
        stem,
        fields,
        children=[
            html.Th(
                [
                    html.Span(text.name_of(name, lang), className="cell-title"),
                    html.Code(name, className="cell-detail"),
                ],
                scope="row",
            ),
            html.Td(
                html.Span(
                    [
                        ui.live(html.Span, f"{stem}-v", fields, "row-number"),
                        ui.live(html.Span, f"{stem}-u", fields, "unit"),
                    ]
                ),
                className="cell-number cell-wide" if name in WORDY else "cell-number",
                **{"data-label": columns[1]},
            ),
            html.Td(ui.live(html.Span, f"{stem}-s", fields), **{"data-label": columns[2]}),
            html.Td(
                [
                    ui.live(html.Span, f"{stem}-q", fields),
                    ui.live(html.Span, f"{stem}-r", fields, "cell-detail"),
                ],
                **{"data-label": columns[3]},
            ),
            html.Td(
                ui.live(html.Span, f"{stem}-a", fields),
                className="cell-number",
                **{"data-label": columns[4]},
            ),
        ],
    )
