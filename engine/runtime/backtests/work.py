"""What the process of a backtest does: ``python -m engine.runtime.backtests.work FOLDER``.

It runs with low priority, tells its progress as one JSON object per line on its standard
output, and writes what is known so far after every strategy. It ends when the program that
started it has gone, which it notices by the end of its standard input.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from engine.analytics.backtest.evaluate import (
    NO_BATTERY,
    PERFECT,
    assumptions,
    capture,
    evaluate,
)
from engine.analytics.backtest.policy import Policy
from engine.analytics.backtest.prepared import prepare
from engine.analytics.studies.asked import (
    FORECAST,
    LIMITS,
    MONTE_CARLO,
    TARIFFS,
    StudiesAsked,
    run_by,
)
from engine.analytics.studies.documents import study_document
from engine.analytics.studies.run import StudyProgress, run_units
from engine.analytics.studies.sizing import sizing_map, sizing_units
from engine.analytics.studies.store import UnitStore
from engine.analytics.studies.units import Outcome, Unit
from engine.domain.errors import EmsError
from engine.runtime.backtests.folders import (
    REQUEST,
    read_case,
    read_json,
)
from engine.runtime.backtests.request import SizingConfig, parse_request
from engine.runtime.backtests.result_document import Written, sizing_document

NICENESS = 15
"""Below everything else of the program: what plans and controls never waits for it."""

Tell = Callable[[str, float], None]


def main() -> None:
    """Carry out the backtest of the folder named on the command line."""
    folder = Path(sys.argv[1])
    os.nice(NICENESS)
    threading.Thread(target=_end_with_parent, name="parent", daemon=True).start()
    out = sys.stdout

    def tell(what: str, share: float) -> None:
        _line(out, {"what": what, "share": share})

    try:
        carry_out(folder, tell)
    except EmsError as exc:
        _line(out, {"error": exc.as_dict()})
        sys.exit(1)
    except OSError as exc:
        _line(
            out,
            {
                "error": {
                    "code": "backtest_impossible",
                    "message": f"A file could not be written: {exc.strerror or exc}.",
                    "field": None,
                    "hint": "Check the data folder and its free space.",
                }
            },
        )
        sys.exit(1)


def carry_out(folder: Path, tell: Tell) -> None:
    """Carry out the backtest of `folder` and write what comes of it.

    Raises:
        EmsError: It is not possible.
        OSError: A file cannot be read or written.
    """
    document = read_json(folder / REQUEST)
    asked = parse_request(document or {})
    case = read_case(folder)
    prepared = prepare(case)
    policies = [policy for policy in asked.policies() if policy not in (PERFECT, NO_BATTERY)]
    investment = None if asked.sizing is None else asked.sizing.investment.investment()
    studies = StudiesAsked()
    if asked.studies is not None:
        studies = asked.studies.asked(case, investment)
    stages = _Stages(
        tell,
        [_weight(policy) for policy in policies],
        asked.sizing is not None,
        {name: _study_weight(name, studies, policies) for name in studies.names},
    )
    written = Written(folder, prepared)
    written.assume(assumptions(prepared))
    without = evaluate(case, NO_BATTERY)
    written.add(without)
    perfect = evaluate(case, PERFECT, progress=stages.first)
    best = perfect.saving_eur
    written.add(dataclasses.replace(perfect, capture=capture(best, best)))
    for number, policy in enumerate(policies):
        result = evaluate(case, policy, perfect_saving_eur=best, progress=stages.of_policy(number))
        written.add(result)
    if asked.sizing is not None:
        policy = run_by(asked.policies(), foresight=asked.sizing.foresight)
        units = sizing_units(case, policy, asked.sizing.energies_kwh, asked.sizing.powers_kw)
        _size(units, asked.sizing, _store(folder, units), written, stages.sizing)
    asked_for = [policy for policy in asked.policies() if policy != NO_BATTERY]
    for name in studies.names:
        # Bounds on cycles are no units of work: they are the second half of the limits.
        told, half = stages.study(name), 0.5 if name == LIMITS else 1.0
        document = study_document(
            name,
            case,
            asked_for,
            studies,
            run=partial(_run, folder=folder, told=partial(_part, told, 0.0, half)),
            told=partial(_part, told, half, 1.0 - half),
        )
        written.study(name, document)
    written.finish()
    tell("done", 1.0)


def _size(
    units: list[Unit], sizing: SizingConfig, store: UnitStore, written: Written, tell: Tell
) -> None:
    investment, policy = sizing.investment.investment(), units[0].policy
    keys = [unit.key() for unit in units]
    row = len({unit.case.battery.power_discharge_max_kw for unit in units})

    def write(outcomes: Sequence[Outcome | None], partial: bool) -> None:
        found = sizing_map(units, outcomes, investment)
        written.size(sizing_document(found, policy, investment, partial=partial))

    def progress(how: StudyProgress) -> None:
        tell("sizing", how.done / how.total)
        if how.done % row == 0:
            write([store.get(key) for key in keys], True)

    # One process: the other core stays free for what steers the plant.
    run = run_units(units, store=store, workers=1, progress=progress)
    write(run.outcomes, False)


def _part(told: Callable[[float], None], begin: float, width: float, share: float) -> None:
    told(begin + width * share)


def _run(units: Sequence[Unit], *, folder: Path, told: Callable[[float], None]) -> list[Outcome]:
    """Carry out the units of a study one after the other, those kept from before left out."""
    done = run_units(
        units,
        store=_store(folder, units),
        workers=1,
        progress=lambda how: told(how.done / how.total),
    )
    return list(done.outcomes)


def _store(folder: Path, units: Sequence[Unit]) -> UnitStore:
    """Return where units are kept for all backtests: none of the same case is computed twice."""
    return UnitStore.of_study(folder.parent.parent / "studies", [unit.key() for unit in units])


def _study_weight(name: str, studies: StudiesAsked, policies: Sequence[Policy]) -> float:
    """Return about how long a study takes, in weights of policies."""
    weights = [_weight(policy) for policy in policies]
    first = next((_weight(policy) for policy in policies if not policy.is_baseline), 1.0)
    if name == TARIFFS:
        return (1 + len(studies.tariffs or ())) * (1.0 + sum(weights))
    if name == FORECAST and studies.forecast is not None:
        return first * (len(studies.forecast.scales) + len(studies.forecast.forecasters))
    if name == MONTE_CARLO and studies.years is not None:
        return studies.years.n * (1.0 if studies.years.foresight else first)
    return 20.0


def _weight(policy: Policy) -> float:
    if policy.is_baseline or policy.forecaster.value == "perfect":
        return 0.2
    return (6.0 if policy.scenarios else 1.0) * 15.0 / policy.plan_minutes * 4.0


class _Stages:
    """Turns the progress of the parts into that of the whole."""

    def __init__(
        self, tell: Tell, weights: list[float], sizes: bool, studies: Mapping[str, float]
    ) -> None:
        sizing = max(1.0, sum(weights)) if sizes else 0.0
        all_weights = [1.0, *weights, sizing, *studies.values()]
        total = sum(all_weights)
        self._tell = tell
        self._sizing = 1 + len(weights)
        self._studies = {name: self._sizing + 1 + k for k, name in enumerate(studies)}
        self._begin = [sum(all_weights[:i]) / total for i in range(len(all_weights))]
        self._width = [weight / total for weight in all_weights]

    def first(self, _label: str, share: float) -> None:
        self._at(0, "perfect", share)

    def of_policy(self, number: int) -> Callable[[str, float], None]:
        return lambda label, share: self._at(number + 1, label, share)

    def sizing(self, what: str, share: float) -> None:
        self._at(self._sizing, what, share)

    def study(self, name: str) -> Callable[[float], None]:
        return lambda share: self._at(self._studies[name], f"study_{name}", share)

    def _at(self, stage: int, what: str, share: float) -> None:
        self._tell(what, self._begin[stage] + self._width[stage] * share)


def _line(out: TextIO, document: dict[str, Any]) -> None:
    out.write(json.dumps(document) + "\n")
    out.flush()


def _end_with_parent() -> None:
    # Not by sys.stdin: its lock would hold up the end of the process.
    while os.read(0, 4096):
        pass
    os._exit(3)


if __name__ == "__main__":
    main()
