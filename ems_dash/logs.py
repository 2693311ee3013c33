"""The program's log: readable lines on the console, JSON in files that do not grow without end.

Whatever somebody else has typed may end up in a message. So no message can begin a line of its
own or steer a terminal, and what looks like a secret is masked, on the way to every output.
Threads that log only put the record into a queue; one thread writes, however slow the disk.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from datetime import UTC, datetime
from logging.handlers import QueueHandler, QueueListener, RotatingFileHandler
from pathlib import Path
from queue import SimpleQueue
from typing import Any, Final, TextIO

from engine.domain.errors import EmsError
from engine.domain.site_context import current_site
from engine.fetching.redaction import MASK, redact

FILE_NAME: Final = "ems.log"
FILE_BYTES: Final = 10_000_000
FILES: Final = 10
LEVELS: Final = ("debug", "info", "warning", "error")
MAX_MESSAGE: Final = 4_000

_CONTROLS: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_SECRETS: Final = (
    (re.compile(r"(?i)\b(bearer|basic)\s+[\w.~+/=-]{6,}"), rf"\1 {MASK}"),
    (re.compile(r"\bems_([\w-]{4,16})_[\w-]{8,}"), rf"ems_\1_{MASK}"),
    (re.compile(r"(?i)(\b\w+://[^/\s:@]*):[^/\s@]+@"), rf"\1:{MASK}@"),
    (
        re.compile(
            r"(?i)([\"']?\b[\w-]*(?:passwor[dt]|passwd|kennwort|secret|api[_-]?key|token|credential)"
            r"[\"']?\s*[:=]\s*)([\"']?)[^\s\"',;}&]{3,}"
        ),
        rf"\1\2{MASK}",
    ),
)


def clean(text: str) -> str:
    """Return `text` on one line, without control characters and secrets, not too long."""
    if len(text) > MAX_MESSAGE:
        text = text[:MAX_MESSAGE] + "…"
    return _CONTROLS.sub(_escaped, without_secrets(text))


def without_secrets(text: str) -> str:
    """Return `text` with a mask for what looks like a password, key or token."""
    text = redact(text)
    for pattern, masked in _SECRETS:
        text = pattern.sub(masked, text)
    return text


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    return {9: "\\t", 10: "\\n", 13: "\\r"}.get(
        code, f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"
    )


class ConsoleFormatter(logging.Formatter):
    """One line per record; of a stack, indented lines below it."""

    def format(self, record: logging.LogRecord) -> str:
        stamp = datetime.fromtimestamp(record.created).astimezone()
        message = clean(record.getMessage())
        when = f"{stamp:%Y-%m-%d %H:%M:%S}.{record.msecs:03.0f}"
        site = getattr(record, "site", None)
        where = f" [{clean(site)}]" if site else ""
        line = f"{when} {record.levelname:<7}{where} {record.name}: {message}"
        stack = _stack_of(self, record)
        if stack is None:
            return line
        rows = (f"    {_CONTROLS.sub(_escaped, row)}" for row in stack.splitlines())
        return "\n".join((line, *rows))


class JsonFormatter(logging.Formatter):
    """One JSON object per record, on one line."""

    def format(self, record: logging.LogRecord) -> str:
        document: dict[str, Any] = {
            "ts": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "thread": record.threadName,
            "message": clean(record.getMessage()),
        }
        site = getattr(record, "site", None)
        if site:
            document["site"] = clean(site)
        stack = _stack_of(self, record)
        if stack is not None:
            document["stack"] = stack
        return json.dumps(document, ensure_ascii=True)


def _stack_of(formatter: logging.Formatter, record: logging.LogRecord) -> str | None:
    if record.exc_text:
        return without_secrets(record.exc_text)
    if record.exc_info:
        return without_secrets(formatter.formatException(record.exc_info))
    return None


class _Queueing(QueueHandler):
    def prepare(self, record: logging.LogRecord) -> logging.LogRecord:
        """Make the texts here: what an argument or a stack refers to may change later.

        Only the thread that logs knows which site it works for.
        """
        record.site = current_site()
        record.msg, record.args = record.getMessage(), None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        record.exc_info = None
        return record


class _Console(logging.StreamHandler[TextIO]):
    def __init__(self, stream: TextIO | None) -> None:
        super().__init__(stream or sys.stderr)
        self.setFormatter(ConsoleFormatter())


_OURS: Final = (_Queueing, _Console)


def log_to_console(level: str = "info", stream: TextIO | None = None) -> None:
    """Let this process log to `stream`, by default the error output.

    Whoever has set up logging before, for example a test runner, keeps it.
    """
    root = logging.getLogger()
    if any(not isinstance(handler, _OURS) for handler in root.handlers):
        return
    _use(_Console(stream), level)


class ProgramLog:
    """The log of the running program, to console and files, until `stop`.

    To be made in the process that works: its thread does not live on in a fork.

    Args:
        folder: Folder of the files; made when absent.
        level: One of `LEVELS`.
        stream: The console; None for the error output.

    Raises:
        EmsError: The folder cannot be used.
    """

    def __init__(self, folder: Path, level: str = "info", stream: TextIO | None = None) -> None:
        try:
            folder.mkdir(mode=0o750, parents=True, exist_ok=True)
            file = RotatingFileHandler(
                folder / FILE_NAME, maxBytes=FILE_BYTES, backupCount=FILES - 1, encoding="utf-8"
            )
        except OSError as exc:
            raise EmsError(
                f"The log cannot be written to {folder}: {exc.strerror}.",
                field="logs",
                value=str(folder),
                hint="Name another folder with --logs.",
            ) from exc
        file.setFormatter(JsonFormatter())
        self._file = file
        queue: SimpleQueue[logging.LogRecord] = SimpleQueue()
        self._listener = QueueListener(queue, _Console(stream), file)
        self._listener.start()
        self._queueing = _Queueing(queue)
        _use(self._queueing, level)

    def stop(self) -> None:
        """Write what waits; afterwards this process logs to the console only."""
        if self._listener._thread is not None:  # a second stop would fail
            logging.getLogger().removeHandler(self._queueing)
            log_to_console()
            self._listener.stop()
            self._file.close()


def _use(handler: logging.Handler, level: str) -> None:
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler, _OURS)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level.upper())
    # pymodbus logs every reconnect of its own; the link reports them once, in our words.
    logging.getLogger("pymodbus.logging").setLevel(logging.CRITICAL)
