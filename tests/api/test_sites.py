"""Two demo sites in one program: every route answers for the site that is asked for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from ems_dash.auth.roles import Role
from ems_dash.site_router import HEADER
from engine.runtime.history_setup import DATABASE_NAME
from tests.support.login import bearer
from tests.support.whole_program import Program, build

TWO = """\
# For both.
mqtt: {enabled: false}
sites:
  - site: {id: north, name: Halle Nord}
    bess: {energy_capacity_kwh: 300.0}
  - site: {id: south, name: Halle Süd}
    bess: {energy_capacity_kwh: 90.0}
"""


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    built = build(tmp_path_factory.mktemp("two"), TWO)
    yield built
    built.stop()


def _get(program: Program, path: str, **what: Any) -> Any:
    answer = program.ask("GET", path, **what)
    assert answer.status_code == 200, answer.text
    return answer.json


def test_every_site_is_listed_with_its_battery(program: Program) -> None:
    found = _get(program, "/api/sites")["sites"]
    assert [(one["id"], one["name"]) for one in found] == [
        ("north", "Halle Nord"),
        ("south", "Halle Süd"),
    ]
    assert [one["energy_capacity_kwh"] for one in found] == [300.0, 90.0]


def test_the_parameter_chooses_the_site_and_the_first_is_the_usual_one(program: Program) -> None:
    def capacity(query: str = "", **headers: str) -> float:
        state = _get(program, f"/api/state{query}", headers=headers)
        return float(state["site"]["energy_capacity_kwh"])

    assert capacity() == capacity("?site=north") == 300.0
    assert capacity("?site=south") == 90.0
    assert capacity(**{HEADER: "south"}) == 90.0


@pytest.mark.parametrize(
    "path",
    ["/api/state", "/api/config", "/api/modbus/config", "/api/mqtt/config", "/api/events"],
)
def test_an_unknown_site_is_refused_with_the_known_ones(program: Program, path: str) -> None:
    answer = program.ask("GET", f"{path}?site=east")
    assert answer.status_code == 404
    assert answer.json["error"]["code"] == "unknown_site"
    assert "north, south" in answer.json["error"]["hint"]


def test_each_site_has_a_history_of_its_own(program: Program) -> None:
    data = program.folder / "data"
    assert (data / DATABASE_NAME).exists()
    assert (data / "sites" / "south" / DATABASE_NAME).exists()


def test_what_is_changed_for_one_site_leaves_the_other(program: Program) -> None:
    before = {site: _get(program, f"/api/config?site={site}") for site in ("north", "south")}
    assert "sites" not in before["south"]["values"]
    values = before["south"]["values"] | {"grid": {"import_limit_kw": 55.0}}
    saved = program.ask(
        "POST",
        "/api/config?site=south",
        json={"values": values, "revision": before["south"]["revision"], "save": True},
    )
    assert saved.status_code == 200, saved.text
    assert [change["path"] for change in saved.json["changes"]] == ["grid.import_limit_kw"]
    after = {site: _get(program, f"/api/config?site={site}") for site in ("north", "south")}
    assert after["north"]["values"] == before["north"]["values"]
    assert after["north"]["takes_effect_at_next_start"] == []
    assert after["south"]["values"]["grid"] == {"import_limit_kw": 55.0}
    assert "# For both." in (program.folder / "config" / "ems.yaml").read_text(encoding="utf-8")
    assert program.audit("config.changed")[0].target == "ems.yaml (south)"
    codes = [
        [event.code for event in engine.events(engine.now().replace(year=2000))]
        for engine in program.sites.engines
    ]
    assert ["config_changed" in found for found in codes] == [False, True]


def test_a_choice_of_strategy_concerns_one_site(program: Program) -> None:
    hours = {"strategy": "peak_shaving", "hours": 2}
    assert program.ask("POST", "/api/strategy?site=south", json=hours).status_code == 200
    modes = [engine.strategy_state().mode for engine in program.sites.engines]
    assert modes[0] != modes[1]


def test_health_readiness_and_metrics_cover_all_sites(program: Program) -> None:
    assert program.ask("GET", "/healthz").status_code == 200
    parts = program.ask("GET", "/readyz").json["parts"]
    assert {part["site"] for part in parts if part["name"] == "control"} == {"north", "south"}
    text = program.ask("GET", "/metrics").text
    for site in ("north", "south"):
        assert f'ems_heartbeat_age_seconds{{site="{site}"}}' in text
        assert f'ems_engine_state{{site="{site}",state="starting"}}' in text
    assert text.count("# HELP ems_heartbeat_age_seconds ") == 1


def test_events_of_one_site_are_not_told_of_another(program: Program) -> None:
    def first_state(site: str) -> str:
        answer = program.server.test_client().get(
            f"/api/events?site={site}&kinds=state", headers=bearer(Role.VIEWER), buffered=False
        )
        try:
            return b"".join(next(answer.response) for _ in range(2)).decode()
        finally:
            answer.close()

    assert '"id":"north"' in first_state("north")
    assert '"id":"south"' in first_state("south")
