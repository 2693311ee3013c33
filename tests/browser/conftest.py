"""Keeps browser tests apart: Dash's registry of pages is global."""

from __future__ import annotations

from collections.abc import Iterator

import dash
import pytest


@pytest.fixture(autouse=True)
def clear_page_registry() -> Iterator[None]:
    """Forget the pages of earlier apps."""
    dash.page_registry.clear()
    yield
    dash.page_registry.clear()
