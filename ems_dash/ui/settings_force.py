"""What is saved and not yet in force: what can be taken over now, what waits for a start."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dash import html

from ems_dash.i18n import t
from ems_dash.ui import components as ui
from ems_dash.ui.settings_form import button
from ems_dash.ui.settings_words import change_name
from engine.config.changes import Change
from engine.runtime.live_config import is_live
from engine.runtime.reload import ReloadReport

APPLY = "set-apply"

NAMES_SHOWN = 6


def notices(found: Sequence[Change], lang: str, *, may_apply: bool) -> Any:
    """Return what the running program does not have of the file; nothing when it has all.

    Args:
        found: How the file differs from what is in force.
        lang: ``"de"`` or ``"en"``.
        may_apply: True for who may have it taken over.
    """
    now, later = _parted(found)
    out = []
    if now:
        press = button(t("set.apply", lang), APPLY, small=True) if may_apply else None
        out.append(_notice(t("set.pending_now", lang), names(now, lang), press))
    if later:
        out.append(_notice(t("set.pending", lang), names(later, lang), None))
    return out


def when(found: Sequence[Change], lang: str) -> str:
    """Return the sentences that say which changes can be taken over now and which wait."""
    now, later = _parted(found)
    said = []
    if now:
        said.append(t("set.can_now", lang, names=names(now, lang)))
    if later:
        said.append(t("set.at_start", lang, names=names(later, lang)))
    return " ".join(said)


def applied(report: ReloadReport, site_id: str, time: str, lang: str) -> str:
    """Return what reading the file anew did for the site of the page.

    Args:
        report: What it did for all sites.
        site_id: The site of the page.
        time: When, as shown.
        lang: ``"de"`` or ``"en"``.
    """
    here = next((site for site in report.sites if site.site_id == site_id), None)
    if here is None:
        return t("set.applied_gone", lang, time=time)
    if not here.applied:
        return (
            f"{t('set.applied_nothing', lang, time=time)} {when(here.needs_restart, lang)}".strip()
        )
    said = t("set.applied", lang, time=time, names=names(here.applied, lang))
    return f"{said} {when(here.needs_restart, lang)}".strip()


def names(found: Iterable[Change], lang: str) -> str:
    """Return the names of what changed, the first few of them."""
    called = list(dict.fromkeys(change_name(change, lang) for change in found))
    more = len(called) - NAMES_SHOWN
    shown = ", ".join(called[:NAMES_SHOWN])
    return f"{shown} {t('set.more', lang, count=more)}" if more > 0 else shown


def _parted(found: Sequence[Change]) -> tuple[list[Change], list[Change]]:
    now = [change for change in found if is_live(change.path)]
    return now, [change for change in found if not is_live(change.path)]


def _notice(title: str, text: str, press: Any) -> Any:
    return html.Div(
        [
            ui.icon("info-circle"),
            html.Div(
                [
                    html.Span(title, className="notice-title"),
                    html.Span(text, className="notice-text"),
                    press,
                ]
            ),
        ],
        className="notice notice-warn",
    )
