"""`python -m ems_dash solve`: what a person and a program get to read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ems_dash.__main__ import main

CASE: dict[str, Any] = {
    "start": "2026-03-01T17:00:00+01:00",
    "step_minutes": 60,
    "buy": [0.30, 0.10, 0.437],
    "sell": [0.05, 0.05, 0.05],
    "pv_kw": [0, 0, 0],
    "load_kw": [10, 10, 10],
    "battery": {
        "capacity_kwh": 20,
        "charge_kw": 10,
        "discharge_kw": 10,
        "eta_c": 0.9,
        "eta_d": 0.9,
        "soc_min": 0.1,
        "soc_max": 0.5,
        "soc_init": 0.1,
        "soc_final": None,
        "cycle_cost_per_kwh": 0.01,
    },
    "grid": {"import_kw": 50, "export_kw": 50},
}


def run(case: dict[str, Any], tmp_path: Path, *options: str) -> int:
    path = tmp_path / "case.json"
    path.write_text(json.dumps(case), encoding="utf-8")
    return main(["solve", str(path), *options])


def test_the_table_shows_every_step_with_its_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(CASE, tmp_path) == 0
    text = capsys.readouterr().out
    assert "check       passed" in text
    rows = [line for line in text.splitlines() if line.startswith("01.03.")]
    assert [row[:12] for row in rows] == ["01.03. 17:00", "01.03. 18:00", "01.03. 19:00"]
    assert "waits for 18:00 at 10.0 ct, 20.0 ct better than now" in rows[0]
    assert "10.0 ct now, for 19:00 at 43.7 ct" in rows[1]
    assert "43.7 ct now, stored worth" in rows[2]


def test_a_billed_peak_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = CASE | {"buy": [0.2] * 3, "load_kw": [5, 5, 30], "demand_charge_per_kw": 8}
    assert run(case, tmp_path) == 0
    text = capsys.readouterr().out
    assert "because of the billed peak" in text
    assert "sets the billed peak" in text


def test_the_answer_for_programs_is_json_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(CASE, tmp_path, "--json") == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["check"]["passed"]
    assert len(answer["battery_kw"]) == 3


def test_an_unknown_key_is_an_error_that_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(CASE | {"prices": []}, tmp_path) != 0
    assert "prices" in capsys.readouterr().err
