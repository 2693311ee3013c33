"""What goes out, when, and what is counted instead: one channel and several."""

from __future__ import annotations

import json
import threading
from datetime import datetime, time, timedelta
from pathlib import Path
from random import Random
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from engine.domain.alarms import AlarmChange, AlarmChangeKind
from engine.domain.clock import AcceleratedClock, ManualClock
from engine.notify.errors import NotifyError
from engine.notify.kept import KEPT_NAME, KeptMessages
from engine.notify.message import Message
from engine.notify.notifier import ChannelSetup, Notifier
from engine.notify.outbox import ChannelStatus
from engine.notify.rules import ChannelRules, RateLimit
from tests.unit.notify_builders import NOW, SITE, FakeChannel, cleared, raised


class Desk:
    """A notifier with one channel and a clock moved by hand."""

    def __init__(self, path: Path | None = None, start: datetime = NOW, **rules: Any) -> None:
        self.clock = ManualClock(start)
        self.channel = FakeChannel()
        setups = [ChannelSetup(self.channel, ChannelRules(**rules))]
        self.notifier = Notifier(
            setups,
            SITE,
            self.clock,
            Random(1),
            link="https://ems.example/",
            kept=None if path is None else KeptMessages(path),
        )

    @property
    def taken(self) -> list[Message]:
        return self.channel.taken

    def tell(self, *changes: AlarmChange, then_s: float = 10.0) -> None:
        """Hand changes over and let time pass."""
        self.notifier.tell(changes)
        self.run(then_s)

    def run(self, seconds: float) -> None:
        """Let time pass, with a look whenever one is asked for."""
        left = seconds
        while left > 0:
            wait_s = min(max(self.notifier.step(), 0.0), left)
            if wait_s == 0.0:
                continue
            self.clock.advance(wait_s)
            left -= wait_s
        while self.notifier.step() == 0.0:
            continue

    def status(self) -> ChannelStatus:
        """Return how the channel is doing."""
        return self.notifier.status()[0]


def test_what_happens_together_is_told_together_within_seconds() -> None:
    desk = Desk()
    desk.tell(raised("bms_stale", None), then_s=4)
    assert desk.taken == []
    desk.tell(raised(), then_s=5)
    (sent,) = desk.taken
    assert [c.view.name for c in sent.changes] == ["bms_stale", "link_offline"]
    assert sent.kind == "several"
    assert sent.link == "https://ems.example/"
    assert desk.status().state == "ok"


def test_rules_choose_by_severity_code_and_end() -> None:
    desk = Desk(min_severity="warning", never=frozenset({"no_plan"}), all_clear=False)
    desk.tell(
        raised("external_limit", "dso", severity="info"),
        raised("no_plan", None),
        cleared(),
        AlarmChange(AlarmChangeKind.ACKNOWLEDGED, raised().view, NOW),
    )
    assert desk.taken == []
    desk = Desk(only=frozenset({"fault"}), min_severity="info")
    desk.tell(raised(), raised("fault", None))
    assert [c.view.name for m in desk.taken for c in m.changes] == ["fault"]


def test_the_end_is_told_with_its_duration() -> None:
    desk = Desk()
    desk.tell(raised())
    desk.tell(cleared())
    assert [m.kind for m in desk.taken] == ["raised", "cleared"]
    assert "1 h 5 min" in desk.taken[1].text()


def test_quiet_hours_let_alarms_pass_and_keep_the_rest_for_the_morning() -> None:
    # 20:00 in Vienna; quiet from 19:30 to 06:00 local time.
    desk = Desk(quiet=(time(19, 30), time(6, 0)))
    desk.tell(raised("prices_outage", None, severity="warning"), raised())
    assert [c.view.name for m in desk.taken for c in m.changes] == ["link_offline"]
    desk.tell(cleared())
    assert desk.status().queued == 2
    assert desk.status().quiet_until == desk.status().next_try == NOW + timedelta(hours=10)
    desk.run(9.9 * 3600)
    assert len(desk.taken) == 1
    desk.run(600)
    assert [c.view.name for c in desk.taken[1].changes] == ["prices_outage", "link_offline"]
    assert desk.status().quiet_until is None


@pytest.mark.parametrize(
    ("start", "end", "quiet"),
    [("19:00", "21:00", True), ("20:00", "20:01", True), ("20:01", "20:00", False)],
)
def test_quiet_hours_by_the_local_clock(start: str, end: str, quiet: bool) -> None:
    rules = ChannelRules(quiet=(time.fromisoformat(start), time.fromisoformat(end)))
    until = rules.quiet_until(NOW, ZoneInfo("Europe/Vienna"))
    assert (until is not None) is quiet


