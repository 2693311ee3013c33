"""What has not been delivered yet, kept in a file so that no stop and no power cut loses it.

One file for all channels, written whole and atomically by the threads of the channels, never by
control. It holds alarms as they are told to people: no addresses and no secrets. It stays small,
because every channel bounds what waits.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engine.config.load import write_atomically
from engine.domain.alarms import SEVERITIES, AlarmChange, AlarmChangeKind, AlarmView

log = logging.getLogger(__name__)

KEPT_NAME = "notifications_waiting.json"
"""File in the data folder."""

MAX_BYTES = 4_000_000
"""A file beyond this was not written by us."""

_VERSION = 1


@dataclass(frozen=True, slots=True)
class KeptChange:
    """Something that waits to be told.

    Attributes:
        change: What happened, with its own times.
        since: Since when it waits, UTC.
    """

    change: AlarmChange
    since: datetime


@dataclass(frozen=True, slots=True)
class Kept:
    """What waits in one channel.

    Attributes:
        waiting: In the order it came.
        unsaid: Things that were dropped because too many waited, and are still to be counted in
            a message.
    """

    waiting: tuple[KeptChange, ...] = ()
    unsaid: int = 0


class KeptMessages:
    """Reads once what an earlier run left, and writes what waits now. Thread-safe.

    Args:
        path: The file.

    Attributes:
        problem: Why something that was kept could not be used, in words; None when all is well.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self.problem: str | None = None
        self._kept = self._read()

    def of(self, channel: str) -> Kept:
        """Return what waits in a channel as far as it is known here."""
        with self._lock:
            return self._kept.get(channel, Kept())

    def drop_all_but(self, channels: Iterable[str]) -> None:
        """Forget what waits in channels that are no longer in use."""
        known = frozenset(channels)
        with self._lock:
            for name in [name for name in self._kept if name not in known]:
                kept = self._kept.pop(name)
                log.warning(
                    "channel %s is not in use any more; %d things to tell were dropped",
                    name,
                    len(kept.waiting),
                )

    def keep(self, channel: str, kept: Kept) -> None:
        """Write what waits in a channel now.

        Raises:
            OSError: It could not be written; it is written with the next change.
        """
        with self._lock:
            if kept == Kept():
                self._kept.pop(channel, None)
            else:
                self._kept[channel] = kept
            document = {
                "version": _VERSION,
                "channels": {name: _document(kept) for name, kept in self._kept.items()},
            }
            write_atomically(self._path, json.dumps(document, ensure_ascii=True))

    def _read(self) -> dict[str, Kept]:
        try:
            if self._path.stat().st_size > MAX_BYTES:
                raise ValueError("it is too large")
            document = json.loads(self._path.read_text(encoding="utf-8"))
            channels = document["channels"] if document["version"] == _VERSION else None
            if not isinstance(channels, dict):
                raise ValueError("it is of another version")
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError, LookupError, RecursionError) as exc:
            self._lost(f"{self._path.name} cannot be used: {exc}")
            return {}
        return {name: self._kept_of(name, entry) for name, entry in channels.items()}

    def _kept_of(self, channel: str, entry: object) -> Kept:
        waiting = []
        unsaid = 0
        try:
            if not isinstance(entry, dict):
                raise ValueError("no table")
            unsaid = _count(entry["unsaid"])
            for item in entry["waiting"]:
                # One that cannot be used must not cost the others.
                try:
                    waiting.append(KeptChange(_change_of(item), _time(item["since"])))
                except (ValueError, TypeError, LookupError) as exc:
                    self._lost(f"{self._path.name}, {channel}: {exc!r}")
        except (ValueError, TypeError, LookupError) as exc:
            self._lost(f"{self._path.name}, {channel}: {exc!r}")
        return Kept(tuple(waiting), unsaid)

    def _lost(self, text: str) -> None:
        log.warning("something to tell was lost: %s", text)
        self.problem = self.problem or text


def _document(kept: Kept) -> dict[str, Any]:
    return {"unsaid": kept.unsaid, "waiting": [_item(entry) for entry in kept.waiting]}


def _item(entry: KeptChange) -> dict[str, Any]:
    change, view = entry.change, entry.change.view
    return {
        "since": entry.since.isoformat(),
        "kind": change.kind.value,
        "ts": change.ts.isoformat(),
        "times": change.times,
        "window_s": change.window_s,
        "name": view.name,
        "subject": view.subject,
        "source": view.source,
        "severity": view.severity,
        "message": view.message,
        "active": view.active,
        "flapping": view.flapping,
        "acknowledged": view.acknowledged,
        "count": view.count,
        "raised_at": view.raised_at.isoformat(),
        "cleared_at": None if view.cleared_at is None else view.cleared_at.isoformat(),
    }


def _change_of(item: Mapping[str, Any]) -> AlarmChange:
    if item["severity"] not in SEVERITIES or item["source"] not in ("device", "engine"):
        raise ValueError("an unknown severity or source")
    cleared_at = item["cleared_at"]
    view = AlarmView(
        name=_text(item["name"]),
        active=_flag(item["active"]),
        raised_at=_time(item["raised_at"]),
        cleared_at=None if cleared_at is None else _time(cleared_at),
        acknowledged=_flag(item["acknowledged"]),
        count=_count(item["count"]),
        severity=item["severity"],
        subject=None if item["subject"] is None else _text(item["subject"]),
        message=None if item["message"] is None else _text(item["message"]),
        flapping=_flag(item["flapping"]),
        source=item["source"],
    )
    return AlarmChange(
        AlarmChangeKind(item["kind"]),
        view,
        _time(item["ts"]),
        _count(item["times"]),
        float(item["window_s"]),
    )


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a text")
    return value


def _flag(value: object) -> bool:
    if not isinstance(value, bool):
        raise TypeError("neither true nor false")
    return value


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise TypeError("not a count")
    return value


def _time(value: object) -> datetime:
    found = datetime.fromisoformat(_text(value))
    if found.tzinfo is None:
        raise ValueError("a time without an offset")
    return found.astimezone(UTC)
