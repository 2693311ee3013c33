"""The unit of work of every study: one case under one policy, pure and named by its content."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.analytics.backtest.case import BacktestCase
from engine.analytics.backtest.evaluate import evaluate
from engine.analytics.backtest.policy import Policy
from engine.analytics.backtest.result import BacktestResult, MonthResult
from engine.domain.clock import Clock
from engine.domain.errors import EmsError
from engine.domain.product import product_version

METHOD = 3
"""Raised when the same case and policy are to give other numbers: what was kept is then old."""


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """One backtest of a study; picklable.

    Attributes:
        case: What is replayed.
        policy: How the battery is run.
    """

    case: BacktestCase
    policy: Policy

    def key(self) -> str:
        """Return a name for content and program: equal units of equal programs are equal."""
        # At its first use, because it brings the compiler along.
        from engine.optimization.kernel.compiled import sources_hash

        digest = hashlib.sha256()
        for part in (self.case.key(), self.policy.key(), product_version(), sources_hash()):
            digest.update(part.encode())
        digest.update(str(METHOD).encode())
        return digest.hexdigest()


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a unit has no result.

    Attributes:
        message: What is wrong and what to do, in words.
        code: Code of the error.
    """

    message: str
    code: str


Outcome = BacktestResult | Failure


def carry_out(unit: Unit, clock: Clock | None = None) -> Outcome:
    """Return the result of a unit, or why there is none; never cancelled within.

    What a case or tariff makes impossible is a `Failure`, so that one site of hundreds does
    not end the study; anything else is a mistake of the program and raised.
    """
    try:
        return evaluate(unit.case, unit.policy, clock=clock, keep_traces=False)
    except EmsError as exc:
        return Failure(str(exc), exc.code)


def encode(outcome: Outcome) -> dict[str, Any]:
    """Return an outcome as plain data for JSON; quarter-hours are dropped."""
    if isinstance(outcome, Failure):
        return {"failure": dataclasses.asdict(outcome)}
    return {"result": dataclasses.asdict(dataclasses.replace(outcome, traces=None))}


def decode(data: Mapping[str, Any]) -> Outcome:
    """Return the outcome that `encode` wrote.

    Raises:
        KeyError, TypeError, ValueError, EmsError: It is not what `encode` writes.
    """
    if "failure" in data:
        return Failure(**data["failure"])
    values = dict(data["result"])
    values["policy"] = Policy(**values["policy"])
    values["months"] = tuple(MonthResult(**month) for month in values["months"])
    values["notes"] = tuple(values["notes"])
    return BacktestResult(**values)