def test_a_flood_becomes_few_messages_and_nothing_is_uncounted() -> None:
    desk = Desk(max_per_hour=4)
    for i in range(1000):
        desk.notifier.tell([raised("notice", f"n{i}", severity="warning")])
    desk.run(10)
    (first,) = desk.taken
    assert len(first.changes) + first.suppressed == 1000
    assert first.unlisted == len(first.changes) - 20
    assert "800 weitere Meldungen" in first.text()
    assert desk.status().suppressed == 800


def test_no_hour_has_more_messages_than_allowed_and_the_rest_is_gathered() -> None:
    desk = Desk(max_per_hour=6)
    times = []
    for i in range(240):
        before = len(desk.taken)
        desk.tell(raised("notice", f"n{i}", severity="warning"), then_s=60)
        times += [desk.clock.monotonic()] * (len(desk.taken) - before)
    for at in times:
        assert sum(1 for other in times if at <= other < at + 3600) <= 6
    assert len(times) >= 12
    desk.run(3600)
    assert sum(len(m.changes) for m in desk.taken) == 240
    assert desk.status().suppressed == 0


def test_the_worst_stays_when_too_much_waits() -> None:
    desk = Desk()
    desk.channel.failing()
    desk.tell(raised("fault", None))
    for i in range(500):
        desk.notifier.tell([raised("notice", f"n{i}", severity="warning")])
    desk.channel.working()
    desk.run(2000)
    assert "fault" in {c.view.name for c in desk.taken[0].changes}
    assert desk.taken[0].severity == "alarm"


def test_a_failing_receiver_is_asked_less_and_less_and_gets_everything_when_back() -> None:
    desk = Desk()
    desk.channel.failing()
    desk.tell(raised(), then_s=3600)
    attempts = len(desk.channel.attempts)
    assert 8 <= attempts <= 14
    assert len({m.id for m in desk.channel.attempts}) == 1
    status = desk.status()
    assert (status.state, status.last_error, status.queued) == ("failing", "it fails", 1)
    assert status.failures == attempts
    assert status.next_try is not None
    desk.channel.working()
    desk.tell(cleared(), then_s=1200)
    (sent,) = desk.taken
    assert [c.kind.value for c in sent.changes] == ["raised", "cleared"]
    assert desk.status().last_error is None


def test_a_receiver_that_asks_for_time_gets_it() -> None:
    desk = Desk()
    desk.channel.failing("busy", retry_after_s=1800.0)
    desk.tell(raised(), then_s=1700)
    assert len(desk.channel.attempts) == 1
    desk.channel.working()
    desk.run(200)
    assert len(desk.taken) == 1


def test_what_needs_a_person_is_tried_seldom() -> None:
    desk = Desk()
    desk.channel.failing("auth")
    desk.tell(raised(), then_s=3500)
    assert len(desk.channel.attempts) <= 5


def test_a_message_that_is_refused_does_not_block_the_next() -> None:
    desk = Desk()
    desk.channel.failing("message")
    desk.tell(raised())
    assert (desk.status().failed, desk.status().queued) == (1, 0)
    desk.channel.working()
    desk.tell(raised("fault", None))
    assert len(desk.taken) == 1


def test_what_is_older_than_a_day_is_not_sent() -> None:
    desk = Desk()
    desk.channel.failing()
    desk.tell(raised(), then_s=86_500)
    desk.channel.working()
    desk.tell(raised("fault", None), then_s=1200)
    assert [c.view.name for m in desk.taken for c in m.changes] == ["fault"]
    assert desk.status().expired == 1


def test_a_wall_clock_that_jumps_neither_expires_nor_delays() -> None:
    desk = Desk()
    desk.tell(raised(), then_s=4)
    desk.clock._now += timedelta(days=3)
    desk.run(6)
    assert len(desk.taken) == 1


def test_a_mistake_in_a_channel_is_no_end_and_tells_no_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    desk = Desk()
    desk.channel.fail = lambda: RuntimeError("https://host.example/T0/hunter2")
    desk.tell(raised())
    assert "RuntimeError" in (desk.status().last_error or "")
    assert "hunter2" not in (desk.status().last_error or "") + caplog.text
    desk.channel.working()
    desk.run(1200)
    assert len(desk.taken) == 1


def test_one_failing_channel_does_not_delay_another() -> None:
    clock = ManualClock(NOW)
    bad, good = FakeChannel("bad"), FakeChannel("good")
    bad.failing()
    notifier = Notifier(
        [ChannelSetup(bad, ChannelRules()), ChannelSetup(good, ChannelRules())],
        SITE,
        clock,
        Random(1),
    )
    notifier.tell([raised()])
    clock.advance(9)
    notifier.step()
    assert (len(bad.attempts), len(good.taken)) == (1, 1)
    assert [s.state for s in notifier.status()] == ["failing", "ok"]


