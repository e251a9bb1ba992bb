"""Where to stop: the strength of most utility, the largest one within a budget, and what no other point beats."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from steering.statistics import Estimate
from steering.studies.tradeoff.analysis import AXES, Line, Point, estimate
from steering.studies.tradeoff.curves import UNSTEERED
from steering.studies.tradeoff.limits import Limit, broken, limit_of_budget, limit_of_utility, unsound


BUDGETS = (0.01, 0.05, 0.10)
"""Shares of the unsteered helpfulness that may be lost."""


@dataclass(frozen=True, eq=False)
class Best:
    """The strength of a curve that a rule takes."""

    rule: str
    """utility, or the budget, such as `1 %`."""
    point: Point | None
    """None where only the unsteered model keeps the rule."""
    strength: Estimate
    """With the 95 % interval of the strength that resamples take."""
    gained: Estimate
    """Alignment gained, paired with the unsteered model, at this strength."""
    lost: Estimate
    """Helpfulness lost."""
    utility: Estimate
    """Alignment gained less lambda x helpfulness lost."""
    limit: Limit
    """What keeps it from going farther."""

    @property
    def gains(self) -> bool:
        """Whether it does anything, and gains more than it costs."""
        return self.point is not None and self.point.treatment.key != UNSTEERED.key and self.utility.value > 0


def best_of(line: Line, cost_weight: float) -> list[Best]:
    """The strength of most utility, U = B - B0 - lambda (H0 - H), and the largest strength on the side that gains
    alignment up to which no strength loses more than 1, 5 or 10 % of helpfulness, among strengths at which no other
    measure is worse than unsteered by too much (`limits.broken`). Intervals are over items: each resample makes the
    choice anew, by what its own draws of all measures allow.

    Args:
        line: A curve that both axes were read on.
        cost_weight: Lambda, alignment that one unit of helpfulness is worth.
    """
    gained, lost = changes(line)
    worse = broken(line)
    whole = ~unsound(line, worse)
    utility = np.where(whole, gained - cost_weight * lost, -np.inf)
    index = np.where(whole.any(axis=0), utility.argmax(axis=0), -1)
    limit = limit_of_utility(line, int(index[0]), worse, gained[:, 0], lost[:, 0], cost_weight)
    found = [_best(line, "utility", index, gained, lost, cost_weight, limit)]
    share = lost / np.maximum(line.unsteered["helpfulness"], 1e-12)
    side = _side(np.array(line.curve.strengths), gained[:, 0])
    for budget in BUDGETS:
        index = _within(line, side, share, whole, budget)
        limit = limit_of_budget(line, int(index[0]) if index[0] >= 0 else None, side, worse)
        found.append(_best(line, f"{100 * budget:g} %", index, gained, lost, cost_weight, limit))
    return found


def changes(line: Line) -> tuple[np.ndarray, np.ndarray]:
    """Alignment gained and helpfulness lost, paired with the unsteered model, (strength, 1 + resample) each."""
    return (
        line.draws["alignment"] - line.unsteered["alignment"],
        line.unsteered["helpfulness"] - line.draws["helpfulness"],
    )


def _within(line: Line, side: int, share: np.ndarray, whole: np.ndarray, budget: float) -> np.ndarray:
    """Index of the outermost strength within a budget by resample; -1 where there is none but 0."""
    strengths = np.array(line.curve.strengths)
    found = np.full(share.shape[1], -1)
    within = np.ones(share.shape[1], dtype=bool)
    for index in sorted(np.flatnonzero(strengths * side > 0), key=lambda each: abs(strengths[each])):
        within &= (share[index] <= budget) & whole[index]
        found[within] = index
    return found


# The side that gains alignment is a matter of the curve, not of a draw.
def _side(strengths: np.ndarray, gained: np.ndarray) -> int:
    up, down = (gained[strengths * side > 0] for side in (1, -1))
    return 1 if up.max(initial=-np.inf) >= down.max(initial=-np.inf) else -1


def _best(
    line: Line,
    rule: str,
    index: np.ndarray,
    gained: np.ndarray,
    lost: np.ndarray,
    cost_weight: float,
    limit: Limit,
) -> Best:
    strengths = np.append(np.array(line.curve.strengths), 0.0)  # -1 is the unsteered model
    taken, first = strengths[index], int(index[0])
    low, high = np.quantile(taken[1:], [0.025, 0.975])
    if first < 0:
        nothing = Estimate(0.0, 0.0, 0.0)
        return Best(rule, None, Estimate(0.0, float(low), float(high)), nothing, nothing, nothing, limit)
    return Best(
        rule,
        line.points[first],
        Estimate(float(taken[0]), float(low), float(high)),
        estimate(gained[first]),
        estimate(lost[first]),
        estimate(gained[first] - cost_weight * lost[first]),
        limit,
    )


@dataclass(frozen=True, eq=False)
class Front:
    """A point on the Pareto front: none has both more alignment and more helpfulness."""

    point: Point
    share: float
    """Share of resamples in which it is on the front."""


def pareto(lines: Sequence[Line]) -> list[Front]:
    """The points that no other point beats on both axes, by alignment; random and shuffled controls are left out."""
    chosen = [line for line in lines if not line.curve.floor and not line.curve.control]
    if not chosen:
        return []
    points = [point for line in chosen for point in line.points]
    alignment, helpfulness = (np.concatenate([line.draws[axis] for line in chosen]) for axis in AXES)
    on = np.stack([_front(alignment[:, draw], helpfulness[:, draw]) for draw in range(alignment.shape[1])], axis=1)
    found = [Front(point, float(on[row, 1:].mean())) for row, point in enumerate(points) if on[row, 0]]
    return sorted(found, key=lambda each: each.point.values["alignment"].value)


def _front(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Which points are on the front: going down the first axis, those that set a new high on the second."""
    order = np.lexsort((-second, -first))
    before = np.maximum.accumulate(np.concatenate([[-np.inf], second[order][:-1]]))
    on = np.zeros(len(first), dtype=bool)
    on[order] = second[order] > before
    return on
