"""The key of the chain: made once, kept in the folder of secrets beside the configuration."""

from __future__ import annotations

import hashlib
import secrets
from pathlib import Path
from typing import Final

from engine.audit import files
from engine.audit.errors import AuditError
from engine.config.load import write_atomically
from engine.config.secret_files import FOLDER as SECRETS_FOLDER

_KEY_BYTES: Final = 32


def key_id(key: bytes) -> str:
    """Return what tells keys apart without being one."""
    return hashlib.sha256(b"ems audit key id" + key).hexdigest()[:16]


def read_key(config_dir: Path, *, make: bool = False) -> bytes:
    """Return the key of the chain.

    Args:
        config_dir: Folder of the configuration.
        make: Make one when there is none.

    Raises:
        AuditError: There is none, it is damaged, or it cannot be made.
    """
    path = config_dir / SECRETS_FOLDER / files.KEY_NAME
    try:
        if make and not path.exists():
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_atomically(path, secrets.token_hex(_KEY_BYTES), 0o600)
        key = bytes.fromhex(path.read_text(encoding="ascii").strip())
    except ValueError as exc:
        raise AuditError(
            "The key of the audit log is damaged.",
            field="audit",
            value=str(path),
            hint="Put it back from a backup; without it the old entries cannot be verified.",
        ) from exc
    except OSError as exc:
        raise AuditError(
            f"The key of the audit log cannot be read: {exc.strerror}.",
            field="audit",
            value=str(path),
            hint="Check the folder given with --config and its permissions.",
        ) from exc
    if len(key) < _KEY_BYTES:
        raise AuditError("The key of the audit log is too short.", field="audit", value=str(path))
    return key
