"""What may be asked of the studies of a backtest."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, field_validator

from engine.analytics.backtest.case import BacktestCase
from engine.analytics.studies.asked import (
    YEARS,
    ForecastAsked,
    StudiesAsked,
    YearsAsked,
    limits_asked,
)
from engine.analytics.studies.finance import Investment
from engine.analytics.studies.forecast_quality import SCALES
from engine.analytics.studies.year_samples import PriceSeries
from engine.config.section import Section
from engine.config.tariff import TariffConfig
from engine.recorded.library import PRICE_YEARS, price_year

MOST_TARIFFS = 5
MOST_LIMITS = 12
MOST_YEARS = 500

Kw = Annotated[float, Field(ge=0, le=1e6)]
Cycles = Annotated[float, Field(gt=0, le=5_000)]
Scale = Annotated[float, Field(ge=0, le=5)]


class NamedTariffConfig(Section):
    """Another tariff.

    Attributes:
        name: What it is called in the answer.
        tariff: Its terms, as in ``ems.yaml``.
    """

    name: Annotated[str, Field(min_length=1, max_length=60)]
    tariff: TariffConfig


class LimitsConfig(Section):
    """Limits that are moved; null takes values around what the site draws and feeds in.

    Attributes:
        imports_kw: Import limits of the grid connection.
        exports_kw: Feed-in caps.
        cycles_per_year: Bounds on full cycles.
    """

    imports_kw: Annotated[list[Kw], Field(max_length=MOST_LIMITS)] | None = None
    exports_kw: Annotated[list[Kw], Field(max_length=MOST_LIMITS)] | None = None
    cycles_per_year: Annotated[list[Cycles], Field(max_length=MOST_LIMITS)] | None = None


class ForecastStudyConfig(Section):
    """Qualities of forecast.

    Attributes:
        scales: Factors on the errors of the forecaster, beside the other forecasters as they are.
    """

    scales: Annotated[list[Scale], Field(min_length=1, max_length=MOST_LIMITS)] = Field(
        default_factory=lambda: list(SCALES)
    )


class MonteCarloConfig(Section):
    """Years put together from recorded weeks.

    Attributes:
        years: How many.
        seed: The same seed gives the same years.
        price_years: Draw prices from all recorded price years as well; false keeps the prices
            of each week with it.
        foresight: With perfect foresight, a bound and fast; false as the first strategy would
            have run it, which takes minutes.
    """

    years: Annotated[int, Field(ge=2, le=MOST_YEARS)] = YEARS
    seed: Annotated[int, Field(ge=0, le=2**31)] = 1
    price_years: bool = True
    foresight: bool = True


class StudiesConfig(Section):
    """Studies beside the strategies; null leaves one out.

    Attributes:
        tariffs: Other tariffs, under which every strategy is replayed too.
        limits: What each limit is worth.
        forecast: What better forecasts are worth.
        montecarlo: How much a year may vary.
    """

    tariffs: Annotated[list[NamedTariffConfig], Field(max_length=MOST_TARIFFS)] | None = None
    limits: LimitsConfig | None = None
    forecast: ForecastStudyConfig | None = None
    montecarlo: MonteCarloConfig | None = None

    @field_validator("tariffs")
    @classmethod
    def _names_differ(cls, value: list[NamedTariffConfig] | None) -> list[NamedTariffConfig] | None:
        names = [one.name for one in value or ()]
        if len(set(names)) < len(names):
            raise ValueError(
                "studies.tariffs|Two tariffs have the same name.|Give each a name of its own."
            )
        if value is not None and not value:
            raise ValueError(
                "studies.tariffs|There is no other tariff to compare with.|Give at least one."
            )
        return value

    def asked(self, case: BacktestCase, investment: Investment | None = None) -> StudiesAsked:
        """Return it as the studies take it, with values where none were given.

        Raises:
            EmsError: A recorded price year cannot be read.
        """
        limits, years = self.limits, self.montecarlo
        return StudiesAsked(
            tariffs=None
            if self.tariffs is None
            else {one.name: one.tariff for one in self.tariffs},
            limits=None if limits is None else limits_asked(case, **limits.model_dump()),
            forecast=None
            if self.forecast is None
            else ForecastAsked(scales=tuple(self.forecast.scales)),
            years=None
            if years is None
            else YearsAsked(
                n=years.years,
                seed=years.seed,
                prices=recorded_price_years() if years.price_years else (),
                foresight=years.foresight,
                investment=investment,
            ),
        )


def recorded_price_years() -> tuple[PriceSeries, ...]:
    """Return the price years that come with the program.

    Raises:
        EmsError: One cannot be read.
    """
    found = (price_year(key) for key in PRICE_YEARS)
    return tuple(PriceSeries(prices.start, prices.spot_eur_per_kwh) for prices in found)
