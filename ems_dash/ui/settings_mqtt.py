"""The MQTT assistant: the section's form with a test of what is not saved yet."""

from __future__ import annotations

from typing import Any

from dash import html

from ems_dash.i18n import device_said, label, t
from ems_dash.ui import settings_form as forms
from ems_dash.ui.settings_fields import number_text
from ems_dash.ui.settings_form import FormState
from ems_dash.ui.settings_sections import MQTT
from engine.devices.mqtt.broker_check import BrokerCheck, InputReading


def content(form: FormState) -> list[Any]:
    """Return the section with its test."""
    connection, *others = MQTT.groups
    test = (
        html.Section(
            [
                html.Div([html.H2(t("set.g.mqtt_test", form.lang))], className="card-head"),
                html.P(t("set.i.mqtt_test", form.lang), className="set-intro"),
                html.Button(
                    t("set.test.broker", form.lang),
                    id="set-test-broker",
                    type="button",
                    className="button-main",
                ),
                html.Div(id="set-broker-result"),
            ],
            className="card set-card",
        )
        if form.editable
        else None
    )
    login, topics, inputs = others
    return [
        forms.card(connection, form),
        forms.card(login, form),
        test,
        forms.card(topics, form),
        forms.card(inputs, form),
        forms.signals(),
    ]


def result(check: BrokerCheck, lang: str) -> Any:
    """Return what a test of the broker found, step by step."""
    steps = [
        html.Li(
            [
                html.Span(label("set.step", step.name, lang), className="set-step-name"),
                html.Span(
                    label("set.state", "ok" if step.ok else "failed", lang),
                    className=f"pill pill-small pill-{'ok' if step.ok else 'alarm'}",
                ),
                html.Span(device_said(step.detail, lang), className="set-step-detail"),
            ]
        )
        for step in check.steps
    ]
    key = "set.test.broker_ok" if check.ok else "set.test.broker_failed"
    return html.Div(
        [
            html.P(t(key, lang), className="set-test-title"),
            html.Ul(steps, className="set-steps"),
            html.Ul([_input(reading, lang) for reading in check.inputs], className="set-steps")
            if check.inputs
            else None,
        ],
        className="set-test " + ("is-ok" if check.ok else "is-failed"),
        role="status",
    )


def _input(reading: InputReading, lang: str) -> Any:
    sample = reading.sample
    value = "–" if sample.value is None else f"{number_text(sample.value, 0, lang)} {reading.unit}"
    good = sample.value is not None
    return html.Li(
        [
            html.Span(f"{reading.topic} → {reading.signal}", className="set-step-name"),
            html.Span(value, className=f"pill pill-small pill-{'ok' if good else 'warn'}"),
            html.Span(device_said(sample.reason, lang), className="set-step-detail"),
        ]
    )
