"""Checks the audit log: that nothing in it was changed, added, removed or moved."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from engine.audit import files
from engine.audit.anchor import Anchor, anchor_of
from engine.audit.entry import GENESIS, AuditEntry, entry_of, is_authentic

MAX_PROBLEMS: Final = 50
"""Most problems that are listed; all are counted."""


@dataclass(frozen=True, slots=True)
class AuditProblem:
    """Something that is wrong.

    Attributes:
        kind: ``"changed"``, ``"missing"``, ``"order"``, ``"unreadable"``, ``"torn"``,
            ``"truncated"`` or ``"anchor"``.
        place: File and line, or the anchor.
        message: What is wrong, one sentence.
    """

    kind: str
    place: str
    message: str


@dataclass(slots=True)
class AuditReport:
    """What a check found.

    Attributes:
        entries: Entries that were read.
        files: Files that were read.
        anchors: Anchors that were compared.
        first_seq: Number of the first entry; None for an empty log.
        last_seq: Number of the last.
        head: Mac of the last.
        count: Problems in all.
        problems: The first of them.
    """

    entries: int = 0
    files: int = 0
    anchors: int = 0
    first_seq: int | None = None
    last_seq: int | None = None
    head: str | None = None
    count: int = 0
    problems: list[AuditProblem] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True when nothing is wrong."""
        return self.count == 0

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return {
            "ok": self.ok,
            "entries": self.entries,
            "files": self.files,
            "anchors": self.anchors,
            "first_seq": self.first_seq,
            "last_seq": self.last_seq,
            "head": None if self.head is None else f"{self.last_seq}:{self.head}",
            "problem_count": self.count,
            "problems": [
                {"kind": p.kind, "place": p.place, "message": p.message} for p in self.problems
            ],
        }


def verify(folder: Path, key: bytes, anchors: Iterable[Anchor] = ()) -> AuditReport:
    """Check every entry of the log in `folder` against the one before it and against anchors.

    Args:
        folder: Folder of the files.
        key: Key of the chain.
        anchors: Anchors kept elsewhere, besides those in the folder.

    Raises:
        OSError: A file cannot be read.
    """
    return _Check(folder, key).run(anchors)


class _Check:
    def __init__(self, folder: Path, key: bytes) -> None:
        self._folder = folder
        self._key = key
        self._report = AuditReport()
        self._previous: AuditEntry | None = None
        self._pruned: set[tuple[Any, Any]] = set()
        self._start: AuditEntry | None = None

    def run(self, kept: Iterable[Anchor]) -> AuditReport:
        anchors = [*self._anchors(), *kept]
        wanted = {anchor.seq for anchor in anchors}
        found: dict[int, str] = {}
        paths = files.log_files(self._folder)
        for path in paths:
            self._report.files += 1
            self._file(path, wanted, found, is_last=path == paths[-1])
        self._beginning()
        last = self._previous
        if last is not None:
            self._report.last_seq, self._report.head = last.seq, last.mac
        for anchor in anchors:
            self._compare(anchor, found)
        return self._report

    def _file(self, path: Path, wanted: set[int], found: dict[int, str], *, is_last: bool) -> None:
        for number, (line, is_whole) in enumerate(files.lines_of(path), start=1):
            place = f"{path.name}:{number}"
            if not is_whole:
                kind = "torn" if is_last else "changed"
                self._problem(kind, place, "The line was not written to its end.")
                continue
            try:
                entry = entry_of(line)
            except ValueError as exc:
                self._problem("unreadable", place, f"The line is no entry: {exc}.")
                continue
            if number == 1 and files.first_seq_of(path) != entry.seq:
                self._problem("order", place, "The file does not begin with the entry it names.")
            self._entry(entry, place)
            if entry.seq in wanted:
                found[entry.seq] = entry.mac

    def _entry(self, entry: AuditEntry, place: str) -> None:
        report, previous = self._report, self._previous
        report.entries += 1
        if not is_authentic(self._key, entry):
            self._problem("changed", place, f"Entry {entry.seq} was changed, or has another key.")
        if previous is None:
            self._start = entry
            report.first_seq = entry.seq
        elif entry.seq > previous.seq + 1:
            gap = entry.seq - previous.seq - 1
            self._problem("missing", place, f"{gap} entries before {entry.seq} are missing.")
        elif entry.seq != previous.seq + 1:
            self._problem("order", place, f"Entry {entry.seq} follows {previous.seq}.")
        elif entry.prev != previous.mac:
            self._problem("changed", place, f"Entry {entry.seq} does not follow {previous.seq}.")
        if entry.action == "audit.pruned" and isinstance(entry.after, dict):
            self._pruned.add((entry.after.get("last_seq"), entry.after.get("last_mac")))
        self._previous = entry

    def _beginning(self) -> None:
        """Compare the first entry with what the log itself removed before it."""
        start = self._start
        if start is None or (start.seq == 1 and start.prev == GENESIS):
            return
        if (start.seq - 1, start.prev) not in self._pruned:
            self._problem("missing", "the beginning", f"What came before {start.seq} is missing.")

    def _anchors(self) -> list[Anchor]:
        path = self._folder / files.ANCHORS
        if not path.is_file():
            if files.log_files(self._folder):
                self._problem("anchor", files.ANCHORS, "The file of the anchors is missing.")
            return []
        anchors = []
        lines = list(files.lines_of(path))
        for number, (line, is_whole) in enumerate(lines, start=1):
            if not is_whole and number == len(lines):
                continue
            place = f"{files.ANCHORS}:{number}"
            try:
                anchor = anchor_of(line)
            except (ValueError, RecursionError):
                self._problem("anchor", place, "The line is no anchor.")
                continue
            if anchor.is_authentic(self._key):
                anchors.append(anchor)
            else:
                self._problem("anchor", place, "The anchor was changed, or has another key.")
        return anchors

    def _compare(self, anchor: Anchor, found: dict[int, str]) -> None:
        report = self._report
        report.anchors += 1
        if report.first_seq is not None and anchor.seq < report.first_seq:
            return
        if report.last_seq is None or anchor.seq > report.last_seq:
            self._problem(
                "truncated",
                anchor.text[:24],
                f"The log once reached {anchor.seq}; it ends at {report.last_seq or 0}.",
            )
        elif found.get(anchor.seq) != anchor.mac:
            self._problem(
                "anchor", anchor.text[:24], f"Entry {anchor.seq} is not the one it once was."
            )

    def _problem(self, kind: str, place: str, message: str) -> None:
        self._report.count += 1
        if len(self._report.problems) < MAX_PROBLEMS:
            self._report.problems.append(AuditProblem(kind, place, message))
