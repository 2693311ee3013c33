"""What changed since the browser last asked, in less than a kilobyte."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from ems_dash.ui import overview_model as model
from ems_dash.ui.figures import MEASURED_SIGNALS, live_value
from engine.domain.quarter_hour import quarter_start
from engine.domain.series import MeasuredPoint
from engine.domain.snapshot import EngineSnapshot

MAX_POINTS_PER_DELTA = 6
"""More new minutes than this are drawn by rebuilding the charts instead."""

QUIET_FOR_S = 3.0
"""An unchanged state older than this is answered, so the page knows the server is there."""

Delta = dict[str, Any]


class ShownTexts:
    """The texts lately shown to browsers, by token; safe to use from many threads."""

    def __init__(self, keep: int = 256) -> None:
        self._keep = keep
        self._lock = threading.Lock()
        self._by_token: OrderedDict[str, model.Fields] = OrderedDict()

    def put(self, fields: model.Fields) -> str:
        """Remember `fields`; return their token."""
        token = model.token(fields)
        with self._lock:
            self._by_token[token] = fields
            self._by_token.move_to_end(token)
            while len(self._by_token) > self._keep:
                self._by_token.popitem(last=False)
        return token

    def get(self, token: str | None) -> model.Fields | None:
        """Return the texts of `token`, or None when they are forgotten."""
        if token is None:
            return None
        with self._lock:
            return self._by_token.get(token)


def charts_key(snapshot: EngineSnapshot, now: datetime) -> str:
    """Return a name for the charts' contents; it changes with the plan and the quarter-hour."""
    plan = snapshot.plan.plan_id if snapshot.plan is not None else "none"
    return f"{plan}|{quarter_start(now).timestamp():.0f}"


def millis(ts: datetime) -> int:
    """Return `ts` as UTC milliseconds."""
    return round(ts.timestamp() * 1000)


def live_points(points: Sequence[MeasuredPoint]) -> list[list[float | None]]:
    """Return points as ``[utc_ms, pv, load, grid, battery, soc]``."""
    return [
        [millis(p.ts), *(live_value(p.values.get(name)) for name in MEASURED_SIGNALS)]
        for p in points
    ]


def nothing_new(state: Mapping[str, Any] | None, moment: model.Moment) -> bool:
    """Return True when the browser has this cycle already and the control loop is in time."""
    return (
        state is not None
        and state.get("seq") == moment.snapshot.seq
        and moment.heartbeat_age_s <= QUIET_FOR_S
    )


def since(state: Mapping[str, Any] | None) -> datetime | None:
    """Return the newest minute the browser has drawn, or None."""
    minute = None if state is None else state.get("minute")
    return None if minute is None else datetime.fromtimestamp(minute / 1000, UTC)


def delta(
    state: Mapping[str, Any] | None,
    moment: model.Moment,
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
    fields = model.fields(moment)
    out: Delta = {
        "seq": moment.snapshot.seq,
        "token": shown.put(fields),
        "now": millis(moment.now),
    }
    different = model.changed(shown.get(state.get("token")), fields)
    if different:
        out["set"] = different
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
    moment: model.Moment, points: Sequence[MeasuredPoint], shown: ShownTexts
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
