"""What may be asked of a backtest; checked before anything is computed."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, ValidationError, field_validator, model_validator

from engine.analytics.backtest.policy import (
    BASELINES,
    NONE,
    STRATEGIES,
    Forecaster,
    Policy,
    insured,
)
from engine.analytics.studies.finance import Investment
from engine.config.schema import BessConfig, GridConfig
from engine.config.section import Section
from engine.config.tariff import TariffConfig
from engine.domain.errors import BacktestError
from engine.runtime.backtests.studies_request import StudiesConfig

MOST_UPLOAD_BYTES = 20_000_000
"""All files of an upload together; a year of quarter-hours has about 2 MB as CSV."""

LONGEST_DAYS = 740
MOST_STRATEGIES = 8
MOST_SIZES = 12

Source = Literal["recorded", "history", "upload"]

Size = Annotated[float, Field(gt=0, le=10_000_000)]


class InvestmentConfig(Section):
    """What a battery costs and how it ages; see `engine.analytics.studies.finance`."""

    eur_per_kwh: Annotated[float, Field(ge=0, le=100_000)] = 350.0
    eur_per_kw: Annotated[float, Field(ge=0, le=100_000)] = 120.0
    fixed_eur: Annotated[float, Field(ge=0, le=1e9)] = 8_000.0
    om_percent_per_year: Annotated[float, Field(ge=0, le=100)] = 1.0
    om_eur_per_year: Annotated[float, Field(ge=0, le=1e9)] = 0.0
    lifetime_years: Annotated[float, Field(ge=1, le=60)] = 15.0
    discount_rate_percent: Annotated[float, Field(ge=-50, le=100)] = 5.0
    cycle_life: Annotated[float, Field(ge=1, le=1e6)] = 6_000.0
    calendar_life_years: Annotated[float, Field(ge=1, le=100)] = 20.0
    end_of_life_percent: Annotated[float, Field(ge=1, le=99)] = 70.0
    saving_growth_percent: Annotated[float, Field(ge=-50, le=50)] = 0.0
    residual_percent: Annotated[float, Field(ge=0, le=100)] = 0.0

    def investment(self) -> Investment:
        """Return it as the studies take it."""
        return Investment(**self.model_dump())


class SizingConfig(Section):
    """Sizes of battery to look at.

    Attributes:
        energies_kwh: Capacities.
        powers_kw: Powers.
        foresight: True: with perfect foresight, an upper bound; False: as the first strategy
            would have run it, which takes minutes.
        investment: What a battery costs.
    """

    energies_kwh: Annotated[list[Size], Field(min_length=1, max_length=MOST_SIZES)]
    powers_kw: Annotated[list[Size], Field(min_length=1, max_length=MOST_SIZES)]
    foresight: bool = True
    investment: InvestmentConfig = Field(default_factory=InvestmentConfig)


class UploadedFile(Section):
    """A file with data.

    Attributes:
        name: Its name; the ending says what it is.
        content_base64: Its bytes.
    """

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, str_max_length=4 * MOST_UPLOAD_BYTES // 3 + 4
    )

    name: Annotated[str, Field(min_length=1, max_length=120)]
    content_base64: Annotated[str, Field(min_length=1)]


class DataConfig(Section):
    """What is replayed.

    Attributes:
        source: A recorded site, this site's own history, or files.
        site: Which recorded site.
        prices: Which recorded price year.
        start: First local day; None for the first of the data.
        end: Last local day, included; None for the last.
        files: Files of an upload.
    """

    source: Source = "recorded"
    site: Literal["demo", "metalworking", "office"] = "demo"
    prices: Literal["at_2025_26", "at_2024", "at_2018"] = "at_2025_26"
    start: date | None = None
    end: date | None = None
    files: Annotated[list[UploadedFile], Field(max_length=6)] = Field(default_factory=list)

    @model_validator(mode="after")
    def _fits(self) -> DataConfig:
        if (self.source == "upload") != bool(self.files):
            raise ValueError(
                "data.files|Files and the source upload belong together."
                "|Send files with source upload, and none with another source."
            )
        if self.start and self.end:
            if self.end < self.start:
                raise ValueError(
                    "data.end|The period ends before it begins.|Let it end on a later day."
                )
            if (self.end - self.start).days >= LONGEST_DAYS:
                raise ValueError(
                    f"data.end|The period is longer than {LONGEST_DAYS} days."
                    "|Choose a shorter period."
                )
        return self


class BacktestRequest(Section):
    """A backtest.

    Attributes:
        name: What it is called in lists.
        data: What is replayed.
        bess: Battery; None for the site's.
        grid: Grid connection; None for the site's.
        tariff: Tariff; None for the site's.
        strategies: How the battery is run; strategies and baselines.
        forecaster: What the strategies know.
        insured: Plan with scenarios and reserve, as live where there is a demand charge; slower.
        plan_minutes: Minutes between two plans.
        soc_start_percent: State of charge at the start.
        sizing: Sizes to look at; None for none.
        studies: Studies beside the strategies; None for none.
    """

    name: Annotated[str, Field(max_length=80)] = ""
    data: DataConfig = Field(default_factory=DataConfig)
    bess: BessConfig | None = None
    grid: GridConfig | None = None
    tariff: TariffConfig | None = None
    strategies: Annotated[list[str], Field(min_length=1, max_length=MOST_STRATEGIES)] = Field(
        default_factory=lambda: ["co_optimised", "self_consumption_rule"]
    )
    forecaster: Forecaster = Forecaster.DAY_TYPE
    insured: bool = False
    plan_minutes: Literal[15, 30, 60] = 60
    soc_start_percent: Annotated[float, Field(ge=0, le=100)] = 50.0
    sizing: SizingConfig | None = None
    studies: StudiesConfig | None = None

    @field_validator("strategies")
    @classmethod
    def _known(cls, value: list[str]) -> list[str]:
        known = (*STRATEGIES, *BASELINES)
        wrong = next((name for name in value if name not in known), None)
        if wrong is not None:
            raise ValueError(
                f"strategies|There is no strategy '{wrong[:40]}'.|Known: {', '.join(known)}."
            )
        # Without a battery is what everything is compared with anyway.
        return [name for name in dict.fromkeys(value) if name != NONE]

    def policies(self) -> list[Policy]:
        """Return how the battery is run, in the order asked for."""
        out = []
        for name in self.strategies:
            if name in BASELINES:
                out.append(Policy(name))
            elif self.insured:
                out.append(insured(name, self.forecaster, plan_minutes=self.plan_minutes))
            else:
                out.append(Policy(name, self.forecaster, plan_minutes=self.plan_minutes))
        return out


def parse_request(data: Mapping[str, Any] | bytes) -> BacktestRequest:
    """Return what was asked, from JSON or from values of its types.

    Raises:
        BacktestError: It is not possible; the first mistake with its field and remedy.
    """
    text = data if isinstance(data, bytes) else json.dumps(data).encode()
    try:
        return BacktestRequest.model_validate_json(text or b"{}")
    except ValidationError as exc:
        raise _first(exc) from exc


def _first(exc: ValidationError) -> BacktestError:
    error = exc.errors(include_url=False, include_context=False)[0]
    field = ".".join(str(part) for part in error["loc"]) or None
    parts = error["msg"].removeprefix("Value error, ").split("|")
    hint = "Correct it; the fields are described in docs/analysis/backtest.md."
    message = parts[0]
    if len(parts) == 3:
        field, message, hint = parts
    if not message.endswith((".", "!", "?")):
        message += "."
    value = error.get("input")
    shown = value if isinstance(value, int | float | str | None) else None
    if isinstance(shown, str):
        shown = shown[:80]
    return BacktestError(message, field=field, value=shown, hint=hint)
