"""Takes backtests, runs one at a time in a process of its own, keeps what came of them."""

from __future__ import annotations

import json
import logging
import secrets
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any, Protocol
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.parquet as pq

from engine.analytics.backtest.case import BacktestCase
from engine.analytics.studies.asked import run_by
from engine.analytics.studies.documents import refuse_impossible
from engine.audit.trail import NO_TRAIL, Trail
from engine.config.tariff import TariffConfig
from engine.domain.errors import BacktestError, EmsError
from engine.domain.site import Site
from engine.domain.site_context import SiteThread
from engine.runtime.backtests.folders import (
    ID_PATTERN,
    REQUEST,
    RESULT,
    STATUS,
    TRACES,
    read_json,
    write_case,
    write_json,
)
from engine.runtime.backtests.request import BacktestRequest, parse_request
from engine.runtime.backtests.result_document import studies_table

_log = logging.getLogger(__name__)

MOST_WAITING = 5
"""Backtests that may wait for their turn."""

MOST_KEPT = 200
_STOP_S = 3.0
_LAST_WORDS = 2_000

QUEUED, RUNNING, DONE = "queued", "running", "done"
FAILED, CANCELLED, INTERRUPTED = "failed", "cancelled", "interrupted"
ACTIVE = (QUEUED, RUNNING)


class NoSuchBacktestError(BacktestError):
    """There is no backtest of that id."""

    code = "not_found"


class BacktestBusyError(BacktestError):
    """Too many backtests are waiting."""

    code = "rate_limited"


@dataclass(frozen=True, slots=True)
class BacktestDefaults:
    """What a new backtest begins with: the site as it runs.

    Attributes:
        site: The site.
        tariff: Its tariff.
        recorded: Recorded price year to the first and last day of it that can be replayed.
        history: First and last day that is worth trying of the site's own history.
    """

    site: Site
    tariff: TariffConfig
    recorded: Mapping[str, tuple[date, date]]
    history: tuple[date, date]


class Cases(Protocol):
    """Makes the case that is asked for."""

    def defaults(self) -> BacktestDefaults:
        """Return what a new backtest begins with."""
        ...

    def case(self, asked: BacktestRequest) -> BacktestCase:
        """Return it.

        Raises:
            EmsError: It is not possible.
        """
        ...


@dataclass(frozen=True, slots=True)
class BacktestState:
    """How a backtest is doing.

    Attributes:
        id: Its id.
        name: What it is called.
        state: ``"queued"``, ``"running"``, ``"done"``, ``"failed"``, ``"cancelled"`` or
            ``"interrupted"`` (the program ended while it ran).
        created_at: When it was asked for, UTC.
        by: Who asked for it.
        share: How much of it is done, 0..1.
        what: What it is at.
        finished_at: When it ended, UTC.
        error: Why it failed.
        hint: What to do about it.
    """

    id: str
    name: str
    state: str
    created_at: datetime
    by: str
    share: float = 0.0
    what: str = ""
    finished_at: datetime | None = None
    error: str | None = None
    hint: str | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "created_at": self.created_at.isoformat(),
            "by": self.by,
            "share": self.share,
            "what": self.what,
            "finished_at": None if self.finished_at is None else self.finished_at.isoformat(),
            "error": self.error,
            "hint": self.hint,
        }


