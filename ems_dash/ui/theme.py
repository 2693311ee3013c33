"""Colours by role and the two chart templates.

Every colour of a chart is looked up by its role, so the browser can repaint a figure for the
other theme from the roles its traces carry in ``meta``. The interface colours repeat the CSS
variables of ``assets/ems.css``; a test keeps both and their contrast in step.
"""

from __future__ import annotations

from typing import Any

Palette = dict[str, str]

THEMES: tuple[str, ...] = ("light", "dark")

PALETTES: dict[str, Palette] = {
    "light": {
        "pv": "#C37809",
        "load": "#2B3238",
        "grid": "#2067CB",
        "battery": "#01A579",
        "price": "#AA0078",
        "bg": "#F4F6F9",
        "surface": "#FFFFFF",
        "sunken": "#EEF2F6",
        "border": "#E1E7EE",
        "zero": "#B6C2CF",
        "text": "#16202B",
        "muted": "#566577",
        "accent": "#0B6E69",
        "ok": "#0A7A55",
        "ok-bg": "#E2F5EE",
        "warn": "#8F5600",
        "warn-bg": "#FDF1DC",
        "alarm": "#B42318",
        "alarm-bg": "#FDE8E6",
    },
    "dark": {
        "pv": "#EDB731",
        "load": "#DCE9FF",
        "grid": "#4B8CEB",
        "battery": "#5CE3B4",
        "price": "#D77FA2",
        "bg": "#0C1118",
        "surface": "#141B26",
        "sunken": "#1B2431",
        "border": "#263244",
        "zero": "#475873",
        "text": "#E7EDF5",
        "muted": "#9AABC0",
        "accent": "#4FC3B5",
        "ok": "#6FE0B5",
        "ok-bg": "#12322A",
        "warn": "#F3C45F",
        "warn-bg": "#35290F",
        "alarm": "#FF9C92",
        "alarm-bg": "#3B1A18",
    },
}

DATA_ROLES: tuple[str, ...] = ("pv", "load", "grid", "battery", "price")

FONT_FAMILY = '"Inter Variable", Inter, system-ui, sans-serif'


def rgba(hex_colour: str, alpha: float) -> str:
    """Return a CSS colour from ``#RRGGBB`` and an opacity between 0 and 1."""
    red, green, blue = (int(hex_colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{alpha:g})"


def colour(role: str, alpha: float = 1.0, theme: str = "light") -> str:
    """Return the colour of `role` in `theme` at opacity `alpha`."""
    return rgba(PALETTES[theme][role], alpha)


def template(theme: str) -> dict[str, Any]:
    """Return the chart template of `theme` as Plotly JSON."""
    pal = PALETTES[theme]
    axis = {
        "automargin": False,
        "tickfont": {"color": pal["muted"], "size": 12},
        "title": {"text": ""},
    }
    return {
        "layout": {
            "font": {"family": FONT_FAMILY, "size": 12, "color": pal["muted"]},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "colorway": [pal[role] for role in DATA_ROLES],
            "margin": {"l": 40, "r": 10, "t": 22, "b": 38, "pad": 0},
            "showlegend": False,
            "hovermode": "x unified",
            "hoverlabel": {
                "bgcolor": pal["surface"],
                "bordercolor": pal["border"],
                "font": {"family": FONT_FAMILY, "size": 12, "color": pal["text"]},
                "align": "left",
                "namelength": -1,
            },
            "dragmode": False,
            "bargap": 0,
            "barmode": "overlay",
            "xaxis": {
                **axis,
                "showgrid": False,
                "zeroline": False,
                "showline": True,
                "linecolor": pal["zero"],
                "linewidth": 1,
                "ticks": "outside",
                "ticklen": 4,
                "tickcolor": pal["zero"],
                "tickangle": 0,
                "fixedrange": True,
                "spikecolor": pal["zero"],
                "spikethickness": 1,
                "spikedash": "solid",
            },
            "yaxis": {
                **axis,
                "showgrid": True,
                "gridcolor": pal["border"],
                "gridwidth": 1,
                "zeroline": True,
                "zerolinecolor": pal["zero"],
                "zerolinewidth": 1,
                "showline": False,
                "ticks": "",
                "fixedrange": True,
            },
            "annotationdefaults": {
                "font": {"size": 11, "color": pal["muted"]},
                "showarrow": False,
            },
        }
    }


def client_palette() -> dict[str, Any]:
    """Return what the browser needs to repaint charts: per theme the roles and the template."""
    return {theme: {"roles": PALETTES[theme], "template": template(theme)} for theme in THEMES}


def register_templates() -> None:
    """Make the templates known to Plotly as ``ems-light`` and ``ems-dark``."""
    import plotly.graph_objects as go
    import plotly.io as pio

    for theme in THEMES:
        pio.templates[f"ems-{theme}"] = go.layout.Template(template(theme))


def luminance(hex_colour: str) -> float:
    """Return the relative luminance of ``#RRGGBB`` (WCAG 2.2, definition of relative luminance)."""

    def linear(channel: int) -> float:
        share = channel / 255.0
        return share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(int(hex_colour[i : i + 2], 16)) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(first: str, second: str) -> float:
    """Return the contrast ratio of two ``#RRGGBB`` colours, 1 to 21 (WCAG 2.2)."""
    high, low = sorted((luminance(first), luminance(second)), reverse=True)
    return (high + 0.05) / (low + 0.05)
