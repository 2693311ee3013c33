"""What the devices of one group must agree on before any of them is asked."""

from __future__ import annotations

from collections.abc import Sequence

from engine.devices.spec import DeviceSpec
from engine.devices.transport import Transport, endpoint_name
from engine.domain.errors import DeviceError
from engine.domain.signals import SIGNALS


def endpoint_of(spec: DeviceSpec) -> str:
    """Return the name of the connection that reaches the device; devices share it."""
    return endpoint_name(spec.host, spec.port, spec.transport, spec.serial)


def check_specs(specs: Sequence[DeviceSpec], signals_may_repeat: bool) -> None:
    """Check the devices of a group.

    Args:
        specs: The devices.
        signals_may_repeat: True when several may supply one signal.

    Raises:
        DeviceError: No device, names or unit ids not unique, a signal supplied twice, simulated
            and real devices mixed, several to command, devices on one line with different
            settings, or a setting out of range.
    """
    if not specs:
        raise DeviceError("a device group needs at least one device.", field="devices", value=[])
    if len({spec.simulated for spec in specs}) > 1:
        simulated = ", ".join(spec.name for spec in specs if spec.simulated)
        raise DeviceError(
            f"simulated and real devices must not be mixed ({simulated} simulated).",
            field="devices.simulated",
            value=True,
            hint="Use only real devices, or only the demo plant.",
        )
    names: set[str] = set()
    units: set[tuple[str, int]] = set()
    endpoints: dict[str, DeviceSpec] = {}
    suppliers: dict[str, str] = {}
    for spec in specs:
        if spec.name in names:
            raise DeviceError(
                f"two devices have the same name (got {spec.name!r}).",
                field="devices.name",
                value=spec.name,
                hint="Rename one.",
            )
        names.add(spec.name)
        endpoint = endpoint_of(spec)
        other = endpoints.setdefault(endpoint, spec)
        if (other.transport, other.serial) != (spec.transport, spec.serial):
            raise DeviceError(
                f"{other.name} and {spec.name} use {endpoint} in different ways.",
                field=f"devices.{spec.name}.transport",
                value=spec.transport.value,
                hint="Give both the same transport and the same serial settings.",
            )
        unit = (endpoint, spec.unit_id)
        if unit in units:
            raise DeviceError(
                f"unit {spec.unit_id} at {endpoint} is configured twice.",
                field=f"devices.{spec.name}.unit_id",
                value=spec.unit_id,
                hint="Remove one or correct its unit id.",
            )
        units.add(unit)
        _check_spec(spec)
        for signal in sorted(spec.profile.signals):
            if signal in SIGNALS and signal in suppliers and not signals_may_repeat:
                raise DeviceError(
                    f"{signal} comes from two devices, {suppliers[signal]} and {spec.name}.",
                    field=f"devices.{spec.name}.registers.{signal}",
                    value=signal,
                    hint="Set it to null in the register overrides of one of them.",
                )
            suppliers[signal] = spec.name
    commanded = [spec.name for spec in specs if spec.takes_commands]
    if len(commanded) > 1:
        raise DeviceError(
            f"more than one device takes power commands ({', '.join(commanded)}).",
            field="devices.writable",
            value=commanded,
            hint="Enable writing for one of them.",
        )


def _check_spec(spec: DeviceSpec) -> None:
    checks = (
        (
            "port",
            spec.port,
            spec.transport is Transport.RTU or 1 <= spec.port <= 65535,
            "Give 1 to 65535.",
        ),
        (
            "serial",
            spec.serial,
            spec.transport is not Transport.RTU or spec.serial is not None,
            "Name the serial device of the RTU line.",
        ),
        ("unit_id", spec.unit_id, 0 <= spec.unit_id <= 255, "Give 0 to 255."),
        (
            "min_request_gap_s",
            spec.min_request_gap_s,
            0 <= spec.min_request_gap_s <= 10,
            "Give 0 to 10.",
        ),
        (
            "connect_delay_s",
            spec.connect_delay_s,
            0 <= spec.connect_delay_s <= 30,
            "Give 0 to 30.",
        ),
        ("timeout_s", spec.timeout_s, 0 < spec.timeout_s <= 60, "Give more than 0, at most 60."),
        (
            "poll_interval_s",
            spec.poll_interval_s,
            0 < spec.poll_interval_s <= 3600,
            "Give more than 0, at most 3600.",
        ),
    )
    for name, value, fine, hint in checks:
        if not fine:
            raise DeviceError(
                f"{name} of {spec.name} is out of range (got {value!r}).",
                field=f"devices.{spec.name}.{name}",
                value=value,
                hint=hint,
            )
