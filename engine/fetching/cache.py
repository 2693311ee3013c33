"""What was fetched, kept on disk so that a restart in an outage still knows it."""

from __future__ import annotations

import json
import logging
import os
import re
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

_FORMAT = "ems-dash-cache"
_VERSION = 1
_KEY = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_SUFFIX = ".json"
_MAX_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One stored answer.

    Attributes:
        fetched_at: When it was obtained, UTC.
        source: Who said so.
        request: What was asked, without keys.
        payload: The parsed content, anything JSON holds.
    """

    fetched_at: datetime
    source: str
    request: str
    payload: Any


class DiskCache:
    """One JSON file per key in a folder of its own; every file is whole or not there.

    A file that cannot be read or written is reported and never stops the program: the cache is
    a convenience, the source is the truth.

    Args:
        folder: Created when missing.
        report: Called with a sentence per problem; left out: the log.
    """

    def __init__(self, folder: Path, report: Callable[[str], None] | None = None) -> None:
        self._folder = folder
        self._report = report or log.warning
        self._problems: list[str] = []
        self._lock = threading.Lock()

    @property
    def problems(self) -> tuple[str, ...]:
        """The latest problems in words, oldest first."""
        with self._lock:
            return tuple(self._problems)

    def stored_keys(self) -> tuple[str, ...]:
        """Return the keys of the files that look like ours, sorted."""
        try:
            names = [p.name for p in self._folder.iterdir() if p.is_file()]
        except FileNotFoundError:
            return ()
        except OSError as error:
            self._problem(f"The cache folder cannot be read: {error.strerror}.")
            return ()
        stems = (n.removesuffix(_SUFFIX) for n in names if n.endswith(_SUFFIX))
        return tuple(sorted(s for s in stems if _KEY.fullmatch(s)))

    def get(self, key: str) -> CacheEntry | None:
        """Return the entry of `key`, or None when there is none that can be read."""
        path = self._path(key)
        try:
            data = json.loads(path.read_bytes())
            if not isinstance(data, dict) or data.get("format") != _FORMAT:
                raise ValueError("it is not a cache file of EMS Dash")
            if data.get("version") != _VERSION:
                raise ValueError(f"its version is {data.get('version')!r}, not {_VERSION}")
            return CacheEntry(
                fetched_at=_utc(data["fetched_at"]),
                source=_text(data["source"]),
                request=_text(data["request"]),
                payload=data["payload"],
            )
        except FileNotFoundError:
            return None
        except OSError as error:
            self._problem(f"The cache file {path.name} cannot be read: {error.strerror}.")
        except KeyError as error:
            self._problem(f"The cache file {path.name} is ignored: {error} is missing.")
        except (ValueError, RecursionError) as error:
            self._problem(f"The cache file {path.name} is ignored: {error}.")
        return None

    def put(self, key: str, entry: CacheEntry) -> bool:
        """Store `entry`, atomically and durably; return False (and report) when it failed."""
        path = self._path(key)
        temporary = path.with_name(path.name + ".tmp")
        text = json.dumps(
            {
                "format": _FORMAT,
                "version": _VERSION,
                "fetched_at": entry.fetched_at.astimezone(UTC).isoformat(),
                "source": entry.source,
                "request": entry.request,
                "payload": entry.payload,
            },
            allow_nan=False,
            separators=(",", ":"),
        )
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            with temporary.open("w", encoding="utf-8") as out:
                out.write(text)
                out.flush()
                os.fsync(out.fileno())
            temporary.replace(path)
            _sync_folder(self._folder)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            self._problem(f"The cache file {path.name} cannot be written: {error.strerror}.")
            return False
        return True

    def remove(self, key: str) -> None:
        """Delete the entry of `key`; nothing happens when there is none."""
        try:
            self._path(key).unlink(missing_ok=True)
        except OSError as error:
            self._problem(f"A cache file cannot be deleted: {error.strerror}.")

    def report(self, problem: str) -> None:
        """Report that a readable entry makes no sense to its owner."""
        self._problem(problem)

    def _path(self, key: str) -> Path:
        if not _KEY.fullmatch(key):
            raise ValueError(f"not a cache key: {key!r}")
        return self._folder / f"{key}{_SUFFIX}"

    def _problem(self, text: str) -> None:
        with self._lock:
            self._problems = [*self._problems, text][-_MAX_PROBLEMS:]
        self._report(text)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError("a text is missing")
    return value


def _utc(value: Any) -> datetime:
    at = datetime.fromisoformat(_text(value))
    if at.tzinfo is None:
        raise ValueError("its time has no offset")
    return at.astimezone(UTC)
