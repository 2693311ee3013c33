"""``POST /api/config/reload`` over the whole program: in force at once, or refused whole."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.whole_program import Program, build


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    made = build(tmp_path_factory.mktemp("reloaded"), "strategies: {switch_threshold: 0.2}\n")
    yield made
    made.stop()


def file_of(program: Program) -> Path:
    return program.folder / "config" / "ems.yaml"


def test_it_is_in_force_at_once_told_and_taken_down(program: Program) -> None:
    file_of(program).write_text(
        "strategies: {switch_threshold: 0.3}\ncontrol: {mode: hold}\ngrid: {export_limit_kw: 9}\n"
    )
    pending = program.ask("GET", "/api/config").get_json()["takes_effect_at_next_start"]
    assert len(pending) == 3
    answer = program.ask("POST", "/api/config/reload")
    assert answer.status_code == 200
    told = answer.get_json()
    (site,) = told["sites"]
    assert told["applied"] is True
    assert [c["path"] for c in site["applied"]] == ["control.mode", "strategies.switch_threshold"]
    assert [c["path"] for c in site["needs_restart"]] == ["grid.export_limit_kw"]
    pending = program.ask("GET", "/api/config").get_json()["takes_effect_at_next_start"]
    assert [c["path"] for c in pending] == ["grid.export_limit_kw"]
    program.engine.run_once()
    assert program.engine.snapshot().site.grid.export_limit_kw == 200.0
    assert program.engine.strategy_state().switch_threshold == 0.3
    entry = program.audit("config.reload")[0]
    assert (entry.outcome, entry.after["site-1"]["control.mode"]) == ("done", "hold")
    assert entry.actor != "system"


def test_a_bad_file_is_refused_whole_with_every_mistake(program: Program) -> None:
    before = program.engine.settings.running if program.engine.settings else None
    file_of(program).write_text("strategies: {switch_threshold: 0.4}\ngrid: {import_limit_kw: x}\n")
    answer = program.ask("POST", "/api/config/reload")
    assert answer.status_code == 400
    told = answer.get_json()
    assert (told["applied"], told["sites"]) == (False, [])
    assert [p["field"] for p in told["problems"]] == ["grid.import_limit_kw"]
    assert program.engine.settings is not None
    assert program.engine.settings.running is before
    assert program.audit("config.reload")[0].outcome == "failed"


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_only_admins_may(program: Program, role: str) -> None:
    assert program.ask("POST", "/api/config/reload", role).status_code == 403


def test_with_two_sites_each_takes_over_its_own(tmp_path: Path) -> None:
    both = "sites:\n- site: {id: north}\n- {site: {id: south}, control: {deadband_kw: %s}}\n"
    program = build(tmp_path, both % 1.0)
    try:
        file_of(program).write_text(both % 2.5)
        told = program.ask("POST", "/api/config/reload").get_json()
        assert [(s["site_id"], [c["path"] for c in s["applied"]]) for s in told["sites"]] == [
            ("north", []),
            ("south", ["control.deadband_kw"]),
        ]
        south = program.sites.by_id["south"].settings
        assert south is not None
        assert south.running.control.deadband_kw == 2.5
    finally:
        program.stop()
