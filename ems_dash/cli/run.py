"""``run``: the whole program."""

from __future__ import annotations

import argparse
import gc
from pathlib import Path
from typing import Any

from ems_dash.logs import LEVELS


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "run",
        help="run the whole program",
        description="Run engine and web application. Without a configuration the demo site runs.",
    )
    command.add_argument("--host", default="127.0.0.1", help="address to listen on")
    command.add_argument("--port", type=int, default=5050, help="port to listen on")
    command.add_argument(
        "--config", type=Path, default=Path("config"), metavar="DIR", help="folder of ems.yaml"
    )
    command.add_argument(
        "--data", type=Path, default=Path("data"), metavar="DIR", help="folder of the database"
    )
    command.add_argument(
        "--logs",
        type=Path,
        default=None,
        metavar="DIR",
        help="folder of the log (default: logs in the data folder)",
    )
    command.add_argument("--log-level", choices=LEVELS, default="info", help="least that is logged")
    command.set_defaults(action=execute)


def execute(arguments: argparse.Namespace) -> int:
    """Run until stopped; 0 after a clean stop."""
    # What is imported stays for ever: looking through it for garbage is a tenth of a start.
    gc.disable()
    # Imported here, because the other commands should not wait for the web application.
    from ems_dash.server import ServerOptions, serve

    gc.freeze()
    gc.enable()
    serve(
        ServerOptions(
            host=arguments.host,
            port=arguments.port,
            config_dir=arguments.config.resolve(),
            data_dir=arguments.data.resolve(),
            log_dir=arguments.logs.resolve() if arguments.logs else None,
            log_level=arguments.log_level,
        )
    )
    return 0
