"""The three marks that a reply gets, the score that they make, and how a factor is chosen and scored with them.

As in AxBench (Wu et al. 2025, arXiv 2501.17148): 0, 1 or 2 each for the concept, the instruction and fluency; the score
is their harmonic mean, and 0 where any of them is 0. A factor is chosen by the mean score on one half of the
instructions and scored on the other half.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from steering.statistics import Estimate


PARTS = ("concept", "instruction", "fluency")
MOST = 2
"""The best mark."""


def title_of(judge: str) -> str:
    """What every figure and note begins with, so that nobody takes it for the published number."""
    return f"AxBench-like, local judges: {judge}"


@dataclass(frozen=True)
class Marks:
    """What one reply gets, 0 to 2 each."""

    concept: int
    """Whether it has what was steered to."""
    instruction: int
    """Whether it answers what was asked."""
    fluency: int

    @property
    def score(self) -> float:
        """The harmonic mean of the three, 0 where one is 0."""
        three = (self.concept, self.instruction, self.fluency)
        return 3 / sum(1 / each for each in three) if min(three) > 0 else 0.0


def halves(n: int) -> tuple[range, range]:
    """Which of so many instructions choose the factor, and which score it; the first half gets the odd one."""
    return range((n + 1) // 2), range((n + 1) // 2, n)


def chosen(scores: np.ndarray) -> int:
    """The factor with the best mean, the smallest of equals.

    Args:
        scores: Of the choosing half, (factor, instruction), factors ascending.
    """
    means = scores.mean(axis=1).round(9)  # what rounding tells apart is equal
    return int(means.argmax())


def over_concepts(values: Sequence[float], drawn: np.ndarray) -> Estimate:
    """A mean over concepts with its 95 % percentile interval.

    Args:
        values: One a concept, (concept,).
        drawn: Which concepts each resample takes, (resample, concept); the same for all means that are compared, so
            that their differences are paired.
    """
    each = np.asarray(values, dtype=float)
    low, high = np.quantile(each[drawn].mean(axis=1), [0.025, 0.975])
    return Estimate(float(each.mean()), float(low), float(high))


def draws(concepts: int, resamples: int, seed: int) -> np.ndarray:
    """Concepts drawn with replacement, (resample, concept)."""
    return np.random.default_rng(seed).integers(0, concepts, size=(resamples, concepts))
