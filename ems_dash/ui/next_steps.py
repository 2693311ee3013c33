"""What the battery does next, in words, and the strip that shows the day at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

from ems_dash.i18n import label, t
from ems_dash.ui import format as fmt
from ems_dash.ui.why import why
from engine.domain.plan import Plan
from engine.optimization.explanation import FLUTTER_KW, Action, ActionKind

CHARGE = ("arrow-down-circle", "battery")
DISCHARGE = ("arrow-up-circle", "battery")
HOLD = ("pause-circle", "")

ICONS = {
    ActionKind.CHARGE_PV: CHARGE,
    ActionKind.CHARGE_GRID: CHARGE,
    ActionKind.CHARGE_MIXED: CHARGE,
    ActionKind.DISCHARGE_LOAD: DISCHARGE,
    ActionKind.DISCHARGE_GRID: DISCHARGE,
    ActionKind.HOLD: HOLD,
}

STRIP_HOURS = 24


@dataclass(frozen=True, slots=True)
class NextStep:
    """One line of the list "next steps".

    Attributes:
        icon: Icon name.
        role: Data role that colours the icon, or empty.
        title: What happens, in words.
        detail: When, how much energy, at which mean price.
        why: Why, for the step that is running; else empty.
        power: Mean power without sign (the words give the direction); None for holding.
        running: True while it is going on.
    """

    icon: str
    role: str
    title: str
    detail: str
    why: str
    power: fmt.Quantity | None
    running: bool


def next_steps(actions: Sequence[Action], now: datetime, tz: ZoneInfo, lang: str) -> list[NextStep]:
    """Return the lines for `actions` as seen at `now` (UTC)."""
    return [_next_step(action, now, tz, lang) for action in actions]


def _next_step(action: Action, now: datetime, tz: ZoneInfo, lang: str) -> NextStep:
    name, role = ICONS[action.kind]
    holds = action.kind is ActionKind.HOLD
    running = action.start <= now < action.end
    parts = [
        t("steps.until", lang, time=fmt.clock_time(action.end, tz))
        if running
        else _when(action.start, action.end, now, tz, lang)
    ]
    if not holds:
        parts.append(str(fmt.energy(action.energy_kwh, lang)))
    if action.price_eur_per_kwh is not None:
        parts.append(f"Ø{fmt.NBSP}{fmt.price(action.price_eur_per_kwh, lang)}")
    return NextStep(
        icon=name,
        role=role,
        title=label("action", action.kind.value, lang),
        detail=" · ".join(parts),
        why=(
            why(action.reason, now, tz, lang, short=not running)
            if action.reason is not None
            else ""
        ),
        power=None if holds else fmt.power(abs(action.mean_kw), lang),
        running=running,
    )


def _when(start: datetime, end: datetime, now: datetime, tz: ZoneInfo, lang: str) -> str:
    today, day = now.astimezone(tz).date(), start.astimezone(tz).date()
    text = fmt.time_range(start, end, tz)
    if day == today + timedelta(days=1):
        return t("steps.tomorrow", lang, time=text)
    if day > today:
        return f"{fmt.day_label(start, tz, lang)} {text}"
    return text


@dataclass(frozen=True, slots=True)
class StripPart:
    """A stretch of one kind in the plan's next 24 h; `share` of the strip, 0..1."""

    kind: str
    share: float
    title: str


def day_strip(plan: Plan | None, now: datetime, tz: ZoneInfo, lang: str) -> list[StripPart]:
    """Return charge, discharge and hold stretches of the next 24 h; empty without a plan."""
    if plan is None:
        return []
    first = plan.step_at(now)
    if first is None:
        return []
    count = min(plan.n_steps - first, int(timedelta(hours=STRIP_HOURS) / plan.step))

    def kind(index: int) -> str:
        power_kw = float(plan.battery_kw[index])
        if abs(power_kw) < FLUTTER_KW:
            return "hold"
        return "discharge" if power_kw > 0 else "charge"

    parts = []
    for name, group in groupby(range(first, first + count), key=kind):
        steps = list(group)
        start = plan.start + steps[0] * plan.step
        end = plan.start + (steps[-1] + 1) * plan.step
        title = f"{t(f'strip.{name}', lang)} {fmt.time_range(start, end, tz)}"
        parts.append(StripPart(name, len(steps) / count, title))
    return parts
