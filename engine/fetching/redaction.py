"""Keys and tokens taken out of whatever is shown or logged."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable

MASK = "***"

_SECRET_PARAMETER = re.compile(
    r"(?i)\b(appid|app_id|securitytoken|api_?key|access_token|token|key|password)=([^&\s\"'<>]+)"
)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """Return `text` without the values of secret query parameters and without `secrets`."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, MASK)
    return _SECRET_PARAMETER.sub(rf"\1={MASK}", text)


def is_secret_parameter(name: str) -> bool:
    """Return True when the query parameter `name` carries a key."""
    return _SECRET_PARAMETER.fullmatch(f"{name}=x") is not None


class RedactingFilter(logging.Filter):
    """Takes secrets out of the records of libraries that log whole addresses."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Rewrite message and traceback; every record passes."""
        message = record.getMessage()
        cleaned = redact(message)
        if cleaned != message:
            record.msg, record.args = cleaned, ()
        if record.exc_info and not record.exc_text:
            # Formatters use this text instead of making their own.
            record.exc_text = redact(_FORMATTER.formatException(record.exc_info))
        return True


_FORMATTER = logging.Formatter()


def guard_library_logs() -> None:
    """Redact what urllib3 and requests write: at DEBUG every address with its key.

    A filter acts on its own logger only, so each logger of the libraries gets one.
    """
    names = [n for n in logging.root.manager.loggerDict if n.split(".")[0] in _LIBRARIES]
    for name in {*_LIBRARIES, *names}:
        logger = logging.getLogger(name)
        if not any(isinstance(f, RedactingFilter) for f in logger.filters):
            logger.addFilter(RedactingFilter())


_LIBRARIES = ("urllib3", "requests")
