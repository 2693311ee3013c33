"""Many units of work: here in this process, in several, or on a Dask cluster.

    run = run_units(units, store=store, workers=2)
    run = run_units(units, store=store, cluster="tcp://10.0.0.5:8786")

Every outcome is kept as it comes, so an interrupted study goes on where it stopped. The answers
are the same wherever they are computed: a unit is a pure function of its content.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import joblib  # type: ignore[import-untyped]

from engine.analytics.backtest.result import BacktestResult
from engine.analytics.studies.store import UnitStore
from engine.analytics.studies.units import Failure, Outcome, Unit, carry_out
from engine.domain.errors import BacktestCancelledError, BacktestError

CLUSTER_TIMEOUT_S = 60.0
"""How long a cluster may take to answer and to have a worker."""


@dataclass(frozen=True, slots=True)
class StudyProgress:
    """How far a study is.

    Attributes:
        done: Units with an outcome.
        total: All units.
        kept: Of those done, how many were taken from an earlier run.
    """

    done: int
    total: int
    kept: int


Progress = Callable[[StudyProgress], None]
Cancelled = Callable[[], bool]


@dataclass(frozen=True, slots=True, eq=False)
class StudyRun:
    """The outcomes of a study, in the order of its units.

    Attributes:
        outcomes: Result or failure of each unit.
        kept: How many were taken from an earlier run.
    """

    outcomes: tuple[Outcome, ...]
    kept: int

    @property
    def failures(self) -> tuple[Failure, ...]:
        """What could not be done."""
        return tuple(outcome for outcome in self.outcomes if isinstance(outcome, Failure))

    def results(self) -> tuple[BacktestResult, ...]:
        """Return every result.

        Raises:
            BacktestError: A unit failed.
        """
        out = []
        for outcome in self.outcomes:
            if isinstance(outcome, Failure):
                raise BacktestError(
                    f"{len(self.failures)} of {len(self.outcomes)} backtests failed, the first "
                    f"one with: {outcome.message}",
                    field="study",
                    hint="Change what makes it impossible, or leave it out.",
                )
            out.append(outcome)
        return tuple(out)


def run_units(
    units: Sequence[Unit],
    *,
    store: UnitStore | None = None,
    workers: int = 1,
    cluster: str | None = None,
    progress: Progress | None = None,
    cancelled: Cancelled | None = None,
) -> StudyRun:
    """Return the outcome of every unit.

    Args:
        units: What is to be done; equal ones are done once.
        store: Keeps outcomes, and has those of an earlier run.
        workers: Processes on this machine, each with one thread.
        cluster: Address of a Dask scheduler; None for this machine. Its workers run pickled
            code, so it must be one that only you can reach.
        progress: Told after every outcome.
        cancelled: Asked after every outcome.

    Raises:
        BacktestCancelledError: `cancelled` said so; what is done is kept.
        BacktestError: The cluster cannot be reached.
        OSError: The store cannot be written.
    """
    keys = [unit.key() for unit in units]
    wanted = dict(zip(keys, units, strict=True))
    found: dict[str, Outcome] = {}
    if store is not None:
        for key in wanted:
            kept = store.get(key)
            if kept is not None:
                found[key] = kept
    n_kept = len(found)

    def tell() -> None:
        if progress is not None:
            progress(StudyProgress(len(found), len(wanted), n_kept))
        if len(found) < len(wanted) and cancelled is not None and cancelled():
            raise BacktestCancelledError(
                f"The study was stopped after {len(found)} of {len(wanted)} backtests.",
                field="study",
                hint="Start it again to go on from there.",
            )

    tell()
    missing = [(key, unit) for key, unit in wanted.items() if key not in found]
    for key, outcome in _outcomes(missing, workers, cluster):
        if store is not None:
            store.put(key, outcome)
        found[key] = outcome
        tell()
    return StudyRun(tuple(found[key] for key in keys), n_kept)


def _outcomes(
    missing: Sequence[tuple[str, Unit]], workers: int, cluster: str | None
) -> Iterator[tuple[str, Outcome]]:
    if not missing:
        return
    rest = list(missing)
    if cluster is None:
        # The first is done here: it fills the cache of compiled code that all processes share.
        key, unit = rest.pop(0)
        yield key, carry_out(unit)
    if cluster is None and (workers <= 1 or len(rest) <= 1):
        for key, unit in rest:
            yield key, carry_out(unit)
        return
    with _backend(workers, cluster):
        parallel = joblib.Parallel(return_as="generator_unordered")
        results = parallel(joblib.delayed(_named)(key, unit) for key, unit in rest)
        try:
            yield from results
        finally:
            # Ends what still runs when a study is stopped.
            results.close()


def _named(key: str, unit: Unit) -> tuple[str, Outcome]:
    return key, carry_out(unit)


@contextmanager
def _backend(workers: int, cluster: str | None) -> Iterator[None]:
    if cluster is None:
        with joblib.parallel_config(backend="loky", n_jobs=workers, inner_max_num_threads=1):
            yield
        return
    client = _client(cluster)
    try:
        with joblib.parallel_config(
            backend="dask", n_jobs=-1, wait_for_workers_timeout=CLUSTER_TIMEOUT_S
        ):
            yield
    finally:
        client.close()


def _client(address: str) -> Any:
    try:
        distributed = importlib.import_module("distributed")
    except ImportError as exc:
        raise BacktestError(
            "Studies on a cluster need the package 'distributed'.",
            field="cluster",
            value=address,
            hint="Install it with: pip install distributed",
        ) from exc
    client = None
    try:
        client = distributed.Client(address, timeout=CLUSTER_TIMEOUT_S)
        client.wait_for_workers(1, timeout=CLUSTER_TIMEOUT_S)
        return client
    except (OSError, ValueError) as exc:
        if client is not None:
            client.close()
        raise BacktestError(
            f"The cluster does not answer, or has no worker: {exc}.",
            field="cluster",
            value=address,
            hint="Give the address of a Dask scheduler with a worker, like tcp://10.0.0.5:8786.",
        ) from exc
