"""What may be asked of a study, and what is taken where nothing is said.

Grid limits are tried around what the site itself draws and feeds in, because a limit that is
never reached is worth nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from engine.analytics.backtest.case import BacktestCase
from engine.analytics.backtest.evaluate import PERFECT
from engine.analytics.backtest.policy import Forecaster, Policy
from engine.analytics.studies.finance import Investment
from engine.analytics.studies.forecast_quality import REAL, SCALES
from engine.analytics.studies.year_samples import PriceSeries
from engine.config.tariff import TariffConfig
from engine.domain.errors import BacktestError

LIMITS, FORECAST, MONTE_CARLO, TARIFFS = "limits", "forecast", "montecarlo", "tariffs"
STUDIES: tuple[str, ...] = (TARIFFS, LIMITS, FORECAST, MONTE_CARLO)
"""Names of the studies, in the order they are carried out and shown."""

IN_FORCE = "in force"
"""Name of the tariff of the case among those compared."""

_IMPORT_SHARES = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_EXPORT_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
CYCLES_PER_YEAR: tuple[float, ...] = (100.0, 150.0, 200.0, 250.0, 300.0)
YEARS = 20


@dataclass(frozen=True, slots=True)
class LimitsAsked:
    """Limits that are moved.

    Attributes:
        imports_kw: Import limits; None stands for no limit.
        exports_kw: Feed-in caps; None stands for none.
        cycles_per_year: Bounds on full cycles.
    """

    imports_kw: tuple[float | None, ...]
    exports_kw: tuple[float | None, ...]
    cycles_per_year: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ForecastAsked:
    """Qualities of forecast.

    Attributes:
        scales: Factors on the errors of the strategy's own forecaster.
        forecasters: Real ones beside it.
    """

    scales: tuple[float, ...] = SCALES
    forecasters: tuple[Forecaster, ...] = REAL


@dataclass(frozen=True, slots=True, eq=False)
class YearsAsked:
    """Years that could have been.

    Attributes:
        n: How many.
        seed: Seeds the drawing.
        prices: Recorded price years beside the case's own; empty keeps the case's prices with
            the weeks they were recorded with.
        foresight: With perfect foresight; False as the first strategy runs the battery.
        investment: Price of the battery, for a spread of the net present value; None without.
    """

    n: int = YEARS
    seed: int = 1
    prices: tuple[PriceSeries, ...] = ()
    foresight: bool = True
    investment: Investment | None = None


@dataclass(frozen=True, slots=True, eq=False)
class StudiesAsked:
    """What is asked for; None leaves a study out.

    Attributes:
        tariffs: Other tariffs by name.
        limits: Limits that are moved.
        forecast: Qualities of forecast.
        years: Years that could have been.
    """

    tariffs: Mapping[str, TariffConfig] | None = None
    limits: LimitsAsked | None = None
    forecast: ForecastAsked | None = None
    years: YearsAsked | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the studies asked for, in their order."""
        asked = (self.tariffs, self.limits, self.forecast, self.years)
        return tuple(name for name, one in zip(STUDIES, asked, strict=True) if one is not None)


def first_strategy(policies: Sequence[Policy]) -> Policy:
    """Return the policy that studies of one policy take: the first that plans.

    Raises:
        BacktestError: There are only fixed rules.
    """
    found = next((policy for policy in policies if not policy.is_baseline), None)
    if found is None:
        raise BacktestError(
            "This study needs a strategy that plans; only fixed rules were chosen.",
            field="strategies",
            hint="Choose a strategy, for example co_optimised.",
        )
    return found


def run_by(policies: Sequence[Policy], *, foresight: bool) -> Policy:
    """Return how a study runs the battery: with perfect foresight, or as the first strategy.

    Raises:
        BacktestError: There is no strategy.
    """
    return PERFECT if foresight else first_strategy(policies)


def limits_asked(
    case: BacktestCase,
    *,
    imports_kw: Sequence[float] | None = None,
    exports_kw: Sequence[float] | None = None,
    cycles_per_year: Sequence[float] | None = None,
) -> LimitsAsked:
    """Return the limits to move: those given, and around the site's own where none are.

    Given limits are moved to as they are; an empty sequence leaves a limit alone. Chosen ones
    end with none at all.
    """
    series = case.series
    net = series.load_kw[case.first : case.stop] - series.pv_kw[case.first : case.stop]
    draws = max(0.0, float(np.max(net)))
    feeds = max(0.0, float(-np.min(net))) or case.battery.power_discharge_max_kw
    imports: tuple[float | None, ...]
    exports: tuple[float | None, ...]
    if imports_kw is not None:
        imports = tuple(imports_kw)
    else:
        # A battery alone at the grid is limited by what it may charge with.
        imports = _around(draws or case.battery.power_charge_max_kw, _IMPORT_SHARES)
    exports = tuple(exports_kw) if exports_kw is not None else _around(feeds, _EXPORT_SHARES)
    cycles = CYCLES_PER_YEAR if cycles_per_year is None else tuple(cycles_per_year)
    return LimitsAsked(imports, exports, tuple(sorted(cycles)))


def _around(kw: float, shares: Sequence[float]) -> tuple[float | None, ...]:
    step = max(1.0, 10.0 ** np.floor(np.log10(max(kw, 1.0))) / 20.0)
    rounded = sorted({float(np.ceil(kw * share / step) * step) for share in shares})
    return (*rounded, None)
