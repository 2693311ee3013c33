"""Rows of an answer as CSV or Parquet instead of JSON, by ``Accept`` or by the ending of the path.

The columns are the fields of the rows' model, so that they are there for no rows too; a mapping
in a row becomes one column per key. They are written as exports are (`engine.history`).
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Any, Final, Union, get_args, get_origin, get_type_hints

import pyarrow as pa
from flask import Blueprint, Response, request
from pydantic import BaseModel

from ems_dash.api.described import CSV, JSON, PARQUET
from ems_dash.api.parameters import Word
from engine.domain.product import product_version
from engine.domain.site import Site
from engine.history.export_csv import csv_bytes
from engine.history.export_parquet import parquet_bytes
from engine.history.export_request import (
    CsvProfile,
    ExportColumn,
    ExportFormat,
    ExportInfo,
    ExportRows,
)
from engine.history.exporter import MIME_TYPES

ENDINGS: Final = (ExportFormat.CSV, ExportFormat.PARQUET)

ROW_MEDIA: Final = {CSV: "The rows as CSV.", PARQUET: "The rows as Parquet."}
"""For `described(media=...)` of a route made with `rows_route`."""

PROFILE: Final = Word(
    "profile",
    CsvProfile,
    CsvProfile.INTERNATIONAL,
    "How CSV is written: with commas and points, or as a German Excel reads it.",
)

UNITS: Final = {
    "_eur_per_kwh": "EUR/kWh",
    "_percent": "%",
    "_kwh": "kWh",
    "_kw": "kW",
    "_eur": "EUR",
    "_ms": "ms",
    "_hours": "h",
    "_minutes": "min",
    "seconds": "s",
}
"""Unit by the end of a name, the longest first."""

_ARROW: Final[dict[Any, Any]] = {
    float: pa.float64(),
    int: pa.int64(),
    bool: pa.bool_(),
    datetime: pa.timestamp("us"),
    date: pa.date32(),
}

_FIRST: Final = ("ts", "day")

View = Callable[..., Response]


def rows_route(api: Blueprint, path: str) -> Callable[[View], View]:
    """Register a view at `path`, and at `path` with the ending of each format."""

    def register(view: View) -> View:
        api.add_url_rule(path, view.__name__, view, methods=["GET"])
        for ending in ENDINGS:
            api.add_url_rule(f"{path}.{ending}", f"{view.__name__}_{ending}", view, methods=["GET"])
        return view

    return register


def wanted_format() -> ExportFormat | None:
    """Return the format of rows the request asks for; None for JSON.

    An ending of the path decides; without one ``Accept`` does, and JSON when it names neither.
    """
    for ending in ENDINGS:
        if request.path.endswith(f".{ending}"):
            return ending
    media = request.accept_mimetypes.best_match([JSON, CSV, PARQUET], default=JSON)
    return {CSV: ExportFormat.CSV, PARQUET: ExportFormat.PARQUET}.get(media)


def rows_answer(
    form: ExportFormat,
    model: type[BaseModel],
    rows: Sequence[BaseModel],
    *,
    name: str,
    site: Site,
    now: datetime,
    keys: Mapping[str, Sequence[str]] | None = None,
) -> Response:
    """Return rows as a file.

    Args:
        form: CSV or Parquet.
        model: Model of the rows; its fields are the columns, without lists and models in it.
        rows: The rows.
        name: What they are, for the file's name and what is said in it.
        site: The site; CSV also gives its local times.
        now: The time, UTC.
        keys: Field that holds a mapping to its keys, in the order of their columns; left out,
            the keys of all rows as they come.
    """
    table = _table(model, rows, keys or {})
    times = [f.name for f in table.schema if pa.types.is_timestamp(f.type)]
    export = ExportRows(
        info=ExportInfo(
            dataset=name,
            site_id=site.site_id,
            timezone=site.timezone,
            since=None,
            until=None,
            resolution="",
            columns=tuple(
                ExportColumn(n, unit_of(n), _meaning(model, n)) for n in table.schema.names
            ),
            program=f"EMS Dash {product_version()}",
            created_at=now,
        ),
        schema=table.schema,
        time_column="ts" if "ts" in times else next(iter(times), None),
        parts=1,
        tables=iter([table]),
    )
    if form is ExportFormat.CSV:
        profile = PROFILE.read() or CsvProfile.INTERNATIONAL
        content = b"".join(csv_bytes(export, profile, comments=False, tell=_nobody))
    else:
        content = b"".join(parquet_bytes(export, tell=_nobody))
    answer = Response(content)
    answer.headers["Content-Type"] = MIME_TYPES[form]
    answer.headers["Content-Disposition"] = f'attachment; filename="ems_{name}.{form}"'
    answer.headers["Cache-Control"] = "no-store"
    answer.headers["Vary"] = "Accept"
    return answer


def unit_of(name: str) -> str:
    """Return the unit a name carries; empty without one."""
    return next((unit for end, unit in UNITS.items() if name.endswith(end)), "")


def _table(
    model: type[BaseModel], rows: Sequence[BaseModel], keys: Mapping[str, Sequence[str]]
) -> Any:
    hints = get_type_hints(model)
    names: list[str] = []
    columns: list[Any] = []
    for field in sorted(model.model_fields, key=lambda name: name not in _FIRST):
        kind = _plain(hints[field])
        values = [getattr(row, field) for row in rows]
        if get_origin(kind) is dict:
            inside = _arrow(_plain(get_args(kind)[1]))
            if inside is None:
                continue
            asked = keys.get(field)
            for key in asked if asked is not None else dict.fromkeys(k for v in values for k in v):
                names.append(key)
                columns.append(pa.array([value.get(key) for value in values], inside))
        elif (arrow := _arrow(kind)) is not None:
            names.append(field)
            columns.append(pa.array([_value(value) for value in values], arrow))
    return pa.table(columns, names=names)


def _arrow(kind: Any) -> Any:
    """Return the type of a column; None for what is no cell: lists, models."""
    if get_origin(kind) is list or (isinstance(kind, type) and issubclass(kind, BaseModel)):
        return None
    return _ARROW.get(kind, pa.string())


def _plain(kind: Any) -> Any:
    """Return a type without None."""
    if get_origin(kind) in (Union, types.UnionType):
        return next(part for part in get_args(kind) if part is not type(None))
    return kind


def _value(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.astimezone(UTC).replace(tzinfo=None)
    return value if value is None or isinstance(value, bool | int | float | date) else str(value)


def _meaning(model: type[BaseModel], name: str) -> str:
    field = model.model_fields.get(name)
    return "" if field is None else field.description or ""


def _nobody(progress: Any) -> None:
    pass
