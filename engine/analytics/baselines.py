"""What the site would have done without this energy management: simulated, named, causal.

Every baseline lives on the measured net load (`engine.analytics.facts`), in steps of a minute,
and pays the prices that were booked. It has the site's own battery: nameplate power, energy
window, efficiencies, standby and the limits of the grid connection. It carries its own stored
energy from quarter-hour to quarter-hour, across midnight and across restarts; the last stored
row is all it needs to go on. None of them knows the future.

* ``no_battery``: the net load itself.
* ``self_consumption``: stores every surplus, serves every deficit, at once.
* ``timer``: charges and discharges by the clock (section ``analytics`` of ems.yaml; left out,
  01:00-05:00 and 17:00-22:00 local time, the common night and evening windows). Charging is
  spread over the whole window, as an installer sets it to spare the peak; it discharges what
  the site draws and never into the grid.
* ``perfect_foresight`` knows everything; see `engine.analytics.perfect_foresight`.

``no_battery`` stores nothing, so its rows say 0. In a gap, a baseline's battery stands still
without any loss, and so does the real one in the accounts: what was not measured is compared on
neither side. The first quarter-hour of all starts with the energy that was really stored, so
that nobody begins with an advantage. PV is what was measured: no baseline gives PV energy away,
even where the plant itself might have.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from engine.analytics.facts import MINUTE_HOURS, MINUTES, Quarter
from engine.analytics.money import micro
from engine.config.analytics import TimerConfig
from engine.domain.quarter_hour import STEP
from engine.domain.records import SavingsRow
from engine.domain.site import Battery, Site
from engine.strategies.rules import Rule, RuleState, SelfConsumptionRule, TimerRule

ACTUAL = "actual"
"""Key of the rows of the real battery: what was measured in quarter-hours that count."""

OPENING = "opening"
"""Key of a row without flows that says what was really stored when measurements began again."""

NO_BATTERY = "no_battery"
SELF_CONSUMPTION = "self_consumption"
TIMER = "timer"
PERFECT_FORESIGHT = "perfect_foresight"

CAUSAL_BASELINES: tuple[str, ...] = (NO_BATTERY, SELF_CONSUMPTION, TIMER)
BASELINES: tuple[str, ...] = (*CAUSAL_BASELINES, PERFECT_FORESIGHT)

_NOTHING = np.empty(0)


@dataclass(frozen=True, slots=True)
class TimerWindows:
    """Local times of the static timer; an end before its start means the next day."""

    charge_from: time = time(1)
    charge_until: time = time(5)
    discharge_from: time = time(17)
    discharge_until: time = time(22)

    @classmethod
    def of(cls, config: TimerConfig) -> TimerWindows:
        """Return the windows of section ``analytics.timer``."""
        return cls(
            time.fromisoformat(config.charge_from),
            time.fromisoformat(config.charge_until),
            time.fromisoformat(config.discharge_from),
            time.fromisoformat(config.discharge_until),
        )

    @property
    def charge_hours(self) -> float:
        """Length of the charging window, above 0 and up to 24."""
        minutes = (
            (self.charge_until.hour - self.charge_from.hour) * 60
            + self.charge_until.minute
            - self.charge_from.minute
        )
        return (minutes % (24 * 60) or 24 * 60) / 60.0


def causal_rules(battery: Battery, windows: TimerWindows) -> Mapping[str, Rule | None]:
    """Return baseline to its rule, None for no battery.

    Args:
        battery: The site's battery.
        windows: When the timer charges and discharges.
    """
    usable_kwh = battery.energy_max_kwh - battery.energy_min_kwh
    spread_kw = usable_kwh / (battery.efficiency_charge * windows.charge_hours)
    return {
        NO_BATTERY: None,
        SELF_CONSUMPTION: SelfConsumptionRule(),
        TIMER: TimerRule(
            min(battery.power_charge_max_kw, spread_kw),
            battery.power_discharge_max_kw,
            charge_from=windows.charge_from,
            charge_until=windows.charge_until,
            discharge_from=windows.discharge_from,
            discharge_until=windows.discharge_until,
        ),
    }


class BaselineBattery:
    """The site's battery in the hands of a rule. Remembers nothing but its stored energy.

    Args:
        battery: Nameplate, window, efficiencies, standby.
        energy_kwh: Stored energy to start with.
    """

    def __init__(self, battery: Battery, energy_kwh: float) -> None:
        self._battery = battery
        self.energy_kwh = energy_kwh

    def step(
        self,
        wanted_kw: float,
        net_kw: float,
        *,
        import_limit_kw: float,
        export_limit_kw: float,
        hours: float = MINUTE_HOURS,
    ) -> float:
        """Run one step and return the AC power that was possible, + discharge.

        A wish is cut to nameplate, energy window and grid connection (as far as the battery can
        help it). Standby comes out of the store; at the lower end of the window it is made up
        by charging. A battery that starts outside its window moves only towards it.

        Args:
            wanted_kw: The wish, + discharge.
            net_kw: Net load of the step.
            import_limit_kw: Most the site may import.
            export_limit_kw: Most the site may export.
            hours: Length of the step.
        """
        battery = self._battery
        standby_kwh = battery.standby_loss_kw * hours
        left_kwh = self.energy_kwh - standby_kwh
        floor_kwh = min(battery.energy_min_kwh, self.energy_kwh)
        room_kwh = max(0.0, battery.energy_max_kwh - left_kwh)
        per_kw = battery.efficiency_charge * hours
        most_charge = min(
            battery.power_charge_max_kw, room_kwh / per_kw, max(0.0, import_limit_kw - net_kw)
        )
        most_discharge = min(
            battery.power_discharge_max_kw,
            max(0.0, left_kwh - floor_kwh) * battery.efficiency_discharge / hours,
            max(0.0, export_limit_kw + net_kw),
        )
        power_kw = min(most_discharge, max(-most_charge, wanted_kw))
        missing_kwh = floor_kwh - left_kwh
        if missing_kwh > 0.0:
            power_kw = min(power_kw, -min(most_charge, missing_kwh / per_kw))
        moved_kwh = (
            -power_kw * hours / battery.efficiency_discharge
            if power_kw > 0.0
            else -power_kw * per_kw
        )
        self.energy_kwh = max(0.0, left_kwh + moved_kwh)
        return power_kw


def simulate_baseline(
    baseline: str,
    rule: Rule | None,
    quarters: Sequence[Quarter],
    *,
    start_kwh: float,
    site: Site,
    may_export: Sequence[bool],
) -> list[SavingsRow]:
    """Return one row per quarter-hour; simulating in one piece or in several is the same.

    Args:
        baseline: Key of the rows.
        rule: The controller; None for no battery.
        quarters: What was measured, ascending, gaps left out.
        start_kwh: Stored energy after the last quarter-hour before these; not used for no battery.
        site: Battery and grid connection.
        may_export: Whether the tariff lets the site export, per quarter-hour.
    """
    store = BaselineBattery(site.battery, 0.0 if rule is None else start_kwh)
    zone = ZoneInfo(site.timezone)
    rows = []
    for quarter, exports in zip(quarters, may_export, strict=True):
        charged_kwh = discharged_kwh = 0.0
        grid_kwh = quarter.net_kwh
        if rule is not None:
            powers_kw = _quarter_powers(
                rule,
                store,
                quarter,
                zone,
                import_limit_kw=site.grid.import_limit_kw,
                export_limit_kw=site.grid.export_limit_kw if exports else 0.0,
            )
            moved = np.array(powers_kw) * MINUTE_HOURS
            discharged_kwh = float(np.maximum(moved, 0.0).sum())
            charged_kwh = float(np.maximum(-moved, 0.0).sum())
            grid_kwh = quarter.net_kwh - moved
        imported_kwh, exported_kwh = metered(
            float(np.maximum(grid_kwh, 0.0).sum()),
            quarter.net_total_kwh + charged_kwh - discharged_kwh,
            quarter.crossing_kwh,
        )
        rows.append(
            saving_row(
                quarter,
                baseline,
                import_kwh=imported_kwh,
                export_kwh=exported_kwh,
                charged_kwh=charged_kwh,
                discharged_kwh=discharged_kwh,
                soc_kwh=store.energy_kwh,
            )
        )
    return rows


def metered(import_kwh: float, net_kwh: float, crossing_kwh: float) -> tuple[float, float]:
    """Return what a meter would have counted, (import, export), both >= 0.

    Args:
        import_kwh: Imports of the minutes.
        net_kwh: Import minus export of the quarter-hour.
        crossing_kwh: What flowed both ways within minutes.
    """
    imported_kwh = max(0.0, net_kwh, import_kwh + crossing_kwh)
    return imported_kwh, imported_kwh - net_kwh


def saving_row(
    quarter: Quarter,
    baseline: str,
    *,
    import_kwh: float,
    export_kwh: float,
    charged_kwh: float,
    discharged_kwh: float,
    soc_kwh: float,
) -> SavingsRow:
    """Return the row of one baseline at the prices that were booked."""
    booked = quarter.row
    return SavingsRow(
        ts=booked.ts,
        site_id=booked.site_id,
        baseline=baseline,
        import_kwh=import_kwh,
        export_kwh=max(0.0, export_kwh),
        charged_kwh=charged_kwh,
        discharged_kwh=discharged_kwh,
        soc_kwh=soc_kwh,
        cost_eur=micro(
            import_kwh * booked.buy_eur_per_kwh - max(0.0, export_kwh) * booked.sell_eur_per_kwh
        ),
    )


def actual_rows(quarters: Sequence[Quarter], before: datetime | None) -> list[SavingsRow]:
    """Return what really happened as rows like those of the baselines.

    Where measurements begin, or begin again after a gap, an `OPENING` row at the quarter-hour
    before says what was stored then.

    Args:
        quarters: What was measured, ascending.
        before: Start of the last quarter-hour that counted before these; None for none.
    """
    rows = []
    for quarter in quarters:
        if before is None or quarter.ts - before != STEP:
            rows.append(
                SavingsRow(
                    ts=quarter.ts - STEP,
                    site_id=quarter.row.site_id,
                    baseline=OPENING,
                    import_kwh=0.0,
                    export_kwh=0.0,
                    charged_kwh=0.0,
                    discharged_kwh=0.0,
                    soc_kwh=quarter.stored_start_kwh,
                    cost_eur=0.0,
                )
            )
        rows.append(
            saving_row(
                quarter,
                ACTUAL,
                import_kwh=quarter.row.import_kwh,
                export_kwh=quarter.row.export_kwh,
                charged_kwh=quarter.charged_kwh,
                discharged_kwh=quarter.discharged_kwh,
                soc_kwh=quarter.stored_end_kwh,
            )
        )
        before = quarter.ts
    return rows


def _quarter_powers(
    rule: Rule,
    store: BaselineBattery,
    quarter: Quarter,
    zone: ZoneInfo,
    *,
    import_limit_kw: float,
    export_limit_kw: float,
) -> list[float]:
    local = quarter.ts.astimezone(zone)
    powers = []
    for minute in range(MINUTES):
        # A quarter-hour never spans a clock change, so local minutes simply count on.
        net_kw = float(quarter.net_kwh[minute]) / MINUTE_HOURS
        state = RuleState(
            local_time=(local + timedelta(minutes=minute)).time(),
            net_load_kw=net_kw,
            past_net_load_kw=_NOTHING,
            energy_kwh=store.energy_kwh,
            day_buy_eur_per_kwh=_NOTHING,
            day_sell_eur_per_kwh=_NOTHING,
            step_of_day=0,
        )
        powers.append(
            store.step(
                rule(state),
                net_kw,
                import_limit_kw=import_limit_kw,
                export_limit_kw=export_limit_kw,
            )
        )
    return powers
