"""The notifications section: its form, and a test of the channels the program runs with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import html

from ems_dash.i18n import said, t
from ems_dash.ui import settings_form as forms
from ems_dash.ui.settings_form import FormState
from ems_dash.ui.settings_sections import NOTIFICATIONS
from ems_dash.ui.settings_words import option_label
from engine.notify.notifier import NotifyTest
from engine.notify.outbox import ChannelStatus

_PILL = {"ok": "ok", "failing": "alarm"}


def channel_id(name: str) -> dict[str, str]:
    """Return the id of the button that tests a channel."""
    return {"type": "set-channel", "name": name}


def content(form: FormState, channels: Sequence[ChannelStatus]) -> list[Any]:
    """Return the section.

    Args:
        form: What is shown.
        channels: The channels the program runs with.
    """
    return [*forms.groups(NOTIFICATIONS.groups, form), _running(form, channels)]


def _running(form: FormState, channels: Sequence[ChannelStatus]) -> Any:
    lang = form.lang
    rows = [
        html.Li(
            [
                html.Div(
                    [
                        html.Span(channel.name, className="set-item-name"),
                        html.Span(
                            f"{option_label('type', channel.type, lang)} · {channel.target}",
                            className="set-none",
                        ),
                    ]
                ),
                html.Span(
                    t(f"set.channel.{channel.state}", lang),
                    className=f"pill pill-small pill-{_PILL.get(channel.state, 'info')}",
                ),
                html.Span(said(channel.last_error, lang), className="set-none"),
                forms.button(t("set.channel.test", lang), channel_id(channel.name), small=True)
                if form.editable
                else None,
            ],
            className="set-channel",
        )
        for channel in channels
    ]
    return html.Section(
        [
            html.Div([html.H2(t("set.g.channels_test", lang))], className="card-head"),
            html.P(t("set.i.channels_test", lang), className="set-intro"),
            html.Ul(rows, className="set-channels")
            if rows
            else html.P(t("set.channel.none", lang), className="set-none"),
            html.Div(id="set-channel-result", role="status"),
        ],
        className="card set-card",
    )


def result(test: NotifyTest, lang: str) -> tuple[str, str]:
    """Return what came of a test in words, and ``"ok"`` or ``"alarm"``."""
    key = "set.channel.sent" if test.ok else "set.channel.not_sent"
    text = t(key, lang, name=test.channel, detail=test.detail)
    return text, "ok" if test.ok else "alarm"
