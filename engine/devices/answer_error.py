"""The error of a device that answers with a Modbus exception."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from engine.domain.errors import DeviceError

_EXCEPTION_MEANING: Final[Mapping[int, str]] = {
    1: "illegal function",
    2: "illegal address",
    3: "illegal value",
    4: "device failure",
    5: "acknowledged, still working",
    6: "device busy",
    7: "negative acknowledge",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target did not answer",
}


class DeviceAnswerError(DeviceError):
    """The device answered a request with a Modbus exception.

    Attributes:
        exception_code: The Modbus exception code.
    """

    code = "device_answer_error"

    def __init__(self, message: str, exception_code: int, **context: Any) -> None:
        super().__init__(message, **context)
        self.exception_code = exception_code

    @property
    def meaning(self) -> str:
        """The exception code in words."""
        return describe_exception(self.exception_code)

    @property
    def is_illegal_request(self) -> bool:
        """True for exceptions 1 to 3: the same request will never succeed."""
        return self.exception_code in (1, 2, 3)

    @property
    def is_temporary(self) -> bool:
        """True for exceptions 5, 6, 10 and 11: the same request may succeed a moment later."""
        return self.exception_code in (5, 6, 10, 11)


def describe_exception(code: int) -> str:
    """Return a Modbus exception code in words."""
    return f"{_EXCEPTION_MEANING.get(code, 'unknown exception')} (exception {code})"
