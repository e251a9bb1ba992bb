"""What was found of each row on each concept, and means over concepts with intervals that are paired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from steering.statistics import Estimate
from steering.studies.axbench.concepts import Concept
from steering.studies.axbench.judging import Said
from steering.studies.axbench.marks import Marks, draws, over_concepts
from steering.studies.axbench.rows import Row


@dataclass(frozen=True, eq=False)
class Scored:
    """A row on one concept."""

    row: Row
    concept: Concept
    choosing: np.ndarray
    """Scores of the choosing half, (factor, instruction)."""
    taken: int
    """Which factor was chosen."""
    replies: tuple[Said, ...]
    """To the scoring half, at that factor."""
    marks: tuple[Marks, ...]
    """Of these."""
    nats: float
    """95th percentile of KL a token at that factor, on the model's own replies; NaN where a prompt does it."""

    @property
    def factor(self) -> float:
        return self.row.factors[self.taken]

    @property
    def score(self) -> float:
        """The mean over the scoring half."""
        return float(np.mean([each.score for each in self.marks]))

    def mean(self, part: str) -> float:
        """The mean of one of the marks."""
        return float(np.mean([getattr(each, part) for each in self.marks]))


@dataclass(frozen=True, eq=False)
class Found:
    """All rows on all concepts."""

    judge: str
    """Who marked."""
    concepts: Sequence[Concept]
    scored: Mapping[str, Sequence[Scored]]
    """By a row's key, one a concept."""
    resamples: int
    seed: int

    @cached_property
    def drawn(self) -> np.ndarray:
        """Concepts of every resample, (resample, concept)."""
        return draws(len(self.concepts), self.resamples, self.seed)

    def mean(self, key: str) -> Estimate:
        """The score of a row, over concepts."""
        return over_concepts([each.score for each in self.scored[key]], self.drawn)

    def ahead(self, key: str, other: str) -> Estimate:
        """By how much a row is ahead of another, paired by concept."""
        pairs = zip(self.scored[key], self.scored[other], strict=True)
        return over_concepts([one.score - its.score for one, its in pairs], self.drawn)

    def at(self, key: str, place: int) -> Estimate:
        """The score of the choosing half at one of the factors, over concepts."""
        return over_concepts([float(each.choosing[place].mean()) for each in self.scored[key]], self.drawn)
