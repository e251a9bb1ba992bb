"""A vector as a sum of few features: nonnegative orthogonal matching pursuit over a dictionary's directions.

Features are only ever added, since they are never active below 0 (of most dictionaries). At every step the feature
whose direction lies closest to what is left is taken, and the weights of all taken so far are fitted anew by
nonnegative least squares (Pati et al. 1993; nonnegative: Bruckstein et al. 2008).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from scipy.optimize import nnls
from torch import Tensor

from steering.lane import look_for_stop


_LEAST = 1e-4
"""Cosine with what is left under which no further feature is taken."""


@dataclass(frozen=True, eq=False)
class Decomposition:
    """v = sum w_i u_i + remainder, with v and all u_i of length 1."""

    features: tuple[int, ...]
    """In the order in which they were taken."""
    weights: tuple[float, ...]
    """w; a feature that later ones made needless has 0."""
    explained: tuple[float, ...]
    """1 - |remainder|² after each step."""
    remainder: Tensor
    """float32, (width,)."""

    @property
    def share(self) -> float:
        """The share of the vector's squared norm that the features explain."""
        return self.explained[-1] if self.explained else 0.0


def decompose(vector: Tensor, directions: Tensor, parts: int) -> Decomposition:
    """Take a vector apart.

    Args:
        vector: Of any length above 0, (width,).
        directions: Unit directions of all features, (feature, width).
        parts: The most features to take.
    """
    wanted = (vector / vector.norm()).double().cpu().numpy()
    left, taken, weights = wanted.copy(), list[int](), np.zeros(0)
    explained: list[float] = []
    while len(taken) < min(parts, len(directions)):
        look_for_stop()
        cosines = directions @ torch.from_numpy(left).to(directions)
        cosines[taken] = -torch.inf
        best = int(cosines.argmax())
        if float(cosines[best]) <= _LEAST * max(float(np.linalg.norm(left)), 1e-12):
            break
        taken.append(best)
        columns = directions[taken].double().cpu().numpy().T
        weights, _ = nnls(columns, wanted)
        left = wanted - columns @ weights
        explained.append(1 - float(left @ left))
    return Decomposition(tuple(taken), tuple(map(float, weights)), tuple(explained), torch.from_numpy(left).float())


def by_chance(directions: Tensor, parts: int, *, draws: int, seed: int) -> np.ndarray:
    """The share explained of random vectors after each step, (draw, parts): what so many features explain of anything.

    Args:
        directions: As `decompose`.
        parts: As many features as were allowed.
        draws: How many vectors.
        seed: Of the vectors.
    """
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randn(draws, directions.shape[1], generator=generator)
    found = [decompose(each, directions, parts).explained for each in drawn]
    # Where a vector has no further feature, it stays at what the last one left.
    return np.array([[*each, *[each[-1] if each else 0.0] * (parts - len(each))] for each in found])
