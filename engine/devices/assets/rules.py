"""What the devices of a site must agree on before they can be read as its assets."""

from __future__ import annotations

from collections.abc import Sequence

from engine.devices.assets.members import MAIN_SIGNALS, AssetMember
from engine.devices.assets.reading import Asset, MeterAsset
from engine.domain.errors import DeviceError
from engine.domain.signals import EXTERNAL_CONTACT


def check_roles(members: Sequence[AssetMember]) -> None:
    for member in members:
        for role in sorted(member.roles):
            wanted = MAIN_SIGNALS[role]
            if member.roles_stated and not any(member.supplies(signal) for signal in wanted):
                raise DeviceError(
                    f"{member.name} cannot be used as {role}: its profile "
                    f"{member.spec.profile.key} supplies no {' or '.join(wanted)}.",
                    field=f"devices.{member.name}.roles",
                    value=role.value,
                    hint="Correct its roles or its profile.",
                )


def check_meters(meters: Sequence[MeterAsset]) -> None:
    if len(meters) > 1:
        names = [meter.name for meter in meters]
        raise DeviceError(
            f"grid_kw comes from more than one device ({', '.join(names)}).",
            field=f"devices.{names[1]}.roles",
            value=names,
            hint="State the roles of each; only the meter at the grid connection has role meter.",
        )


def check_contacts(members: Sequence[AssetMember]) -> None:
    names = [m.name for m in members if EXTERNAL_CONTACT in m.spec.profile.signals]
    if len(names) > 1:
        raise DeviceError(
            f"{EXTERNAL_CONTACT} comes from more than one device ({', '.join(names)}).",
            field=f"devices.{names[1]}.registers.{EXTERNAL_CONTACT}",
            value=names,
            hint="Set it to null in the register overrides of all but one of them.",
        )


def check_capacities(storages: Sequence[Asset]) -> None:
    weighed = [member for storage in storages for member in storage.suppliers("soc_percent")]
    if len(weighed) < 2:
        return
    for member in weighed:
        if member.energy_capacity_kwh is None:
            raise DeviceError(
                f"the energy capacity behind {member.name} is not stated, so its state of charge "
                "cannot be weighed against the others'.",
                field=f"devices.{member.name}.energy_capacity_kwh",
                hint="Give its energy capacity in kWh.",
            )


def check_command(storages: Sequence[Asset]) -> None:
    commanded = [m.name for storage in storages for m in storage.members if m.commanded]
    if commanded and len(storages) > 1:
        names = ", ".join(storage.name for storage in storages)
        raise DeviceError(
            f"several storage systems ({names}) can be measured, but not commanded: the limits of "
            f"all would apply to {commanded[0]} alone.",
            field=f"devices.{commanded[0]}.write_enabled",
            value=True,
            hint="Set write_enabled: false, or give devices behind one converter the same storage.",
        )
