"""Passwords and secrets, read where they are needed and kept nowhere."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from engine.notify.errors import NotifyError

_GROUP_AND_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_MAX_BYTES = 4096


class SecretSource:
    """Reads one secret from an environment variable or a file with mode 0600.

    Args:
        env: Name of the environment variable, or None.
        file: Path of the file, or None.
        field: Key of the configuration without its ending, for messages, for example
            ``notifications.channels.mail.password``.
        environment: Environment variables.
    """

    def __init__(
        self,
        env: str | None,
        file: str | None,
        field: str,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._env = env
        self._file = file
        self._field = field
        self._environment = environment

    def __repr__(self) -> str:
        return f"SecretSource({self._field})"

    @property
    def given(self) -> bool:
        """True when the configuration names a place."""
        return self._env is not None or self._file is not None

    def read(self) -> str | None:
        """Return the secret, or None when the configuration names no place.

        Raises:
            NotifyError: The place is empty, unreadable, or readable by others.
        """
        if self._env is not None:
            value = self._environment.get(self._env, "")
            if not value:
                raise self._error(
                    "env",
                    self._env,
                    f"The environment variable {self._env} is empty or not set.",
                    "Set it before the program starts.",
                )
            return self._usable(value, "env", self._env)
        return None if self._file is None else self._from_file(Path(self._file))

    def _from_file(self, path: Path) -> str:
        try:
            mode = path.stat().st_mode
            if mode & _GROUP_AND_OTHERS:
                raise self._error(
                    "file",
                    str(path),
                    f"The file can be read by others (mode {stat.S_IMODE(mode):04o}).",
                    "Set its mode to 0600.",
                )
            with path.open("rb") as file:
                value = file.read(_MAX_BYTES + 1).decode("utf-8").strip("\r\n")
        except (OSError, UnicodeDecodeError) as exc:
            text = exc.strerror if isinstance(exc, OSError) else "not UTF-8 text"
            raise self._error(
                "file",
                str(path),
                f"The file cannot be read ({text}).",
                "Check the path and its owner.",
            ) from None
        if not value:
            raise self._error("file", str(path), "The file is empty.", "Write the secret into it.")
        return self._usable(value, "file", str(path))

    def _usable(self, value: str, ending: str, place: str) -> str:
        if len(value) > _MAX_BYTES or any(c in value for c in "\r\n\0"):
            raise self._error(
                ending,
                place,
                f"The secret is longer than one line or {_MAX_BYTES} bytes.",
                "Store nothing but the secret there.",
            )
        return value

    def _error(self, ending: str, place: str, message: str, hint: str) -> NotifyError:
        return NotifyError(
            message, kind="config", field=f"{self._field}_{ending}", value=place, hint=hint
        )
