"""Colours can be told apart and read, and the style sheet says the same as the charts."""

from __future__ import annotations

import re

import plotly.io as pio
import pytest

from ems_dash.static_files import ASSETS
from ems_dash.ui import theme as th

TEXT_PAIRS = (
    ("text", "surface"),
    ("text", "bg"),
    ("muted", "surface"),
    ("muted", "bg"),
    ("muted", "sunken"),
    ("accent", "surface"),
    ("ok", "ok-bg"),
    ("warn", "warn-bg"),
    ("alarm", "alarm-bg"),
)


@pytest.mark.parametrize("theme", th.THEMES)
@pytest.mark.parametrize("role", th.DATA_ROLES)
def test_data_colours_stand_out_from_their_surface(theme: str, role: str) -> None:
    palette = th.PALETTES[theme]
    assert th.contrast(palette[role], palette["surface"]) >= 3.0


@pytest.mark.parametrize("theme", th.THEMES)
@pytest.mark.parametrize(("ink", "ground"), TEXT_PAIRS)
def test_text_is_readable(theme: str, ink: str, ground: str) -> None:
    palette = th.PALETTES[theme]
    assert th.contrast(palette[ink], palette[ground]) >= 4.5


def test_contrast_of_black_and_white_is_21() -> None:
    assert th.contrast("#000000", "#FFFFFF") == pytest.approx(21.0)


def test_no_two_roles_share_a_colour() -> None:
    for palette in th.PALETTES.values():
        colours = [palette[role] for role in th.DATA_ROLES]
        assert len(set(colours)) == len(colours)


@pytest.mark.parametrize("theme", th.THEMES)
def test_style_sheet_has_the_same_colours(theme: str) -> None:
    css = (ASSETS / "ems.css").read_text(encoding="utf-8")
    block = css[css.index(f'[data-bs-theme="{theme}"]') :]
    block = block[: block.index("}")]
    declared = dict(re.findall(r"--([a-z-]+): (#[0-9A-F]{6})", block))
    assert declared == th.PALETTES[theme]


def test_templates_are_known_to_plotly() -> None:
    th.register_templates()
    for theme in th.THEMES:
        template = pio.templates[f"ems-{theme}"]
        assert template.layout.paper_bgcolor == "rgba(0,0,0,0)"
        assert template.layout.showlegend is False


def test_nothing_is_loaded_from_another_host() -> None:
    for path in ASSETS.rglob("*"):
        if path.suffix not in (".css", ".js"):
            continue
        text = path.read_text(encoding="utf-8")
        loads = re.findall(r"(?:url\(|@import|src=)\s*['\"]?\s*(?:https?:)?//", text)
        assert loads == [], path.name


def test_icon_rules_and_original_drawings_match() -> None:
    css = (ASSETS / "vendor" / "bootstrap-icons" / "icons.css").read_text(encoding="utf-8")
    vendored = set(re.findall(r"\.icon-([a-z0-9-]+)\{", css))
    files = {p.stem for p in (ASSETS / "vendor" / "bootstrap-icons" / "svg").glob("*.svg")}
    assert vendored == files
