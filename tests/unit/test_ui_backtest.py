"""Backtests beside each other on the page."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

from plotly.utils import PlotlyJSONEncoder

from ems_dash.ui.backtest import words
from ems_dash.ui.backtest.result_view import body
from ems_dash.ui.forecasts.figures import Look
from engine.runtime.backtests.desk import BacktestState

AT = datetime(2026, 11, 25, 12, tzinfo=UTC)


def strategy(name: str, saving_eur: float) -> dict[str, Any]:
    return {
        "strategy": name,
        "forecaster": None,
        "saving_eur": saving_eur,
        "daily_saving_eur": [saving_eur],
        "capture": None,
        "full_cycles": 1.0,
        "duration_kw": [1.0, 0.0],
        "months": ["2026-01"],
        "monthly_savings_eur": [saving_eur],
        "monthly_peaks_kw": [1.0],
        "monthly_peaks_without_kw": [2.0],
        "notes": [],
        **dict.fromkeys(("energy_eur", "demand_eur", "wear_eur", "stored_eur", "total_eur"), 0.0),
    }


def result(*strategies: dict[str, Any]) -> dict[str, Any]:
    return {
        "partial": True,
        "site": {"name": "Here", "timezone": "Europe/Vienna"},
        "period": {
            "start": "2026-01-01T00:00:00+01:00",
            "end": "2026-01-02T00:00:00+01:00",
            "days": 1.0,
        },
        "battery": {
            "energy_capacity_kwh": 100.0,
            "power_charge_max_kw": 50.0,
            "power_discharge_max_kw": 50.0,
        },
        "days": ["2026-01-01"],
        "without_eur": 10.0,
        "strategies": list(strategies),
        "sizing": None,
        "assumptions": [],
    }


def state(name: str) -> BacktestState:
    return BacktestState(
        id=name, name=name, by="tester", state="done", created_at=AT, share=1.0, what=""
    )


def section(parts: list[Any], title: str) -> Any:
    plain = json.loads(json.dumps(parts, cls=PlotlyJSONEncoder))
    (found,) = [p for p in plain if p and p["props"].get("aria-labelledby") == title]
    return found


def found(part: Any, key: str) -> list[Any]:
    """Return every value of `key` within a component."""
    if isinstance(part, list):
        return [value for inner in part for value in found(inner, key)]
    if not isinstance(part, dict):
        return []
    own = [part[key]] if key in part else []
    return own + [value for inner in part.values() for value in found(inner, key)]


def test_each_backtest_has_the_style_of_its_curve_in_the_legend() -> None:
    """The first of them has no strategy yet: it takes no place in chart or legend."""
    parts = body(
        state("Begun"),
        result(strategy("none", 0.0)),
        [
            (state("First"), result(strategy("timer", 3.0))),
            (state("Second"), result(strategy("timer", 4.0))),
        ],
        "npv",
        Look("light", "en"),
        allowed=False,
    )
    compared = section(parts, "bt-compared-title")
    (figure,) = found(compared, "figure")
    drawn = [(curve["name"], curve["meta"]["role"]) for curve in figure["data"]]
    assert drawn == [("First", "accent"), ("Second", "grid")]
    (entries,) = [
        part["children"] for part in found(compared, "props") if part.get("className") == "legend"
    ]
    words = [entry["props"]["children"] for entry in entries]
    legend = [(name, swatch["props"]["className"]) for swatch, name in words]
    assert legend == [
        ("First", "swatch swatch-line role-accent"),
        ("Second", "swatch swatch-dashes role-grid"),
    ]


def test_a_backtest_named_by_its_days_has_them_as_they_are_read() -> None:
    assert words.title("2026-03-01 – 2026-03-14", "de") == "01.03.2026 – 14.03.2026"
    assert words.title("2026-03-01 – 2026-03-14", "en") == "1 Mar 2026 – 14 Mar 2026"
    assert words.title("Winter, 300 kWh", "de") == "Winter, 300 kWh"
