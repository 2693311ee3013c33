"""Which form belongs to which section."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any
from zoneinfo import ZoneInfo

from dash import html

from ems_dash.i18n import t
from ems_dash.ui import (
    settings_backups,
    settings_devices,
    settings_mqtt,
    settings_notify,
    settings_sites,
)
from ems_dash.ui import settings_form as forms
from ems_dash.ui import settings_sections as sections
from ems_dash.ui.moment import Moment
from ems_dash.ui.settings_fields import get, put
from ems_dash.ui.settings_form import FormState
from ems_dash.ui.settings_sections import Group
from ems_dash.ui.settings_words import day_text
from engine.config.file_states import Backup
from engine.devices.connection_test import ConnectionReport
from engine.notify.outbox import ChannelStatus


def content(
    view: Mapping[str, Any],
    form: FormState,
    *,
    report: ConnectionReport | None,
    backups: Sequence[Backup],
    channels: Sequence[ChannelStatus],
    zone: ZoneInfo,
    running: Mapping[str, str],
    moment: Moment,
) -> list[Any]:
    """Return the form of the section that `view` names.

    Args:
        view: ``section``, and which parts of it are open.
        form: What is shown.
        report: The newest test of the open device, or None.
        backups: The backups, for their section.
        channels: The notification channels the program runs with, for theirs.
        zone: The site's time zone.
        running: Id to name of the sites that run, for the section of sites.
        moment: The state of the engine, for the connections of the devices.
    """
    section = sections.section_of(view.get("section"))
    if section is sections.TARIFF:
        return _tariff(view, form)
    if section is sections.DEVICES:
        return settings_devices.content(form, view, report, moment)
    if section is sections.SITES:
        return settings_sites.content(form, running)
    if section is sections.MQTT:
        return settings_mqtt.content(form)
    if section is sections.BACKUPS:
        return settings_backups.content(backups, zone, editable=form.editable, lang=form.lang)
    if section is sections.NOTIFICATIONS:
        return settings_notify.content(form, channels)
    if section is sections.SITE:
        return [*forms.groups(section.groups, form), forms.time_zones()]
    return forms.groups(section.groups, form)


def tariff_version(view: Mapping[str, Any], values: Mapping[str, Any]) -> int:
    """Return the version of the tariff that is open; the newest until another is chosen."""
    count = sections.versions_of(values)
    chosen = view.get("version")
    return min(chosen, count - 1) if isinstance(chosen, int) and count else max(0, count - 1)


def _tariff(view: Mapping[str, Any], form: FormState) -> list[Any]:
    lang, values = form.lang, form.values
    count = sections.versions_of(values)
    opened = tariff_version(view, values)
    base = sections.tariff_base(values, opened)
    tabs = []
    for index in range(count):
        day = get(values, f"tariff.versions.{index}.valid_from")
        name = day_text(day, lang) if isinstance(day, str) and day[:1].isdigit() else ""
        text = t("set.version.from", lang, day=name) if name else t("set.version.ever", lang)
        tabs.append(
            html.Button(
                text,
                id=forms.act_id("version", str(index)),
                type="button",
                className="set-tab",
                **{"aria-pressed": "true" if index == opened else "false"},
            )
        )
    buttons = []
    if form.editable:
        buttons.append(
            forms.button(t("set.version.add", lang), forms.act_id("add-version", "tariff"))
        )
        if count:
            buttons.append(
                forms.button(
                    t("set.version.remove", lang),
                    forms.act_id("remove-version", str(opened)),
                    small=True,
                )
            )
    intro = t("set.i.versions" if count else "set.i.no_versions", lang)
    versions = html.Section(
        [
            html.Div([html.H2(t("set.g.versions", lang))], className="card-head"),
            html.P(intro, className="set-intro"),
            forms.message("tariff", form),
            html.Div(tabs, className="set-tabs") if tabs else None,
            html.Div(buttons, className="set-buttons-row") if buttons else None,
        ],
        className="card set-card",
    )
    return [versions, *forms.groups(sections.tariff_groups(base), form)]


def add_at(values: dict[str, Any], path: str) -> None:
    """Add an item to the list, or the optional part, that stands at a dotted path."""
    group = group_at(path)
    if group is not None and group.is_list:
        sections.add_item(values, group)
    elif group is not None:
        put(values, path, dict(group.template))


def group_at(path: str) -> Group | None:
    """Return the list or optional part at a dotted path, None when there is none."""
    if path.startswith("tariff."):
        parts = path.split(".")
        base = ".".join(parts[:3]) if parts[1] == "versions" else "tariff"
        found = _all(sections.tariff_groups(base))
    else:
        found = [group for section in sections.SECTIONS for group in _all(section.groups)]
    for group in found:
        if group.path == path and (group.is_list or group.is_optional):
            return group
        head, number, rest = _split_item(path)
        if number and group.is_list and group.path == head:
            for inner in group.groups:
                if inner.path == rest:
                    return replace(inner, path=path)
    return None


def _all(groups: Sequence[Group]) -> list[Group]:
    return [found for group in groups for found in (group, *_absolute(group))]


def _absolute(group: Group) -> list[Group]:
    return [] if group.is_list else _all(group.groups)


def _split_item(path: str) -> tuple[str, str, str]:
    match = re.fullmatch(r"(.+)\.(\d+)\.([a-z_.]+)", path)
    return (match[1], match[2], match[3]) if match else ("", "", "")
