"""The pages, one module each, with ``register(app, services)``."""

from __future__ import annotations

from types import ModuleType

from pages import (
    analytics,
    analytics_explorer,
    analytics_import,
    analytics_runs,
    analytics_sql,
    backtest,
    forecasts,
    monitoring,
    overview,
    settings,
)

PAGES: tuple[ModuleType, ...] = (
    overview,
    monitoring,
    forecasts,
    analytics,
    analytics_explorer,
    analytics_runs,
    analytics_sql,
    analytics_import,
    backtest,
    settings,
)
"""In the order of the main navigation."""