class BacktestDesk:
    """Backtests of one installation; may be used from any thread.

    Args:
        folder: ``data/backtests``; made when needed.
        cases: Makes cases.
        clock: The time of the machine, UTC.
        command: Starts the process of a folder; for tests.
        trail: Takes down what is started, renamed, cancelled and deleted.
    """

    def __init__(
        self,
        folder: Path,
        cases: Cases,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        command: Callable[[Path], list[str]] | None = None,
        *,
        trail: Trail = NO_TRAIL,
    ) -> None:
        self._trail = trail
        self._folder = folder.resolve()
        self._cases = cases
        self._clock = clock
        self._command = command or _command
        self._lock = threading.Lock()
        self._states: dict[str, BacktestState] = {}
        self._process: subprocess.Popen[str] | None = None
        self._running: str | None = None
        self._stopped = False
        self._load()

    def start(self, data: Mapping[str, Any] | bytes, by: str = "operator") -> BacktestState:
        """Take a backtest; it runs at once, or when those before it have ended.

        Raises:
            BacktestError: It is not possible, or too many wait.
            EmsError: The data cannot be had.
        """
        asked = parse_request(data)
        with self._lock:
            self._check_room()
        case = self._cases.case(asked)
        _refuse_impossible(asked, case)
        now = self._clock()
        number = f"{now:%Y%m%d-%H%M%S}-{secrets.token_hex(3)}"
        folder = self._folder / number
        name = asked.name or _days(case)
        state = BacktestState(number, name, QUEUED, now, by)
        try:
            folder.mkdir(parents=True)
            document = asked.model_dump(mode="json", exclude_none=True)
            # The series are kept as they were read; the uploaded bytes are not.
            document["data"] = {"source": "recorded"} | {
                key: value
                for key, value in document["data"].items()
                if key in ("site", "prices", "start", "end") and value
            }
            write_json(folder / REQUEST, document | {"name": name})
            write_case(folder, case)
            write_json(folder / STATUS, state.as_dict())
        except OSError as exc:
            shutil.rmtree(folder, ignore_errors=True)
            raise BacktestError(
                f"The backtest could not be stored: {exc.strerror or exc}.",
                field="data",
                hint="Check the data folder and its free space.",
            ) from exc
        with self._lock:
            try:
                self._check_room()
            except BacktestBusyError:
                # Others came first; nothing of it may turn up at the next start.
                shutil.rmtree(folder, ignore_errors=True)
                raise
            self._states[number] = state
            self._next()
            state = self._states[number]
        self._trail.note("backtest.start", number, after=_asked_for(name, asked, case))
        return state

    def defaults(self) -> BacktestDefaults:
        """Return what a new backtest begins with."""
        return self._cases.defaults()

    def list(self) -> tuple[BacktestState, ...]:
        """Return every backtest, the newest first."""
        with self._lock:
            return tuple(reversed(self._states.values()))

    def state(self, number: str) -> BacktestState:
        """Return how one is doing.

        Raises:
            NoSuchBacktestError: There is none of that id.
        """
        with self._lock:
            return self._known(number)

    def result(self, number: str) -> dict[str, Any] | None:
        """Return what came of one so far; None while there is nothing.

        Raises:
            NoSuchBacktestError: There is none of that id.
            BacktestError: Its result is damaged.
        """
        self.state(number)
        return read_json(self._folder / number / RESULT)

    def traces(self, number: str) -> Path:
        """Return the Parquet file with every quarter-hour.

        Raises:
            NoSuchBacktestError: There is none of that id, or it has not ended.
        """
        self.state(number)
        path = self._folder / number / TRACES
        if not path.is_file():
            raise NoSuchBacktestError(
                "The quarter-hours of this backtest are not there.",
                field="id",
                value=number,
                hint="Wait until it has ended.",
            )
        return path

    def csv(self, number: str) -> Iterator[bytes]:
        """Return every quarter-hour as CSV, piece by piece.

        Raises:
            NoSuchBacktestError: There is none of that id, or it has not ended.
        """
        return _csv(self.traces(number))

    def studies(self, number: str) -> pa.Table:
        """Return every row of every study of one backtest, so far.

        Raises:
            NoSuchBacktestError: There is none of that id, or it has no studies.
            BacktestError: Its result is damaged.
        """
        result = self.result(number)
        table = None if result is None else studies_table(result)
        if table is None or not table.num_rows:
            raise NoSuchBacktestError(
                "This backtest has no studies.",
                field="id",
                value=number,
                hint="Ask for some when it is started, or wait until they have ended.",
            )
        return table

    def rename(self, number: str, name: str) -> BacktestState:
        """Give a backtest another name.

        Raises:
            NoSuchBacktestError: There is none of that id.
            BacktestError: The name is empty or too long.
        """
        tidy = " ".join(name.split())
        if not 1 <= len(tidy) <= 80:
            raise BacktestError(
                "A name has 1 to 80 characters.", field="name", value=tidy[:90], hint="Shorten it."
            )
        with self._lock:
            old = self._known(number)
            state = self._put(replace(old, name=tidy))
        self._trail.note("backtest.rename", number, before=old.name, after=tidy)
        return state

    def remove(self, number: str) -> BacktestState:
        """Cancel a backtest that waits or runs, or forget one that has ended.

        Raises:
            NoSuchBacktestError: There is none of that id.
        """
        with self._lock:
            before = self._known(number)
            if before.state in ACTIVE:
                state = self._end(before, CANCELLED)
                if self._running == number and self._process is not None:
                    self._process.kill()
            else:
                state = before
                del self._states[number]
        if before.state in ACTIVE:
            self._trail.note("backtest.cancel", number, before=before.state, after=CANCELLED)
            return state
        shutil.rmtree(self._folder / number, ignore_errors=True)
        was = {"name": before.name, "state": before.state, "by": before.by}
        self._trail.note("backtest.delete", number, before=was)
        return state

    def stop(self) -> None:
        """End what runs; it is marked as interrupted."""
        with self._lock:
            self._stopped = True
            process, running = self._process, self._running
            for number, state in list(self._states.items()):
                if state.state == QUEUED or number == running:
                    self._end(state, INTERRUPTED)
        if process is not None:
            process.kill()
            process.wait(_STOP_S)

    def _check_room(self) -> None:
        waiting = sum(state.state == QUEUED for state in self._states.values())
        if waiting >= MOST_WAITING:
            raise BacktestBusyError(
                f"{waiting} backtests are waiting already.",
                hint="Wait until one has ended, or cancel one.",
            )
        if len(self._states) >= MOST_KEPT:
            raise BacktestBusyError(
                f"{MOST_KEPT} backtests are kept.", hint="Delete those you no longer need."
            )

    def _known(self, number: str) -> BacktestState:
        found = self._states.get(number) if ID_PATTERN.match(number) else None
        if found is None:
            raise NoSuchBacktestError(
                "There is no backtest of that id.",
                field="id",
                value=number[:40],
                hint="GET /api/backtests lists all.",
            )
        return found

    def _put(self, state: BacktestState) -> BacktestState:
        self._states[state.id] = state
        try:
            write_json(self._folder / state.id / STATUS, state.as_dict())
        except OSError as exc:
            _log.warning("the state of backtest %s could not be stored: %s", state.id, exc)
        return state

    def _end(self, state: BacktestState, how: str, **why: Any) -> BacktestState:
        return self._put(replace(state, state=how, finished_at=self._clock(), **why))

    def _next(self) -> None:
        """Start the oldest that waits, unless one runs; called with the lock held."""
        if self._running is not None or self._stopped:
            return
        waiting = next((s for s in self._states.values() if s.state == QUEUED), None)
        if waiting is None:
            return
        try:
            process = subprocess.Popen(
                self._command(self._folder / waiting.id),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                cwd=Path(__file__).resolve().parents[3],
            )
        except OSError as exc:
            self._end(waiting, FAILED, error=f"It could not be started: {exc.strerror or exc}.")
            return
        self._process, self._running = process, waiting.id
        self._put(replace(waiting, state=RUNNING))
        SiteThread(
            target=self._follow, args=(waiting.id, process), name="backtest", daemon=True
        ).start()

    def _follow(self, number: str, process: subprocess.Popen[str]) -> None:
        """Take down the progress of a process until it has ended, then start the next."""
        failure: dict[str, Any] | None = None
        words: list[str] = []
        assert process.stdout is not None
        assert process.stderr is not None
        reader = SiteThread(
            target=lambda: words.append(process.stderr.read()[-_LAST_WORDS:]),  # type: ignore[union-attr]
            name="backtest-words",
            daemon=True,
        )
        reader.start()
        for line in process.stdout:
            try:
                said = json.loads(line)
            except ValueError:
                continue
            if "error" in said:
                failure = said["error"]
            else:
                self._progress(number, str(said.get("what", "")), float(said.get("share", 0.0)))
        code = process.wait()
        reader.join(_STOP_S)
        with self._lock:
            state = self._states.get(number)
            if state is not None and state.state == RUNNING:
                if code == 0:
                    self._end(replace(state, share=1.0), DONE)
                elif failure is not None:
                    self._end(state, FAILED, error=failure["message"], hint=failure["hint"])
                else:
                    _log.error("backtest %s ended with %d: %s", number, code, "".join(words))
                    self._end(
                        state,
                        FAILED,
                        error=f"Its process ended unexpectedly (code {code}).",
                        hint="The log of the program says more; a longer period needs more memory.",
                    )
            self._process, self._running = None, None
            self._next()
        process.stdout.close()
        process.stderr.close()
        if process.stdin is not None:
            process.stdin.close()

    def _progress(self, number: str, what: str, share: float) -> None:
        with self._lock:
            state = self._states.get(number)
            if state is not None and state.state == RUNNING:
                self._states[number] = replace(state, what=what, share=share)

    def _load(self) -> None:
        """Read what earlier runs of the program have left."""
        if not self._folder.is_dir():
            return
        for folder in sorted(self._folder.iterdir()):
            if not ID_PATTERN.match(folder.name):
                continue
            try:
                document = read_json(folder / STATUS)
                if document is None:
                    continue
                state = _state_of(document)
            except (EmsError, KeyError, TypeError, ValueError) as exc:
                _log.warning("backtest %s cannot be read and is left out: %s", folder.name, exc)
                continue
            self._states[state.id] = state
            if state.state in ACTIVE:
                self._end(state, INTERRUPTED)


