"""The program's log: nobody forges a line, no secret gets into it, it does not grow without end."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from ems_dash.logs import FILE_NAME, ConsoleFormatter, JsonFormatter, ProgramLog, clean
from engine.domain.errors import EmsError
from engine.domain.site_context import SiteThread, working_for

log = logging.getLogger("tests.logs")

EVIL = "bob\n2026-11-26 12:00:00.000 INFO    ems_dash: admin logged in\r\x1b[2J\u2028\u202eX\x9b31m"


@pytest.fixture
def program_log(tmp_path: Path) -> Iterator[tuple[ProgramLog, io.StringIO, Path]]:
    console = io.StringIO()
    level = logging.getLogger().level
    made = ProgramLog(tmp_path / "logs", stream=console)
    yield made, console, tmp_path / "logs" / FILE_NAME
    made.stop()
    logging.getLogger().setLevel(level)


def test_a_message_cannot_begin_a_line_or_steer_a_terminal(
    program_log: tuple[ProgramLog, io.StringIO, Path],
) -> None:
    made, console, file = program_log
    log.warning("login of %s failed", EVIL)
    made.stop()
    (line,) = console.getvalue().splitlines()
    assert not {char for char in line if ord(char) < 32 or ord(char) in (0x9B, 0x202E)}
    (row,) = file.read_text().splitlines()
    assert row.isascii()
    assert json.loads(row)["message"].startswith("login of bob\\n2026")


def test_a_line_names_the_site_its_thread_works_for_and_so_do_threads_it_starts(
    program_log: tuple[ProgramLog, io.StringIO, Path],
) -> None:
    made, console, file = program_log
    with working_for("south\x1b[2J"):
        log.warning("one")
        thread = SiteThread(target=log.warning, args=("two",))
        thread.start()
    thread.join()
    log.warning("three")
    made.stop()
    one, two, three = console.getvalue().splitlines()
    assert one.endswith(" WARNING [south\\x1b[2J] tests.logs: one")
    assert two.endswith("[south\\x1b[2J] tests.logs: two")
    assert three.endswith(" WARNING tests.logs: three")
    rows = [json.loads(row) for row in file.read_text().splitlines()]
    assert [row.get("site") for row in rows] == ["south\\x1b[2J"] * 2 + [None]


def test_a_stack_is_kept_below_its_line_and_cannot_pose_as_one(
    program_log: tuple[ProgramLog, io.StringIO, Path],
) -> None:
    made, console, file = program_log
    try:
        raise ValueError(EVIL)
    except ValueError:
        log.exception("it failed")
    made.stop()
    first, *stack = console.getvalue().splitlines()
    assert first.endswith("it failed")
    assert stack
    assert all(row.startswith("    ") for row in stack)
    assert "ValueError" in json.loads(file.read_text())["stack"]


@pytest.mark.parametrize(
    "text",
    [
        "password=canary-42",
        "'password': 'canary-42'",
        '{"mqtt_password": "canary-42"}',
        "Authorization: Bearer canary-42",
        "token ems_abcd1234_canary-42-secret",
        "http://user:canary-42@host/path",
        "GET /x?securityToken=canary-42&y=1",
        "PASSWORT: canary-42",
        "api-key = canary-42",
    ],
)
def test_what_looks_like_a_secret_is_masked(text: str) -> None:
    assert "canary-42" not in clean(f"before {text} after")
    assert clean(f"before {text}").startswith("before ")


def test_ordinary_messages_stay_as_they_are() -> None:
    text = "device bms: 12.5 kW until 2026-11-26 12:00 UTC (manual), http://127.0.0.1:5050/x"
    assert clean(text) == text


def test_a_message_without_end_is_cut() -> None:
    assert len(clean("x" * 1_000_000)) < 5_000


def test_arguments_are_written_as_they_were(
    program_log: tuple[ProgramLog, io.StringIO, Path],
) -> None:
    made, _console, file = program_log
    values = ["before"]
    log.warning("values %s", values)
    values[0] = "after"
    made.stop()
    assert json.loads(file.read_text())["message"] == "values ['before']"


def test_full_files_follow_each_other_up_to_a_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ems_dash.logs.FILE_BYTES", 2_000)
    monkeypatch.setattr("ems_dash.logs.FILES", 3)
    made = ProgramLog(tmp_path, stream=io.StringIO())
    for number in range(100):
        log.warning("line %d", number)
    made.stop()
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        *("ems.log", "ems.log.1", "ems.log.2"),
    ]


def test_a_folder_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    (tmp_path / "logs").write_text("a file")
    with pytest.raises(EmsError, match="cannot be written"):
        ProgramLog(tmp_path / "logs")


def test_formatters_do_not_need_the_queue() -> None:
    record = logging.LogRecord("x", logging.INFO, __file__, 1, "a\nb %s", ("c",), None)
    assert ConsoleFormatter().format(record).endswith("x: a\\nb c")
    assert json.loads(JsonFormatter().format(record))["message"] == "a\\nb c"
