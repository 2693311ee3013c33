"""The audit log: whatever is altered shows, nothing in it is lost, and it holds up nobody."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.audit import files
from engine.audit.anchor import Anchor
from engine.audit.errors import AuditError
from engine.audit.key import read_key
from engine.audit.log import AuditLog
from engine.audit.opening import open_audit
from engine.audit.reading import AuditQuery, read_page
from engine.audit.trail import Origin, acting, noting
from engine.audit.verify import AuditReport, verify
from engine.domain.clock import ManualClock
from engine.domain.errors import ControlError

KEY = b"k" * 32
START = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START)


@pytest.fixture
def audit(tmp_path: Path, clock: ManualClock) -> AuditLog:
    return AuditLog(tmp_path / "audit", KEY, clock)


def fill(audit: AuditLog, count: int) -> None:
    for number in range(count):
        audit.note("test.change", f"thing {number}", before=number, after=number + 1)


def checked(audit: AuditLog, *anchors: Anchor) -> AuditReport:
    return verify(audit.folder, audit.key, anchors)


def lines(audit: AuditLog) -> list[str]:
    return [
        line for path in files.log_files(audit.folder) for line in path.read_text().splitlines()
    ]


def entries(audit: AuditLog, query: AuditQuery | None = None) -> list[tuple[str, str]]:
    page = read_page(audit.folder, query or AuditQuery(limit=200))
    return [(entry.action, entry.target) for entry in page.entries]


def test_an_untouched_log_is_whole(audit: AuditLog) -> None:
    fill(audit, 5)
    report = checked(audit)
    assert report.ok
    assert (report.entries, report.first_seq, report.last_seq) == (5, 1, 5)


def test_an_entry_says_who_what_when_and_from_where(audit: AuditLog) -> None:
    with acting(Origin("anna", "session", "192.168.1.7")):
        audit.note("strategy.manual", "site", before="auto", after="arbitrage")
    (entry,) = read_page(audit.folder, AuditQuery()).entries
    assert (entry.actor, entry.via, entry.address) == ("anna", "session", "192.168.1.7")
    assert (entry.before, entry.after, entry.outcome) == ("auto", "arbitrage", "done")
    assert entry.ts == "2026-11-26T12:00:00.000+00:00"


def test_without_an_origin_it_is_the_program_itself(audit: AuditLog) -> None:
    with acting(Origin("anna", "session")):
        pass
    audit.note("a.change", "x")
    assert read_page(audit.folder, AuditQuery()).entries[0].actor == "system"


def test_a_named_actor_is_taken_down_as_given(audit: AuditLog) -> None:
    audit.record("bob", "login.failed", "bob", address="10.0.0.9", outcome="refused")
    entry = read_page(audit.folder, AuditQuery()).entries[0]
    assert (entry.actor, entry.address, entry.outcome) == ("bob", "10.0.0.9", "refused")


def edited(text: str) -> str:
    return text.replace('"after":3', '"after":9')


def without(number: int) -> Callable[[str], str]:
    def change(text: str) -> str:
        kept = text.splitlines(keepends=True)
        del kept[number]
        return "".join(kept)

    return change


def swapped(text: str) -> str:
    rows = text.splitlines(keepends=True)
    rows[1], rows[2] = rows[2], rows[1]
    return "".join(rows)


def doubled(text: str) -> str:
    rows = text.splitlines(keepends=True)
    return "".join([*rows[:2], *rows[1:]])


def forged(text: str) -> str:
    row = json.loads(text.splitlines()[-1])
    row |= {"seq": row["seq"] + 1, "prev": row["mac"], "actor": "mallory"}
    return text + json.dumps(row, sort_keys=True, separators=(",", ":")) + "\n"


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (edited, "changed"),
        (without(2), "missing"),
        (without(0), "missing"),
        (swapped, "missing"),
        (doubled, "order"),
        (forged, "changed"),
        (lambda text: text.replace('{"action"', '{"Action"', 1), "unreadable"),
        (lambda text: text[:-20], "torn"),
    ],
)
def test_what_is_altered_shows(audit: AuditLog, change: Callable[[str], str], kind: str) -> None:
    fill(audit, 5)
    (path,) = files.log_files(audit.folder)
    path.write_text(change(path.read_text()))
    report = checked(audit)
    assert not report.ok
    assert kind in {problem.kind for problem in report.problems}


def test_missing_newest_entries_show_by_the_anchor(audit: AuditLog, clock: ManualClock) -> None:
    fill(audit, 3)
    clock.advance(3601)
    fill(audit, 1)
    (path,) = files.log_files(audit.folder)
    kept = path.read_text().splitlines(keepends=True)
    path.write_text("".join(kept[:-1]))
    assert [problem.kind for problem in checked(audit).problems] == ["truncated"]


def test_a_rewritten_log_shows_by_an_anchor_kept_elsewhere(
    audit: AuditLog, tmp_path: Path, clock: ManualClock
) -> None:
    fill(audit, 3)
    kept = Anchor.from_text(audit.anchor().text)  # type: ignore[union-attr]
    other = AuditLog(tmp_path / "other", KEY, clock)
    fill(other, 2)
    other.note("something.else", "x")
    assert checked(other).ok
    assert [problem.kind for problem in checked(other, kept).problems] == ["anchor"]


def test_anchors_are_made_hourly_and_told(tmp_path: Path, clock: ManualClock) -> None:
    told: list[Anchor] = []
    audit = AuditLog(tmp_path, KEY, clock, tell=told.append)
    fill(audit, 3)
    clock.advance(3599)
    fill(audit, 1)
    assert [anchor.seq for anchor in told] == [3 - 2]
    clock.advance(2)
    fill(audit, 1)
    assert [anchor.seq for anchor in told] == [1, 5]
    assert checked(audit).anchors == 2


def test_the_chain_goes_on_over_files_and_a_restart(tmp_path: Path, clock: ManualClock) -> None:
    for _ in range(3):
        fill(AuditLog(tmp_path, KEY, clock, file_bytes=2_000), 10)
    report = verify(tmp_path, KEY)
    assert report.ok
    assert report.files > 3
    assert report.entries == report.last_seq


def test_old_files_go_and_the_log_says_which(tmp_path: Path, clock: ManualClock) -> None:
    audit = AuditLog(tmp_path, KEY, clock, file_bytes=1_000, max_files=3)
    fill(audit, 40)
    assert len(files.log_files(tmp_path)) <= 3
    assert checked(audit).ok
    assert "audit.pruned" in {action for action, _ in entries(audit)}
    files.log_files(tmp_path)[0].unlink()
    assert [problem.kind for problem in checked(audit).problems] == ["missing"]


def test_a_line_cut_by_a_power_cut_is_mended_and_said(audit: AuditLog) -> None:
    fill(audit, 3)
    (path,) = files.log_files(audit.folder)
    with path.open("ab") as file:
        file.write(b'{"action":"half')
    again = AuditLog(audit.folder, KEY, ManualClock(START))
    again.note("after.it", "x")
    assert checked(again).ok
    assert entries(again)[:2] == [("after.it", "x"), ("audit.repaired", path.name)]


def test_an_anchor_cut_by_a_power_cut_does_not_spoil_the_next(audit: AuditLog) -> None:
    fill(audit, 3)
    audit.anchor()
    with (audit.folder / files.ANCHORS).open("ab") as file:
        file.write(b'{"seq":')
    again = AuditLog(audit.folder, KEY, ManualClock(START))
    again.note("after.it", "x")
    again.anchor()
    report = checked(again)
    assert report.ok, report.problems
    assert report.anchors >= 2


def test_a_disk_that_takes_nothing_holds_nobody_up(
    audit: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    fill(audit, 1)
    real = os.fsync

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    audit.note("while.full", "a")
    audit.note("while.full", "b")
    status = audit.status()
    assert (status.waiting, status.problem) == (2, "No space left on device")
    assert checked(audit).entries == 1
    monkeypatch.setattr(os, "fsync", real)
    audit.note("afterwards", "c")
    assert entries(audit)[:3] == [("afterwards", "c"), ("while.full", "b"), ("while.full", "a")]
    assert checked(audit).ok
    assert audit.status().problem is None


def test_what_does_not_even_fit_in_memory_is_counted(
    audit: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.audit.log.MAX_WAITING", 2)
    real = os.fsync
    monkeypatch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError(28, "full")))
    fill(audit, 5)
    monkeypatch.setattr(os, "fsync", real)
    audit.note("afterwards", "x")
    found = {entry.action: entry.after for entry in read_page(audit.folder, AuditQuery()).entries}
    assert found["audit.lost"] == {"entries": 4}


def test_programs_beside_each_other_share_one_chain(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from engine.audit.opening import open_audit\n"
        "log = open_audit(Path(sys.argv[1]), Path(sys.argv[2]))\n"
        "for i in range(40): log.record('cli', 'test', str(i))\n"
    )
    read_key(tmp_path, make=True)
    argv = [sys.executable, "-c", code, str(tmp_path), str(tmp_path / "data")]
    child = subprocess.Popen(argv)
    mine = open_audit(tmp_path, tmp_path / "data")
    mine_written = 0
    while child.poll() is None:
        mine.note("test", str(mine_written))
        mine_written += 1
        time.sleep(0.005)
    assert child.returncode == 0
    report = verify(mine.folder, mine.key)
    assert report.ok
    assert report.entries == 40 + mine_written


def test_texts_cannot_forge_a_line(audit: AuditLog) -> None:
    evil = 'x"}\n{"seq": 99}\r\n\x1b[31m\u2028 \ud800'
    audit.record(evil, "login.failed", evil, after={evil: evil})
    assert len(lines(audit)) == 1
    assert lines(audit)[0].isascii()
    assert checked(audit).ok


def test_secrets_are_not_kept(audit: AuditLog) -> None:
    audit.note(
        "config.changed",
        "ems.yaml",
        before={"notifications.channels.ops.url": "https://h/canary-1"},
        after={"mqtt": {"password": "canary-2"}, "list": [{"api_key": "canary-3"}]},
    )
    audit.note("config.changed", "prices.token", before="canary-4", after="canary-5")
    assert "canary" not in "".join(lines(audit))


def test_long_and_odd_values_are_kept_short_and_readable(audit: AuditLog) -> None:
    audit.note("x" * 1000, "t", before="y" * 50_000, after={"value": float("nan"), "at": START})
    assert len(lines(audit)[0]) < 20_000
    assert checked(audit).ok


def test_filters_and_pages(audit: AuditLog, clock: ManualClock) -> None:
    fill(audit, 7)
    clock.advance(60)
    with acting(Origin("Anna", "session")):
        audit.note("strategy.manual", "site", outcome="failed")
    assert entries(audit, AuditQuery(actor="anna")) == [("strategy.manual", "site")]
    assert entries(audit, AuditQuery(action="strategy.")) == [("strategy.manual", "site")]
    assert entries(audit, AuditQuery(outcome="failed")) == [("strategy.manual", "site")]
    assert len(entries(audit, AuditQuery(since=START + timedelta(seconds=30)))) == 1
    assert len(entries(audit, AuditQuery(until=START + timedelta(seconds=30)))) == 7
    first = read_page(audit.folder, AuditQuery(limit=5))
    rest = read_page(audit.folder, AuditQuery(limit=5, before=first.next_before))
    assert [entry.seq for entry in (*first.entries, *rest.entries)] == [8, 7, 6, 5, 4, 3, 2, 1]
    assert rest.next_before is None


def test_a_search_without_end_says_where_to_go_on(
    audit: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.audit.reading.MAX_LOOKED_AT", 3)
    fill(audit, 5)
    page = read_page(audit.folder, AuditQuery(actor="nobody"))
    assert (page.entries, page.next_before) == ((), 3)


def test_what_fails_is_taken_down_as_failed(audit: AuditLog) -> None:
    with (
        pytest.raises(ControlError),
        noting(audit, "manual.give", "site", after={"power_kw": 900}),
    ):
        raise ControlError("too much")
    entry = read_page(audit.folder, AuditQuery()).entries[0]
    assert (entry.outcome, entry.after["error"]) == ("failed", "control_refused")


def test_the_key_is_private_and_its_loss_is_said(tmp_path: Path) -> None:
    audit = open_audit(tmp_path / "config", tmp_path / "data")
    audit.note("a", "b")
    key_file = tmp_path / "config" / "secrets" / files.KEY_NAME
    assert key_file.stat().st_mode & 0o777 == 0o600
    assert files.log_files(audit.folder)[0].stat().st_mode & 0o777 == 0o600
    assert open_audit(tmp_path / "config", tmp_path / "data").key == audit.key
    key_file.write_text("no key")
    with pytest.raises(AuditError, match="damaged"):
        read_key(tmp_path / "config")


def test_a_log_of_another_key_is_set_aside_and_never_mixed(tmp_path: Path) -> None:
    data = tmp_path / "data"
    open_audit(tmp_path / "config", data).note("a", "b")
    with pytest.raises(AuditError, match="another key"):
        open_audit(tmp_path / "elsewhere", data)
    anew = open_audit(tmp_path / "elsewhere", data, begin_anew=True)
    assert checked(anew).ok
    assert [action for action, _ in entries(anew)] == ["audit.new_key"]
    (aside,) = data.glob("audit-2*")
    assert verify(aside, read_key(tmp_path / "config")).ok
