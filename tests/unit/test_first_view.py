"""The document of a page can be read before any script has run."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import dash_bootstrap_components as dbc
from dash import dcc, html
from test_ui_app import StandingServices
from ui_builders import NOW

from ems_dash.app import create_app
from ems_dash.bundles import script_bundle, style_bundle
from ems_dash.first_view import _Writer
from tests.support.access import OPEN

VOID = {"area", "br", "col", "hr", "img", "input", "link", "meta", "source", "wbr"}


class Reader(HTMLParser):
    """Checks that elements are closed in the order they were opened, and keeps texts and ids."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.texts: list[str] = []
        self.ids: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.ids += [value for name, value in attrs if name == "id" and value]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def read(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    reader.close()
    assert reader.open == []
    return reader


def document(services: Any, path: str = "/", lang: str = "en") -> str:
    client = create_app(services, access=OPEN).server.test_client()
    client.set_cookie("ems_lang", lang)
    return str(client.get(path).text)


def written(component: Any, **changes: dict[str, Any]) -> str:
    return _Writer(changes, "/here").html(component)


def test_the_document_says_what_the_page_will_say_but_not_that_it_is_live() -> None:
    services = StandingServices()
    reader = read(document(services).partition("<body>")[2].partition("<footer hidden>")[0])
    words = " ".join(reader.texts)
    assert "Overview" in reader.texts
    soc = services.snapshot().display.value("soc_percent")
    assert f"{soc:.0f}" in reader.texts
    assert "connecting …" in words
    assert "Live" not in reader.texts
    assert "first-soc-v" in reader.ids
    assert "soc-v" not in reader.ids, "the page itself must be the only one that has it"
    assert len(set(reader.ids)) == len(reader.ids)


def test_a_page_that_does_not_exist_says_so_and_addresses_may_hold_anything() -> None:
    text = document(StandingServices(), "/nowhere?self=1&site=%3Cscript%3E&n=1")
    assert "This page does not exist" in text
    assert "<script>" not in text.partition('<div id="first-view">')[2].partition("<footer hid")[0]


def test_nothing_in_a_name_becomes_an_element_or_a_part_of_the_document() -> None:
    services = StandingServices("<img src=x onerror=alert(1)> {%config%} &amp;")
    services.state = replace(services.state, ts=NOW)
    reader = read(document(services).partition("<body>")[2].partition("<footer hidden>")[0])
    assert any("<img src=x onerror=alert(1)> {%config%} &amp;" in text for text in reader.texts)


def test_no_script_of_the_document_runs_before_the_view_is_painted() -> None:
    text = document(StandingServices())
    after = text.partition('<div id="first-view">')[2]
    files = re.findall(r"<script[^>]*src=[^>]*>", after)
    assert files
    assert all(" defer " in tag for tag in files)
    assert 'id="_dash-renderer"' in files[-1]


def test_components_are_written_as_dash_shows_them() -> None:
    assert (
        written(html.Div(["a < b", 3, None], className="x", style={"flexGrow": 2, "marginTop": 4}))
        == '<div style="flex-grow:2;margin-top:4px" class="x">a &lt; b3</div>'
    )
    assert written(html.Img(src='/"x', alt="")) == '<img alt="" src="/&quot;x">'
    assert written(dcc.Link("L", href="/here", className="nav-item")) == (
        '<a href="/here" class="nav-item" aria-current="page">L</a>'
    )
    assert written(html.A("m", href="#main")) == '<a href="#first-main">m</a>'
    assert written(dcc.Store(id="s", data={"secret": 1})) == ""
    assert written(html.Script("alert(1)")) == ""
    assert written(html.Span("a", id="n"), n={"children": "b"}) == '<span id="first-n">b</span>'
    label = html.Label("x", htmlFor="field", **{"aria-labelledby": "a b", "data-said": "no"})
    assert "for=" in written(label)
    assert 'aria-labelledby="first-a first-b"' in written(label)
    assert "data-said" not in written(label)


def test_fields_show_what_is_in_them() -> None:
    options = [{"label": "One", "value": 1}, {"label": "<Two>", "value": 2}]
    choice = written(dbc.Select(id="c", options=options, value=2))
    assert choice == (
        '<select id="first-c" class="form-select"><option>One</option>'
        "<option selected>&lt;Two&gt;</option></select>"
    )
    radio = written(dbc.RadioItems(id="r", options=options, value=1, labelCheckedClassName="is"))
    assert radio.count(" checked") == 1
    assert radio.index("checked") < radio.index("One") < radio.index("&lt;Two&gt;")
    assert written(dbc.Input(type="number", value=0)) == (
        '<input value="0" type="number" class="form-control">'
    )
    assert written(dcc.Textarea(value="select 1 < 2")) == "<textarea>select 1 &lt; 2</textarea>"
    for part in (choice, radio):
        read(part)


def test_a_bundle_holds_every_file_and_finds_what_its_styles_name(tmp_path: Path) -> None:
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor" / "v.css").write_text(
        'a{src:url("f.woff2");b:url(data:x,url);c:url("data:y");d:url(/e);f:url(g.png)}'
    )
    (tmp_path / "b.css").write_text("b{}")
    (tmp_path / "a.css").write_text("a{}")
    (tmp_path / "one.js").write_text("one() // no end")
    (tmp_path / "two.js").write_text("(two)()")
    (tmp_path / "late.js").write_text("late()")
    styles = style_bundle(tmp_path, ["vendor/v.css"])
    assert styles.body.decode() == (
        'a{src:url("vendor/f.woff2");b:url(data:x,url);c:url("data:y");d:url(/e);'
        "f:url(vendor/g.png)}\na{}\nb{}"
    )
    scripts = script_bundle(tmp_path, ["late.js"])
    assert scripts.body.decode() == "one() // no end\n;\n(two)()\n;"
    before = styles.address
    (tmp_path / "a.css").write_text("a{color:red}")
    assert style_bundle(tmp_path, ["vendor/v.css"]).address != before
