"""What every live page tells a browser that asks again: only what has changed."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ems_dash.ui.fields import Fields, ShownTexts, changed
from ems_dash.ui.moment import Moment

QUIET_FOR_S = 3.0
"""An unchanged state older than this is answered, so the page knows the server is there."""

TICK_MS = 2000
"""How often a live page asks."""

Delta = dict[str, Any]


def millis(ts: datetime) -> int:
    """Return `ts` as UTC milliseconds."""
    return round(ts.timestamp() * 1000)


def instant(utc_ms: float) -> datetime:
    """Return the instant of UTC milliseconds."""
    return datetime.fromtimestamp(utc_ms / 1000, UTC)


def nothing_new(state: Mapping[str, Any] | None, moment: Moment) -> bool:
    """Return True when the browser has this cycle already and the control loop is in time."""
    return (
        state is not None
        and state.get("seq") == moment.snapshot.seq
        and moment.heartbeat_age_s <= QUIET_FOR_S
    )


def text_delta(
    state: Mapping[str, Any], moment: Moment, fields: Fields, shown: ShownTexts
) -> Delta:
    """Return ``seq``, ``token`` and ``now`` (ms, UTC), and ``set`` when texts have changed.

    Args:
        state: What the browser has; its ``token`` names the texts.
        moment: The state of the engine.
        fields: The texts of this moment.
        shown: The texts lately shown.
    """
    out: Delta = {
        "seq": moment.snapshot.seq,
        "token": shown.put(fields),
        "now": millis(moment.now),
    }
    different = changed(shown.get(state.get("token")), fields)
    if different:
        out["set"] = different
    return out
