"""``backtest --study``: the same backtest many times with one thing changed."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.domain.errors import EmsError

if TYPE_CHECKING:
    from engine.analytics.backtest.case import BacktestCase
    from engine.analytics.backtest.policy import Policy
    from engine.analytics.studies.units import Outcome, Unit
    from engine.config.tariff import TariffConfig
    from engine.runtime.backtests.request import BacktestRequest, SizingConfig

SIZING = "sizing"
NAMES: tuple[str, ...] = ("tariffs", "limits", "forecast", "montecarlo", SIZING)

_SHARES = (0.5, 0.75, 1.0, 1.5, 2.0)

Progress = Callable[[str, float], None]
Row = Mapping[str, Any]


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Add what concerns studies to the command."""
    group = command.add_argument_group("studies", "instead of the strategies alone")
    group.add_argument(
        "--study",
        action="append",
        default=[],
        metavar="NAME",
        help="tariffs (strategies under other tariffs), limits (what grid connection, feed-in cap "
        "and cycles are worth), forecast (what better forecasts are worth), montecarlo (how much "
        "a year may vary) or sizing (which battery pays); repeatable",
    )
    group.add_argument(
        "--tariff", action="append", default=[], metavar="NAME=FILE",
        help="another tariff: a file with a section 'tariff', as in ems.yaml; repeatable",
    )  # fmt: skip
    for option, what in (
        ("--import-kw", "import limits to try"),
        ("--export-kw", "feed-in caps to try"),
        ("--cycles", "bounds on full cycles per year to try"),
        ("--energies-kwh", "capacities to try"),
        ("--powers-kw", "powers to try"),
    ):
        group.add_argument(
            option, metavar="N,N", default=None, help=f"{what}; absent: around the site's own"
        )
    group.add_argument("--years", type=int, default=20, metavar="N", help="made-up years")
    group.add_argument("--seed", type=int, default=1, metavar="N", help="seeds their drawing")
    group.add_argument(
        "--own-prices", action="store_true",
        help="made-up years keep the prices of their weeks; absent: also recorded price years",
    )  # fmt: skip
    group.add_argument(
        "--causal", action="store_true",
        help="montecarlo and sizing as the first strategy would run them; absent: with perfect "
        "foresight, which is a bound and fast",
    )  # fmt: skip
    for option, what in (
        ("--eur-per-kwh", "price of the battery per kWh"),
        ("--eur-per-kw", "price of the battery per kW"),
        ("--fixed-eur", "price of the battery whatever its size"),
    ):
        group.add_argument(
            option, type=float, default=None, metavar="EUR", help=f"{what}; absent: an assumption"
        )
    group.add_argument("--workers", type=int, default=1, metavar="N", help="processes that compute")
    group.add_argument(
        "--cluster", default=None, metavar="ADDRESS", help="Dask scheduler that computes instead"
    )


def studies(
    arguments: argparse.Namespace,
    case: BacktestCase,
    policies: Sequence[Policy],
    progress: Progress,
) -> dict[str, dict[str, Any]]:
    """Return every study asked for, by name.

    Raises:
        EmsError: One is not possible.
    """
    from engine.analytics.studies.asked import run_by
    from engine.analytics.studies.documents import refuse_impossible, study_document

    wrong = next((name for name in arguments.study if name not in NAMES), None)
    if wrong is not None:
        raise EmsError(
            f"There is no study '{wrong}'.",
            field="--study",
            value=wrong,
            hint=f"Use {', '.join(NAMES)}.",
        )
    request = _request(arguments, case)
    assert request.sizing is not None
    assert request.studies is not None
    asked = request.studies.asked(case, request.sizing.investment.investment())
    refuse_impossible(case, policies, asked)
    if SIZING in arguments.study:
        run_by(policies, foresight=request.sizing.foresight)
    found: dict[str, dict[str, Any]] = {}
    for name in asked.names:
        document = study_document(
            name,
            case,
            policies,
            asked,
            run=_run(arguments, name, progress),
            told=partial(progress, f"{name}: cycles"),
        )
        if document["failure"] is not None:
            raise EmsError(f"The study '{name}' is not possible: {document['failure']}")
        found[name] = document
    if SIZING in arguments.study:
        found[SIZING] = _sizing(arguments, case, policies, request.sizing, progress)
    return found


