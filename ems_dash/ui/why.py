"""Why a step of the plan does what it does, in sentences for the page and the command line."""

from __future__ import annotations

from datetime import datetime, tzinfo

from ems_dash.i18n import t
from ems_dash.ui import format as fmt
from engine.optimization.explanation import ActionKind, Reason, ReasonCode

_CHARGING = (ActionKind.CHARGE_PV, ActionKind.CHARGE_GRID, ActionKind.CHARGE_MIXED)


def why(reason: Reason, now: datetime, tz: tzinfo, lang: str, *, short: bool = False) -> str:
    """Return the reason in one to three sentences.

    Args:
        reason: The reason.
        now: Present, to name the day of a later step.
        tz: Local time.
        lang: ``"de"`` or ``"en"``.
        short: Only the sentence that says most.
    """
    sentences = [_waiting(reason, now, tz, lang) or _prices(reason, lang)]
    sentences += [t(f"why.driver.{driver.value}", lang) for driver in reason.drivers]
    if reason.sets_peak:
        sentences.append(t("why.sets_peak", lang))
    return sentences[0] if short else " ".join(sentences)


def _waiting(reason: Reason, now: datetime, tz: tzinfo, lang: str) -> str | None:
    """Return what holding waits for; None for a step that works or waits for nothing."""
    later = reason.best_later_ts
    if reason.code is not ReasonCode.NO_GAIN or later is None:
        return None
    margin = reason.margin_eur_per_kwh or 0.0
    if margin <= 0.0:
        return None
    for_room = reason.best_later_kind in _CHARGING
    return t(
        "why.waits_to_charge" if for_room else "why.waits_to_discharge",
        lang,
        time=_time(later, now, tz, lang),
        later=fmt.price_of_one(reason.best_later_eur_per_kwh, lang),
        margin=fmt.price_of_one(margin, lang),
    )


def _prices(reason: Reason, lang: str) -> str:
    return t(
        f"why.{reason.code.value}",
        lang,
        value=fmt.price_of_one(reason.stored_value_eur_per_kwh, lang),
        price=fmt.price_of_one(reason.price_eur_per_kwh, lang),
    )


def _time(ts: datetime, now: datetime, tz: tzinfo, lang: str) -> str:
    time = fmt.clock_time(ts, tz)
    days = (ts.astimezone(tz).date() - now.astimezone(tz).date()).days
    if days == 0:
        return time
    if days == 1:
        return t("steps.tomorrow", lang, time=time)
    return f"{fmt.day_label(ts, tz, lang)} {time}"
