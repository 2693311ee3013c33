"""Simulated power cuts: what a disk may hold when the power goes, and whether all of it opens.

A workload runs once with `power_cut_shim.c` preloaded, which records every write, fsync, rename
and so on. A cut at any point of that record leaves:

- of each file, what was in it at its last fsync, and of what was written since any subset of
  512-byte sectors (*torn*), so parts of one write may be there and others not;
- of creations, renames and removals, all before the last fsync of anything, and of the others
  the first few in their order, as journaling file systems keep them.

That is harsher than most drives are, and milder than one that lies about fsync: such a drive,
and real hardware, are not tested here.
"""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from crash_workload import EVERY, T0, batch, opened, prove, work

HERE = Path(__file__).resolve().parent
BATCHES = 33
SECTOR = 512
GOES_ON_EVERY = 3
"""Of images that needed no repair one in so many is also written to afterwards."""
ACKS = "acks"
_HEADER = struct.Struct("=6q")
_WRITE, _SYNC, _TRUNCATE, _UNLINK, _RENAME, _CREATE, _MKDIR, _LINK = range(1, 9)


@dataclass
class Outcome:
    """What a campaign found; `images` are those left behind that differ in anything."""

    cuts: int = 0
    images: int = 0
    repairs: Counter[str] = field(default_factory=Counter)
    failures: list[str] = field(default_factory=list)


@dataclass
class _Record:
    kind: int
    path: str
    second: str
    data: bytes
    offset: int


Image = dict[str, bytes | None]


class _File:
    """Content that is durable, and what was changed since."""

    def __init__(self) -> None:
        self.durable = bytearray()
        self.pending: list[tuple[int, int, bytes]] = []

    def sync(self) -> None:
        for kind, offset, data in self.pending:
            _apply(self.durable, kind, offset, data)
        self.pending.clear()

    def torn(self, chance: random.Random) -> bytes:
        """Return the content with only some of the sectors that were not synced."""
        content = bytearray(self.durable)
        share = chance.choice((0.0, 0.5, 0.9, 1.0))
        for kind, offset, data in self.pending:
            if kind == _TRUNCATE:
                if chance.random() < share:
                    _apply(content, kind, offset, data)
                continue
            at = 0
            while at < len(data):
                end = min(len(data), at + SECTOR - (offset + at) % SECTOR)
                if chance.random() < share:
                    _apply(content, _WRITE, offset + at, data[at:end])
                at = end
        return bytes(content)


class Disk:
    """A folder as records change it."""

    def __init__(self, root: str) -> None:
        self._root = root.rstrip("/") + "/"
        self._files: dict[str, _File | None] = {}
        self._durable: dict[str, _File | None] = {}
        self._names: list[_Record] = []
        self._made: dict[int, _File | None] = {}

    def apply(self, record: _Record) -> None:
        """Apply the next record."""
        if record.kind in (_WRITE, _TRUNCATE):
            file = self._files.setdefault(record.path, _File())
            assert file is not None, record.path
            file.pending.append((record.kind, record.offset, record.data))
        elif record.kind == _SYNC:
            synced = self._files.get(record.path)
            if synced is not None:
                synced.sync()
            for name in self._names:
                self._rename(self._durable, name)
            self._names.clear()
        else:
            if record.kind == _CREATE:
                self._made[id(record)] = self._files.setdefault(record.path, _File())
            else:
                self._rename(self._files, record)
            self._names.append(record)

    def cut(self, chance: random.Random) -> Image:
        """Return what a power cut now leaves behind: path below the root to content.

        None is the content of a folder.
        """
        names = dict(self._durable)
        for record in self._names[: chance.randrange(len(self._names) + 1)]:
            self._rename(names, record)
        torn: dict[int, bytes] = {}
        image: Image = {}
        for path, file in names.items():
            if file is not None and id(file) not in torn:
                torn[id(file)] = file.torn(chance)
            image[path.removeprefix(self._root)] = None if file is None else torn[id(file)]
        return image

    def _rename(self, names: dict[str, _File | None], record: _Record) -> None:
        if record.kind == _CREATE:
            names[record.path] = self._made[id(record)]
        elif record.kind == _MKDIR:
            names[record.path] = None
        elif record.kind == _UNLINK:
            names.pop(record.path, None)
        elif record.kind == _RENAME and record.path in names:
            names[record.second] = names.pop(record.path)
        elif record.kind == _LINK and record.path in names:
            names[record.second] = names[record.path]


def record_workload(folder: Path) -> list[_Record]:
    """Run the workload once and return what it did to its folder.

    Raises:
        subprocess.CalledProcessError: The shim cannot be compiled, or the workload failed.
    """
    shim, log, data = folder / "shim.so", folder / "log", folder / "data"
    data.mkdir()
    source = str(HERE / "power_cut_shim.c")
    compiler = ["cc", "-shared", "-fPIC", "-O1", "-o", str(shim), source, "-ldl", "-lpthread"]
    subprocess.run(compiler, check=True, capture_output=True)
    environment = {
        **os.environ,
        "LD_PRELOAD": str(shim),
        "EMS_CUT_FOLDER": f"{data}/",
        "EMS_CUT_LOG": str(log),
        "PYTHONPATH": str(HERE.parents[1]),
    }
    command = [sys.executable, str(HERE / "power_cut.py"), str(data)]
    subprocess.run(command, check=True, env=environment, capture_output=True)
    return [r for r in _read(log) if not r.path.endswith(" (deleted)")]


