"""What a backtest is asked to replay, from the options of the command line."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from engine.domain.errors import EmsError

if TYPE_CHECKING:
    from engine.analytics.backtest.case import BacktestCase
    from engine.analytics.backtest.policy import Forecaster, Policy

_MONTH_STEPS = 31 * 96 + 4


def site_path(arguments: argparse.Namespace) -> Path:
    """Return the site file; of a folder its ``ems.yaml``."""
    path: Path = arguments.site
    return path / "ems.yaml" if path.is_dir() else path


def forecaster_of(arguments: argparse.Namespace) -> Forecaster:
    """Return the forecaster that is asked for.

    Raises:
        EmsError: There is no such forecaster.
    """
    from engine.analytics.backtest.policy import Forecaster

    try:
        return Forecaster(arguments.forecaster)
    except ValueError as exc:
        raise EmsError(
            f"'{arguments.forecaster}' is no forecaster.",
            field="--forecaster",
            value=arguments.forecaster,
            hint=f"Use one of {', '.join(name for name in Forecaster if name != 'recorded')}.",
        ) from exc


def has_demand_charge(case: BacktestCase) -> bool:
    """True when the tariff of the case charges for the highest import."""
    from engine.analytics.backtest.prepared import prepare

    return prepare(case).has_demand_charge


def case_of(arguments: argparse.Namespace) -> BacktestCase:
    """Return the site and its past, read from the files that are named.

    Raises:
        EmsError: A file, the site or the period is not possible; names the option.
    """
    from ems_dash.cli.history_access import parse_moment
    from engine.analytics.backtest.inputs import InputFiles, read_inputs
    from engine.analytics.backtest.site_file import case_from
    from engine.config.described_site import site_from
    from engine.config.load import config_from, read_text, read_yaml

    path = site_path(arguments)
    stated = read_yaml(read_text(path), str(path))
    config = config_from(stated, str(path))
    site = site_from(config)
    zone = config.site.timezone
    start = parse_moment(arguments.since, "--from", zone) if arguments.since else None
    end = parse_moment(arguments.until, "--to", zone) if arguments.until else None
    if start is not None and end is not None and end <= start:
        raise EmsError(
            f"The period ends ({arguments.until}) before it begins ({arguments.since}).",
            field="--to",
            value=arguments.until,
            hint="Give a later end.",
        )
    files = InputFiles(
        tuple(arguments.prices), tuple(arguments.load), tuple(arguments.pv), tuple(arguments.data)
    )
    series, since, until = read_inputs(files, site, start, end)
    return case_from(
        config, site, series, since, until, stated=stated, soc_start_percent=arguments.soc
    )


def policies_of(arguments: argparse.Namespace, case: BacktestCase) -> list[Policy]:
    """Return a policy per strategy that is asked for.

    Raises:
        EmsError: There is no such strategy or forecaster.
    """
    from engine.analytics.backtest.policy import TARGET_SHARE, Policy

    forecaster = forecaster_of(arguments)
    reserve = arguments.reserve
    if reserve is None:
        reserve = 1.0 if has_demand_charge(case) else 0.0
    minutes = arguments.plan_minutes
    if minutes is None:
        minutes = 15 if case.n <= _MONTH_STEPS else 60
    share = TARGET_SHARE if arguments.target_share is None else arguments.target_share
    return [
        Policy(
            strategy,
            forecaster,
            scenarios=arguments.scenarios,
            reserve=reserve,
            target_share=share,
            plan_minutes=minutes,
            horizon_hours=arguments.horizon_hours,
        )
        for strategy in dict.fromkeys(arguments.strategy or ["co_optimised"])
    ]
