"""The sites section: which sites there are, naming them, adding and removing one.

In the draft the list stands beside the values of the site whose settings these are, under
``sites``: number of the entry in the file (None for a new site), id and name. The name of the
site itself is one of its values, not of the list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlencode

from dash import html

from ems_dash.i18n import t
from ems_dash.site_router import PARAMETER
from ems_dash.ui import settings_form as forms
from ems_dash.ui.settings_fields import Field, Kind, field_of, put, shown
from ems_dash.ui.settings_form import FormState
from engine.config.changes import Change
from engine.config.file_states import ConfigFile
from engine.config.site_list import SiteRow, row_changes
from engine.config.sites import MAX_SITES, SITES

OWN: Final = "own"
"""Marks the site of the list whose settings these are."""


def stored(file: ConfigFile) -> dict[str, Any]:
    """Return the list as the page keeps it beside the values of the file."""
    return {
        SITES: [
            {"index": row.index, "id": row.id, "name": None, OWN: True}
            if at == file.own
            else {"index": row.index, "id": row.id, "name": row.name}
            for at, row in enumerate(file.sites)
        ]
    }


def apart(values: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[SiteRow, ...] | None]:
    """Return the values of a draft without the list, and the list; None where it has none."""
    own = {key: value for key, value in values.items() if key != SITES}
    if SITES not in values:
        return own, None
    return own, tuple(SiteRow(row["index"], row["id"], row["name"]) for row in values[SITES])


def is_of_list(path: str) -> bool:
    """True for the path of a field or item of the list."""
    return path == SITES or path.startswith(f"{SITES}.")


def take(values: dict[str, Any], path: str, entered: Any) -> None:
    """Put what was entered into the list of a draft."""
    put(values, path, str(entered or "").strip())


def add(values: dict[str, Any], lang: str) -> None:
    """Append a site with an id that is free."""
    rows = list(values.get(SITES) or ())
    taken = {row["id"] for row in rows}
    number = len(rows) + 1
    while f"site-{number}" in taken:
        number += 1
    name = t("set.sites.new_name", lang, number=number)
    values[SITES] = [*rows, {"index": None, "id": f"site-{number}", "name": name}]


def pending(running: Mapping[str, str], file: ConfigFile) -> tuple[Change, ...]:
    """Return how the sites of the file differ from those that run.

    Args:
        running: Id to name of the sites that run; empty when nobody knows.
        file: The file.
    """
    if not running:
        return ()
    before = [SiteRow(at, site_id, name) for at, (site_id, name) in enumerate(running.items())]
    return row_changes(before, file.sites, (file.sites[file.own].id,))


def content(form: FormState, running: Mapping[str, str]) -> list[Any]:
    """Return the section.

    Args:
        form: What is shown.
        running: Id to name of the sites that run.
    """
    lang = form.lang
    rows: Sequence[Mapping[str, Any]] = form.values.get(SITES) or ()
    out: list[Any] = [
        html.Div([html.H2(t("set.g.sites", lang), id="set-g-sites")], className="card-head"),
        html.P(t("set.i.sites", lang), className="set-intro"),
        forms.message(SITES, form),
        html.Div(
            [_item(at, row, form, running) for at, row in enumerate(rows)], className="set-items"
        ),
    ]
    if form.editable and len(rows) < MAX_SITES:
        out.append(forms.add_button(t("set.add.sites", lang), forms.act_id("add", SITES)))
    return [
        html.Section(out, className="card set-card", **{"aria-labelledby": "set-g-sites"}),
    ]


def _item(at: int, row: Mapping[str, Any], form: FormState, running: Mapping[str, str]) -> Any:
    lang, base = form.lang, f"{SITES}.{at}"
    own, new = bool(row.get(OWN)), row["index"] is None
    # A name that the file does not state is the one in force.
    name = shown(field_of("site.name"), form.values, lang) if own else row["name"]
    label = str(name) or row["id"]
    head: list[Any] = [
        html.Span(
            [
                html.Span(label, className="set-item-name"),
                html.Code(row["id"]),
                _mark(own, new, lang),
            ],
            className="set-site-name",
        )
    ]
    buttons = []
    if not own and not new and row["id"] in running:
        address = urlencode({"section": "site", PARAMETER: row["id"]})
        buttons.append(
            html.A(
                t("set.sites.open", lang),
                href=f"/settings?{address}",
                className="button button-small",
                **{"aria-label": f"{t('set.sites.open', lang)}: {label}"},
            )
        )
    if form.editable and not own:
        buttons.append(forms.remove_button(forms.act_id("remove", base), label, lang))
    head.append(html.Div(buttons, className="set-row-buttons") if buttons else None)
    if own:
        fields = [forms.field(field_of("site.name"), form)]
    else:
        listed = replace(form, values={SITES: form.values[SITES]})
        keys = ("name", "id") if new else ("name",)
        fields = [forms.field(Field(f"{base}.{key}", Kind.TEXT), listed) for key in keys]
    return html.Div(
        [
            html.Div(head, className="set-item-head"),
            forms.message(base, form),
            html.Div(fields, className="set-fields"),
            html.P(t("set.sites.new_hint", lang), className="set-none") if new else None,
        ],
        className="set-item",
        role="group",
        **{"aria-label": label},
    )


def _mark(own: bool, new: bool, lang: str) -> Any:
    if own:
        return html.Span(t("set.sites.own", lang), className="pill pill-small pill-info")
    if new:
        return html.Span(t("set.sites.new", lang), className="pill pill-small pill-warn")
    return None
