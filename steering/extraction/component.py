"""Principal components, signed by the mean difference: what both PCA methods share."""

from __future__ import annotations

from abc import abstractmethod
from functools import cache

import torch
from torch import Tensor

from steering.extraction.fitter import StoredFitter, signed


class FirstComponent(StoredFitter):
    """The first right singular vector of some rows made from the states, and its share of their squares."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self._first = cache(self._component)

    @abstractmethod
    def rows(self, positive: Tensor, negative: Tensor) -> Tensor:
        """What the component is taken of, from both sides' states of one block, (row, width)."""

    def directions(self) -> Tensor:
        return torch.stack([self._first(block)[0] for block in range(self.n_blocks)])

    def explained(self) -> Tensor:
        return torch.stack([self._first(block)[1] for block in range(self.n_blocks)])

    def _component(self, block: int) -> tuple[Tensor, Tensor]:
        positive, negative = self.block_states(block)
        towards = positive.mean(dim=0) - negative.mean(dim=0)
        _, sizes, right = torch.linalg.svd(self.rows(positive, negative), full_matrices=False)
        squares = sizes.square()
        if not squares[0] > 0:
            return torch.zeros_like(towards), torch.zeros((), dtype=towards.dtype)
        return signed(right[0], towards), squares[0] / squares.sum()
