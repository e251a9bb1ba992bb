"""A dictionary of random directions: what any dictionary of its size and sparsity would get without having learnt.

Scores that it reaches, too, say nothing of features: random baselines matched trained dictionaries on several (arXiv
2602.14111).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from steering.dictionaries.sparse import SparseActivations


_NUMBERS = 2**24
"""Projections that stand in memory at a time."""


@dataclass(frozen=True, eq=False)
class RandomDictionary:
    """y' = n + c sum_{i in K} (u_i·(x - m)) u_i, with K the k features of the largest positive projections.

    u_i are unit vectors, uniform on the sphere, as many as the dictionary has features; the encoder is the decoder's
    transpose; m and n are the mean states where it reads and gives; k is the dictionary's own L0, rounded; c is one
    number for all tokens, by least squares, without which directions that are not at right angles overshoot.
    """

    directions: Tensor
    """u, (feature, width)."""
    reads: Tensor
    """m, (width,)."""
    gives: Tensor
    """n, (width,)."""
    active: int
    """k."""
    factor: float = 1.0
    """c."""

    @classmethod
    def fitted(
        cls, inputs: Tensor, targets: Tensor, *, n_features: int, active: int, seed: int, means: Sequence[Tensor]
    ) -> RandomDictionary:
        """One with its factor by least squares.

        Args:
            inputs: States where the dictionary reads, (token, width).
            targets: States where it gives, (token, width).
            n_features: As many as it has.
            active: Features that a token may use.
            seed: Of the directions.
            means: The mean states where it reads and where it gives, (width,) each.
        """
        plain = cls.drawn(n_features=n_features, active=active, seed=seed, means=means)
        given, wanted = plain.given_back(inputs)[1].cpu() - means[1], targets.cpu() - means[1]
        squares = float(given.double().square().sum())
        factor = float((given.double() * wanted.double()).sum()) / squares if squares else 0.0
        return replace(plain, factor=factor)

    @classmethod
    def drawn(cls, *, n_features: int, active: int, seed: int, means: Sequence[Tensor]) -> RandomDictionary:
        """One whose factor is 1, which does not matter to what is active; arguments as `fitted`."""
        drawn = torch.randn(n_features, len(means[0]), generator=torch.Generator().manual_seed(seed))
        directions = drawn / drawn.norm(dim=-1, keepdim=True)
        return cls(directions, means[0], means[1], max(1, min(active, n_features)))

    def given_back(self, states: Tensor) -> tuple[SparseActivations, Tensor]:
        """The active features and y' of states, (token, width) each, on their device."""
        parts = [self._given_back(part) for part in states.split(max(1, _NUMBERS // len(self.directions)))]
        return SparseActivations.joined([active for active, _ in parts]), torch.cat([given for _, given in parts])

    def _given_back(self, states: Tensor) -> tuple[SparseActivations, Tensor]:
        directions, reads, gives = (each.to(states.device) for each in (self.directions, self.reads, self.gives))
        along = (states.float() - reads) @ directions.T
        values, features = along.topk(self.active, dim=-1)
        positive = values > 0
        counts = positive.sum(dim=-1)
        active = SparseActivations(
            torch.cat([counts.new_zeros(1), counts.cumsum(0)]), features[positive], values[positive], len(directions)
        )
        kept = torch.zeros_like(along).scatter_(-1, features, values.clamp(min=0))
        return active, gives + self.factor * kept @ directions