def test_a_channel_that_hangs_holds_neither_the_engine_nor_another_channel() -> None:
    let_go, hung = threading.Event(), threading.Event()
    arrived = threading.Event()

    class Hanging(FakeChannel):
        def send(self, sent: Message) -> None:
            hung.set()
            assert let_go.wait(20)
            raise NotifyError("let go", kind="stopped")

        def close(self) -> None:
            let_go.set()

    class Telling(FakeChannel):
        def send(self, sent: Message) -> None:
            super().send(sent)
            arrived.set()

    hanging, good = Hanging("bad"), Telling("good")
    setups = [ChannelSetup(hanging, ChannelRules()), ChannelSetup(good, ChannelRules())]
    notifier = Notifier(setups, SITE, AcceleratedClock(NOW, 1000.0), Random(1))
    notifier.start()
    notifier.tell([raised()])
    assert hung.wait(20)
    assert arrived.wait(20)
    notifier.tell([raised("fault", None)] * 1000)
    assert notifier.stop()
    assert good.closed


def test_a_disabled_channel_is_listed_gets_nothing_and_can_be_tested() -> None:
    clock, channel = ManualClock(NOW), FakeChannel()
    notifier = Notifier(
        [ChannelSetup(channel, ChannelRules(), enabled=False)], SITE, clock, Random(1)
    )
    notifier.tell([raised()])
    clock.advance(100)
    notifier.step()
    assert channel.taken == []
    assert (notifier.status()[0].state, notifier.status()[0].enabled) == ("off", False)
    assert notifier.test("ops").ok
    assert channel.taken[0].kind == "test"


def test_the_test_says_why_it_failed_and_is_not_repeated_at_once() -> None:
    desk = Desk(quiet=(time(0, 0), time(23, 59)))
    desk.channel.failing("auth")
    result = desk.notifier.test("ops")
    assert (result.ok, result.detail) == (False, "it fails")
    assert desk.status().state == "failing"
    again = desk.notifier.test("ops")
    assert again.retry_after_s == pytest.approx(10.0)
    assert len(desk.channel.attempts) == 1
    desk.clock.advance(10)
    desk.channel.working()
    assert desk.notifier.test("ops").ok
    assert desk.status().state == "ok"
    with pytest.raises(NotifyError, match="no such channel"):
        desk.notifier.test("nobody")


def test_a_test_that_hangs_comes_back_and_runs_only_once() -> None:
    let_go = threading.Event()

    class Hanging(FakeChannel):
        def send(self, sent: Message) -> None:
            let_go.wait(20)

    setups = [ChannelSetup(Hanging(), ChannelRules())]
    clock = ManualClock(NOW)
    notifier = Notifier(setups, SITE, clock, Random(1), test_limit_s=0.05)
    assert "0.05 s" in notifier.test("ops").detail
    clock.advance(60)
    assert "is running" in notifier.test("ops").detail
    let_go.set()


def test_a_working_test_ends_the_wait_after_failures() -> None:
    desk = Desk()
    desk.channel.failing("auth")
    desk.tell(raised(), then_s=100)
    desk.channel.working()
    assert desk.notifier.test("ops").ok
    desk.run(1)
    assert [m.kind for m in desk.taken] == ["test", "raised"]


