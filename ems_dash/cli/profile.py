"""``profile``: list the device profiles, check a profile file."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.devices.profile_def import DeviceProfile


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "profile",
        help="list device profiles, check a profile file",
        description="Device profiles say what the registers of a device mean.",
    )
    parts = command.add_subparsers(dest="part", required=True, metavar="WHAT")
    listing = parts.add_parser("list", help="list every profile", description="List every profile.")
    listing.add_argument("--json", action="store_true", help="print the list as JSON")
    listing.set_defaults(action=list_profiles)
    check = parts.add_parser(
        "check",
        help="check a profile file",
        description="Validate a profile file and print what it found, or every mistake.",
    )
    check.add_argument("file", type=Path, metavar="FILE.yaml", help="file of the profile")
    check.add_argument("--json", action="store_true", help="print the result as JSON")
    check.set_defaults(action=check_profile)


def list_profiles(arguments: argparse.Namespace) -> int:
    """Print every profile; 0."""
    from engine.devices.profile import MODBUS_PROFILES

    rows = [_row(profile) for profile in MODBUS_PROFILES.values()]
    if arguments.json:
        print(json.dumps(rows, ensure_ascii=False))
        return 0
    width = max(len(row["key"]) for row in rows)
    for row in rows:
        command = "takes setpoints" if row["commandable"] else "read only"
        print(f"{row['key']:<{width}}  {row['label']} ({', '.join(row['kinds'])}; {command})")
    print("Writing is off for every device until it is enabled.")
    return 0


def check_profile(arguments: argparse.Namespace) -> int:
    """Print what the file describes and return 0, or its mistakes and return 1."""
    from engine.devices.profile_check import check_profile_file

    result = check_profile_file(arguments.file)
    if arguments.json:
        row = None if result.profile is None else _row(result.profile)
        print(
            json.dumps({"valid": not result.mistakes, "mistakes": result.mistakes, "profile": row})
        )
    elif result.profile is not None:
        for line in _summary(result.profile):
            print(line)
    else:
        for mistake in result.mistakes:
            print(f"error: {mistake}")
        count = len(result.mistakes)
        print(f"{count} mistake{'' if count == 1 else 's'} in {arguments.file}.")
    return 1 if result.mistakes else 0


def _row(profile: DeviceProfile) -> dict[str, Any]:
    return {
        "key": profile.key,
        "label": profile.label,
        "manufacturer": profile.manufacturer,
        "model": profile.model,
        "kinds": [kind.value for kind in profile.kinds],
        "signals": sorted(profile.signals),
        "commandable": "set_power_kw" in profile.commands,
        "verified_on_hardware": profile.verified_on_hardware,
        "address_base_stated": profile.address_base_stated,
        "source": profile.source,
        "notes": list(profile.notes),
        "connection": profile.connection.model_dump(),
    }


def _summary(profile: DeviceProfile) -> list[str]:
    from engine.domain.signals import SIGNALS

    canonical = sorted(profile.signals & SIGNALS.keys())
    own = sorted(profile.signals - SIGNALS.keys())
    verified = "yes" if profile.verified_on_hardware else "no"
    return [
        f"{profile.key}: {profile.label} is a valid profile.",
        f"  canonical signals ({len(canonical)}): {', '.join(canonical) or 'none'}",
        f"  signals of its own ({len(own)}): {', '.join(own) or 'none'}",
        f"  takes setpoints: {'yes' if 'set_power_kw' in profile.commands else 'no'}",
        f"  takes limits: {'yes' if 'limit_power_kw' in profile.commands else 'no'}",
        f"  verified on hardware: {verified}",
        f"  source: {profile.source}",
    ]
