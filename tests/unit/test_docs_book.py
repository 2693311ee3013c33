"""The documentation builds without a warning, loads nothing from elsewhere, and tells the truth."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from sphinx.cmd.build import build_main

from ems_dash.cli.main import main, parser
from engine.analytics.kpis import KPIS
from engine.config.load import config_from
from engine.config.schema import Config
from engine.devices.profile_def import DeviceProfile
from scripts import make_reference

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "CHANGELOG.md",
    *sorted(DOCS.rglob("*.md")),
]
SITE = {
    "mqtt": {"enabled": True},
    "modbus": {"enabled": True},
    "pv": {"planes": [{"peak_kw": 100.0}]},
}
"""What an example may take for granted: a broker, a real device, a PV plant."""

RENEW = "run `make reference` and commit docs/reference"


def blocks(*languages: str) -> Iterator[tuple[str, str, str]]:
    """Yield every fenced block of the languages as (page, text, text before it)."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        for match in re.finditer(r"(?ms)^( *)```([^\n]*)\n(.*?)^\1```$", text):
            if match[2] in languages:
                lines = [line.removeprefix(match[1]) for line in match[3].splitlines()]
                yield page.name, "\n".join(lines) + "\n", text[: match.start()]


def program_lines(text: str) -> list[list[str]]:
    """Return the arguments of each call of the program in a shell block."""
    joined = re.sub(r"\\\n\s*", " ", text)
    return [
        shlex.split(line.partition("python -m ems_dash ")[2].split(" | ")[0], comments=True)
        for line in joined.splitlines()
        if "python -m ems_dash " in line
    ]


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("docs")
    assert build_main(["-q", "-W", "--keep-going", "-b", "html", str(DOCS), str(out)]) == 0
    return out


class _Loads(HTMLParser):
    """Collects what a page makes a browser fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        key = {"script": "src", "img": "src", "link": "href", "iframe": "src"}.get(tag)
        if key and given.get(key) and given.get("rel") not in ("canonical", "next", "prev"):
            self.found.append(str(given[key]))


def test_the_book_loads_nothing_from_another_host(book: Path) -> None:
    pages = list(book.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        loads = _Loads()
        loads.feed(page.read_text(encoding="utf-8"))
        assert not [x for x in loads.found if re.match(r"(?i)[a-z]+:|//", x)], page
    for style in book.rglob("*.css"):
        loaded = re.findall(r"url\(\s*['\"]?(?!data:)([^'\")]+)", style.read_text(encoding="utf-8"))
        assert not [x for x in loaded if re.match(r"(?i)[a-z]+:|//", x)], style


def test_every_page_is_in_the_book(book: Path) -> None:
    written = {p.relative_to(DOCS).with_suffix("") for p in DOCS.rglob("*.md")}
    built = {p.relative_to(book).with_suffix("") for p in book.rglob("*.html")}
    assert written <= built


def test_the_reference_says_what_the_code_says() -> None:
    made = make_reference.pages()
    kept = {page.name: page.read_text("utf-8") for page in (DOCS / "reference").glob("*.md")}
    assert set(made) == set(kept), RENEW
    for name, text in made.items():
        assert text == kept[name], f"{name} is out of date: {RENEW}"


def test_every_row_of_the_reference_has_a_meaning() -> None:
    for page in (DOCS / "reference").glob("*.md"):
        empty = re.findall(r"(?m)^\| .*\|  \|$", page.read_text(encoding="utf-8"))
        assert empty == [], page.name


def test_every_setting_says_what_it_is() -> None:
    for path, model, fields in make_reference.settings_sections():
        said = make_reference.attribute_docs(model)
        for key, info, _ in fields:
            assert info.description or said.get(key), (
                f"{path}.{key}: describe it under Attributes in the docstring of {model.__name__}"
            )


def test_every_option_of_the_command_line_says_what_it_is() -> None:
    for name, command in make_reference.commands():
        assert command.description, name
        for action in command._actions:
            assert action.help, f"{name} {action.dest} has no help"


def test_every_key_figure_has_its_definition() -> None:
    text = (DOCS / "analysis" / "kpis.md").read_text(encoding="utf-8")
    assert [key for key in KPIS if f"`{key}`" not in text] == []


def test_every_command_in_the_pages_is_understood(capsys: pytest.CaptureFixture[str]) -> None:
    found = [
        (page, call) for page, text, _ in blocks("sh", "bash", "") for call in program_lines(text)
    ]
    assert found
    for page, call in found:
        try:
            parser().parse_args(call)
        except SystemExit as exc:
            wrong = exc.code  # 0 after --help
        else:
            wrong = 0
        assert not wrong, f"{page}: {' '.join(call)}: {capsys.readouterr().err}"


def test_commands_marked_as_running_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(DOCS / "examples", tmp_path / "docs" / "examples")
    monkeypatch.chdir(tmp_path)
    marked = [
        call
        for _, text, before in blocks("sh")
        if before.rstrip().endswith("<!-- runs -->")
        for call in program_lines(text)
    ]
    assert marked
    for call in marked:
        assert main(call) == 0, f"{' '.join(call)}: {capsys.readouterr().err}"


def test_every_example_of_a_configuration_is_valid() -> None:
    sections, seen = set(Config.model_fields), 0
    for page, text, _ in blocks("yaml"):
        data: Any = YAML(typ="safe").load(text)
        if isinstance(data, dict) and data.keys() <= sections:
            config_from({**SITE, **data})
            seen += 1
        elif isinstance(data, dict) and "key" in data:
            DeviceProfile.model_validate(data)
        else:
            assert data is not None, page
    assert seen > 10


def test_examples_of_data_can_be_read() -> None:
    for _, text, _ in blocks("json"):
        json.loads(text)
    for path in (DOCS / "examples").glob("*.json"):
        json.loads(path.read_text(encoding="utf-8"))


def test_links_to_other_hosts_are_encrypted_and_whole() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((https?:[^)]+)\)|<(https?:[^>]+)>", page.read_text("utf-8")):
            address = "".join(target)
            assert address.startswith(("https://", "http://localhost")), (page.name, address)
            assert not re.search(r"\s", address), (page.name, address)
