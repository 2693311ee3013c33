"""``config/users.yaml``: read when it has changed, written whole, by one process at a time."""

from __future__ import annotations

import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.compat import StringIO
from ruamel.yaml.error import YAMLError

from ems_dash.auth.users import UsersFile
from engine.config.load import write_atomically
from engine.domain.errors import EmsError

FILE_NAME: Final = "users.yaml"
MODE: Final = 0o600
MOST_BYTES: Final = 1_000_000

_HEADER: Final = (
    "# Users and API tokens of EMS Dash, without passwords and secrets in clear.\n"
    "# Change it on the page Settings > Users or with: python -m ems_dash user --help\n"
)


class UsersFileError(EmsError):
    """``users.yaml`` cannot be used; nobody is let in."""

    code = "users_file"


class UserStore:
    """The file of one installation; safe for several threads and processes.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = threading.RLock()
        self._known: tuple[tuple[int, int, int], UsersFile] | None = None

    @property
    def exists(self) -> bool:
        """True when there is a file."""
        return self.path.exists()

    def read(self) -> UsersFile:
        """Return what the file holds.

        Raises:
            UsersFileError: It is missing, unreadable or wrong.
        """
        with self._lock:
            stamp = self._stamp()
            if self._known is None or self._known[0] != stamp:
                self._known = (stamp, self._parsed())
            return self._known[1]

    def change(self, edit: Callable[[UsersFile], UsersFile]) -> UsersFile:
        """Replace the file by what `edit` makes of it and return that.

        Raises:
            UsersFileError: The file cannot be read or written.
        """
        with self._lock, self._alone():
            changed = edit(self.read())
            self._write(changed)
            return changed

    def create(self, first: UsersFile) -> bool:
        """Write `first` unless there is a file; return True when it was written.

        Raises:
            UsersFileError: The file cannot be written.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as exc:
            raise self._unusable(f"cannot be created: {exc.strerror}") from exc
        with self._lock, self._alone():
            if self.exists:
                return False
            self._write(first)
            return True

    @contextmanager
    def _alone(self) -> Iterator[None]:
        lock_path = self.path.with_name(f".{self.path.name}.lock")
        try:
            descriptor = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, MODE)
        except OSError as exc:
            raise self._unusable(f"cannot be locked: {exc.strerror}") from exc
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _stamp(self) -> tuple[int, int, int]:
        try:
            found = self.path.stat()
        except OSError as exc:
            raise self._unusable(f"cannot be read: {exc.strerror}") from exc
        return found.st_mtime_ns, found.st_size, found.st_ino

    def _parsed(self) -> UsersFile:
        try:
            text = self.path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as exc:
            raise self._unusable("cannot be read") from exc
        if len(text) > MOST_BYTES:
            raise self._unusable("is larger than 1 MB")
        try:
            data: Any = YAML(typ="safe", pure=True).load(text)
            return UsersFile.model_validate(data if data is not None else {})
        except YAMLError as exc:
            raise self._unusable("is no valid YAML") from exc
        except ValidationError as exc:
            first = exc.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in first["loc"])
            raise self._unusable(f"is wrong at '{where}': {first['msg']}") from exc

    def _write(self, content: UsersFile) -> None:
        out = StringIO()
        yaml = YAML(typ="safe", pure=True)
        yaml.default_flow_style = False
        yaml.width = 200
        yaml.dump(content.model_dump(mode="json", exclude_defaults=False), out)
        try:
            write_atomically(self.path, _HEADER + out.getvalue(), MODE)
        except OSError as exc:
            raise self._unusable(f"cannot be written: {exc.strerror}") from exc
        self._known = None

    def _unusable(self, why: str) -> UsersFileError:
        return UsersFileError(
            f"{self.path} {why}.",
            hint="Correct it or put a copy back; without it nobody can log in.",
        )