def campaign(folder: Path, cuts: int, seed: int) -> Outcome:
    """Cut the power `cuts` times; the folder of a failure is kept."""
    home = folder / f"power-{seed}"
    home.mkdir()
    records = record_workload(home)
    root = str(home / "data")
    chance, outcome = random.Random(seed), Outcome()
    at = _moments(records, cuts, chance)
    disk, stored, begun = Disk(root), 0, 0
    proven: set[bytes] = set()
    for index, record in enumerate(records):
        while at and at[0] == index:
            at.pop(0)
            image = disk.cut(chance)
            outcome.cuts += 1
            # The same bytes with as much announced are opened in the same way: once is enough.
            key = _digest(image, (stored, begun))
            if key not in proven:
                proven.add(key)
                _one(image, home / f"cut-{outcome.cuts}", (stored, begun), outcome)
            if outcome.failures:
                return outcome
        if record.path.endswith(f"/{ACKS}"):
            if record.kind == _WRITE:
                word, _, number = record.data.decode("ascii").strip().partition(" ")
                stored = int(number) + 1 if word == "stored" else stored
                begun = int(number) + 1 if word == "write" else begun
        else:
            disk.apply(record)
    shutil.rmtree(home)
    return outcome


def _moments(records: list[_Record], cuts: int, chance: random.Random) -> list[int]:
    """Return where to cut: half anywhere, half while checkpoints and the archive are written."""
    busy, quiet = [], True
    for index, record in enumerate(records):
        if record.path.endswith(f"/{ACKS}") and record.kind == _WRITE:
            quiet = not record.data.startswith((b"checkpoint", b"tidy", b"roll_up"))
        elif not quiet:
            busy.append(index)
    return sorted(
        chance.choice(busy) if number % 2 else chance.randrange(len(records))
        for number in range(cuts)
    )


def _digest(image: Image, expected: tuple[int, int]) -> bytes:
    found = hashlib.sha256(repr(expected).encode())
    for path, content in sorted(image.items()):
        found.update(f"\0{path}\0{-1 if content is None else len(content)}\0".encode())
        found.update(content or b"")
    return found.digest()


def _one(image: Image, folder: Path, expected: tuple[int, int], outcome: Outcome) -> None:
    folder.mkdir()
    for path, content in image.items():
        target = folder / path
        if content is None:
            target.mkdir(parents=True, exist_ok=True)
        else:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
    goes_on = outcome.images % GOES_ON_EVERY == 0
    outcome.images += 1
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.close(reading)
            said = _survives(folder / "hot.duckdb", expected, goes_on=goes_on)
            status = 0
        except BaseException as error:  # noqa: BLE001  # whatever it is, this process ends here
            said = f"{type(error).__name__}: {str(error).splitlines()[:1]}"
            status = 1
        os.write(writing, said.encode("ascii", "replace"))
        os._exit(status)
    os.close(writing)
    with os.fdopen(reading, encoding="ascii") as answer:
        said = answer.read()
    _, status = os.waitpid(pid, 0)
    if status:
        outcome.failures.append(f"{folder}: {said}")
        return
    outcome.repairs.update(said.split())
    shutil.rmtree(folder)


def _survives(path: Path, expected: tuple[int, int], *, goes_on: bool) -> str:
    """Open what is left, prove it, return the codes of repairs; go on if told or repaired."""
    codes: list[str] = []
    with opened(path, on_event=lambda event: codes.append(event.code)) as store:
        count = prove(store)
        least, most = expected
        assert least <= count <= most, f"{count} batches are stored, not {least} to {most}"
        if goes_on or codes:
            store.write(batch(count))
            store.roll_up(T0 + (count + 1) * EVERY)
            assert prove(store) == count + 1
    return " ".join(codes)


def _read(log: Path) -> Iterator[_Record]:
    with log.open("rb") as file:
        while header := file.read(_HEADER.size):
            kind, n_path, n_second, n_data, offset, _ = _HEADER.unpack(header)
            path, second = file.read(n_path).decode(), file.read(n_second).decode()
            yield _Record(kind, path, second, file.read(n_data), offset)


def _apply(content: bytearray, kind: int, offset: int, data: bytes) -> None:
    if kind == _TRUNCATE:
        if offset < len(content):
            del content[offset:]
        else:
            content.extend(bytes(offset - len(content)))
        return
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


def _main(folder: Path) -> None:
    """The recorded workload; every step is announced through a file, so that it is in order."""
    shutil._USE_CP_SENDFILE = False  # type: ignore[attr-defined]  # the shim does not see sendfile
    said = os.open(folder / ACKS, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with opened(folder / "hot.duckdb") as store:
        work(store, 0, BATCHES, lambda line: os.write(said, f"{line}\n".encode("ascii")))  # type: ignore[arg-type,return-value]


if __name__ == "__main__":
    _main(Path(sys.argv[1]))
