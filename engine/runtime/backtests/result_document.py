"""What came of a backtest as one document, which page, report and API read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from engine.analytics.backtest.accounts import Account, account, saved_eur, without_battery
from engine.analytics.backtest.files_out import traces_table, write_parquet
from engine.analytics.backtest.policy import NONE, Policy
from engine.analytics.backtest.prepared import Prepared
from engine.analytics.backtest.result import BacktestResult
from engine.analytics.studies.finance import Investment
from engine.analytics.studies.finance import assumptions as investment_assumptions
from engine.analytics.studies.sizing import SizePoint, SizingMap
from engine.domain.plan import FloatArray
from engine.domain.product import product_version
from engine.runtime.backtests.folders import RESULT, TRACES, write_json

FORMAT = 1
DURATION_POINTS = 200
"""Points of a duration curve; it falls steadily, so quantiles show all of it."""


def key_of(policy: Policy) -> str:
    """Return the name of a policy in results: its strategy, with the forecaster if it has one."""
    return policy.strategy if policy.is_baseline else f"{policy.strategy}:{policy.forecaster}"


class Written:
    """The document while it grows; every change is written.

    Args:
        folder: Folder of the backtest.
        prepared: What is replayed.
    """

    def __init__(self, folder: Path, prepared: Prepared) -> None:
        self._folder = folder
        self._prepared = prepared
        self._without: Account = account(prepared, without_battery(prepared), with_battery=False)
        self._tables: list[pa.Table] = []
        self._strategies: list[dict[str, Any]] = []
        self._document: dict[str, Any] = {
            "format": FORMAT,
            "version": product_version(),
            "partial": True,
            **_about(prepared),
            "without_eur": self._without.total_eur,
            "strategies": self._strategies,
            "assumptions": [],
            "sizing": None,
            "studies": {},
        }

    def assume(self, assumptions: Sequence[str]) -> None:
        """State what every number rests on."""
        self._document["assumptions"] = list(assumptions)

    def add(self, result: BacktestResult) -> None:
        """Add what one policy has earned; its traces are there.

        Raises:
            OSError: The document cannot be written.
        """
        traces = result.traces
        assert traces is not None
        own = account(self._prepared, traces, with_battery=result.policy.strategy != NONE)
        key = key_of(result.policy)
        self._strategies.append(
            {
                "key": key,
                "label": result.policy.label(),
                **result.as_dict(),
                "daily_saving_eur": _daily(self._prepared, own, self._without),
                "duration_kw": _duration(traces.grid_kw),
            }
        )
        table = traces_table(self._prepared.case, result)
        names = pa.array([key]).dictionary_encode()
        column = pa.DictionaryArray.from_arrays(
            np.zeros(table.num_rows, dtype=np.int8), names.dictionary
        )
        self._tables.append(table.add_column(1, "strategy", column))
        self._write()

    def size(self, document: dict[str, Any]) -> None:
        """Add the sizing map as far as it is known."""
        self._document["sizing"] = document
        self._write()

    def study(self, name: str, document: dict[str, Any]) -> None:
        """Add what came of a study.

        Raises:
            OSError: The document cannot be written.
        """
        self._document["studies"] = {**self._document["studies"], name: document}
        self._write()

    def finish(self) -> None:
        """Write the quarter-hours, then say that all is there."""
        tables = pa.concat_tables(self._tables, promote_options="permissive")
        write_parquet(self._folder / TRACES, tables.unify_dictionaries())
        self._document["partial"] = False
        self._write()

    def _write(self) -> None:
        write_json(self._folder / RESULT, self._document)


def sizing_document(
    found: SizingMap, policy: Policy, investment: Investment, *, partial: bool
) -> dict[str, Any]:
    """Return a sizing map as plain data."""
    best, fastest = found.best, found.fastest
    return {
        "partial": partial,
        "policy": policy.label(),
        "perfect_foresight": policy.forecaster.value == "perfect",
        "energies_kwh": list(found.energies_kwh),
        "powers_kw": list(found.powers_kw),
        "points": [_point(point) for point in found.points],
        "best": None if best is None else [best.energy_kwh, best.power_kw],
        "fastest": None if fastest is None else [fastest.energy_kwh, fastest.power_kw],
        "investment": investment.as_dict(),
        "assumptions": list(investment_assumptions(investment)),
    }


def studies_table(result: Mapping[str, Any]) -> pa.Table:
    """Return every row of every study of a result in one table, column `study` first.

    Columns of one study are empty in the rows of the others. A result without studies has none.
    """
    rows: list[dict[str, Any]] = []
    if result["sizing"]:
        rows += [{"study": "sizing", **point} for point in result["sizing"]["points"]]
    for name, document in result.get("studies", {}).items():
        rows += [{"study": name, **row} for row in document["rows"]]
    columns = dict.fromkeys(key for row in rows for key in row)
    return pa.table({key: [_plain(row.get(key)) for row in rows] for key in columns})


def _plain(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict) else value


def _point(point: SizePoint) -> dict[str, Any]:
    known: dict[str, Any] = {
        "energy_kwh": point.energy_kwh,
        "power_kw": point.power_kw,
        "failure": point.failure,
    }
    if point.result is not None and point.appraisal is not None:
        known |= {
            "saving_eur": point.result.saving_eur,
            "full_cycles": point.result.full_cycles,
            **point.appraisal.as_dict(),
        }
    return known


def _about(prepared: Prepared) -> dict[str, Any]:
    case, battery, grid = prepared.case, prepared.case.battery, prepared.case.site.grid
    series, span = case.series, prepared.span
    load, pv = series.load_kw[span], series.pv_kw[span]
    return {
        "site": {"id": case.site.site_id, "name": case.site.name, "timezone": case.site.timezone},
        "period": {
            "start": case.start.isoformat(),
            "end": case.end.isoformat(),
            "quarter_hours": case.n,
            "days": case.n / 96.0,
            "past_days": case.first / 96.0,
        },
        "battery": {
            "energy_capacity_kwh": battery.energy_capacity_kwh,
            "power_charge_max_kw": battery.power_charge_max_kw,
            "power_discharge_max_kw": battery.power_discharge_max_kw,
            "efficiency_charge": battery.efficiency_charge,
            "efficiency_discharge": battery.efficiency_discharge,
            "soc_min_percent": battery.soc_min_percent,
            "soc_max_percent": battery.soc_max_percent,
            "standby_loss_kw": battery.standby_loss_kw,
            "wear_cost_eur_per_kwh": battery.wear_cost_eur_per_kwh,
        },
        "grid": {"import_limit_kw": grid.import_limit_kw, "export_limit_kw": grid.export_limit_kw},
        "tariff": case.tariff.model_dump(mode="json", exclude_none=True),
        "energy": {
            "load_kwh": float(load.sum()) / 4.0,
            "pv_kwh": float(pv.sum()) / 4.0,
            "mean_spot_eur_per_kwh": float(series.spot_eur_per_kwh[span].mean()),
        },
        "days": [_day_text(day) for day in np.unique(prepared.day[span])],
    }


def _daily(prepared: Prepared, own: Account, without: Account) -> list[float]:
    """Return what was saved on each local day; stored energy counts on the last."""
    day = prepared.day[prepared.span]
    _, index = np.unique(day, return_inverse=True)
    sums = np.bincount(index, weights=saved_eur(own, without))
    sums[-1] += own.stored_eur
    return [round(float(value), 4) for value in sums]


def _duration(grid_kw: FloatArray) -> list[float]:
    ordered = np.sort(grid_kw)[::-1]
    at = np.linspace(0, ordered.size - 1, min(DURATION_POINTS, ordered.size)).round().astype(int)
    return [round(float(value), 2) for value in ordered[at]]


def _day_text(number: int) -> str:
    return str(np.datetime64(int(number), "D"))
