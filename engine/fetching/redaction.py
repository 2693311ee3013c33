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
        """Rewrite the message; every record passes."""
        message = record.getMessage()
        cleaned = redact(message)
        if cleaned != message:
            record.msg, record.args = cleaned, ()
        return True


def guard_library_logs() -> None:
    """Redact what urllib3 writes about requests: at DEBUG it logs every address with its key."""
    for name in ("urllib3.connectionpool", "urllib3.util.retry", "requests"):
        logger = logging.getLogger(name)
        if not any(isinstance(f, RedactingFilter) for f in logger.filters):
            logger.addFilter(RedactingFilter())
