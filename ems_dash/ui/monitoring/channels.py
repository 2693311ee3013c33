"""Who is told of alarms: every channel with its state and a test."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import html

from ems_dash.i18n import label, said, t
from ems_dash.ui import components as ui
from ems_dash.ui import format as fmt
from ems_dash.ui.moment import Moment
from engine.notify.notifier import NotifyTest
from engine.notify.outbox import ChannelStatus

_KIND = {"ok": "ok", "failing": "alarm", "off": "info", "unused": "info"}


def structure(channels: Sequence[ChannelStatus]) -> str:
    """Return what the list says, to draw it anew when that changes."""
    return repr(tuple(channels))


def channel_panel(moment: Moment, channels: Sequence[ChannelStatus], *, allowed: bool) -> Any:
    """Return every channel, with a button to test it for who may."""
    lang = moment.lang
    if not channels:
        return ui.empty(t("channel.none", lang), t("channel.none_hint", lang))
    return html.Ul(
        [_channel(channel, moment, allowed=allowed) for channel in channels], className="rows"
    )


def _channel(channel: ChannelStatus, moment: Moment, *, allowed: bool) -> Any:
    lang = moment.lang
    dot = " pill-dot" if channel.state == "ok" else ""
    button = html.Button(
        [ui.icon("send"), html.Span(t("channel.test", lang))],
        id={"type": "mon-notify-test", "id": channel.name},
        className="button button-small",
        type="button",
        **{"aria-label": t("channel.test_of", lang, channel=channel.name)},
    )
    return html.Li(
        [
            ui.icon("bell"),
            html.Div(
                [
                    html.Div(
                        [
                            html.Span(channel.name),
                            html.Span(
                                label("channel", f"state.{channel.state}", lang),
                                className=f"pill pill-small pill-{_KIND.get(channel.state, 'warn')}"
                                + dot,
                            ),
                        ],
                        className="row-label",
                    ),
                    html.Div(_facts(channel, moment), className="row-word"),
                    html.Div(said(channel.last_error, moment.lang), className="row-word row-why")
                    if channel.last_error
                    else None,
                ],
                className="row-text",
            ),
            button if allowed else None,
        ],
        className="row-item",
    )


def _facts(channel: ChannelStatus, moment: Moment) -> str:
    lang = moment.lang
    facts = [f"{label('channel', f'type.{channel.type}', lang)} {channel.target}"]
    for key, ts in (
        ("last_success", channel.last_success),
        ("next_try", channel.next_try),
        ("quiet_until", channel.quiet_until),
    ):
        if ts is not None:
            time = fmt.when(ts, moment.now, moment.tz, lang)
            facts.append(t(f"channel.{key}", lang, time=time))
    for key, n in (
        ("queued", channel.queued),
        ("suppressed", channel.suppressed),
        ("expired", channel.expired),
        ("failed", channel.failed),
    ):
        if n:
            facts.append(t(f"channel.{key}", lang, n=n))
    return " · ".join(facts)


def result_text(result: NotifyTest, lang: str) -> str:
    """Return what came of a test."""
    if result.ok:
        seconds = fmt.number(result.seconds, 1, lang)
        came = t("channel.test_ok", lang, target=result.detail, seconds=seconds)
    else:
        came = t("channel.test_failed", lang, detail=said(result.detail, lang))
    return f"{result.channel}: {came}"
