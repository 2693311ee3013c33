"""An identifier of this installation, so that two never use one MQTT client id."""

from __future__ import annotations

import os
import re
import uuid
from pathlib import Path

from engine.domain.errors import ConfigError

FILE_NAME = "install_id"


def install_id(data_dir: Path) -> str:
    """Return the identifier kept in `data_dir`, making one at first use.

    A copied data folder carries it along: start the copy without this file.

    Raises:
        ConfigError: The file cannot be read or written, or holds something else.
    """
    path = data_dir / FILE_NAME
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        try:
            handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            text = path.read_text(encoding="ascii").strip()
        else:
            text = uuid.uuid4().hex[:12]
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(text + "\n")
                file.flush()
                os.fsync(file.fileno())
    except (OSError, UnicodeDecodeError) as exc:
        raise ConfigError(
            f"The identifier of this installation cannot be kept: {exc}.",
            field=FILE_NAME,
            value=str(path),
            hint="Check the data folder and its permissions.",
        ) from exc
    if not re.fullmatch(r"[0-9a-f]{12}", text):
        raise ConfigError(
            "The identifier of this installation is damaged.",
            field=FILE_NAME,
            value=str(path),
            hint="Delete the file; a new one is made at the next start.",
        )
    return text
