"""The one exception hierarchy of EMS Dash.

Every error a person may see names the field, the value and the remedy, so the
command line, the API and the pages can show the same text.
"""

from __future__ import annotations

from typing import Any, Literal

FetchKind = Literal["unreachable", "timeout", "status", "too_large", "invalid", "not_configured"]
"""How getting data from another host can fail."""


class EmsError(Exception):
    """Base of all errors raised on purpose by EMS Dash.

    Args:
        message: What is wrong, one sentence a user understands.
        field: Dotted name of the offending input, for example ``bess.soc_min_percent``.
        value: The offending value as it came in.
        hint: What to do about it.
    """

    code = "ems_error"

    def __init__(
        self,
        message: str,
        *,
        field: str | None = None,
        value: Any = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.field = field
        self.value = value
        self.hint = hint

    def as_dict(self) -> dict[str, Any]:
        """Return the error shape of the API: code, message, field and hint."""
        return {
            "code": self.code,
            "message": self.message,
            "field": self.field,
            "hint": self.hint,
        }

    def __str__(self) -> str:
        parts = [self.message]
        if self.hint:
            parts.append(self.hint)
        text = " ".join(parts)
        return f"{self.field}: {text}" if self.field else text


class ConfigError(EmsError):
    """The configuration cannot be used; the program does not start."""

    code = "config_invalid"


class DeviceError(EmsError):
    """A device or its link failed, or its profile is unusable."""

    code = "device_error"


class LinkError(DeviceError):
    """No trustworthy answer came over a connection."""

    code = "link_error"


class WriteRefusedError(DeviceError):
    """A write was not sent, or the device refused it."""

    code = "write_refused"


class MarketError(EmsError):
    """Prices for the requested time are not available."""

    code = "prices_unavailable"


class FetchError(EmsError):
    """Data could not be had from another host or file.

    Args:
        message: What is wrong; never holds a key or a token.
        kind: How it failed.
        retryable: True when asking again soon may help.
        retry_after_s: Seconds the other side asked to wait, when it did.
    """

    code = "fetch_failed"

    def __init__(
        self,
        message: str,
        *,
        kind: FetchKind,
        retryable: bool,
        retry_after_s: float | None = None,
        field: str | None = None,
        value: Any = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, field=field, value=value, hint=hint)
        self.kind = kind
        self.retryable = retryable
        self.retry_after_s = retry_after_s


class ForecastError(EmsError):
    """A forecast could not be made from the data at hand."""

    code = "forecast_unavailable"


class TooLittleMeasuredError(ForecastError):
    """Nothing can be forecast yet, because a site has only just begun to measure."""

    code = "too_little_measured"


class OptimizationError(EmsError):
    """No plan could be computed, or it failed its independent check."""

    code = "no_plan"


class BacktestError(EmsError):
    """A backtest cannot be run on what it was given."""

    code = "backtest_impossible"


class BacktestCancelledError(BacktestError):
    """A backtest was stopped by whoever started it; nothing of it is kept."""

    code = "backtest_cancelled"


class ControlError(EmsError):
    """Something asked of the control law is not possible."""

    code = "control_refused"


class HistoryError(EmsError):
    """The history store could not read or write."""

    code = "history_error"


class AlreadyRunningError(EmsError):
    """Another instance owns the devices and the database."""

    code = "already_running"
