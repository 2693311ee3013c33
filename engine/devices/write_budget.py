"""How often a device's flash memory was written today, counted across restarts.

A flash cell stands some ten thousand writes; a setpoint written every few
seconds wears it out in a day. The count is stored before a write is sent, so
that a crash can only ever count too much.
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Protocol

from engine.domain.clock import Clock
from engine.domain.errors import DeviceError


@dataclass(frozen=True, slots=True)
class WriteCount:
    """Writes of one device on one day.

    Attributes:
        day: The day, UTC.
        writes: Number of writes.
    """

    day: date
    writes: int


class WriteCountStore(Protocol):
    """Keeps the counts of all devices across restarts."""

    def load(self, device: str) -> WriteCount | None:
        """Return the count of `device`, None when it never wrote.

        Raises:
            DeviceError: The count cannot be read.
        """
        ...

    def save(self, device: str, count: WriteCount) -> None:
        """Store the count of `device` durably.

        Raises:
            DeviceError: The count cannot be stored.
        """
        ...


class JsonWriteCounts:
    """Counts in a JSON file, replaced as a whole at every change.

    Args:
        path: The file; it is created with the first count.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()

    def load(self, device: str) -> WriteCount | None:
        with self._lock:
            entry = self._read().get(device)
        if entry is None:
            return None
        try:
            return WriteCount(date.fromisoformat(entry["day"]), int(entry["writes"]))
        except (KeyError, TypeError, ValueError) as exc:
            raise self._unreadable(f"the entry of {device} is damaged") from exc

    def save(self, device: str, count: WriteCount) -> None:
        with self._lock:
            entries = dict(self._read())
            entries[device] = {"day": count.day.isoformat(), "writes": count.writes}
            temporary = self._path.with_name(self._path.name + ".new")
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with temporary.open("w", encoding="utf-8") as file:
                    json.dump(entries, file)
                    file.flush()
                    os.fsync(file.fileno())
                temporary.replace(self._path)
            except OSError as exc:
                raise DeviceError(
                    f"the number of flash writes of {device} cannot be stored: {exc.strerror}.",
                    field="write_counts",
                    value=str(self._path),
                    hint="Make room on the disk and the folder writable.",
                ) from exc

    def _read(self) -> Mapping[str, Any]:
        try:
            content = json.loads(self._path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as exc:
            raise self._unreadable(str(exc)) from exc
        if not isinstance(content, dict):
            raise self._unreadable("it holds no table")
        return content

    def _unreadable(self, problem: str) -> DeviceError:
        return DeviceError(
            f"the counts of flash writes cannot be read: {problem}.",
            field="write_counts",
            value=str(self._path),
            hint="Remove the file once you know that today's writes were few.",
        )


class WriteBudget:
    """The daily budget of one device.

    Args:
        device: Name of the device.
        limit: Most writes per day (UTC).
        store: Keeps the count.
        clock: Gives the day.
    """

    def __init__(self, device: str, limit: int, store: WriteCountStore, clock: Clock) -> None:
        self._device = device
        self.limit = limit
        self._store = store
        self._clock = clock
        self._count: WriteCount | None = None

    def used(self) -> int:
        """Return the number of writes of today.

        Raises:
            DeviceError: The count cannot be read.
        """
        return self._today().writes

    def allows(self, writes: int) -> bool:
        """True when `writes` more fit into today's budget.

        Raises:
            DeviceError: The count cannot be read.
        """
        return self.used() + writes <= self.limit

    def count(self) -> None:
        """Count one write; called before it is sent.

        Raises:
            DeviceError: The count cannot be stored; the write must not be sent then.
        """
        today = self._today()
        self._count = WriteCount(today.day, today.writes + 1)
        self._store.save(self._device, self._count)

    def _today(self) -> WriteCount:
        if self._count is None:
            self._count = self._store.load(self._device)
        today = self._clock.now().date()
        # A clock that was set back must not hand out a second budget, so only a later day does.
        if self._count is None or self._count.day < today:
            self._count = WriteCount(today, 0)
        return self._count
