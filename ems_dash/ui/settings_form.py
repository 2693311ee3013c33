"""The form of a section: labels, inputs, help and messages, from the field model."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from dataclasses import field as field_
from typing import Any

import dash_bootstrap_components as dbc
from dash import html

from ems_dash.i18n import catalogue, t
from ems_dash.ui import settings_sections as sections
from ems_dash.ui.settings_fields import ABSENT, Field, Kind, get, option_text, shown
from ems_dash.ui.settings_profiles import profile_options
from ems_dash.ui.settings_sections import Group
from ems_dash.ui.settings_words import general, name_of, option_label
from engine.config.schema import known_timezones
from engine.domain.signals import SIGNALS

DEBOUNCE_S = 0.3
ZONES_ID = "set-zones"
SIGNALS_ID = "set-signals"


@dataclass(frozen=True, slots=True)
class FormState:
    """What a form shows.

    Attributes:
        values: The draft.
        errors: Path to message.
        lang: ``"de"`` or ``"en"``.
        editable: False shows values without inputs.
        usual: Path to what is usual where nothing is stated.
    """

    values: Mapping[str, Any]
    errors: Mapping[str, str]
    lang: str
    editable: bool = True
    usual: Mapping[str, str] = field_(default_factory=dict)


def field_id(path: str) -> dict[str, str]:
    """Return the id of the input of a field."""
    return {"type": "set-field", "path": path}


def error_id(path: str) -> dict[str, str]:
    """Return the id of the message below a field."""
    return {"type": "set-error", "path": path}


def act_id(op: str, path: str) -> dict[str, str]:
    """Return the id of a button that changes the structure of the draft."""
    return {"type": "set-act", "op": op, "path": path}


def dom_id(identifier: Mapping[str, str]) -> str:
    """Return what a dictionary id is in the document."""
    return json.dumps(identifier, sort_keys=True, separators=(",", ":"))


def groups(found: Sequence[Group], form: FormState) -> list[Any]:
    """Return the cards of several groups."""
    return [card(group, form) for group in found]


def card(group: Group, form: FormState, extra: Sequence[Any] = ()) -> Any:
    """Return one group as a card with its title and a line about it.

    Args:
        group: The group.
        form: What is shown.
        extra: Further content below the fields.
    """
    title = t(f"set.g.{group.name}", form.lang)
    intro = catalogue(form.lang).get(f"set.i.{group.name}")
    name = f"set-g-{group.name}-{group.path}".replace(".", "-")
    return html.Section(
        [
            html.Div([html.H2(title, id=name)], className="card-head"),
            html.P(intro, className="set-intro") if intro else None,
            *group_body(group, form),
            *extra,
        ],
        className="card set-card",
        **{"aria-labelledby": name},
    )


def group_body(group: Group, form: FormState) -> list[Any]:
    """Return the fields, items and buttons of a group without its frame."""
    if group.is_list:
        return _list(group, form)
    if group.is_optional:
        return _optional(group, form)
    return [fields(group, group.path, form), *(_inner(inner, form) for inner in group.groups)]


def fields(group: Group, base: str, form: FormState) -> Any:
    """Return the fields of a group or of one item of it as a grid."""
    visible = [f for f in group.fields(base) if sections.is_visible(f, form.values)]
    return html.Div([field(f, form) for f in visible], className="set-fields")


def _inner(group: Group, form: FormState) -> Any:
    return html.Div(
        [html.H3(t(f"set.g.{group.name}", form.lang)), *group_body(group, form)],
        className="set-inner",
    )


def _list(group: Group, form: FormState) -> list[Any]:
    found = sections.items(form.values, group.path)
    rows = []
    for index, item in enumerate(found):
        base = f"{group.path}.{index}"
        label = _item_name(group, item, index, form.lang)
        inner = [
            _inner(
                Group(g.name, f"{base}.{g.path}", g.entries, g.is_list, g.is_optional, g.template),
                form,
            )
            for g in group.groups
        ]
        head = [html.Span(label, className="set-item-name")]
        if form.editable:
            head.append(remove_button(act_id("remove", base), label, form.lang))
        rows.append(
            html.Div(
                [
                    html.Div(head, className="set-item-head"),
                    message(base, form),
                    fields(group, base, form),
                    *inner,
                ],
                className="set-item",
                role="group",
                **{"aria-label": label},
            )
        )
    out: list[Any] = [message(group.path, form)]
    if rows:
        out.append(html.Div(rows, className="set-items"))
    elif not form.editable or not found:
        out.append(html.P(t("set.no_items", form.lang), className="set-none"))
    if form.editable:
        out.append(_button(t(f"set.add.{group.name}", form.lang), act_id("add", group.path)))
    return out


def _optional(group: Group, form: FormState) -> list[Any]:
    stated = get(form.values, group.path)
    if stated == ABSENT or stated is None:
        out: list[Any] = [html.P(t("set.not_used", form.lang), className="set-none")]
        if form.editable:
            label = t(f"set.add.{group.name}", form.lang)
            out.append(_button(label, act_id("add", group.path)))
        return out
    body = [message(group.path, form), fields(group, group.path, form)]
    body += [_inner(inner, form) for inner in group.groups]
    if form.editable:
        label = t(f"set.drop.{group.name}", form.lang)
        body.append(_button(label, act_id("remove", group.path), small=True))
    return body


def _item_name(group: Group, item: Any, index: int, lang: str) -> str:
    stated = item if isinstance(item, Mapping) else {}
    name = stated.get("name") or stated.get("topic") or ""
    if not name and isinstance(stated.get("source"), str):
        name = option_label("source", stated["source"], lang)
    number = f"{t(f'set.item.{group.name}', lang)} {index + 1}"
    return f"{number} · {name}" if name else number


def _button(text: str, identifier: Mapping[str, str], what: str = "", small: bool = False) -> Any:
    props = {"aria-label": f"{text}: {what}"} if what else {}
    return html.Button(
        text,
        id=dict(identifier),
        type="button",
        className="button button-small" if small else "button button-add",
        **props,
    )


def add_button(text: str, identifier: Mapping[str, str]) -> Any:
    """Return the button below a list that adds an item to it."""
    return _button(text, identifier)


def remove_button(identifier: Mapping[str, str], what: str, lang: str) -> Any:
    """Return the button of a list item that takes it away; `what` names the item."""
    return _button(t("set.remove", lang), identifier, what=what, small=True)


def button(text: str, identifier: Any, *, main: bool = False, small: bool = False) -> Any:
    """Return a button of the settings."""
    name = "button-main" if main else "button"
    return html.Button(
        text, id=identifier, type="button", className=f"{name} button-small" if small else name
    )


def message(path: str, form: FormState) -> Any:
    """Return the place of the message about a whole part."""
    return html.Div(
        form.errors.get(path, ""), id=error_id(path), className="set-error", role="status"
    )


def field(spec: Field, form: FormState) -> Any:
    """Return one field: label, input with its unit, help and the place of its message."""
    label = name_of(spec.path, form.lang)
    help_text = _help(spec, form.lang)
    identifier = dom_id(field_id(spec.path))
    help_id = f"set-help-{spec.path}"
    value = shown(spec, form.values, form.lang)
    error = form.errors.get(spec.path, "")
    many = spec.kind is Kind.MANY
    wide = " set-wide" if many or spec.kind is Kind.CODES or spec.leaf in _WIDE else ""
    if spec.leaf in _DOUBLE:
        wide = " set-double"
    elif _longest_choice(spec, form.lang) > _SHORT_CHOICE:
        wide = " set-long"
    if not form.editable:
        return html.Div(
            [
                html.Span(label, className="form-label"),
                html.Span(_as_words(spec, value, form.lang), className="set-value"),
            ],
            className=f"set-field{wide}",
        )
    control = _control(spec, value, form)
    if spec.kind is Kind.SWITCH:
        head: Any = None
    elif many:
        head = html.Span(label, id=f"set-label-{spec.path}", className="form-label")
    else:
        head = html.Label(label, htmlFor=identifier, className="form-label")
    box = [control]
    if spec.unit and spec.kind is not Kind.CHOICE:
        box.append(
            html.Span(
                unit_word(spec.unit, form.lang), className="set-unit", **{"aria-hidden": "true"}
            )
        )
    return html.Div(
        [
            head,
            html.Div(
                box,
                className="set-control",
                **({"role": "group", "aria-labelledby": f"set-label-{spec.path}"} if many else {}),
            ),
            html.Div(help_text, id=help_id, className="set-help") if help_text else None,
            _secret(spec, form.lang) if spec.leaf in SECRET_FILES else None,
            html.Div(error, id=error_id(spec.path), className="set-error", role="status"),
        ],
        className=f"set-field{wide}" + (" has-error" if error else ""),
        **{
            "data-path": spec.path,
            "data-unit": spec.unit,
            "data-help": help_id if help_text else "",
            "data-error": dom_id(error_id(spec.path)),
        },
    )


_SHORT_CHOICE = 16
"""Characters of a choice that half the width of a phone shows."""


def _longest_choice(spec: Field, lang: str) -> int:
    if spec.kind is not Kind.CHOICE:
        return 0
    return max((len(_choice(spec, option, lang)) for option in spec.options), default=0)


_WIDE = frozenset({"description", "recipients", "only", "never", "topic", "copyright"})
_DOUBLE = frozenset({"profile", "file"})


def _help(spec: Field, lang: str) -> str:
    known = catalogue(lang)
    key = general(spec.path)
    text = known.get(f"set.h.{key}") or known.get(f"set.h.*.{spec.leaf}") or ""
    if spec.leaf in ("weekdays", "months"):
        return t("set.h.none_is_all", lang)
    return text


def _control(spec: Field, value: Any, form: FormState) -> Any:
    identifier, lang = field_id(spec.path), form.lang
    if spec.kind is Kind.SWITCH:
        return dbc.Switch(
            id=identifier, value=value, label=name_of(spec.path, lang), className="set-switch"
        )
    if spec.kind is Kind.CHOICE or spec.leaf == "profile":
        options = [
            {"label": _choice(spec, option, lang), "value": option_text(option)}
            for option in spec.options
        ] or [{"label": name, "value": key} for key, name in profile_options(lang)]
        if value not in [option["value"] for option in options]:
            options.append({"label": str(value), "value": value})
        return dbc.Select(id=identifier, options=options, value=value)
    if spec.kind is Kind.MANY:
        options = [
            {
                "label": option_label(spec.leaf, option_text(option), lang),
                "value": option_text(option),
            }
            for option in spec.options
        ]
        return dbc.Checklist(
            id=identifier, options=options, value=value, inline=True, className="set-many"
        )
    if spec.kind is Kind.CODES:
        return dbc.Textarea(id=identifier, value=value, rows=3, debounce=DEBOUNCE_S)
    numeric = spec.kind in (Kind.NUMBER, Kind.WHOLE)
    lists = {"timezone": ZONES_ID, "signal": SIGNALS_ID}
    more = {"list": lists[spec.leaf]} if spec.leaf in lists else {}
    return dbc.Input(
        id=identifier,
        type="date" if spec.kind is Kind.DATE else "text",
        inputmode="decimal" if numeric else "text",
        value=value,
        debounce=DEBOUNCE_S,
        autocomplete="off",
        className="is-number" if numeric else "",
        placeholder=form.usual.get(
            spec.path, "–" if spec.optional or spec.kind is Kind.WORDS else ""
        ),
        **more,
    )


SECRET_FILES = frozenset({"password_file", "secret_file", "url_file"})
"""Keys that name a file with a secret, which can be typed here and is never shown again."""


def secret_id(path: str) -> dict[str, str]:
    """Return the id of the input of a secret that goes into the file named at `path`."""
    return {"type": "set-secret", "path": path}


def _secret(spec: Field, lang: str) -> Any:
    identifier = secret_id(spec.path)
    return html.Details(
        [
            html.Summary(t("set.secret.type", lang)),
            html.Form(
                [
                    html.Label(t("set.secret.label", lang), htmlFor=dom_id(identifier)),
                    dbc.Input(id=identifier, type="password", autocomplete="new-password"),
                    _button(t("set.secret.store", lang), act_id("secret", spec.path), small=True),
                ]
            ),
            html.Div(t("set.secret.hint", lang), className="set-help"),
        ],
        className="set-details set-secret",
    )


def _choice(spec: Field, option: Any, lang: str) -> str:
    text = option_label(spec.leaf, option_text(option), lang)
    return f"{text} {unit_word(spec.unit, lang)}" if spec.unit and text.isdigit() else text


def unit_word(unit: str, lang: str) -> str:
    """Return a unit as people write it; most are the same in every language."""
    return catalogue(lang).get(f"set.unit.{unit}", unit)


def _as_words(spec: Field, value: Any, lang: str) -> str:
    if spec.kind is Kind.SWITCH:
        return t("set.yes" if value else "set.no", lang)
    if spec.kind is Kind.MANY:
        return ", ".join(option_label(spec.leaf, item, lang) for item in value) or "–"
    if spec.kind is Kind.CHOICE:
        return _choice(spec, value, lang)
    if spec.leaf == "profile":
        return dict(profile_options(lang)).get(value, value or "–")
    return f"{value} {unit_word(spec.unit, lang)}".strip() if value != "" else "–"


def time_zones() -> Any:
    """Return the list of time zones that an input suggests from."""
    return html.Datalist([html.Option(value=zone) for zone in sorted(known_timezones())], ZONES_ID)


def signals() -> Any:
    """Return the list of signals that inputs suggest from."""
    return html.Datalist([html.Option(value=name) for name in sorted(SIGNALS)], SIGNALS_ID)
