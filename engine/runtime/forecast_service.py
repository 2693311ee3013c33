"""Makes the forecasts of each plan and keeps the newest ones for those who ask."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from engine.domain.errors import ForecastError, MarketError
from engine.domain.forecast import Forecast
from engine.domain.quarter_hour import STEP
from engine.forecasting.base import Forecaster
from engine.runtime.problem import PlanForecasts

log = logging.getLogger(__name__)


@dataclass
class StandIn:
    """A chosen forecaster with a plain one behind it, which says so when it has to step in.

    Attributes:
        chosen: The forecaster asked for.
        plain: What stands in while it has no forecast.
    """

    chosen: Forecaster
    plain: Forecaster

    def __post_init__(self) -> None:
        self.key = self.chosen.key
        self.signal = self.chosen.signal
        self._told = False

    def fit(self, now: datetime) -> None:
        """Let the chosen forecaster learn; a failure shows when a forecast is asked for."""
        try:
            self.chosen.fit(now)
        except ForecastError as exc:
            log.info("forecaster %s of %s learnt nothing: %s", self.key, self.signal, exc)

    def predict(self, start: datetime, n: int, now: datetime) -> Forecast:
        """Return `n` steps from `start` (see `Forecaster.predict`)."""
        try:
            forecast = self.chosen.predict(start, n, now)
        except ForecastError as exc:
            if not self._told:
                log.warning("forecaster %s of %s failed: %s", self.key, self.signal, exc)
            self._told = True
            made = self.plain.predict(start, n, now)
            return replace(made, method=f"{made.method}; {self.key} failed: {exc.message}")
        self._told = False
        return forecast


class ForecastService:
    """The forecasts of one site. One thread calls `make`; any thread may call `newest`.

    Args:
        price: Forecaster of the day-ahead price; published steps are known.
        load: Forecaster of the load.
        pv: Forecaster of PV; None for a site without PV.
        needs_price: Returns whether the tariff depends on the day-ahead price at a time.
    """

    def __init__(
        self,
        price: Forecaster,
        load: Forecaster,
        pv: Forecaster | None,
        needs_price: Callable[[datetime], bool],
    ) -> None:
        self._price, self._load, self._pv = price, load, pv
        self._needs_price = needs_price
        self._lock = threading.Lock()
        self._newest: dict[str, Forecast] = {}

    def make(self, start: datetime, n: int, now: datetime) -> PlanForecasts:
        """Return the forecasts of `n` quarter-hours from `start`, with refits that are due.

        Raises:
            ForecastError: A series cannot be forecast.
            MarketError: No prices can be had, and the tariff needs them.
        """
        for forecaster in (self._load, self._pv):
            if forecaster is not None:
                forecaster.fit(now)
        made = PlanForecasts(
            price=self._price_forecast(start, n, now),
            load=self._load.predict(start, n, now),
            pv=self._pv.predict(start, n, now) if self._pv is not None else None,
        )
        with self._lock:
            self._newest = made.by_signal()
        return made

    def _price_forecast(self, start: datetime, n: int, now: datetime) -> Forecast | None:
        try:
            self._price.fit(now)
            return self._price.predict(start, n, now)
        except (ForecastError, MarketError):
            # A tariff changes at local midnight: once a day and at the end meets every version.
            times = [start + step * STEP for step in (*range(0, n, 96), n - 1)]
            if any(self._needs_price(ts) for ts in times):
                raise
            # Fixed and time-of-use tariffs are planned without a day-ahead price; the plan's
            # own series says that there is none.
            return None

    def newest(self) -> Mapping[str, Forecast]:
        """Return signal to the newest forecast; empty before the first."""
        with self._lock:
            return dict(self._newest)
