"""The power range allowed now: the intersection of everything known.

A missing or stale limit counts as 0 in its direction. Limits fall at once and
rise by at most 5 % of nameplate per second (DESIGN section 1.5). Each end of
the range names what sets it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from engine.domain.control import PowerLimits
from engine.domain.sample import ProcessImage
from engine.domain.signals import ALARMS, STATUS_NO_CHARGE, STATUS_NO_DISCHARGE
from engine.domain.site import Site

RISE_PER_S = 0.05
"""Share of nameplate power by which a limit may rise per second."""

SOC_RELEASE_PERCENT = 1.0
"""A direction stopped at an end of the SoC window is released this far inside it."""

_FAULT_ALARMS = ("contactor_abnormal_open", "contactor_abnormal_closed", "system_fault")


@dataclass(frozen=True, slots=True)
class _Direction:
    """What limits one direction of power, by signal and by site."""

    power_limit: str
    current_limit: str
    forbidden_status: frozenset[int]
    alarm: str
    grid_name: str
    nameplate_kw: Callable[[Site], float]
    soc_room_percent: Callable[[Site, float], float]
    grid_room_kw: Callable[[Site, float], float]


_CHARGE = _Direction(
    power_limit="max_charge_power_kw",
    current_limit="max_charge_current_a",
    forbidden_status=STATUS_NO_CHARGE,
    alarm="charge_prohibited",
    grid_name="grid_import",
    nameplate_kw=lambda site: site.battery.power_charge_max_kw,
    soc_room_percent=lambda site, soc: site.battery.soc_max_percent - soc,
    grid_room_kw=lambda site, net_load_kw: site.grid.import_limit_kw - net_load_kw,
)
_DISCHARGE = _Direction(
    power_limit="max_discharge_power_kw",
    current_limit="max_discharge_current_a",
    forbidden_status=STATUS_NO_DISCHARGE,
    alarm="discharge_prohibited",
    grid_name="grid_export",
    nameplate_kw=lambda site: site.battery.power_discharge_max_kw,
    soc_room_percent=lambda site, soc: soc - site.battery.soc_min_percent,
    grid_room_kw=lambda site, net_load_kw: site.grid.export_limit_kw + net_load_kw,
)


@dataclass
class LimitTracker:
    """Computes the limits of each cycle and remembers what hysteresis and slow rise need.

    Args:
        site: Nameplate, SoC window and grid connection.
    """

    site: Site
    _last: PowerLimits | None = None
    _last_monotonic_s: float = 0.0
    _stopped: set[str] = field(default_factory=set)

    def update(self, image: ProcessImage, monotonic_s: float) -> PowerLimits:
        """Return the limits for this cycle.

        Args:
            image: Process image of the cycle.
            monotonic_s: Monotonic time of the cycle, which paces the rise.
        """
        charge, charge_binding = _tightest(self._candidates(image, _CHARGE))
        discharge, discharge_binding = _tightest(self._candidates(image, _DISCHARGE))
        battery = self.site.battery
        dt_s = monotonic_s - self._last_monotonic_s if self._last else 0.0
        before = self._last or PowerLimits(0.0, 0.0, "start", "start")
        charge, charge_binding = _slow_rise(
            charge, charge_binding, before.charge_kw, battery.power_charge_max_kw, dt_s
        )
        discharge, discharge_binding = _slow_rise(
            discharge, discharge_binding, before.discharge_kw, battery.power_discharge_max_kw, dt_s
        )
        self._last = PowerLimits(charge, discharge, charge_binding, discharge_binding)
        self._last_monotonic_s = monotonic_s
        return self._last

    def _candidates(self, image: ProcessImage, direction: _Direction) -> dict[str, float]:
        # Of equally tight limits the first one is named: the cause before the figure it leads to.
        out = {
            "status": 0.0 if _status_forbids(image, direction.forbidden_status) else _FREE,
            "alarm": 0.0 if _alarm_forbids(image, direction.alarm) else _FREE,
            "soc_window": 0.0 if self._soc_stops(image, direction) else _FREE,
            "nameplate": direction.nameplate_kw(self.site),
            "bms_power": _or_zero(image.value(direction.power_limit)),
        }
        _add_current_limit(out, image, direction.current_limit)
        net_load = _net_load(image)
        if net_load is None:
            out["meter_missing"] = 0.0
        else:
            out[direction.grid_name] = max(0.0, direction.grid_room_kw(self.site, net_load))
        return out

    def _soc_stops(self, image: ProcessImage, direction: _Direction) -> bool:
        soc = image.value("soc_percent")
        if soc is None:
            return True
        distance = direction.soc_room_percent(self.site, soc)
        if distance <= 0:
            self._stopped.add(direction.alarm)
        elif distance >= SOC_RELEASE_PERCENT:
            self._stopped.discard(direction.alarm)
        return direction.alarm in self._stopped


_FREE = float("inf")


def _tightest(candidates: dict[str, float]) -> tuple[float, str]:
    name = min(candidates, key=lambda k: candidates[k])
    return candidates[name], name


def _slow_rise(
    allowed: float, binding: str, before: float, nameplate: float, dt_s: float
) -> tuple[float, str]:
    highest = before + RISE_PER_S * nameplate * max(0.0, dt_s)
    return (highest, "slow_rise") if allowed > highest else (allowed, binding)


def _or_zero(value: float | None) -> float:
    return max(0.0, value) if value is not None else 0.0


def _status_forbids(image: ProcessImage, codes: frozenset[int]) -> bool:
    if image.sample("status_code") is None:
        # Not every battery reports a status; one that should and does not forbids both ways.
        return False
    status = image.value("status_code")
    return status is None or int(status) in codes


def _alarm_forbids(image: ProcessImage, own: str) -> bool:
    if image.sample("alarm_bits") is None:
        return False
    bits = image.value("alarm_bits")
    if bits is None:
        return True
    active = {name for i, name in enumerate(ALARMS) if int(bits) >> i & 1}
    return own in active or bool(active & set(_FAULT_ALARMS))


def _add_current_limit(out: dict[str, float], image: ProcessImage, signal: str) -> None:
    if image.sample(signal) is None:
        return
    current, voltage = image.value(signal), image.value("voltage_v")
    known = current is not None and voltage is not None
    out["bms_current"] = max(0.0, current * voltage / 1000.0) if known else 0.0  # type: ignore[operator]


def _net_load(image: ProcessImage) -> float | None:
    grid, battery = image.value("grid_kw"), image.value("battery_kw")
    return None if grid is None or battery is None else grid + battery
