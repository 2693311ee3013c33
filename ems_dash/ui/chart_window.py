"""The time axis of the overview's charts.

Plotly knows no time zones, so instants are drawn as UTC milliseconds shifted by one offset per
chart: the axis stays even in time. Where the clock changes inside the window the ticks are
written out with the true local times instead of being left to Plotly.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from ems_dash.ui import format as fmt
from engine.domain.quarter_hour import quarter_start

PAST = timedelta(hours=24)
LEAST_PAST = timedelta(hours=1)
FUTURE = timedelta(hours=36)
TICK = timedelta(hours=3)

LONG = timedelta(hours=36)
"""Windows longer than this have half as many ticks per hour."""


@dataclass(frozen=True, slots=True)
class ChartWindow:
    """The window of a chart; it stands still for a quarter-hour.

    Attributes:
        start: Left edge, UTC.
        end: Right edge, UTC.
        now: The moment the chart was made, UTC.
        tz: Time zone of the site.
    """

    start: datetime
    end: datetime
    now: datetime
    tz: ZoneInfo

    @property
    def offset_ms(self) -> int:
        """Milliseconds added to UTC to read local time at the left edge."""
        return _offset_ms(self.start, self.tz)

    @property
    def clock_changes(self) -> bool:
        """True when the local clock is put forward or back inside the window."""
        return _offset_ms(self.end, self.tz) != self.offset_ms

    def x(self, ts: datetime) -> int:
        """Return where `ts` (aware) lies on the axis."""
        return round(ts.timestamp() * 1000) + self.offset_ms

    def x_axis(
        self, lang: str, *, narrow: bool = False, tick: timedelta | None = None
    ) -> dict[str, Any]:
        """Return the Plotly layout of the time axis.

        Args:
            lang: ``"de"`` or ``"en"``.
            narrow: True on a phone: half the ticks.
            tick: Distance of the ticks, a divisor of a day; None lets the window decide.
        """
        if tick is None:
            tick = 2 * TICK if self.end - self.start > LONG else TICK
        tick = 2 * tick if narrow else tick
        axis: dict[str, Any] = {
            "type": "date",
            "range": [self.x(self.start), self.x(self.end)],
            "autorange": False,
            "hoverformat": "%a %H:%M",
            "tick0": 0,
            "dtick": tick // timedelta(milliseconds=1),
            "tickformat": _tick_format(lang, narrow=narrow),
        }
        if self.clock_changes:
            offset_hours = self.offset_ms // 3_600_000
            axis["hoverformat"] = f"%H:%M (UTC{offset_hours:+d})"
            ticks = list(self._local_ticks(tick))
            axis["tickmode"] = "array"
            axis["tickvals"] = [self.x(tick) for tick in ticks]
            axis["ticktext"] = [self._tick_text(tick, lang) for tick in ticks]
        return axis

    def _local_ticks(self, tick: timedelta) -> list[datetime]:
        out = []
        step = min(tick, timedelta(minutes=15))
        ts = quarter_start(self.start)
        while ts <= self.end:
            local = ts.astimezone(self.tz)
            since_midnight = timedelta(hours=local.hour, minutes=local.minute)
            if ts >= self.start and since_midnight % tick == timedelta(0):
                out.append(ts)
            ts += step
        return out

    def _tick_text(self, ts: datetime, lang: str) -> str:
        text = fmt.clock_time(ts, self.tz)
        return f"{text}<br>{fmt.day_label(ts, self.tz, lang)}" if text == "00:00" else text


def chart_window(
    now: datetime, tz: ZoneInfo, first_measured: datetime | None = None
) -> ChartWindow:
    """Return the window around `now`, from the quarter-hour: some past and 36 hours ahead.

    The past is 24 hours, or less (at least one) while nothing older was measured, so that a
    first visit does not look at an empty chart.

    Args:
        now: The engine's time.
        tz: Time zone of the site.
        first_measured: Oldest measurement of the last 24 hours; None when there is none.
    """
    anchor = quarter_start(now)
    past = LEAST_PAST
    if first_measured is not None:
        hours = -(-(anchor - first_measured) // timedelta(hours=1))
        past = min(PAST, max(LEAST_PAST, timedelta(hours=hours)))
    return ChartWindow(anchor - past, anchor + FUTURE, now.astimezone(UTC), tz)


def _tick_format(lang: str, *, narrow: bool) -> str:
    if narrow:
        # Two dates side by side must fit a phone.
        return "%H:%M\n%a %-d." if lang == "de" else "%H:%M\n%a %-d"
    return "%H:%M\n%a, %d.%m." if lang == "de" else "%H:%M\n%a, %-d %b"


def _offset_ms(ts: datetime, tz: ZoneInfo) -> int:
    offset = ts.astimezone(tz).utcoffset()
    return round(offset.total_seconds() * 1000) if offset is not None else 0
