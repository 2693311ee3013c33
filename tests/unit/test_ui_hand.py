"""The order by hand in words, and the power that is asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from ems_dash.ui.hand_view import power_kw
from ems_dash.ui.strategy_model import order_text
from engine.domain.control import ManualOrder

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
VIENNA = ZoneInfo("Europe/Vienna")


def words(power: float, soc: float | None = None, lang: str = "en") -> str:
    order = ManualOrder(power, NOW, NOW + timedelta(minutes=30), soc, "page")
    text = order_text(order, NOW, VIENNA, lang)
    return text.replace("\u00a0", " ").replace("\u202f", " ")


def test_an_order_is_said_with_its_direction_and_its_end() -> None:
    assert words(-42.5) == "Charge at 42.5 kW until 13:30"
    assert words(42.5, 20.0) == "Discharge at 42.5 kW until 13:30 or 20 %"
    assert words(-42.5, lang="de") == "Laden mit 42,5 kW bis 13:30"
    assert words(0.0) == "Stand still until 13:30"
    assert order_text(None, NOW, VIENNA, "en") == "No order in force."


def test_standing_still_needs_no_power_and_anything_else_does() -> None:
    assert power_kw("idle", None) == 0.0
    assert power_kw("charge", 30.0) == -30.0
    assert power_kw("discharge", 30.0) == 30.0
    for wrong in (None, 0.0, -5.0, float("nan")):
        with pytest.raises(ValueError, match="power"):
            power_kw("charge", wrong)
