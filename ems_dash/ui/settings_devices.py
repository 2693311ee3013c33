"""The Modbus assistant: the devices, their connection, their registers, and a test of both."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import dash_bootstrap_components as dbc
from dash import html
from pydantic import ValidationError

from ems_dash.i18n import device_said, label, meaning, t
from ems_dash.ui import format as fmt
from ems_dash.ui import settings_form as forms
from ems_dash.ui import settings_sections as sections
from ems_dash.ui.moment import Moment
from ems_dash.ui.settings_fields import ABSENT, get
from ems_dash.ui.settings_form import FormState
from ems_dash.ui.settings_links import link_parts
from ems_dash.ui.settings_profiles import profile_label, profile_named
from ems_dash.ui.settings_registers import RegisterRow, register_rows
from ems_dash.ui.settings_sections import Group
from ems_dash.ui.settings_words import name_of, option_label
from engine.config.devices import MODBUS_DEVICE_NAME, DeviceConfig
from engine.devices.connection_test import ConnectionReport
from engine.devices.profile_def import DeviceProfile
from engine.domain.signals import SIGNALS

BLOCK = "modbus"
"""Path of the battery's own block; further devices stand under ``devices``."""

NEW_DEVICE: Mapping[str, Any] = {
    "name": "meter",
    "profile": "janitza_umg96",
    "host": "192.168.1.20",
}

NEW_REGISTER = {"type": "set-extra", "name": "register"}
"""Id of the input that picks the signal of a register to add."""

_KEYS_OF_BLOCK = {
    "connection_type": "connection",
    "slave_id": "unit_id",
    "timeout": "timeout_s",
}
"""What the block of the battery calls otherwise than an entry of ``devices``."""

_SHARED = frozenset(
    {
        *("profile", "host", "port", "poll_interval_s", "address_base", "serial"),
        *("registers", "status_codes"),
    }
)


def device_paths(values: Mapping[str, Any]) -> list[str]:
    """Return the path of every device: the block, then the list."""
    return [BLOCK, *(f"devices.{i}" for i in range(len(sections.items(values, "devices"))))]


def device_name(values: Mapping[str, Any], path: str) -> str:
    """Return the name of the device at `path`."""
    if path == BLOCK:
        return MODBUS_DEVICE_NAME
    name = get(values, f"{path}.name")
    return str(name) if name not in (ABSENT, None) else path


def device_config(values: Mapping[str, Any], path: str) -> DeviceConfig | None:
    """Return the device at `path` of a draft as an entry of ``devices``; None with mistakes."""
    stated = get(values, path)
    document = dict(stated) if isinstance(stated, Mapping) else {}
    if path == BLOCK:
        document = {_KEYS_OF_BLOCK.get(key, key): item for key, item in document.items()}
        document = {
            key: item
            for key, item in document.items()
            if key in _SHARED | frozenset(_KEYS_OF_BLOCK.values())
        }
        document = {
            "profile": "hithium_ess_5016",
            "host": "localhost",
            "port": 502,
            "unit_id": 1,
            **document,
            "name": MODBUS_DEVICE_NAME,
        }
        if document.get("connection") == "rtu":
            document.pop("host", None)
            document.pop("port", None)
        else:
            document.pop("serial", None)
    try:
        return DeviceConfig.model_validate(document)
    except ValidationError:
        return None


def add_device(values: dict[str, Any]) -> None:
    """Append a device with a name that is free."""
    sections.add_item(values, Group("devices", "devices", (), is_list=True, template=NEW_DEVICE))


def is_enabled(values: Mapping[str, Any], path: str) -> bool:
    """True when the device at `path` is to be read; the battery's block only when it says so."""
    return _stated(values, f"{path}.enabled", path != BLOCK) is True


