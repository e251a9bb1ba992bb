"""Streaming means: what mean difference needs, in memory that does not grow with the number of prompts."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor


@dataclass
class Moments:
    """Running count, mean state and mean norm per block, in float64."""

    n: int = 0
    """States seen."""
    _sum: Tensor = field(default_factory=lambda: torch.zeros(()))
    _norms: Tensor = field(default_factory=lambda: torch.zeros(()))

    def update(self, states: Tensor) -> None:
        """Take in a batch of states, (batch, block, width)."""
        states = states.double()
        self.n += len(states)
        self._sum = self._sum + states.sum(dim=0)
        self._norms = self._norms + states.norm(dim=-1).sum(dim=0)

    @property
    def mean(self) -> Tensor:
        """Mean state, float64, (block, width)."""
        return self._sum / self.n

    @property
    def norm(self) -> Tensor:
        """Mean norm of the states, float64, (block,)."""
        return self._norms / self.n
