"""The pages, one module each, with ``register(app, services)``."""

from __future__ import annotations

from types import ModuleType

from pages import forecasts, monitoring, overview

PAGES: tuple[ModuleType, ...] = (overview, monitoring, forecasts)
"""In the order of the main navigation."""
