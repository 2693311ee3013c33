"""Reading ``ems.yaml`` anew in the running program: what is taken over, what waits or refuses."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest

from engine.config.control import ControlConfig
from engine.config.load import ConfigProblems, parse_config
from engine.config.planning import PlanningConfig, StrategiesConfig
from engine.config.schema import Config
from engine.control.calming import Calming, CalmingSettings
from engine.control.controller import Controller
from engine.domain.errors import ConfigError
from engine.domain.site import Site
from engine.runtime.live_config import LIVE_KEYS, live_part
from engine.runtime.reload import ConfigReload

BOTH = """
sites:
  - {site: {id: north}, control: {deadband_kw: 2.0}}
  - {site: {id: south}}
"""


@dataclass
class FakeSite:
    """A running site that remembers what it was told."""

    running: Config
    adopted: list[Config] = field(default_factory=list)
    events: list[tuple[str, str, str]] = field(default_factory=list)
    cannot_run: str | None = None

    def adopt(self, config: Config) -> None:
        self.adopted.append(config)

    def record(self, severity: str, code: str, message: str) -> None:
        self.events.append((severity, code, message))

    def check(self, config: Config) -> None:
        if config.site.id == self.cannot_run:
            raise ConfigError("It cannot run.", field="ems.mode")

    def now_running(self, config: Config) -> None:
        self.running = config


def sites(*ids: str) -> list[FakeSite]:
    return [FakeSite(parse_config(f"site: {{id: {name}}}")) for name in ids]


def reload_of(folder: Path, text: str, *running: FakeSite) -> ConfigReload:
    (folder / "ems.yaml").write_text(text)
    return ConfigReload(folder, [(site, site) for site in running])


def test_what_is_safe_is_in_force_and_the_rest_is_named(tmp_path: Path) -> None:
    (site,) = sites("site-1")
    text = "control: {deadband_kw: 3.0}\nems: {optimization_interval_minutes: 5, timestep_s: 4}\n"
    text += "grid: {import_limit_kw: 50.0}\n"
    (done,) = reload_of(tmp_path, text, site).run().sites
    assert [c.path for c in done.applied] == [
        "control.deadband_kw",
        "ems.optimization_interval_minutes",
    ]
    assert [c.path for c in done.needs_restart] == ["grid.import_limit_kw", "ems.timestep_s"]
    (now,) = site.adopted
    assert now == site.running
    assert (now.control.deadband_kw, now.ems.timestep_s, now.grid.import_limit_kw) == (3, 2, 200)
    ((severity, code, message),) = site.events
    assert (severity, code) == ("info", "config_reloaded")
    assert "control.deadband_kw" in message.split("Waiting")[0]
    assert "grid.import_limit_kw" in message.split("Waiting")[1]


def test_a_second_reload_finds_nothing_new_and_says_what_still_waits(tmp_path: Path) -> None:
    (site,) = sites("site-1")
    asked = reload_of(tmp_path, "planning: {reserve_share: 0.5}\nbess: {soc_min_percent: 20}", site)
    asked.run()
    (done,) = asked.run().sites
    assert done.applied == ()
    assert [c.path for c in done.needs_restart] == ["bess.soc_min_percent"]
    assert len(site.adopted) == 1


@pytest.mark.parametrize(
    ("text", "fields"),
    [
        ("control: {deadband_kw: -1, nonsense: 2}", {"control.deadband_kw", "control.nonsense"}),
        ("control: {deadband_kw: 3}\ngrid: {import_limit_kw: lots}", {"grid.import_limit_kw"}),
        ("control: [", {None}),
    ],
)
def test_a_file_with_a_mistake_changes_nothing_and_every_mistake_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, text: str, fields: set[str | None]
) -> None:
    (site,) = sites("site-1")
    before = site.running
    with pytest.raises(ConfigProblems) as caught:
        reload_of(tmp_path, text, site).run()
    assert {p.field for p in caught.value.problems} == fields
    assert site.running is before
    assert not site.adopted
    assert [(s, c) for s, c, _ in site.events] == [("warning", "config_reload_failed")]
    assert len([r for r in caplog.records if r.levelname == "ERROR"]) == len(fields)


def test_a_file_that_is_gone_is_a_mistake_and_is_not_made_anew(tmp_path: Path) -> None:
    (site,) = sites("site-1")
    with pytest.raises(ConfigError):
        ConfigReload(tmp_path, [(site, site)]).run()
    assert not (tmp_path / "ems.yaml").exists()
    assert not site.adopted


def test_one_site_that_could_not_run_keeps_all_sites_as_they_are(tmp_path: Path) -> None:
    north, south = sites("north", "south")
    north.cannot_run = "south"
    with pytest.raises(ConfigProblems) as caught:
        reload_of(tmp_path, BOTH, north, south).run()
    assert [p.field for p in caught.value.problems] == ["sites[1].ems.mode"]
    assert not north.adopted + south.adopted


def test_every_site_gets_its_own_and_new_and_missing_ones_are_named(tmp_path: Path) -> None:
    north, west = sites("north", "west")
    report = reload_of(tmp_path, BOTH, north, west).run()
    assert [s.site_id for s in report.sites] == ["north"]
    assert (report.added, report.removed) == (("south",), ("west",))
    assert north.running.control.deadband_kw == 2.0
    assert not west.adopted


def test_the_only_site_under_another_id_is_still_the_site_and_keeps_its_id(tmp_path: Path) -> None:
    (site,) = sites("site-1")
    (done,) = reload_of(tmp_path, "site: {id: other}\ncontrol: {min_hold_s: 5}", site).run().sites
    assert [c.path for c in done.needs_restart] == ["site.id"]
    assert (site.running.site.id, site.running.control.min_hold_s) == ("site-1", 5.0)


def test_what_is_taken_over_is_valid_together_with_what_is_not() -> None:
    """No rule ties a live key to another section; a new one of that kind must turn up here."""
    wanted = Config(
        control=ControlConfig(mode="hold", without_plan="self_consumption"),
        strategies=StrategiesConfig(selection_mode="manual", peak_target_kw=40.0),
        planning=PlanningConfig(uncertainty="scenarios", peak_reserve="on"),
    )
    now = live_part(Config(), wanted)
    assert Config.model_validate(now.model_dump(by_alias=True)) == now
    assert set(LIVE_KEYS) == {
        *("control", "strategies", "planning", "ems.optimization_interval_minutes")
    }


def test_calming_keeps_the_rest_of_a_direction_and_the_ramp_of_the_last_setpoint() -> None:
    calming = Calming(CalmingSettings(deadband_kw=1.0, ramp_kw_per_s=1.0, min_hold_s=60.0))
    calming.done(20.0, 100.0)
    calming.adopt(CalmingSettings(deadband_kw=1.0, ramp_kw_per_s=5.0, min_hold_s=10.0))
    assert calming.rested(-20.0, 105.0) == 0.0, "the rest counts from when it was left"
    assert calming.rested(-20.0, 111.0) == -20.0
    assert calming.ramped(60.0, 102.0) == 30.0, "from the last setpoint, at the new ramp"


def test_a_controller_decides_by_the_settings_of_a_new_one_after_taking_them_over(
    site: Site,
) -> None:
    config = ControlConfig(
        deadband_kw=0.5, guard_margin_percent=7.0, net_load_gain=0.2, calm_filter_s=5.0
    )
    running, fresh = Controller(site), Controller(site, config)
    running.adopt(config)
    for name in ("_calming", "_live", "_calm", "_guard"):
        assert vars(getattr(running, name)) == vars(getattr(fresh, name)), name
    assert running._config == config
