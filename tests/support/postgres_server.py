"""A PostgreSQL server of its own in a temporary folder, on a Unix socket and loopback."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg

from engine.history.postgres.target import PostgresTarget
from tests.support.process import free_port

_SETTINGS = {
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "shared_buffers": "32MB",
    "max_connections": "60",
}


def binaries() -> Path:
    """Return the folder of the newest server that is installed."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda p: int(p.parts[-3]))
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    assert on_path, "PostgreSQL is missing: apt-get install postgresql"
    return Path(on_path).resolve().parent


class PostgresServer:
    """A running server; its user ``ems`` needs no password over the socket."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._data = folder / "data"
        self._bin = binaries()
        if os.geteuid() == 0:
            # the server refuses to run as root
            owner = pwd.getpwnam("postgres")
            os.chown(folder, owner.pw_uid, owner.pw_gid)
        self._run(
            *("initdb", "-D", str(self._data), "-U", "ems", "--no-sync", "-E", "UTF8"),
            *("--locale=C", "--auth-local=trust", "--auth-host=scram-sha-256"),
        )
        self.start()
        with self._admin() as admin:
            admin.execute("ALTER USER ems PASSWORD 'right horse'")

    def parameters(self, dbname: str = "postgres") -> dict[str, str | int]:
        """Return how to connect through the socket."""
        return {"host": str(self.folder), "port": self.port, "user": "ems", "dbname": dbname}

    def target(self, schema: str = "ems_dash") -> PostgresTarget:
        """Return the database for a history."""
        return PostgresTarget(self.parameters(), schema, "the test server")

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = " ".join(
            [
                f"-p {self.port} -c listen_addresses=127.0.0.1",
                f"-c unix_socket_directories={self.folder}",
                *(f"-c {name}={value}" for name, value in _SETTINGS.items()),
            ]
        )
        log = str(self.folder / "log")
        self._run("pg_ctl", "-D", str(self._data), "-w", "-l", log, "-o", options, "start")

    def stop(self) -> None:
        """End the server at once; clients lose their connections."""
        self._run("pg_ctl", "-D", str(self._data), "-w", "-m", "fast", "stop")

    def clear(self, schema: str = "ems_dash") -> None:
        """Remove every row of a history."""
        with self._admin() as connection:
            tables = connection.execute(
                "SELECT tablename FROM pg_tables WHERE schemaname = %s "
                "AND tablename <> 'schema_version'",
                [schema],
            ).fetchall()
            for (table,) in tables:
                connection.execute(f'DELETE FROM "{schema}"."{table}"'.encode())

    def _admin(self) -> psycopg.Connection[tuple[Any, ...]]:
        parameters: dict[str, Any] = self.parameters()
        return psycopg.connect(**parameters, autocommit=True)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._bin / program), *arguments]
        if os.geteuid() == 0:
            command = ["runuser", "-u", "postgres", "--", *command]
        # the server inherits the pipe of a captured output and would hold it open
        with (self.folder / f"{program}.out").open("ab") as out:
            subprocess.run(command, check=True, stdout=out, stderr=out, cwd="/", timeout=120)


@contextmanager
def postgres_server() -> Iterator[PostgresServer]:
    """Run a server until the block ends."""
    # a short path: a socket's must have less than 108 characters
    folder = Path(tempfile.mkdtemp(prefix="ems-pg-", dir="/tmp"))
    folder.chmod(0o755)
    server = None
    try:
        server = PostgresServer(folder)
        yield server
    finally:
        if server is not None:
            with suppress(subprocess.CalledProcessError):
                server.stop()
        shutil.rmtree(folder, ignore_errors=True)
