"""Every code the engine can put on the page has a text in both languages."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.control.layers import DECIDING_REASONS
from engine.domain.alarms import ENGINE_ALARMS
from engine.domain.control import EngineState
from engine.domain.signals import ALARMS
from engine.domain.strategy import ChoiceReason, StrategyKey
from engine.optimization.explanation import Driver, ReasonCode
from engine.runtime.control_step import CONTROL_FAILING
from engine.runtime.cycle import REASON_STATES

CATALOGUES = Path(__file__).resolve().parents[2] / "ems_dash" / "i18n"

LIMITS = (
    *("nameplate", "bms_power", "bms_current", "status", "alarm", "soc_window", "slow_rise"),
    *("grid_import", "grid_export", "meter_missing", "start", "temperature", "feed_in", "manual"),
    *("external_dso", "external_api", "external_mqtt", "external_digital_input"),
    *("hold_time", "ramp"),
)
WISHES = (
    *("import_limit", "export_limit", "energy_min", "energy_max", "energy_final_min", "standby"),
    "energy_reserve",
)
CODES = {
    "state": [s.value for s in EngineState],
    "reason": [*REASON_STATES, CONTROL_FAILING, "stopped"],
    "step": [
        *("control", "poll", "plan", "history", "command", "alarms", "analytics"),
        *("prices", "price_history", "weather"),
    ],
    "notice": [
        *("recorded_prices", "demo_plant", "monitor_mode", "strategy_forgotten", "forecast_poor"),
        "limits_forgotten",
        "messages_forgotten",
        "time_repeats",
        *(f"prices_{state}" for state in ("cached", "late", "outage", "none")),
        *(f"weather_{state}" for state in ("cached", "outage", "none")),
    ],
    "strategy": [key.value for key in StrategyKey],
    "choice": [reason.value for reason in ChoiceReason],
    "law": sorted(DECIDING_REASONS),
    "why": [code.value for code in ReasonCode],
    "why.driver": [driver.value for driver in Driver],
    "binding": LIMITS,
    "wish": WISHES,
    "alarm": (*ALARMS, *ENGINE_ALARMS),
    "link": ["connecting", "online", "degraded", "offline"],
}


@pytest.mark.parametrize("lang", ["de", "en"])
def test_every_engine_code_is_translated(lang: str) -> None:
    catalogue = json.loads((CATALOGUES / f"{lang}.json").read_text(encoding="utf-8"))
    missing = [
        f"{group}.{code}"
        for group, codes in CODES.items()
        for code in codes
        if f"{group}.{code}" not in catalogue
    ]
    assert missing == []