def opened_device(values: Mapping[str, Any], view: Mapping[str, Any]) -> str:
    """Return the path of the device that is open: the chosen one, else the first that is read."""
    paths = device_paths(values)
    chosen = view.get("device")
    if chosen in paths:
        return str(chosen)
    return next((path for path in paths if is_enabled(values, path)), BLOCK)


def content(
    form: FormState, view: Mapping[str, Any], report: ConnectionReport | None, moment: Moment
) -> list[Any]:
    """Return the section: list of devices, and the one that is open.

    Args:
        form: What is shown.
        view: ``device`` is the path of the open one, ``register`` the signal being changed.
        report: The newest test of the open device, or None.
        moment: The state of the engine, for the connections.
    """
    opened = opened_device(form.values, view)
    return [
        _list(form, opened, moment),
        *_device(form, opened, str(view.get("register") or ""), report),
    ]


def _list(form: FormState, opened: str, moment: Moment) -> Any:
    rows = []
    for path in device_paths(form.values):
        name = device_name(form.values, path)
        profile = profile_named(_stated(form.values, f"{path}.profile", "hithium_ess_5016"))
        state = (
            link_parts(name, moment)
            if is_enabled(form.values, path)
            else [html.Span(t("set.device.off", form.lang), className="pill pill-small")]
        )
        button = html.Button(
            [
                html.Span(name, className="set-device-name"),
                html.Span(
                    profile_label(profile, form.lang) if profile else "–",
                    className="set-device-what",
                ),
                *state,
            ],
            id=forms.act_id("open", path),
            type="button",
            className="set-device",
            **{"aria-pressed": "true" if path == opened else "false"},
        )
        rows.append(html.Li(button))
    return html.Section(
        [
            html.Div([html.H2(t("set.g.devices", form.lang))], className="card-head"),
            html.P(t("set.i.devices", form.lang), className="set-intro"),
            forms.message("devices", form),
            html.Ul(rows, className="set-devices"),
            forms.button(t("set.add.devices", form.lang), forms.act_id("add-device", "devices"))
            if form.editable
            else None,
        ],
        className="card set-card",
    )


def _device(
    form: FormState, path: str, register: str, report: ConnectionReport | None
) -> list[Any]:
    lang = form.lang
    name = device_name(form.values, path)
    profile_key = _stated(form.values, f"{path}.profile", "hithium_ess_5016")
    profile = profile_named(profile_key)
    block = path == BLOCK
    entries = sections.MODBUS_ENTRIES if block else sections.DEVICE_ENTRIES
    if not block and profile is not None:
        form = FormState(
            form.values,
            form.errors,
            lang,
            form.editable,
            {
                f"{path}.port": str(profile.connection.port),
                f"{path}.unit_id": str(profile.connection.unit_id),
                f"{path}.timeout_s": f"{profile.connection.timeout_s:g}",
                f"{path}.poll_interval_s": f"{profile.connection.poll_interval_s:g}",
            },
        )
    group = Group("device", path, entries)
    serial = Group("serial", f"{path}.serial", sections.SERIAL_ENTRIES)
    is_rtu = sections.connection_of(form.values, path) == "rtu"
    connection = html.Section(
        [
            html.Div(
                [
                    html.H2(f"{t('set.item.devices', lang)} {name}"),
                    html.Span(profile_label(profile, lang) if profile else "", className="caption"),
                ],
                className="card-head",
            ),
            forms.message(path, form),
            _covers(profile, lang),
            forms.fields(group, path, form),
            html.Div(
                [html.H3(t("set.g.serial", lang)), *forms.group_body(serial, form)],
                className="set-inner",
            )
            if is_rtu
            else None,
            forms.button(
                t("set.device.remove", lang, name=name), forms.act_id("remove", path), small=True
            )
            if form.editable and not block
            else None,
        ],
        className="card set-card",
    )
    return [connection, *([_registers(form, path, profile, register, report)] if profile else [])]