def lines(found: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the studies in words."""
    tables: dict[str, Callable[[Mapping[str, Any]], list[str]]] = {
        "tariffs": _tariff_lines,
        "limits": _limit_lines,
        "forecast": _forecast_lines,
        "montecarlo": _year_lines,
        SIZING: _size_lines,
    }
    said: list[str] = []
    for name, document in found.items():
        policy = f" ({document['policy']})" if document["policy"] else ""
        said += ["", f"{name}{policy}", *tables[name](document)]
        said += ["What it rests on:", *(f"  {text}" for text in document["assumptions"])]
    return said


def write(folder: Path, found: Mapping[str, Mapping[str, Any]]) -> None:
    """Write the rows of all studies as ``studies.csv`` and ``studies.parquet``.

    Raises:
        OSError: They cannot be written.
    """
    from engine.analytics.backtest.files_out import write_parquet
    from engine.config.load import write_atomically
    from engine.runtime.backtests.result_document import studies_table

    shown = {name: document for name, document in found.items() if name != SIZING}
    table = studies_table({"sizing": found.get(SIZING), "studies": shown})
    write_parquet(folder / "studies.parquet", table)
    write_atomically(folder / "studies.csv", table.to_pandas().to_csv(index=False))


def _request(arguments: argparse.Namespace, case: BacktestCase) -> BacktestRequest:
    """Return what the options ask for, checked as the page's requests are."""
    from engine.runtime.backtests.request import parse_request

    asked = set(arguments.study)
    wanted: dict[str, Any] = {}
    if "tariffs" in asked:
        if not arguments.tariff:
            raise EmsError(
                "There is no other tariff to compare with.",
                field="--tariff",
                hint="Give --tariff NAME=FILE, a file with a section 'tariff' as in ems.yaml.",
            )
        wanted["tariffs"] = [
            {"name": name, "tariff": tariff.model_dump(mode="json", exclude_unset=True)}
            for name, tariff in map(_tariff, arguments.tariff)
        ]
    if "limits" in asked:
        wanted["limits"] = {
            "imports_kw": _numbers(arguments.import_kw, "--import-kw"),
            "exports_kw": _numbers(arguments.export_kw, "--export-kw"),
            "cycles_per_year": _numbers(arguments.cycles, "--cycles"),
        }
    if "forecast" in asked:
        wanted["forecast"] = {}
    if "montecarlo" in asked:
        wanted["montecarlo"] = {
            "years": arguments.years,
            "seed": arguments.seed,
            "price_years": not arguments.own_prices,
            "foresight": not arguments.causal,
        }
    battery = case.battery
    kwh = battery.energy_capacity_kwh
    kw = max(battery.power_charge_max_kw, battery.power_discharge_max_kw)
    energies = _numbers(arguments.energies_kwh, "--energies-kwh")
    powers = _numbers(arguments.powers_kw, "--powers-kw")
    prices = {name: getattr(arguments, name) for name in ("eur_per_kwh", "eur_per_kw", "fixed_eur")}
    sizing = {
        "energies_kwh": [share * kwh for share in _SHARES] if energies is None else energies,
        "powers_kw": [share * kw for share in _SHARES] if powers is None else powers,
        "foresight": not arguments.causal,
        "investment": {name: price for name, price in prices.items() if price is not None},
    }
    return parse_request({"studies": wanted, "sizing": sizing})


def _tariff(stated: str) -> tuple[str, TariffConfig]:
    from engine.config.load import config_from, read_text, read_yaml

    name, _, path = stated.partition("=")
    if not name or not path:
        raise EmsError(
            f"'{stated}' names no tariff and file.",
            field="--tariff",
            value=stated,
            hint="Write --tariff NAME=FILE.",
        )
    data = read_yaml(read_text(Path(path)), path)
    return name, config_from({"tariff": data.get("tariff", {})}, path).tariff


def _numbers(text: str | None, option: str) -> list[float] | None:
    if text is None:
        return None
    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError as exc:
        raise EmsError(
            f"'{text}' is no list of numbers.",
            field=option,
            value=text,
            hint="Write numbers separated by commas, for example 50,100,150.",
        ) from exc


def _run(
    arguments: argparse.Namespace, name: str, progress: Progress
) -> Callable[[Sequence[Unit]], Sequence[Outcome]]:
    from engine.analytics.studies.run import run_units
    from engine.analytics.studies.store import UnitStore

    def run(units: Sequence[Unit]) -> Sequence[Outcome]:
        store = None
        if arguments.out is not None:
            # A study that is interrupted goes on from here when it is asked for again.
            store = UnitStore.of_study(arguments.out / "units", [unit.key() for unit in units])
        return run_units(
            units,
            store=store,
            workers=max(1, arguments.workers),
            cluster=arguments.cluster,
            progress=lambda how: progress(name, how.done / how.total),
        ).outcomes

    return run


def _sizing(
    arguments: argparse.Namespace,
    case: BacktestCase,
    policies: Sequence[Policy],
    sizing: SizingConfig,
    progress: Progress,
) -> dict[str, Any]:
    from engine.analytics.studies.asked import run_by
    from engine.analytics.studies.sizing import sizing_map, sizing_units
    from engine.runtime.backtests.result_document import sizing_document

    policy = run_by(policies, foresight=sizing.foresight)
    units = sizing_units(case, policy, sizing.energies_kwh, sizing.powers_kw)
    investment = sizing.investment.investment()
    outcomes = _run(arguments, SIZING, progress)(units)
    return sizing_document(
        sizing_map(units, outcomes, investment), policy, investment, partial=False
    )


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[k]) for row in (heads, *rows)) for k in range(len(heads))]
    return [
        "  ".join(
            cell.ljust(width) if k == 0 else cell.rjust(width)
            for k, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (heads, *rows)
    ]


def _eur(value: float | None) -> str:
    return "-" if value is None else f"{value:,.2f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _tariff_lines(document: Row) -> list[str]:
    rows = [
        (
            row["tariff"],
            row["strategy"] + (f" ({row['forecaster']})" if row["forecaster"] else ""),
            _eur(row["total_eur"]),
            _eur(row["saving_eur"]),
            _share(row["capture"]),
            row["failure"] or "",
        )
        for row in document["rows"]
    ]
    return _table(("tariff", "strategy", "total EUR", "saving EUR", "capture", ""), rows)


def _limit_lines(document: Row) -> list[str]:
    rows = [
        (
            row["limit"],
            "none" if row["at"] is None else f"{row['at']:g}",
            _eur(row["gain_eur"]),
            _eur(row["price_eur"]),
            row["failure"] or "",
        )
        for row in document["rows"]
    ]
    heads = ("limit", "at (kW or cycles/a)", "gain EUR", "EUR per kW or cycle", "")
    return _table(heads, rows)


def _forecast_lines(document: Row) -> list[str]:
    rows = [
        (
            row["forecaster"],
            f"{row['error_scale']:g}",
            _eur(row["saving_eur"]),
            _share(row["capture"]),
            row["failure"] or "",
        )
        for row in document["rows"]
    ]
    return _table(("forecaster", "errors x", "saving EUR", "capture", ""), rows)


def _year_lines(document: Row) -> list[str]:
    spreads = [("saving EUR/a", document["saving"])]
    if document["npv"] is not None:
        spreads.append(("NPV EUR if all were alike", document["npv"]))
    rows = [
        (name, *(f"{spread[part]:,.0f}" for part in ("p10", "p50", "p90", "mean")))
        for name, spread in spreads
    ]
    return _table((f"{document['n']} years", "P10", "P50", "P90", "mean"), rows)


def _size_lines(document: Row) -> list[str]:
    rows = []
    for point in document["points"]:
        if "npv_eur" not in point:
            figures = ("-", "-", "-", point["failure"] or "")
        else:
            years = point["payback_years"]
            figures = (
                _eur(point["saving_eur"]),
                _eur(point["npv_eur"]),
                "never" if years is None else f"{years:.1f}",
                "best" if document["best"] == [point["energy_kwh"], point["power_kw"]] else "",
            )
        rows.append((f"{point['energy_kwh']:g}", f"{point['power_kw']:g}", *figures))
    return _table(("kWh", "kW", "saving EUR", "NPV EUR", "payback a", ""), rows)
