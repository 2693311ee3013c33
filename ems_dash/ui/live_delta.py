"""What changed on the overview since the browser last asked, in less than a kilobyte."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from ems_dash.ui import overview_model as model
from ems_dash.ui.fields import ShownTexts
from ems_dash.ui.figure_parts import live_value
from ems_dash.ui.live import Delta, instant, millis, text_delta
from ems_dash.ui.measured_past import MEASURED_SIGNALS
from ems_dash.ui.moment import Moment
from engine.domain.quarter_hour import quarter_start
from engine.domain.series import MeasuredPoint
from engine.domain.snapshot import EngineSnapshot

MAX_POINTS_PER_DELTA = 6
"""More new minutes than this are drawn by rebuilding the charts instead."""


def charts_key(snapshot: EngineSnapshot, now: datetime) -> str:
    """Return a name for the charts' contents and the steps beside them.

    It changes with the plan, the quarter-hour, and whether the plan is followed.
    """
    plan = snapshot.plan.plan_id if snapshot.plan is not None else "none"
    followed = "" if model.plan_is_applied(snapshot) else f"|{snapshot.state_reason or ''}"
    return f"{plan}{followed}|{quarter_start(now).timestamp():.0f}"


def live_points(points: Sequence[MeasuredPoint]) -> list[list[float | None]]:
    """Return points as ``[utc_ms, pv, load, grid, battery, soc]``."""
    return [
        [millis(p.ts), *(live_value(p.values.get(name)) for name in MEASURED_SIGNALS)]
        for p in points
    ]


def since(state: Mapping[str, Any] | None) -> datetime | None:
    """Return the newest minute the browser has drawn, or None."""
    minute = None if state is None else state.get("minute")
    return None if minute is None else instant(minute)


def delta(
    state: Mapping[str, Any] | None,
    moment: Moment,
    points: Sequence[MeasuredPoint],
    shown: ShownTexts,
) -> Delta:
    """Return what the browser must change.

    Args:
        state: What the browser has: ``seq``, ``token``, ``minute`` (ms), ``charts``, ``lists``.
        moment: The state of the engine.
        points: One-minute means after the browser's newest minute.
        shown: The texts lately shown.

    Returns:
        ``seq``, ``token`` and ``now`` (ms, UTC) always; ``set`` (changed fields), ``add`` (new
        points), ``charts`` and ``lists`` (new keys) only when there is something.
    """
    state = state or {}
    out = text_delta(state, moment, model.fields(moment), shown)
    key = charts_key(moment.snapshot, moment.now)
    if len(points) > MAX_POINTS_PER_DELTA:
        key += "|late"
    elif points:
        out["add"] = live_points(points)
    if key != state.get("charts"):
        out["charts"] = key
    lists = model.lists_key(moment.snapshot, moment.lang)
    if lists != state.get("lists"):
        out["lists"] = lists
    return out


def first_state(
    moment: Moment, points: Sequence[MeasuredPoint], shown: ShownTexts
) -> dict[str, Any]:
    """Return what the browser has right after the page was served with `points` drawn."""
    newest = points[-1].ts if points else moment.now - timedelta(hours=6)
    return {
        "seq": moment.snapshot.seq,
        "token": shown.put(model.fields(moment)),
        "minute": millis(newest),
        "charts": charts_key(moment.snapshot, moment.now),
        "lists": model.lists_key(moment.snapshot, moment.lang),
    }
