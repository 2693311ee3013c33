"""Strategies under tariffs: every combination of both over the same period."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.analytics.backtest.case import BacktestCase
from engine.analytics.backtest.evaluate import PERFECT, SMALLEST_SAVING_EUR
from engine.analytics.backtest.policy import Policy
from engine.analytics.backtest.result import BacktestResult
from engine.analytics.studies.units import Failure, Outcome, Unit
from engine.config.tariff import TariffConfig


@dataclass(frozen=True, slots=True, eq=False)
class Entry:
    """One strategy under one tariff.

    Attributes:
        tariff: Name of the tariff.
        policy: How the battery was run.
        result: What it earned, with its capture under that tariff; None where it failed.
        without_eur: What the site pays under that tariff without a battery; None where unknown.
        failure: Why there is no result, in words.
    """

    tariff: str
    policy: Policy
    result: BacktestResult | None
    without_eur: float | None
    failure: str | None = None

    @property
    def total_eur(self) -> float | None:
        """What the site pays in all, the figure by which tariffs compare."""
        return None if self.result is None else self.result.total_eur


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Every combination, tariff by tariff.

    Attributes:
        entries: In the order of tariffs, within each of policies.
        perfect: Tariff to the result of perfect foresight under it; None where it failed.
    """

    entries: tuple[Entry, ...]
    perfect: Mapping[str, BacktestResult | None]

    def cheapest(self) -> Entry | None:
        """Return the combination with the lowest total cost; None where all failed."""
        known = [entry for entry in self.entries if entry.result is not None]
        return min(known, key=lambda entry: entry.total_eur or 0.0, default=None)


def side_by_side_units(
    case: BacktestCase, policies: Sequence[Policy], tariffs: Mapping[str, TariffConfig]
) -> list[Unit]:
    """Return the backtests of a table: per tariff perfect foresight, then every policy."""
    return [
        Unit(case.with_tariff(tariff), policy)
        for tariff in tariffs.values()
        for policy in (PERFECT, *policies)
    ]


def side_by_side(
    units: Sequence[Unit], outcomes: Sequence[Outcome], tariffs: Mapping[str, TariffConfig]
) -> Table:
    """Return the table of `side_by_side_units` and what became of them."""
    width = len(units) // max(1, len(tariffs))
    entries: list[Entry] = []
    perfect: dict[str, BacktestResult | None] = {}
    for number, name in enumerate(tariffs):
        first, *rest = zip(
            units[number * width : (number + 1) * width],
            outcomes[number * width : (number + 1) * width],
            strict=True,
        )
        best = None if isinstance(first[1], Failure) else first[1]
        perfect[name] = best
        entries += [_entry(name, unit, outcome, best) for unit, outcome in rest]
    return Table(tuple(entries), perfect)


def _entry(name: str, unit: Unit, outcome: Outcome, best: BacktestResult | None) -> Entry:
    if isinstance(outcome, Failure):
        return Entry(name, unit.policy, None, None, outcome.message)
    capture = None
    if best is not None and best.saving_eur >= SMALLEST_SAVING_EUR:
        capture = outcome.saving_eur / best.saving_eur
    without = outcome.saving_eur + outcome.total_eur
    return Entry(name, unit.policy, dataclasses.replace(outcome, capture=capture), without)
