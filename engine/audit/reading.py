"""Reads the audit log for people: newest first, filtered, page by page."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from engine.audit import files
from engine.audit.entry import AuditEntry, entry_of, stamp

MAX_LOOKED_AT: Final = 20_000
"""Most entries one question looks at; the answer then says where to go on."""


@dataclass(frozen=True, slots=True)
class AuditQuery:
    """What to show. Texts compare without regard to case.

    Attributes:
        actor: Only entries by this actor.
        action: Only actions that begin like this.
        target: Only targets that hold this.
        outcome: Only this outcome.
        since: Only entries from this time on, UTC.
        until: Only entries before this time, UTC.
        before: Only entries with a lower number: where the last page ended.
        limit: Most entries.
    """

    actor: str | None = None
    action: str | None = None
    target: str | None = None
    outcome: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: int | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class AuditPage:
    """One page of the log.

    Attributes:
        entries: Newest first.
        next_before: `AuditQuery.before` of the next page; None when there is none.
        unreadable: Lines among them that are no entries; `verify` says more.
    """

    entries: tuple[AuditEntry, ...]
    next_before: int | None
    unreadable: int


def read_page(folder: Path, query: AuditQuery) -> AuditPage:
    """Return the newest entries that `query` asks for.

    Raises:
        OSError: A file cannot be read.
    """
    found: list[AuditEntry] = []
    looked_at = unreadable = 0
    for path in reversed(files.log_files(folder)):
        if query.before is not None and files.first_seq_of(path) >= query.before:
            continue
        lines = [line for line, is_whole in files.lines_of(path) if is_whole]
        for line in reversed(lines):
            try:
                entry = entry_of(line)
            except ValueError:
                unreadable += 1
                continue
            if query.before is not None and entry.seq >= query.before:
                continue
            if len(found) == query.limit or looked_at == MAX_LOOKED_AT:
                return AuditPage(tuple(found), entry.seq + 1, unreadable)
            looked_at += 1
            if _is_before(entry, query.since):
                return AuditPage(tuple(found), None, unreadable)
            if _matches(entry, query):
                found.append(entry)
    return AuditPage(tuple(found), None, unreadable)


def _is_before(entry: AuditEntry, since: datetime | None) -> bool:
    return since is not None and entry.ts < stamp(since)


def _matches(entry: AuditEntry, query: AuditQuery) -> bool:
    return (
        (query.actor is None or entry.actor.casefold() == query.actor.casefold())
        and (query.action is None or entry.action.casefold().startswith(query.action.casefold()))
        and (query.target is None or query.target.casefold() in entry.target.casefold())
        and (query.outcome is None or entry.outcome == query.outcome)
        and (query.until is None or entry.ts < stamp(query.until))
    )
