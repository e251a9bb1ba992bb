"""What keeps a recommendation from going farther: what is worse than unsteered by too much, or the sweep's end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from steering.studies.tradeoff.analysis import Line, Point


MUCH = 0.1
"""A strength is not sound where a share is worse than unsteered by more than this,"""
LEAST = 2
"""and by at least so many items."""
_ROUNDING = 1e-9
"""Of a mean of zeros and ones."""


@dataclass(frozen=True, eq=False)
class Limit:
    """What is met at the strength where a rule would go on."""

    roles: tuple[str, ...]
    """The measures that are worse by too much there; helpfulness, whose loss outweighs what is gained; alignment, which
    rises no further; none where nothing was met before the sweep's end.
    """
    at: Point | None
    """Where; None at the sweep's end."""


def broken(line: Line) -> Mapping[str, np.ndarray]:
    """Where each further measure that has a worse side is worse than unsteered by more than `MUCH` and by at least
    `LEAST` items, (strength, 1 + resample).
    """
    found = {}
    for role, side in line.worse.items():
        if role in line.points[0].n:
            loss = side * (line.draws[role] - line.unsteered[role])
            found[role] = (loss > MUCH + _ROUNDING) & (np.round(loss * line.points[0].n[role]) >= LEAST)
    return found


def unsound(line: Line, worse: Mapping[str, np.ndarray]) -> np.ndarray:
    """Whether any measure is broken, (strength, 1 + resample)."""
    nothing = np.zeros(line.draws["alignment"].shape, dtype=bool)
    return np.logical_or.reduce([nothing, *worse.values()])


def limit_of_utility(
    line: Line, index: int, worse: Mapping[str, np.ndarray], gained: np.ndarray, lost: np.ndarray, weight: float
) -> Limit:
    """What keeps the strength of most utility where it is: at the strength that would have more of it were all replies
    sound, or else at the next one outwards.

    Args:
        line: The curve.
        index: Of the strength that is taken.
        worse: As `broken` gives it.
        gained: Alignment, (strength,).
        lost: Helpfulness, (strength,).
        weight: Lambda.
    """
    free = int((gained - weight * lost).argmax())
    stopped = _broken_at(worse, free)
    if stopped:
        return Limit(stopped, line.points[free])
    beyond = outwards(line, index)
    if beyond is None:
        return Limit((), None)
    stopped = _broken_at(worse, beyond)
    rises = gained[beyond] > gained[index]
    return Limit(stopped or (("helpfulness",) if rises else ("alignment",)), line.points[beyond])


def limit_of_budget(line: Line, index: int | None, side: int, worse: Mapping[str, np.ndarray]) -> Limit:
    """What stands at the first strength that breaks a budget of helpfulness.

    Args:
        line: The curve.
        index: Of the strength that is taken; None where it is that of no steering.
        side: Which side of 0 gains alignment, 1 or -1.
        worse: As `broken` gives it.
    """
    beyond = outwards(line, index, side)
    if beyond is None:
        return Limit((), None)
    return Limit(_broken_at(worse, beyond) or ("helpfulness",), line.points[beyond])


def outwards(line: Line, index: int | None, side: int = 1) -> int | None:
    """The index of the next strength farther from 0 on the same side; None at the end."""
    strengths = np.array(line.curve.strengths)
    here = 0.0 if index is None else float(strengths[index])
    side = side if here == 0 else int(np.sign(here))
    beyond = np.flatnonzero(strengths * side > here * side)
    return int(beyond[np.argmin(np.abs(strengths[beyond]))]) if len(beyond) else None


def _broken_at(worse: Mapping[str, np.ndarray], index: int) -> tuple[str, ...]:
    """Of all items, not of a resample."""
    return tuple(role for role, each in worse.items() if each[index, 0])
