"""The registers of one device: what it sent, and what was made of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import html

from ems_dash.i18n import label, meaning, t
from ems_dash.ui import components as ui
from ems_dash.ui import format as fmt
from ems_dash.ui.fields import Fields
from ems_dash.ui.moment import Moment, calm_reason
from ems_dash.ui.monitoring import signal_text as text
from ems_dash.ui.settings_profiles import profile_label
from engine.devices.register_view import RegisterReading
from engine.devices.spec import DeviceSpec
from engine.devices.transport import endpoint_name
from engine.domain.sample import Quality
from engine.domain.signals import SIGNALS

DEVICE_STORE = "mon-device"
COLUMNS = ("register", "place", "raw", "value", "quality", "age")


def structure(device: str, rows: Sequence[RegisterReading]) -> str:
    """Return a name for the rows; it changes when other rows are needed."""
    return f"{device}|" + ",".join(f"{r.name}@{r.function}.{r.address}" for r in rows)


def register_fields(moment: Moment, rows: Sequence[RegisterReading]) -> Fields:
    """Return the texts of the table."""
    out: Fields = {}
    lang, snapshot = moment.lang, moment.snapshot
    for i, row in enumerate(rows):
        stem = f"reg-{i}"
        value = _value(row, lang)
        out[f"{stem}-w"] = raw_text(row.words, row.type)
        out[f"{stem}-v"] = value.text
        out[f"{stem}-u"] = value.unit
        out[f"{stem}-q"] = text.quality_word(row.quality, lang)
        out[f"{stem}-q.className"] = f"pill pill-small pill-{text.QUALITY_KIND[row.quality]}"
        out[f"{stem}-r"] = calm_reason(row.reason, lang)
        out[f"{stem}-a"] = (
            fmt.NO_VALUE
            if row.ts is None
            else text.age_of(row.ts, snapshot.ts, snapshot.timestep_s)
        )
        out[f"{stem}.className"] = "is-muted" if row.quality is Quality.BAD else ""
    return out


def raw_text(words: Sequence[int] | None, data_type: str) -> str:
    """Return registers as decimal and hexadecimal numbers, a bit as 0 or 1."""
    if words is None:
        return fmt.NO_VALUE
    if data_type == "bit":
        return str(words[0])
    decimal = " ".join(str(word) for word in words)
    hexadecimal = " ".join(f"{word:04X}" for word in words)
    return f"{decimal} · 0x{hexadecimal}"


def _value(row: RegisterReading, lang: str) -> fmt.Quantity:
    if row.value is None:
        return fmt.Quantity(fmt.NO_VALUE, row.unit or "")
    if row.kind == "alarm":
        return fmt.Quantity(t("registers.active" if row.value else "registers.clear", lang), "")
    if row.name in SIGNALS:
        return text.figure(row.name, row.value, lang)
    if row.text is not None:
        return fmt.Quantity(f"{row.value:.0f} · {meaning(row.text, lang)[0]}", "")
    return text.number(row.value, row.unit or "", lang)


def register_panel(
    moment: Moment,
    devices: Sequence[DeviceSpec],
    chosen: DeviceSpec | None,
    rows: Sequence[RegisterReading],
    fields: Fields,
) -> Any:
    """Return the choice of the device and its registers.

    Args:
        moment: The state of the engine.
        devices: Every device that is polled.
        chosen: The device shown; None when there is none.
        rows: Its registers.
        fields: The texts to start with.
    """
    lang = moment.lang
    if chosen is None:
        return ui.empty(t("devices.none", lang))
    columns = [t(f"registers.col_{name}", lang) for name in COLUMNS]
    return [
        html.Div(
            [
                ui.segment(
                    DEVICE_STORE,
                    t("registers.device", lang),
                    [(spec.name, spec.name) for spec in devices],
                    chosen.name,
                    parameter="device",
                ),
                html.Span(_facts(chosen, lang), className="caption"),
            ],
            className="panel-tools",
        ),
        ui.table(
            t("registers.caption", lang, device=chosen.name),
            columns,
            [_row(i, row, columns, fields, lang) for i, row in enumerate(rows)],
            "as-cards register-table",
        )
        if rows
        else ui.empty(t("registers.none", lang)),
    ]


def _facts(spec: DeviceSpec, lang: str) -> str:
    endpoint = endpoint_name(spec.host, spec.port, spec.transport, spec.serial)
    facts = [
        profile_label(spec.profile, lang),
        endpoint,
        t("registers.unit", lang, unit=spec.unit_id),
        t("registers.poll", lang, seconds=fmt.number(spec.poll_interval_s, 1, lang)),
    ]
    if not spec.profile.address_base_stated and not spec.address_base_confirmed:
        facts.append(t("registers.base_open", lang))
    return " · ".join(facts)


def _row(i: int, row: RegisterReading, columns: list[str], fields: Fields, lang: str) -> Any:
    stem = f"reg-{i}"
    title = label("alarm", row.name, lang) if row.kind == "alarm" else row.name
    if row.kind == "value" and row.name in SIGNALS:
        title = text.name_of(row.name, lang)
    return ui.live(
        html.Tr,
        stem,
        fields,
        children=[
            html.Th(
                [
                    html.Span(title, className="cell-title"),
                    html.Code(row.name, className="cell-detail"),
                ],
                scope="row",
                title=meaning(row.description, lang)[0],
            ),
            html.Td(
                [
                    html.Span(str(row.address), className="row-number"),
                    html.Span(
                        f"FC{row.function:02d} {label('function', str(row.function), lang)} · "
                        f"{row.type}",
                        className="cell-detail",
                    ),
                ],
                **{"data-label": columns[1]},
            ),
            html.Td(
                ui.live(html.Code, f"{stem}-w", fields),
                className="cell-number cell-wide",
                **{"data-label": columns[2]},
            ),
            html.Td(
                html.Span(
                    [
                        ui.live(html.Span, f"{stem}-v", fields, "row-number"),
                        ui.live(html.Span, f"{stem}-u", fields, "unit"),
                    ]
                ),
                className="cell-number",
                **{"data-label": columns[3]},
            ),
            html.Td(
                [
                    ui.live(html.Span, f"{stem}-q", fields),
                    ui.live(html.Span, f"{stem}-r", fields, "cell-detail"),
                ],
                **{"data-label": columns[4]},
            ),
            html.Td(
                ui.live(html.Span, f"{stem}-a", fields),
                className="cell-number",
                **{"data-label": columns[5]},
            ),
        ],
    )
