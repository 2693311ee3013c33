"""The cursor that SQL shared by all backends runs on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class SqlRows(Protocol):
    """What a statement returned."""

    def fetchall(self) -> Sequence[Any]: ...


class SqlCursor(Protocol):
    """Runs SQL with ``?`` for values; tables are in ``h``, times are naive UTC."""

    def execute(self, query: str, parameters: list[Any] = ..., /) -> SqlRows: ...
