"""A backtest on disk: one folder each, readable without the program.

``request.json`` what was asked (without uploaded bytes), ``case.json`` and ``series.parquet``
what is replayed, ``status.json`` how it is doing, ``result.json`` what came of it so far,
``traces.parquet`` every quarter-hour of every strategy. Files are renamed into place whole.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from datetime import datetime, time
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from engine.analytics.backtest.case import BacktestCase, SiteSeries
from engine.analytics.baselines import TimerWindows
from engine.config.control import ControlConfig
from engine.config.load import write_atomically
from engine.config.planning import StrategiesConfig
from engine.config.tariff import TariffConfig
from engine.domain.errors import BacktestError
from engine.domain.site import Battery, GridConnection, Site

REQUEST, CASE, STATUS, RESULT = "request.json", "case.json", "status.json", "result.json"
SERIES, TRACES = "series.parquet", "traces.parquet"

ID_PATTERN = re.compile(r"^[0-9]{8}-[0-9]{6}-[0-9a-f]{6}$")
"""Ids are names of folders: nothing else may become a path."""


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a document whole or not at all.

    Raises:
        OSError: It cannot be written.
    """
    write_atomically(path, json.dumps(document, ensure_ascii=False))


def read_json(path: Path) -> dict[str, Any] | None:
    """Return a document; None when there is none.

    Raises:
        BacktestError: It is damaged.
    """
    try:
        found: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as exc:
        raise BacktestError(
            f"{path.name} of this backtest cannot be read: {exc}.",
            field=path.name,
            hint="Run the backtest again.",
        ) from exc
    return found


def write_case(folder: Path, case: BacktestCase) -> None:
    """Write a case.

    Raises:
        OSError: It cannot be written.
    """
    series = case.series
    table = pa.table(
        {
            "spot_eur_per_kwh": series.spot_eur_per_kwh,
            "load_kw": series.load_kw,
            "pv_kw": series.pv_kw,
        }
    )
    pq.write_table(table, folder / SERIES, compression="zstd")
    timer = case.timer
    write_json(
        folder / CASE,
        {
            "site": dataclasses.asdict(case.site),
            "tariff": case.tariff.model_dump(mode="json", exclude_unset=True),
            "control": case.control.model_dump(mode="json"),
            "strategies": case.strategies.model_dump(mode="json"),
            "timer": [
                part.isoformat()
                for part in (
                    timer.charge_from,
                    timer.charge_until,
                    timer.discharge_from,
                    timer.discharge_until,
                )
            ],
            "series_start": series.start.isoformat(),
            "notes": list(series.notes),
            "start": case.start.isoformat(),
            "end": case.end.isoformat(),
            "soc_start_percent": case.soc_start_percent,
            "curtailment_allowed": case.curtailment_allowed,
            "holidays_country": case.holidays_country,
            "assumptions": list(case.assumptions),
        },
    )


def read_case(folder: Path) -> BacktestCase:
    """Return the case that `write_case` wrote.

    Raises:
        BacktestError: It is missing or damaged.
    """
    document = read_json(folder / CASE)
    if document is None:
        raise BacktestError("The case of this backtest is missing.", field=CASE)
    table = pq.read_table(folder / SERIES)
    site = dict(document["site"])
    site["battery"] = Battery(**site["battery"])
    site["grid"] = GridConnection(**site["grid"])
    return BacktestCase(
        site=Site(**site),
        tariff=TariffConfig.model_validate_json(json.dumps(document["tariff"])),
        series=SiteSeries(
            start=datetime.fromisoformat(document["series_start"]),
            spot_eur_per_kwh=table.column("spot_eur_per_kwh").to_numpy(),
            load_kw=table.column("load_kw").to_numpy(),
            pv_kw=table.column("pv_kw").to_numpy(),
            notes=tuple(document["notes"]),
        ),
        start=datetime.fromisoformat(document["start"]),
        end=datetime.fromisoformat(document["end"]),
        soc_start_percent=document["soc_start_percent"],
        curtailment_allowed=document["curtailment_allowed"],
        control=ControlConfig.model_validate_json(json.dumps(document["control"])),
        strategies=StrategiesConfig.model_validate_json(json.dumps(document["strategies"])),
        timer=TimerWindows(*(time.fromisoformat(part) for part in document["timer"])),
        holidays_country=document["holidays_country"],
        assumptions=tuple(document["assumptions"]),
    )
