"""Passwords: Argon2id, what may become one, and how many are checked at once.

Parameters t=3, m=64 MiB as in RFC 9106 section 4, second recommended option. A check takes about
0.2 s of a core and 64 MiB on purpose, so no more than two run at a time.
"""

from __future__ import annotations

import re
import secrets
import threading
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from engine.domain.errors import EmsError

FIRST_PASSWORD: Final = "admin123"
"""The documented password of a fresh installation; it can never be set again."""

LEAST_CHARACTERS: Final = 12
MOST_CHARACTERS: Final = 256
AT_ONCE: Final = 2
WAIT_S: Final = 3.0

_WORDS: Final = """
password passwort passwd passphrase kennwort secret geheim admin administrator root user login
welcome willkommen hallo hello letmein changeme qwerty qwertz qwertzuiop qwertyuiop asdfgh
asdfghjkl yxcvbnm zxcvbnm iloveyou ichliebedich monkey dragon master sunshine princess football
fussball baseball superman batman pokemon michael sommer summer winter herbst spring autumn
fruehling frühling januar dezember test guest gast default standard emsdash ems dash energy
energie energiemanagement energymanagement battery batterie akku speicher batteriespeicher storage
solar photovoltaik strom power hithium oesterreich österreich austria wien vienna deutschland
germany schweiz abc abcdef
"""
_COMMON: Final = frozenset(_WORDS.split())
"""What the passwords people choose most are made of; digits and signs around them add little."""

_LEET: Final = str.maketrans("013457@$!", "oieastasi")
_RUNS: Final = (
    *("abcdefghijklmnopqrstuvwxyz", "01234567890"),
    *("qwertzuiop", "qwertyuiop", "asdfghjkl"),
)


class PasswordRefusedError(EmsError):
    """A password that may not be set."""

    code = "password_refused"


class BusyError(EmsError):
    """Too many passwords are being checked."""

    code = "rate_limited"


class Passwords:
    """Hashes and checks passwords.

    Args:
        hasher: Argon2id with its parameters; tests give cheaper ones.
        wait_s: How long a check may wait for its turn.
    """

    def __init__(self, hasher: PasswordHasher | None = None, wait_s: float = WAIT_S) -> None:
        self._hasher = hasher or PasswordHasher(time_cost=3, memory_cost=65_536, parallelism=1)
        self._wait_s = wait_s
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        self._nobody = self._hasher.hash(secrets.token_hex(16))

    def hash(self, password: str) -> str:
        """Return the Argon2id hash of `password`, with parameters and salt.

        Raises:
            BusyError: Too many others wait.
        """
        with self._turn():
            return self._hasher.hash(password)

    def matches(self, stored: str | None, password: str) -> bool:
        """Return True when `password` is the one of `stored`.

        Args:
            stored: Hash, or None for a user that does not exist: then as much work is done, so
                that the time tells nothing.
            password: What was typed.

        Raises:
            BusyError: Too many others wait.
        """
        with self._turn():
            try:
                return self._hasher.verify(stored or self._nobody, password) and stored is not None
            except (VerifyMismatchError, VerificationError, InvalidHashError):
                return False

    def is_outdated(self, stored: str) -> bool:
        """Return True when `stored` was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(stored)

    def _turn(self) -> _Turn:
        return _Turn(self._turns, self._wait_s)


class _Turn:
    def __init__(self, turns: threading.BoundedSemaphore, wait_s: float) -> None:
        self._turns = turns
        self._wait_s = wait_s

    def __enter__(self) -> None:
        if not self._turns.acquire(timeout=self._wait_s):
            raise BusyError("Too many logins at once.", hint="Try again in a few seconds.")

    def __exit__(self, *_exc: object) -> None:
        self._turns.release()


def check_new_password(password: str, user: str) -> None:
    """Refuse a password that others would try first.

    Args:
        password: The wanted password.
        user: Whose it will be.

    Raises:
        PasswordRefusedError: Too short, too long, common, a run of neighbours, or the user's name.
    """
    if password == FIRST_PASSWORD:
        raise _refused("first", "This is the documented first password.", "Choose another one.")
    if len(password) < LEAST_CHARACTERS:
        raise _refused(
            "short",
            f"The password has {len(password)} characters.",
            f"Use at least {LEAST_CHARACTERS}; several words make a good one.",
        )
    if len(password) > MOST_CHARACTERS:
        raise _refused(
            "long", "The password is too long.", f"Use at most {MOST_CHARACTERS} characters."
        )
    if is_common(password, user):
        raise _refused(
            "common",
            "This password is among those that are tried first.",
            "Use several words that do not belong together.",
        )


def is_common(password: str, user: str = "") -> bool:
    """Return True for passwords made of little: common words, few characters, runs, the name."""
    low = password.lower()
    if len(set(low)) < 5 or any(_is_run(low, run) for run in _RUNS):
        return True
    words = _COMMON | {user.lower()}
    return any(_is_mostly(text, words) for text in (low, low.translate(_LEET)))


def temporary_password() -> str:
    """Return a password for a user's next login: 20 random characters in groups, easily read."""
    letters = "abcdefghjkmnpqrstuvwxyz23456789"
    groups = ("".join(secrets.choice(letters) for _ in range(5)) for _ in range(4))
    return "-".join(groups)


def _is_run(text: str, run: str) -> bool:
    both = (run * 3, run[::-1] * 3)
    letters = re.sub(r"[\W_]+", "", text)
    return any(letters in way for way in both) or (
        len(letters) > 2 * len(run) and set(letters) <= set(run) and letters[: len(run)] in both[0]
    )


def _is_mostly(text: str, words: frozenset[str] | set[str]) -> bool:
    """Return True when all letters of `text` are common words, but for single ones between."""
    parts = re.findall(r"[^\W\d_]+", text)
    long = [part for part in parts if len(part) > 2]
    single = sum(len(part) for part in parts if len(part) <= 2)
    if not long:
        return not parts
    return single <= 4 and all(_is_made_of(part, words) for part in long)


def _is_made_of(word: str, words: frozenset[str] | set[str]) -> bool:
    """Return True when `word` is one of `words` or some of them in a row."""
    reach = {0}
    for end in range(1, len(word) + 1):
        if any(start in reach and word[start:end] in words for start in range(end)):
            reach.add(end)
    return len(word) in reach


def _refused(why: str, message: str, hint: str) -> PasswordRefusedError:
    return PasswordRefusedError(message, field="password", value=why, hint=hint)
