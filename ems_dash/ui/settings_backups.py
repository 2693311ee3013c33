"""The dated backups of the configuration: what each change was, and putting one back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

from dash import html

from ems_dash.i18n import t
from ems_dash.ui import components as ui
from ems_dash.ui import format as fmt
from ems_dash.ui.settings_view import change_row
from engine.config.file_states import Backup

SHOWN = 8
"""Most changes listed per backup."""


def restore_id(name: str) -> dict[str, str]:
    """Return the id of the button that puts a backup back."""
    return {"type": "set-restore", "name": name}


def undo_id(name: str) -> dict[str, str]:
    """Return the id of the button that takes back the change which made a backup."""
    return {"type": "set-undo", "name": name}


def content(backups: Sequence[Backup], zone: ZoneInfo, *, editable: bool, lang: str) -> list[Any]:
    """Return the list of backups, newest first."""
    if not backups:
        body: Any = ui.empty(t("set.backups.none", lang), t("set.backups.none_hint", lang))
    else:
        body = html.Ol(
            [_backup(backup, zone, editable=editable, lang=lang) for backup in backups],
            className="set-backups",
        )
    return [
        html.Section(
            [
                html.Div([html.H2(t("set.g.backups", lang))], className="card-head"),
                html.P(t("set.i.backups", lang), className="set-intro"),
                body,
            ],
            className="card set-card",
        )
    ]


def _backup(backup: Backup, zone: ZoneInfo, *, editable: bool, lang: str) -> Any:
    when = f"{fmt.date(backup.ts, zone, lang)}, {fmt.clock_time(backup.ts, zone, seconds=True)}"
    rows = [change_row(change, lang) for change in backup.changes[:SHOWN]]
    if len(backup.changes) > SHOWN:
        rows.append(html.Li(t("set.more", lang, count=len(backup.changes) - SHOWN)))
    what: Any = html.Ul(rows, className="set-changes")
    if backup.problem is not None:
        what = html.P(t("set.backups.broken", lang), className="set-none")
    elif not rows:
        what = html.P(t("set.backups.remarks", lang), className="set-none")
    return html.Li(
        [
            html.Div(
                [
                    html.Span(when, className="set-item-name"),
                    html.Button(
                        t("set.backups.restore", lang),
                        id=restore_id(backup.name),
                        type="button",
                        className="button button-small",
                        **{"aria-label": f"{t('set.backups.restore', lang)}: {when}"},
                    )
                    if editable and backup.problem is None
                    else None,
                ],
                className="set-item-head",
            ),
            what,
        ],
        className="set-item",
    )
