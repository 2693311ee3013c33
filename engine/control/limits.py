"""The power range allowed now: the intersection of everything known.

A missing or stale limit counts as 0 in its direction. Limits fall at once and rise by at
most 5 % of nameplate per second (DESIGN section 1.5). Each end of the range names what
sets it.

Where load or PV alone break a limit at the grid connection, the range demands the discharge
or charge that heals it, as far as the battery may: such a limit outranks every price.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from engine.config.control import LimitsConfig
from engine.control.external_limits import MANUAL, ExternalLimit, ExternalLimits
from engine.control.feed_in import FeedInLimit
from engine.control.net_load import NetLoadObserver
from engine.control.temperature import TemperatureDerating
from engine.domain.control import PowerLimits
from engine.domain.sample import ProcessImage
from engine.domain.signals import ALARMS, FAULT_ALARMS, STATUS_NO_CHARGE, STATUS_NO_DISCHARGE
from engine.domain.site import Site

SOC_TOLERANCE_PERCENT = 1.0
"""A state of charge further outside 0..100 % than this is no measurement."""

KNOWN_STATUS = frozenset({0, 1, 2, 3, 5, 6, 7, 8})
"""Canonical status codes; what another one forbids is not known, so it forbids both ways."""

CONTACT_MISSING = "external_contact_missing"
"""Name of the limit that applies while the contact of the digital input cannot be read."""

_FREE = math.inf


@dataclass(frozen=True, slots=True)
class LimitValue:
    """What one limit allows; infinite where it does not limit.

    Attributes:
        charge_kw: Most the battery may charge, >= 0.
        discharge_kw: Most the battery may discharge, >= 0.
    """

    charge_kw: float = _FREE
    discharge_kw: float = _FREE


@dataclass(frozen=True, slots=True)
class _Direction:
    """What limits one direction of power."""

    name: str
    power_limit: str
    current_limit: str
    forbidden_status: frozenset[int]
    alarm: str
    nameplate_kw: float
    temperature: TemperatureDerating


class LimitTracker:
    """Computes the limits of each cycle and remembers what hysteresis and slow rise need.

    Args:
        site: Nameplate, SoC window, grid connection, PV power, time zone.
        config: Limits beyond these; defaults when None.
        external: Holder of limits from outside; none when None.
    """

    def __init__(
        self,
        site: Site,
        config: LimitsConfig | None = None,
        external: ExternalLimits | None = None,
    ) -> None:
        config = config or LimitsConfig()
        temperature = config.temperature
        self._site = site
        self._config = config
        self._external = external or ExternalLimits(config.external)
        self._feed_in = FeedInLimit(config.feed_in, site.pv_peak_kw, site.timezone)
        self._observer = NetLoadObserver()
        self._charge = _Direction(
            "charge",
            "max_charge_power_kw",
            "max_charge_current_a",
            STATUS_NO_CHARGE,
            "charge_prohibited",
            site.battery.power_charge_max_kw,
            TemperatureDerating(temperature.charge, temperature.hysteresis_c),
        )
        self._discharge = _Direction(
            "discharge",
            "max_discharge_power_kw",
            "max_discharge_current_a",
            STATUS_NO_DISCHARGE,
            "discharge_prohibited",
            site.battery.power_discharge_max_kw,
            TemperatureDerating(temperature.discharge, temperature.hysteresis_c),
        )
        self._soc_stopped: set[str] = set()
        self._last: PowerLimits | None = None
        self._last_monotonic_s = 0.0
        self._all: Mapping[str, LimitValue] = {}

    def update(self, image: ProcessImage, monotonic_s: float) -> PowerLimits:
        """Return the limits for this cycle.

        Args:
            image: Process image of the cycle.
            monotonic_s: Monotonic time of the cycle, which paces the rise.
        """
        outside = self._external.active(monotonic_s)
        net_load_kw = self._observer.update(image)
        imports, exports = self._grid_limits(image, outside)
        charge = self._candidates(image, self._charge, outside)
        discharge = self._candidates(image, self._discharge, outside)
        if net_load_kw is None:
            charge["meter_missing"] = discharge["meter_missing"] = 0.0
        else:
            for name, kw in imports.items():
                _tighten(charge, name, max(0.0, kw - net_load_kw))
            for name, kw in exports.items():
                _tighten(discharge, name, max(0.0, kw + net_load_kw))
        self._all = {
            name: LimitValue(charge.get(name, _FREE), discharge.get(name, _FREE))
            for name in (*charge, *(n for n in discharge if n not in charge))
        }
        limits = self._risen(charge, discharge, monotonic_s)
        if net_load_kw is not None:
            limits = _with_required(limits, net_load_kw, imports, exports)
        self._last, self._last_monotonic_s = limits, monotonic_s
        return limits

    def all_limits(self) -> Mapping[str, LimitValue]:
        """Return what every limit allowed in the last cycle, before the slow rise, by name."""
        return self._all

    def _risen(
        self, charge: Mapping[str, float], discharge: Mapping[str, float], monotonic_s: float
    ) -> PowerLimits:
        dt_s = max(0.0, monotonic_s - self._last_monotonic_s) if self._last else 0.0
        before = self._last or PowerLimits(0.0, 0.0, "start", "start")
        rise = self._config.rise_percent_per_s / 100.0 * dt_s
        charge_kw, charge_name = _slow_rise(
            *_tightest(charge), before.charge_kw + rise * self._charge.nameplate_kw
        )
        discharge_kw, discharge_name = _slow_rise(
            *_tightest(discharge), before.discharge_kw + rise * self._discharge.nameplate_kw
        )
        return PowerLimits(charge_kw, discharge_kw, charge_name, discharge_name)

    def _grid_limits(
        self, image: ProcessImage, outside: Iterable[ExternalLimit]
    ) -> tuple[dict[str, float], dict[str, float]]:
        """Return what bounds import and export at the meter, kW by name."""
        grid, margin_kw = self._site.grid, self._config.grid_margin_kw
        imports = {"grid_import": max(0.0, grid.import_limit_kw - margin_kw)}
        exports = {
            "grid_export": max(0.0, grid.export_limit_kw - margin_kw),
            "feed_in": max(0.0, self._feed_in.at(image.ts) - margin_kw),
        }
        for limit in outside:
            _tighten(imports, _external_name(limit), limit.import_kw)
            _tighten(exports, _external_name(limit), limit.export_kw)
        return imports, exports

    def _candidates(
        self, image: ProcessImage, direction: _Direction, outside: Iterable[ExternalLimit]
    ) -> dict[str, float]:
        # Of equally tight limits the first one is named: the cause before the figure it leads to.
        out = {
            "status": 0.0 if _status_forbids(image, direction.forbidden_status) else _FREE,
            "alarm": 0.0 if _alarm_forbids(image, direction.alarm) else _FREE,
            "soc_window": 0.0 if self._soc_stops(image, direction, outside) else _FREE,
            "temperature": self._temperature_kw(image, direction),
            "nameplate": direction.nameplate_kw,
            "bms_power": max(0.0, image.value(direction.power_limit) or 0.0),
        }
        _add_current_limit(out, image, direction.current_limit)
        for limit in outside:
            kw = limit.charge_kw if direction is self._charge else limit.discharge_kw
            _tighten(out, _external_name(limit), kw)
        return out

    def _soc_stops(
        self, image: ProcessImage, direction: _Direction, outside: Iterable[ExternalLimit]
    ) -> bool:
        soc = image.value("soc_percent")
        if soc is None or not -SOC_TOLERANCE_PERCENT <= soc <= 100.0 + SOC_TOLERANCE_PERCENT:
            return True
        battery = self._site.battery
        if direction is self._charge:
            tops = [x.soc_max_percent for x in outside if x.soc_max_percent is not None]
            distance = min(battery.soc_max_percent, *tops, math.inf) - soc
        else:
            bottoms = [x.soc_min_percent for x in outside if x.soc_min_percent is not None]
            distance = soc - max(battery.soc_min_percent, *bottoms, -math.inf)
        if distance <= 0:
            self._soc_stopped.add(direction.name)
        elif distance >= self._config.soc_release_percent:
            self._soc_stopped.discard(direction.name)
        return direction.name in self._soc_stopped

    def _temperature_kw(self, image: ProcessImage, direction: _Direction) -> float:
        temperature_c = image.value("temperature_c")
        if temperature_c is None:
            return 0.0 if self._config.temperature.required else _FREE
        share = direction.temperature.share(temperature_c)
        return _FREE if share >= 1.0 else share * direction.nameplate_kw


def _tightest(candidates: Mapping[str, float]) -> tuple[float, str]:
    name = min(candidates, key=candidates.__getitem__)
    return candidates[name], name


def _slow_rise(allowed_kw: float, binding: str, highest_kw: float) -> tuple[float, str]:
    return (highest_kw, "slow_rise") if allowed_kw > highest_kw else (allowed_kw, binding)


def _with_required(
    limits: PowerLimits,
    net_load_kw: float,
    imports: Mapping[str, float],
    exports: Mapping[str, float],
) -> PowerLimits:
    """Add the battery power without which the meter would leave its limits."""
    import_kw, import_name = _tightest(imports)
    export_kw, export_name = _tightest(exports)
    if net_load_kw > import_kw:
        required_kw, name = min(net_load_kw - import_kw, limits.discharge_kw), import_name
    elif net_load_kw < -export_kw:
        required_kw, name = max(net_load_kw + export_kw, -limits.charge_kw), export_name
    else:
        return limits
    if required_kw == 0.0:
        return limits
    return replace(limits, required_kw=required_kw, required_binding=name)


def _tighten(limits: dict[str, float], name: str, kw: float | None) -> None:
    if kw is not None:
        limits[name] = min(kw, limits.get(name, _FREE))


def _external_name(limit: ExternalLimit) -> str:
    if limit.cause == "contact_missing":
        return CONTACT_MISSING
    return MANUAL if limit.source == MANUAL else f"external_{limit.source}"


def _status_forbids(image: ProcessImage, codes: frozenset[int]) -> bool:
    if image.sample("status_code") is None:
        # Not every battery reports a status; one that should and does not forbids both ways.
        return False
    status = image.value("status_code")
    return status is None or status not in KNOWN_STATUS or int(status) in codes


def _alarm_forbids(image: ProcessImage, own: str) -> bool:
    if image.sample("alarm_bits") is None:
        return False
    bits = image.value("alarm_bits")
    if bits is None:
        return True
    active = {name for i, name in enumerate(ALARMS) if int(bits) >> i & 1}
    return own in active or bool(active & set(FAULT_ALARMS))


def _add_current_limit(out: dict[str, float], image: ProcessImage, signal: str) -> None:
    if image.sample(signal) is None:
        return
    current, voltage = image.value(signal), image.value("voltage_v")
    if current is None or voltage is None:
        out["bms_current"] = 0.0
    else:
        # Two negative readings are no positive power.
        out["bms_current"] = max(0.0, current) * max(0.0, voltage) / 1000.0
