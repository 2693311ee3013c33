"""Secrets that were typed on a page: each in a file of its own that only the program can read."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from engine.config.load import write_atomically
from engine.domain.errors import ConfigError

FOLDER: Final = "secrets"
MAX_CHARACTERS: Final = 4096
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,60}")


def store_secret(directory: Path, name: str, secret: str, now: datetime) -> Path:
    """Write a secret into a new file with mode 0600 and return its path.

    Always a new file: what runs with the earlier one is not disturbed, and a change can be undone.

    Args:
        directory: Folder of the configuration.
        name: What it is for, part of the file's name.
        secret: The secret; never part of a message.
        now: Current time; part of the file's name.

    Raises:
        ConfigError: It is empty or too long, or the file cannot be written.
    """
    if not secret or len(secret) > MAX_CHARACTERS or "\n" in secret:
        raise ConfigError(
            "This is no secret that can be stored.",
            field=name,
            hint=f"Type one line of at most {MAX_CHARACTERS} characters.",
        )
    if _NAME.fullmatch(name) is None:
        raise ConfigError("This name is not possible.", field="name", value=name[:80])
    folder = directory / FOLDER
    stem = f"{name}-{now.astimezone(UTC):%Y%m%dT%H%M%S%f}"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        path = folder / stem
        write_atomically(path, secret, 0o600)
    except OSError as exc:
        raise ConfigError(
            f"The secret cannot be stored: {exc.strerror}.",
            field=name,
            hint="Check the permissions of the folder of the configuration.",
        ) from exc
    return path.resolve()
