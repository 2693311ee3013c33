"""The doctor's look at the devices: every one is read once, through a connection of its own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from ems_dash.doctor_finding import Finding, State
from ems_dash.logs import clean
from engine.config.schema import Config
from engine.devices.connection_test import ConnectionReport, StepState, run_connection_test
from engine.devices.spec import DeviceSpec
from engine.devices.transport import Transport
from engine.domain.clock import SystemClock
from engine.runtime.site_setup import real_members

NAME: Final = "devices"
TIME_LIMIT_S: Final = 8.0
"""Longest look at one device."""

ReadDevice = Callable[[DeviceSpec], ConnectionReport]
"""Reads a device once; writes nothing."""


def read_device(spec: DeviceSpec) -> ConnectionReport:
    """Read what the profile of a device describes, once; takes at most `TIME_LIMIT_S`."""
    return run_connection_test(spec, None, SystemClock(), time_limit_s=TIME_LIMIT_S, observe_s=0.0)


def device_findings(
    config: Config, owner: str | None, *, offline: bool, read: ReadDevice = read_device
) -> list[Finding]:
    """Return what was found about every real device of a site.

    Args:
        config: Configuration of the site.
        owner: Process that runs the site now, and so has connections to its devices; None for none.
        offline: Connect to nothing.
        read: Reads a device.

    Raises:
        ConfigError: The devices are not configured whole.
    """
    members = () if config.demo else real_members(config)
    if not members:
        return [Finding(NAME, "skipped", "No real device is configured.")]
    return [_finding(member.spec, owner, offline=offline, read=read) for member in members]


def _finding(spec: DeviceSpec, owner: str | None, *, offline: bool, read: ReadDevice) -> Finding:
    line = None if spec.serial is None else spec.serial.device
    where = f"{spec.name} at {line or f'{spec.host}:{spec.port}'}"
    if offline:
        return Finding(NAME, "skipped", f"{where} was not tried (--offline).")
    if owner is not None and spec.transport is Transport.RTU:
        text = f"{where} was not read: process {owner} has the serial line."
        return Finding(NAME, "skipped", f"{text} The monitoring page shows its values.")
    if owner is not None and spec.profile.connection.single_client:
        text = f"{where} was not read: it takes one connection, and process {owner} has it."
        return Finding(NAME, "skipped", f"{text} The monitoring page shows its values.")
    return _told(where, owner, read(spec))


def _told(where: str, owner: str | None, report: ConnectionReport) -> Finding:
    where = f"{where}, unit {report.unit_id}"
    failed = next((step for step in report.steps if step.state is StepState.FAILED), None)
    if failed is not None and owner is not None and failed.name in ("connect", "unit"):
        text = f"{where} does not answer beside process {owner}: {failed.detail}"
        remedy = (
            "Look at the monitoring page; the device may take one connection only. If it is "
            f"offline there too: {failed.hint or 'check address, cable and firewall.'}"
        )
        return Finding(NAME, "warning", clean(text), clean(remedy))
    if failed is not None:
        return Finding(NAME, "failed", clean(f"{where}: {failed.detail}"), clean(failed.hint or ""))
    values = [reading for reading in report.registers if reading.value is not None]
    read = f"{where} was read in {report.duration_ms:.0f} ms: {len(values)} values"
    doubts = sorted(report.findings, key=lambda found: found.severity != "error")
    if doubts:
        first = doubts[0]
        state: State = "failed" if first.severity == "error" else "warning"
        text = f"{read}; {len(doubts)} look wrong, the first: {first.message}"
        return Finding(NAME, state, clean(text), clean(first.hint))
    doubtful = next((step for step in report.steps if step.state is StepState.WARNING), None)
    if doubtful is not None:
        return Finding(
            NAME, "warning", clean(f"{read}; {doubtful.detail}"), clean(doubtful.hint or "")
        )
    if report.out_of_time:
        text = f"{read}; not everything within {TIME_LIMIT_S:.0f} s."
        return Finding(NAME, "warning", text, "Check the line; look at the monitoring page.")
    return Finding(NAME, "ok", f"{read}, all of them plausible.")
