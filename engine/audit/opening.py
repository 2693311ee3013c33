"""Opens the audit log of an installation, or sets one of another key aside."""

from __future__ import annotations

import logging
from pathlib import Path

from engine.audit import files
from engine.audit.errors import AuditError
from engine.audit.key import key_id, read_key
from engine.audit.log import AuditLog
from engine.config.load import write_atomically
from engine.domain.clock import Clock, SystemClock

log = logging.getLogger(__name__)


def open_audit(
    config_dir: Path, data_dir: Path, clock: Clock | None = None, *, begin_anew: bool = False
) -> AuditLog:
    """Return the audit log of an installation; its key is made when there is none.

    Args:
        config_dir: Folder of the configuration; the key lies in its folder of secrets.
        data_dir: Data folder; the files lie in ``audit`` in it.
        clock: Time; None for the machine's.
        begin_anew: When the key is not the one the log was written with, for example because it
            was lost, set the log aside and begin a new one, which says so.

    Raises:
        AuditError: The key cannot be read or made, or is not that of the log.
    """
    folder, clock = data_dir / files.FOLDER, clock or SystemClock()
    key = read_key(config_dir, make=True)
    try:
        aside = _set_aside(folder, key, clock, begin_anew=begin_anew)
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(folder / files.KEY_ID, key_id(key), 0o600)
    except OSError as exc:
        raise AuditError(
            f"The audit log cannot be opened: {exc.strerror or exc}.",
            field="data",
            value=str(data_dir),
            hint="Make the data folder writable for the user that runs EMS Dash.",
        ) from exc
    audit = AuditLog(folder, key, clock)
    if aside is not None:
        audit.note("audit.new_key", aside.name)
    return audit


def _set_aside(folder: Path, key: bytes, clock: Clock, *, begin_anew: bool) -> Path | None:
    """Move a log of another key aside and return where; None when there is none."""
    try:
        known = (folder / files.KEY_ID).read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return None
    if known == key_id(key):
        return None
    if not begin_anew:
        raise AuditError(
            "The audit log was written with another key than that of this configuration.",
            field="config",
            hint="Name the folder of its configuration with --config.",
        )
    aside = folder.with_name(f"{folder.name}-{clock.now():%Y%m%dT%H%M%S%f}")
    folder.rename(aside)
    log.error("the key of the audit log is another one; the old log is kept in %s", aside)
    return aside
