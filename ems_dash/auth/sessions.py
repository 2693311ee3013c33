"""Sessions, uses of tokens and codes, wrong passwords: a small SQLite file in the data folder.

It holds hashes only, so whoever reads it cannot log in with it, and it outlives a restart.
"""

from __future__ import annotations

import hashlib
import secrets
import sqlite3
import threading
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from ems_dash.auth.throttle import FORGOTTEN_AFTER_S, MOST_PAIRS, KeptFailures
from engine.domain.clock import Clock
from engine.domain.errors import EmsError

FILE_NAME: Final = "sessions.sqlite"
ID_BYTES: Final = 32
SEEN_STEP_S: Final = 20.0
"""Requests closer together than this are not written down one by one."""

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS session (
    hash TEXT PRIMARY KEY, key TEXT NOT NULL UNIQUE, user TEXT NOT NULL,
    generation INTEGER NOT NULL, created REAL NOT NULL, seen REAL NOT NULL,
    address TEXT NOT NULL, agent TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS token_use (token TEXT PRIMARY KEY, seen REAL NOT NULL, address TEXT);
CREATE TABLE IF NOT EXISTS totp_use (user TEXT PRIMARY KEY, step INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS failed_login (
    network TEXT NOT NULL, user TEXT NOT NULL, failures INTEGER NOT NULL,
    last REAL NOT NULL, blocked_until REAL NOT NULL, PRIMARY KEY (network, user));
"""


class SessionStoreError(EmsError):
    """The file of the sessions cannot be used."""

    code = "sessions_file"


@dataclass(frozen=True, slots=True)
class Session:
    """One login of one user.

    Attributes:
        key: Names it on pages and in commands; it does not let anyone in.
        user: Who logged in.
        generation: `User.generation` at that time.
        created: When.
        seen: Last request, to about 20 s.
        address: Where the login came from.
        agent: What the browser called itself.
    """

    key: str
    user: str
    generation: int
    created: datetime
    seen: datetime
    address: str
    agent: str


class SessionStore:
    """All sessions of one installation; safe for several threads and processes.

    Args:
        path: The file; created with mode 0600.
        clock: Current time.
        idle: A session ends after so long without a request.
        longest: A session ends after so long in any case.

    Raises:
        SessionStoreError: The file cannot be used.
    """

    def __init__(self, path: Path, clock: Clock, *, idle: timedelta, longest: timedelta) -> None:
        self._clock = clock
        self._idle = idle
        self._longest = longest
        self._lock = threading.Lock()
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch(mode=0o600, exist_ok=True)
            path.chmod(0o600)
            self._db = sqlite3.connect(
                path, timeout=5.0, isolation_level=None, check_same_thread=False
            )
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=NORMAL")
            self._db.executescript(_TABLES)
        except (OSError, sqlite3.Error) as exc:
            raise SessionStoreError(
                f"{path} cannot be used: {exc}.",
                hint="Remove it; everybody then has to log in again.",
            ) from exc

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._db.close()

    def begin(self, user: str, generation: int, address: str, agent: str) -> str:
        """Begin a session and return its id, known to the browser only."""
        sid = secrets.token_urlsafe(ID_BYTES)
        now = self._clock.now().timestamp()
        row = (_hash(sid), secrets.token_hex(4), user, generation, now, now, address, agent[:200])
        self._run("INSERT INTO session VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        self._run("DELETE FROM session WHERE created <= ?", (now - self._longest.total_seconds(),))
        return sid

    def find(self, sid: str) -> Session | None:
        """Return the session with this id, and note that it is in use; None when it is over."""
        rows = self._run(f"SELECT {_COLUMNS} FROM session WHERE hash = ?", (_hash(sid),))
        if not rows:
            return None
        found, now = _session(rows[0]), self._clock.now()
        if self._is_over(found, now):
            self._run("DELETE FROM session WHERE key = ?", (found.key,))
            return None
        if (now - found.seen).total_seconds() >= SEEN_STEP_S:
            self._run("UPDATE session SET seen = ? WHERE key = ?", (now.timestamp(), found.key))
        return found

    def sessions(self, user: str | None = None) -> tuple[Session, ...]:
        """Return the sessions that are not over, newest first; those of `user`, or all."""
        now = self._clock.now()
        rows = self._run(f"SELECT {_COLUMNS} FROM session ORDER BY created DESC", ())
        found = (_session(row) for row in rows)
        return tuple(s for s in found if user in (None, s.user) and not self._is_over(s, now))

    def end(self, sid: str) -> None:
        """End the session with this id."""
        self._run("DELETE FROM session WHERE hash = ?", (_hash(sid),))

    def end_key(self, key: str, user: str | None = None) -> bool:
        """End the session named `key`, of `user` if given; False when there is none."""
        rows = self._run(
            "DELETE FROM session WHERE key = ? AND (? IS NULL OR user = ?) RETURNING key",
            (key, user, user),
        )
        return bool(rows)

    def end_all(self, user: str, but: str | None = None) -> int:
        """End all sessions of `user` but the one with the key `but`; return how many."""
        rows = self._run(
            "DELETE FROM session WHERE user = ? AND key IS NOT ? RETURNING key", (user, but)
        )
        return len(rows)

    def move_on(self, sid: str, generation: int) -> None:
        """Let one session live on although its user's generation has changed."""
        self._run("UPDATE session SET generation = ? WHERE hash = ?", (generation, _hash(sid)))

    def note_token(self, token: str, address: str) -> None:
        """Write down that a token was used just now."""
        now = self._clock.now().timestamp()
        rows = self._run("SELECT seen FROM token_use WHERE token = ?", (token,))
        if not rows or now - rows[0][0] >= SEEN_STEP_S:
            self._run("REPLACE INTO token_use VALUES (?, ?, ?)", (token, now, address))

    def token_uses(self) -> dict[str, datetime]:
        """Return when each token was used last, to about 20 s."""
        rows = self._run("SELECT token, seen FROM token_use", ())
        return {row[0]: datetime.fromtimestamp(row[1], UTC) for row in rows}

    def take_totp_step(self, user: str, step: int) -> bool:
        """Note that a user's one-time code of time step `step` was used; False when it was before.

        A code counts once, and no code older than the newest used one counts (RFC 6238, 5.2).
        """
        rows = self._run(
            "INSERT INTO totp_use VALUES (?, ?) ON CONFLICT (user) DO UPDATE "
            "SET step = excluded.step WHERE excluded.step > step RETURNING step",
            (user, step),
        )
        return bool(rows)

    def kept_failures(self) -> tuple[KeptFailures, ...]:
        """Return the wrong passwords that still count, the oldest first; forget the others."""
        oldest = self._clock.now().timestamp() - FORGOTTEN_AFTER_S
        self._run("DELETE FROM failed_login WHERE last <= ?", (oldest,))
        rows = self._run(
            "SELECT * FROM (SELECT network, user, failures, last, blocked_until FROM failed_login "
            "ORDER BY last DESC LIMIT ?) ORDER BY last",
            (MOST_PAIRS,),
        )
        return tuple(
            KeptFailures(row[0], row[1], row[2], *(datetime.fromtimestamp(t, UTC) for t in row[3:]))
            for row in rows
        )

    def keep_failures(self, kept: KeptFailures) -> None:
        """Keep how many wrong passwords a pair has sent."""
        times = (kept.last.timestamp(), kept.blocked_until.timestamp())
        self._run(
            "REPLACE INTO failed_login VALUES (?, ?, ?, ?, ?)",
            (kept.network, kept.user, kept.failures, *times),
        )

    def forget_failures(self, network: str, user: str) -> None:
        """Forget the wrong passwords of a pair."""
        self._run("DELETE FROM failed_login WHERE network = ? AND user = ?", (network, user))

    def _is_over(self, session: Session, now: datetime) -> bool:
        return now - session.seen >= self._idle or now - session.created >= self._longest

    def _run(self, sql: str, values: tuple[Any, ...]) -> list[Any]:
        try:
            with self._lock:
                return self._db.execute(sql, values).fetchall()
        except sqlite3.Error as exc:
            raise SessionStoreError(
                f"The sessions cannot be read or written: {exc}.",
                hint="Check the free space and the permissions of the data folder.",
            ) from exc


_COLUMNS: Final = "key, user, generation, created, seen, address, agent"


def _session(row: Any) -> Session:
    key, user, generation, created, seen, address, agent = row
    return Session(
        key,
        user,
        generation,
        datetime.fromtimestamp(created, UTC),
        datetime.fromtimestamp(seen, UTC),
        address,
        agent,
    )


def _hash(sid: str) -> str:
    return hashlib.sha256(sid.encode()).hexdigest()
