"""Is the program ready, which part is not, and what Prometheus is told."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from engine.config.load import FILE_NAME
from engine.history.writer import WriterStatus
from tests.support.whole_program import Program, build

ELSEWHERE = {"environ_base": {"REMOTE_ADDR": "192.168.1.50"}}


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    made = build(tmp_path_factory.mktemp("ops"))
    made.engine.run_once()
    made.engine._parts.history.start()
    yield made
    made.stop()


def parts(program: Program, **what: Any) -> dict[str, tuple[str, str | None]]:
    answer = program.ask("GET", "/readyz", **what)
    found = answer.get_json()
    failed = any(part["state"] == "failed" for part in found["parts"])
    assert (answer.status_code, found["ready"]) == ((503, False) if failed else (200, True))
    return {part["name"]: (part["state"], part["detail"]) for part in found["parts"]}


def metrics(program: Program) -> dict[str, dict[tuple[str, ...], float]]:
    text = program.ask("GET", "/metrics").get_data(as_text=True)
    return {
        sample.name: found
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        for found in [
            {
                tuple(text for key, text in other.labels.items() if key != "site"): other.value
                for other in family.samples
                if other.name == sample.name
            }
        ]
    }


def test_ready_when_every_part_is_well(program: Program) -> None:
    program.engine.step()
    found = parts(program)
    assert {name: state for name, (state, _) in found.items()} == dict.fromkeys(
        ("engine", "control", "storage", "disk", "config", "lock", "audit"), "ok"
    )


def test_a_control_loop_that_hangs_is_not_ready(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program.engine, "_beat", program.engine._beat - 31.0)
    assert parts(program)["engine"][0] == "failed"


def test_a_history_that_cannot_be_written_is_not_ready(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    well: WriterStatus = program.engine.storage_status()
    broken = replace(well, failures=3, last_error="disk full")
    monkeypatch.setattr(program.engine._parts.history, "status", lambda: broken)
    state, detail = parts(program)["storage"]
    assert state == "failed"
    assert "disk full" in str(detail)


def test_a_disk_that_is_nearly_full_is_not_ready(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.runtime.readiness.free_disk_bytes", lambda _: 10_000_000)
    assert parts(program)["disk"] == ("failed", "10 MB are free.")


def test_mistakes_in_the_file_are_a_warning_before_the_next_start(program: Program) -> None:
    path = program.folder / "config" / FILE_NAME
    before = path.read_text()
    path.write_text("bess: {soc_min_percent: 200}\n")
    state, detail = parts(program)["config"]
    path.write_text(before)
    assert state == "warning"
    assert "would not start" in str(detail)


def test_a_lock_of_another_process_is_not_ready(program: Program) -> None:
    path = program.folder / "data" / "hot.duckdb.lock"
    before = path.read_text()
    path.write_text("1\n")
    assert parts(program)["lock"][0] == "failed"
    path.write_text(before)


def test_strangers_learn_that_something_failed_but_not_what(
    program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Nobody:
        def identify(self, _request: object) -> None:
            return None

    monkeypatch.setitem(program.server.extensions, "ems_access", Nobody())
    found = parts(program, **ELSEWHERE)
    assert {detail for _, detail in found.values()} == {None}
    answer = program.ask("GET", "/metrics", **ELSEWHERE)
    assert answer.status_code == 401
    assert program.ask("GET", "/metrics").status_code == 200
    passed_on = {"X-Forwarded-For": "203.0.113.7"}
    assert program.ask("GET", "/metrics", headers=passed_on).status_code == 401


def test_viewers_elsewhere_may_read_the_metrics(program: Program) -> None:
    assert program.ask("GET", "/metrics", "viewer", **ELSEWHERE).status_code == 200


def test_the_metrics_say_what_the_engine_does(program: Program) -> None:
    found = metrics(program)
    assert found["ems_plans_total"][("ok",)] == 1.0
    assert found["ems_plan_solve_seconds"][()] > 0.0
    assert found["ems_engine_state"].keys() >= {("starting",), ("safe",)}
    assert found["ems_history_file_bytes"][("database",)] > 0.0
    assert found["ems_disk_free_bytes"][()] > 0.0
    assert found["ems_audit_entries_total"][()] >= 0.0
    assert "process_resident_memory_bytes" in found


def test_requests_are_counted_by_route_and_never_by_what_was_asked(program: Program) -> None:
    for number in range(20):
        program.ask("GET", f"/api/nonsense-{number}")
        program.ask("BREW", "/api/state")
    program.ask("GET", "/api/state")
    found = metrics(program)["ems_http_requests_total"]
    assert found[("GET", "/api/state", "200")] >= 1.0
    assert not [labels for labels in found if "nonsense" in labels[1] or labels[0] == "BREW"]
    assert metrics(program)["ems_http_requests_open"][("/api/state",)] == 0.0


def test_a_second_program_has_metrics_of_its_own(program: Program, tmp_path: Path) -> None:
    other = build(tmp_path)
    program.ask("GET", "/api/alarms")
    found = metrics(other).get("ems_http_requests_total", {})
    other.stop()
    assert ("GET", "/api/alarms", "200") not in found


def test_cycles_are_timed_and_skipped_ones_counted(program: Program) -> None:
    counters = program.engine.counters
    before = metrics(program)["ems_cycle_duration_seconds_count"][()]
    counters.cycle_s.add(0.02)
    counters.cycle_s.add(50.0)
    found = metrics(program)
    assert found["ems_cycle_duration_seconds_count"][()] == before + 2
    assert found["ems_cycle_duration_seconds_bucket"][("+Inf",)] == before + 2
    assert found["ems_cycle_duration_seconds_bucket"][("2.0",)] == before + 1
