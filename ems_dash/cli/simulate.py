"""``simulate``: any profile as a Modbus TCP device on this machine."""

from __future__ import annotations

import argparse
import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "simulate",
        help="serve a simulated device",
        description="Serve a simulated device of any profile over Modbus TCP on 127.0.0.1 until "
        "Ctrl-C. Its values move by themselves; a setpoint written to it moves its battery.",
    )
    command.add_argument("--profile", required=True, metavar="NAME", help="see: profile list")
    command.add_argument("--port", type=int, default=5020, help="TCP port; 0 for any free one")
    command.add_argument(
        "--unit-id", type=int, default=None, help="the profile's unit id if absent"
    )
    command.add_argument("--json", action="store_true", help="print the endpoint as JSON")
    command.set_defaults(action=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Serve until interrupted; 0 after a clean stop."""
    from engine.devices.profile import get_profile
    from engine.devices.simulator.profile_server import ProfileServer
    from engine.domain.errors import DeviceError

    profile = get_profile(arguments.profile)
    for field, value, most in (
        ("port", arguments.port, 65535),
        ("unit_id", arguments.unit_id, 247),
    ):
        if value is not None and not 0 <= value <= most:
            raise DeviceError(
                f"it is out of range (got {value}).",
                field=field,
                value=value,
                hint=f"Give 0 to {most}.",
            )
    server = ProfileServer(profile, arguments.port, arguments.unit_id)
    with _interrupted() as stop:
        port = server.start()
        endpoint = {
            "profile": profile.key,
            "host": "127.0.0.1",
            "port": port,
            "unit_id": server.unit_id,
            "simulated": True,
        }
        if arguments.json:
            print(json.dumps(endpoint), flush=True)
        else:
            print(
                f"{profile.label} (simulated) on 127.0.0.1:{port}, unit {server.unit_id}. "
                "Stop with Ctrl-C.",
                flush=True,
            )
        stop.wait()
        server.stop()
    return 0


@contextmanager
def _interrupted() -> Iterator[threading.Event]:
    """Give an event that Ctrl-C and the usual stop signal set."""
    stop = threading.Event()
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in numbers}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
