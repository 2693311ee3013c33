"""The form of a backtest as components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import dash_bootstrap_components as dbc
from dash import dcc, html

from ems_dash.i18n import catalogue, label, t
from ems_dash.ui.backtest import form_model as model
from ems_dash.ui.backtest import words as w
from ems_dash.ui.segments import segments
from engine.runtime.backtests.desk import BacktestDefaults
from engine.runtime.backtests.request import MOST_UPLOAD_BYTES

MINUTES: tuple[str, ...] = ("15", "30", "60")


def field_id(key: str) -> dict[str, str]:
    """Return the id of a field."""
    return {"type": "bt-field", "key": key}


def form(defaults: BacktestDefaults, lang: str, *, allowed: bool) -> Any:
    """Return the form; a remark instead for those who may not start one."""
    if not allowed:
        return html.Section(
            [
                html.H2(t("backtest.new", lang)),
                html.P(t("backtest.read_only", lang), className="caption"),
            ],
            className="card",
        )
    values = model.initial(defaults)
    return html.Section(
        [
            html.H2(t("backtest.new", lang), id="bt-new-title"),
            _data(defaults, lang),
            _how(lang),
            _more("battery", [_numbers(model.BATTERY, values, lang)], lang),
            _more("tariff", _tariff(values, lang), lang),
            _more("sizing", _sizing(values, lang), lang),
            _more("studies", _studies(values, lang), lang),
            html.Div(
                [
                    _field(
                        t("backtest.name", lang),
                        _text("name", "", 80, t("backtest.name_hint", lang)),
                        "bt-name",
                    ),
                    html.Button(
                        t("backtest.start", lang),
                        id="bt-start",
                        type="button",
                        className="btn button-main bt-start",
                    ),
                ],
                className="bt-actions",
            ),
            html.Div(id="bt-message", role="status", className="bt-message"),
        ],
        className="card bt-form",
        **{"aria-labelledby": "bt-new-title"},
    )


def _data(defaults: BacktestDefaults, lang: str) -> Any:
    first, last = defaults.recorded[model.PRICE_YEARS[0]]
    megabytes = MOST_UPLOAD_BYTES // 1_000_000
    return html.Fieldset(
        [
            html.Legend(t("backtest.data", lang)),
            _segments("source", model.SOURCES, "recorded", "backtest.source", lang),
            html.Div(
                [
                    _field(
                        t("backtest.recorded_site", lang),
                        _select("recorded_site", model.SITES, "backtest.site", lang),
                    ),
                    _field(
                        t("backtest.recorded_prices", lang),
                        _select("recorded_prices", model.PRICE_YEARS, "backtest.prices", lang),
                    ),
                ],
                id="bt-recorded-box",
                className="bt-row",
            ),
            html.Div(
                [
                    _field(t("backtest.from", lang), _day("start", first.isoformat())),
                    _field(t("backtest.to", lang), _day("end", last.isoformat())),
                ],
                className="bt-row",
            ),
            html.P(
                source_hint("recorded", first, last, lang),
                id="bt-source-hint",
                className="caption",
            ),
            html.Div(
                [
                    dcc.Upload(
                        html.Span(
                            [
                                t("backtest.upload", lang),
                                html.Small(t("backtest.upload_limits", lang, mb=megabytes)),
                            ]
                        ),
                        id="bt-upload",
                        multiple=True,
                        max_size=MOST_UPLOAD_BYTES,
                        className="bt-upload",
                        className_active="is-over",
                    ),
                    html.P(id="bt-files", className="caption", **{"aria-live": "polite"}),
                ],
                id="bt-upload-box",
                hidden=True,
            ),
        ]
    )


def source_hint(source: str, first: date, last: date, lang: str) -> str:
    """Return what a source of data holds: from its first day to its last."""
    days = {"first": w.day_text(first, lang), "last": w.day_text(last, lang)}
    return t(f"backtest.{source}_hint", lang, **days)


def _how(lang: str) -> Any:
    return html.Fieldset(
        [
            html.Legend(t("backtest.strategies", lang)),
            dbc.Checklist(
                id=field_id("strategies"),
                options=[
                    {"label": label("backtest.strategy", key, lang), "value": key}
                    for key in model.STRATEGIES
                ],
                value=list(model.CHOSEN),
                className="bt-checks",
            ),
            html.Div(
                [
                    _field(
                        t("backtest.forecasts", lang),
                        _select("forecaster", model.FORECASTERS, "backtest.forecaster", lang),
                    ),
                    _field(
                        t("backtest.plan_every", lang),
                        dbc.Select(
                            id=field_id("plan_minutes"),
                            options=[{"label": f"{n} min", "value": n} for n in MINUTES],
                            value="60",
                        ),
                    ),
                ],
                className="bt-row",
            ),
            _switch("insured", t("backtest.insured", lang)),
        ]
    )


def _tariff(values: Mapping[str, Any], lang: str) -> list[Any]:
    return [
        _switch("tariff_own", t("backtest.tariff_own", lang)),
        _numbers(model.TARIFF, values, lang),
        _demand_period("demand_period", values, lang),
    ]


def _demand_period(key: str, values: Mapping[str, Any], lang: str) -> Any:
    periods = _select(key, ("month", "year"), "backtest.demand_by", lang, values[key])
    return _field(t("backtest.demand_period", lang), periods)


def _sizing(values: Mapping[str, Any], lang: str) -> list[Any]:
    return [
        _switch("sizing", t("backtest.sizing_on", lang)),
        html.Div(
            [
                _field(t(f"backtest.{key}", lang), _text(key, values[key], 200), unit=unit)
                for key, unit in (("energies", "kWh"), ("powers", "kW"))
            ],
            className="bt-row",
        ),
        _segments("sizing_foresight", ("perfect", "causal"), "perfect", "backtest.run", lang),
        _numbers(model.INVESTMENT, values, lang),
        html.P(t("backtest.investment_hint", lang), className="caption"),
    ]


def _studies(values: Mapping[str, Any], lang: str) -> list[Any]:
    return [
        *(_switch(f"study_{name}", t(f"backtest.study_{name}_on", lang)) for name in model.STUDIES),
        _switch("study_tariffs", t("backtest.study_tariffs_on", lang)),
        *(_other_tariff(section, values, lang) for section in model.OTHER_TARIFFS),
        html.P(t("backtest.studies_hint", lang), className="caption"),
    ]


def _other_tariff(section: str, values: Mapping[str, Any], lang: str) -> Any:
    named = _field(t("backtest.other_name", lang), _text(f"{section}.name", "", 60))
    return html.Details(
        [
            html.Summary(t(f"backtest.{section}", lang)),
            html.Div(
                [
                    named,
                    _numbers(model.other_tariff(section), values, lang),
                    _demand_period(f"{section}.demand_period", values, lang),
                ]
            ),
        ],
        className="bt-more",
    )


def _more(name: str, parts: Sequence[Any], lang: str) -> Any:
    return html.Details(
        [html.Summary(t(f"backtest.more_{name}", lang)), html.Div(list(parts))],
        className="bt-more",
    )


def _numbers(fields: Sequence[model.NumberField], values: Mapping[str, Any], lang: str) -> Any:
    return html.Div(
        [
            _field(
                t(f"backtest.f.{field.name}", lang),
                dbc.Input(
                    id=field_id(field.key),
                    type="number",
                    value=values[field.key],
                    step="any",
                    inputMode="decimal",
                ),
                unit=field.unit,
            )
            for field in fields
        ],
        className="bt-numbers",
    )


def _field(text: str, control: Any, class_name: str = "", unit: str = "") -> Any:
    shown = [text, html.Span(unit, className="unit")] if unit and unit != "1" else text
    return html.Label(
        [html.Span(shown, className="bt-label"), control],
        className=f"bt-field {class_name}".strip(),
    )


def _text(key: str, value: str, most: int, hint: str = "") -> Any:
    return dbc.Input(id=field_id(key), type="text", value=value, maxLength=most, placeholder=hint)


def _day(key: str, value: str) -> Any:
    return dbc.Input(id=field_id(key), type="date", value=value)


def _switch(key: str, text: str) -> Any:
    return dbc.Switch(id=field_id(key), label=text, value=False, className="bt-switch")


def _select(
    key: str, options: Sequence[str], group: str, lang: str, value: str | None = None
) -> Any:
    return dbc.Select(
        id=field_id(key),
        options=[{"label": label(group, name, lang), "value": name} for name in options],
        value=value or options[0],
    )


def _segments(key: str, options: Sequence[str], value: str, group: str, lang: str) -> Any:
    return segments(
        field_id(key),
        [(name, label(group, name, lang)) for name in options],
        value,
        t(f"{group}_label", lang),
    )


_NAMED: Mapping[str, str] = {
    "data.start": "backtest.from",
    "data.end": "backtest.to",
    "data.files": "backtest.upload",
    "strategies": "backtest.strategies",
    "forecaster": "backtest.forecasts",
    "studies.tariffs": "backtest.other_name",
}


def field_name(field: str, lang: str) -> str:
    """Return what the form calls a field of a request; its key where it has no such field."""
    known = catalogue(lang)
    return known.get(f"backtest.f.{field}") or known.get(_NAMED.get(field, "")) or field
