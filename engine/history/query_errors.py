"""Errors of questions to the history that the person asking can correct."""

from __future__ import annotations

from engine.domain.errors import HistoryError


class QueryError(HistoryError):
    """The question cannot be answered as it was asked."""

    code = "query_invalid"


class SqlRefusedError(QueryError):
    """A statement that analysts may not run."""

    code = "sql_refused"


class QueryStoppedError(HistoryError):
    """A question was given up: it took too long, too much memory, or was cancelled."""

    code = "query_stopped"


class BusyError(HistoryError):
    """As many questions of this kind run already as may at once; try again later."""

    code = "rate_limited"
