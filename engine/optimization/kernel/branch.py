"""Demand charges around steps that are not convex: branch and bound on the peaks.

The cost as a function of the peaks is not convex here, so tangents prove nothing. What holds
for every plan whose peaks P_m lie in [low_m, high_m], for any weights mu >= 0 with
sum over billed steps of mu_mt <= k_m:

    k_m (P_m - low_m) >= sum_t mu_mt (P_m - low_m) >= sum_t mu_mt max(0, import_t - low_m).

So the programme with mu as a price above low_m and the exact penalty of `peaks` above high_m,
plus sum k_m (low_m - floor_m), is a lower bound. It is itself a non-convex programme of one
store, which `pieced` solves exactly. Its plan says which pieces of the steps to take; with those
held the problem is convex, is solved exactly with its peaks, and gives a plan that counts and
the next weights. A box is dropped when its bound reaches the best plan; otherwise it is cut in
two. Bounds meet the optimum as boxes shrink, so the search ends; what is left of the distance
when time runs out is stated as the gap.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass, field, replace

import numpy as np

from engine.domain.plan import FloatArray
from engine.optimization.kernel.compiled import IntArray
from engine.optimization.kernel.forward import PEAK_PRICE
from engine.optimization.kernel.found import Found
from engine.optimization.kernel.peaks import IMPOSSIBLE, SOLVED
from engine.optimization.kernel.pieced import DONE, OVERFULL, pieced_plan
from engine.optimization.kernel.pieces import PIECES, build_pieces
from engine.optimization.kernel.problem import (
    PEAK_EXCESS,
    KernelProblem,
    highest_peaks_kw,
)
from engine.optimization.kernel.stage import (
    CHARGE,
    DIRECTION,
    DISCHARGE,
    HOURS,
    KINK,
    LONGEST,
    RULES,
)

TOLERANCE = 1e-9
"""Relative distance of the bounds at which the search ends."""

_SLACK_KW = 1e-7

ROUNDS = 3
"""Most weights tried on one box before it is cut."""

TOO_MANY_LINES = 3
"""Code: a cost-to-go grew beyond what the kernel keeps."""

ConvexSearch = Callable[[KernelProblem, FloatArray], tuple[int, Found | None]]


@dataclass(frozen=True, slots=True, order=True)
class _Box:
    bound_eur: float
    number: int
    low_kw: FloatArray = field(compare=False)
    high_kw: FloatArray = field(compare=False)
    weights: FloatArray = field(compare=False)


@dataclass(frozen=True, slots=True, eq=False)
class _Relaxed:
    """The plan behind a bound: its pieces per step and its import above the lower peaks."""

    bound_eur: float
    chosen: FloatArray
    excess_kw: FloatArray


@dataclass(slots=True)
class _Search:
    problem: KernelProblem
    convex_search: ConvexSearch
    best: Found | None = None
    solves: int = 0
    code: int = SOLVED
    pieces: tuple[IntArray, FloatArray] = field(init=False)
    tried: dict[bytes, Found | None] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = self.problem.rows.shape[0]
        pieces, choices = np.zeros(n, dtype=np.int64), np.zeros((n, PIECES, 3))
        build_pieces(
            self.problem.rows,
            self.problem.numbers,
            pieces,
            np.zeros((n, PIECES), dtype=np.int64),
            np.zeros((n, PIECES, 3)),
            choices,
            np.zeros((n, PIECES, LONGEST)),
            np.zeros((n, PIECES, LONGEST)),
        )
        self.pieces = pieces, choices

    @property
    def cost_eur(self) -> float:
        return np.inf if self.best is None else self.best.cost_eur

    @property
    def enough_eur(self) -> float:
        """A box with a bound from here on holds nothing better."""
        if self.best is None:
            return np.inf
        return self.best.cost_eur - TOLERANCE * max(1.0, abs(self.best.cost_eur))

    def relaxed(self, box: _Box) -> _Relaxed | None:
        """Return the bound of a box under its weights and the plan behind it."""
        problem = self.problem
        rows, hours = problem.rows.copy(), float(problem.numbers[HOURS])
        constant = 0.0
        for index, (peak, slot) in enumerate(zip(problem.peaks, problem.slots, strict=True)):
            at, billed = KINK + 4 * slot, peak.billed
            rows[billed, at] = box.low_kw[index]
            rows[billed, at + 1] = box.weights[index][billed] / hours
            rows[billed, at + 2] = box.high_kw[index]
            rows[billed, at + 3] = PEAK_EXCESS * peak.charge_eur_per_kw / hours
            constant += peak.charge_eur_per_kw * (float(box.low_kw[index]) - peak.floor_kw)
        end = problem.end
        code, cost, chosen, powers, _ = pieced_plan(
            rows,
            problem.numbers,
            problem.states,
            end.slopes,
            end.widths,
            end.left_kwh,
            end.value_eur,
            problem.energy_kwh,
        )
        self.solves += 1
        if code != DONE:
            self.code = TOO_MANY_LINES if code == OVERFULL else IMPOSSIBLE
            return None
        chosen, grid = self._own_pieces(chosen, powers), powers[:, 1]
        excess_kw = np.stack(
            [
                np.where(peak.billed, np.maximum(grid - low, 0.0), 0.0)
                for peak, low in zip(problem.peaks, box.low_kw, strict=True)
            ]
            or [np.zeros_like(grid)]
        )
        return _Relaxed(cost + constant, chosen, excess_kw)

    def narrowed(self, box: _Box, out_of_time: Callable[[], bool]) -> _Box:
        """Return the box without the peaks that no plan as good as the best can have.

        With no weights on peak m a bound L leaves its charge uncounted, so a plan that is no
        worse than one of cost U has a peak of at most low_m + (U - L) / k_m.
        """
        problem = self.problem
        relaxed = self.relaxed(box)
        found = None if relaxed is None else self.decided(relaxed.chosen)
        if relaxed is None or found is None:
            return box
        weights = _weights(problem, found, box.weights, relaxed.excess_kw)
        high_kw = box.high_kw.copy()
        for index, peak in enumerate(problem.peaks):
            if out_of_time():
                break
            others = weights.copy()
            others[index] = 0.0
            without = self.relaxed(replace(box, weights=others, high_kw=high_kw))
            if without is None:
                return box
            self.decided(without.chosen)
            room_kw = (self.cost_eur - without.bound_eur) / peak.charge_eur_per_kw
            high_kw[index] = min(high_kw[index], box.low_kw[index] + max(room_kw, 0.0) + 1e-6)
        return replace(box, high_kw=high_kw, weights=weights)

    def _own_pieces(self, chosen: FloatArray, powers: FloatArray) -> FloatArray:
        """Return the pieces of the steps themselves that hold a relaxed plan's powers.

        A price above a peak can make a step convex that is not without it, so the relaxed
        programme's own pieces may be too wide.
        """
        pieces, choices = self.pieces
        battery, grid = powers[:, :1], powers[:, 1:]
        direction = choices[:, :, 2]
        holds = (np.arange(PIECES) < pieces[:, None]) & (
            (battery >= -choices[:, :, 0] - _SLACK_KW)
            & (battery <= choices[:, :, 1] + _SLACK_KW)
            & (grid * direction >= -_SLACK_KW)
        )
        same = direction == chosen[:, 2:]
        best = np.argmax(2 * holds + same, axis=1)
        own: FloatArray = choices[np.arange(best.size), best]
        return own

    def decided(self, chosen: FloatArray) -> Found | None:
        """Return the best plan with the pieces held; remember the best of all."""
        key = chosen.tobytes()
        if key not in self.tried:
            rows = self.problem.rows.copy()
            rows[:, CHARGE], rows[:, DISCHARGE] = chosen[:, 0], chosen[:, 1]
            rows[:, DIRECTION], rows[:, RULES] = chosen[:, 2], 0.0
            _, found = self.convex_search(self.problem, rows)
            self.tried[key] = found
            if found is not None:
                self.solves += found.solves
                if found.cost_eur < self.cost_eur:
                    self.best = found
        return self.tried[key]


def branched_plan(
    problem: KernelProblem,
    convex_search: ConvexSearch,
    out_of_time: Callable[[], bool],
) -> tuple[int, Found | None]:
    """Solve a problem whose steps may be non-convex, its peaks included.

    Args:
        problem: The problem.
        convex_search: Solves it with its steps decided.
        out_of_time: True when the search must end.

    Returns:
        Code (SOLVED, IMPOSSIBLE or TOO_MANY_LINES) and what was found, its bound included.
    """
    search = _Search(problem, convex_search)
    n, count = problem.rows.shape[0], len(problem.peaks)
    floor_kw = np.array([peak.floor_kw for peak in problem.peaks])
    high_kw = highest_peaks_kw(problem)
    first = _Box(-np.inf, 0, floor_kw, high_kw, np.zeros((count, n)))
    boxes = [first] if count == 0 else [search.narrowed(first, out_of_time)]
    numbers, complete, closed_eur = 1, True, np.inf
    while boxes and boxes[0].bound_eur < search.enough_eur:
        box = heapq.heappop(boxes)
        bound_eur, found, relaxed = box.bound_eur, None, None
        weights, kept, used = box.weights, box.weights, box.weights
        for _ in range(ROUNDS if count else 1):
            used = weights
            relaxed = search.relaxed(replace(box, weights=used))
            if relaxed is None:
                return search.code, None
            if relaxed.bound_eur >= bound_eur:
                bound_eur, kept = relaxed.bound_eur, weights
            found = search.decided(relaxed.chosen)
            if bound_eur >= search.enough_eur or found is None:
                break
            renewed = _weights(problem, found, weights, relaxed.excess_kw)
            if np.allclose(renewed, weights, rtol=0.0, atol=1e-12):
                break
            weights = renewed
        if not count or bound_eur >= search.enough_eur:
            closed_eur = min(closed_eur, bound_eur)
            continue
        if out_of_time():
            heapq.heappush(boxes, replace(box, bound_eur=bound_eur))
            complete = False
            break
        assert relaxed is not None
        gaps_eur = _gaps_eur(problem, relaxed.excess_kw, used)
        for low, high in _cut(box, found, gaps_eur):
            heapq.heappush(boxes, _Box(bound_eur, numbers, low, high, kept))
            numbers += 1
    if search.best is None:
        return IMPOSSIBLE, None
    open_eur = boxes[0].bound_eur if boxes else np.inf
    bound_eur = min(search.best.cost_eur, closed_eur, open_eur)
    return SOLVED, replace(
        search.best, bound_eur=bound_eur, solves=search.solves, complete=complete
    )


def _weights(
    problem: KernelProblem, found: Found, before: FloatArray, excess_kw: FloatArray
) -> FloatArray:
    """Return the next weights, within the charges.

    What a kW above each peak costs in the plan found, joined with the weights before; what a
    charge has left goes to the steps that the relaxed plan still lifted above the peak.
    """
    weights = np.zeros_like(before)
    for index, (peak, slot) in enumerate(zip(problem.peaks, problem.slots, strict=True)):
        charge = peak.charge_eur_per_kw
        shares = np.where(peak.billed, found.plan[:, PEAK_PRICE + 2 * slot], 0.0)
        total = float(shares.sum())
        if total > charge:
            shares *= charge / total
        joined = np.maximum(shares, before[index])
        if float(joined.sum()) > charge:
            joined = 0.5 * (shares + before[index])
        left, lifted = charge - float(joined.sum()), excess_kw[index] > 1e-9
        if left > 0.0 and lifted.any():
            joined += np.where(lifted, left / int(lifted.sum()), 0.0)
        weights[index] = joined
    return weights


def _gaps_eur(problem: KernelProblem, excess_kw: FloatArray, weights: FloatArray) -> FloatArray:
    """Return for each peak what the relaxed plan really pays beyond what its weights say."""
    charges = np.array([peak.charge_eur_per_kw for peak in problem.peaks])
    paid: FloatArray = charges * excess_kw.max(axis=1) - (weights * excess_kw).sum(axis=1)
    return paid


def _cut(
    box: _Box, found: Found | None, gaps_eur: FloatArray
) -> list[tuple[FloatArray, FloatArray]]:
    """Return the two halves of a box: of the peak with the largest gap, at the best plan's."""
    width = box.high_kw - box.low_kw
    index = int(np.argmax(np.where(width > 0.0, gaps_eur + 1e-9 * width, -np.inf)))
    low, high = float(box.low_kw[index]), float(box.high_kw[index])
    at = 0.5 * (low + high)
    if found is not None:
        peak = found.peaks_kw[index]
        if low + 1e-3 * (high - low) < peak < high - 1e-3 * (high - low):
            at = peak
    below, above = box.high_kw.copy(), box.low_kw.copy()
    below[index] = above[index] = at
    return [(box.low_kw, below), (above, box.high_kw)]
