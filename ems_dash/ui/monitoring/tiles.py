"""The tiles: what the battery reports, each with its source, age and quality."""

from __future__ import annotations

from typing import Any

from dash import html

from ems_dash.i18n import catalogue, label, t
from ems_dash.ui import components as ui
from ems_dash.ui import format as fmt
from ems_dash.ui.fields import Fields
from ems_dash.ui.last_known import last_soc_text
from ems_dash.ui.moment import Moment, Reading, reading
from ems_dash.ui.monitoring import signal_text as text
from ems_dash.ui.overview_model import bar_from_middle, battery_word, limit_text
from engine.domain.control import EngineState
from engine.domain.signals import STATUS_NO_CHARGE, STATUS_NO_DISCHARGE

TILES = (
    ("m-soc", "soc_percent", "battery-half"),
    ("m-pow", "battery_kw", "arrow-down-up"),
    ("m-status", "status_code", "cpu"),
    ("m-soh", "soh_percent", "heart-pulse"),
    ("m-volt", "voltage_v", "lightning-charge"),
    ("m-amp", "current_a", "activity"),
    ("m-temp", "temperature_c", "thermometer-half"),
    ("m-iso", "insulation_resistance_kohm", "shield-check"),
)
"""Stem of the fields, signal and icon of each tile."""

STATUS_FAULT = 8


def tile_fields(moment: Moment) -> Fields:
    """Return the texts of every tile."""
    out: Fields = {}
    lang, snapshot = moment.lang, moment.snapshot
    for name, signal, _icon in TILES:
        sample = text.shown_sample(snapshot, signal)
        shown = reading(sample, snapshot.ts, lang)
        out |= _tile(moment, name, signal, shown)
    soc = text.shown_sample(snapshot, "soc_percent")
    out["m-soc-b.style"] = _width(soc.value if soc is not None else None)
    power = reading(text.shown_sample(snapshot, "battery_kw"), snapshot.ts, lang)
    out["m-pow-b.style"] = bar_from_middle(power.value, snapshot.site)
    out["m-pow-w"] = f"{battery_word(power, lang)} · {limit_text(snapshot, power.value, lang)}"
    out["m-soc-w"] = _stored(moment, soc.value if soc is not None else None)
    out["m-status-w"] = _engine_says(moment)
    return out


def _tile(moment: Moment, name: str, signal: str, shown: Reading) -> Fields:
    lang, snapshot = moment.lang, moment.snapshot
    sample = text.shown_sample(snapshot, signal)
    if signal == "status_code":
        value = fmt.Quantity(text.status_word(shown.value, lang), "")
    elif signal in ("soc_percent", "soh_percent"):
        value = fmt.percent(shown.value, lang)
    else:
        value = text.figure(signal, shown.value, lang)
    if sample is None:
        origin = t("tiles.not_supplied", lang)
    else:
        parts = [text.source_of(sample, lang)]
        if sample.value is not None:
            parts.append(text.sample_age(sample, snapshot))
        origin = " · ".join(parts)
    if signal == "status_code" and shown.value is not None:
        origin = f"{t('tiles.code', lang, code=f'{shown.value:.0f}')} · {origin}"
    return {
        f"{name}-v": value.text,
        f"{name}-u": value.unit,
        f"{name}-p": shown.mark,
        f"{name}-p.title": shown.reason,
        f"{name}.className": _class(signal, shown),
        f"{name}-a": origin,
    }


def _class(signal: str, shown: Reading) -> str:
    if shown.muted:
        return "card kpi is-muted"
    if signal == "status_code" and shown.value in STATUS_NO_CHARGE | STATUS_NO_DISCHARGE:
        return "card kpi is-alarm" if shown.value == STATUS_FAULT else "card kpi is-warn"
    return "card kpi"


def _width(soc_percent: float | None) -> dict[str, str]:
    return {"width": f"{min(100.0, max(0.0, soc_percent or 0.0)):.0f}%"}


def _stored(moment: Moment, soc_percent: float | None) -> str:
    lang, battery = moment.lang, moment.snapshot.site.battery
    capacity = fmt.capacity(battery.energy_capacity_kwh, lang)
    if moment.last_soc is not None:
        last = last_soc_text(moment.last_soc, moment)
        return t("kpi.soc_last", lang, last=last, capacity=capacity)
    if soc_percent is None:
        return t("tiles.capacity", lang, capacity=capacity)
    stored = fmt.number(battery.energy_capacity_kwh * soc_percent / 100.0, 0, lang)
    return t("tiles.stored", lang, stored=stored, capacity=capacity)


def _engine_says(moment: Moment) -> str:
    snapshot, lang = moment.snapshot, moment.lang
    state = t(f"state.{snapshot.state.value}", lang)
    if snapshot.state_reason and snapshot.state is not EngineState.MANUAL:
        state = f"{state} – {label('reason', snapshot.state_reason, lang)}"
    return t("tiles.engine", lang, state=state)


def _name(signal: str, lang: str) -> str:
    """Return the name of a signal, a shorter one where it would not fit a phone in one piece."""
    return catalogue(lang).get(f"tile.{signal}") or text.name_of(signal, lang)


def tiles(moment: Moment, fields: Fields) -> Any:
    """Return the tiles; `fields` holds the texts to start with."""
    lang, battery = moment.lang, moment.snapshot.site.battery
    middles = {
        "m-soc": ui.progress(
            "m-soc-b", fields, limits=(battery.soc_min_percent, battery.soc_max_percent)
        ),
        "m-pow": ui.middle_bar(
            "m-pow-b", fields, t("battery.charge_end", lang), t("battery.discharge_end", lang)
        ),
    }
    return html.Div(
        [
            ui.kpi_card(
                name,
                _name(signal, lang),
                icon,
                "",
                fields,
                middle=middles.get(name),
                subs=[s for s in (f"{name}-w", f"{name}-a") if s in fields],
                wordy=signal == "status_code",
            )
            for name, signal, icon in TILES
        ],
        className="tiles",
        role="region",
        **{"aria-label": t("tiles.region", lang)},
    )
