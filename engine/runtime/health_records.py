"""Supervision records and reports of what the engine only watches: the history and commands."""

from __future__ import annotations

from engine.devices.command_state import CommandPhase, CommandState
from engine.domain.control import CommandReport, StepHealth
from engine.history.writer import WriterStatus


def history_health(status: WriterStatus) -> StepHealth:
    """Return how storing goes; upkeep that fails counts too."""
    return StepHealth(
        name="history",
        ok=status.failures == 0 and status.upkeep_error is None,
        last_success=status.last_commit_at,
        failures=status.failures,
        last_error=status.last_error or status.upkeep_error,
    )


def command_health(command: CommandState) -> StepHealth:
    """Return whether the device does what the newest command asked for."""
    failed = command.state in (CommandPhase.REFUSED, CommandPhase.NO_EFFECT)
    return StepHealth(
        name="command",
        ok=not failed,
        last_success=command.ts if command.state is CommandPhase.CONFIRMED else None,
        failures=int(failed),
        last_error=command.reason if failed else None,
    )


def command_report(command: CommandState) -> CommandReport:
    """Return the newest command as pages and the API show it."""
    return CommandReport(
        state=command.state.value,
        reason=command.reason,
        requested_kw=command.requested_kw,
        written_kw=command.written_kw,
        readback_kw=command.readback_kw,
        measured_kw=command.measured_kw,
        flash_writes_today=command.flash_writes_today,
        daily_write_budget=command.daily_write_budget,
    )
