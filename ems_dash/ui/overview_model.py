"""What the overview says about one moment: a pure function from engine state to texts.

The result is a flat mapping of display fields, see `ems_dash.ui.fields`.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from ems_dash.i18n import label, said, t
from ems_dash.ui import format as fmt
from ems_dash.ui.fields import Fields
from ems_dash.ui.header import RECORDED, badges, frame_fields
from ems_dash.ui.last_known import last_soc_text
from ems_dash.ui.moment import Moment, Reading, calm_reason, reading
from ems_dash.ui.silence import BROKER, offline_since
from ems_dash.ui.strategy_model import mode_text, order_text, until_text
from engine.domain.control import CommandReport, EngineState, LinkStatus, StepHealth
from engine.domain.plan import Plan
from engine.domain.site import Site
from engine.domain.snapshot import EngineSnapshot, PriceNow

IDLE_BELOW_KW = 0.3
"""Battery power below this reads as idle: converters show a little power at rest."""

FLOWS = {
    "pv": ("pv_kw", "in"),
    "load": ("load_kw", "out"),
    "grid": ("grid_kw", "in"),
    "bat": ("battery_kw", "in"),
}
"""Lines of the plant picture: signal, and where a positive value flows at the busbar."""

STRONG_FROM = 0.25
"""Share of the largest power of the plant from which on a line is drawn thick."""

PLAN_LATE_AFTER_STEPS = 2
"""A plan not renewed for this many steps is marked."""

SAID_BY_BADGES = frozenset({"recorded_prices", "demo_plant"})
"""Notices that the badges beside the page title say already."""


def fields(moment: Moment) -> Fields:
    """Return every text of the overview that may change from one cycle to the next."""
    out = frame_fields(moment, "ov-root")
    _kpi_soc(moment, out)
    _kpi_power(moment, out)
    _kpi_strategy(moment, out)
    _kpi_profit(moment, out)
    _status_rows(moment, out)
    _flow(moment, out)
    out["hand-now"] = order_text(moment.snapshot.manual, moment.now, moment.tz, moment.lang)
    return out


# --- KPI cards --------------------------------------------------------------------------------


def _kpi_soc(moment: Moment, out: Fields) -> None:
    lang, battery = moment.lang, moment.snapshot.site.battery
    soc = _read(moment, "soc_percent")
    out["soc-v"] = fmt.percent(soc.value, lang).text
    out["soc-p"], out["soc-p.title"] = soc.mark, soc.reason
    out["soc.className"] = _card_class(soc.muted)
    out["soc-b.style"] = {"width": f"{min(100.0, max(0.0, soc.value or 0.0)):.0f}%"}
    window = t(
        "kpi.soc_window",
        lang,
        low=fmt.number(battery.soc_min_percent, 0, lang),
        high=fmt.percent(battery.soc_max_percent, lang),
    )
    capacity = fmt.capacity(battery.energy_capacity_kwh, lang)
    if moment.last_soc is not None:
        last = last_soc_text(moment.last_soc, moment)
        out["soc-s"] = t("kpi.soc_last", lang, last=last, capacity=capacity)
    elif soc.value is None:
        out["soc-s"] = t("kpi.soc_unknown", lang, capacity=capacity, window=window)
    else:
        stored = fmt.number(battery.energy_capacity_kwh * soc.value / 100.0, 0, lang)
        out["soc-s"] = t("kpi.soc_sub", lang, stored=stored, capacity=capacity, window=window)


def _kpi_power(moment: Moment, out: Fields) -> None:
    lang, snapshot = moment.lang, moment.snapshot
    power = _read(moment, "battery_kw")
    out["pow-v"] = fmt.number(power.value, 1, lang, signed=True)
    out["pow-p"], out["pow-p.title"] = power.mark, power.reason
    out["pow.className"] = _card_class(power.muted)
    out["pow-b.style"] = bar_from_middle(power.value, snapshot.site)
    out["pow-s"] = f"{battery_word(power, lang)} · {limit_text(snapshot, power.value, lang)}"


def battery_word(power: Reading, lang: str) -> str:
    """Return what the battery does in a word; for no value that it is unknown."""
    if power.value is None:
        return t("battery.unknown", lang)
    if abs(power.value) < IDLE_BELOW_KW:
        return t("battery.idle", lang)
    return t("battery.discharging" if power.value > 0 else "battery.charging", lang)


def limit_text(snapshot: EngineSnapshot, power_kw: float | None, lang: str) -> str:
    """Return the limit of the direction in use and what sets it; both directions when idle."""
    limits = snapshot.limits
    if limits is None:
        return t("limit.unknown", lang)
    charge = (limits.charge_kw, limits.charge_binding)
    discharge = (limits.discharge_kw, limits.discharge_binding)
    if power_kw is not None and abs(power_kw) >= IDLE_BELOW_KW:
        value, binding = charge if power_kw < 0 else discharge
        return t(
            "limit.one", lang, limit=fmt.rating(value, lang), why=label("binding", binding, lang)
        )
    if charge == discharge:
        return t(
            "limit.one",
            lang,
            limit=fmt.rating(charge[0], lang),
            why=label("binding", charge[1], lang),
        )
    # The direction that is held back says why; "nameplate" needs no words.
    why = [
        label("binding", binding, lang)
        for _, binding in (charge, discharge)
        if binding != "nameplate"
    ]
    both = t(
        "limit.both",
        lang,
        charge=fmt.rating(charge[0], lang).text,
        discharge=fmt.rating(discharge[0], lang),
    )
    return f"{both} ({', '.join(dict.fromkeys(why))})" if why else both


def _kpi_strategy(moment: Moment, out: Fields) -> None:
    lang, snapshot = moment.lang, moment.snapshot
    plan = snapshot.plan
    if plan is None:
        out["strat-v"] = t("plan.none", lang)
        # All of it stands among the remarks above.
        out["strat-s"] = why_no_plan(snapshot, lang, briefly=True)
        out["strat-p"] = ""
        out["strat.className"] = _card_class(True)
        return
    late = plan_is_late(plan, moment.now)
    out["strat-v"] = label("strategy", plan.strategy, lang)
    out["strat-s"] = t(
        "kpi.strategy_sub",
        lang,
        mode=_mode(moment),
        time=fmt.clock_time(plan.created_at, moment.tz),
    )
    age = fmt.age((moment.now - plan.created_at).total_seconds())
    out["strat-p"] = t("mark.stale", lang, age=age) if late else ""
    out["strat.className"] = _card_class(late or not plan_is_applied(snapshot))


def plan_is_applied(snapshot: EngineSnapshot) -> bool:
    """Return True while the battery follows the plan."""
    return snapshot.state is EngineState.AUTOMATIC


def why_not_applied(snapshot: EngineSnapshot, lang: str) -> str:
    """Return in a sentence that the plan is not followed; empty when it is, or without a plan."""
    if snapshot.plan is None or plan_is_applied(snapshot):
        return ""
    reason = snapshot.state_reason
    why = label("reason", reason, lang) if reason else t(f"state.{snapshot.state.value}", lang)
    return t("steps.not_applied", lang, why=why)


def _mode(moment: Moment) -> str:
    """Return whether the strategy acts on the battery, and who chose it."""
    order = moment.snapshot.manual
    if moment.snapshot.state is EngineState.MANUAL and order is not None:
        until = until_text(order.until, moment.now, moment.tz, moment.lang)
        return t("mode.by_hand", moment.lang, until=until)
    if not plan_is_applied(moment.snapshot):
        return t("mode.not_applied", moment.lang)
    if moment.snapshot.strategy is None:
        return t("mode.auto", moment.lang)
    return mode_text(moment.snapshot.strategy, moment.now, moment.tz, moment.lang)


def _kpi_profit(moment: Moment, out: Fields) -> None:
    lang, snapshot = moment.lang, moment.snapshot
    plan = snapshot.plan
    late = plan is not None and plan_is_late(plan, moment.now)
    out["profit-v"] = fmt.money(None if plan is None else plan.profit_24h_eur, lang)
    out["profit-t"] = fmt.money(snapshot.energy_cost_today_eur, lang)
    out["profit.className"] = _card_class(plan is None or late or not plan_is_applied(snapshot))


def plan_is_late(plan: Plan, now: datetime) -> bool:
    """Return True when the plan should have been renewed by `now`."""
    return now - plan.created_at > PLAN_LATE_AFTER_STEPS * plan.step


def why_no_plan(snapshot: EngineSnapshot, lang: str, *, briefly: bool = False) -> str:
    """Return why there is no plan: the failed step, else the state's reason, else that it runs.

    Args:
        snapshot: State of the engine.
        lang: ``"de"`` or ``"en"``.
        briefly: True where there is room for one sentence and the rest is said elsewhere.
    """
    for step in snapshot.health:
        if not step.ok and step.last_error and step.name in ("plan", "prices", "forecast"):
            return said(first_sentence(step.last_error) if briefly else step.last_error, lang)
    if snapshot.state_reason and snapshot.state_reason != "no_plan":
        return label("reason", snapshot.state_reason, lang)
    return t("plan.first_running", lang)


def bar_from_middle(power_kw: float | None, site: Site) -> dict[str, str]:
    """Return left and width of a bar that grows from the middle: right discharge, left charge."""
    if power_kw is None:
        return {"left": "50%", "width": "0%"}
    full = site.battery.power_discharge_max_kw if power_kw > 0 else site.battery.power_charge_max_kw
    half = min(50.0, 50.0 * abs(power_kw) / full) if full > 0 else 0.0
    left = 50.0 if power_kw > 0 else 50.0 - half
    return {"left": f"{left:.1f}%", "width": f"{half:.1f}%"}


# --- system status ----------------------------------------------------------------------------


def _status_rows(moment: Moment, out: Fields) -> None:
    lang, site = moment.lang, moment.snapshot.site
    pv = _read(moment, "pv_kw")
    _row(out, "pv", fmt.power(pv.value, lang).text, _pv_word(moment, pv, site), pv)
    load = _read(moment, "load_kw")
    _row(out, "load", fmt.power(load.value, lang).text, _presence(moment, "load_kw", "load"), load)
    grid = _read(moment, "grid_kw")
    _row(
        out,
        "grid",
        fmt.power(grid.value, lang, signed=True).text,
        grid_word(grid.value, lang),
        grid,
    )
    battery = _read(moment, "battery_kw")
    _row(
        out,
        "bat",
        fmt.power(battery.value, lang, signed=True).text,
        _battery_row_word(moment, battery),
        battery,
    )
    _price_row(moment, out)
    _engine_row(moment, out)


def _row(out: Fields, name: str, value: str, word: str, shown: Reading) -> None:
    out[f"{name}-v"] = value
    out[f"{name}-w"] = word
    out[f"{name}-p"], out[f"{name}-p.title"] = shown.mark, shown.reason
    base = "flow-item" if name in FLOWS else "row-item"
    out[f"{name}.className"] = f"{base} is-muted" if shown.muted else base


def _pv_word(moment: Moment, pv: Reading, site: Site) -> str:
    lang = moment.lang
    if moment.snapshot.display.sample("pv_kw") is None:
        return t("row.not_fitted", lang)
    if site.pv_peak_kw is not None:
        return t("row.pv_peak", lang, peak=fmt.number(site.pv_peak_kw, 0, lang))
    if pv.value is None:
        return t("row.unknown", lang)
    return t("row.pv_producing" if pv.value >= IDLE_BELOW_KW else "row.pv_idle", lang)


def _presence(moment: Moment, signal: str, name: str) -> str:
    sample = moment.snapshot.display.sample(signal)
    if sample is None:
        return t("row.not_measured", moment.lang)
    if _read(moment, signal).value is None:
        return t("row.unknown", moment.lang)
    return t(f"row.{name}", moment.lang)


def grid_word(power_kw: float | None, lang: str) -> str:
    """Return what the grid connection does in a word: import, export or balanced."""
    if power_kw is None:
        return t("row.unknown", lang)
    if abs(power_kw) < IDLE_BELOW_KW:
        return t("grid.balanced", lang)
    return t("grid.import" if power_kw > 0 else "grid.export", lang)


def _battery_row_word(moment: Moment, power: Reading) -> str:
    words = [battery_word(power, moment.lang)]
    temperature = moment.snapshot.display.value("temperature_c")
    if temperature is not None:
        words.append(fmt.temperature(temperature, moment.lang))
    return ", ".join(words)


def _price_row(moment: Moment, out: Fields) -> None:
    lang, price = moment.lang, moment.snapshot.price
    if price is None:
        _row(out, "price", fmt.NO_VALUE, t("price.none", lang), Reading(None, True, "", ""))
        return
    level = price_level(price, moment.snapshot.plan, moment.now)
    words = [t(f"price.{level}", lang)] if level else []
    words.append(t("price.buy", lang, buy=fmt.price(price.buy_eur_per_kwh, lang)))
    mark = t("mark.forecast", lang) if price.is_forecast else ""
    if not mark and price.fetched_at is not None and price.source != RECORDED:
        since = moment.now - price.fetched_at
        if since > timedelta(hours=24):
            mark = t("mark.stale", lang, age=fmt.age(since.total_seconds()))
    shown = Reading(
        price.spot_eur_per_kwh, bool(mark), mark, fmt.price_per_mwh(price.spot_eur_per_kwh, lang)
    )
    _row(out, "price", fmt.price(price.spot_eur_per_kwh, lang).text, " · ".join(words), shown)


def price_level(price: PriceNow, plan: Plan | None, now: datetime) -> str | None:
    """Return ``"cheap"``, ``"medium"`` or ``"dear"``: where the price stands in the next 24 h.

    Cheap is the lowest, dear the highest quarter of the plan's day-ahead prices from `now` on;
    None without at least six hours of prices to compare with, or where all are alike.
    """
    if plan is None:
        return None
    first = plan.step_at(now)
    if first is None:
        return None
    last = first + int(timedelta(hours=24) / plan.step)
    now_eur, ahead = price.spot_eur_per_kwh, plan.spot_eur_per_kwh[first:last]
    if now_eur is None or not np.isfinite(ahead).all():
        # A tariff without day-ahead prices is cheap or dear by its own.
        now_eur, ahead = price.buy_eur_per_kwh, plan.buy_eur_per_kwh[first:last]
    if ahead.shape[0] < timedelta(hours=6) / plan.step:
        return None
    low, high = np.quantile(ahead, (0.25, 0.75))
    if low == high:
        return None
    if now_eur <= low:
        return "cheap"
    return "dear" if now_eur >= high else "medium"


_STATE_PILL = {
    EngineState.STARTING: "pill pill-info",
    EngineState.AUTOMATIC: "pill pill-ok pill-dot",
    EngineState.MANUAL: "pill pill-warn pill-dot",
    EngineState.MONITORING: "pill pill-info",
    EngineState.WAITING: "pill pill-info",
    EngineState.DEGRADED: "pill pill-warn",
    EngineState.SAFE: "pill pill-alarm",
    EngineState.FAULT: "pill pill-alarm",
    EngineState.STOPPED: "pill pill-alarm",
}


def _engine_row(moment: Moment, out: Fields) -> None:
    snapshot = moment.snapshot
    out["eng-v"] = t(f"state.{snapshot.state.value}", moment.lang)
    out["eng-v.className"] = _STATE_PILL[snapshot.state]
    reason = snapshot.state_reason
    out["eng-w"] = label("reason", reason, moment.lang) if reason else t("row.engine", moment.lang)


# --- energy flow ------------------------------------------------------------------------------


def _flow(moment: Moment, out: Fields) -> None:
    """Add which way energy flows on each line of the small plant diagram."""
    site = moment.snapshot.site
    full_kw = max(
        site.battery.power_charge_max_kw,
        site.battery.power_discharge_max_kw,
        site.pv_peak_kw or 0.0,
    )
    for name, (signal, forward) in FLOWS.items():
        shown = _read(moment, signal)
        direction = "idle"
        if shown.value is not None and not shown.muted and abs(shown.value) >= IDLE_BELOW_KW:
            direction = forward if shown.value > 0 else "out" if forward == "in" else "in"
            if abs(shown.value) >= STRONG_FROM * full_kw:
                direction += " is-strong"
        out[f"flow-{name}.className"] = f"flow-line is-{direction}"


# --- standing lists ---------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ListEntry:
    """One line of the notices, steps or devices.

    Attributes:
        title: What it is about.
        text: What is the matter, empty when nothing is.
        kind: ``"ok"``, ``"info"``, ``"warn"`` or ``"alarm"``.
        word: The state in a word.
        hint: More, for the tooltip.
    """

    title: str
    text: str
    kind: str
    word: str
    hint: str = ""


_SAID_BY = {"prices": ("prices", "price_history"), "weather": ("weather",)}
"""Background jobs whose failure a remark about the same thing explains already."""

SEVERITY_KIND = {"info": "info", "warning": "warn", "alarm": "alarm"}


def first_sentence(text: str) -> str:
    """Return the first sentence of an error, for places that have room for one."""
    end = re.search(r"\.(?=\s)", text)
    return text if end is None else text[: end.end()]


def notices(snapshot: EngineSnapshot, lang: str) -> list[ListEntry]:
    """Return standing remarks and failed steps of the engine, gravest first."""
    entries = [
        ListEntry(
            title=label("notice", notice.code, lang),
            text=said(notice.detail, lang),
            kind=SEVERITY_KIND.get(notice.severity, "warn"),
            word=label("severity", notice.severity, lang),
        )
        for notice in snapshot.notices
        if notice.code not in SAID_BY_BADGES
    ]
    told = {
        name for notice in snapshot.notices for name in _SAID_BY.get(notice.code.split("_")[0], ())
    }
    if any(step.waits_for for step in snapshot.health):
        entries.append(
            ListEntry(
                t("waiting.title", lang),
                t("waiting.text", lang),
                "info",
                label("severity", "info", lang),
            )
        )
    entries += [
        _failed_step(step, snapshot, lang)
        for step in snapshot.health
        if not step.ok and not step.waits and step.name not in told
    ]
    if snapshot.plan is not None:
        entries += [
            _gave_way(name, amount, lang) for name, amount in snapshot.plan.gave_way.items()
        ]
        if not snapshot.plan.check.passed:
            entries.append(
                ListEntry(
                    t("plan.check_failed", lang),
                    said("; ".join(snapshot.plan.check.messages), lang),
                    "alarm",
                    label("severity", "alarm", lang),
                )
            )
    order = {"alarm": 0, "warn": 1, "info": 2}
    return sorted(entries, key=lambda entry: order.get(entry.kind, 3))


def _failed_step(step: StepHealth, snapshot: EngineSnapshot, lang: str) -> ListEntry:
    tz = ZoneInfo(snapshot.site.timezone)
    since = (
        t("step.never", lang)
        if step.last_success is None
        else t("step.last_ok", lang, time=fmt.clock_time(step.last_success, tz))
    )
    name = label("step", step.name, lang)
    return ListEntry(
        title=t("step.failed", lang, step=name),
        text=f"{calm_reason(step.last_error, lang) or t('step.no_message', lang)} ({since})",
        kind="alarm" if step.name == "control" else "warn",
        word=label("severity", "alarm" if step.name == "control" else "warning", lang),
    )


def _gave_way(name: str, amount: float, lang: str) -> ListEntry:
    unit = "kWh" if name.endswith("kwh") else "kW"
    wish = label("wish", name.removesuffix("_kwh").removesuffix("_kw"), lang)
    text = t("plan.gave_way_by", lang, amount=fmt.Quantity(fmt.number(amount, 1, lang), unit))
    return ListEntry(
        t("plan.gave_way", lang, wish=wish), text, "warn", label("severity", "warning", lang)
    )


LINK_KIND = {"online": "ok", "connecting": "info", "degraded": "warn", "offline": "alarm"}


def devices(snapshot: EngineSnapshot, lang: str) -> list[ListEntry]:
    """Return every device connection: its state, since when and why, and whether it is real."""
    out = []
    tz = ZoneInfo(snapshot.site.timezone)
    lost = offline_since(snapshot)
    for link in snapshot.links:
        facts = _facts(link, snapshot, lang)
        said_of = facts
        if link.reason and link.state != "online":
            since, said_of = lost.get(link.name), [calm_reason(link.reason, lang)]
            if since is not None:
                time = fmt.when(since, snapshot.ts, tz, lang)
                said_of.insert(0, t("silence.since", lang, time=time))
        out.append(
            ListEntry(
                title=link.name,
                text=" · ".join(said_of),
                kind=LINK_KIND.get(link.state, "warn"),
                word=label("link", link.state, lang),
                hint=" · ".join([said(link.endpoint, lang), *facts]),
            )
        )
    return out


def _facts(link: LinkStatus, snapshot: EngineSnapshot, lang: str) -> list[str]:
    if link.name == BROKER:
        return [t("device.broker", lang)]
    facts = [t("device.simulated", lang)] if link.simulated else []
    facts.append(t("device.writable" if link.writable else "device.read_only", lang))
    if link.writable and snapshot.command is not None:
        facts += _write_budget(snapshot.command, lang)
    return facts


def _write_budget(command: CommandReport, lang: str) -> list[str]:
    if command.flash_writes_today is None or command.daily_write_budget is None:
        return []
    return [
        t(
            "device.flash_writes",
            lang,
            count=str(command.flash_writes_today),
            budget=str(command.daily_write_budget),
        )
    ]


def lists_key(snapshot: EngineSnapshot, lang: str) -> str:
    """Return a short name for the standing lists; it changes when they must be drawn anew."""
    strategy = snapshot.strategy
    chosen = strategy and (strategy.mode, strategy.manual_until, strategy.selection)
    alarms = snapshot.alarms
    standing = (badges(snapshot, lang), notices(snapshot, lang), devices(snapshot, lang))
    text = repr((*standing, alarms, chosen))
    return hashlib.blake2b(text.encode(), digest_size=6).hexdigest()


def _read(moment: Moment, signal: str) -> Reading:
    return reading(moment.snapshot.display.sample(signal), moment.snapshot.ts, moment.lang)


def _card_class(muted: bool) -> str:
    return "card kpi is-muted" if muted else "card kpi"
