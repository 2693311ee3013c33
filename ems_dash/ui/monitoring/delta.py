"""What changed on the monitoring page since the browser last asked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from ems_dash.services import Services
from ems_dash.ui.fields import Fields, ShownTexts
from ems_dash.ui.header import frame_fields
from ems_dash.ui.live import Delta, instant, millis, text_delta
from ems_dash.ui.moment import Moment
from ems_dash.ui.monitoring.alarms import RECENT
from ems_dash.ui.monitoring.charts import window_of
from ems_dash.ui.monitoring.panel import Look, Panel, events_key, panel_state
from ems_dash.ui.monitoring.series import Span, live_rows, points_of, span_of
from ems_dash.ui.monitoring.tiles import tile_fields
from engine.domain.quarter_hour import quarter_start
from engine.domain.series import MeasuredPoint

ROOT = "mon-root"

MAX_POINTS_PER_DELTA = 8
"""More new points than this are drawn by rebuilding the charts instead."""


@dataclass(frozen=True, slots=True)
class Shown:
    """Everything a browser is told about one moment, besides the points of the charts.

    Attributes:
        fields: Texts.
        charts: Names the contents of the charts.
        alarms: Names the contents of the table of alarms.
        panel: Names the rows of the panel.
    """

    fields: Fields
    charts: str
    alarms: str
    panel: str


def shown_now(services: Services, moment: Moment, look: Look) -> Shown:
    """Return what the page shows at `moment` to one who looks at `look`."""
    panel = panel_state(services, moment, look)
    span = span_of(look.span, moment.snapshot.time_factor)
    return Shown(
        fields={**page_fields(moment), **panel.fields},
        charts=charts_key(span, moment),
        alarms=alarms_key(services, moment),
        panel=panel_key(look, panel),
    )


def panel_key(look: Look, panel: Panel) -> str:
    """Return a name for a panel and its rows."""
    return _short(f"{look.tab}|{look.device}|{panel.key}")


def page_fields(moment: Moment) -> Fields:
    """Return the texts of the page outside of its panel."""
    return {**frame_fields(moment, ROOT), **tile_fields(moment)}


def charts_key(span: Span, moment: Moment) -> str:
    """Return a name for the axes of the charts; it changes with the range and every quarter-hour.

    While the clock is put forward or back inside the window it changes every minute: the ticks
    are written out then and do not move with the axis.
    """
    window = window_of(span, moment.now, moment.tz)
    since = moment.now if window.clock_changes else quarter_start(moment.now)
    return f"{span.key}|{window.offset_ms}|{since:%d%H%M}"


def alarms_key(services: Services, moment: Moment) -> str:
    """Return a name for the contents of the table of alarms."""
    log = events_key(services.events(moment.now - RECENT))
    notices = moment.snapshot.notices
    return _short(repr((moment.snapshot.alarms, log.partition("|")[2], notices, moment.lang)))


def new_points(
    services: Services, moment: Moment, span: Span, state: Mapping[str, Any]
) -> list[MeasuredPoint]:
    """Return the points the browser has not drawn yet; none when it has no charts."""
    newest = state.get("newest")
    if newest is None:
        return []
    since: datetime = max(instant(newest), moment.now - span.length - timedelta(minutes=1))
    return points_of(services, span, moment.now, since)


def delta(
    state: Mapping[str, Any],
    moment: Moment,
    now: Shown,
    points: Sequence[MeasuredPoint],
    shown: ShownTexts,
    *,
    made: Mapping[str, str] | None = None,
) -> Delta:
    """Return what the browser must change.

    Args:
        state: What the browser has: ``seq``, ``token``, ``newest`` (ms), ``charts``, ``alarms``,
            ``panel`` and ``made``, the panel its texts belong to.
        moment: The state of the engine.
        now: What is to be shown.
        points: Points the browser has not drawn.
        shown: The texts lately shown.
        made: ``id`` and ``key`` of the panel the browser has, None for the one the page came
            with; another one than its texts belong to makes them worthless, so all are sent.

    Returns:
        ``seq``, ``token``, ``now`` (ms) and ``made`` always; ``set`` (changed texts), ``add``
        (new points), ``charts``, ``alarms`` and ``panel`` (new names) only when there is
        something.
    """
    if made is not None and state.get("made") != made:
        state = {**state, "token": None, "panel": made.get("key")}
    out = text_delta(state, moment, now.fields, shown)
    out["made"] = made
    charts = now.charts
    if len(points) > MAX_POINTS_PER_DELTA:
        charts += "|late"
    elif points:
        out["add"] = live_rows(points)
    for name, key in (("charts", charts), ("alarms", now.alarms), ("panel", now.panel)):
        if key != state.get(name):
            out[name] = key
    return out


def first_state(
    moment: Moment, now: Shown, points: Sequence[MeasuredPoint], shown: ShownTexts
) -> dict[str, Any]:
    """Return what the browser has right after the page was served with `points` drawn."""
    return {
        "seq": moment.snapshot.seq,
        "token": shown.put(now.fields),
        "newest": millis(points[-1].ts) if points else millis(moment.now - timedelta(days=2)),
        "charts": now.charts,
        "alarms": now.alarms,
        "panel": now.panel,
        "made": None,
    }


def _short(text: str) -> str:
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()