def _covers(profile: DeviceProfile | None, lang: str) -> Any:
    if profile is None:
        return html.P(t("set.device.no_profile", lang), className="set-none")
    kinds = ", ".join(t(f"set.kind.{kind.value}", lang) for kind in profile.kinds)
    rights = []
    if "set_power_kw" in profile.commands:
        rights.append(t("set.device.takes_power", lang))
    if "limit_power_kw" in profile.commands:
        rights.append(t("set.device.takes_limits", lang))
    tested = t(
        "set.device.verified" if profile.verified_on_hardware else "set.device.unverified", lang
    )
    return html.Div(
        [
            html.P(
                t(
                    "set.device.covers",
                    lang,
                    kinds=kinds,
                    signals=len(profile.signals),
                    alarms=len(profile.alarms),
                )
                + (" " + " ".join(rights) if rights else "")
                + f" {tested}"
            ),
            html.Details(
                [
                    html.Summary(t("set.device.details", lang)),
                    html.P(", ".join(sorted(profile.signals)), className="set-signals"),
                    html.Ul([_told(html.Li, note, lang) for note in profile.notes]),
                    _told(html.P, profile.source, lang, className="set-none"),
                ],
                className="set-details",
            ),
        ],
        className="set-covers",
    )


def _told(element: Any, english: str, lang: str, **attributes: Any) -> Any:
    text, tongue = meaning(english, lang)
    return element(text, lang=tongue, **attributes)


def _registers(
    form: FormState,
    path: str,
    profile: DeviceProfile,
    register: str,
    report: ConnectionReport | None,
) -> Any:
    lang = form.lang
    stated = get(form.values, f"{path}.registers")
    rows = register_rows(profile, stated if isinstance(stated, Mapping) else {}, report)
    head = [
        t("set.reg.signal", lang),
        t("set.reg.place", lang),
        t("set.reg.coding", lang),
        t("set.reg.live", lang),
        t("set.reg.state", lang),
    ]
    body: list[Any] = []
    for row in rows:
        body.append(_row(row, path, form, opened=row.signal == register))
        if row.signal == register and form.editable and row.origin in ("changed", "added"):
            body.append(html.Tr(html.Td(_editor(row, path, form), colSpan=len(head))))
    free = [name for name in sorted(SIGNALS) if name not in {row.signal for row in rows}]
    test = (
        [
            html.Div(
                [
                    html.Button(
                        t("set.test.device", lang),
                        id="set-test-device",
                        type="button",
                        className="button-main",
                    ),
                    html.Span(t("set.test.reads_only", lang), className="caption"),
                ],
                className="set-test-row",
            )
        ]
        if form.editable
        else []
    )
    return html.Section(
        [
            html.Div([html.H2(t("set.g.registers", lang))], className="card-head"),
            html.P(t("set.i.registers", lang), className="set-intro"),
            *test,
            html.Div(test_result(report, lang), id="set-test-result"),
            html.Div(
                html.Table(
                    [
                        html.Thead(html.Tr([html.Th(text, scope="col") for text in head])),
                        html.Tbody(body),
                    ],
                    className="set-table",
                ),
                className="set-table-box",
                tabIndex="0",
                role="region",
                **{"aria-label": t("set.g.registers", lang)},
            ),
            html.Div(
                [
                    html.Label(
                        t("set.reg.add", lang),
                        htmlFor=forms.dom_id({"type": "set-extra", "name": "register"}),
                    ),
                    dbc.Select(
                        id=NEW_REGISTER,
                        options=[{"label": name, "value": name} for name in free],
                        value=free[0] if free else None,
                    ),
                    forms.button(t("set.reg.add_button", lang), forms.act_id("reg-add", path)),
                ],
                className="set-new-register",
            )
            if form.editable
            else None,
        ],
        className="card set-card",
    )


def _description(row: RegisterRow, lang: str) -> Any:
    text, tongue = meaning(row.description, lang)
    # What somebody wrote into the configuration is in a language of their own choice.
    said_in = {} if row.origin in ("changed", "added") and tongue != lang else {"lang": tongue}
    return html.Div(text, className="set-none", **said_in)


