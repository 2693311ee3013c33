"""How the worker process begins and ends, where the server's own way would harm the engine."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Final, NoReturn

_CRASHED: Final = 1


def hold_hang_ups() -> None:
    """Let a hang-up wait for `take_hang_ups`; between, the server's default would end the worker.

    To be called in the new process before any of its signals is set up.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})


def take_hang_ups(handler: Callable[[int, FrameType | None], None]) -> None:
    """Let `handler` have every hang-up from now on, and the one that waits.

    Whatever is started afterwards does not inherit that it is held.
    """
    signal.signal(signal.SIGHUP, handler)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


def exit_code() -> int:
    """Return what this process, on its way out, would end with."""
    leaving = sys.exception()
    if leaving is None:
        return 0
    if not isinstance(leaving, SystemExit):
        return _CRASHED
    if leaving.code is None:
        return 0
    return leaving.code & 0xFF if isinstance(leaving.code, int) else _CRASHED


def end_process(code: int) -> NoReturn:
    """End at once, without the interpreter's own end, once everything of worth is closed.

    A solver cannot be interrupted, so its thread may outlive the engine. An interpreter that is
    taken down under such a thread ends it inside of native code, and C++ answers with an abort.
    Nothing is to be lost: files are closed and no `atexit` handler is used by the program.
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(code)
