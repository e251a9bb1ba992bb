"""What was found of features, one part for each way in which they were looked for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest

import numpy as np
import torch
from torch import Tensor

from steering.dictionaries.dictionary import Dictionary
from steering.dictionaries.sparse import SparseActivations
from steering.studies.features.decomposition import Decomposition
from steering.studies.features.pooled import maxima
from steering.studies.features.reading import FeatureReading
from steering.studies.features.sources import Sources
from steering.studies.features.telling import Told
from steering.vectors.feature import PERCENTILE
from steering.vectors.vector import SteeringVector


BY_NUMBER, BY_CONTRAST, BY_VECTOR, BY_PROMPT = "number", "contrast", "vector", "prompt"


@dataclass(frozen=True, eq=False)
class Made:
    """What a vector is made of."""

    vector: SteeringVector
    direction: Tensor
    """Its own, where the dictionary gives, unit length, (width,)."""
    decomposition: Decomposition
    cosines: Tensor
    """With every feature's direction, (feature,)."""
    chance: np.ndarray
    """The share that as many features explain of random vectors after each step, (vector, step)."""

    def best(self, n: int) -> list[int]:
        """The features that it is made of, by weight, and then those of the largest cosine."""
        parts = zip(self.decomposition.features, self.decomposition.weights, strict=True)
        made_of = [feature for feature, weight in sorted(parts, key=lambda part: -part[1]) if weight > 0]
        alike = self.cosines.topk(min(n, len(self.cosines))).indices.tolist()
        return list(dict.fromkeys([*made_of, *alike]))[:n]


@dataclass(frozen=True, eq=False)
class Prompted:
    """What a prompt activates."""

    reading: FeatureReading
    lengths: Tensor
    """|d| of every feature, (feature,)."""

    def best(self, n: int) -> list[int]:
        """The features that add most to the state of any token."""
        active = self.reading.activations
        added = torch.zeros(active.n_features).scatter_reduce(
            0, active.features, active.values.abs() * self.lengths[active.features], "amax"
        )
        top = added.topk(min(n, len(added)))
        return [feature for feature, length in zip(top.indices.tolist(), top.values.tolist(), strict=True) if length]


@dataclass(frozen=True, eq=False)
class Found:
    """All of it."""

    dictionary: Dictionary
    sources: Sources
    reading: FeatureReading
    directions: Tensor
    """Unit rows on the CPU, (feature, width)."""
    told: Told | None
    floor: Told | None
    """The same of as many random directions."""
    made: Made | None
    prompted: Prompted | None
    chosen: Mapping[int, tuple[str, ...]]
    """The features that are shown, and how each was found."""

    @cached_property
    def _everything(self) -> SparseActivations:
        parts = [self.reading.activations, *([self.prompted.reading.activations] if self.prompted else [])]
        return SparseActivations.joined(parts)

    @cached_property
    def maxima(self) -> np.ndarray:
        """Typical maximum of every feature on everything that was read; 0 where it is never active."""
        return maxima(self._everything, PERCENTILE / 100)

    @cached_property
    def active(self) -> np.ndarray:
        """Share of the texts' tokens at which each feature is active."""
        counts = torch.bincount(self.reading.activations.features, minlength=self.dictionary.n_features)
        share: np.ndarray = counts.numpy() / len(self.reading.tokens)
        return share


def chosen_of(ways: Mapping[str, Sequence[int]]) -> dict[int, tuple[str, ...]]:
    """The features of several ways, the best of each way first, each feature once with all ways that found it.

    Args:
        ways: Features by how they were found, the best first; those that somebody named come before all others.
    """
    others = [each for name, each in ways.items() if name != BY_NUMBER]
    ranked = [feature for rank in zip_longest(*others) for feature in rank if feature is not None]
    order = dict.fromkeys([*ways.get(BY_NUMBER, ()), *ranked])
    return {feature: tuple(name for name, each in ways.items() if feature in each) for feature in order}