def _row(row: RegisterRow, path: str, form: FormState, *, opened: bool) -> Any:
    lang = form.lang
    derived = row.origin == "derived"
    place = (
        t("set.reg.derived", lang)
        if row.address is None
        else t("set.reg.at", lang, address=row.address, function=row.function or "–")
    )
    coding: Any = "" if derived else _coding(row, lang)
    marks: list[Any] = []
    if row.origin in ("changed", "added", "removed"):
        kind = "warn" if row.origin == "changed" else "info"
        marks.append(
            html.Span(t(f"set.reg.{row.origin}", lang), className=f"pill pill-small pill-{kind}")
        )
    if row.origin == "changed" and row.different:
        names = ", ".join(
            name_of(f"devices.0.registers.x.{key}", lang) for key in sorted(row.different)
        )
        marks.append(html.Span(names, className="set-different"))
    buttons = []
    if form.editable and not derived:
        if row.origin in ("removed", "changed"):
            buttons.append(("reg-reset", t("set.reg.reset", lang)))
        if row.origin == "added":
            buttons.append(("reg-reset", t("set.remove", lang)))
        if row.origin == "profile":
            buttons.append(("reg-drop", t("set.reg.drop", lang)))
        if row.origin != "removed":
            text = t("set.reg.close" if opened else "set.reg.edit", lang)
            buttons.insert(0, ("reg-edit", text))
    return html.Tr(
        [
            html.Th(
                [
                    html.Div(row.signal, className="set-signal"),
                    _description(row, lang),
                    html.Div(marks, className="set-marks") if marks else None,
                ],
                scope="row",
            ),
            html.Td(place, className="set-place", **{"data-label": t("set.reg.place", lang)}),
            html.Td(coding, **{"data-label": t("set.reg.coding", lang)}),
            html.Td(
                _live(row, lang),
                className="set-live",
                **{"data-label": t("set.reg.live", lang)},
            ),
            html.Td(
                [
                    _state(row, lang),
                    html.Div(
                        [
                            html.Button(
                                text,
                                id=forms.act_id(op, f"{path}.registers.{row.signal}"),
                                type="button",
                                className="button-link",
                                **{"aria-label": f"{text}: {row.signal}"},
                            )
                            for op, text in buttons
                        ],
                        className="set-row-buttons",
                    ),
                ]
            ),
        ],
        className="is-open" if opened else f"is-{row.origin}",
    )


def _coding(row: RegisterRow, lang: str) -> list[Any]:
    parts = [row.type]
    if row.scale not in (None, 1.0, 1):
        parts.append(f"× {_plain(row.scale, lang)}")
    if isinstance(row.offset, (int, float)) and row.offset:
        sign = fmt.MINUS if row.offset < 0 else "+"
        parts.append(f"{sign} {_plain(abs(row.offset), lang)}")
    if row.unit:
        parts.append(row.unit)
    more = []
    if row.positive_means:
        more.append("+ = " + option_label("positive_means", row.positive_means, lang))
    low, high = row.limits
    if low is not None and high is not None:
        more.append(f"{_plain(low, lang)} … {_plain(high, lang)}")
    elif low is not None or high is not None:
        more.append(f"≥ {_plain(low, lang)}" if high is None else f"≤ {_plain(high, lang)}")
    return [
        html.Div(" ".join(parts)),
        html.Div(" · ".join(more), className="set-none") if more else None,
    ]


def _plain(value: Any, lang: str) -> str:
    if not isinstance(value, (int, float)):
        return "–" if value is None else str(value)
    text = f"{value:g}".replace("-", fmt.MINUS)
    return text.replace(".", ",") if lang == "de" else text


