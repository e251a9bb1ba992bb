"""Results side by side: their measures with what they differ by, and their curves on common axes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from steering.statistics import Estimate, difference


if TYPE_CHECKING:
    from steering.studies.measure import Measure
    from steering.studies.study import Result

TEST = (
    "A difference and its interval are made of both runs' 95 % intervals, as if the runs were independent "
    "(square-and-add: Newcombe 1998, method 10, for shares; Zou and Donner 2008 otherwise). Where the interval leaves "
    "0 out, the two differ by more than chance in what was sampled explains; where it does not, that does not show "
    "that they are equal. Each is told by itself: of twenty measures that are the same in truth, about one looks "
    "different. Of measures without an interval nothing is said."
)
"""What is done, and what it means and does not."""
SAME_DATA = (
    "These runs draw their items from the same data, so that their errors mostly go together: a difference that is not "
    "told apart here may well be real, and would show in a comparison item by item."
)
_EXACT = 1e-12
"""Under it, a width or a difference is what float64 left of 0."""


@dataclass(frozen=True)
class MeasureRow:
    """One measure of several results."""

    name: str
    unit: str
    measures: tuple[Measure | None, ...]
    """Of each result; None where one has no measure of that name and unit."""
    differences: tuple[Estimate | None, ...]
    """Of each result but the first, from the first; None where one of both has no interval."""

    @property
    def differs(self) -> bool:
        """Whether any differs from the first by more than the intervals explain."""
        return any(each is not None and told_apart(each) for each in self.differences)


def measure_rows(results: Sequence[Result | None]) -> list[MeasureRow]:
    """Every measure that at least one result has, in the order of the first that has it."""
    found = [{(m.name, m.unit): m for m in result.measures} if result else {} for result in results]
    names = dict.fromkeys(key for each in found for key in each)
    rows = []
    for name, unit in names:
        measures = tuple(each.get((name, unit)) for each in found)
        rows.append(MeasureRow(name, unit, measures, tuple(_differences(measures))))
    return rows


def told_apart(each: Estimate) -> bool:
    """Whether an interval of a difference leaves 0 out."""
    return each.low > _EXACT or each.high < -_EXACT


def estimate_of(measure: Measure | None) -> Estimate | None:
    """A measure with its interval; None where it has none."""
    if measure is None or measure.low is None or measure.high is None:
        return None
    found = Estimate(measure.value, measure.low, measure.high)
    return found if all(map(math.isfinite, found)) else None


def _differences(measures: Sequence[Measure | None]) -> Iterator[Estimate | None]:
    first = estimate_of(measures[0])
    for measure in measures[1:]:
        other = estimate_of(measure)
        if first is None or other is None or max(first.high - first.low, other.high - other.low) < _EXACT:
            yield None  # two intervals of no width say nothing of chance
        else:
            yield difference(other, first)
