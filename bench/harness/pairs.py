"""Times taken in turns, A B A B, so that a machine that drifts does so under both; medians with their quartiles."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from bench.harness.profile import profiled
from bench.harness.row import Aim, BenchRow


@dataclass(frozen=True)
class Timed:
    """One piece of work."""

    seconds: float
    """On the clock."""
    computing: float
    """Of the processors, in the process that did it."""


Work = Callable[[], Timed]


def clocked(work: Callable[[], Any]) -> Work:
    """The same work, which gives its times; on a GPU the device's part is waited for."""

    def run() -> Timed:
        synchronise()
        began, computed = time.perf_counter(), time.process_time()
        work()
        synchronise()
        return Timed(time.perf_counter() - began, time.process_time() - computed)

    return run


def synchronise() -> None:
    """Wait for a GPU, where there is one."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.synchronize()


@dataclass(frozen=True)
class Paired:
    """How two pieces of work compare."""

    ratios: tuple[float, ...]
    """Their time over ours, a pair each."""
    computing: tuple[float, ...]
    """The same of the processors' time."""
    ours: float
    """Seconds of ours, the median."""
    theirs: float
    """Seconds of theirs."""
    work: Work
    """Ours, which is done again where an aim is missed, to see where its time goes."""

    def row(self, section: str, name: str, ours: str, opponent: str, *, times: float = 1.0, **others: Any) -> BenchRow:
        """The line of the table.

        Args:
            section: The table.
            name: What is measured.
            ours: What the workbench does.
            opponent: Beside what.
            times: What every ratio is multiplied by, where the two did not do the same amount of work.
            others: Further fields of a `BenchRow`.
        """
        low, middle, high = quartiles([each * times for each in self.ratios])
        computing = statistics.median(self.computing) * times if self.computing else None
        row = BenchRow(
            section, name, ours, opponent, middle, low, high, len(self.ratios), computing=computing, **others
        )
        return replace(row, profile=profiled(self.work)) if row.met is False else row


MOST = 25
"""Pairs at most, however quick they are."""
LEAST, LONGEST = 3, 60.0
"""Pairs at least, however long they take, and the seconds after which no more than those are timed."""


def often(quick: bool) -> dict[str, Any]:
    """How many pairs `paired` times of what takes a second and less: in a short run as few as it may."""
    return {"rounds": LEAST} if quick else {"rounds": 9, "seconds": 4.0}


def paired(ours: Work, theirs: Work, rounds: int, *, warm: int = 1, seconds: float = 0.0) -> Paired:
    """Time two pieces of work in turns: ours, theirs, ours, …, ours.

    Each of theirs is held against the mean of ours before and behind it, so that a steady drift cancels out.

    Args:
        ours: One side.
        theirs: The other.
        rounds: Pairs at least, unless they take longer than `LONGEST`.
        warm: Pairs before them that do not count.
        seconds: For which more pairs are timed, `MOST` at most.
    """
    for _ in range(warm):
        ours()
        theirs()
    began = time.perf_counter()
    first, second = [ours()], []

    def goes_on() -> bool:
        taken = time.perf_counter() - began
        if len(second) < rounds:
            return len(second) < LEAST or taken < LONGEST
        return len(second) < MOST and taken < seconds

    while goes_on():
        second.append(theirs())
        first.append(ours())
    ratios = tuple(_over(second, first, lambda each: each.seconds))
    computing = tuple(_over(second, first, lambda each: each.computing))
    middle = (statistics.median(each.seconds for each in side) for side in (first, second))
    return Paired(ratios, computing, *middle, ours)


def _over(theirs: Sequence[Timed], ours: Sequence[Timed], time_of: Callable[[Timed], float]) -> list[float]:
    around = [(time_of(before) + time_of(behind)) / 2 for before, behind in pairwise(ours)]
    if not all(around):  # a clock that is too coarse for it
        return []
    return [time_of(each) / beside for each, beside in zip(theirs, around, strict=True)]


def quartiles(values: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile."""
    if len(values) == 1:
        return values[0], values[0], values[0]
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def alone(
    section: str, name: str, ours: str, values: Sequence[float], *, unit: str = "s", aim: Aim | None = None, **more: Any
) -> BenchRow:
    """A row of something that has no opponent: the median of what was measured again and again."""
    low, middle, high = quartiles(values)
    return BenchRow(section, name, ours, "", middle, low, high, len(values), unit=unit, aim=aim, **more)
