"""Reads that end: after a time, when memory grows too much, or when nobody waits any more.

A limit is in force for everything the thread asks of the store inside `limited_reads`; the
store lends its cursors through `interruptible`, which interrupts them.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Protocol

import duckdb

from engine.history.query_errors import QueryStoppedError

_LOOK_SECONDS = 0.02
_STATM = Path("/proc/self/statm")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Interruptible(Protocol):
    """A running read that can be told to end."""

    def interrupt(self) -> None: ...


def resident_bytes() -> int:
    """Return the memory this process holds; 0 where the system does not tell."""
    try:
        return int(_STATM.read_text(encoding="ascii").split()[1]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return 0


class ReadLimit:
    """How long a question may take, and how much memory; counted from construction.

    Args:
        seconds: Longest duration.
        growth_bytes: Most by which the memory of the program may grow meanwhile; None for any.
        monotonic: Seconds that never run backwards.
        memory: Memory held now, in bytes.
    """

    def __init__(
        self,
        seconds: float,
        growth_bytes: int | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        memory: Callable[[], int] = resident_bytes,
    ) -> None:
        self._seconds = seconds
        self._growth_bytes = growth_bytes
        self._monotonic = monotonic
        self._memory = memory
        self._start_s = monotonic()
        self._start_bytes = memory() if growth_bytes is not None else 0
        self._stopped: QueryStoppedError | None = None

    def cancel(self) -> None:
        """End the question now; may be called from any thread, more than once."""
        if self._stopped is None:
            self._stopped = QueryStoppedError("The question was cancelled.")

    def stopped(self) -> QueryStoppedError | None:
        """Return why the question has to end, None while it may go on."""
        if self._stopped is None and self._monotonic() - self._start_s >= self._seconds:
            self._stopped = QueryStoppedError(
                f"The answer took longer than {self._seconds:g} s.",
                field="seconds",
                value=self._seconds,
                hint="Ask for a shorter period, fewer signals or a coarser resolution.",
            )
        if self._stopped is None and self._growth_bytes is not None:
            grown = self._memory() - self._start_bytes
            if grown > self._growth_bytes:
                self._stopped = QueryStoppedError(
                    f"The answer needs more than {self._growth_bytes // 1_000_000} MB of memory.",
                    field="memory",
                    value=grown,
                    hint="Ask for a shorter period, or aggregate more.",
                )
        return self._stopped

    def check(self) -> None:
        """Raise when the question has to end.

        Raises:
            QueryStoppedError: It does.
        """
        stopped = self.stopped()
        if stopped is not None:
            raise stopped


_LIMIT: ContextVar[ReadLimit | None] = ContextVar("history_read_limit", default=None)


@contextmanager
def limited_reads(limit: ReadLimit) -> Iterator[ReadLimit]:
    """Put `limit` in force for what this thread asks of the store inside the block."""
    token = _LIMIT.set(limit)
    try:
        yield limit
    finally:
        _LIMIT.reset(token)


@contextmanager
def interruptible(
    cursor: Interruptible, interrupted: type[Exception] = duckdb.InterruptException
) -> Iterator[None]:
    """Interrupt `cursor` when the limit in force is exceeded inside the block.

    Args:
        cursor: What reads.
        interrupted: What it raises when it was interrupted.

    Raises:
        QueryStoppedError: It was.
    """
    limit = _LIMIT.get()
    if limit is None:
        yield
        return
    limit.check()
    done = threading.Event()
    watcher = threading.Thread(
        target=_watch, args=(limit, cursor, done), name="ems-read-limit", daemon=True
    )
    watcher.start()
    try:
        yield
    except interrupted:
        limit.check()
        raise
    finally:
        # joined, so that no interrupt hits a cursor that is lent to someone else
        done.set()
        watcher.join()


def _watch(limit: ReadLimit, cursor: Interruptible, done: threading.Event) -> None:
    while not done.wait(_LOOK_SECONDS):
        # again and again: an interrupt between two statements has no effect
        if limit.stopped() is not None:
            cursor.interrupt()
