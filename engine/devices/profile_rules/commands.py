"""Rules for commands: signs, steps, clamps and watchdogs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from engine.devices.command_def import CommandDef, CommandStep, LimitDef, WriteRules, WriteStep
from engine.devices.profile_rules.fields import check_encoding, check_span, problem_of
from engine.devices.profile_rules.signals import BATTERY_SIGNS

if TYPE_CHECKING:
    from engine.devices.profile_def import DeviceProfile


def check_commands(profile: DeviceProfile) -> None:
    """Check the commands of a profile.

    Raises:
        DeviceError: Names the field, the value and the remedy.
    """
    power, limit = profile.commands.get("set_power_kw"), profile.commands.get("limit_power_kw")
    if power is not None:
        _check_command(profile, power)
    if limit is not None:
        _check_limit(profile, limit)


def _check_command(profile: DeviceProfile, command: CommandDef) -> None:
    for place, step in _steps_of(profile, command):
        if (
            isinstance(step, CommandStep)
            and step.value == "power_kw"
            and step.positive_means not in BATTERY_SIGNS
        ):
            raise problem_of(
                profile,
                f"{place}.positive_means",
                None if step.positive_means is None else step.positive_means.value,
                "the sign of the setpoint is not stated",
                "Say what a positive number means: charge or discharge.",
            )
    _check_write_rules(profile, command, ("clamp_charge", "clamp_discharge"))


def _check_limit(profile: DeviceProfile, limit: LimitDef) -> None:
    for place, step in _steps_of(profile, limit):
        if step.positive_means is not None:
            raise problem_of(
                profile,
                f"{place}.positive_means",
                step.positive_means.value,
                "a limit is an amount without a sign",
                "Leave it out.",
            )
    _check_write_rules(profile, limit, ("clamp",))


def _steps_of(profile: DeviceProfile, command: WriteRules) -> list[tuple[str, WriteStep]]:
    """Return field and step of every write of `command`, each one checked on its own."""
    field = f"commands.{command.command_name}"
    steps = [(f"{field}.steps.{i}", step) for i, step in enumerate(command.all_steps)]
    steps += [(f"{field}.revert.{i}", step) for i, step in enumerate(command.revert_steps)]
    for place, step in steps:
        check_encoding(profile, place, step)
        check_span(profile, place, step.address, step.type.width)
        if step.function == 6 and step.type.width != 1:
            raise problem_of(
                profile,
                f"{place}.function",
                step.function,
                f"function 6 writes one register, {step.type} needs {step.type.width}",
                "Use function 16.",
            )
    return steps


def _check_write_rules(
    profile: DeviceProfile, command: WriteRules, clamps: tuple[str, ...]
) -> None:
    field = f"commands.{command.command_name}"
    if not any(step.carries_power for step in command.all_steps):
        raise problem_of(
            profile, f"{field}.steps", len(command.all_steps), "no step writes the power", "Add it."
        )
    for part in ("readback", "effect", *clamps):
        signal = getattr(command, part)
        if isinstance(signal, str) and signal not in profile.signals:
            raise problem_of(
                profile, f"{field}.{part}", signal, "no such register", "Add it under registers."
            )
    if (
        command.refresh_s is not None
        and command.watchdog_s is not None
        and command.refresh_s >= command.watchdog_s
    ):
        raise problem_of(
            profile,
            f"{field}.refresh_s",
            command.refresh_s,
            f"the refresh comes after the watchdog of {command.watchdog_s} s",
            "Refresh at a third of the watchdog time.",
        )
