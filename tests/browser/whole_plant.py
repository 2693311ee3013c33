"""The made-up plant with everything any page asks for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fakes_monitoring import MonitoredPlant
from test_settings_live import Settings

from engine.domain.errors import HistoryError


class WholePlant(MonitoredPlant):
    """`Services` of every page; its settings are a real file in `folder`."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.settings = Settings(folder)
        self.history.sql = _no_sql  # type: ignore[attr-defined]


def _no_sql(*_: Any) -> Any:
    raise HistoryError("The made-up plant keeps no tables.")
