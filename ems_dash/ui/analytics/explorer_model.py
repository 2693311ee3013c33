"""What the data explorer is asked for: series, period, resolution, comparison; and its address."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from ems_dash.i18n import label, t
from engine.domain.signals import SIGNALS
from engine.history.query_errors import QueryError
from engine.history.series_names import Family, series_name
from engine.history.series_query import MOST_SIGNALS, Earlier, SeriesQuery, Step

PRESETS: dict[str, timedelta] = {
    "6h": timedelta(hours=6),
    "24h": timedelta(hours=24),
    "7d": timedelta(days=7),
    "30d": timedelta(days=30),
    "365d": timedelta(days=365),
}
"""Choice to the length of a period that ends now."""

FIRST_PRESET = "24h"
FIRST_SIGNALS: tuple[str, ...] = ("pv_kw", "load_kw", "grid_kw", "battery_kw", "soc_percent")

SHORTEST = timedelta(minutes=1)
LONGEST = timedelta(days=3_650)
EARLIEST = datetime(1990, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)

NO_COMPARISON = "none"

POINTS = 1_000
POINTS_NARROW = 400
"""Most points of a line: about as many as the chart has pixels."""

_PLAN = (
    "battery_kw",
    "grid_kw",
    "load_kw",
    "pv_kw",
    "curtailed_kw",
    "peak_cap_kw",
    "soc_kwh",
    "reserve_kwh",
    "stored_value_eur_per_kwh",
)
_LEDGER = (
    "import_kwh",
    "export_kwh",
    "battery_charged_kwh",
    "battery_discharged_kwh",
    "pv_kwh",
    "cost_eur",
)
_FLOWS = ("pv_kw", "load_kw", "grid_kw", "battery_kw", "soc_percent")
_DECISIONS = ("setpoint_kw", "charge_limit_kw", "discharge_limit_kw")

GROUPS: dict[str, tuple[str, ...]] = {
    "flows": _FLOWS,
    "prices": tuple(f"price:{kind}_eur_per_kwh" for kind in ("spot", "buy", "sell")),
    "plan": tuple(f"plan:{column}" for column in _PLAN),
    "forecast": tuple(
        f"forecast:{signal}:{quantile}"
        for signal in ("load_kw", "pv_kw", "spot_eur_per_kwh")
        for quantile in ("p10", "p50", "p90")
    ),
    "ledger": tuple(f"ledger:{column}" for column in _LEDGER),
    "control": _DECISIONS,
    "devices": tuple(name for name in SIGNALS if name not in _FLOWS),
}
"""Series to choose from; an address may name any other that the history knows."""

OTHERS = "others"
"""Group of series that only the address named."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is looked at.

    Attributes:
        signals: Names of series, without duplicates; may be empty.
        since: Start, UTC.
        until: End, UTC.
        preset: Key of `PRESETS` that the period came from; empty for times of one's own choice.
        step: Length of the intervals.
        compare: Earlier period to compare with.
    """

    signals: tuple[str, ...]
    since: datetime
    until: datetime
    preset: str
    step: Step
    compare: Earlier | None

    def query(self, site_id: str, *, narrow: bool) -> SeriesQuery:
        """Return the question for the history.

        Raises:
            QueryError: There is no series, or the period is too long for the resolution.
        """
        return SeriesQuery(
            site_id,
            self.signals,
            self.since,
            self.until,
            step=self.step,
            max_points=POINTS_NARROW if narrow else POINTS,
            compare=self.compare,
        )

    def address(self) -> dict[str, str]:
        """Return what the address keeps; times only where they were chosen."""
        out = {"signals": ",".join(self.signals)}
        if self.preset:
            out["range"] = self.preset
        else:
            out |= {"from": stamp(self.since), "to": stamp(self.until)}
        if self.step is not Step.AUTO:
            out["step"] = str(self.step)
        if self.compare is not None:
            out["compare"] = str(self.compare)
        return out

    def export_query(self, shown: Step) -> dict[str, str]:
        """Return the parameters of an export at the resolution `shown`."""
        return {
            "signals": ",".join(self.signals),
            "from": stamp(self.since),
            "to": stamp(self.until),
            "resolution": str(shown),
        }


def asked_of(values: Mapping[str, str | None], now: datetime) -> Asked:
    """Return what the parameters of an address ask for; what is not understood is left out.

    Args:
        values: ``signals``, ``range``, ``from``, ``to``, ``step``, ``compare``.
        now: The engine's time, UTC.
    """
    named = values.get("signals")
    signals = FIRST_SIGNALS if named is None else known_signals(named.split(","))
    since, until = parsed(values.get("from")), parsed(values.get("to"))
    preset = values.get("range") or ""
    if since is None or until is None or since >= until:
        preset = preset if preset in PRESETS else FIRST_PRESET
        since, until = now - PRESETS[preset], now
    else:
        preset = ""
    step, compare = values.get("step") or "", values.get("compare") or ""
    return Asked(
        signals,
        *bounded(since, until),
        preset,
        Step(step) if step in list(Step) else Step.AUTO,
        Earlier(compare) if compare in list(Earlier) else None,
    )


def known_signals(names: Sequence[str]) -> tuple[str, ...]:
    """Return the names that are series, each once, at most `MOST_SIGNALS`."""
    found = []
    for name in dict.fromkeys(part.strip() for part in names):
        try:
            series_name(name)
        except QueryError:
            continue
        found.append(name)
    return tuple(found[:MOST_SIGNALS])


def bounded(since: datetime, until: datetime) -> tuple[datetime, datetime]:
    """Return the period made long or short enough to be asked for, about its middle."""
    length = min(max(until - since, SHORTEST), LONGEST)
    start = min(max(since + (until - since - length) / 2, EARLIEST), LATEST - length)
    return start, start + length


def zoomed_out(asked: Asked) -> Asked:
    """Return the period doubled about its middle."""
    half = (asked.until - asked.since) / 2
    since, until = bounded(asked.since - half, asked.until + half)
    return replace(asked, since=since, until=until, preset="")


def moved(asked: Asked, periods: int) -> Asked:
    """Return the period moved by its own length `periods` times."""
    by = periods * (asked.until - asked.since)
    since, until = bounded(asked.since + by, asked.until + by)
    return replace(asked, since=since, until=until, preset="")


def zoom_of(event: Mapping[str, object] | None, zone: ZoneInfo) -> tuple[datetime, datetime] | None:
    """Return the period that somebody zoomed to in the chart, UTC; None for other events.

    Args:
        event: What Plotly says: ``xaxis.range[0]`` and ``[1]``, local times of the site.
        zone: Time zone of the site.
    """
    event = event or {}
    first, last = event.get("xaxis.range[0]"), event.get("xaxis.range[1]")
    since = from_local(first, zone) if isinstance(first, str) else None
    until = from_local(last, zone) if isinstance(last, str) else None
    if since is None or until is None or since >= until:
        return None
    return bounded(since, until)


def from_local(text: str | None, zone: ZoneInfo) -> datetime | None:
    """Return the UTC instant of a local time without offset, or None."""
    try:
        local = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    if local.tzinfo is not None or not EARLIEST.year <= local.year < LATEST.year:
        return None
    return local.replace(tzinfo=zone).astimezone(UTC)


def to_local(ts: datetime, zone: ZoneInfo) -> str:
    """Return `ts` as a field for a local time takes it."""
    return ts.astimezone(zone).strftime("%Y-%m-%dT%H:%M")


def stamp(ts: datetime) -> str:
    """Return an instant as the address writes it, in whole seconds."""
    return ts.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def parsed(text: str | None) -> datetime | None:
    """Return the instant that `stamp` wrote, or None."""
    try:
        ts = datetime.fromisoformat(text or "")
    except ValueError:
        return None
    if ts.tzinfo is None or not EARLIEST.year <= ts.year < LATEST.year:
        return None
    return ts.astimezone(UTC)


def groups_with(signals: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the groups to choose from, with one more for series that are in none."""
    listed = {name for names in GROUPS.values() for name in names}
    others = tuple(name for name in signals if name not in listed)
    return {**GROUPS, OTHERS: others} if others else GROUPS


def series_text(name: str, lang: str) -> str:
    """Return the name of a series in words."""
    found = series_name(name)
    match found.family:
        case Family.PLAN:
            return t("explorer.of_plan", lang, series=_column(found.column, lang))
        case Family.FORECAST:
            words = t(
                "explorer.of_forecast",
                lang,
                series=_column(found.signal or "", lang),
                quantile=found.column.upper(),
            )
            rest = name.split(":", 2)[2].removeprefix(found.column)
            return f"{words} {rest.lstrip(':')}".rstrip()
        case Family.MEASURED | Family.PRICE | Family.LEDGER:
            return _column(found.column, lang)
        case _:
            return name


def unit_text(unit: str, lang: str) -> str:
    """Return a unit as it is shown; codes and counts have a word instead."""
    return unit.replace("EUR", "€") if unit else t("explorer.no_unit", lang)


def _column(name: str, lang: str) -> str:
    return label("signal" if name in SIGNALS else "explorer_column", name, lang)
