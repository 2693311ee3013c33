"""Makes the kernel's compiled code in a process of its own, so that the program need not.

Importing this module imports no compiler.
"""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

_log = logging.getLogger(__name__)

_ROOT = Path(__file__).resolve().parents[3]
COMMAND: tuple[str, ...] = (sys.executable, "-m", "engine.optimization.kernel.warm")
"""Compiles, or finds within a second that it has been done; see `warm`."""


class KernelCompiler:
    """Has the kernel compiled once it is asked for; may be used from any thread.

    Args:
        command: What compiles; it ends with 0 when the code is there.
    """

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self._command = tuple(command)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = False
        self._given_up = False

    def ready(self) -> bool:
        """Return whether the kernel can be used at once; the first question begins compiling."""
        with self._lock:
            if self._process is None and not self._given_up:
                self._begin()
            return self._look()

    def wait(self, timeout_s: float) -> bool:
        """Return whether the kernel can be used, after at most `timeout_s` of compiling."""
        if self.ready():
            return True
        process = self._process
        if process is not None:
            try:
                process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                return False
        return self.ready()

    def stop(self) -> None:
        """End compiling; the kernel is not used from now on unless it was ready."""
        with self._lock:
            self._given_up = True
            if self._process is not None and self._process.poll() is None:
                self._process.kill()
                self._process.wait()

    def _begin(self) -> None:
        try:
            self._process = subprocess.Popen(
                self._command,
                cwd=_ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        except OSError as error:
            self._given_up = True
            _log.warning("the kernel cannot be compiled, others solve instead: %s", error)

    def _look(self) -> bool:
        if self._ready or self._process is None:
            return self._ready
        code = self._process.poll()
        self._ready = code == 0
        if code and not self._given_up:
            self._given_up = True
            _log.warning("compiling the kernel ended with %d; others solve instead", code)
        return self._ready
