"""Signals worked out from other signals of the same device, as data of its profile."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from engine.devices.encoding import Finite, Name, ProfileData, frozen_mapping
from engine.domain.errors import DeviceError


def _as_factors(value: Any) -> Any:
    return dict.fromkeys(value, 1.0) if isinstance(value, list | tuple) else value


class DerivedDef(ProfileData):
    """One derived signal; exactly one of `sum`, `product` and `first` is given.

    The result is ``scale * (sum or product)``, then clipped. It is BAD as soon as one input is
    not usable, and never better than its worst input.

    Attributes:
        sum: Signals (factor 1 each), or signal to factor: sums and differences.
        product: Signals to multiply, e.g. voltage and current.
        first: Signals of the same meaning; the first usable one counts (firmware differences).
        scale: Factor, e.g. 0.001 from V x A to kW.
        clip_min: Smaller results become this, e.g. 0 for the import part of a signed power.
        clip_max: Larger results become this.
        unit: Unit of the result; for canonical signals the unit of the signal.
        min: Smallest plausible result before clipping; below it the value is BAD.
        max: Largest plausible result before clipping; above it the value is BAD.
        description: Meaning, for display.
    """

    sum: Annotated[
        Mapping[Name, Finite], BeforeValidator(_as_factors), AfterValidator(frozen_mapping)
    ] = Field(default_factory=dict)
    product: tuple[Name, ...] = ()
    first: tuple[Name, ...] = ()
    scale: Finite = 1.0
    clip_min: Finite | None = None
    clip_max: Finite | None = None
    unit: str | None = None
    min: Finite | None = None
    max: Finite | None = None
    description: str = ""

    @property
    def inputs(self) -> tuple[str, ...]:
        """Signals it is worked out from."""
        return tuple(self.sum) or self.product or self.first

    def combine(self, inputs: Mapping[str, float]) -> float:
        """Return the result before clipping; `inputs` has every input (for `first` only one)."""
        if self.product:
            return self.scale * math.prod(inputs[name] for name in self.product)
        if self.first:
            return self.scale * next(inputs[name] for name in self.first if name in inputs)
        return self.scale * math.fsum(factor * inputs[name] for name, factor in self.sum.items())

    def clipped(self, value: float) -> float:
        """Return `value` within `clip_min` and `clip_max`."""
        if self.clip_min is not None:
            value = max(value, self.clip_min)
        if self.clip_max is not None:
            value = min(value, self.clip_max)
        # Adding zero turns -0.0 into 0.0, which would otherwise be shown as "-0".
        return value + 0.0

    @model_validator(mode="after")
    def _one_operation(self) -> Self:
        given = [name for name in ("sum", "product", "first") if getattr(self, name)]
        if len(given) != 1:
            raise DeviceError(
                f"a derived signal needs exactly one of sum, product and first (got {given}).",
                field="derived",
                value=given,
                hint="Split it into two derived signals.",
            )
        return self