def _live(row: RegisterRow, lang: str) -> list[Any]:
    reading = row.reading
    if reading is None:
        return [html.Span("–", className="set-none")]
    digits = _digits(row.scale)
    value = (
        "–"
        if reading.value is None
        else f"{fmt.number(reading.value, digits, lang)} {reading.unit}"
    )
    raw = "" if reading.words is None else " ".join(f"{word:04X}" for word in reading.words)
    return [html.Div(value.strip(), className="set-live-value"), html.Code(raw) if raw else None]


def _digits(scale: Any) -> int:
    """Return the decimals of what a register can say: none for codes and whole numbers."""
    if not isinstance(scale, (int, float)) or scale == 0:
        return 2
    return min(3, max(0, math.ceil(-math.log10(abs(scale)) - 1e-9)))


def _state(row: RegisterRow, lang: str) -> Any:
    reading = row.reading
    if reading is None:
        return None
    good = reading.quality == "good"
    pill = html.Span(
        label("set.q", reading.quality, lang),
        className=f"pill pill-small pill-{'ok' if good else 'warn'}",
    )
    reason = (
        html.Div(device_said(reading.reason, lang), className="set-none")
        if reading.reason
        else None
    )
    return html.Div([pill, reason])


def _editor(row: RegisterRow, path: str, form: FormState) -> Any:
    base = f"{path}.registers.{row.signal}"
    group = Group("register", base, sections.REGISTER_ENTRIES)
    return html.Div(
        [forms.message(base, form), forms.fields(group, base, form)], className="set-register-form"
    )


def test_result(report: ConnectionReport | None, lang: str) -> Any:
    """Return what a connection test found, step by step, or nothing before the first one."""
    if report is None:
        return None
    steps = [
        html.Li(
            [
                html.Span(label("set.step", step.name, lang), className="set-step-name"),
                html.Span(
                    label("set.state", step.state.value, lang),
                    className=f"pill pill-small pill-{_STATE_PILL[step.state.value]}",
                ),
                html.Span(
                    [
                        device_said(step.detail, lang),
                        html.Em(f" {device_said(step.hint, lang)}") if step.hint else None,
                    ],
                    className="set-step-detail",
                ),
            ]
        )
        for step in report.steps
    ]
    findings = [
        html.Li(
            [
                html.Span(device_said(finding.message, lang)),
                html.Em(f" {device_said(finding.hint, lang)}"),
            ],
            className=f"notice notice-{'alarm' if finding.severity == 'error' else 'warn'}",
        )
        for finding in report.findings
    ]
    candidates = [
        html.Li(
            t(
                "set.test.candidate",
                lang,
                base=c.address_base,
                order=t("set.test.swapped" if c.word_order_swapped else "set.test.straight", lang),
                score="–" if c.score is None else str(fmt.percent(100.0 * c.score, lang)),
                here=t("set.test.configured", lang) if c.configured else "",
            )
        )
        for c in report.candidates
    ]
    key = "set.test.ok" if report.ok else "set.test.failed"
    title = t(key, lang, endpoint=report.endpoint, unit=report.unit_id)
    if report.simulated:
        title += " " + t("set.test.simulated", lang)
    return html.Div(
        [
            html.P(title, className="set-test-title"),
            html.Ul(steps, className="set-steps"),
            html.Ul(findings, className="set-findings") if findings else None,
            html.Details(
                [html.Summary(t("set.test.candidates", lang)), html.Ul(candidates)],
                className="set-details",
            )
            if candidates
            else None,
            html.P(t("set.test.base", lang, base=report.address_base), className="set-test-base")
            if report.address_base is not None
            else None,
        ],
        className="set-test " + ("is-ok" if report.ok else "is-failed"),
        role="status",
    )


_STATE_PILL = {"ok": "ok", "warning": "warn", "failed": "alarm", "skipped": "info"}


def _stated(values: Mapping[str, Any], path: str, default: Any) -> Any:
    found = get(values, path)
    return default if isinstance(found, str) and found == ABSENT else found
