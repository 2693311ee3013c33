"""The whole program as a child process on loopback."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engine.domain.errors import AlreadyRunningError
from engine.history.file_lock import FileLock
from engine.runtime.history_setup import DATABASE_NAME
from tests.support.login import bearer, prepare

ROOT = Path(__file__).resolve().parents[2]

PATIENCE_S = 240.0
"""For what takes seconds on an idle machine; a busy one may take ten times as long."""


def free_port() -> int:
    """Return a TCP port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(
    condition: Callable[[], Any], what: str | Callable[[], str], seconds: float = PATIENCE_S
) -> Any:
    """Return the first truthy result of `condition`; fail with `what` after `seconds`.

    Args:
        condition: Asked again and again.
        what: What is waited for; a function when it is to tell how things stand at the end.
        seconds: How long.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(0.05)
    told = what if isinstance(what, str) else what()
    raise AssertionError(f"{told} did not happen within {seconds:.0f} s")


@dataclass
class Program:
    """A running ``python -m ems_dash run``."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path
    database: Path

    def get(self, path: str) -> Any:
        """Return the parsed JSON answer, or None while the server does not answer."""
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", headers=bearer())
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                return json.load(answer)
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return None

    def wait_for_plan(self) -> Any:
        """Return the first published plan."""
        return wait_for(lambda: self.get("/api/plan"), lambda: f"a plan (log:\n{self.log_text()})")

    def log_text(self) -> str:
        """Return what the program has logged so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def kill(self) -> None:
        """End master and worker as a power cut would, and wait until both are gone."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=PATIENCE_S)
        # The worker is no child of ours; its threads keep the data folder until they have ended.
        wait_for(lambda: _is_free(self.database), "the end of the worker")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(timeout=PATIENCE_S)


def _is_free(database: Path) -> bool:
    if not database.parent.is_dir():
        return True
    try:
        FileLock(database).release()
    except AlreadyRunningError:
        return False
    return True


@contextmanager
def running(folder: Path, config: str | None = None) -> Iterator[Program]:
    """Run the program on a free port with its configuration and data below `folder`.

    Its users are those of `tests.support.login`.
    """
    config_dir = folder / "config"
    config_dir.mkdir(parents=True, exist_ok=True)
    if config is not None:
        (config_dir / "ems.yaml").write_text(config, encoding="utf-8")
    prepare(config_dir)
    port = free_port()
    log = folder / "log.txt"
    command = [
        *(sys.executable, "-m", "ems_dash", "run", "--port", str(port)),
        *("--config", str(config_dir), "--data", str(folder / "data")),
    ]
    with log.open("ab") as out:
        process = subprocess.Popen(
            command, cwd=ROOT, stdout=out, stderr=out, env=os.environ, start_new_session=True
        )
    program = Program(process, port, log, folder / "data" / DATABASE_NAME)
    try:
        yield program
    finally:
        program.kill()
