"""``kill -9`` again and again, at every point of storing, roll-ups, checkpoints and archive.

One process imports everything once and forks a victim per kill; it never opens a database
itself. Each victim first proves what the one before left behind.
"""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from crash_workload import opened, prove, work

KILLS_PER_FOLDER = 25
TARGETS = ("open", "write", "roll_up", "checkpoint", "tidy")
LONGEST_S = {"open": 0.15, "write": 0.02, "roll_up": 0.25, "checkpoint": 0.05, "tidy": 0.3}
"""A kill comes at most this long after the step was announced."""

_NEVER = 100_000


@dataclass
class Outcome:
    """What a campaign found."""

    kills: Counter[str] = field(default_factory=Counter)
    stored: int = 0
    failures: list[str] = field(default_factory=list)


class _Lines:
    """Lines that a victim writes to a pipe."""

    def __init__(self, descriptor: int) -> None:
        self._file = os.fdopen(descriptor, "r", encoding="ascii")

    def read(self) -> str:
        """Return the next line, empty when the victim is gone."""
        return self._file.readline().strip()

    def close(self) -> None:
        self._file.close()


def campaign(folder: Path, kills: int, seed: int) -> Outcome:
    """Kill `kills` victims; a folder with a failure in it is kept."""
    chance, outcome = random.Random(seed), Outcome()
    for first in range(0, kills, KILLS_PER_FOLDER):
        path = folder / f"{seed}-{first}" / "hot.duckdb"
        expected: tuple[int, int] = (0, 0)
        for _ in range(min(KILLS_PER_FOLDER, kills - first)):
            expected = _one(path, expected, chance, outcome)
            if outcome.failures:
                return outcome
        outcome.stored += _prove_alone(path, expected, outcome)
        if not outcome.failures:
            shutil.rmtree(path.parent)
    return outcome


def _one(
    path: Path, expected: tuple[int, int], chance: random.Random, outcome: Outcome
) -> tuple[int, int]:
    """Start a victim, kill it; return how many batches must and may be stored then."""
    target = chance.choice(TARGETS)
    skip = chance.randrange(2) if target in ("write", "checkpoint") else 0
    pid, lines = _fork(path, expected, forever=True)
    stored, begun = expected
    while line := lines.read():
        word, _, number = line.partition(" ")
        if word == "stored":
            stored = int(number) + 1
        elif word == "write":
            begun = int(number) + 1
        elif word == "failed":
            outcome.failures.append(f"{path}: {number}")
            break
        if word == target:
            skip -= 1
            if skip < 0 or target == "open":
                time.sleep(chance.random() * LONGEST_S[target])
                break
    os.kill(pid, signal.SIGKILL)
    while line := lines.read():
        word, _, number = line.partition(" ")
        if word == "stored":
            stored = int(number) + 1
        elif word == "write":
            begun = int(number) + 1
        elif word == "failed":
            outcome.failures.append(f"{path}: {number}")
    lines.close()
    os.waitpid(pid, 0)
    outcome.kills[target] += 1
    return stored, max(begun, stored)


def _prove_alone(path: Path, expected: tuple[int, int], outcome: Outcome) -> int:
    pid, lines = _fork(path, expected, forever=False)
    proven = 0
    while line := lines.read():
        word, _, rest = line.partition(" ")
        if word == "proven":
            proven = int(rest)
        elif word == "failed":
            outcome.failures.append(f"{path}: {rest}")
    lines.close()
    _, status = os.waitpid(pid, 0)
    if status and not outcome.failures:
        outcome.failures.append(f"{path}: the proof ended with status {status}")
    return proven


def _fork(path: Path, expected: tuple[int, int], *, forever: bool) -> tuple[int, _Lines]:
    reading, writing = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writing)
        return pid, _Lines(reading)
    os.close(reading)

    def say(line: str) -> None:
        os.write(writing, f"{line}\n".encode("ascii", "replace"))

    try:
        _victim(path, expected, say, forever=forever)
    except BaseException as error:  # noqa: BLE001  # whatever it is, this process ends here
        say(f"failed {type(error).__name__}: {str(error).splitlines()[:1]}")
        os._exit(1)
    os._exit(0)


def _victim(path: Path, expected: tuple[int, int], say: object, *, forever: bool) -> None:
    assert callable(say)
    say("open")
    store = opened(path)
    count = prove(store)
    least, most = expected
    assert least <= count <= most, f"{count} batches are stored, not {least} to {most}"
    say(f"proven {count}")
    if forever:
        work(store, count, _NEVER, say)
        return
    # roll-ups that were made again of everything are what was there
    store.roll_up(store._clock.now().replace(year=2036))
    assert prove(store) == count
    store.close()
