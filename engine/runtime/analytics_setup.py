"""Savings and key figures of a site, built from the configuration."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from engine.analytics.baselines import TimerWindows
from engine.analytics.books import AnalyticsStore, Books
from engine.analytics.ledger import TariffQuote
from engine.config.schema import Config
from engine.domain.clock import Clock
from engine.domain.quarter_hour import STEP, quarter_start
from engine.domain.records import LedgerRow
from engine.domain.site import Site
from engine.history.writer import HistoryWriter
from engine.market.prices import PriceSource
from engine.market.tariff import TariffBook
from engine.optimization.kernel.process import KernelCompiler
from engine.optimization.routed import RoutedOptimizer
from engine.runtime.analytics_service import AnalyticsService
from engine.runtime.price_now import PriceLookup

COMPILING_SECONDS = 300.0
"""Closing a day waits so long for the kernel; then the model of record does it."""


def build_analytics(
    config: Config,
    site: Site,
    clock: Clock,
    *,
    store: AnalyticsStore,
    writer: HistoryWriter,
    tariff: TariffBook,
    prices: PriceSource,
    max_power_kw: float,
    booked: Callable[[LedgerRow], None],
    configured: frozenset[str],
    kernel: KernelCompiler,
) -> AnalyticsService:
    """Return the service that keeps and answers the savings of a site.

    Args:
        config: Validated configuration.
        site: The site it describes.
        clock: The engine's time.
        store: What was stored.
        writer: What is to be stored.
        tariff: The tariff.
        prices: Published day-ahead prices, also of recent days.
        max_power_kw: Largest power any register can see.
        booked: Told of every quarter-hour that is booked afterwards.
        configured: Signals some device is meant to supply.
        kernel: Has the kernel compiled, which replays a day in a second instead of twenty.
    """
    windows = TimerWindows.of(config.analytics.timer)
    # A look-up of its own: it remembers one quarter-hour, and control asks for the running one.
    price_at = PriceLookup(prices, tariff, clock)

    def quote_at(ts: datetime) -> TariffQuote | None:
        price = price_at(ts)
        if price is not None:
            return TariffQuote(price.buy_eur_per_kwh, price.sell_eur_per_kwh, price.source)
        start = quarter_start(ts)
        stored = store.prices(site.site_id, start, start + STEP)
        if not stored:
            return None
        row = stored[0]
        return TariffQuote(row.buy_eur_per_kwh, row.sell_eur_per_kwh, row.source)

    return AnalyticsService(
        Books(
            site=site,
            tariff=tariff,
            store=store,
            sink=writer,
            windows=windows,
            co2_g_per_kwh=config.analytics.co2_g_per_kwh,
            booked=booked,
            solver=lambda: RoutedOptimizer(ready=lambda: kernel.wait(COMPILING_SECONDS)),
        ),
        quote_at,
        max_power_kw,
        clock,
        lambda: configured,
    )