def _days(case: BacktestCase) -> str:
    """Return first and last local day of a case."""
    zone = ZoneInfo(case.site.timezone)
    last = case.end.astimezone(zone) - timedelta(microseconds=1)
    return f"{case.start.astimezone(zone):%Y-%m-%d} – {last:%Y-%m-%d}"


def _refuse_impossible(asked: BacktestRequest, case: BacktestCase) -> None:
    """Refuse a sizing or study that would fail after everything else has been computed."""
    policies = asked.policies()
    if asked.sizing is not None:
        run_by(policies, foresight=asked.sizing.foresight)
    if asked.studies is not None:
        refuse_impossible(case, policies, asked.studies.asked(case))


def _asked_for(name: str, asked: BacktestRequest, case: BacktestCase) -> dict[str, Any]:
    """Return what the audit log keeps of a request: not its series."""
    return {
        "name": name,
        "source": asked.data.source,
        "days": _days(case),
        "strategies": list(asked.strategies),
    }


def _command(folder: Path) -> list[str]:
    return [sys.executable, "-m", "engine.runtime.backtests.work", str(folder)]


def _state_of(document: Mapping[str, Any]) -> BacktestState:
    finished = document["finished_at"]
    return BacktestState(
        id=document["id"],
        name=document["name"],
        state=document["state"],
        created_at=datetime.fromisoformat(document["created_at"]),
        by=document["by"],
        share=float(document["share"]),
        what=document["what"],
        finished_at=None if finished is None else datetime.fromisoformat(finished),
        error=document["error"],
        hint=document["hint"],
    )


def _csv(path: Path) -> Iterator[bytes]:
    with pq.ParquetFile(path) as file:
        first = True
        for batch in file.iter_batches(batch_size=8_192):
            frame = batch.to_pandas()
            frame["ts_utc"] = frame["ts_utc"].dt.strftime("%Y-%m-%dT%H:%M:%SZ")
            yield frame.to_csv(index=False, header=first).encode()
            first = False
