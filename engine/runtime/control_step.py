"""One step of control: a cycle, and what the site shows, says and commands after it.

A cycle that fails commands 0 kW and shows what was known as outdated.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from zoneinfo import ZoneInfo

from engine.control.layers import NO_PLAN
from engine.domain.control import CommandReport, EngineState, Setpoint, StepHealth
from engine.domain.errors import TooLittleMeasuredError
from engine.domain.local_days import local_day, local_midnight
from engine.domain.plan import Plan
from engine.domain.sample import ProcessImage, Quality
from engine.domain.snapshot import EngineSnapshot
from engine.runtime.cycle import CycleResult
from engine.runtime.health_records import command_report
from engine.runtime.journal import Journal
from engine.runtime.parts import EngineParts
from engine.runtime.supervision import SupervisedStep
from engine.telemetry.debounce import AnalogDebounce

SAFE_POWER_KW = 0.0

CONTROL_FAILING = "control_failing"
"""Why the state is safe after a control cycle that raised."""

log = logging.getLogger(__name__)


class ControlStep:
    """Runs the control cycle and keeps what the site shows. `run` is called by one thread only.

    Args:
        parts: What the engine is assembled from.
        journal: Told of changes of the state and of alarms.
        plan: Returns the published plan; None before the first.
        planning: Supervision of planning: one that fails or waits ends the start.
        health: Returns the supervision records of the whole engine.
        cycle_done: Called after each cycle that succeeded, before anybody is told of it.
        where: Returns what to log beside a failure.

    Attributes:
        supervised: The cycle under supervision.
        telling: Telling who watches (alarms, broker) under supervision.
    """

    def __init__(
        self,
        parts: EngineParts,
        journal: Journal,
        *,
        plan: Callable[[], Plan | None],
        planning: SupervisedStep,
        health: Callable[[], tuple[StepHealth, ...]],
        cycle_done: Callable[[], None],
        where: Callable[[], str],
    ) -> None:
        self._parts = parts
        self._journal = journal
        self._plan = plan
        self._planning = planning
        self._health = health
        self._cycle_done = cycle_done
        self._clock = parts.clock
        self._zone = ZoneInfo(parts.site.timezone)
        self._debounce = AnalogDebounce()
        self._result: CycleResult | None = None
        self._snapshot = EngineSnapshot(
            seq=0,
            ts=self._clock.now(),
            site=parts.site,
            state=EngineState.STARTING,
            state_reason=None,
            image=ProcessImage(parts.site.site_id, self._clock.now()),
            notices=parts.notices,
            time_factor=parts.time_factor,
            timestep_s=parts.timestep_s,
        )
        self._to_tell = self._snapshot
        self.supervised = SupervisedStep("control", self._run_cycle, self._clock, where)
        self.telling = SupervisedStep("alarms", self._tell_watchers, self._clock, where)

    @property
    def snapshot(self) -> EngineSnapshot:
        """What the site shows."""
        return self._snapshot

    @property
    def result(self) -> CycleResult | None:
        """What the newest cycle that succeeded decided; None before the first."""
        return self._result

    def run(self) -> bool:
        """Run one supervised control cycle; True on success."""
        done = self.supervised.run()
        if not done:
            # Devices keep the last command until told otherwise; a broken cycle must not.
            self._command_safe()
            self._show_failure()
        return done

    def show_stopped(self) -> None:
        """Show that the engine has stopped, with the last that is known."""
        self._snapshot = replace(self._snapshot, state=EngineState.STOPPED, state_reason="stopped")

    def _run_cycle(self) -> None:
        result = self._parts.cycle.run(self._plan())
        self._result = result
        state, reason = self._overall(result)
        self._parts.cycle.record(result, state)
        image, monotonic_s = result.image, self._clock.monotonic()
        self._parts.recent.add(image)
        listed = self._parts.alarms.views()
        alarms = self._parts.alarms.update(image, monotonic_s)
        self._journal.alarms_changed(listed, alarms)
        previous = self._snapshot
        self._snapshot = EngineSnapshot(
            seq=previous.seq + 1,
            ts=image.ts,
            site=self._parts.site,
            state=state,
            state_reason=reason,
            image=image,
            limits=result.limits,
            setpoint=result.setpoint,
            plan=self._plan(),
            price=result.price,
            energy_cost_today_eur=self._parts.cycle.cost_since(self._midnight(image.ts)),
            links=(*self._parts.devices.links(), *self._parts.mqtt.links()),
            health=self._health(),
            notices=(
                *self._parts.notices,
                *self._parts.cycle.notices(),
                *self._parts.market.notices(),
                *self._parts.accuracy.notices(),
            ),
            time_factor=self._parts.time_factor,
            timestep_s=self._parts.timestep_s,
            strategy=self._parts.desk.state(),
            manual=result.manual,
            alarms=(*(view for view in previous.alarms if view.source == "engine"), *alarms),
            command=self._command_report(),
            shown=self._debounce.calm(image, monotonic_s),
        )
        ended = self._parts.operator.manual.take_ended()
        if ended is not None:
            self._journal.note("info", "manual_ended", f"The order by hand ended ({ended}).")
        self._cycle_done()
        self._journal.state_changed(previous.state, self._snapshot)
        self._to_tell = self._snapshot
        self.telling.run()

    def _overall(self, result: CycleResult) -> tuple[EngineState, str | None]:
        """Return the state to show, with its reason.

        It starts until there is a battery and a plan, or a failure; where nothing can be planned
        with yet, it waits.
        """
        planning = self._planning.health()
        nothing_yet = result.image.value("soc_percent") is None or self._plan() is None
        if nothing_yet and self._snapshot.state is EngineState.STARTING:
            links = self._parts.devices.links()
            failed = any(link.state == "offline" for link in links)
            if not failed and planning.failures == 0 and planning.waits_for is None:
                return EngineState.STARTING, None
        if result.reason == NO_PLAN and planning.waits_for is not None:
            degraded = result.state is EngineState.DEGRADED
            state = EngineState.WAITING if degraded else result.state
            return state, TooLittleMeasuredError.code
        return result.state, result.reason

    def _command_safe(self) -> None:
        try:
            self._parts.devices.command_power(SAFE_POWER_KW)
        except Exception:
            log.exception("the safe setpoint could not be handed over")

    def _show_failure(self) -> None:
        """Show what is known after a cycle that failed: nothing new, and 0 kW commanded."""
        try:
            before, now = self._snapshot, self._clock.now()
            failed = replace(
                before,
                seq=before.seq + 1,
                ts=now,
                state=EngineState.SAFE,
                state_reason=CONTROL_FAILING,
                image=_outdated(before.image),
                setpoint=Setpoint(now, SAFE_POWER_KW, SAFE_POWER_KW, CONTROL_FAILING),
                health=self._health(),
            )
            self._snapshot = failed
            self._journal.state_changed(before.state, failed)
            # That control fails is the alarm; what follows from it are no further ones.
            self._to_tell = replace(before, ts=now, health=failed.health)
            self.telling.run()
        except Exception:
            log.exception("a failed cycle could not be told")

    def _tell_watchers(self) -> None:
        """Hand the newest state to who watches; what fails there is no failure of control."""
        own = self._parts.alarm_desk.feed(self._to_tell)
        snapshot = self._snapshot
        device = tuple(view for view in snapshot.alarms if view.source == "device")
        self._snapshot = replace(snapshot, alarms=(*own, *device))
        self._parts.mqtt.publish(self._snapshot)

    def _command_report(self) -> CommandReport | None:
        if not self._parts.devices.commandable:
            return None
        return command_report(self._parts.devices.command_state())

    def _midnight(self, ts: datetime) -> datetime:
        return local_midnight(local_day(ts, self._zone), self._zone)


def _outdated(image: ProcessImage) -> ProcessImage:
    samples = {
        name: replace(sample, quality=Quality.STALE, reason="the control loop fails")
        if sample.usable
        else sample
        for name, sample in image.samples.items()
    }
    return replace(image, samples=samples)
