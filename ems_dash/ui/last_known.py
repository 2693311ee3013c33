"""The state of charge last measured: what is still known when the battery falls silent."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Protocol

from ems_dash.i18n import t
from ems_dash.ui import format as fmt
from ems_dash.ui.moment import LastSoc, Moment, reading
from ems_dash.ui.strategy_model import until_text
from engine.domain.series import MeasuredPoint
from engine.domain.snapshot import EngineSnapshot

LOOKED_BACK = timedelta(hours=24)
"""An older state of charge says nothing about now."""

SOC = "soc_percent"


class Measured(Protocol):
    """Where minute means come from."""

    def measured(self, since: datetime, until: datetime | None = None) -> Sequence[MeasuredPoint]:
        """Return minute means from after `since`, ascending."""
        ...


def last_soc(source: Measured, snapshot: EngineSnapshot, now: datetime) -> LastSoc | None:
    """Return the state of charge as last measured; None while it is measured, or when never."""
    if reading(snapshot.display.sample(SOC), snapshot.ts, "en").value is not None:
        return None
    for point in reversed(source.measured(now - LOOKED_BACK)):
        percent = point.values.get(SOC)
        if percent is not None:
            return LastSoc(percent, point.ts)
    return None


def last_soc_text(last: LastSoc, moment: Moment) -> str:
    """Return it in words, with its time, so that nobody takes it for a present value."""
    lang = moment.lang
    return t(
        "soc.last",
        lang,
        soc=fmt.percent(last.percent, lang),
        time=until_text(last.at, moment.now, moment.tz, lang),
    )
