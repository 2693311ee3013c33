"""From the state of a cycle to what people are told; texts of messages."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from engine.config.notify import ALARM_CODES, NotificationsConfig
from engine.domain.alarms import ENGINE_ALARMS, AlarmView, Condition
from engine.domain.clock import ManualClock
from engine.domain.control import CommandReport, EngineState, PowerLimits, StepHealth
from engine.domain.records import EventRow
from engine.domain.sample import ProcessImage
from engine.domain.snapshot import EngineSnapshot, Notice
from engine.notify.book import AlarmBook
from engine.notify.conditions import conditions
from engine.notify.desk import AlarmDesk
from engine.notify.factory import build_notifier
from engine.notify.notifier import ChannelSetup, Notifier
from engine.notify.plain import one_line
from engine.notify.rules import ChannelRules
from engine.notify.titles import TITLES, duration
from tests.unit.notify_builders import NOW, SITE, FakeChannel, cleared, message, raised
from tests.unit.ui_builders import NOW as SNAPSHOT_TS
from tests.unit.ui_builders import link, plan, samples, snapshot, stale


def codes(**changes: Any) -> dict[str, Condition]:
    """Return the conditions of a healthy site with `changes`, by code."""
    return {c.code: c for c in conditions(snapshot(**changes))}


def image(**more: Any) -> ProcessImage:
    return ProcessImage(SITE.site_id, SNAPSHOT_TS, samples() | more)


def step(name: str, error: str) -> StepHealth:
    return StepHealth(name, False, None, failures=3, last_error=error)


def test_a_healthy_site_has_none() -> None:
    assert codes() == {}


@pytest.mark.parametrize(
    ("changes", "code", "severity"),
    [
        ({"state": EngineState.FAULT, "state_reason": "x"}, "fault", "alarm"),
        ({"state": EngineState.SAFE, "state_reason": "x"}, "safe_state", "alarm"),
        ({"state": EngineState.DEGRADED, "state_reason": "x"}, "degraded_state", "warning"),
        ({"links": (link(state="offline", reason="x"),)}, "link_offline", "alarm"),
        ({"links": (link("mqtt", state="offline", reason="x"),)}, "link_offline", "warning"),
        ({"links": (link(state="degraded", reason="x"),)}, "link_degraded", "warning"),
        ({"image": image(grid_kw=stale(1.0, 60.0))}, "meter_stale", "alarm"),
        ({"image": image(soc_percent=stale(1.0, 60.0))}, "bms_stale", "alarm"),
        ({"plan": None}, "no_plan", "warning"),
        ({"plan": plan(SNAPSHOT_TS - timedelta(days=3))}, "no_plan", "warning"),
        ({"price": None}, "no_price", "warning"),
        ({"command": CommandReport("refused", "x")}, "command_refused", "alarm"),
        ({"command": CommandReport("no_effect", "x")}, "command_no_effect", "alarm"),
        (
            {"command": CommandReport("idle", flash_writes_today=9, daily_write_budget=9)},
            "write_budget_used",
            "warning",
        ),
        ({"limits": PowerLimits(4.2, 9.0, "external_dso", "x")}, "external_limit", "info"),
        ({"health": (step("control", "x"),)}, "control_failing", "alarm"),
        ({"health": (step("plan", "x"),)}, "planning_failing", "warning"),
        ({"health": (step("history", "x"),)}, "history_failing", "alarm"),
        ({"health": (step("history", "IO: No space left on device"),)}, "disk_full", "alarm"),
        ({"health": (step("else", "x"),)}, "step_failing", "warning"),
        ({"notices": (Notice("prices_none", "warning", "x"),)}, "prices_outage", "alarm"),
        ({"notices": (Notice("prices_late", "warning", "x"),)}, "prices_late", "warning"),
        ({"notices": (Notice("weather_outage", "warning", "x"),)}, "weather_outage", "warning"),
        ({"notices": (Notice("clock_implausible", "alarm"),)}, "clock_implausible", "alarm"),
        ({"notices": (Notice("new_thing", "warning", "x"),)}, "notice", "warning"),
        ({"ts": datetime(2019, 1, 1, tzinfo=UTC)}, "clock_implausible", "alarm"),
    ],
)
def test_each_fault_is_one_alarm(changes: dict[str, Any], code: str, severity: str) -> None:
    found = codes(**changes)
    assert set(found) == {code}
    assert found[code].severity == severity


def test_what_is_not_known_is_no_fault() -> None:
    starting = codes(
        state=EngineState.STARTING, plan=None, price=None, image=image(grid_kw=stale(0, 9))
    )
    assert starting == {}
    no_meter = {k: v for k, v in samples().items() if k != "grid_kw"}
    assert codes(image=ProcessImage(SITE.site_id, SNAPSHOT_TS, no_meter)) == {}
    assert codes(health=(StepHealth("plan", False, None),)) == {}
    assert codes(notices=(Notice("monitor_mode", "warning"), Notice("prices_cached", "info"))) == {}
    assert codes(links=(link(state="connecting"),)) == {}


def test_a_consequence_is_not_told_beside_its_cause() -> None:
    found = codes(state=EngineState.DEGRADED, state_reason="no_plan", plan=None)
    assert set(found) == {"no_plan"}


def test_a_new_site_that_waits_for_its_first_hour_calls_nobody() -> None:
    waits = StepHealth("plan", False, None, 0, 0, "Wait until an hour has been measured.")
    assert codes(state=EngineState.WAITING, plan=None, health=(waits,)) == {}
    monitoring = codes(state=EngineState.MONITORING, plan=None, health=(waits,))
    assert monitoring == {}
    failed = replace(waits, failures=1)
    assert "no_plan" in codes(state=EngineState.DEGRADED, plan=None, health=(failed,))


def test_every_code_is_known_and_has_a_name_in_both_languages() -> None:
    for code in ALARM_CODES:
        assert all(TITLES[code].get(language) for language in ("de", "en")), code
    assert set(TITLES) == set(ALARM_CODES)
    assert len(set(ALARM_CODES)) == len(ALARM_CODES)


class Site:
    """A desk with one channel, fed with cycles of 2 s."""

    def __init__(self, rows: list[EventRow] | None = None, beat_s: float = 0.0) -> None:
        self.published: list[list[str]] = []
        self.clock = ManualClock(SNAPSHOT_TS)
        self.channel = FakeChannel()
        setups = [ChannelSetup(self.channel, ChannelRules())]
        self.notifier = Notifier(setups, SITE, self.clock, Random(1), language="en")
        self.rows: list[EventRow] = []
        self.beat_s = beat_s
        self.desk = AlarmDesk(
            "site-1",
            self.clock,
            AlarmBook(self.clock),
            self.notifier,
            add_event=self.rows.append,
            heartbeat_age_s=lambda: self.beat_s,
            publish=lambda views: self.published.append([v.id for v in views]),
        )
        self.desk.restore(rows or [])

    def run(self, seconds: float, **changes: Any) -> EngineSnapshot:
        """Feed cycles and deliver what is due."""
        fed = snapshot(**changes)
        for _ in range(round(seconds / 2)):
            self.clock.advance(2)
            fed = replace(fed, ts=self.clock.now(), plan=plan(self.clock.now()))
            self.desk.feed(fed)
            self.notifier.step()
        return fed

    def told(self) -> list[tuple[str, str]]:
        """Return code and kind of everything that was told."""
        return [(c.view.name, c.kind.value) for m in self.channel.taken for c in m.changes]


OFFLINE = {"links": (link(state="offline", reason="it refuses the connection"),)}


def test_a_dead_link_is_listed_stored_and_told_once_and_so_is_its_end() -> None:
    site = Site()
    site.run(120, **OFFLINE)
    (view,) = site.desk.views()
    assert (view.id, view.active) == ("link_offline:bms", True)
    site.run(120)
    assert site.told() == [("link_offline", "raised"), ("link_offline", "cleared")]
    assert [(r.code, r.severity) for r in site.rows] == [
        ("alarm_raised", "alarm"),
        ("alarm_cleared", "info"),
    ]
    assert site.rows[0].message == "link_offline [bms]: it refuses the connection"
    assert site.desk.acknowledge("link_offline:bms", "anna") == ("link_offline:bms",)
    site.run(2)
    assert site.rows[-1].code == "alarm_acknowledged"
    assert site.desk.views() == ()
    assert len(site.told()) == 2


def test_after_a_restart_an_open_alarm_is_not_told_again() -> None:
    first = Site()
    first.run(60, **OFFLINE)
    second = Site(first.rows)
    assert [v.id for v in second.desk.views()] == ["link_offline:bms"]
    second.run(20)
    second.run(120, **OFFLINE)
    assert (second.told(), second.rows) == ([], [])
    second.run(60)
    assert second.told() == [("link_offline", "cleared")]


def test_alarms_of_the_battery_are_told_but_not_stored_twice() -> None:
    site = Site()
    bit = AlarmView("system_fault", True, SNAPSHOT_TS)
    site.run(20, alarms=(bit,))
    site.run(20, alarms=(replace(bit, active=False, cleared_at=SNAPSHOT_TS),))
    site.run(20)
    assert site.told() == [("system_fault", "raised"), ("system_fault", "cleared")]
    assert site.rows == []
    assert site.desk.views() == ()


def test_after_a_restart_an_alarm_of_the_battery_is_not_told_again() -> None:
    rows = [
        EventRow(NOW, "site-1", "alarm", "alarm_raised", "system_fault"),
        EventRow(NOW, "site-1", "alarm", "alarm_raised", "charge_prohibited"),
    ]
    site = Site(rows)
    site.run(10)
    bit = AlarmView("system_fault", True, SNAPSHOT_TS)
    site.run(40, alarms=(bit,))
    assert site.told() == []
    site.run(60, alarms=(bit,))
    assert site.told() == [("charge_prohibited", "cleared")]


def test_the_engines_own_alarms_may_stand_beside_them() -> None:
    site = Site()
    fed = site.run(60, **OFFLINE)
    site.run(60, **OFFLINE, alarms=(*fed.alarms, *site.desk.views()))
    assert site.told() == [("link_offline", "raised")]


def test_a_clock_that_jumps_is_told_once() -> None:
    site = Site()
    site.run(10)
    site.clock._now += timedelta(hours=1)
    site.run(30)
    assert site.told() == [("clock_jumped", "raised")]
    assert site.desk.views()[0].message == "By +3600 s."


def test_an_engine_that_hangs_is_told_by_another_thread() -> None:
    site = Site()
    site.run(10)
    site.beat_s = 45.0
    site.desk.look_at_heartbeat()
    site.desk.look_at_heartbeat()
    assert [r.message for r in site.rows] == ["engine_hangs: No cycle was completed for 45 s."]
    assert site.published == [["engine_hangs"]], "no cycle would carry it to the broker"
    site.clock.advance(9)
    site.notifier.step()
    assert site.told() == [("engine_hangs", "raised")]
    site.beat_s = 0.1
    site.desk.look_at_heartbeat()
    site.run(60)
    assert site.told()[-1] == ("engine_hangs", "cleared")


def test_what_no_snapshot_shows_can_be_raised() -> None:
    site = Site()
    site.desk.raise_alarm("disk_full", "alarm", None, "3 MB free", site.clock.now())
    site.run(60)
    site.desk.clear("disk_full", None, site.clock.now())
    site.run(100)
    assert site.told() == [("disk_full", "raised"), ("disk_full", "cleared")]


def test_threads_start_and_stop_and_the_status_has_no_secret() -> None:
    config = NotificationsConfig.model_validate(
        {
            "base_url": "https://ems.site.example/",
            "channels": [
                {"type": "webhook", "name": "ops", "url_env": "EMS_HOOK", "secret_env": "EMS_KEY"},
                {"type": "mqtt", "name": "bus", "enabled": False},
                {
                    "type": "email",
                    "name": "mail",
                    "host": "127.0.0.1",
                    "port": 9,
                    "security": "plain",
                    "sender": "a@b.example",
                    "recipients": ["c@d.example"],
                },
            ],
        }
    )
    published: list[tuple[str, bytes]] = []

    def publish(topic: str, payload: bytes) -> bool:
        published.append((topic, payload))
        return True

    clock = ManualClock(NOW)
    notifier = build_notifier(
        config,
        SITE,
        clock,
        Random(1),
        publish=publish,
        default_topic="ems/site-1/notification",
        environment={"EMS_HOOK": "https://hooks.example/T0/hunter2", "EMS_KEY": "hunter2"},
    )
    shown = repr(notifier.status())
    assert "hunter2" not in shown
    assert [(s.target, s.state) for s in notifier.status()] == [
        ("hooks.example", "unused"),
        ("ems/site-1/notification", "off"),
        ("127.0.0.1:9 (1)", "unused"),
    ]
    assert notifier.test("bus").ok
    assert published[0][0] == "ems/site-1/notification"
    assert b"https://ems.site.example/" in published[0][1]
    desk = AlarmDesk("site-1", clock, AlarmBook(clock), notifier, add_event=lambda _row: None)
    assert ENGINE_ALARMS.keys() >= {"fault"}
    desk.stop()


def test_the_text_says_what_since_when_and_where_to_look() -> None:
    text = message(raised(), language="en", link="https://ems.example/").text()
    assert text.splitlines() == [
        "Site: Standort Wien (site-1)",
        "",
        "Alarm: Connection lost (meter) – raised",
        "  Detail: it refuses the connection",
        "  Since: 2026-11-25 20:00:00 CET (2026-11-25 19:00:00 UTC)",
        "  Code: link_offline",
        "",
        "Look at it: https://ems.example/",
    ]


def test_several_are_headed_by_the_worst() -> None:
    several = message(raised("no_plan", None, severity="warning"), raised(), cleared("fault", None))
    assert (
        several.subject()
        == "[Standort Wien] 3 Meldungen: Alarm: Verbindung getrennt (meter) – aufgetreten"
    )
    assert several.severity == "alarm"
    assert message(cleared()).severity == "info"


def test_one_that_flaps_says_how_often() -> None:
    change = replace(cleared(), times=12, window_s=600.0)
    assert "12-mal in 10 min gekommen und gegangen" in message(change).text()
    assert "came and went 12 times in 10 min" in message(change, language="en").text()


def test_a_message_is_bounded_and_utf8_whatever_is_in_it() -> None:
    nasty = "\ud800\u202e\x00\r\n" + "ä" * 10_000
    changes = [raised("notice", f"n{i}", message=nasty) for i in range(200)]
    sent = message(*changes, site_name=nasty)
    assert len(sent.as_json()) < 256_000
    assert len(sent.subject()) <= 150
    assert sent.unlisted == 180
    sent.as_json().decode("utf-8")


def test_words_for_lengths_of_time() -> None:
    assert duration(0, "de") == "0 s"
    assert duration(59.6, "de") == "1 min"
    assert duration(3900, "de") == "1 h 5 min"
    assert duration(2 * 86_400 + 3600, "de") == "2 Tage 1 h"
    assert duration(86_400, "en") == "1 day"


def test_one_line_of_anything() -> None:
    assert one_line("  a\r\n\tb\x85c\u2028d ") == "a b c d"
    assert one_line("abc", 2) == "a…"
