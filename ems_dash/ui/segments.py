"""A row of choices of which one is taken, as radio buttons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import dash_bootstrap_components as dbc
from dash import html


def segments(name: Any, options: Sequence[tuple[Any, str]], value: Any, label: str = "") -> Any:
    """Return the choices.

    Args:
        name: Id of the choice.
        options: Value and text of each.
        value: Value taken now.
        label: What is chosen, for those who do not see it; empty where the place around says it.
    """
    choices = dbc.RadioItems(
        id=name,
        options=[{"label": text, "value": key} for key, text in options],
        value=value,
        inline=True,
        className="segments",
        inputClassName="btn-check",
        labelClassName="segments-item",
        labelCheckedClassName="is-active",
    )
    return html.Div(choices, role="group", **{"aria-label": label}) if label else choices