def test_rate_limit_in_any_hour() -> None:
    for most in (2, 3, 20, 61):
        limit, times, now_s = RateLimit(most), [], 0.0
        while now_s < 4 * 3600:
            if limit.wait_s(now_s) == 0.0:
                limit.take(now_s)
                times.append(now_s)
            else:
                now_s += limit.wait_s(now_s)
        counts = [sum(1 for t in times if s <= t < s + 3600 - 1e-6) for s in times]
        assert max(counts) <= most
        assert len(times) >= 3 * (most // 2)


# Over a restart.


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    return tmp_path / KEPT_NAME


@pytest.mark.parametrize("clean", [True, False], ids=["stopped", "killed"])
def test_what_was_not_delivered_is_sent_after_a_restart_with_its_own_times(
    kept: Path, clean: bool
) -> None:
    first = Desk(kept)
    first.channel.failing()
    first.tell(raised(count=3), cleared("no_plan", None), then_s=60)
    if clean:
        first.notifier.stop(0.1)
    second = Desk(kept, NOW + timedelta(hours=5))
    assert second.status().queued == 2
    second.run(1)
    (sent,) = second.taken
    assert sent.changes == (raised(count=3), cleared("no_plan", None)), "exactly what happened"
    assert sent.created_at == NOW + timedelta(hours=5)
    third = Desk(kept, NOW + timedelta(hours=6))
    third.run(60)
    assert (third.taken, third.status().queued) == ([], 0), "and only once"


def test_one_that_was_told_in_the_moment_of_the_stop_is_kept_too(kept: Path) -> None:
    first = Desk(kept)
    first.notifier.tell([raised()])
    first.notifier.stop(0.1)
    second = Desk(kept, NOW + timedelta(seconds=30))
    second.run(1)
    assert [c.view.id for m in second.taken for c in m.changes] == ["link_offline:meter"]


def test_its_age_goes_on_while_the_program_does_not_run(kept: Path) -> None:
    first = Desk(kept)
    first.channel.failing()
    first.tell(raised(), then_s=3600)
    first.tell(raised("fault", None), then_s=60)
    second = Desk(kept, NOW + timedelta(hours=24, minutes=30))
    second.run(1)
    assert [c.view.name for m in second.taken for c in m.changes] == ["fault"]
    assert second.status().expired == 1
    third = Desk(kept, NOW + timedelta(hours=25))
    assert third.status().queued == 0


def test_a_clock_that_was_set_back_expires_nothing(kept: Path) -> None:
    first = Desk(kept)
    first.channel.failing()
    first.tell(raised())
    second = Desk(kept, NOW - timedelta(days=400))
    second.run(10)
    assert len(second.taken) == 1


def test_what_is_kept_is_bounded_and_the_rest_counted_over_a_restart(kept: Path) -> None:
    first = Desk(kept)
    first.channel.failing()
    first.tell(*(raised(subject=f"d{i}", message="x" * 400) for i in range(260)))
    assert kept.stat().st_size < 300_000
    second = Desk(kept, NOW + timedelta(minutes=5))
    second.run(1)
    assert (len(second.taken[0].changes), second.taken[0].suppressed) == (200, 60)


def test_rules_and_channels_that_changed_meanwhile_apply(kept: Path) -> None:
    first = Desk(kept)
    first.channel.failing()
    first.tell(raised(), raised("fault", None))
    assert Desk(kept, never=frozenset({"fault"})).status().queued == 1
    other = ChannelSetup(FakeChannel("other"), ChannelRules())
    notifier = Notifier([other], SITE, ManualClock(NOW), Random(1), kept=KeptMessages(kept))
    assert notifier.status()[0].queued == 0
    notifier.tell([raised("bms_stale", None)])
    notifier.step()
    assert "ops" not in json.loads(kept.read_text())["channels"], "nobody would ever send it"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"version": 2, "channels": {}}',
        '{"version": 1}',
        "\ud800",
        "[" * 9999,
    ],
)
def test_a_file_that_cannot_be_read_is_said_and_replaced(kept: Path, text: str) -> None:
    kept.write_text(text, encoding="utf-8", errors="surrogatepass")
    desk = Desk(kept)
    assert KEPT_NAME in str(desk.notifier.problem)
    desk.channel.failing()
    desk.tell(raised())
    assert Desk(kept).status().queued == 1


def test_one_entry_that_cannot_be_read_does_not_cost_the_others(kept: Path) -> None:
    first = Desk(kept)
    first.channel.failing()
    first.tell(raised(), raised("fault", None))
    document = json.loads(kept.read_text())
    for field, value in (("ts", "2026-11-25T19:00:00"), ("severity", "loud"), ("count", True)):
        broken = json.loads(kept.read_text())
        broken["channels"]["ops"]["waiting"][0][field] = value
        kept.write_text(json.dumps(broken))
        desk = Desk(kept)
        assert (desk.status().queued, desk.notifier.problem is None) == (1, False)
        kept.write_text(json.dumps(document))
    assert Desk(kept).notifier.problem is None


def test_a_disk_that_takes_nothing_is_said_and_delays_nothing(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(path: Path, text: str) -> None:
        raise OSError(28, "No space left on device")

    desk = Desk(kept)
    desk.channel.failing()
    with monkeypatch.context() as patch:
        patch.setattr("engine.notify.kept.write_atomically", full)
        desk.tell(raised())
        assert desk.status().storage_error == "No space left on device"
    desk.run(60)
    assert desk.status().storage_error is None
    assert Desk(kept).status().queued == 1


def test_no_address_and_no_secret_is_in_the_file(kept: Path) -> None:
    desk = Desk(kept)
    desk.channel.failing()
    desk.tell(raised())
    text = kept.read_text()
    assert "host.example" not in text
    assert "https" not in text
    assert "it fails" not in text
