"""The SunSpec information models the program knows, from `models.yaml`.

Types and "not implemented" patterns: SunSpec Device Information Model Specification.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from types import MappingProxyType
from typing import Any, Final

from ruamel.yaml import YAML

from engine.devices.encoding import DataType

_TYPES: Final[Mapping[str, tuple[DataType, int | None]]] = {
    "int16": (DataType.INT16, 0x8000),
    "uint16": (DataType.UINT16, 0xFFFF),
    "count": (DataType.UINT16, 0xFFFF),
    "enum16": (DataType.UINT16, 0xFFFF),
    "bitfield16": (DataType.UINT16, 0xFFFF),
    "int32": (DataType.INT32, 0x80000000),
    "uint32": (DataType.UINT32, 0xFFFFFFFF),
    "bitfield32": (DataType.UINT32, 0xFFFFFFFF),
    "acc32": (DataType.UINT32, 0),
    "int64": (DataType.INT64, 0x8000000000000000),
    "uint64": (DataType.UINT64, 0xFFFFFFFFFFFFFFFF),
    "acc64": (DataType.UINT64, 0),
    "float32": (DataType.FLOAT32, None),
}


@dataclass(frozen=True, slots=True)
class ModelPoint:
    """One point of an information model.

    Attributes:
        offset: Registers from the model's ID register.
        width: Number of registers.
        type: Layout; None for a text.
        sentinel: Pattern of "not implemented"; None where there is none (NaN, text).
        scale_factor: Offset of the register with the power of ten, or None.
        every: Length of the repeated block it is in, or None.
        unit: Unit after scaling.
    """

    offset: int
    width: int
    type: DataType | None
    sentinel: int | None
    scale_factor: int | None
    every: int | None
    unit: str | None

    def offset_in(self, module: int | None) -> int:
        """Return the offset in the repeated block number `module` (from 1)."""
        return self.offset + (0 if module is None else (module - 1) * (self.every or 0))


@dataclass(frozen=True, slots=True)
class Model:
    """One information model: its label, usual length without header, and known points."""

    number: int
    label: str
    length: int
    points: Mapping[str, ModelPoint]


@cache
def known_models() -> Mapping[int, Model]:
    """Return number to model of every model in `models.yaml`."""
    text = (resources.files("engine.devices.sunspec") / "models.yaml").read_text(encoding="utf-8")
    data: dict[int, dict[str, Any]] = YAML(typ="safe", pure=True).load(text)
    return MappingProxyType({number: _model(number, entry) for number, entry in data.items()})


def find_point(model: int, point: str) -> ModelPoint | None:
    """Return the point `point` of model number `model`, or None when it is not known here."""
    found = known_models().get(model)
    return None if found is None else found.points.get(point)


def _model(number: int, entry: Mapping[str, Any]) -> Model:
    points = {name: _point(fields) for name, fields in entry["points"].items()}
    return Model(number, entry["label"], entry["length"], MappingProxyType(points))


def _point(fields: Mapping[str, Any]) -> ModelPoint:
    data_type, sentinel = (
        (None, None) if fields["type"] == "string" else _TYPES[str(fields["type"])]
    )
    return ModelPoint(
        offset=fields["offset"],
        width=fields["size"] if data_type is None else data_type.width,
        type=data_type,
        sentinel=sentinel,
        scale_factor=fields.get("scale_factor"),
        every=fields.get("every"),
        unit=fields.get("unit"),
    )
