"""What every page says above and below its own: time, connection, badges, origin of the data."""

from __future__ import annotations

from dataclasses import dataclass

from ems_dash.i18n import t
from ems_dash.ui import format as fmt
from ems_dash.ui.fields import Fields
from ems_dash.ui.moment import Moment
from engine.domain.control import EngineState
from engine.domain.snapshot import EngineSnapshot

RECORDED = "recorded"


def frame_fields(moment: Moment, root: str) -> Fields:
    """Return the texts of the frame around a page, and whether the page itself is stale.

    Args:
        moment: The state of the engine.
        root: Id of the page's outermost component.
    """
    lang, late = moment.lang, moment.engine_is_late
    connection, kind = _connection(moment)
    return {
        "hdr-date": fmt.date(moment.now, moment.tz, lang),
        "hdr-time": fmt.clock_time(moment.now, moment.tz, seconds=True),
        "hdr-conn": connection,
        "hdr-conn.className": kind,
        "hdr-alarm": alarm_count(moment.snapshot, lang),
        f"{root}.className": "live-page is-stale" if late else "live-page",
        "ftr-data": data_attribution(moment.snapshot, lang),
    }


def _connection(moment: Moment) -> tuple[str, str]:
    """Return in a word, with the class of its pill, whether what the page shows is of now.

    A server that answers is not enough to be live: somebody must measure, too.
    """
    lang, snapshot = moment.lang, moment.snapshot
    if moment.engine_is_late:
        return t("conn.stale", lang, age=fmt.age(moment.heartbeat_age_s)), "pill pill-warn"
    if any(sample.usable for sample in snapshot.image.samples.values()):
        return t("conn.live", lang), "pill pill-ok pill-dot"
    if snapshot.state is EngineState.STARTING:
        return t("conn.connecting", lang), "pill"
    return t("conn.no_values", lang), "pill pill-warn"


def alarm_count(snapshot: EngineSnapshot, lang: str) -> str:
    """Return how many alarms are active, warnings left out; empty without one."""
    active = sum(alarm.active and alarm.severity == "alarm" for alarm in snapshot.alarms)
    if not active:
        return ""
    return t("header.alarm" if active == 1 else "header.alarms", lang, n=active)


@dataclass(frozen=True, slots=True)
class Badge:
    """A standing remark beside the page title."""

    text: str
    kind: str
    title: str = ""


def badges(snapshot: EngineSnapshot, lang: str) -> list[Badge]:
    """Return what must be said about the data on the page before any figure is read."""
    out: list[Badge] = []
    if plant_is_simulated(snapshot):
        out.append(Badge(t("badge.simulated", lang), "info", t("badge.simulated_title", lang)))
    if prices_are_recorded(snapshot):
        out.append(Badge(t("badge.recorded", lang), "info", t("badge.recorded_title", lang)))
    if snapshot.time_factor != 1.0:
        decimals = 0 if float(snapshot.time_factor).is_integer() else 1
        factor = fmt.number(snapshot.time_factor, decimals, lang)
        out.append(
            Badge(
                t("badge.time_factor", lang, factor=factor),
                "warn",
                t("badge.time_factor_title", lang, factor=factor),
            )
        )
    return out


def plant_is_simulated(snapshot: EngineSnapshot) -> bool:
    """Return True when readings on the page come from a simulator."""
    return snapshot.image.simulated or _has_notice(snapshot, "demo_plant")


def prices_are_recorded(snapshot: EngineSnapshot) -> bool:
    """Return True when the prices on the page come from a recording."""
    if snapshot.price is not None and snapshot.price.source == RECORDED:
        return True
    source = snapshot.plan.forecast_sources.get("price", "") if snapshot.plan else ""
    return RECORDED in source or _has_notice(snapshot, "recorded_prices")


def _has_notice(snapshot: EngineSnapshot, code: str) -> bool:
    return any(notice.code == code for notice in snapshot.notices)


def data_attribution(snapshot: EngineSnapshot, lang: str) -> str:
    """Return the attribution of recorded data shown on the page; empty when none is shown."""
    if plant_is_simulated(snapshot) and prices_are_recorded(snapshot):
        return t("footer.attribution", lang)
    if prices_are_recorded(snapshot):
        return t("footer.attribution_prices", lang)
    return ""


def site_line(snapshot: EngineSnapshot, lang: str) -> str:
    """Return the line under the page title: site, capacity and power of its battery."""
    site = snapshot.site
    power = max(site.battery.power_charge_max_kw, site.battery.power_discharge_max_kw)
    return " · ".join(
        (
            site.name,
            str(fmt.capacity(site.battery.energy_capacity_kwh, lang)),
            str(fmt.rating(power, lang)),
        )
    )
