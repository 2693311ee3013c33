"""The check of the locked requirements finds what must not be in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from scripts.check_locks import Pin, installed_problems, is_compatible, main, read_pins

HASH = "    --hash=sha256:" + "0" * 64


def test_the_locks_of_this_program_are_in_order(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--sbom", str(tmp_path / "sbom.json")]) == 0, capsys.readouterr().out
    bill = json.loads((tmp_path / "sbom.json").read_text())
    assert {"dash", "duckdb"} <= {component["name"] for component in bill["components"]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("dash==1.0\n", "no hash"),
        (f"--index-url https://mirror.example/simple\ndash==1.0 \\\n{HASH}\n", "names a host"),
        (f"dash @ https://x.example/dash.whl \\\n{HASH}\n", "names a host"),
        ("dash @ git+ssh://x\n", "names a host"),
        (f"dash>=1.0 \\\n{HASH}\n", "no pinned package"),
    ],
)
def test_what_does_not_belong_there_is_named(text: str, words: str) -> None:
    assert any(words in problem for problem in read_pins(text)[1])


def test_what_is_not_installed_as_locked_is_named() -> None:
    pins = [Pin("flask", "0.0.1", "", ("0",)), Pin("no-such-package-here", "1", "", ("0",))]
    assert len(list(installed_problems(pins))) == 2
    elsewhere = [Pin("no-such-package-here", "1", "sys_platform == 'win32'", ("0",))]
    assert list(installed_problems(elsewhere)) == []


@pytest.mark.parametrize(
    ("licence", "compatible"),
    [
        ("MIT", True),
        ("Apache-2.0 OR GPL-3.0-only", True),
        ("BSD-2-Clause AND Apache-2.0 WITH LLVM-exception", True),
        ("GPL-3.0-only", False),
        ("AGPL-3.0-or-later AND MIT", False),
        ("LGPL-2.1", False),
        ("", False),
    ],
)
def test_licences_are_judged(licence: str, compatible: bool) -> None:
    assert is_compatible(licence) is compatible
