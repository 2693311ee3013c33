"""Holds the mean import of the running quarter-hour under a cap (notes/optimisation section 4).

What the cap leaves of the quarter-hour's energy is spread over its remaining time:

    allowed = ((cap - margin) * 900 s - imported so far) / (900 s - elapsed)

at most 1.6 times the cap plus 20 kW, because a small remainder of time would allow or demand
anything, and for the same reason frozen in the last 16 s. It is one-sided: the battery
charges less or discharges more, and never the other way round.
"""

from __future__ import annotations

import math
from datetime import datetime

from engine.control.quarter_import import QUARTER_S, QuarterSoFar

FROZEN_S = 16.0
"""End of the quarter-hour in which the allowed import no longer changes."""


def ceiling_kw(cap_kw: float) -> float:
    """Return the most import ever allowed at an instant under a cap."""
    return 1.6 * cap_kw + 20.0


class PeakGuard:
    """Says what may be imported now so that the quarter-hour's mean stays under the cap.

    Args:
        margin_percent: How far below the cap it aims.
    """

    def __init__(self, margin_percent: float = 1.0) -> None:
        self._frozen: tuple[datetime, float] | None = None
        self.adopt(margin_percent)

    def adopt(self, margin_percent: float) -> None:
        """Aim so far below the cap from now on; what is frozen stays so."""
        self._aim = 1.0 - margin_percent / 100.0

    def allowed_kw(self, quarter: QuarterSoFar, cap_kw: float) -> float:
        """Return the import allowed from now to the end of the quarter-hour, >= 0.

        Args:
            quarter: The quarter-hour so far.
            cap_kw: Mean import not to be exceeded, >= 0; infinite for no cap.
        """
        if not math.isfinite(cap_kw):
            self._frozen = None
            return math.inf
        top_kw, aim_kw = ceiling_kw(cap_kw), self._aim * cap_kw
        if quarter.remaining_s <= FROZEN_S:
            # Who starts only now has nothing frozen, and too little time to make up for much.
            start, frozen_kw = self._frozen or (None, aim_kw)
            return frozen_kw if start == quarter.start else aim_kw
        # An unknown part at the cap itself would have to be made up for, steeply near the end.
        left_kws = aim_kw * QUARTER_S - quarter.imported_kws(aim_kw, top_kw)
        allowed = min(max(left_kws / quarter.remaining_s, 0.0), top_kw)
        self._frozen = (quarter.start, allowed)
        return allowed
