"""Which version of EMS Dash this is."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

_PYPROJECT = Path(__file__).resolve().parents[2] / "pyproject.toml"


@cache
def product_version() -> str:
    """Return the version of EMS Dash, from the installed package or else the source tree."""
    try:
        return version("ems-dash")
    except PackageNotFoundError:
        project = tomllib.loads(_PYPROJECT.read_text(encoding="utf-8"))
        return str(project["project"]["version"])
